"""Scored articles as one page: marked sentences, a table, filters; nothing to load, of use with scripts off.

The page carries a content security policy that lets in its own style and script and nothing else, so that no text
in it can run or fetch anything. Article text is never put into a script: the script reads what the page shows.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import IO

from brinkline.citation import citation
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.render import safe
from brinkline.model.scores import ArticleScores, SentenceScore

__all__ = ["Totals", "asset", "list_html", "rows_html", "table_html", "write_page"]

_IN_MEMORY = 8 << 20  # characters of a part of the page, before it goes to disk
_MANY = 50  # articles from which the browser may put off drawing those out of sight
_LEAST = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "0.95")
_HEADINGS = (
    ("", "article"),
    ("place", "#"),
    ("", "sentence"),
    ("stance", "stance"),
    ("p", "p"),
    *((signal, signal) for signal in SIGNALS),
)
_LABELS = (*STANCES, *SIGNALS)


def write_page(
    scores: Iterable[ArticleScores], file: IO[str], *, thresholds: Mapping[str, float] | None = None
) -> None:
    """Write scored articles as one self-contained HTML page.

    The parts of the page wait on disk until the last article is there: what is held in memory does not grow with
    the number of articles.

    :param scores: a stream of articles.
    :param file: where to write, as UTF-8.
    :param thresholds: signal → probability from which it was given, to be told on the page.
    """
    with ExitStack() as stack:
        marked, table, contents = (stack.enter_context(_spool()) for _ in range(3))
        totals = Totals()
        for number, article in enumerate(scores, start=1):
            totals.add(article)
            marked.write(_article(article, number))
            table.writelines(rows_html(article, f"a{number}"))
            contents.write(_contents_row(article, number))
        file.write(_head(totals))
        if totals.articles > 1:
            _section(file, _CONTENTS, contents, _CONTENTS_END)
        if totals.articles:
            many = " many" if totals.articles > _MANY else ""
            _section(file, _ARTICLES.format(many=many), marked, "</section>\n")
            _section(file, _table_head(), table, f"</tbody></table></div>{_MORE}</section>\n")
        file.write(_foot(totals, thresholds))


def rows_html(article: ArticleScores, anchor: str = "") -> Iterator[str]:
    """Yield one table row a sentence.

    :param article: the scored article.
    :param anchor: id of the element that shows the article; without it there is neither link nor name of the article.
    """
    name = ""
    if anchor:
        shown = article.id if article.id is not None else anchor.removeprefix("a")
        name = f'<td class="a"><a href="#{anchor}"><bdi>{safe(shown)}</bdi></a></td>'
    for index, sentence in enumerate(article.sentences):
        yield _row(sentence, index, anchor, name)


def table_html(article: ArticleScores) -> str:
    """Return the sentences of one article as a table."""
    return (
        f'<div class="bl-scroll"><table class="bl-rows bl-long">{_header(_HEADINGS[1:])}<tbody>'
        f"{''.join(rows_html(article))}</tbody></table></div>"
    )


def list_html(articles: Iterable[ArticleScores]) -> str:
    """Return a table with one row an article."""
    rows = "".join(_contents_row(article, number, link=False) for number, article in enumerate(articles, 1))
    return f"{_CONTENTS}{rows}{_CONTENTS_END}"


def asset(name: str) -> str:
    """Return a style sheet or script of this folder."""
    return resources.files("brinkline").joinpath(name).read_text(encoding="utf-8")


def _row(sentence: SentenceScore, index: int, anchor: str, name: str) -> str:
    probabilities = {**sentence.stance_probabilities, **sentence.signal_probabilities}
    thousandths = " ".join(f"{1000 * probabilities[label]:.0f}" for label in _LABELS)
    given = "".join(
        str(k) for k, label in enumerate(_LABELS) if label == sentence.stance or label in sentence.signals
    )
    cells = "".join(_signal(signal, sentence) for signal in SIGNALS)
    cut = " <small>(only the beginning was read)</small>" if sentence.truncated else ""
    return (
        f'<tr data-a="{anchor}" data-i="{index}" data-p="{thousandths}" data-g="{given}">{name}'
        f'<td class="n">{index + 1}</td><td class="t"><bdi>{safe(sentence.text)}</bdi>{cut}</td>'
        f'<td class="s {safe(sentence.stance)}">{safe(sentence.stance)}</td>'
        f'<td class="n">{sentence.stance_probabilities[sentence.stance]:.2f}</td>{cells}</tr>\n'
    )


def _signal(signal: str, sentence: SentenceScore) -> str:
    figure = f"{sentence.signal_probabilities[signal]:.2f}"
    if signal in sentence.signals:
        # Weight and underline are not read out: the word is.
        return f'<td class="n g" data-l="{signal}">{figure}<span class="bl-vh"> given</span></td>'
    return f'<td class="n" data-l="{signal}">{figure}</td>'


@dataclass
class Totals:
    """Counts over articles, gathered one by one."""

    articles: int = 0
    sentences: int = 0
    labels: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_LABELS, 0))
    models: dict[str, None] = field(default_factory=dict)  # in order, each once

    def add(self, article: ArticleScores) -> None:
        """Count one more."""
        self.articles += 1
        self.sentences += len(article.sentences)
        self.models[article.model] = None
        for sentence in article.sentences:
            for label in (sentence.stance, *sentence.signals):
                self.labels[label] += 1

    @property
    def model(self) -> str:
        """Name and version of the model; of all, where there are several."""
        return ", ".join(self.models) or "none"

    @property
    def headline(self) -> str:
        """Say how many articles and sentences there are."""
        return f"{_count(self.articles, 'article')}, {_count(self.sentences, 'sentence')}"

    def to_html(self) -> str:
        """Return how often each label was given, as a list of definitions."""
        figures = "".join(
            f"<div><dt>{label}</dt><dd>{count:,} <small>{self._share(count)}</small></dd></div>"
            for label, count in self.labels.items()
        )
        return f'<dl class="totals">{figures}</dl>'

    def _share(self, count: int) -> str:
        return f"{count / self.sentences:.0%}" if self.sentences else "n/a"


def _spool() -> IO[str]:
    return tempfile.SpooledTemporaryFile(
        max_size=_IN_MEMORY, mode="w+", encoding="utf-8", errors="replace", newline=""
    )


def _section(file: IO[str], before: str, part: IO[str], after: str) -> None:
    file.write(before)
    part.seek(0)
    shutil.copyfileobj(part, file)
    file.write(after)


@cache
def _parts() -> tuple[str, str, str]:
    """Return style, script and the policy that lets in these and nothing else."""
    style, script = asset("rows.css") + asset("report_page.css"), asset("report_page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return style, script, policy


def _head(totals: Totals) -> str:
    style, script, policy = _parts()
    links = [("articles", "Articles"), ("sentences", "Sentences")] if totals.articles else []
    links += [("about", "About and how to cite")]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Brinkline: {totals.headline}</title>\n<style>\n{style}</style>\n"
        f"<script>{script}</script>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the articles</a>\n<header>\n'
        f"<h1>{totals.headline}</h1>\n"
        f'<p class="meta">Stance and escalation signals by <bdi>{safe(totals.model)}</bdi></p>\n'
        f'{totals.to_html()}\n<nav aria-label="Parts of the page">'
        + "".join(f'<a href="#{target}">{text}</a>' for target, text in links)
        + f"</nav>\n</header>\n{_filters() if totals.sentences else ''}"
        '<main id="main">\n'
    )


def _filters() -> str:
    boxes = "".join(
        f'<label><input type="checkbox" name="label" value="{k}">{label}</label>'
        for k, label in enumerate(_LABELS)
    )
    steps = "".join(f'<option value="{1000 * float(p):.0f}">at least {p}</option>' for p in _LEAST)
    return (
        '<form id="filters" hidden aria-label="Filter the sentences">'
        f"<fieldset><legend>Any of</legend>{boxes}</fieldset>"
        '<label>Probability <select name="least"><option value="">as given</option>'
        f"{steps}</select></label>"
        '<label>Words <input type="search" name="words" autocomplete="off"></label>'
        '<button type="reset">Show all</button>'
        '<output id="count" aria-live="polite"></output></form>\n'
        "<noscript><p>Filters and sorting need scripts; everything is shown without them.</p></noscript>\n"
    )


_CONTENTS = (
    '<details class="list"><summary>List of the articles</summary><div class="bl-scroll contents" tabindex="0" '
    'role="region" aria-label="List of the articles"><table class="bl-rows"><thead><tr><th scope="col">article</th>'
    + "".join(
        f'<th scope="col" class="n">{name}</th>' for name in ("sentences", *STANCES, "balance", *SIGNALS)
    )
    + "</tr></thead><tbody>\n"
)
_CONTENTS_END = "</tbody></table></div></details>\n"
_ARTICLES = '<section class="articles{many}" id="articles" aria-labelledby="h-a"><h2 id="h-a">Articles</h2>\n'
_MORE = (
    '<p class="more" id="more" hidden><span id="told" aria-live="polite"></span>'
    '<button type="button" id="next">Show 200 more</button><button type="button" id="all">Show all</button></p>'
)


def _article(article: ArticleScores, number: int) -> str:
    name = f": <bdi>{safe(article.id)}</bdi>" if article.id is not None else ""
    return (
        f'<article id="a{number}" aria-labelledby="h{number}"><h3 class="bl-vh" id="h{number}">Article {number}{name}'
        f"</h3>\n{article.to_html()}</article>\n"
    )


def _contents_row(article: ArticleScores, number: int, link: bool = True) -> str:
    summary = article.summary
    name = f"<bdi>{safe(article.id) if article.id is not None else number}</bdi>"
    if link:
        name = f'<a href="#a{number}">{name}</a>'
    figures = [f"{summary.sentences:,}"]
    if summary.sentences:
        figures += [f"{summary.stance[stance]:.0%}" for stance in STANCES]
        figures += [f"{summary.balance:+.2f}".replace("-", "\N{MINUS SIGN}")]
    else:
        figures += [""] * (len(STANCES) + 1)
    figures += [str(summary.signals[signal]) for signal in SIGNALS]
    cells = "".join(f'<td class="n">{figure}</td>' for figure in figures)
    return f'<tr><td class="a">{name}</td>{cells}</tr>\n'


def _header(headings: Iterable[tuple[str, str]]) -> str:
    cells = []
    for key, text in headings:
        wide = "" if text in ("article", "sentence", "stance") else ' class="n"'
        sort = f' data-sort="{key}"' if key else ""
        cells.append(f'<th scope="col"{wide}{sort}>{text}</th>')
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _table_head() -> str:
    return (
        '<section id="sentences" aria-labelledby="h-s"><h2 id="h-s">Sentences</h2>\n'
        '<div class="bl-scroll" tabindex="0" role="region" aria-label="Table of the sentences">'
        f'<table class="bl-rows bl-long">{_header(_HEADINGS)}<tbody id="rows">\n'
    )


def _foot(totals: Totals, thresholds: Mapping[str, float] | None) -> str:
    limits = ""
    if thresholds:
        listed = ", ".join(f"{signal} {thresholds[signal]:.2f}" for signal in SIGNALS if signal in thresholds)
        limits = f" Here the thresholds are {listed}."
    return (
        '</main>\n<footer id="about"><h2>About these figures</h2>\n'
        f"<p>Model: <bdi>{safe(totals.model)}</bdi>. The stance is the most probable of three; p is its probability. "
        f"A signal is given (bold, underlined) where its probability reaches the signal's threshold.{limits} "
        "The labels are a model's, one sentence at a time: a label says what a sentence reports, not whether it is "
        "true, and counts of sentences are not counts of events. Check a sample before you cite counts.</p>\n"
        f"<h2>How to cite</h2>\n<blockquote><bdi>{safe(citation(totals.model))}</bdi></blockquote>\n"
        "</footer>\n</body>\n</html>\n"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
