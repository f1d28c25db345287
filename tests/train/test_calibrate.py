"""Temperatures and thresholds: known ones are found again, and what is written is read back."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from brinkline.model.checkpoint import Calibration
from brinkline.model.classifier import probabilities
from brinkline.model.engine import Logits
from brinkline.model.labels import SIGNALS
from brinkline.train import calibrate
from brinkline.train.calibrate import (
    FEWEST,
    fit,
    fit_temperature,
    fit_thresholds,
    read,
    thresholds_of_calibrated,
    write,
)
from brinkline.train.metrics import Truth, calibration_figures

N = 6000


def honest(factor: float = 1.0, seed: int = 0, n: int = N) -> tuple[Logits, Truth]:
    """Draw labels from the probabilities of logits, and return the logits times a factor."""
    rng = np.random.default_rng(seed)
    stance, signals = rng.normal(0, 1.5, (n, 3)), rng.normal(-0.5, 2, (n, 3))
    p_stance, p_signals = probabilities(Logits(stance, signals), Calibration())
    drawn = (rng.random((n, 1)) > p_stance.cumsum(axis=1)).sum(axis=1).clip(max=2)
    truth = Truth(drawn, (rng.random((n, 3)) < p_signals).astype(np.int64), np.arange(n))
    return Logits((stance * factor).astype(np.float32), (signals * factor).astype(np.float32)), truth


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_is_the_factor_that_logits_were_scaled_by(factor: float) -> None:
    calibration = fit(*honest(factor))
    assert calibration.stance_temperature == pytest.approx(factor, rel=0.08)
    for name in SIGNALS:
        assert calibration.signal_temperatures[name] == pytest.approx(factor, rel=0.1), name


def test_each_signal_has_its_own_temperature() -> None:
    logits, truth = honest()
    scaled = Logits(logits.stance, logits.signals * np.array([1, 2, 4], dtype=np.float32))
    found = fit(scaled, truth).signal_temperatures
    assert [found[name] for name in SIGNALS] == pytest.approx([1, 2, 4], rel=0.1)


def test_temperature_at_a_known_minimum() -> None:
    assert fit_temperature(lambda t: (np.log(t) - np.log(2.5)) ** 2) == pytest.approx(2.5, abs=1e-3)


def test_temperature_stays_in_its_range() -> None:
    assert fit_temperature(lambda t: t) == pytest.approx(0.1, rel=1e-3)
    assert fit_temperature(lambda t: -t) == pytest.approx(10, rel=1e-3)


@pytest.mark.filterwarnings("error")
def test_large_logits_do_not_overflow() -> None:
    logits, truth = honest(n=300)
    calibration = fit(Logits(logits.stance * 1000, logits.signals * 1000), truth)
    assert calibration.stance_temperature == pytest.approx(10, rel=1e-3)


def test_calibration_lowers_the_error_and_keeps_the_most_probable_label() -> None:
    logits, truth = honest(3.0)
    before, after = probabilities(logits, Calibration()), probabilities(logits, fit(logits, truth))
    assert (before[0].argmax(axis=1) == after[0].argmax(axis=1)).all()
    worse, better = calibration_figures(truth, *before), calibration_figures(truth, *after)
    for name in ("stance", *SIGNALS):
        assert better[name]["ece"] < worse[name]["ece"] / 2
        assert better[name]["brier"] < worse[name]["brier"]


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 10), st.integers(0, 1000))
def test_no_temperature_moves_the_most_probable_label(temperature: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = Logits(rng.permuted(np.tile([-2.0, 0.5, 3.0], (20, 1)), axis=1), np.zeros((20, 3)))
    stance, _ = probabilities(logits, Calibration(temperature))
    assert (stance.argmax(axis=1) == logits.stance.argmax(axis=1)).all()
    assert stance.sum(axis=1) == pytest.approx(1)


# Thresholds


def columns(probability: object, yes: object) -> tuple[np.ndarray, np.ndarray]:
    return np.tile(np.array(probability)[:, None], 3), np.tile(np.array(yes)[:, None], 3)


def f1_at(threshold: float, probability: np.ndarray, yes: np.ndarray) -> float:
    given_too = probability >= threshold
    return float(2 * (given_too & (yes == 1)).sum() / max(given_too.sum() + yes.sum(), 1))


def test_threshold_of_a_clean_case_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    yes = np.r_[np.ones(60, dtype=int), np.zeros(140, dtype=int)]
    probability = np.r_[rng.uniform(0.35, 0.9, 60), rng.uniform(0.0, 0.25, 140)]
    found = fit_thresholds(*columns(probability, yes))
    assert max(f1_at(t, probability, yes) for t in np.linspace(0, 1, 1001)) == 1.0
    lowest, highest = probability[60:].max(), probability[:60].min()
    assert f1_score(yes, probability >= found["threat"]) == 1.0
    for threshold in found.values():
        assert f1_at(threshold, probability, yes) == 1.0
        assert threshold == pytest.approx((lowest + highest) / 2, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_threshold_of_an_unclean_case_is_near_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    yes = rng.binomial(1, 0.15, 800)
    probability = 1 / (1 + np.exp(-(rng.normal(0, 1.2, 800) + 2.5 * yes - 2)))
    threshold = fit_thresholds(*columns(probability, yes))["threat"]
    best = max(f1_at(t, probability, yes) for t in probability)
    assert f1_at(threshold, probability, yes) >= best - 0.02
    assert best > f1_at(0.5, probability, yes) - 1e-12


def test_sentences_of_equal_probability_fall_on_the_same_side() -> None:
    yes = np.r_[np.ones(10, dtype=int), np.zeros(10, dtype=int), np.zeros(30, dtype=int)]
    probability = np.r_[np.full(20, 0.4), np.full(30, 0.1)]
    assert fit_thresholds(*columns(probability, yes))["threat"] == pytest.approx(0.25)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_probabilities_that_are_all_the_same_keep_half(value: float) -> None:
    yes = np.r_[np.ones(20, dtype=int), np.zeros(30, dtype=int)]
    assert set(fit_thresholds(*columns(np.full(50, value), yes)).values()) == {0.5}


@pytest.mark.parametrize(("high", "low"), [(4e-5, 2e-5), (0.99996, 0.99994), (0.30001, 0.30000), (1e-9, 0.0)])
def test_rounding_does_not_move_a_threshold_over_a_probability(high: float, low: float) -> None:
    yes = np.r_[np.ones(20, dtype=int), np.zeros(30, dtype=int)]
    probability = np.where(yes == 1, high, low)
    threshold = fit_thresholds(*columns(probability, yes))["threat"]
    assert low < threshold <= high
    assert f1_at(threshold, probability, yes) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=12, max_size=40), st.integers(0, 99))
def test_thresholds_are_ones_that_a_model_folder_takes(values: list[float], seed: int) -> None:
    yes = np.random.default_rng(seed).permutation(np.arange(len(values)) < FEWEST).astype(int)
    thresholds = fit_thresholds(*columns(values, yes), resamples=20)
    assert Calibration(thresholds=thresholds).thresholds == thresholds


def test_thresholds_are_the_same_each_time() -> None:
    logits, truth = honest(n=400)
    assert fit(logits, truth) == fit(logits, truth)


@pytest.mark.parametrize("number", [0, FEWEST - 1, 400 - FEWEST + 1, 400])
def test_too_few_keep_half_with_a_warning(number: int, caplog: pytest.LogCaptureFixture) -> None:
    logits, truth = honest(3.0, n=400)
    truth.signals[:, 1] = np.arange(400) < number
    with caplog.at_level(logging.WARNING, logger=calibrate.logger.name):
        calibration = fit(logits, truth)
    assert (calibration.thresholds["deterrence"], calibration.signal_temperatures["deterrence"]) == (0.5, 1.0)
    assert calibration.signal_temperatures["threat"] != 1.0
    (record,) = caplog.records
    assert record.getMessage().startswith(f"deterrence: {number} of 400 development sentences carry it")


def test_just_enough_are_calibrated_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    logits, truth = honest(3.0, n=400)
    truth.signals[:, 1] = np.arange(400) < FEWEST
    assert fit(logits, truth).signal_temperatures["deterrence"] != 1.0
    assert not caplog.records


def test_thresholds_of_a_network_that_learned_from_weighted_labels_are_searched() -> None:
    logits, truth = honest()
    shifted = Logits(logits.stance, logits.signals + np.float32(3))

    def f1(found: Calibration) -> float:
        _, p = probabilities(shifted, found)
        given = p >= np.array([found.thresholds[name] for name in SIGNALS])
        return float(f1_score(truth.signals, given, average="macro"))

    assert f1(fit(shifted, truth, shifted=True)) > f1(fit(shifted, truth)) + 0.02


def test_a_split_without_mistakes_is_not_calibrated_on(caplog: pytest.LogCaptureFixture) -> None:
    truth = Truth(np.arange(30) % 3, (np.arange(30)[:, None] % 2).repeat(3, axis=1), np.arange(30))
    logits = Logits(np.eye(3, dtype=np.float32)[truth.stance], (truth.signals * 2 - 1).astype(np.float32) / 2)
    found = fit(logits, truth)
    assert (found.stance_temperature, set(found.signal_temperatures.values())) == (1.0, {1.0})
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["stance", *SIGNALS]


# The file


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    calibration = fit(*honest(2.0, n=400))
    write(calibration, tmp_path)
    assert read(tmp_path) == calibration
    assert (tmp_path / "calibration.json").read_text().endswith("}\n")


def test_no_file_is_none(tmp_path: Path) -> None:
    assert read(tmp_path) is None


GOOD = Calibration().to_dict()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not a calibration"),
        ("null", "not a calibration"),
        ("{}", "lacks 'temperatures'"),
        (json.dumps({**GOOD, "temperatures": {"stance": 1}}), "lacks 'threat'"),
        (json.dumps({"temperatures": GOOD["temperatures"]}), "lacks 'thresholds'"),
        (
            json.dumps({**GOOD, "temperatures": {**GOOD["temperatures"], "stance": 0}}),
            "temperature of stance",
        ),
        (
            json.dumps({**GOOD, "temperatures": {**GOOD["temperatures"], "threat": "hot"}}),
            "not a calibration",
        ),
        (json.dumps({**GOOD, "thresholds": {**GOOD["thresholds"], "threat": 1.5}}), "threshold of threat"),
        (
            json.dumps({**GOOD, "thresholds": {**GOOD["thresholds"], "threat": float("nan")}}),
            "threshold of threat",
        ),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "calibration.json"))


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"calibration\.json: not JSON"):
        read(tmp_path)


def test_half_of_the_best_f1_is_the_best_threshold_of_calibrated_probabilities() -> None:
    generator = np.random.default_rng(5)
    probability = generator.beta(0.4, 2.5, size=(20_000, 3))
    yes = (generator.random((20_000, 3)) < probability).astype(np.int64)
    found = thresholds_of_calibrated(probability, yes)
    for i, name in enumerate(SIGNALS):

        def f1_at(threshold: float, i: int = i) -> float:
            given = probability[:, i] >= threshold
            return float(2 * (given * yes[:, i]).sum() / (given.sum() + yes[:, i].sum()))

        best = max(f1_at(t) for t in np.linspace(0.05, 0.95, 181))
        assert found[name] == pytest.approx(best / 2, abs=0.01)
        assert f1_at(found[name]) > best - 0.005
        assert f1_at(0.5) < best - 0.01, "one half would have been worse"


def test_thresholds_of_calibrated_probabilities_need_enough_positives() -> None:
    yes = np.zeros((100, 3), dtype=np.int64)
    yes[: FEWEST - 1] = 1
    assert thresholds_of_calibrated(np.random.default_rng(0).random((100, 3)), yes) == dict.fromkeys(
        SIGNALS, 0.5
    )
