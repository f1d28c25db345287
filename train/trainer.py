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

from brinkline.model.checkpoint import TOKENIZER, Calibration
from brinkline.model.classifier import probabilities
from brinkline.model.encoding import EncodedSentence, SentenceEncoder, collate
from brinkline.model.engine import Logits
from brinkline.model.labels import STANCES
from brinkline.model.network import Network
from brinkline.train.arguments import stage_arguments
from brinkline.train.calibrate import fit_thresholds
from brinkline.train.metrics import Truth, decide, measure
from brinkline.train.objective import Objective
from brinkline.train.optimizer import parameter_groups
from brinkline.train.runs import last_checkpoint, stopped_early
from brinkline.train.scoring import to_tensors
from brinkline.train.settings import Settings

logger = logging.getLogger(__name__)


class StanceSignalTrainer(Trainer):
    """Trains a :class:`Network`.

    :param encoder: saved with every checkpoint and used to pad batches.
    :param limits: ``max_tokens`` and ``context``, saved with every checkpoint.
    :param objective: the loss.
    :param layer_decay: how much more slowly each layer learns than the one above it; 1 for the same rate.
    :param patience: evaluations without a better mean F1 before training stops.
    """

    def __init__(
        self,
        *,
        encoder: SentenceEncoder,
        limits: Mapping[str, int],
        objective: Objective,
        layer_decay: float = 1.0,
        patience: int,
        **kwargs: Any,
    ) -> None:
        self._encoder, self._limits = encoder, dict(limits)
        self.objective: Objective = objective
        self._layer_decay = layer_decay
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
        arguments = {name: value for name, value in inputs.items() if name not in labels}
        stance_target, signal_target = (inputs[name] for name in labels)
        parts = self.objective(lambda: model(**arguments), stance_target, signal_target, model.training)
        if model.training:
            self._count(stance_loss=parts.stance, signal_loss=parts.signals)
        stance, signals = parts.outputs
        outputs = {"loss": parts.total, "stance": stance, "signals": signals}
        return (parts.total, outputs) if return_outputs else parts.total

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Make the optimiser that the settings name, with a learning rate for each layer."""
        if self.optimizer is None and self._layer_decay < 1:
            network: Any = model or self.model
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, network)
            decayed = set(self.get_decay_parameter_names(network))
            groups = parameter_groups(
                network, self.args.learning_rate, self.args.weight_decay, decayed, self._layer_decay
            )
            self.optimizer = kind(groups, **options)
        made: torch.optim.Optimizer = super().create_optimizer()
        return made

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
        if not self.args.should_save:  # under torchrun every process comes here, and one file has one writer
            return
        folder = Path(output_dir or self.args.output_dir or ".")
        network: Network = self.accelerator.unwrap_model(self.model)
        network.save(folder, self._encoder.to_json(), self._limits)

    def _collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        sentences = [EncodedSentence(r["ids"], r["type_ids"], r["pooling"], False) for r in rows]
        tensors = to_tensors(collate(sentences, self._encoder.pad_id))
        tensors["stance_labels"] = torch.tensor([row["stance_target"] for row in rows], dtype=torch.float32)
        tensors["signal_labels"] = torch.tensor([row["signal_target"] for row in rows], dtype=torch.float32)
        return tensors


def next_stage(
    checkpoint: Path,
    train: Dataset,
    dev: Dataset,
    settings: Settings,
    *,
    epochs: float,
    learning_rate: float | None,
    objective: Objective,
    checkpoints: Path,
    seed: int,
) -> StanceSignalTrainer:
    """Return a trainer that goes on from a checkpoint; what is not named here is as in the main training.

    :param checkpoint: what the stage before made.
    :param train: what is read.
    :param dev: for early stopping.
    :param settings: of the run.
    :param epochs: of this stage.
    :param learning_rate: the highest; None: that of ``trainer``.
    :param objective: the loss.
    :param checkpoints: where checkpoints go.
    :param seed: of dropout and the order of the data.
    """
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    values = dict(settings.trainer)
    if learning_rate is not None:
        values["learning_rate"] = learning_rate
    return build_trainer(
        network,
        encoder,
        limits,
        train,
        dev,
        stage_arguments(values, epochs, len(train), checkpoints, seed),
        objective=objective,
        layer_decay=settings.layer_decay,
        patience=settings.patience,
    )


def train_from_last(trainer: StanceSignalTrainer, checkpoints: Path, patience: int) -> TrainerState:
    """Train from the beginning or from the last checkpoint.

    :param trainer: not trained yet.
    :param checkpoints: folder of its checkpoints.
    :param patience: of its early stopping; a training that had stopped early is not gone on with.
    :return: how it ended.
    """
    last = last_checkpoint(checkpoints)
    if last is not None and stopped_early(last, patience):
        state: TrainerState = TrainerState.load_from_json(str(last / "trainer_state.json"))
        return state
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.accelerator.wait_for_everyone()  # under torchrun one process writes what all may read next
    return trainer.state


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
    objective: Objective,
    layer_decay: float = 1.0,
    patience: int,
    kind: type[StanceSignalTrainer] = StanceSignalTrainer,
) -> StanceSignalTrainer:
    """Put a trainer together.

    :param network: to be fine-tuned, in place.
    :param encoder: sentences to token ids.
    :param limits: ``max_tokens`` and ``context``.
    :param train: as made by ``brinkline.data.corpus.to_dataset``, or with a teacher's targets beside.
    :param dev: likewise, for early stopping.
    :param arguments: transformers' own settings.
    :param objective: the loss.
    :param layer_decay: how much more slowly each layer learns than the one above it.
    :param patience: evaluations without a better mean F1 before training stops.
    :param kind: the trainer.
    """
    return kind(
        model=network,
        args=arguments,
        encoder=encoder,
        limits=limits,
        objective=objective,
        layer_decay=layer_decay,
        patience=patience,
        train_dataset=_encode(train, encoder, limits["context"]),
        eval_dataset=_encode(dev, encoder, limits["context"]),
    )


def _encode(dataset: Dataset, encoder: SentenceEncoder, context: int) -> Dataset:
    if "ids" in dataset.column_names:  # by an earlier stage
        return dataset

    def columns(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        found = encoder.encode(rows["text"], rows["previous"] if context else None)
        made = {name: [getattr(s, name) for s in found] for name in ("ids", "type_ids", "pooling")}
        made["length"] = [len(sentence) for sentence in found]
        if "stance_target" not in rows:  # no teacher: the labels are the targets
            made["stance_target"] = np.eye(len(STANCES), dtype=np.float32)[rows["stance"]].tolist()
            made["signal_target"] = rows["signals"]
        return made

    # The fingerprint is that of a closure over a tokenizer, which cannot be hashed: naming it keeps the log quiet.
    encoded: Dataset = dataset.map(columns, batched=True, new_fingerprint="encoded", keep_in_memory=True)
    return encoded


def _figures(prediction: EvalPrediction) -> dict[str, float]:
    predictions: Any = prediction.predictions
    labels: Any = prediction.label_ids
    (stance, signals), (stance_labels, signal_labels) = predictions, labels
    wanted = Truth(
        stance_labels.argmax(axis=1),
        signal_labels.astype(np.int64),
        np.zeros(len(stance_labels), dtype=np.int64),
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
