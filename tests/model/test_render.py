"""Tests of the HTML view: escaping, balanced tags, nothing lost from the article, no leak of direction."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.render import COLOURS, article_html, page_html
from brinkline.model.scores import ArticleScores, SentenceScore

ATTACK = "<script>alert(1)</script> \"double\" 'single' & &lt; <!-- -->"
TAGS = {"html", "head", "meta", "title", "style", "body", "div", "b", "bdi", "span", "small", "p", "br"}
VOID = {"br", "meta"}
STATIC = {"class", "style", "title", "lang", "charset", "name", "content"}
ARTICLE = (
    "Envoys to meet\n\n"
    "The army shelled the port. The bridge is closed.\n"
    "Both sides agreed to talk.\n\n* * *\n\n"
    "It warned of a hard answer."
)
EXPECTED: list[tuple[str, str, tuple[str, ...]]] = [
    ("Envoys to meet", "neutral", ()),
    ("The army shelled the port.", "hostile", ("retaliation",)),
    ("The bridge is closed.", "neutral", ()),
    ("Both sides agreed to talk.", "conciliatory", ()),
    ("It warned of a hard answer.", "hostile", ("threat", "deterrence")),
]


class Page(HTMLParser):
    """Checks that tags are balanced and gathers the text of the article, without what was added to it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.titles: list[str] = []
        self.spoken: list[str] = []
        self.texts: dict[str, str] = {"all": "", "article": "", "summary": "", "legend": "", "small": ""}
        self.paragraphs: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert set(found) <= {*STATIC, "role", "aria-label"}
        self.tags.append(tag)
        if "aria-label" in found:
            self.spoken.append(found["aria-label"] or "")
        if "title" in found and found.get("class") != "brinkline-strip":
            self.titles.append(found["title"] or "")
        if tag == "p":
            self.paragraphs.append("")
        if tag not in VOID:
            self.open.append((tag, found.get("class") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        classes = {name for _, name in self.open}
        small = any(tag == "small" for tag, _ in self.open)
        self.texts["all"] += data
        for part in ("summary", "legend"):
            if f"brinkline-{part}" in classes:
                self.texts[part] += data
        if "brinkline-text" in classes:
            self.texts["small" if small else "article"] += f"{data} " if small else data
            if not small and any(tag == "p" for tag, _ in self.open):
                self.paragraphs[-1] += data


def sentence(
    text: str, start: int, stance: str, signals: tuple[str, ...], cut: bool = False
) -> SentenceScore:
    stances = {name: 0.9 if name == stance else 0.05 for name in STANCES}
    present = {name: 0.81 if name in signals else 0.02 for name in SIGNALS}
    return SentenceScore(text, start, start + len(text), stance, stances, signals, present, cut)


def article(cut: bool = False) -> ArticleScores:
    sentences = [
        sentence(text, ARTICLE.index(text), stance, signals, cut) for text, stance, signals in EXPECTED
    ]
    return ArticleScores(ARTICLE, tuple(sentences), "model 1.0", "wire-7")


def alone(text: str, stance: str = "hostile") -> ArticleScores:
    return ArticleScores(text, (sentence(text, 0, stance, ("threat",)),), "model 1.0")


def shown(text: str) -> str:
    """Say how text appears: one character for each."""
    text = re.sub("[\v\f\x85\u2028\u2029]", "\n", text)
    return re.sub("[^\t\n\r -~\xa0-\ud7ff\ue000-\U0010ffff]|[\u202d\u202e]", "\ufffd", text)


def test_article_appears_whole_and_once_in_order() -> None:
    page = Page(article_html(article()))
    assert page.texts["article"] == ARTICLE
    for text, *_ in EXPECTED:
        assert page.texts["all"].count(text) == 1


def test_paragraphs_and_line_breaks() -> None:
    html = article_html(article())
    page = Page(html)
    assert page.paragraphs == [
        "Envoys to meet",
        "The army shelled the port. The bridge is closed.\nBoth sides agreed to talk.",
        "* * *",
        "It warned of a hard answer.",
    ]
    assert html.count("<br>") == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_break(newline: str) -> None:
    text = newline.join([" ", "One", "two", "", "three", " ", "four", ""])
    html = article_html(ArticleScores(text, (), "m"))
    assert [part.split() for part in Page(html).paragraphs] == [["One", "two"], ["three"], ["four"]]
    assert html.count("<br>") == 2  # the last one ends the text and shows nothing


def test_summary_has_all_figures() -> None:
    summary = Page(article_html(article())).texts["summary"].replace("\xa0", " ")
    assert summary == (
        "wire-7 · 5 sentences · hostile 40% · neutral 40% · conciliatory 20% · balance −0.20 · "
        "threat 1 · deterrence 1 · retaliation 1 · model 1.0"
    )


@pytest.mark.parametrize(
    ("stances", "balance"),
    [
        (["conciliatory", "neutral"], "+0.50"),
        (["hostile"], "−1.00"),
        (["hostile", "conciliatory"], "0.00"),
        (["hostile"] + ["neutral"] * 999, "0.00"),
        ([], "n/a"),
    ],
)
def test_balance_bears_its_sign(stances: list[str], balance: str) -> None:
    sentences = tuple(sentence("a", i, stance, ()) for i, stance in enumerate(stances))
    summary = Page(article_html(ArticleScores("a" * len(stances), sentences, "m"))).texts["summary"]
    assert f"balance\xa0{balance} " in summary


def test_probabilities_on_hover() -> None:
    titles = Page(article_html(article())).titles
    assert len(titles) == len(EXPECTED)
    assert titles[4] == (
        "hostile 0.90, neutral 0.05, conciliatory 0.05; threat 0.81, deterrence 0.81, retaliation 0.02"
    )


def test_stances_differ_without_colour() -> None:
    marks = {}
    for stance in STANCES:
        html = article_html(alone("A plain line.", stance)).split("brinkline-text")[1]
        line = re.search(r"border-bottom:\w+ (\w+) rgb", html)
        assert line
        marks[stance] = (Page(article_html(alone("x", stance))).texts["small"].split()[0], line[1])
    assert marks == {
        "hostile": ("−", "solid"),
        "neutral": ("threat", "dotted"),
        "conciliatory": ("+", "dashed"),
    }


def test_labels_follow_their_sentence() -> None:
    page = Page(article_html(article()))
    assert page.texts["small"].split() == ["−", "retaliation", "+", "−", "threat", "deterrence"]
    assert "cut" not in page.texts["legend"]


def test_truncated_sentences_say_so() -> None:
    page = Page(article_html(article(cut=True)))
    assert page.texts["small"].split().count("cut") == len(EXPECTED)
    assert "cut only the beginning was read" in page.texts["legend"].replace("\xa0", " ")
    assert all(title.endswith("; cut: only the beginning was read") for title in page.titles)


def test_theme_decides_on_the_text_colour() -> None:
    html = article_html(article(cut=True))
    styles = re.findall(r'style="([^"]*)"', html)
    assert styles
    assert not [style for style in styles if re.search(r"(^|;)\s*color\s*:", style)]


Colour = tuple[float, float, float]
# Text and page, as the themes set them; the first two are those of a page of our own.
THEMES: dict[str, tuple[Colour, Colour]] = {
    "page, light": ((27, 27, 27), (253, 253, 252)),
    "page, dark": ((228, 228, 226), (22, 24, 27)),
    "JupyterLab light": ((33, 33, 33), (255, 255, 255)),
    "JupyterLab dark": ((224, 224, 224), (17, 17, 17)),
    "VS Code dark": ((204, 204, 204), (30, 30, 30)),
    "Colab dark": ((212, 212, 212), (56, 56, 56)),
}


def luminance(colour: Colour) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [c / 255 for c in colour]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: Colour, other: Colour) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("stance", STANCES)
def test_text_on_marks_can_be_read(theme: str, stance: str) -> None:
    text, page = THEMES[theme]
    html = article_html(alone("A plain line.", stance)).split('class="brinkline-text"')[1]
    found = re.search(r"background:rgba\((\d+),(\d+),(\d+),([.\d]+)\);border-bottom:.*? rgb\((.*?)\)", html)
    assert found
    assert found[5].split(",") == list(found.groups()[:3])
    shade = float(found[4])
    behind = tuple(shade * float(found[i + 1]) + (1 - shade) * page[i] for i in range(3))
    assert contrast(text, (behind[0], behind[1], behind[2])) >= 4.5
    if stance != "neutral" and theme != "Colab dark":  # there the underline is seen, but fainter
        assert contrast(COLOURS[stance], page) >= 3


def test_page_sets_the_colours_that_are_tested() -> None:
    page = page_html([], "t")
    for theme in ("page, light", "page, dark"):
        text, background = ("#" + "".join(f"{int(part):02x}" for part in colour) for colour in THEMES[theme])
        assert f"background:{background};color:{text}" in page


def test_strip_has_a_bar_a_sentence_in_order() -> None:
    html = article_html(article())
    strip = re.search(r'<div class="brinkline-strip".*?</div>', html)
    assert strip
    bars = re.findall(r"flex:(\d+) 1 0;height:[^;]+;(margin-\w+|background)", strip[0])
    places = {"hostile": "margin-top", "neutral": "background", "conciliatory": "margin-bottom"}
    assert bars == [("1", places[stance]) for _, stance, _ in EXPECTED]


def test_strip_of_a_long_article_draws_runs() -> None:
    stances = ["hostile"] * 150 + ["neutral"] * 250
    sentences = tuple(sentence("a", i, stance, ()) for i, stance in enumerate(stances))
    html = article_html(ArticleScores("a" * 400, sentences, "m"))
    assert re.findall(r"flex:(\d+) ", html) == ["150", "250"]


def test_what_is_drawn_is_named_for_screen_readers() -> None:
    spoken = Page(article_html(article())).spoken
    assert spoken[:2] == [
        "scored article",
        "the sentences in order: hostile below the line, conciliatory above",
    ]
    stances = ["hostile", "conciliatory", "signals"]  # of the legend
    assert spoken[2:] == [*stances, "hostile", "signals", "conciliatory", "hostile", "signals"]


def test_line_of_a_megabyte_is_shown_once() -> None:
    text = "x" * 1_000_000
    html = article_html(alone(text))
    assert html.count(text) == 1
    assert len(html) < len(text) + 10_000


def test_nothing_to_load_or_run() -> None:
    html = page_html([article_html(article())], "Wire")
    assert not re.search(r"<script|http|url\(|@import|\bon\w+=|<link|<img", html)
    assert "<style" not in article_html(article())


def test_every_field_is_escaped() -> None:
    text = f"{ATTACK} {ATTACK}\n{ATTACK}"
    hit = SentenceScore(ATTACK, 0, len(ATTACK), ATTACK, {ATTACK: 1.0}, (ATTACK,), {ATTACK: 1.0}, False)
    html = page_html([article_html(ArticleScores(text, (hit,), ATTACK, ATTACK))], ATTACK)
    page = Page(html)
    assert "<script" not in html
    # Page title, id and model, hover, sentence and label, the rest of the article.
    assert html.count(escape(ATTACK, quote=True)) == 1 + 2 + 2 + 2 + 2
    assert page.texts["article"] == text
    assert page.titles == [f"{ATTACK} 1.00; {ATTACK} 1.00"]
    assert set(page.tags) <= TAGS


def test_text_that_looks_like_an_entity_stays_text() -> None:
    text = "Trade fell by 4 &percnt; & rose &#60;b&#62;."
    assert Page(article_html(alone(text))).texts["article"] == text


@pytest.mark.parametrize("text", ["", "  \n\n", "Photos only", "* * *\n\n<b>none</b>\n"])
def test_article_without_sentences(text: str) -> None:
    page = Page(article_html(ArticleScores(text, (), "model 1.0")))
    assert page.texts["summary"].replace("\xa0", " ") == "no sentences · balance n/a · model 1.0"
    assert page.texts["article"] == text
    assert page.texts["small"] == page.texts["legend"] == ""


def test_one_sentence_is_singular() -> None:
    assert "1\xa0sentence " in Page(article_html(alone("It is so."))).texts["summary"]


@pytest.mark.parametrize("character", ["\0", "\x08", "\x1b", "\x7f", "\x9b", "\ud83d"])
def test_harmful_characters_are_replaced_everywhere(character: str) -> None:
    text = f"a{character}b"
    scores = ArticleScores(f"{text} {text}", (sentence(text, 0, "neutral", ()),), text, text)
    html = page_html([article_html(scores)], text)
    html.encode("utf-8")
    assert character not in html
    assert html.count("a\ufffdb") == 5


def test_page_can_be_encoded_whatever_its_fragments_hold() -> None:
    assert "<p>\ufffd</p>" in page_html(iter(["<p>\ud800</p>"]), "t")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u2069\u202bturned", "\ufffd\u202bturned"),
        ("\u2067name\u2069 said", "\u2067name\u2069 said"),
        ("\u2067name\u2069\u2069 said", "\u2067name\u2069\ufffd said"),
        ("\u2067name\nsaid\u2069 so", "\ufffdname\nsaid\ufffd so"),
        ("\u2067\u2066name\u2069 said", "\ufffd\u2066name\u2069 said"),
        ("\u2067name\u2068 said", "\ufffdname\ufffd said"),
        ("\u202eturned\u202c", "\ufffdturned\u202c"),
        ("\u202dturned", "\ufffdturned"),
    ],
)
def test_direction_cannot_leak(text: str, expected: str) -> None:
    """A ``<bdi>`` holds everything but marks of isolation without a partner, so none of these may get through."""
    scores = ArticleScores(f"{text} {text}", (sentence(text, 0, "neutral", ()),), text, text)
    html = article_html(scores)
    assert len(re.findall(rf"<bdi[^>]*>\s?{re.escape(expected)}</bdi>", html.replace("<br>", ""))) == 4


def test_page_frame() -> None:
    html = page_html([article_html(article()), article_html(alone("One more."))], "War & <peace>")
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert '<meta charset="utf-8">' in html
    assert '<meta name="viewport"' in html
    assert "<title>War &amp; &lt;peace&gt;</title>" in html
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
    assert html.count('class="brinkline"') == 2
    Page(html)


def test_page_without_fragments() -> None:
    Page(page_html([], ""))


HARD = st.sampled_from(
    [
        *" \n\r\t\f\x85\0<>&\"'\u2028\u2029\u202b\u202c\u202e\u2066\u2067\u2068\u2069\xa0\ud800",
        "</p>",
        "&amp;",
        "\r\n\r\n",
    ]
)
TEXTS = st.lists(st.one_of(HARD, st.characters(), st.text(max_size=8)), max_size=40).map("".join)


@st.composite
def articles(draw: st.DrawFn) -> ArticleScores:
    text = draw(TEXTS)
    ends = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    spans = list(zip(ends[::2], ends[1::2], strict=False))
    signals = st.sets(st.sampled_from(SIGNALS)).map(tuple)
    sentences = tuple(
        sentence(text[a:b], a, draw(st.sampled_from(STANCES)), draw(signals), draw(st.booleans()))
        for a, b in spans
    )
    return ArticleScores(text, sentences, draw(TEXTS), draw(st.none() | TEXTS))


@given(articles())
@example(ArticleScores("\n\n a\r\n\r\n<", (), "\u2069", None))
def test_article_survives_for_any_text_and_spans(scores: ArticleScores) -> None:
    html = article_html(scores)
    html.encode("utf-8")
    found = Page(html).texts["article"]
    expected = shown(scores.text)
    assert len(found) == len(expected)
    assert all(
        left == right or (left == "\ufffd" and right in "\u2066\u2067\u2068\u2069")
        for left, right in zip(found, expected, strict=True)
    )


@given(st.lists(articles(), max_size=3), TEXTS)
def test_page_is_well_formed_for_anything(many: list[ArticleScores], title: str) -> None:
    html = page_html(map(article_html, many), title)
    html.encode("utf-8")
    Page(html)
