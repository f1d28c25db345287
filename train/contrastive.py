"""Supervised-contrastive warm-up: sentences with the same labels are drawn together before the heads are trained."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional

from brinkline.model.encoding import SentenceEncoder
from brinkline.model.network import Network
from brinkline.train.arguments import stage_arguments
from brinkline.train.objective import Objective
from brinkline.train.settings import Settings, SettingsError
from brinkline.train.trainer import StanceSignalTrainer, build_trainer

logger = logging.getLogger(__name__)

TEMPERATURE = 0.1


def contrastive_loss(vectors: Tensor, classes: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return the supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, equation 2).

    :param vectors: of any length, *Shape:* ``(batch_size, width)``.
    :param classes: a number for each combination of labels, *Shape:* ``(batch_size,)``.
    :param temperature: what the cosines are divided by.
    :return: the mean over the sentences that have another of their class in the batch; 0 where none has.
    """
    unit = functional.normalize(vectors, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    cosines = (unit @ unit.T / temperature).masked_fill(itself, float("-inf"))
    log_p = functional.log_softmax(cosines, dim=1).masked_fill(itself, 0.0)
    alike = (classes[:, None] == classes[None, :]) & ~itself
    partners = alike.sum(dim=1)
    if not partners.any():
        return vectors.sum() * 0.0
    return -((log_p * alike).sum(dim=1) / partners.clamp(min=1))[partners > 0].mean()


def warm_up(
    network: Network,
    encoder: SentenceEncoder,
    limits: Mapping[str, int],
    train: Dataset,
    settings: Settings,
    folder: Path,
    seed: int,
) -> None:
    """Train the encoder, in place, for ``settings.contrastive_epochs``.

    :param network: its heads are left as they are.
    :param encoder: sentences to token ids.
    :param limits: ``max_tokens`` and ``context``.
    :param train: as made by ``brinkline.data.corpus.to_dataset``.
    :param settings: of the run.
    :param folder: for the trainer, which saves nothing there.
    :param seed: of the order of the data.
    :raises SettingsError: where several processes train.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingsError(["contrastive_epochs: works in one process only"])
    logger.info("contrastive warm-up, %d epochs", settings.contrastive_epochs)
    # Sentences whose signals are not to be learned cannot be told apart by them.
    train = train.select(np.flatnonzero(~np.isnan(np.array(train["signals"])).any(axis=1)))
    values = {**settings.trainer, "eval_strategy": "no", "save_strategy": "no", "report_to": "none"}
    arguments = stage_arguments(values, settings.contrastive_epochs, len(train), folder, seed)
    build_trainer(
        network,
        encoder,
        limits,
        train,
        train.select([]),
        arguments,
        objective=Objective(),
        patience=1,
        kind=ContrastiveTrainer,
    ).train()


class ContrastiveTrainer(StanceSignalTrainer):
    """Trains the encoder alone, before the heads."""

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the contrastive loss of a batch; it has no outputs."""
        # Past the wrapper that would average the gradients of several processes: warm_up refuses those.
        network: Network = self.accelerator.unwrap_model(model)
        stance, signals = inputs["stance_labels"], inputs["signal_labels"]
        arguments = {k: v for k, v in inputs.items() if k not in ("stance_labels", "signal_labels")}
        bits = (signals > 0.5).long() @ torch.tensor([1, 2, 4], device=signals.device)
        loss = contrastive_loss(network.embed(**arguments).float(), stance.argmax(dim=1) * 8 + bits)
        return (loss, {}) if return_outputs else loss
