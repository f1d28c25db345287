"""Scores as pictures: an article along its sentences, and measures over time.

Pictures are made without pyplot: nothing is shown, and no global state changes. Bars that point up or down,
line styles and markers carry what colour carries, so that grey print and colour-blind readers lose nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from brinkline.model.labels import SIGNALS
from brinkline.model.render import COLOURS, _signed
from brinkline.model.scores import ArticleScores

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["article_figure", "trends_figure"]

Floats = npt.NDArray[np.float64]

_MINUS = "\N{MINUS SIGN}"
_INK = "#3c3c3c"
_PALE = 0.3  # opacity of a probability that did not decide
_SEPARATED = 60  # sentences; up to here lines part the bars
_TITLE = 48  # characters of a name
_KEY = (
    "sentence  ·  height of a bar: probability, 0 to 1  ·  dark: label given  ·  dotted line: new paragraph"
)
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Okabe and Ito's colours, each with a line and a marker of its own; a ninth group begins anew with other lines.
_SERIES_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8C6D00")
_SERIES_LINES = ("-", "--", "-.", ":")
_SERIES_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def article_figure(scores: ArticleScores, figsize: tuple[float, float] | None = None) -> Figure:
    """Draw an article along its sentences.

    In the upper panel each sentence has two bars: the probability of conciliatory upwards, that of hostile
    downwards; the one that decided the stance is dark. A dot on the line marks a neutral sentence. Below, a
    panel for each signal has its probability, dark where the signal is given.

    :param scores: the scored article.
    :param figsize: width and height in inches.
    :return: a figure that belongs to no window.
    :raises ImportError: without matplotlib (extra ``[plot]``).
    """
    figure = _figure(figsize or (9.0, 4.2))
    heights = [3.0, *[1.0] * len(SIGNALS)]
    panels: list[Axes] = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    top, *rows = panels
    _head(figure, scores)
    if not scores.sentences:
        for panel in rows:
            panel.remove()
        top.set_axis_off()
        top.text(0.5, 0.5, "no sentences", ha="center", va="center", color=_INK)
        return figure
    edges: Floats = np.arange(len(scores.sentences) + 1, dtype=np.float64) + 0.5
    _draw_stances(top, scores, edges)
    for panel, signal in zip(rows, SIGNALS, strict=True):
        _draw_signal(panel, scores, signal, edges)
    for panel in panels:
        panel.set_xlim(edges[0], max(edges[-1], 4.5))
        panel.spines[["top", "right", "bottom"]].set_visible(False)
        panel.tick_params(bottom=False)
        if len(edges) <= _SEPARATED:
            panel.vlines(edges, *panel.get_ylim(), color="white", linewidth=1.5)
        _mark_paragraphs(panel, scores)
    rows[-1].set_xlabel(_KEY, size="small", color=_INK)
    _whole_numbers(rows[-1], len(scores.sentences))
    figure.align_ylabels(panels)
    return figure


def trends_figure(
    frame: pandas.DataFrame,
    measures: Sequence[str],
    group: Hashable | None = None,
    figsize: tuple[float, float] | None = None,
    note: str = "",
) -> Figure:
    """Draw measures over time with their intervals, one panel a measure, one line a group.

    :param frame: one row a period, group and measure, as :func:`brinkline.trends` makes it: ``period``, the
        group's column, ``measure``, ``estimate``, ``low``, ``high``. NaN breaks a line.
    :param measures: the measures to draw, in order.
    :param group: the column that tells the lines apart.
    :param figsize: width and height in inches.
    :param note: what stands below the panels.
    :return: a figure that belongs to no window.
    :raises ImportError: without matplotlib (extra ``[plot]``).
    """
    columns = 1 if len(measures) == 1 else 2
    lines = -(-len(measures) // columns)
    figure = _figure(figsize or (9.0, 3.6 if lines == 1 else 2.0 * lines + 0.6))
    grid = figure.subplots(lines, columns, sharex=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    for panel in panels[len(measures) :]:
        panel.set_axis_off()
    for panel, measure in zip(panels, measures, strict=False):
        rows = frame[frame["measure"] == measure]
        names = [None] if group is None else list(dict.fromkeys(rows[group]))
        for number, name in enumerate(names):
            series = rows if name is None else rows[rows[group] == name]
            _draw_series(panel, series, number, name)
        _dress(panel, measure)
    if note:
        figure.supxlabel(note, size="small", color=_INK)
    handles, labels = panels[0].get_legend_handles_labels()
    if labels:
        legend = figure.legend(
            handles, labels, loc="outside upper left", ncols=min(5, len(labels)), frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _figure(figsize: tuple[float, float]) -> Figure:
    return _figure_class()(figsize=figsize, layout="constrained")  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _figure_class() -> Any:
    """Make a figure that shows itself in a notebook; matplotlib's own does so only once pyplot is loaded."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'brinkline[plot]'") from error

    class NotebookFigure(Figure):
        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=2 * self.dpi)
            width, height = self.get_size_inches() * self.dpi
            return file.getvalue(), {"width": round(width), "height": round(height)}

    return NotebookFigure


def _head(figure: Figure, scores: ArticleScores) -> None:
    summary = scores.summary
    noun = "sentence" if summary.sentences == 1 else "sentences"
    parts = [_plain(scores.id)] if scores.id is not None else []
    parts.append(f"{summary.sentences:,} {noun}")
    if summary.sentences:
        parts.append(f"balance {_signed(summary.balance)}")
    title = figure.suptitle(
        "  ·  ".join([*parts, _plain(scores.model)]), x=0.01, ha="left", size="medium", color=_INK
    )
    title.set_parse_math(False)


def _plain(text: str) -> str:
    """Make text safe for a title: one line, no controls, not too long."""
    text = _ODD.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return text if len(text) <= _TITLE else f"{text[: _TITLE - 1]}…"


def _draw_stances(panel: Axes, scores: ArticleScores, edges: Floats) -> None:
    stances = np.array([sentence.stance for sentence in scores.sentences])
    for stance, sign in (("conciliatory", 1.0), ("hostile", -1.0)):
        heights = sign * np.array([s.stance_probabilities[stance] for s in scores.sentences])
        _bars(panel, heights, stances == stance, edges, _hex(stance))
    panel.axhline(0, color=_hex("neutral"), linewidth=0.8)
    [neutral] = np.nonzero(stances == "neutral")
    size = 18 if len(stances) <= _SEPARATED else 5
    panel.scatter(neutral + 1, np.zeros(len(neutral)), s=size, color=_hex("neutral"), zorder=3, linewidth=0)
    panel.set_ylim(-1.05, 1.05)
    panel.set_yticks([-1, 0, 1], [f"{_MINUS} hostile", "neutral", "+ conciliatory"])


def _draw_signal(panel: Axes, scores: ArticleScores, signal: str, edges: Floats) -> None:
    heights = np.array([s.signal_probabilities[signal] for s in scores.sentences])
    given = np.array([signal in s.signals for s in scores.sentences])
    _bars(panel, heights, given, edges, _INK)
    panel.axhline(0, color=_hex("neutral"), linewidth=0.8)
    panel.set_ylim(0, 1.05)
    panel.set_yticks([0.5], [signal])
    panel.tick_params(left=False)


def _bars(panel: Axes, heights: Floats, dark: npt.NDArray[np.bool_], edges: Floats, colour: str) -> None:
    """Draw bars in two steps of opacity as two collections: fast, however many they are."""
    from matplotlib.collections import PolyCollection

    floor = np.zeros_like(heights)
    across = np.stack([edges[:-1], edges[:-1], edges[1:], edges[1:]], axis=1)
    corners = np.stack([across, np.stack([floor, heights, heights, floor], axis=1)], axis=2)
    for chosen, alpha in ((~dark, _PALE), (dark, 1.0)):
        bars = PolyCollection(list(corners[chosen]), facecolor=colour, alpha=alpha, linewidth=0)
        panel.add_collection(bars, autolim=False)


def _mark_paragraphs(panel: Axes, scores: ArticleScores) -> None:
    """Draw a faint line where a new paragraph begins: a blank line stands before the sentence."""
    sentences = scores.sentences
    if len(sentences) > _SEPARATED:
        return
    for number in range(1, len(sentences)):
        between = scores.text[sentences[number - 1].end : sentences[number].start]
        if len(between.splitlines()) > 2 or between.count("\n") > 1:
            panel.axvline(number + 0.5, color=_hex("neutral"), linewidth=0.8, linestyle=(0, (1, 2)))


def _whole_numbers(panel: Axes, last: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(12, integer=True).tick_values(1, last)
    clear = 1 + (ticks[1] - ticks[0]) / 2  # the numbers after 1 that do not run into it
    panel.set_xticks([1, *(int(tick) for tick in ticks if clear < tick <= last)])


def _hex(stance: str) -> str:
    return "#" + "".join(f"{part:02x}" for part in COLOURS[stance])


def _draw_series(panel: Axes, rows: pandas.DataFrame, number: int, name: Hashable | None) -> None:
    colour = _SERIES_COLOURS[number % len(_SERIES_COLOURS)]
    line = _SERIES_LINES[(number + number // len(_SERIES_COLOURS)) % len(_SERIES_LINES)]
    when = rows["period"].to_numpy()
    low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
    middle = rows["estimate"].to_numpy(float)
    many = len(when) > _SEPARATED
    panel.fill_between(when, low, high, color=colour, alpha=0.15, linewidth=0)
    _whiskers(panel, when, low, high, colour)
    panel.plot(
        when,
        middle,
        color=colour,
        linestyle=line,
        linewidth=1.5,
        marker="" if many else _SERIES_MARKERS[number % len(_SERIES_MARKERS)],
        markersize=3.5,
        label=None if name is None else _plain(str(name)),
    )
    if many:
        lone = _lone(middle)
        panel.plot(when[lone], middle[lone], ".", color=colour, markersize=4)


def _whiskers(panel: Axes, when: npt.NDArray[Any], low: Floats, high: Floats, colour: str) -> None:
    """Draw the intervals of periods that stand between gaps, where a band has no width."""
    lone = _lone(low)
    panel.vlines(when[lone], low[lone], high[lone], color=colour, alpha=0.4, linewidth=2)


def _lone(values: Floats) -> npt.NDArray[np.bool_]:
    """Find values without a neighbour on either side. *Shape:* ``(n,)`` in and out."""
    there = np.pad(~np.isnan(values), 1)
    return np.asarray(there[1:-1] & ~there[:-2] & ~there[2:])


def _dress(panel: Axes, measure: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter

    panel.set_title(measure, loc="left", size="medium", color=_INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    if measure == "balance":
        panel.axhline(0, color=_hex("neutral"), linewidth=0.8)
        panel.yaxis.set_major_formatter(
            FuncFormatter(lambda y, _: "0" if abs(y) < 1e-9 else f"{y:+.2g}".replace("-", _MINUS))
        )
    else:
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.3g}%"))
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
