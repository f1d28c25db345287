"""transformers' Trainer, taught the two heads: loss, figures while training, checkpoints, progress."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from brinkline.model.checkpoint import Calibration
from brinkline.model.classifier import probabilities
from brinkline.model.encoding import EncodedSentence, SentenceEncoder, collate
from brinkline.model.engine import Logits
from brinkline.model.network import Network
from brinkline.train.calibrate import fit_thresholds
from brinkline.train.metrics import Truth, decide, measure
from brinkline.train.scoring import to_tensors

logger = logging.getLogger(__name__)


class ClassWeights:
    """Weights of the labels in the loss, made "balanced" as in scikit-learn: n / (classes x count).

    :param stance: index of each sentence's stance, *Shape:* ``(n,)``.
    :param signals: 0 or 1, *Shape:* ``(n, 3)``.
    """

    def __init__(self, stance: np.ndarray[Any, Any], signals: np.ndarray[Any, Any]) -> None:
        counts = np.maximum(np.bincount(stance, minlength=3), 1)
        yes = np.maximum(signals.sum(axis=0), 1)
        self.stance = torch.tensor(len(stance) / (3 * counts), dtype=torch.float32)
        self.signals = torch.tensor((len(signals) - yes) / yes, dtype=torch.float32)


class StanceSignalTrainer(Trainer):
    """Trains a :class:`Network` with cross-entropy (stance) plus binary cross-entropy (signals).

    :param encoder: saved with every checkpoint and used to pad batches.
    :param limits: ``max_tokens`` and ``context``, saved with every checkpoint.
    :param weights: of the labels in the loss, or None for equal ones.
    :param signal_loss_weight: what the signals' part of the loss is multiplied with.
    """

    def __init__(
        self,
        *,
        encoder: SentenceEncoder,
        limits: Mapping[str, int],
        weights: ClassWeights | None = None,
        signal_loss_weight: float = 1.0,
        patience: int,
        **kwargs: Any,
    ) -> None:
        self._encoder, self._limits, self._weights = encoder, dict(limits), weights
        self._signal_loss_weight = signal_loss_weight
        self._sums: dict[str, float] = {}
        self._steps = 0
        super().__init__(data_collator=self._collate, compute_metrics=_figures, **kwargs)
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self.add_callback(LossProgress if not self.args.disable_tqdm else LossLog)
        if self.args.eval_strategy != "no":
            self.add_callback(EarlyStoppingCallback(early_stopping_patience=patience))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, with the logits if asked for."""
        labels = ("stance_labels", "signal_labels")
        stance, signals = model(**{name: value for name, value in inputs.items() if name not in labels})
        stance_weight = self._weights.stance.to(stance.device) if self._weights else None
        signal_weight = self._weights.signals.to(stance.device) if self._weights else None
        stance_loss = nn.functional.cross_entropy(stance.float(), inputs[labels[0]], weight=stance_weight)
        signal_loss = nn.functional.binary_cross_entropy_with_logits(
            signals.float(), inputs[labels[1]], pos_weight=signal_weight
        )
        if model.training:
            self._count(stance_loss=stance_loss, signal_loss=signal_loss)
        loss = stance_loss + self._signal_loss_weight * signal_loss
        return (loss, {"loss": loss, "stance": stance, "signals": signals}) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the two parts of the loss."""
        if "loss" in logs and self._steps:
            logs |= {name: round(total / self._steps, 4) for name, total in self._sums.items()}
            self._sums, self._steps = {}, 0
        super().log(logs, start_time)

    def _count(self, **losses: Tensor) -> None:
        self._steps += 1
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + loss.item()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        folder = Path(output_dir or self.args.output_dir or ".")
        network: Network = self.accelerator.unwrap_model(self.model)
        network.save(folder, self._encoder.to_json(), self._limits)

    def _collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        sentences = [EncodedSentence(r["ids"], r["type_ids"], r["pooling"], False) for r in rows]
        tensors = to_tensors(collate(sentences, self._encoder.pad_id))
        tensors["stance_labels"] = torch.tensor([row["stance"] for row in rows], dtype=torch.long)
        tensors["signal_labels"] = torch.tensor([row["signals"] for row in rows], dtype=torch.float32)
        return tensors


class LossProgress(ProgressCallback):
    """The progress bar, with the latest losses beside it."""

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Show losses and dev figures."""
        bar: Any = self.training_bar
        if state.is_world_process_zero and bar is not None:
            bar.set_postfix({name: f"{value:.3f}" for name, value in _shown(logs or {}).items()})


class LossLog(TrainerCallback):
    """Where there is no terminal: the same figures as log lines."""

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Log losses and dev figures."""
        shown = _shown(logs or {})
        if state.is_world_process_zero and shown:
            parts = ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
            logger.info(
                "step %d of %d (epoch %.1f): %s", state.global_step, state.max_steps, state.epoch or 0, parts
            )


def build_trainer(
    network: Network,
    encoder: SentenceEncoder,
    limits: Mapping[str, int],
    train: Dataset,
    dev: Dataset,
    arguments: TrainingArguments,
    *,
    balanced: bool,
    signal_loss_weight: float,
    patience: int,
) -> StanceSignalTrainer:
    """Put a trainer together.

    :param network: to be fine-tuned, in place.
    :param encoder: sentences to token ids.
    :param limits: ``max_tokens`` and ``context``.
    :param train: as made by ``brinkline.data.corpus.to_dataset``.
    :param dev: likewise, for early stopping.
    :param arguments: transformers' own settings.
    :param balanced: weigh rare labels more.
    :param signal_loss_weight: what the signals' part of the loss is multiplied with.
    :param patience: evaluations without a better mean F1 before training stops.
    """
    weights = ClassWeights(np.array(train["stance"]), np.array(train["signals"])) if balanced else None
    return StanceSignalTrainer(
        model=network,
        args=arguments,
        encoder=encoder,
        limits=limits,
        weights=weights,
        signal_loss_weight=signal_loss_weight,
        patience=patience,
        train_dataset=_encode(train, encoder, limits["context"]),
        eval_dataset=_encode(dev, encoder, limits["context"]),
    )


def _encode(dataset: Dataset, encoder: SentenceEncoder, context: int) -> Dataset:
    def columns(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        found = encoder.encode(rows["text"], rows["previous"] if context else None)
        lengths = {"length": [len(sentence) for sentence in found]}
        return lengths | {name: [getattr(s, name) for s in found] for name in ("ids", "type_ids", "pooling")}

    # The fingerprint is that of a closure over a tokenizer, which cannot be hashed: naming it keeps the log quiet.
    encoded: Dataset = dataset.map(columns, batched=True, new_fingerprint="encoded", keep_in_memory=True)
    return encoded


def _figures(prediction: EvalPrediction) -> dict[str, float]:
    predictions: Any = prediction.predictions
    labels: Any = prediction.label_ids
    (stance, signals), (stance_labels, signal_labels) = predictions, labels
    wanted = Truth(
        stance_labels, signal_labels.astype(np.int64), np.zeros(len(stance_labels), dtype=np.int64)
    )
    p_stance, p_signals = probabilities(Logits(stance, signals), Calibration())
    # At the best thresholds: early on, probabilities of rare labels are all below one half.
    decisions = decide(p_stance, p_signals, fit_thresholds(p_signals, wanted.signals))
    figures = measure(wanted, decisions)
    stance_f1, signals_f1 = figures["stance"]["macro_f1"], figures["signals"]["macro_f1"]
    return {"mean_f1": (stance_f1 + signals_f1) / 2, "stance_f1": stance_f1, "signals_f1": signals_f1}


def _shown(logs: Mapping[str, Any]) -> dict[str, float]:
    names = {
        "loss": "loss",
        "stance_loss": "stance",
        "signal_loss": "signals",
        "eval_loss": "dev loss",
        "eval_stance_f1": "dev stance F1",
        "eval_signals_f1": "dev signals F1",
    }
    return {shown: float(logs[name]) for name, shown in names.items() if name in logs}
