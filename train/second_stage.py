"""A second, short training of a trained network on part of the documents."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from pathlib import Path

from brinkline.data.corpus import Split, to_dataset
from brinkline.data.schema import Document, sentences_of
from brinkline.train.augment import with_other_names
from brinkline.train.objective import objective_of
from brinkline.train.settings import SecondStage, Settings, SettingsError
from brinkline.train.trainer import StanceSignalTrainer, next_stage

logger = logging.getLogger(__name__)


def chosen(train: Sequence[Document], stage: SecondStage, seed: int) -> list[Document]:
    """Return the documents that are read again.

    :param train: the training documents.
    :param stage: names their sources, and the share of the others.
    :param seed: draws the others.
    :raises SettingsError: where a source has no training documents.
    """
    known = sorted({document.source for document in train})
    problem = "second_stage.sources: no training documents of {} (there are: {})"
    if missing := sorted(set(stage.sources) - set(known)):
        raise SettingsError([problem.format(name, ", ".join(known)) for name in missing])
    named = [document for document in train if document.source in stage.sources]
    others = [document for document in train if document.source not in stage.sources]
    return named + random.Random(seed).sample(others, round(stage.others * len(others)))


def prepare(
    checkpoint: Path, stage: SecondStage, settings: Settings, split: Split, seed: int, checkpoints: Path
) -> StanceSignalTrainer:
    """Return the trainer of the second stage.

    :param checkpoint: what the first stage made.
    :param stage: what to read again, how often and how fast.
    :param settings: of the run; the loss and ``trainer`` are as in the first stage, a teacher is not asked again.
    :param split: of the first stage.
    :param seed: of the run.
    :param checkpoints: where checkpoints go.
    :raises SettingsError: where a source has no training documents.
    """
    documents = with_other_names(chosen(split.train, stage, seed), settings.swap_names, seed)
    logger.info("second stage: %d sentences of %d documents", len(sentences_of(documents)), len(documents))
    train, dev = to_dataset(documents, settings.context), to_dataset(split.dev, settings.context)
    return next_stage(
        checkpoint,
        train,
        dev,
        settings,
        epochs=stage.num_train_epochs,
        learning_rate=stage.learning_rate,
        objective=objective_of(settings, train),
        checkpoints=checkpoints,
        seed=seed,
    )
