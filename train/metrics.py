"""The figures of an evaluation, from arrays of labels and probabilities alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from brinkline.data.schema import Document
from brinkline.model.labels import SIGNALS, STANCES

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BINS = 15
"""Equal-width bins of the expected calibration error."""


@dataclass(frozen=True)
class Truth:
    """The labels of ``n`` sentences."""

    stance: IntArray
    """Index of the stance. *Shape:* ``(n,)``."""
    signals: IntArray
    """0 or 1. *Shape:* ``(n, 3)``."""
    documents: IntArray
    """Number of the sentence's document, for the bootstrap. *Shape:* ``(n,)``."""

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Truth:
        """Read the labels off documents."""
        sentences = [(i, s) for i, document in enumerate(documents) for s in document.sentences]
        return cls(
            np.array([STANCES.index(s.stance) for _, s in sentences], dtype=np.int64),
            np.array([[name in s.signals for name in SIGNALS] for _, s in sentences], dtype=np.int64).reshape(
                -1, 3
            ),
            np.array([i for i, _ in sentences], dtype=np.int64),
        )


@dataclass(frozen=True)
class Decisions:
    """What was predicted for ``n`` sentences, with probabilities where the method has any."""

    stance: IntArray
    """Index of the stance. *Shape:* ``(n,)``."""
    signals: IntArray
    """0 or 1. *Shape:* ``(n, 3)``."""
    stance_probabilities: FloatArray | None = None
    """*Shape:* ``(n, 3)``."""
    signal_probabilities: FloatArray | None = None
    """*Shape:* ``(n, 3)``."""


def decide(stance: FloatArray, signals: FloatArray, thresholds: Mapping[str, float]) -> Decisions:
    """Turn probabilities into labels, as the classifier does.

    :param stance: *Shape:* ``(n, 3)``.
    :param signals: *Shape:* ``(n, 3)``.
    :param thresholds: one a signal.
    """
    limits = np.array([thresholds[name] for name in SIGNALS])
    return Decisions(stance.argmax(axis=1), (signals >= limits).astype(np.int64), stance, signals)


def measure(truth: Truth, decisions: Decisions) -> dict[str, Any]:
    """Return all figures of a prediction.

    Macro-F1 is the mean over the labels that occur among the true or the predicted ones. Average precision is
    given where there are probabilities.
    """
    return {
        "sentences": len(truth.stance),
        "documents": len(np.unique(truth.documents)),
        "stance": _stance_figures(truth, decisions),
        "signals": _signal_figures(truth, decisions),
    }


def _stance_figures(truth: Truth, decisions: Decisions) -> dict[str, Any]:
    labels = list(range(len(STANCES)))
    rows = np.array(
        precision_recall_fscore_support(truth.stance, decisions.stance, labels=labels, zero_division=0.0)
    )
    matrix = confusion_matrix(truth.stance, decisions.stance, labels=labels)
    occurs = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0
    return {
        "macro_f1": _mean(rows[2], occurs),
        "accuracy": float((truth.stance == decisions.stance).mean()),
        "labels": {name: _label_figures(rows[:, i]) for i, name in enumerate(STANCES)},
        "confusion": matrix.tolist(),
    }


def _signal_figures(truth: Truth, decisions: Decisions) -> dict[str, Any]:
    rows = np.array(
        precision_recall_fscore_support(truth.signals, decisions.signals, average=None, zero_division=0.0)
    )
    occurs = (truth.signals.sum(axis=0) + decisions.signals.sum(axis=0)) > 0
    labels = {name: _label_figures(rows[:, i]) for i, name in enumerate(SIGNALS)}
    if decisions.signal_probabilities is not None:
        for i, name in enumerate(SIGNALS):
            has_any = truth.signals[:, i].any()
            score = (
                average_precision_score(truth.signals[:, i], decisions.signal_probabilities[:, i])
                if has_any
                else None
            )
            labels[name]["average_precision"] = None if score is None else float(score)
    return {"macro_f1": _mean(rows[2], occurs), "labels": labels}


def _label_figures(column: FloatArray) -> dict[str, Any]:
    precision, recall, f1, support = column.tolist()
    return {"precision": precision, "recall": recall, "f1": f1, "support": int(support)}


def _mean(values: FloatArray, occurs: NDArray[np.bool_]) -> float:
    return float(values[occurs].mean()) if occurs.any() else 0.0


def calibration_figures(truth: Truth, stance: FloatArray, signals: FloatArray) -> dict[str, Any]:
    """Return expected calibration error and Brier score.

    For the stance the error is that of the most probable label (Guo et al. 2017, arXiv:1706.04599) and the
    Brier score is summed over the labels (Brier 1950), 0 to 2; for a signal both are those of "yes", 0 to 1.

    :param stance: probabilities, *Shape:* ``(n, 3)``.
    :param signals: probabilities, *Shape:* ``(n, 3)``.
    """
    hit = (stance.argmax(axis=1) == truth.stance).astype(np.float64)
    wanted = np.eye(len(STANCES))[truth.stance]
    figures: dict[str, Any] = {
        "stance": {
            "ece": expected_calibration_error(stance.max(axis=1), hit),
            "brier": float(((stance - wanted) ** 2).sum(axis=1).mean()),
        }
    }
    for i, name in enumerate(SIGNALS):
        yes = truth.signals[:, i].astype(np.float64)
        figures[name] = {
            "ece": expected_calibration_error(signals[:, i], yes),
            "brier": float(((signals[:, i] - yes) ** 2).mean()),
        }
    return figures


def expected_calibration_error(confidence: FloatArray, hit: FloatArray, bins: int = BINS) -> float:
    """Return the mean gap between confidence and frequency over equal-width bins, weighted by their size.

    :param confidence: probabilities, *Shape:* ``(n,)``.
    :param hit: 1.0 where what was given that probability is true, else 0.0, *Shape:* ``(n,)``.
    """
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(which, weights=confidence - hit, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


class Bootstrap:
    """Resamples documents and recomputes the headline figures (Efron's percentile interval).

    :param truth: the labels.
    :param resamples: how many times.
    :param seed: fixes the resamples, so that several predictions can be compared on the same ones.
    """

    def __init__(self, truth: Truth, resamples: int = 1000, seed: int = 0) -> None:
        self._truth = truth
        _, self._rows = np.unique(truth.documents, return_inverse=True)
        n = int(self._rows.max()) + 1
        self.weights: IntArray = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
        """How often each document stands in each resample. *Shape:* ``(resamples, documents)``."""

    def figures(self, decisions: Decisions) -> dict[str, FloatArray]:
        """Return stance macro-F1, stance accuracy and signals macro-F1 of every resample; nan without any label.

        *Shape:* ``(resamples,)`` each.
        """
        truth = self._truth
        stance = np.eye(len(STANCES), dtype=np.int64)
        wanted, given = stance[truth.stance], stance[decisions.stance]
        size = self._sum(np.ones((len(wanted), 1), dtype=np.int64))[:, 0]
        hits = self._sum((truth.stance == decisions.stance).astype(np.int64)[:, None])[:, 0]
        return {
            "stance_macro_f1": self._macro_f1(wanted, given),
            "stance_accuracy": hits / size,
            "signals_macro_f1": self._macro_f1(truth.signals, decisions.signals),
        }

    def intervals(self, decisions: Decisions, level: float = 0.95) -> dict[str, list[float] | None]:
        """Return lower and upper bound of each headline figure.

        None where the data are one document, or hold no label that the figure could be of.
        """
        return {name: self._interval(values, level) for name, values in self.figures(decisions).items()}

    def difference(
        self, better: Decisions, worse: Decisions, level: float = 0.95
    ) -> dict[str, list[float] | None]:
        """Return the interval of the difference between two predictions, paired over the resamples."""
        ours, theirs = self.figures(better), self.figures(worse)
        return {name: self._interval(ours[name] - theirs[name], level) for name in ours}

    def _interval(self, values: FloatArray, level: float) -> list[float] | None:
        counted = values[~np.isnan(values)]
        if self.weights.shape[1] < 2 or not len(counted):
            return None
        tail = (1 - level) / 2
        return [float(value) for value in np.quantile(counted, [tail, 1 - tail])]

    def _sum(self, per_sentence: IntArray) -> IntArray:
        n = self.weights.shape[1]
        per_document = np.zeros((n, per_sentence.shape[1]), dtype=np.int64)
        np.add.at(per_document, self._rows, per_sentence)
        total: IntArray = self.weights @ per_document
        return total

    def _macro_f1(self, wanted: IntArray, given: IntArray) -> FloatArray:
        both = self._sum(wanted * given)
        sizes = self._sum(wanted) + self._sum(given)
        scores = np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), np.nan)
        # A resample without a label leaves it out of the mean, as measure() does; one without any label has no figure.
        counted = (sizes > 0).sum(axis=1)
        mean: FloatArray = np.where(counted > 0, np.nansum(scores, axis=1) / np.maximum(counted, 1), np.nan)
        return mean
