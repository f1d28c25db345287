"""The inference engine: arrays in, logits out. ONNX Runtime is one; another may stand beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from brinkline.model.encoding import Batch, EncodedSentence, collate
from brinkline.model.labels import SIGNALS, STANCES

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Logits:
    """What a network says before calibration."""

    stance: FloatArray
    """*Shape:* ``(batch_size, 3)``, columns in the order of ``STANCES``."""
    signals: FloatArray
    """*Shape:* ``(batch_size, 3)``, columns in the order of ``SIGNALS``."""


class Engine(Protocol):
    """Anything that runs the network on a batch."""

    def run(self, batch: Batch) -> Logits:
        """Return the logits of a batch; a row must not depend on the other rows."""
        ...


def run_sorted(engine: Engine, sentences: Sequence[EncodedSentence], pad_id: int, batch_size: int) -> Logits:
    """Run an engine over sentences in batches of like length, so that little is padding.

    :param engine: runs a batch.
    :param sentences: ``n`` sentences as token ids.
    :param pad_id: token id of the padding.
    :param batch_size: sentences a batch.
    :return: logits in the order of the sentences, *Shape:* ``(n, 3)`` each.
    """
    stance = np.empty((len(sentences), len(STANCES)), dtype=np.float32)
    signals = np.empty((len(sentences), len(SIGNALS)), dtype=np.float32)
    for rows in batches_of_like_length(sentences, batch_size):
        result = engine.run(collate([sentences[i] for i in rows], pad_id))
        stance[rows], signals[rows] = result.stance, result.signals
    return Logits(stance, signals)


def batches_of_like_length(sentences: Sequence[EncodedSentence], batch_size: int) -> Iterator[list[int]]:
    """Yield the row numbers of batches, shortest sentences first; every row is in one batch."""
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


class OnnxEngine:
    """ONNX Runtime on the CPU.

    :param weights: an ``.onnx`` file, as written by ``brinkline.train.export``.
    :param threads: threads within one call; by default as many as the processors that the process may use.
    """

    def __init__(self, weights: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_processors()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Weights may be stored as int8 with a scale. With the QDQ fusions off they are turned into fp32 once, at
        # loading, and everything is computed in fp32: a row's result does not depend on its batch.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = onnxruntime.InferenceSession(
            str(weights), sess_options=options, providers=["CPUExecutionProvider"]
        )
        # The exporter leaves out inputs that an encoder does not use (token types, mostly).
        self._inputs = [node.name for node in self._session.get_inputs()]

    def run(self, batch: Batch) -> Logits:
        """Return the logits of a batch."""
        feed = {name: getattr(batch, name) for name in self._inputs}
        stance, signals = self._session.run(["stance_logits", "signal_logits"], feed)
        return Logits(stance, signals)


def available_processors() -> int:
    """Return how many processors this process may use (its affinity mask where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
