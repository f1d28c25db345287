"""What a run trains and is measured on: read, split, and kept apart."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from brinkline.data.corpus import Split, leave_out, merge_documents, split_documents, without_untaught
from brinkline.data.detached import read_detached
from brinkline.data.schema import Document, read_labelled
from brinkline.train.settings import DataSettings, Settings, SettingsError

logger = logging.getLogger(__name__)
T = TypeVar("T")

TEST_SPLIT = "test split"
LEAST_DOCUMENTS = 40
"""That a run on part of the data needs."""


@dataclass(frozen=True)
class Data:
    """What a run trains and is measured on."""

    split: Split
    evaluate: dict[str, list[Document]]
    """Evaluation sets by name, the test split among them."""
    held_out: tuple[Document, ...] = ()
    """All documents of the dev and test parts and of the evaluation sets, whole: also their sentences that are not
    measured on. Nothing of them is learned from, with labels or without."""


def load_data(settings: Settings, limit: int | None = None) -> Data:
    """Read the data of a run, split them, and keep what is measured on out of what is trained on.

    :param settings: names the files.
    :param limit: use only about so many documents, evenly out of all: first comes the split, then the choice, so that
        every source stays and no document changes its part.
    :raises SettingsError: where ``data.train_only`` leaves nothing to stop the training by.
    :raises LabelledDataError: where the data cannot be read.
    """
    spec = settings.data
    evaluation = {name: read_labelled([path]) for name, path in _names(spec.evaluate).items()}
    measured = [document for documents in evaluation.values() for document in documents]
    parted = [*read_labelled(spec.files), *_joined(spec, train_only=False)]
    split = split_documents(
        _unmeasured(merge_documents(parted), measured), spec.dev, spec.test, spec.split_seed
    )
    more = read_labelled(spec.train_only) if spec.train_only else []
    if more := [*more, *_joined(spec, train_only=True)]:
        split = _with_train_only(split, more, measured)
    held_out = (*split.dev, *split.test, *measured)
    split = replace(split, dev=without_untaught(split.dev), test=without_untaught(split.test))
    whole = sum(len(part) for part in (split.train, split.dev, split.test))
    if limit is not None and limit < whole:
        share = limit / whole
        train, dev = _some_of_each(split.train, share), _some_of_each(split.dev, share)
        split = replace(split, train=train, dev=dev, test=_some_of_each(split.test, share))
    test = {TEST_SPLIT: list(split.test)} if split.test else {}
    return Data(
        split, {**test, **{name: _some(items, limit) for name, items in evaluation.items()}}, held_out
    )


def _joined(spec: DataSettings, train_only: bool) -> list[Document]:
    """Read the detached labels that are split like the files, or those that are only trained on."""
    pairs = [pair for pair in spec.detached if pair.train_only == train_only]
    return [d for pair in pairs for d in read_detached(pair.labels, pair.texts, pair.signals)]


def _with_train_only(split: Split, documents: Sequence[Document], measured: Sequence[Document]) -> Split:
    """Add what is only trained on, and take it out of the parts: none of it is learned twice or measured on."""
    more = merge_documents(_unmeasured(documents, measured))
    named = {document.id for document in more}
    dev, test = (
        tuple(leave_out([d for d in part if d.id not in named], more)[0]) for part in (split.dev, split.test)
    )
    if not dev:
        raise SettingsError(
            ["data.train_only: every document of the dev part is in it, nothing is left to stop by"]
        )
    return replace(split, train=(*leave_out(split.train, more)[0], *more), dev=dev, test=test)


def _unmeasured(documents: Sequence[Document], measured: Sequence[Document]) -> list[Document]:
    kept, dropped = leave_out(documents, measured)
    if dropped:
        logger.warning("%d sentences left out of training: they stand in the evaluation data too", dropped)
    return kept


def _some_of_each(documents: Sequence[Document], share: float) -> tuple[Document, ...]:
    """Return a share of each source's documents, evenly out of them, at least one."""
    sources: dict[str, list[int]] = {}
    for i, document in enumerate(documents):
        sources.setdefault(document.source, []).append(i)
    kept = [i for rows in sources.values() for i in _some(rows, max(1, round(share * len(rows))))]
    return tuple(documents[i] for i in sorted(kept))


def _some(items: list[T], limit: int | None) -> list[T]:
    """Return at most so many items, evenly out of the whole list."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def _names(paths: Iterable[Path]) -> dict[str, Path]:
    """Name files by their last part, or by the whole path where two share it."""
    names = [path.name for path in paths]
    return {path.name if names.count(path.name) == 1 else path.as_posix(): path for path in paths}
