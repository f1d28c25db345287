"""Figures against scikit-learn and against values worked out by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
)

from brinkline.data.schema import Document, LabelledSentence
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.metrics import (
    BINS,
    Bootstrap,
    Decisions,
    Truth,
    calibration_figures,
    decide,
    expected_calibration_error,
    measure,
)
from brinkline.train.report import with_interval


def sample(n: int = 300, documents: int = 40, seed: int = 0, right: float = 0.7) -> tuple[Truth, Decisions]:
    """Return labels and a prediction that is right about so often."""
    rng = np.random.default_rng(seed)
    truth = Truth(
        rng.integers(0, 3, n),
        rng.binomial(1, 0.3, (n, 3)),
        np.sort(np.r_[np.arange(documents), rng.integers(0, documents, n - documents)]),
    )
    stance = rng.dirichlet(np.ones(3), n) * (1 - right)
    stance[np.arange(n), truth.stance] += right * rng.binomial(1, 0.8, n)
    stance /= stance.sum(axis=1, keepdims=True)
    signals = np.clip(truth.signals * right + rng.uniform(-0.4, 0.7, (n, 3)), 0, 1)
    return truth, decide(stance, signals, dict.fromkeys(SIGNALS, 0.5))


def tiny(stance: list[int], given_stance: list[int], **changes: Any) -> tuple[Truth, Decisions]:
    none = np.zeros((len(stance), 3), dtype=np.int64)
    truth = Truth(np.array(stance), changes.get("signals", none), np.arange(len(stance)))
    return truth, Decisions(np.array(given_stance), changes.get("given_signals", none))


def test_truth_of_documents() -> None:
    def document(name: str, *labels: tuple[str, tuple[str, ...]]) -> Document:
        sentences = tuple(LabelledSentence("T.", stance, signals) for stance, signals in labels)
        return Document(name, "s", sentences, "f", 1)

    truth = Truth.of(
        [
            document("a", ("neutral", ()), ("hostile", ("threat", "retaliation"))),
            document("b", ("conciliatory", ("deterrence",))),
        ]
    )
    assert truth.stance.tolist() == [1, 0, 2]
    assert truth.signals.tolist() == [[0, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert truth.documents.tolist() == [0, 0, 1]
    assert Truth.of([]).signals.shape == (0, 3)


def test_decide_gives_a_signal_from_its_threshold_upwards() -> None:
    stance = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    signals = np.array([[0.3, 0.6, 0.2], [0.29, 0.59, 0.9]])
    decisions = decide(stance, signals, {"retaliation": 0.9, "deterrence": 0.6, "threat": 0.3})
    assert decisions.stance.tolist() == [1, 0]
    assert decisions.signals.tolist() == [[1, 1, 0], [0, 0, 1]]


def test_stance_against_scikit_learn() -> None:
    truth, decisions = sample()
    figures = measure(truth, decisions)["stance"]
    assert figures["macro_f1"] == pytest.approx(f1_score(truth.stance, decisions.stance, average="macro"))
    assert figures["accuracy"] == pytest.approx(accuracy_score(truth.stance, decisions.stance))
    for score, name in ((precision_score, "precision"), (recall_score, "recall"), (f1_score, "f1")):
        expected = score(truth.stance, decisions.stance, average=None)
        assert [figures["labels"][label][name] for label in STANCES] == pytest.approx(expected)
    assert [figures["labels"][label]["support"] for label in STANCES] == np.bincount(truth.stance).tolist()


def test_signals_against_scikit_learn() -> None:
    truth, decisions = sample()
    figures = measure(truth, decisions)["signals"]
    assert decisions.signal_probabilities is not None
    assert figures["macro_f1"] == pytest.approx(f1_score(truth.signals, decisions.signals, average="macro"))
    for i, name in enumerate(SIGNALS):
        wanted, found = truth.signals[:, i], decisions.signals[:, i]
        assert figures["labels"][name]["f1"] == pytest.approx(f1_score(wanted, found))
        assert figures["labels"][name]["precision"] == pytest.approx(precision_score(wanted, found))
        assert figures["labels"][name]["recall"] == pytest.approx(recall_score(wanted, found))
        expected = average_precision_score(wanted, decisions.signal_probabilities[:, i])
        assert figures["labels"][name]["average_precision"] == pytest.approx(expected)


def test_stance_by_hand() -> None:
    truth, decisions = tiny([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2])
    figures = measure(truth, decisions)
    assert figures["stance"]["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert figures["stance"]["labels"]["hostile"] == {
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "support": 3,
    }
    assert figures["stance"]["macro_f1"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert figures["stance"]["accuracy"] == pytest.approx(4 / 6)
    assert (figures["sentences"], figures["documents"]) == (6, 6)


def test_labels_that_do_not_occur_are_left_out_of_the_mean() -> None:
    signals, given_signals = np.array([[1, 0, 0], [0, 0, 0]]), np.array([[1, 0, 0], [0, 1, 0]])
    truth, decisions = tiny([0, 1], [0, 1], signals=signals, given_signals=given_signals)
    figures = measure(truth, decisions)
    assert figures["stance"]["macro_f1"] == 1.0
    assert figures["stance"]["labels"]["conciliatory"] == {
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 0,
    }
    # Deterrence was predicted where there is none: it counts, as 0. Retaliation is nowhere.
    assert figures["signals"]["macro_f1"] == 0.5


def test_no_signal_at_all() -> None:
    figures = measure(*tiny([0], [0]))
    assert figures["signals"]["macro_f1"] == 0.0
    assert "average_precision" not in figures["signals"]["labels"]["threat"]


def test_average_precision_of_a_signal_that_does_not_occur_is_none() -> None:
    truth, _ = tiny([0, 1], [0, 1], signals=np.array([[1, 0, 0], [0, 0, 0]]))
    decisions = decide(np.eye(3)[[0, 1]], np.full((2, 3), 0.2), dict.fromkeys(SIGNALS, 0.5))
    labels = measure(truth, decisions)["signals"]["labels"]
    assert labels["threat"]["average_precision"] == pytest.approx(0.5)
    assert labels["retaliation"]["average_precision"] is None


# Calibration figures


def test_ece_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    hit = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    # Bins of 15: four at 0.95 are right three times in four, two at 0.55 never.
    assert expected_calibration_error(confidence, hit) == pytest.approx((4 * 0.2 + 2 * 0.55) / 6)


def test_ece_of_two_bins_by_hand() -> None:
    confidence, hit = np.array([0.1, 0.3, 0.5, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    assert expected_calibration_error(confidence, hit, bins=2) == pytest.approx(
        (abs(0.4 - 1) + abs(1.5 - 2)) / 4
    )


def test_ece_of_the_perfect_and_the_wrong() -> None:
    sure = np.ones(5)
    assert expected_calibration_error(sure, np.ones(5)) == 0.0
    assert expected_calibration_error(sure, np.zeros(5)) == 1.0
    assert expected_calibration_error(np.zeros(5), np.zeros(5)) == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_ece_is_at_least_the_gap_of_the_whole(pairs: list[tuple[float, bool]]) -> None:
    confidence, hit = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    found = expected_calibration_error(confidence, hit)
    assert abs(float((confidence - hit).mean())) - 1e-9 <= found <= 1 + 1e-9
    assert expected_calibration_error(confidence, hit, bins=1) == pytest.approx(
        abs((confidence - hit).mean())
    )


def test_calibration_figures_by_hand() -> None:
    truth = Truth(np.array([0, 2]), np.array([[1, 0, 0], [0, 0, 1]]), np.arange(2))
    stance = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]])
    signals = np.array([[0.9, 0.1, 0.5], [0.3, 0.0, 0.5]])
    figures = calibration_figures(truth, stance, signals)
    assert list(figures) == ["stance", *SIGNALS]
    assert figures["stance"]["brier"] == pytest.approx((0.09 + 0.04 + 0.01 + 0.25 + 0.09 + 0.64) / 2)
    assert figures["stance"]["ece"] == pytest.approx((0.3 + 0.5) / 2)
    assert figures["threat"]["brier"] == pytest.approx((0.01 + 0.09) / 2)
    assert figures["threat"]["ece"] == pytest.approx((0.1 + 0.3) / 2)
    assert figures["retaliation"]["ece"] == pytest.approx(0.0)
    assert figures["retaliation"]["brier"] == pytest.approx(0.25)


def test_brier_against_scikit_learn() -> None:
    truth, decisions = sample()
    stance, signals = decisions.stance_probabilities, decisions.signal_probabilities
    assert stance is not None
    assert signals is not None
    figures = calibration_figures(truth, stance, signals)
    for i, name in enumerate(SIGNALS):
        assert figures[name]["brier"] == pytest.approx(brier_score_loss(truth.signals[:, i], signals[:, i]))
    parts = [brier_score_loss(truth.stance == i, stance[:, i]) for i in range(3)]
    assert figures["stance"]["brier"] == pytest.approx(sum(parts))
    assert BINS == 15


# Bootstrap


def headline(truth: Truth, decisions: Decisions) -> dict[str, float]:
    figures = measure(truth, decisions)
    return {
        "stance_macro_f1": figures["stance"]["macro_f1"],
        "stance_accuracy": figures["stance"]["accuracy"],
        "signals_macro_f1": figures["signals"]["macro_f1"],
    }


@pytest.mark.parametrize("seed", range(5))
def test_weights_of_one_give_the_point_estimate(seed: int) -> None:
    truth, decisions = sample(n=60, documents=25, seed=seed)
    bootstrap = Bootstrap(truth, resamples=1)
    bootstrap.weights = np.ones((1, 25), dtype=np.int64)
    found = {name: float(values[0]) for name, values in bootstrap.figures(decisions).items()}
    assert found == pytest.approx(headline(truth, decisions))


def test_weights_of_two_and_none_give_the_figures_of_that_sample() -> None:
    truth, decisions = sample(n=60, documents=6)
    bootstrap = Bootstrap(truth, resamples=1)
    bootstrap.weights = np.array([[2, 0, 1, 0, 0, 3]])
    rows = np.concatenate([np.flatnonzero(truth.documents == i) for i in (0, 0, 2, 5, 5, 5)])
    drawn = Truth(truth.stance[rows], truth.signals[rows], truth.documents[rows])
    expected = headline(drawn, Decisions(decisions.stance[rows], decisions.signals[rows]))
    found = {name: float(values[0]) for name, values in bootstrap.figures(decisions).items()}
    assert found == pytest.approx(expected)


def test_a_resample_without_a_label_leaves_it_out() -> None:
    truth, decisions = tiny([0, 0, 1], [0, 0, 0])
    bootstrap = Bootstrap(truth, resamples=1)
    bootstrap.weights = np.array([[1, 2, 0]])
    figures = bootstrap.figures(decisions)
    assert figures["stance_macro_f1"].tolist() == [1.0]
    assert np.isnan(figures["signals_macro_f1"]).all(), "no signal in any sentence drawn, none given"


def test_resamples_without_any_signal_do_not_pull_the_interval_down() -> None:
    signals = np.zeros((30, 3), dtype=np.int64)
    signals[4] = 1
    truth, decisions = tiny([0] * 30, [0] * 30, signals=signals, given_signals=signals)
    assert Bootstrap(truth).intervals(decisions)["signals_macro_f1"] == [1.0, 1.0]


def test_there_is_no_interval_of_one_document_or_of_nothing() -> None:
    truth, decisions = tiny([0, 1, 1], [0, 0, 1])
    assert Bootstrap(truth).intervals(decisions)["signals_macro_f1"] is None
    assert Bootstrap(truth).difference(decisions, decisions)["signals_macro_f1"] is None
    one = replace(truth, documents=np.zeros(3, dtype=np.int64))
    assert set(Bootstrap(one).intervals(decisions).values()) == {None}
    assert (with_interval(0.5, None), with_interval(0.5, [0.25, 1])) == (
        "0.500 [n/a]",
        "0.500 [0.250, 1.000]",
    )


def test_every_resample_draws_as_many_documents_as_there_are() -> None:
    truth, _ = sample(documents=40)
    bootstrap = Bootstrap(truth, resamples=50)
    assert bootstrap.weights.shape == (50, 40)
    assert set(bootstrap.weights.sum(axis=1)) == {40}


def test_document_numbers_need_not_be_dense() -> None:
    truth, decisions = sample()
    sparse = replace(truth, documents=truth.documents * 7 + 3)
    assert Bootstrap(sparse, 50).intervals(decisions) == Bootstrap(truth, 50).intervals(decisions)


def test_intervals_are_deterministic_and_hold_the_point_estimate() -> None:
    truth, decisions = sample(n=600, documents=80)
    intervals = Bootstrap(truth, seed=3).intervals(decisions)
    assert intervals == Bootstrap(truth, seed=3).intervals(decisions)
    assert intervals != Bootstrap(truth, seed=4).intervals(decisions)
    for name, value in headline(truth, decisions).items():
        low, high = intervals[name]
        assert 0 <= low < value < high <= 1
        assert high - low < 0.2


def test_a_higher_level_is_a_wider_interval() -> None:
    truth, decisions = sample()
    narrow, wide = (Bootstrap(truth).intervals(decisions, level) for level in (0.5, 0.99))
    for name, (low, high) in narrow.items():
        assert wide[name][0] < low < high < wide[name][1]


def test_difference_of_a_method_with_itself_is_zero() -> None:
    truth, decisions = sample()
    assert set(map(tuple, Bootstrap(truth).difference(decisions, decisions).values())) == {(0.0, 0.0)}


def test_difference_has_a_sign_and_is_paired() -> None:
    truth, good = sample(right=0.9)
    worse = Decisions(np.roll(good.stance, 1), np.roll(good.signals, 1, axis=0))
    bootstrap = Bootstrap(truth)
    for name, (low, high) in bootstrap.difference(good, worse).items():
        assert 0 < low < high
        turned = bootstrap.difference(worse, good)[name]
        assert turned == pytest.approx([-high, -low])
