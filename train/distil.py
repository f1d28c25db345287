"""A teacher's probabilities as targets: on the labelled sentences beside their labels, on others alone."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, Features, List, Value, concatenate_datasets

from brinkline.data.corpus import normalised
from brinkline.data.detached import document_of, read_texts, text_sha256
from brinkline.data.schema import Document, sentences_of
from brinkline.data.soft import SoftLabels, read_soft_labels, write_soft_labels
from brinkline.model.checkpoint import TOKENIZER, Calibration, file_sha256
from brinkline.model.classifier import probabilities
from brinkline.model.encoding import SentenceEncoder
from brinkline.model.engine import Logits, run_sorted
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.network import STATE, Network
from brinkline.train import calibrate
from brinkline.train.arguments import has_bfloat16
from brinkline.train.metrics import FloatArray
from brinkline.train.runs import best_seed
from brinkline.train.scoring import TorchEngine
from brinkline.train.settings import Distillation, SettingsError

logger = logging.getLogger(__name__)

KEPT = "soft-labels.npz"
"""What a teacher said, in its run folder."""

_TARGETS = Features(
    {
        "text": Value("string"),
        "previous": Value("string"),
        "stance": ClassLabel(names=list(STANCES)),
        "signals": List(Value("float32"), length=len(SIGNALS)),
        "stance_target": List(Value("float32"), length=len(STANCES)),
        "signal_target": List(Value("float32"), length=len(SIGNALS)),
    }
)


@dataclass(frozen=True)
class Known:
    """What sentences without labels must not repeat."""

    texts: frozenset[str] = frozenset()
    """Sentences that have labels or are measured on, as :func:`brinkline.data.corpus.normalised` writes them."""
    documents: frozenset[str] = frozenset()
    """Ids of documents that nothing is learned from."""

    @classmethod
    def of(cls, learned: Iterable[Document], held_out: Iterable[Document]) -> Known:
        """Collect what the student learns from by labels, and what it is stopped, calibrated or measured on.

        :param learned: the training part, under its own names.
        :param held_out: whole documents.
        """
        held_out = list(held_out)
        texts = (normalised(sentence.text) for sentence in sentences_of([*learned, *held_out]))
        return cls(frozenset(texts), frozenset(document.id for document in held_out))


def check_teacher(settings: Distillation, learned: Iterable[Document], held_out: Iterable[Document]) -> None:
    """Refuse a teacher that was trained on what the student is stopped, calibrated or measured on.

    :param settings: name the teacher.
    :param learned: the student's training part: a document that other sentences are measured on may stand in both.
    :param held_out: the documents of the student's dev and test parts and evaluation sets.
    :raises SettingsError: where one of them stands in the teacher's training part, the teacher's run folder does not
        tell its parts, or a file of soft labels lacks what the settings ask of it.
    :raises LabelledDataError: where a file of soft labels cannot be read.
    """
    teacher = _check_file(settings).trained_on if settings.teacher.is_file() else _learned(settings.teacher)
    own = {document.id for document in learned}
    shared = [document.id for document in held_out if document.id in teacher and document.id not in own]
    if shared:
        problem = (
            f"was trained on {len(shared)} documents that the student is measured on (the first: {shared[0]})"
        )
        advice = "train it on the same data, with the same split"
        raise SettingsError([f"distillation.teacher: {settings.teacher} {problem}: {advice}"])


def with_teacher(train: Dataset, settings: Distillation, known: Known) -> Dataset:
    """Add a teacher's targets to a training set, and the sentences that it alone labels.

    :param train: as made by ``brinkline.data.corpus.to_dataset``.
    :param settings: name the teacher and the sentences.
    :param known: what is left out of the sentences without labels.
    :return: columns of ``train`` plus ``stance_target`` and ``signal_target``.
    """
    parts = [_beside(train, settings), _alone(settings, known)]
    beside = "with a teacher beside" if settings.share else "as they are"
    logger.info("%d labelled sentences %s, %d with the teacher alone", len(parts[0]), beside, len(parts[1]))
    return concatenate_datasets(parts)


def _beside(train: Dataset, settings: Distillation) -> Dataset:
    """Mix the labels with the teacher's word."""
    share, heard = settings.share, settings.share if settings.signals else 0.0
    hard_stance, hard_signals = np.eye(len(STANCES))[np.array(train["stance"])], np.array(train["signals"])
    # Unheard, the teacher need not read.
    stance, signals = teacher_targets(settings, train["text"]) if share else (hard_stance, hard_signals)
    columns = {
        "text": train["text"],
        "previous": train["previous"],
        "stance": train["stance"],
        "signals": train["signals"],
        "stance_target": (share * stance + (1 - share) * hard_stance).tolist(),
        "signal_target": (heard * signals + (1 - heard) * hard_signals).tolist(),
    }
    return Dataset.from_dict(columns, features=_TARGETS)


def _alone(settings: Distillation, known: Known) -> Dataset:
    """Return the sentences without labels under the teacher's word."""
    plain = unlabelled_texts(settings.unlabelled, known)
    if settings.teacher.is_file():
        plain, stance, signals = _from_file(_check_file(settings), plain, settings.teacher)
    elif plain:
        stance, signals = teacher_targets(settings, plain)
    else:
        stance, signals = np.zeros((0, len(STANCES))), np.zeros((0, len(SIGNALS)))
    untold = np.full((len(plain), len(SIGNALS)), np.nan)  # NaN: not learned
    columns = {
        "text": plain,
        "previous": [""] * len(plain),
        "stance": stance.argmax(axis=1).tolist(),
        "signals": (signals > 0.5).astype(float).tolist(),
        "stance_target": stance.tolist(),
        "signal_target": (signals if settings.signals else untold).tolist(),
    }
    return Dataset.from_dict(columns, features=_TARGETS)


def unlabelled_texts(paths: Iterable[Path], known: Known) -> list[str]:
    """Read sentences without labels, each once.

    :param paths: as for :func:`brinkline.data.detached.read_texts`.
    :param known: sentences, spacing, case and punctuation aside, and documents that are left out.
    """
    items = [item for path in paths for item in read_texts(path) if document_of(item) not in known.documents]
    return [
        text for text in dict.fromkeys(item.text for item in items) if normalised(text) not in known.texts
    ]


def write_teacher(settings: Distillation, known: Known, path: Path) -> int:
    """Write what a teacher says of the sentences without labels to a file that can stand in its place.

    :param settings: name the teacher's run folder, the sentences, the temperature, and whether signals are wanted.
    :param known: what is left out of them.
    :param path: the file; one that is there is replaced.
    :return: how many sentences.
    :raises SettingsError: where the run is not finished or does not tell its parts, or there are no sentences.
    """
    weights = file_sha256(best_seed(settings.teacher).checkpoint / STATE)
    trained_on = frozenset(_learned(settings.teacher))
    texts = unlabelled_texts(settings.unlabelled, known)
    if not texts:
        raise SettingsError(
            ["distillation.unlabelled: no sentences that are not labelled or measured on already"]
        )
    stance, signals = (
        dict(zip(map(text_sha256, texts), part.tolist(), strict=True))
        for part in teacher_targets(settings, texts)
    )
    said = SoftLabels(settings.teacher.name, weights, trained_on, stance, signals if settings.signals else {})
    write_soft_labels(path, said)
    return len(texts)


def _learned(folder: Path) -> set[str]:
    """Return the ids of the documents that a run learned from."""
    path = folder / "split.json"
    try:
        return set(json.loads(path.read_text(encoding="utf-8"))["train"]["ids"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError([f"distillation.teacher: {path} cannot be read: {error!r}"]) from None


def _check_file(settings: Distillation) -> SoftLabels:
    """Read a file of soft labels and refuse what it cannot give."""
    said = read_soft_labels(settings.teacher)
    problems = []
    if settings.share:
        reason = "a file of soft labels speaks of sentences without labels alone"
        problems.append(f"distillation.share: {reason}: set it to 0, or name the teacher's run folder")
    if settings.temperature != 1:
        problems.append(
            "distillation.temperature: the file is of the temperature it was written with: leave it at 1"
        )
    if settings.signals and not said.signals:
        problems.append(f"distillation.signals: {settings.teacher} has none: set it to false")
    if problems:
        raise SettingsError(problems)
    return said


def _from_file(
    said: SoftLabels, texts: Sequence[str], path: Path
) -> tuple[list[str], FloatArray, FloatArray]:
    """Return the texts that a file speaks of, and what it says."""
    digests = {text_sha256(text): text for text in texts}
    found = [digest for digest in digests if digest in said.stance]
    if not found:
        raise SettingsError(
            [f"distillation.teacher: {path} speaks of none of the sentences of distillation.unlabelled"]
        )
    if missing := len(digests) - len(found):
        logger.info("%s does not speak of %d of %d sentences: they are left out", path, missing, len(digests))
    stance = np.array([said.stance[digest] for digest in found])
    untold = [np.nan] * len(SIGNALS)
    signals = np.array([said.signals.get(digest, untold) for digest in found])
    return [digests[digest] for digest in found], stance, signals


def teacher_targets(settings: Distillation, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Return a teacher's calibrated probabilities, softened by the temperature.

    What the teacher has read once is kept in its run folder, for the next seed and the next student.

    :param settings: name the teacher.
    :param texts: ``n`` sentences.
    :return: stance and signals, *Shape:* ``(n, 3)`` each.
    """
    checkpoint = best_seed(settings.teacher).checkpoint
    kept = _Kept(settings.teacher / KEPT, file_sha256(checkpoint / STATE))
    new = [text for text in dict.fromkeys(texts) if text not in kept]
    if new:
        logger.info("the teacher %s reads %d sentences", settings.teacher, len(new))
        network, limits = Network.load(checkpoint)
        encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
        # A teacher's word need not be exact to the last digit, and it has much to read.
        engine = TorchEngine(network, bfloat16=has_bfloat16(cpu=True))
        kept.add(new, run_sorted(engine, encoder.encode(new), encoder.pad_id, 64))
    logits = kept.of(texts)
    calibration = calibrate.read(checkpoint) or Calibration()
    softer = Logits(logits.stance / settings.temperature, logits.signals / settings.temperature)
    return probabilities(softer, calibration)


class _Kept:
    """Logits by the hash of their text, in a file beside the teacher."""

    def __init__(self, path: Path, teacher: str) -> None:
        self._path, self._teacher = path, teacher
        self._logits: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
        if path.is_file():
            with np.load(path) as file:
                if str(file["teacher"]) == teacher:
                    self._logits = dict(zip(file["texts"].tolist(), file["logits"], strict=True))

    def __contains__(self, text: str) -> bool:
        return text_sha256(text) in self._logits

    def add(self, texts: Sequence[str], logits: Logits) -> None:
        rows = np.concatenate([logits.stance, logits.signals], axis=1)
        self._logits |= dict(zip(map(text_sha256, texts), rows, strict=True))
        aside = self._path.with_name(f"{self._path.stem}-{os.getpid()}.npz")
        names = np.array(list(self._logits))
        np.savez(
            aside, teacher=np.array(self._teacher), texts=names, logits=np.stack([*self._logits.values()])
        )
        aside.replace(self._path)

    def of(self, texts: Sequence[str]) -> Logits:
        rows = np.stack([self._logits[text_sha256(text)] for text in texts])
        return Logits(rows[:, :3], rows[:, 3:])
