import json
import math
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.model.labels import SIGNALS, STANCES, order_signals
from brinkline.model.scores import FLAT_COLUMNS, ArticleScores, SentenceScore


def sentence(stance: str, signals: Sequence[str] = (), text: str = "They met.") -> SentenceScore:
    return SentenceScore(
        text=text,
        start=0,
        end=len(text),
        stance=stance,
        stance_probabilities={name: 0.8 if name == stance else 0.1 for name in STANCES},
        signals=tuple(signals),
        signal_probabilities={name: 0.9 if name in signals else 0.05 for name in SIGNALS},
        truncated=False,
    )


def article(*sentences: SentenceScore, id: str | None = "a") -> ArticleScores:
    return ArticleScores(" ".join(s.text for s in sentences), sentences, "tiny 1", id)


def test_summary() -> None:
    scores = article(
        sentence("hostile", ["threat", "retaliation"]),
        sentence("hostile", ["threat"]),
        sentence("conciliatory"),
        sentence("neutral"),
    )
    assert scores.summary.sentences == 4
    assert scores.summary.stance == {"hostile": 0.5, "neutral": 0.25, "conciliatory": 0.25}
    assert scores.summary.balance == -0.25
    assert scores.summary.signals == {"threat": 2, "deterrence": 0, "retaliation": 1}


def test_summary_without_sentences_is_not_a_number_and_json_null() -> None:
    summary = article().summary
    assert math.isnan(summary.balance)
    assert summary.to_dict()["balance"] is None
    assert json.loads(json.dumps(article().to_dict(), allow_nan=False))["summary"]["sentences"] == 0


def test_repr_is_short_and_sorted() -> None:
    scores = article(sentence("neutral"), sentence("neutral"), sentence("hostile", ["retaliation"]))
    assert repr(scores) == "<ArticleScores 'a', 3 sentences: neutral 67%, hostile 33%, retaliation 1>"
    assert repr(article(id=None)) == "<ArticleScores 0 sentences>"


def test_scores_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        sentence("neutral").stance = "hostile"  # type: ignore[misc]


def test_rows() -> None:
    [row] = article(sentence("hostile", ["threat"])).to_rows()
    assert list(row) == [
        "article",
        "index",
        "start",
        "end",
        "text",
        "stance",
        "stance_probabilities",
        "signals",
        "signal_probabilities",
        "truncated",
    ]
    assert row["signals"] == ["threat"]


def test_frame() -> None:
    frame = article(sentence("hostile", ["threat"]), sentence("neutral")).to_frame()
    assert tuple(frame.columns) == FLAT_COLUMNS
    assert frame["threat"].tolist() == [True, False]
    assert frame["p_hostile"].tolist() == [0.8, 0.1]
    assert frame["article"].tolist() == ["a", "a"]


def test_empty_frame_has_the_columns() -> None:
    frame = article().to_frame()
    assert tuple(frame.columns) == FLAT_COLUMNS
    assert str(frame["p_threat"].dtype) == "float64"
    assert str(frame["threat"].dtype) == "bool"


def test_frame_without_pandas_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"brinkline\[frame\]"):
        article().to_frame()


def test_html_of_a_notebook_cell_is_a_fragment() -> None:
    scores = article(sentence("hostile", text="<b>They</b> fire."))
    assert "<b>They" not in scores._repr_html_()
    assert "<html" not in scores.to_html()
    assert scores.to_html(full_page=True).lstrip().lower().startswith("<!doctype html>")


@given(st.lists(st.sampled_from(SIGNALS), max_size=6))
def test_signals_come_in_label_order(signals: list[str]) -> None:
    ordered = order_signals(signals)
    assert set(ordered) == set(signals)
    assert list(ordered) == sorted(ordered, key=SIGNALS.index)
    assert len(set(ordered)) == len(ordered)


def test_unknown_signal_is_named() -> None:
    with pytest.raises(ValueError, match="unknown signal 'menace'"):
        order_signals(["threat", "menace"])
