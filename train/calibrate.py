"""Fit temperatures and thresholds on a development split.

    python -m brinkline.train.calibrate CHECKPOINT DATA.jsonl

writes ``calibration.json`` into the checkpoint. Temperatures minimise the log loss (Guo et al. 2017,
arXiv:1706.04599); a signal's threshold is the one with the best F1, given that its probability is calibrated.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from brinkline.model.checkpoint import Calibration
from brinkline.model.classifier import probabilities
from brinkline.model.engine import Logits
from brinkline.model.errors import CheckpointError
from brinkline.model.labels import SIGNALS
from brinkline.train.metrics import Truth

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FILE = "calibration.json"
RESAMPLES = 200
FEWEST = 5
"""A signal with fewer positive or negative sentences than this keeps temperature 1 and threshold 0.5."""

_RANGE = (0.1, 10.0)  # temperatures outside it mean a broken split, not a confident model


def fit(logits: Logits, truth: Truth, shifted: bool = False) -> Calibration:
    """Fit everything.

    :param logits: of the development split.
    :param truth: its labels.
    :param shifted: the network learned from weighted labels, which shifts its logits: no temperature mends that, so
        its thresholds are searched.
    :return: temperatures and thresholds.
    """
    stance = _believed("stance", fit_temperature(lambda t: _stance_loss(logits.stance / t, truth.stance)))
    temperatures = dict.fromkeys(SIGNALS, 1.0)
    for i, name in enumerate(SIGNALS):
        yes = truth.signals[:, i]
        if _enough(yes):
            temperatures[name] = _believed(name, _signal_temperature(logits.signals[:, i], yes))
        else:
            logger.warning(
                "%s: %d of %d development sentences carry it; to calibrate, %d must carry it and %d must not",
                name,
                yes.sum(),
                len(yes),
                FEWEST,
                FEWEST,
            )
    bare = Calibration(stance, temperatures)
    _, signals = probabilities(logits, bare)
    thresholds = (fit_thresholds if shifted else thresholds_of_calibrated)(signals, truth.signals)
    return Calibration(stance, temperatures, thresholds)


def fit_temperature(loss: Callable[[float], float]) -> float:
    """Return the temperature, from 0.1 to 10, at which ``loss(temperature)`` is least."""
    bounds = tuple(np.log(_RANGE))
    result = minimize_scalar(lambda x: loss(float(np.exp(x))), bounds=bounds, method="bounded")
    return round(float(np.exp(result.x)), 4)


def thresholds_of_calibrated(probability: FloatArray, signals: IntArray) -> dict[str, float]:
    """Return for each signal half of the best F1 that any threshold reaches.

    For calibrated probabilities that is the threshold with the best F1 (Lipton, Elkan and Naryanaswamy 2014,
    arXiv:1402.1892). How high the best F1 is, a few dozen positive sentences tell well; at which threshold it lies,
    they do not: found by search, it moved from 0.38 to 0.78 between two seeds of one training.

    :param probability: calibrated, *Shape:* ``(n, 3)``.
    :param signals: 0 or 1, *Shape:* ``(n, 3)``.
    """
    return {
        name: round(float(_f1_curve(probability[:, i], signals[:, i], RESAMPLES)[1].max()) / 2, 4)
        if _enough(signals[:, i])
        else 0.5
        for i, name in enumerate(SIGNALS)
    }


def fit_thresholds(
    probability: FloatArray, signals: IntArray, resamples: int = RESAMPLES
) -> dict[str, float]:
    """Return for each signal the threshold with the best F1, found by search: for probabilities of any kind.

    :param probability: *Shape:* ``(n, 3)``.
    :param signals: 0 or 1, *Shape:* ``(n, 3)``.
    :param resamples: bootstrap resamples that F1 is averaged over.
    """
    return {
        name: _threshold(probability[:, i], signals[:, i], resamples) if _enough(signals[:, i]) else 0.5
        for i, name in enumerate(SIGNALS)
    }


def write(calibration: Calibration, folder: Path) -> None:
    """Write ``calibration.json`` into a checkpoint."""
    (folder / FILE).write_text(json.dumps(calibration.to_dict(), indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> Calibration | None:
    """Read ``calibration.json`` of a checkpoint; None where it has none.

    :raises CheckpointError: where the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON: {error}") from error
    try:
        return Calibration.from_dict(values)
    except KeyError as error:
        raise CheckpointError(f"{path}: lacks {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a calibration: {error}") from error


def _believed(name: str, temperature: float) -> float:
    """Return 1 for a temperature at the lower bound: without mistakes, the surer the better, and no toss-up is left."""
    if temperature > 1.05 * _RANGE[0]:
        return temperature
    logger.warning("%s: too few mistakes on the development split to calibrate; temperature 1", name)
    return 1.0


def _enough(yes: IntArray) -> bool:
    return FEWEST <= int(yes.sum()) <= len(yes) - FEWEST


def _signal_temperature(logits: NDArray[np.floating], yes: IntArray) -> float:
    return fit_temperature(lambda t: _signal_loss(logits / t, yes))


def _stance_loss(logits: NDArray[np.floating], stance: IntArray) -> float:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(stance)), stance].mean())


def _signal_loss(logits: NDArray[np.floating], yes: IntArray) -> float:
    signed = np.where(yes == 1, logits, -logits).astype(np.float64)
    return float(np.logaddexp(0, -signed).mean())


def _threshold(probability: FloatArray, yes: IntArray, resamples: int) -> float:
    if probability.min() == probability.max():
        return 0.5  # no threshold tells them apart
    sorted_p, f1 = _f1_curve(probability, yes, resamples)
    best = int(np.argmax(f1))
    return _between(float(sorted_p[best + 1]) if best + 1 < len(f1) else 0.0, float(sorted_p[best]))


def _f1_curve(probability: FloatArray, yes: IntArray, resamples: int) -> tuple[FloatArray, FloatArray]:
    """Return probabilities, highest first, and the F1 of giving the signal from each of them upwards.

    F1 is the mean over bootstrap resamples, and -1 where a cut would part sentences of equal probability.
    """
    n = len(yes)
    order = np.argsort(-probability, kind="stable")
    sorted_p, sorted_yes = probability[order], yes[order]
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples)
    hits = np.cumsum(weights * sorted_yes, axis=1)
    sizes = np.cumsum(weights, axis=1) + hits[:, -1:]
    f1 = (2 * hits / np.maximum(sizes, 1)).mean(axis=0)
    last_of_its_value = np.append(sorted_p[:-1] > sorted_p[1:], True)
    return sorted_p, np.where(last_of_its_value, f1, -1.0)


def _between(below: float, lowest: float) -> float:
    """Return a threshold above ``below``, at most ``lowest``: the middle, with four digits if they do."""
    middle = (below + lowest) / 2
    return next((value for value in (round(middle, 4), middle) if below < value <= lowest), lowest)


def main(checkpoint: Path, data: list[Path]) -> None:
    """Fit on labelled data and write ``calibration.json`` into the checkpoint."""
    from brinkline.data.schema import read_labelled
    from brinkline.train.scoring import network_logits

    documents = read_labelled(data)
    calibration = fit(network_logits(checkpoint, documents), Truth.of(documents))
    write(calibration, checkpoint)
    logger.info("%s: %s", checkpoint / FILE, calibration)


if __name__ == "__main__":
    from brinkline.train.scripts import run_script

    run_script(main)
