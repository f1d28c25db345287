"""A teacher's probabilities as targets: on the labelled sentences beside their labels, on others alone."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, Features, List, Value, concatenate_datasets

from brinkline.data.corpus import Split, normalised
from brinkline.data.detached import read_texts, text_sha256
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


def check_teacher(settings: Distillation, split: Split) -> None:
    """Refuse a teacher that was trained on what the student is stopped, calibrated or tested on.

    :param settings: name the teacher.
    :param split: the student's.
    :raises SettingsError: where a document of the dev or test part stands in the teacher's training part, or the
        teacher's run folder does not tell its parts.
    """
    path = settings.teacher / "split.json"
    try:
        learned = set(json.loads(path.read_text(encoding="utf-8"))["train"]["ids"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError([f"distillation.teacher: {path} cannot be read: {error!r}"]) from None
    shared = [document.id for document in (*split.dev, *split.test) if document.id in learned]
    if shared:
        problem = f"was trained on {len(shared)} documents of the student's dev and test parts (the first: {shared[0]})"
        advice = "train it on the same data, with the same split"
        raise SettingsError([f"distillation.teacher: {settings.teacher} {problem}: {advice}"])


def with_teacher(train: Dataset, settings: Distillation, measured: Sequence[str]) -> Dataset:
    """Add a teacher's targets to a training set, and the sentences that it alone labels.

    :param train: as made by ``brinkline.data.corpus.to_dataset``.
    :param settings: name the teacher and the sentences.
    :param measured: texts that must not be learned from; they are left out of the sentences without labels.
    :return: columns of ``train`` plus ``stance_target`` and ``signal_target``.
    """
    labelled = list(train["text"])
    taken = {normalised(text) for text in (*labelled, *measured)}
    plain = [item.text for path in settings.unlabelled for item in read_texts(path)]
    plain = [text for text in dict.fromkeys(plain) if normalised(text) not in taken]
    stance, signals = teacher_targets(settings, [*labelled, *plain])
    n, share = len(labelled), settings.share
    hard_stance = np.eye(len(STANCES))[np.array(train["stance"])]
    hard_signals = np.array(train["signals"])
    heard = share if settings.signals else 0.0
    untold = np.full((len(plain), len(SIGNALS)), np.nan)  # NaN: not learned
    known = {
        "text": labelled,
        "previous": train["previous"],
        "stance": train["stance"],
        "signals": train["signals"],
        "stance_target": (share * stance[:n] + (1 - share) * hard_stance).tolist(),
        "signal_target": (heard * signals[:n] + (1 - heard) * hard_signals).tolist(),
    }
    soft = {
        "text": plain,
        "previous": [""] * len(plain),
        "stance": stance[n:].argmax(axis=1).tolist(),
        "signals": (signals[n:] > 0.5).astype(float).tolist(),
        "stance_target": stance[n:].tolist(),
        "signal_target": (signals[n:] if settings.signals else untold).tolist(),
    }
    logger.info("%d labelled sentences with a teacher beside, %d with the teacher alone", n, len(plain))
    parts = [Dataset.from_dict(columns, features=_TARGETS) for columns in (known, soft)]
    return concatenate_datasets(parts)


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
