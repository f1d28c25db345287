"""What training minimises: the loss of stance and signals, against labels or a teacher's probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional

from brinkline.train.settings import Settings

Outputs = tuple[Tensor, Tensor]
"""Stance and signal logits, *Shape:* ``(batch_size, 3)`` each."""


class ClassWeights:
    """Weights of the labels in the loss, made "balanced" as in scikit-learn: n / (classes x count).

    :param stance: index of each sentence's stance, *Shape:* ``(n,)``.
    :param signals: 0 or 1, or NaN where they are not known, *Shape:* ``(n, 3)``.
    """

    def __init__(self, stance: np.ndarray[Any, Any], signals: np.ndarray[Any, Any]) -> None:
        counts = np.maximum(np.bincount(stance, minlength=3), 1)
        known = signals[~np.isnan(signals).any(axis=1)]
        yes = np.maximum(known.sum(axis=0), 1)
        self.stance = torch.tensor(len(stance) / (3 * counts), dtype=torch.float32)
        self.signals = torch.tensor((len(known) - yes) / yes, dtype=torch.float32)


@dataclass(frozen=True)
class Objective:
    """Cross-entropy over the stances plus the mean binary cross-entropy over the signals."""

    weights: ClassWeights | None = None
    """Of the labels, or None for equal ones."""
    signal_loss_weight: float = 1.0
    """What the signals' part is multiplied with."""
    label_smoothing: float = 0.0
    """Share of a target that is spread over all labels (Szegedy et al. 2016, arXiv:1512.00567)."""
    focal_gamma: float = 0.0
    """Above 0: labels that are easy already count less (Lin et al. 2017, arXiv:1708.02002)."""
    r_drop: float = 0.0
    """Above 0: every batch runs twice, and the two dropouts are drawn together with this weight (Liang et al. 2021,
    arXiv:2106.14448)."""

    def __call__(
        self, forward: Callable[[], Outputs], stance: Tensor, signals: Tensor, training: bool = True
    ) -> LossParts:
        """Return the loss of a batch.

        :param forward: runs the batch through the network; called twice with ``r_drop`` while training.
        :param stance: target probabilities, *Shape:* ``(batch_size, 3)``.
        :param signals: target probabilities, or NaN where there is nothing to learn, *Shape:* ``(batch_size, 3)``.
        :param training: False in evaluation, where there is no dropout to draw together.
        """
        outputs = _float(forward())
        first = self.stance_loss(outputs[0], stance), self.signal_loss(outputs[1], signals)
        if not (self.r_drop and training):
            return LossParts(*first, self.signal_loss_weight, outputs)
        again = _float(forward())
        second = self.stance_loss(again[0], stance), self.signal_loss(again[1], signals)
        apart = stance_divergence(outputs[0], again[0]), signal_divergence(outputs[1], again[1])
        parts = [(a + b) / 2 + self.r_drop * d for a, b, d in zip(first, second, apart, strict=True)]
        return LossParts(parts[0], parts[1], self.signal_loss_weight, outputs)

    def stance_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy. *Shape:* both ``(batch_size, 3)``."""
        target = self._smooth(target, target.shape[1])
        log_p = functional.log_softmax(logits, dim=1)
        terms = target * log_p * self._modulation(log_p.exp())
        if self.weights is None:
            return -terms.sum(dim=1).mean()
        weights = self.weights.stance.to(logits.device)
        return -(terms * weights).sum() / (target * weights).sum()

    def signal_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean binary cross-entropy over the targets that are known. *Shape:* both ``(batch_size, 3)``."""
        known = ~target.isnan()
        target = self._smooth(target.nan_to_num(), 2)
        positive = target * functional.logsigmoid(logits) * self._modulation(torch.sigmoid(logits))
        negative = (1 - target) * functional.logsigmoid(-logits) * self._modulation(torch.sigmoid(-logits))
        if self.weights is not None:
            positive = positive * self.weights.signals.to(logits.device)
        return -((positive + negative) * known).sum() / known.sum().clamp(min=1)

    def _smooth(self, target: Tensor, labels: int) -> Tensor:
        return target * (1 - self.label_smoothing) + self.label_smoothing / labels

    def _modulation(self, p: Tensor) -> Tensor | float:
        return (1 - p) ** self.focal_gamma if self.focal_gamma else 1.0


@dataclass(frozen=True)
class LossParts:
    """The loss of a batch in its two parts, and the logits behind it."""

    stance: Tensor
    signals: Tensor
    signal_loss_weight: float
    outputs: Outputs

    @property
    def total(self) -> Tensor:
        """The loss: a scalar."""
        return self.stance + self.signal_loss_weight * self.signals


def stance_divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return the symmetric Kullback-Leibler divergence of two softmaxes, mean over the batch."""
    p, q = functional.log_softmax(one, dim=1), functional.log_softmax(other, dim=1)
    return ((p.exp() - q.exp()) * (p - q)).sum(dim=1).mean() / 2


def signal_divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return the symmetric Kullback-Leibler divergence of two sets of sigmoids, mean over batch and signals."""
    # p - q times the difference of the log-odds: both terms of p and both of 1 - p in one.
    return ((torch.sigmoid(one) - torch.sigmoid(other)) * (one - other)).mean() / 2


def _float(outputs: Outputs) -> Outputs:
    return outputs[0].float(), outputs[1].float()


def objective_of(settings: Settings, train: Dataset) -> Objective:
    """Return the loss that settings ask for.

    :param settings: of a run.
    :param train: as made by ``brinkline.data.corpus.to_dataset``; balanced weights are counted on it.
    """
    weights = None
    if settings.class_weight == "balanced":
        weights = ClassWeights(np.array(train["stance"]), np.array(train["signals"]))
    return Objective(
        weights,
        settings.signal_loss_weight,
        settings.label_smoothing,
        settings.focal_gamma,
        settings.r_drop,
    )
