from collections.abc import Callable
from pathlib import Path

import pytest

import brinkline
from brinkline.model.explain import LABELS
from brinkline.train import attribution
from brinkline.train.attribution import TOLERANCE, CompletenessError, attribute

TEXT = "they vowed revenge, for the attack"


def test_contributions_add_up(checkpoint: Path) -> None:
    why = attribute(checkpoint, TEXT)
    assert [word.text for word in why.words] == ["they", "vowed", "revenge", "for", "the", "attack"]
    assert all(TEXT[word.start : word.end] == word.text for word in why.words)
    for label in LABELS:
        assert why.total(label) == pytest.approx(why.difference(label), abs=TOLERANCE)
        assert abs(why.rest[label]) > 0  # the comma
    assert why.method == "integrated gradients"
    assert "<Explanation" in repr(why)


def test_log_odds_are_those_of_the_exported_model(checkpoint: Path, model_folder: Path) -> None:
    classifier = brinkline.load(model_folder, threads=1)
    why = attribute(checkpoint, TEXT, calibration=classifier.manifest.calibration)
    other = classifier.explain(TEXT)
    assert why.labels == other.labels
    # The exported weights are rounded to int8.
    assert [why.log_odds[name] for name in LABELS] == pytest.approx(
        [other.log_odds[name] for name in LABELS], abs=0.3
    )


def test_what_was_not_read_contributes_nothing(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint(context=1, max_tokens=10)
    why = attribute(folder, "the army fire on the city and the border and the talks", previous="they met")
    assert why.score.truncated
    assert [any(w.contributions.values()) for w in why.words] == [True] * 7 + [False] * 5


def test_context_stays_as_it_is(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint(context=1)
    why = attribute(folder, "they met", previous="they met the envoy")
    assert len(why.words) == 2
    assert why.total("threat") == pytest.approx(why.difference("threat"), abs=TOLERANCE)
    assert why.log_odds != attribute(folder, "they met").log_odds


def test_an_empty_sentence_has_nothing_to_share_out(checkpoint: Path) -> None:
    why = attribute(checkpoint, "")
    assert why.words == ()
    assert why.log_odds == why.baseline


def test_a_sum_that_is_off_is_an_error(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "_FIRST", 1)
    monkeypatch.setattr(attribution, "_LAST", 1)
    monkeypatch.setattr(attribution, "TOLERANCE", 1e-9)
    with pytest.raises(CompletenessError, match="with 1 points"):
        attribute(checkpoint, TEXT)
