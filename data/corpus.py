"""Load labelled data, split them by document, and hand them to training."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brinkline.data.schema import Document, labelled_files, sentences_of
from brinkline.model.errors import BrinklineError
from brinkline.model.labels import SIGNALS, STANCES

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

SPLITS: tuple[str, ...] = ("train", "dev", "test")

_FOLDS = 20  # a split is made of twentieths


class SplitError(BrinklineError, ValueError):
    """Documents cannot be parted as asked."""


@dataclass(frozen=True)
class Split:
    """Documents parted into train, dev and test."""

    train: tuple[Document, ...]
    dev: tuple[Document, ...]
    test: tuple[Document, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return what makes the split checkable: seed, counts, hash and document ids of each part."""
        return {"seed": self.seed, **{name: _describe(getattr(self, name)) for name in SPLITS}}

    def write(self, path: Path) -> None:
        """Write :meth:`to_dict` as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def split_documents(
    documents: Sequence[Document], dev: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Part documents so that no document stands in two parts and each part has a like share of every label.

    Sentences are stratified by source and combination of labels, documents kept whole (scikit-learn's
    ``StratifiedGroupKFold``). The result depends on the documents, their order and the seed, on nothing else.

    :param documents: what to part.
    :param dev: share of the sentences for the development part, in steps of 0.05.
    :param test: share of the sentences for the test part, in steps of 0.05; may be 0.
    :param seed: fixes the split.
    :raises SplitError: for shares that leave no training part, or documents too few or too unequal in length.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    dev_folds, test_folds = (_folds(name, share) for name, share in (("dev", dev), ("test", test)))
    if dev_folds + test_folds >= _FOLDS:
        raise SplitError(f"dev {dev} and test {test} leave nothing to train on")
    if len(documents) < _FOLDS:
        raise SplitError(f"{len(documents)} documents are too few to split, {_FOLDS} are needed")
    owners = [i for i, document in enumerate(documents) for _ in document.sentences]
    classes = [
        f"{document.source}|{sentence.stance}|{'+'.join(sentence.signals)}"
        for document in documents
        for sentence in document.sentences
    ]
    if max(Counter(classes).values()) < _FOLDS:
        classes = ["any"] * len(classes)  # too few of every kind to spread them
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    part = ["train"] * len(documents)
    with warnings.catch_warnings():
        # Rare combinations of labels have fewer members than there are folds: they go as far as they reach.
        warnings.filterwarnings("ignore", message="The least populated class")
        for number, (_, rows) in enumerate(folds.split(owners, classes, groups=owners)):
            name = "dev" if number < dev_folds else "test" if number < dev_folds + test_folds else "train"
            for row in rows:
                part[owners[row]] = name
    parts = {name: tuple(d for d, p in zip(documents, part, strict=True) if p == name) for name in SPLITS}
    for name, share in (("dev", dev), ("test", test)):
        if share and not parts[name]:
            raise SplitError(
                f"{name} {share} comes out empty: the documents are too few or too unequal in length"
            )
    return Split(**parts, seed=seed)


def to_dataset(documents: Iterable[Document], context: int = 0) -> Dataset:
    """Return one row a sentence as a :class:`datasets.Dataset`.

    Columns: ``text``, ``previous`` (the ``context`` sentences before), ``stance`` (class label), ``signals``
    (list of 0 and 1 in label order, or of NaN where they are not to be learned), ``document``, ``source``.
    """
    from datasets import ClassLabel, Dataset, Features, List, Value

    features = Features(
        {
            "text": Value("string"),
            "previous": Value("string"),
            "stance": ClassLabel(names=list(STANCES)),
            "signals": List(Value("float32"), length=len(SIGNALS)),
            "document": Value("string"),
            "source": Value("string"),
        }
    )
    rows = [
        {
            "text": sentence.text,
            "previous": sentence.context(context),
            "stance": STANCES.index(sentence.stance),
            "signals": [
                float(signal in sentence.signals) if sentence.signals_teach else math.nan
                for signal in SIGNALS
            ],
            "document": document.id,
            "source": document.source,
        }
        for document in documents
        for sentence in document.sentences
    ]
    columns = {name: [row[name] for row in rows] for name in features}
    return Dataset.from_dict(columns, features=features)


def to_dataset_dict(split: Split, context: int = 0) -> DatasetDict:
    """Return the parts of a split as a :class:`datasets.DatasetDict`; see :func:`to_dataset`."""
    from datasets import DatasetDict

    return DatasetDict({name: to_dataset(getattr(split, name), context) for name in SPLITS})


def normalised(text: str) -> str:
    """Return a text without what does not matter in comparing: case, white space, punctuation, accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c)).split())


def leave_out(documents: Iterable[Document], measured: Iterable[Document]) -> tuple[list[Document], int]:
    """Take out sentences that stand in documents to be measured on, so that nothing is measured that was learned.

    :param documents: what is to be trained on.
    :param measured: what is to be measured on.
    :return: the documents without those sentences (and without documents that had no other), and how many they were.
    """
    taken = {normalised(sentence.text) for sentence in sentences_of(measured)}
    kept, dropped = [], 0
    for document in documents:
        sentences = tuple(s for s in document.sentences if normalised(s.text) not in taken)
        dropped += len(document.sentences) - len(sentences)
        if sentences:
            kept.append(replace(document, sentences=sentences))
    return kept, dropped


def without_untaught(documents: Iterable[Document]) -> tuple[Document, ...]:
    """Take out sentences whose signals do not teach, and documents that have no other.

    Their choice depended on their signals: rates and thresholds measured on them would be off.
    """
    kept = [replace(d, sentences=tuple(s for s in d.sentences if s.signals_teach)) for d in documents]
    return tuple(document for document in kept if document.sentences)


def merge_documents(documents: Iterable[Document]) -> list[Document]:
    """Put sentences of one document that came out of several files together, so that no split parts them."""
    merged: dict[str, Document] = {}
    for document in documents:
        first = merged.get(document.id)
        if first is not None:
            document = replace(first, sentences=(*first.sentences, *document.sentences))
        merged[document.id] = document
    return list(merged.values())


def describe_files(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Return name and sha256 of every file that the paths stand for."""
    files = [file for path in paths for file in labelled_files(Path(path))]
    return [
        {
            "file": f"{file.absolute().parent.name}/{file.name}",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    ]


def label_counts(documents: Iterable[Document]) -> dict[str, int]:
    """Return the number of sentences with each stance and each signal."""
    sentences = sentences_of(documents)
    stances = Counter(sentence.stance for sentence in sentences)
    signals = Counter(signal for sentence in sentences for signal in sentence.signals)
    return {name: stances[name] for name in STANCES} | {name: signals[name] for name in SIGNALS}


def content_sha256(documents: Iterable[Document]) -> str:
    """Return a hash over texts and labels, whatever file they stood in."""
    digest = hashlib.sha256()
    for document in documents:
        for s in document.sentences:
            line = json.dumps([document.id, s.text, s.stance, s.signals], ensure_ascii=True)
            digest.update(line.encode("ascii") + b"\n")
    return digest.hexdigest()


def _folds(name: str, share: float) -> int:
    folds = round(share * _FOLDS) if 0 <= share <= 1 else -1
    if folds < 0 or abs(folds - share * _FOLDS) > 1e-6:
        raise SplitError(f"{name} must be 0, 0.05, 0.1, … (a share of the sentences), got {share}")
    return folds


def _describe(documents: Sequence[Document]) -> dict[str, Any]:
    return {
        "documents": len(documents),
        "sentences": len(sentences_of(documents)),
        "labels": label_counts(documents),
        "sha256": content_sha256(documents),
        "ids": [document.id for document in documents],
    }
