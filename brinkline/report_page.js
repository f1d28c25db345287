"use strict";
// Filters and sorts what the page already shows; without scripts the page is whole, only unfiltered.
document.documentElement.classList.add("js");
addEventListener("DOMContentLoaded", () => {
  const STEP = 200; // rows of the table shown at once
  const form = document.getElementById("filters");
  const body = document.getElementById("rows");
  const more = document.getElementById("more");
  const told = document.getElementById("told");
  const count = document.getElementById("count");
  if (!body) return;
  // p: probabilities of the six labels in thousandths; g: positions of the labels that were given.
  const rows = Array.from(body.rows, (tr, order) => ({
    tr, order, on: true, a: tr.dataset.a, i: +tr.dataset.i,
    p: tr.dataset.p.split(" ").map(Number), g: Array.from(tr.dataset.g, Number), text: null,
  }));
  const articles = new Map(Array.from(document.querySelectorAll(".articles article"), e => [e.id, e]));
  const marks = new Map();
  const plural = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
  let shown = [], limit = STEP, waiting = 0;

  function marksOf(id) {
    if (!marks.has(id)) marks.set(id, articles.get(id).querySelectorAll(".brinkline-text span[title]"));
    return marks.get(id);
  }

  // Where there are many articles, those out of sight are painted when they come near.
  const lazy = articles.size > 50, near = new Set(), stale = new Set(), rowsOf = new Map();
  for (const row of rows) rowsOf.has(row.a) ? rowsOf.get(row.a).push(row) : rowsOf.set(row.a, [row]);

  function paint(id) {
    stale.delete(id);
    const its = marksOf(id);
    for (const row of rowsOf.get(id)) if (its[row.i]) its[row.i].classList.toggle("off", !row.on);
  }
  if (lazy) {
    const watch = new IntersectionObserver(entries => {
      for (const {target, isIntersecting} of entries) {
        isIntersecting ? near.add(target.id) : near.delete(target.id);
        if (isIntersecting && stale.has(target.id)) paint(target.id);
      }
    }, {rootMargin: "600px"});
    for (const article of articles.values()) watch.observe(article);
    addEventListener("beforeprint", () => [...stale].forEach(paint));
  }

  function passes(row, labels, least, words) {
    if (least === null ? labels.length < 6 && !labels.some(k => row.g.includes(k))
                       : !labels.some(k => row.p[k] >= least)) return false;
    if (!words) return true;
    row.text ??= row.tr.querySelector(".t").textContent.toLowerCase();
    return row.text.includes(words);
  }

  function filter() {
    const ticked = Array.from(form.querySelectorAll("[name=label]:checked"), box => +box.value);
    const labels = ticked.length ? ticked : [0, 1, 2, 3, 4, 5];
    const chosen = form.elements.least.value;
    const least = chosen === "" ? null : +chosen;
    const words = form.elements.words.value.trim().toLowerCase();
    const all = !ticked.length && least === null && !words;
    const kept = new Map();
    for (const row of rows) {
      const on = all || passes(row, labels, least, words);
      if (on) kept.set(row.a, true);
      if (on !== row.on) {
        row.on = on;
        stale.add(row.a);
      }
    }
    for (const [id, article] of articles) article.hidden = !all && !kept.has(id);
    for (const id of [...stale].filter(id => !lazy || near.has(id))) paint(id);
    limit = STEP;
    show();
    const number = all ? articles.size : kept.size;
    count.textContent = all ? plural(rows.length, "sentence")
      : `${shown.length.toLocaleString("en")} of ${plural(rows.length, "sentence")}, ${plural(number, "article")}`;
  }

  function show() {
    for (const row of shown) row.tr.classList.remove("on");
    shown = rows.filter(row => row.on);
    const top = shown.slice(0, limit).map(row => row.tr);
    for (const tr of top) tr.classList.add("on");
    // Rows that are not shown may stand in any order.
    if (top.some((tr, n) => tr !== body.rows[n])) body.prepend(...top);
    more.hidden = shown.length <= limit;
    told.textContent = `${Math.min(limit, shown.length).toLocaleString("en")} of ${plural(shown.length, "row")} shown`;
  }

  const keys = {
    place: row => row.order, stance: row => row.g[0], p: row => -row.p[row.g[0]],
    threat: row => -row.p[3], deterrence: row => -row.p[4], retaliation: row => -row.p[5],
  };
  function sort(th, name) {
    const turn = th.getAttribute("aria-sort") === (name === "place" || name === "stance" ? "ascending" : "descending");
    const key = keys[name], sign = turn ? -1 : 1;
    rows.sort((x, y) => sign * (key(x) - key(y)) || x.order - y.order);
    for (const other of th.parentNode.cells) other.removeAttribute("aria-sort");
    const up = (name === "place" || name === "stance") !== turn;
    th.setAttribute("aria-sort", up ? "ascending" : "descending");
    limit = STEP;
    show();
  }
  for (const th of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...th.childNodes);
    button.addEventListener("click", () => sort(th, th.dataset.sort));
    th.append(button);
  }

  // From a row of the table to its sentence in the article.
  body.addEventListener("click", event => {
    if (!event.target.closest("a")) return;
    const tr = event.target.closest("tr");
    const mark = marksOf(tr.dataset.a)[+tr.dataset.i];
    if (!mark) return;
    event.preventDefault();
    for (const old of document.querySelectorAll(".here")) old.classList.remove("here");
    articles.get(tr.dataset.a).hidden = false;
    mark.classList.add("here");
    mark.tabIndex = -1;
    mark.focus({preventScroll: true});
    mark.scrollIntoView({block: "center"});
  });

  const soon = () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); };
  form.addEventListener("input", soon);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => { clearTimeout(waiting); setTimeout(filter); });
  document.getElementById("next").addEventListener("click", () => { limit += STEP; show(); });
  document.getElementById("all").addEventListener("click", () => { limit = Infinity; show(); });
  form.hidden = false;
  filter();
});
