"""Tests of trends: figures against a naive loop, coverage, gaps, order of rows, bad tables."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brinkline
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.over_time import MEASURES, _figures, _resampled

SETTINGS: dict[str, Any] = {"resamples": 50}


def scored(rows: list[tuple[str, str, str, tuple[str, ...]]]) -> pd.DataFrame:
    """Make a table of sentences out of article, date, stance and signals."""
    frame = pd.DataFrame([row[:3] for row in rows], columns=["article", "date", "stance"])
    for stance in STANCES:
        frame[f"p_{stance}"] = [0.8 if row[2] == stance else 0.1 for row in rows]
    for signal in SIGNALS:
        frame[signal] = [signal in row[3] for row in rows]
        frame[f"p_{signal}"] = [0.6 if signal in row[3] else 0.2 for row in rows]
    return frame


def small() -> pd.DataFrame:
    frame = scored(
        [
            ("a", "2024-01-01", "hostile", ("threat",)),
            ("a", "2024-01-01", "hostile", ("threat", "retaliation")),
            ("b", "2024-01-07", "conciliatory", ()),
            ("c", "2024-01-22", "neutral", ()),
            ("c", "2024-01-22", "hostile", ()),
            ("d", "2024-01-23", "neutral", ("deterrence",)),
        ]
    )
    return frame.assign(source=["x", "x", "y", "x", "x", "x"])


def simulated(rng: np.random.Generator, articles: int, sentences: int, spread: float = 1.0) -> pd.DataFrame:
    """Draw articles whose sentences resemble one another; half of all sentences are hostile."""
    leaning = 1 / (1 + np.exp(-spread * rng.standard_normal(articles)))
    hostile = rng.random((articles, sentences)) < leaning[:, None]
    names = np.repeat(np.arange(articles), sentences)
    frame = pd.DataFrame({"article": names, "date": "2024-01-01"})
    return frame.assign(
        stance=np.where(hostile.ravel(), "hostile", "neutral"), **dict.fromkeys(SIGNALS, False)
    )


def value(result: brinkline.Trends, measure: str, row: int = 0, column: str = "estimate") -> float:
    return float(result.wide()[measure if column == "estimate" else f"{measure}_{column}"].iloc[row])


def test_shares_by_week_with_gaps() -> None:
    result = brinkline.trends(small(), **SETTINGS)
    wide = result.wide()
    assert wide["period"].dt.strftime("%m-%d").tolist() == ["01-01", "01-08", "01-15", "01-22"]
    assert wide["sentences"].tolist() == [3, 0, 0, 3]
    assert wide["articles"].tolist() == [2, 0, 0, 2]
    first = wide.iloc[0]
    assert first["hostile"] == pytest.approx(2 / 3)
    assert first["balance"] == pytest.approx(-1 / 3)
    assert first["threat"] == pytest.approx(2 / 3)
    assert first["retaliation"] == pytest.approx(1 / 3)
    figures = [c for name in MEASURES for c in (name, f"{name}_low", f"{name}_high")]
    assert wide.loc[1:2, figures].isna().all(axis=None)
    assert wide.loc[[0, 3], figures].notna().all(axis=None)


def test_frame_is_tidy() -> None:
    result = brinkline.trends(small(), "month", "source", **SETTINGS)
    frame = result.to_frame()
    columns = ["period", "source", "measure", "estimate", "low", "high", "sentences", "articles"]
    assert list(frame.columns) == columns
    assert len(frame) == 2 * len(MEASURES)
    assert frame["measure"].tolist() == [*MEASURES, *MEASURES]
    lone = frame[frame["source"] == "y"]
    assert lone["low"].isna().all()  # one article
    assert lone["estimate"].notna().all()
    frame["estimate"] = 0.0
    assert result.frame["estimate"].any()


@pytest.mark.parametrize(
    ("by", "periods"), [("day", 23), ("week", 4), ("month", 1), ("quarter", 1), ("year", 1)]
)
def test_every_length_of_period(by: Any, periods: int) -> None:
    result = brinkline.trends(small(), by, **SETTINGS)
    assert result.frame["period"].nunique() == periods
    assert int(result.wide()["sentences"].sum()) == 6


def test_probabilities_are_added_up() -> None:
    result = brinkline.trends(small(), "year", count="probabilities", **SETTINGS)
    assert value(result, "hostile") == pytest.approx((3 * 0.8 + 3 * 0.1) / 6)
    assert value(result, "threat") == pytest.approx((2 * 0.6 + 4 * 0.2) / 6)
    labels = small().drop(columns=["stance", *SIGNALS])
    again = brinkline.trends(labels, "year", count="probabilities", **SETTINGS)
    pd.testing.assert_frame_equal(result.frame, again.frame)


def naive(sums: np.ndarray, drawn: np.ndarray) -> list[list[float]]:
    """Measure each resample in a plain loop over articles."""
    result = []
    for choice in drawn:
        total = [0.0] * 7
        for article in choice:
            for column in range(7):
                total[column] += float(sums[article, column])
        hostile, neutral, conciliatory, *signals, sentences = total
        figures = [hostile, neutral, conciliatory, conciliatory - hostile, *signals]
        result.append([figure / sentences for figure in figures])
    return result


def test_bootstrap_agrees_with_a_naive_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brinkline.over_time._BLOCK", 20)  # several blocks
    rng = np.random.default_rng(3)
    counts = rng.multinomial(9, [0.4, 0.4, 0.2], size=7).astype(float)
    sums = np.concatenate([counts, rng.integers(0, 4, (7, 3)), np.full((7, 1), 9.0)], axis=1)
    drawn = np.random.default_rng(5).integers(7, size=(200, 7))
    slow = np.array(naive(sums, drawn))
    fast = _figures(sums, 200, 0.9, np.random.default_rng(5))
    estimate = np.array(naive(sums, np.arange(7)[None]))[0]
    assert np.allclose(fast[0], estimate)
    assert np.allclose(fast[1], np.quantile(slow, 0.05, axis=0))
    assert np.allclose(fast[2], np.quantile(slow, 0.95, axis=0))


def test_every_resample_has_as_many_articles() -> None:
    sums = np.eye(5)
    drawn = _resampled(sums, 30, np.random.default_rng(0))
    assert (drawn.sum(axis=1) == 5).all()
    assert (drawn == np.round(drawn)).all()
    assert len(np.unique(drawn, axis=0)) > 20


def test_intervals_cover_what_they_should() -> None:
    """Half of all sentences are hostile: 95 % of the intervals must say so, and of those over sentences few do."""
    rng = np.random.default_rng(11)
    rounds = 200  # each a group of its own
    frame = simulated(rng, articles=40 * rounds, sentences=15)
    frame["source"] = frame["article"] // 40
    by_article = brinkline.trends(frame, "year", "source", resamples=200)
    by_sentence = brinkline.trends(frame.assign(article=range(len(frame))), "year", "source", resamples=200)
    assert by_article.wide()["articles"].eq(40).all()
    assert 0.90 <= covered(by_article) <= 0.98
    assert covered(by_sentence) < 0.85


def covered(result: brinkline.Trends) -> float:
    wide = result.wide()
    return float(((wide["hostile_low"] <= 0.5) & (wide["hostile_high"] >= 0.5)).mean())


def test_result_does_not_depend_on_other_groups_or_the_order_of_rows() -> None:
    rng = np.random.default_rng(1)
    frame = pd.concat([simulated(rng, 20, 5).assign(source=name) for name in "ab"], ignore_index=True)
    result = brinkline.trends(frame, "year", "source", **SETTINGS)
    shuffled = brinkline.trends(frame.sample(frac=1, random_state=2), "year", "source", **SETTINGS)
    pd.testing.assert_frame_equal(result.frame, shuffled.frame)
    alone = brinkline.trends(frame[frame["source"] == "b"], "year", "source", **SETTINGS)
    both = result.frame[result.frame["source"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, alone.frame)
    other = brinkline.trends(frame, "year", "source", seed=1, **SETTINGS)
    assert not other.frame["low"].equals(result.frame["low"])
    assert other.frame["estimate"].equals(result.frame["estimate"])


def test_groups_stand_in_their_order() -> None:
    frame = small()
    sorted_ = brinkline.trends(frame, "year", "source", **SETTINGS).wide()["source"].tolist()
    frame["source"] = pd.Categorical(frame["source"], ["z", "y", "x"])
    chosen = brinkline.trends(frame, "year", "source", **SETTINGS).wide()["source"].tolist()
    assert (sorted_, chosen) == (["x", "y"], ["y", "x"])


def test_missing_dates_and_groups_are_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    frame = small()
    frame.loc[0, "date"] = None
    frame.loc[2, "source"] = None
    with caplog.at_level(logging.WARNING):
        result = brinkline.trends(frame, "year", "source", **SETTINGS)
    assert "2 of 6 sentences have no date or no group" in caplog.text
    assert result.left_out == 2
    assert int(result.wide()["sentences"].sum()) == 4


def test_articles_of_predict_frame_are_known_by_the_index() -> None:
    frame = small().drop(columns="article")
    frame.index = pd.Index([0, 0, 1, 2, 2, 3])
    frame["sentence_index"] = [0, 1, 0, 0, 1, 0]
    named = brinkline.trends(small(), **SETTINGS)
    pd.testing.assert_frame_equal(brinkline.trends(frame, **SETTINGS).frame, named.frame)
    with pytest.raises(ValueError, match="index does not name the articles"):
        brinkline.trends(frame.reset_index(drop=True), **SETTINGS)
    again = brinkline.trends(frame.reset_index(names="key"), article="key", **SETTINGS)
    pd.testing.assert_frame_equal(again.frame, named.frame)


@pytest.mark.parametrize(
    ("column", "bad", "count", "message"),
    [
        ("date", "soon", "labels", r"row 1 \(index 1\): 'soon' in column 'date' is no date"),
        ("stance", "angry", "labels", r"row 1 \(index 1\): 'angry' in column 'stance' is no stance"),
        ("stance", None, "labels", "row 1 .* in column 'stance' is no stance"),
        ("threat", "maybe", "labels", "row 1 .* 'maybe' in column 'threat' is not True or False"),
        ("threat", None, "labels", "row 1 .* in column 'threat' is not True or False"),
        ("p_threat", 1.2, "probabilities", "row 1 .* in column 'p_threat' is no probability"),
        ("p_neutral", 0.5, "probabilities", "row 1 .* 'p_hostile' and those of the other stances do not sum"),
        ("article", None, "labels", "row 1 .* in column 'article' names no article"),
    ],
)
def test_bad_values_are_named_with_their_row(column: str, bad: Any, count: Any, message: str) -> None:
    frame = small().astype({column: object})
    frame.loc[1, column] = bad
    with pytest.raises(ValueError, match=message):
        brinkline.trends(frame, count=count)


@pytest.mark.parametrize(
    ("settings_", "error", "message"),
    [
        ({"by": "fortnight"}, ValueError, "by must be one of day, week"),
        ({"count": "words"}, ValueError, "count must be one of labels, probabilities"),
        ({"level": 95}, ValueError, "level must lie between 0 and 1"),
        ({"resamples": 0}, ValueError, "resamples must be at least 1"),
        ({"date": "when"}, KeyError, "no column 'when'; columns are article"),
        ({"group": "where"}, KeyError, "no column 'where'"),
        ({"article": "key"}, KeyError, "no column 'key'"),
    ],
)
def test_bad_settings(settings_: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        brinkline.trends(small(), **settings_)


def test_two_articles_of_one_name_are_refused() -> None:
    frame = small().assign(sentence_index=[0, 1, 0, 0, 1, 0])
    assert brinkline.trends(frame, by="month", **SETTINGS).wide()["articles"].tolist() == [4]
    twins = pd.concat([frame.assign(article=0), frame.assign(article=1, sentence_index=range(6))])
    with pytest.raises(ValueError, match=r"row 2 .*'sentence_index' stands twice in one article"):
        brinkline.trends(twins, by="month", **SETTINGS)
    # Of other groups or periods they are others.
    assert (
        brinkline.trends(frame.assign(article="a"), by="day", group="source", **SETTINGS).wide() is not None
    )
    archive = small().assign(index=[0, 1, 0, 0, 1, 0])
    assert brinkline.trends(archive, by="month", **SETTINGS).wide()["articles"].tolist() == [4]
    with pytest.raises(ValueError, match=r"row 2 .*'index' stands twice"):
        brinkline.trends(archive.assign(article="a"), by="month", **SETTINGS)
    elsewhere = small().rename(columns={"article": "name"}).assign(index=0)
    table = brinkline.trends(elsewhere, by="month", article="name", **SETTINGS).wide()
    assert table["articles"].tolist() == [4], "a column of another's that bears that name"


def test_bad_tables() -> None:
    with pytest.raises(TypeError, match="pandas table of scored sentences, got list"):
        brinkline.trends([])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no row of 0 has a date"):
        brinkline.trends(small().iloc[:0])
    with pytest.raises(ValueError, match="rename column 'measure'"):
        brinkline.trends(small().assign(measure="m"), group="measure")
    frame = small()
    frame.loc[0, "date"] = "0024-01-01"
    with pytest.raises(ValueError, match="0024-01-01 to 2024-01-23, are too many"):
        brinkline.trends(frame, "day")


ARTICLE = st.tuples(
    st.sampled_from(["2024-01-01", "2024-01-09", "2024-02-20"]),
    st.sampled_from(["x", "y"]),
    st.lists(st.tuples(st.sampled_from(STANCES), st.sets(st.sampled_from(SIGNALS))), min_size=1, max_size=5),
)


@given(st.lists(ARTICLE, min_size=1, max_size=12), st.sampled_from(["labels", "probabilities"]))
@settings(max_examples=25)
def test_shares_sum_to_one_and_lie_in_their_intervals(articles: list[Any], count: Any) -> None:
    rows = [
        (str(number), date, stance, tuple(signals))
        for number, (date, _, sentences) in enumerate(articles)
        for stance, signals in sentences
    ]
    frame = scored(rows).assign(source=[source for _, source, sentences in articles for _ in sentences])
    result = brinkline.trends(frame, "week", "source", count=count, resamples=20)
    wide = result.wide()
    there = wide[wide["sentences"] > 0]
    assert np.allclose(there[list(STANCES)].sum(axis=1), 1)
    assert np.allclose(there["balance"], there["conciliatory"] - there["hostile"])
    assert wide[["sentences", "articles"]].sum().tolist() == [len(rows), len(articles)]
    several = result.frame[result.frame["articles"] > 1]
    assert (several["low"] <= several["estimate"]).all()
    assert (several["estimate"] <= several["high"]).all()
    assert result.frame["low"].isna().eq(result.frame["articles"] < 2).all()


def test_plot_has_a_panel_a_measure_and_a_line_a_group() -> None:
    frame = small().assign(source=["$x_1$", "$x_1$", "b", "$x_1$", "$x_1$", "b"])
    result = brinkline.trends(frame, "day", "source", **SETTINGS)
    figure = result.plot(["balance", "threat", "hostile"])
    figure.draw_without_rendering()
    panels = [panel for panel in figure.axes if panel.axison]
    assert [panel.get_title(loc="left") for panel in panels] == ["balance", "threat", "hostile"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$x_1$", "b"]
    lines = panels[1].lines
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines}) == 2
    assert np.isnan(np.asarray(lines[0].get_ydata(), dtype=float)).sum() == 23 - 2
    assert len(brinkline.trends(small(), "month", **SETTINGS).plot("balance").axes) == 1
    with pytest.raises(ValueError, match="unknown measure 'mood'"):
        result.plot(["mood"])
    with pytest.raises(ValueError, match="no measure"):
        result.plot([])


def test_notebook_view_and_repr() -> None:
    frame = small().assign(source="<script>")
    result = brinkline.trends(frame, "month", "source", **SETTINGS)
    html = result._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "-0.33 [" in html
    assert repr(result) == (
        "<Trends of 6 sentences in 4 articles, 1 month by source; labels counted, 95% intervals>"
    )


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"brinkline\[frame\]"):
        brinkline.trends(None)  # type: ignore[arg-type]
