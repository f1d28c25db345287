"""Going on in rounds, and averaging the weights that they end with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brinkline.model.checkpoint import TOKENIZER
from brinkline.model.network import Network
from brinkline.train.runs import best_checkpoint, is_main_process
from brinkline.train.settings import Averaging, Settings
from brinkline.train.trainer import StanceSignalTrainer, next_stage, train_from_last

logger = logging.getLogger(__name__)


def train_rounds(
    first: Path,
    trainer: StanceSignalTrainer,
    averaging: Averaging,
    settings: Settings,
    seed: int,
    checkpoints: Path,
) -> Path:
    """Train in rounds, each from where the one before ended, and average the ends (:class:`Averaging`).

    A round that is finished is not trained again.

    :param first: checkpoint of the main training.
    :param trainer: of the main training; its data and its loss are those of the rounds.
    :param averaging: how many rounds, how long and how fast.
    :param settings: of the run.
    :param seed: of the run; each round draws dropout and the order of the data anew.
    :param checkpoints: folder of the main training's checkpoints; those of a round come into a folder of their own.
    :return: checkpoint of the average over the main training and all rounds.
    """
    ends = [first]
    train: Any = trainer.train_dataset
    dev: Any = trainer.eval_dataset
    for number in range(1, averaging.rounds + 1):
        logger.info("round %d of %d", number, averaging.rounds)
        folder = checkpoints / f"round-{number}"
        going_on = next_stage(
            ends[-1],
            train,
            dev,
            settings,
            epochs=averaging.num_train_epochs,
            learning_rate=averaging.learning_rate,
            objective=trainer.objective,
            checkpoints=folder,
            seed=_seed_of(seed, number),
        )
        state = train_from_last(going_on, folder, settings.patience)
        ends.append(best_checkpoint(folder, state.best_model_checkpoint))
    average = checkpoints / "average"
    if is_main_process():
        average_weights(ends, average)
    return average


def average_weights(checkpoints: Sequence[Path], out: Path) -> None:
    """Write a checkpoint whose weights are the mean of others'.

    Networks that one training passed through lie in one basin of the loss, and their mean nearer to its middle
    (Izmailov et al. 2018, arXiv:1803.05407).

    :param checkpoints: of one architecture; the first one's tokenizer and limits are taken.
    :param out: folder of the checkpoint.
    """
    networks = [Network.load(path) for path in checkpoints]
    mean, limits = networks[0]
    states = [network.state_dict() for network, _ in networks]
    with torch.no_grad():
        for name, tensor in mean.state_dict().items():
            if tensor.is_floating_point():  # copies each value before it is overwritten
                tensor.copy_(torch.stack([state[name].double() for state in states]).mean(dim=0))
    mean.save(out, (checkpoints[0] / TOKENIZER).read_text(encoding="utf-8"), limits)


def _seed_of(seed: int, number: int) -> int:
    """Return a seed for a round that no other seed's round has."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
