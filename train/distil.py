"""A teacher's probabilities as targets: on the labelled sentences beside their labels, on others alone."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, Features, List, Value, concatenate_datasets

from brinkline.data.corpus import normalised
from brinkline.data.detached import read_texts
from brinkline.model.checkpoint import TOKENIZER, Calibration, file_sha256
from brinkline.model.classifier import probabilities
from brinkline.model.encoding import SentenceEncoder
from brinkline.model.engine import Logits, run_sorted
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.network import STATE, Network
from brinkline.train import calibrate
from brinkline.train.metrics import FloatArray
from brinkline.train.runs import best_seed
from brinkline.train.scoring import TorchEngine
from brinkline.train.settings import Distillation

logger = logging.getLogger(__name__)

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


def with_teacher(train: Dataset, settings: Distillation, measured: Sequence[str], cache: Path) -> Dataset:
    """Add a teacher's targets to a training set, and the sentences that it alone labels.

    :param train: as made by ``brinkline.data.corpus.to_dataset``.
    :param settings: name the teacher and the sentences.
    :param measured: texts that must not be learned from; they are left out of the sentences without labels.
    :param cache: file in which the teacher's logits are kept for the next seed.
    :return: columns of ``train`` plus ``stance_target`` and ``signal_target``.
    """
    labelled = list(train["text"])
    taken = {normalised(text) for text in (*labelled, *measured)}
    plain = [item.text for path in settings.unlabelled for item in read_texts(path)]
    plain = [text for text in dict.fromkeys(plain) if normalised(text) not in taken]
    stance, signals = teacher_targets(settings, [*labelled, *plain], cache)
    n, share = len(labelled), settings.share
    hard_stance = np.eye(len(STANCES))[np.array(train["stance"])]
    hard_signals = np.array(train["signals"])
    known = {
        "text": labelled,
        "previous": train["previous"],
        "stance": train["stance"],
        "signals": train["signals"],
        "stance_target": (share * stance[:n] + (1 - share) * hard_stance).tolist(),
        "signal_target": (share * signals[:n] + (1 - share) * hard_signals).tolist(),
    }
    soft = {
        "text": plain,
        "previous": [""] * len(plain),
        "stance": stance[n:].argmax(axis=1).tolist(),
        "signals": (signals[n:] > 0.5).astype(float).tolist(),
        "stance_target": stance[n:].tolist(),
        "signal_target": signals[n:].tolist(),
    }
    logger.info("%d labelled sentences with a teacher beside, %d with the teacher alone", n, len(plain))
    parts = [Dataset.from_dict(columns, features=_TARGETS) for columns in (known, soft)]
    return concatenate_datasets(parts)


def teacher_targets(
    settings: Distillation, texts: Sequence[str], cache: Path
) -> tuple[FloatArray, FloatArray]:
    """Return a teacher's calibrated probabilities, softened by the temperature.

    :param settings: name the teacher.
    :param texts: ``n`` sentences.
    :param cache: file in which the logits are kept.
    :return: stance and signals, *Shape:* ``(n, 3)`` each.
    """
    checkpoint = best_seed(settings.teacher).checkpoint
    key = hashlib.sha256(
        "\0".join((file_sha256(checkpoint / STATE), *texts)).encode("utf-8", "surrogatepass")
    ).hexdigest()
    logits = _cached(cache, key)
    if logits is None:
        logger.info("the teacher %s reads %d sentences", settings.teacher, len(texts))
        network, limits = Network.load(checkpoint)
        encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
        logits = run_sorted(TorchEngine(network), encoder.encode(list(texts)), encoder.pad_id, 64)
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, key=np.array(key), stance=logits.stance, signals=logits.signals)
    calibration = calibrate.read(checkpoint) or Calibration()
    softer = Logits(logits.stance / settings.temperature, logits.signals / settings.temperature)
    return probabilities(softer, calibration)


def _cached(cache: Path, key: str) -> Logits | None:
    if not cache.is_file():
        return None
    with np.load(cache) as kept:
        return Logits(kept["stance"], kept["signals"]) if str(kept["key"]) == key else None
