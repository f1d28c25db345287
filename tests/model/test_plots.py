"""Tests of the pictures of articles: what is drawn, for any number of sentences, without global state."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest
from matplotlib.collections import PathCollection, PolyCollection

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.scores import ArticleScores, SentenceScore


def article(stances: list[str], id: str | None = "a", gap: str = " ") -> ArticleScores:
    sentences, text = [], ""
    for number, stance in enumerate(stances):
        text += gap if text else ""
        signals = ("threat",) if number % 2 else ()
        sentences.append(
            SentenceScore(
                "They met.",
                len(text),
                len(text) + 9,
                stance,
                {name: 0.7 if name == stance else 0.15 for name in STANCES},
                signals,
                {name: 0.8 if name in signals else 0.1 for name in SIGNALS},
                False,
            )
        )
        text += "They met."
    return ArticleScores(text, tuple(sentences), "tiny 1", id)


@pytest.mark.parametrize("size", [1, 25, 400])
def test_a_panel_for_stance_and_one_for_each_signal(size: int) -> None:
    figure = article([STANCES[i % 3] for i in range(size)]).plot()
    figure.draw_without_rendering()
    stance, *signals = figure.axes
    assert [label.get_text() for label in stance.get_yticklabels()] == [
        "− hostile",
        "neutral",
        "+ conciliatory",
    ]
    assert [panel.get_yticklabels()[0].get_text() for panel in signals] == list(SIGNALS)
    ticks = signals[-1].get_xticks()
    assert ticks[0] == 1
    assert len(ticks) <= 14
    low, high = stance.get_xlim()
    assert low == 0.5
    assert high >= size + 0.5


def test_bars_bear_the_probabilities_and_decided_ones_are_dark() -> None:
    figure = article(["hostile", "conciliatory", "neutral"]).plot()
    pale_up, dark_up, pale_down, dark_down = bars(figure.axes[0])
    assert pale_up == {1: 0.15, 3: 0.15}
    assert dark_up == {2: 0.7}
    assert pale_down == {2: -0.15, 3: -0.15}
    assert dark_down == {1: -0.7}
    [dots] = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    assert dots.get_offsets().tolist() == [[3, 0]]
    assert bars(figure.axes[1]) == [{1: 0.1, 3: 0.1}, {2: 0.8}]


def bars(panel: Any) -> list[dict[float, float]]:
    """Return for each collection of bars: middle → height."""
    found = []
    for collection in panel.collections:
        if isinstance(collection, PolyCollection):
            corners = [path.vertices for path in collection.get_paths()]
            found.append({float(c[:4, 0].mean()): float(c[1, 1]) for c in corners})
    return found


def test_the_number_of_shapes_does_not_grow_with_the_article() -> None:
    shapes = [len(article(["neutral"] * size).plot().axes[0].get_children()) for size in (100, 3000)]
    assert shapes[0] == shapes[1]


def test_paragraphs_are_parted() -> None:
    lines = [
        len(article(["neutral"] * 3, gap=gap).plot().axes[0].lines)
        for gap in (" ", "\n", "\n\n", "\r\n \r\n")
    ]
    assert lines == [1, 1, 3, 3]


def test_article_without_sentences_says_so() -> None:
    figure = article([]).plot()
    figure.draw_without_rendering()
    assert [text.get_text() for text in figure.axes[0].texts] == ["no sentences"]


@pytest.mark.parametrize(
    "name", ["$\\frac{1}$", "a_b^c$", "\ud800\0\x1b[31m", "\u202eturned", "x" * 10_000, ""]
)
def test_names_of_every_kind_are_drawn_as_text(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = article(["neutral"], id=name).plot()
        figure.draw_without_rendering()
    assert figure.get_suptitle().count("·") == 3
    assert len(figure.get_suptitle()) < 120
    assert not set(figure.get_suptitle()) & set("\0\x1b\u202e\ud800")


def test_a_notebook_shows_the_figure_and_pyplot_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    png, size = article(["neutral"]).plot(figsize=(4, 2))._repr_png_()  # type: ignore[attr-defined]
    assert png.startswith(b"\x89PNG")
    assert (size["width"], size["height"]) == (400, 200)
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from brinkline.model import plots

    plots._figure_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"brinkline\[plot\]"):
        article([]).plot()
