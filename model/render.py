"""Scores as HTML: an article whose sentences are marked, for notebooks and for pages of its own.

A fragment brings all its styles inline, since notebooks and mail drop or share style sheets. It sets no text
colour and only translucent backgrounds, so that it takes on a light or a dark theme, also where the theme of a
notebook is not the system's. Colour (after Okabe and Ito) never stands alone: underline, sign and place tell the
stances apart in grey print. What is added to the article stands in ``<small>``, is named for screen readers, and
is left out when a reader copies the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.scores import ArticleScores, SentenceScore

__all__ = ["COLOURS", "article_html", "page_html"]

COLOURS: dict[str, tuple[int, int, int]] = {
    "hostile": (213, 94, 0),
    "neutral": (128, 128, 128),
    "conciliatory": (16, 124, 190),
}
"""Red, green and blue of each stance: Okabe and Ito's vermilion and blue (Color Universal Design, 2002), the blue
a little lighter, so that both stand out, at 3 to 1 or more, on white and on near-black pages."""

_MINUS = "\N{MINUS SIGN}"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class _Mark(NamedTuple):
    sign: str
    style: str
    bar: str


def _mark(stance: str, sign: str, shade: float, underline: str, bar: str) -> _Mark:
    rgb = ",".join(map(str, COLOURS[stance]))
    style = (
        f"background:rgba({rgb},{shade});border-bottom:{underline} rgb({rgb});border-radius:3px 3px 0 0;"
        "padding:.1em .2em;-webkit-box-decoration-break:clone;box-decoration-break:clone"
    )
    return _Mark(sign, style, f"{bar};background:rgb({rgb})")


_MARKS: dict[str, _Mark] = {
    "hostile": _mark("hostile", _MINUS, 0.18, "2px solid", "height:.7em;margin-top:.7em"),
    "neutral": _mark("neutral", "", 0.08, "1px dotted", "height:2px"),
    "conciliatory": _mark("conciliatory", "+", 0.18, "2px dashed", "height:.7em;margin-bottom:.7em"),
}

_ROOT = (
    "max-width:48em;line-height:1.8;text-align:left;overflow-wrap:anywhere;"
    "-webkit-print-color-adjust:exact;print-color-adjust:exact"
)
_SUMMARY = "font-size:.9em;line-height:1.6;margin:0 0 .4em"
_STRIP = "display:flex;align-items:center;height:1.4em;margin:0 0 .5em"
_STRIP_GAPS = 100  # sentences; above, the bars would be narrower than the gaps
_STRIP_SAYS = "the sentences in order: hostile below the line, conciliatory above"
_LEGEND = (
    "font-size:.82em;line-height:1.9;margin:0 0 .9em;padding:0 0 .4em;"
    "border-bottom:1px solid rgba(128,128,128,.4)"
)
_LEGEND_ITEM = "display:inline-block;margin-right:1em"
_NAME = "display:inline-block"
_PARAGRAPH = "margin:0 0 .9em"
_ASIDE = "-webkit-user-select:none;user-select:none"
_SIGN = f"{_ASIDE};font-weight:700"
_LABELS = f"{_ASIDE};font-size:.75em"
_LABEL = "white-space:nowrap;padding:.05em .5em .1em;border-radius:.8em;border:1px"
_CUT = "only the beginning was read"

# Line breaks that HTML does not know, and what a page must not hold: controls, halves of surrogate pairs.
_ODD_BREAK = re.compile("[\v\f\x85\u2028\u2029]")
# Overrides of direction too: they show letters in an order in which the model did not read them.
_FORBIDDEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202d\u202e\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ISOLATE = re.compile("[\u2066-\u2069\r\n]")
_CLOSE_ISOLATE = "\u2069"
_SPACE = re.compile(r"\s+")
_BREAK = re.compile(r"\r\n|[\r\n]")

_PAGE_STYLE = """\
:root{color-scheme:light dark}
body{margin:0 auto;max-width:46rem;padding:1.5rem 1rem;background:#fdfdfc;color:#1b1b1b;\
font:1rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.brinkline+.brinkline{margin-top:3rem}
@media (prefers-color-scheme:dark){body{background:#16181b;color:#e4e4e2}}
@media print{body{max-width:none;padding:0;background:none;color:#000;font-size:10.5pt}
p{orphans:3;widows:3}}"""


def article_html(scores: ArticleScores) -> str:
    """Show an article with its sentences marked by stance and labelled with their signals.

    Above it stand a line of summary, a strip with one bar a sentence, and a legend. The probabilities of a
    sentence appear when the pointer rests on it. All text is escaped. Control characters, halves of surrogate
    pairs and overrides of writing direction appear as U+FFFD, and other marks of direction have no effect beyond
    their sentence.

    :param scores: the scored article.
    :return: an HTML fragment, with inline styles, without scripts and without anything to load.
    """
    legend = _legend(any(s.truncated for s in scores.sentences)) if scores.sentences else ""
    return (
        f'<div class="brinkline" role="group" aria-label="scored article" style="{_ROOT}">\n'
        f'<div class="brinkline-summary" style="{_SUMMARY}">{_summary(scores)}</div>\n'
        f"{_strip(scores.sentences)}{legend}"
        f'<div class="brinkline-text">{_text(scores)}</div>\n'
        "</div>\n"
    )


def page_html(fragments: Iterable[str], title: str) -> str:
    """Put fragments into one page that needs no other file.

    :param fragments: HTML, as :func:`article_html` makes it; it is not escaped.
    :param title: plain text for the title of the page.
    :return: an HTML document, to be written as UTF-8.
    """
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{safe(title)}</title>\n<style>\n{_PAGE_STYLE}\n</style>\n</head>\n"
        f"<body>\n{''.join(fragments)}</body>\n</html>\n"
    )
    return _SURROGATE.sub(_REPLACEMENT, page)


def _summary(scores: ArticleScores) -> str:
    summary = scores.summary
    items = [_count(summary.sentences)]
    if summary.sentences:
        items += [f"{name} {share:.0%}" for name, share in summary.stance.items()]
    items.append(f"balance {_signed(summary.balance)}")
    if summary.sentences:
        items += [f"{name} {count:,}" for name, count in summary.signals.items()]
    items = [item.replace(" ", "&nbsp;") for item in items]
    if scores.id is not None:
        items.insert(0, f'<b><bdi style="{_NAME}">{safe(scores.id)}</bdi></b>')
    items.append(f'<bdi style="{_NAME}">{safe(scores.model)}</bdi>')
    return " · ".join(items)


def _count(sentences: int) -> str:
    if sentences == 0:
        return "no sentences"
    return f"{sentences:,} {'sentence' if sentences == 1 else 'sentences'}"


def _signed(value: float) -> str:
    if math.isnan(value):
        return "n/a"
    rounded = f"{abs(value):.2f}"
    if rounded == "0.00":
        return rounded
    return f"{_MINUS if value < 0 else '+'}{rounded}"


def _strip(sentences: Sequence[SentenceScore]) -> str:
    if not sentences:
        return ""
    stances = [sentence.stance for sentence in sentences]
    separate = len(stances) <= _STRIP_GAPS
    runs = [(s, 1) for s in stances] if separate else [(s, len(list(run))) for s, run in groupby(stances)]
    bars = [f'<span style="flex:{n} 1 0;{_MARKS.get(s, _MARKS["neutral"]).bar}"></span>' for s, n in runs]
    style = f"{_STRIP};gap:1px" if separate else _STRIP
    return (
        f'<div class="brinkline-strip" role="img" aria-label="{_STRIP_SAYS}" title="{_STRIP_SAYS}"'
        f' style="{style}">{"".join(bars)}</div>\n'
    )


def _legend(cut: bool) -> str:
    items = [f'<span style="{_MARKS[name].style}">{_sign(name)}{name}</span>' for name in STANCES]
    items.append(_labels(SIGNALS, cut=False))
    if cut:
        items.append(f"{_labels((), cut=True)} {_CUT}")
    items.append("point at a sentence for probabilities")
    html = " ".join(f'<span style="{_LEGEND_ITEM}">{item}</span>' for item in items)
    return f'<div class="brinkline-legend" style="{_LEGEND}">{html}</div>\n'


def _text(scores: ArticleScores) -> str:
    paragraphs = _Paragraphs()
    done = 0
    for sentence in scores.sentences:
        paragraphs.add_plain(scores.text[done : sentence.start])
        paragraphs.add(_sentence(sentence))
        done = sentence.end
    paragraphs.add_plain(scores.text[done:])
    return paragraphs.html()


def _sentence(sentence: SentenceScore) -> str:
    style = _MARKS.get(sentence.stance, _MARKS["neutral"]).style
    title = f"{_figures(sentence.stance_probabilities)}; {_figures(sentence.signal_probabilities)}"
    if sentence.truncated:
        title = f"{title}; cut: {_CUT}"
    text = f'<span style="{style}">{_sign(sentence.stance)}<bdi>{safe(sentence.text)}</bdi></span>'
    return f'<span title="{safe(title)}">{text}{_labels(sentence.signals, sentence.truncated)}</span>'


def _figures(probabilities: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {probability:.2f}" for name, probability in probabilities.items())


def _sign(stance: str) -> str:
    sign = _MARKS[stance].sign if stance in _MARKS else ""
    # A space that does not break keeps sign and labels on the line of the words they belong to.
    spoken = f'role="img" aria-label="{stance}"'
    return f'<small {spoken} style="{_SIGN}">{sign}&nbsp;</small>' if sign else ""


def _labels(signals: Iterable[str], cut: bool) -> str:
    labels = [f'<span style="{_LABEL} solid">{safe(signal)}</span>' for signal in signals]
    if cut:
        labels.append(f'<span style="{_LABEL} dashed">cut</span>')
    spoken = 'role="group" aria-label="signals"'
    return f'<small {spoken} style="{_LABELS}">&nbsp;{"&nbsp;".join(labels)}</small>' if labels else ""


class _Paragraphs:
    """Puts pieces of an article into paragraphs; keeps every character, white space included."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._open = False

    def add(self, html: str) -> None:
        """Add something that stands within one paragraph."""
        if not self._open:
            self._parts.append(f'<p style="{_PARAGRAPH}">')
            self._open = True
        self._parts.append(html)

    def add_plain(self, text: str) -> None:
        """Add text that belongs to no sentence; a blank line in it begins a new paragraph."""
        text = _clean(text)
        done = 0
        for space in _SPACE.finditer(text):
            if len(_BREAK.findall(space[0])) > 1:
                self._add_chunk(text[done : space.start()])
                self._close()
                self._parts.append(space[0])
                done = space.end()
        self._add_chunk(text[done:])

    def html(self) -> str:
        """Return what was added."""
        self._close()
        return "".join(self._parts)

    def _add_chunk(self, text: str) -> None:
        body = text if self._open else text.lstrip()
        self._parts.append(text[: len(text) - len(body)])
        if body:
            html = _BREAK.sub(r"<br>\g<0>", escape(body))
            self.add(html if body.isspace() else f"<bdi>{html}</bdi>")

    def _close(self) -> None:
        if self._open:
            self._parts.append("</p>")
            self._open = False


def safe(text: str) -> str:
    """Return a text as HTML that shows it and can do nothing else: escaped, without what harms the page around it."""
    return escape(_clean(text), quote=True)


def _clean(text: str) -> str:
    """Replace, one for one, characters that would harm the page."""
    text = _FORBIDDEN.sub(_REPLACEMENT, _ODD_BREAK.sub("\n", text))
    return _with_whole_isolates(text) if _ISOLATE.search(text) else text


def _with_whole_isolates(text: str) -> str:
    """Replace the marks of isolation that have no partner on their line.

    A stray closer would close the ``<bdi>`` around the text; a stray opener would take the closer of that
    ``<bdi>`` for its own, and what stands after it would change places (UAX #9, rule BD9).
    """
    stray: list[int] = []
    opened: list[int] = []
    for match in _ISOLATE.finditer(text):
        if match[0] in "\r\n":
            stray += opened
            opened.clear()
        elif match[0] != _CLOSE_ISOLATE:
            opened.append(match.start())
        elif opened:
            opened.pop()
        else:
            stray.append(match.start())
    characters = list(text) if stray or opened else []
    for position in stray + opened:
        characters[position] = _REPLACEMENT
    return "".join(characters) or text
