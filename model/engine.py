"""The inference engine: arrays in, logits out. ONNX Runtime is one; another may stand beside it.

Sentences of like length are put into small batches, and as many batches run at once as there are processors, each on
one thread: small batches stay in a processor's cache and hold little padding, and nothing waits for the slowest of
several threads. A batch that has nothing beside it, a single sentence mostly, gets all processors. A row's result
does not depend on its batch, nor on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brinkline.model.encoding import Batch, EncodedSentence, collate
from brinkline.model.errors import BrinklineError
from brinkline.model.labels import SIGNALS, STANCES

FloatArray = NDArray[np.float32]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
EMBEDDING = "embedding"
"""Name of the output that holds the pooled vectors."""


class EngineError(BrinklineError, RuntimeError):
    """The weights cannot do what is asked of them."""


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


BATCH_TOKENS = 256
"""Tokens of a batch, padding counted in: more leave the processor's cache, fewer do not fill its vector units."""


def run_sorted(engine: Engine, sentences: Sequence[EncodedSentence], pad_id: int, batch_size: int) -> Logits:
    """Run an engine over sentences in batches of like length, several at a time where the engine has workers.

    :param engine: runs a batch.
    :param sentences: ``n`` sentences as token ids.
    :param pad_id: token id of the padding.
    :param batch_size: sentences a batch, at most.
    :return: logits in the order of the sentences, *Shape:* ``(n, 3)`` each.
    """
    stance = np.empty((len(sentences), len(STANCES)), dtype=np.float32)
    signals = np.empty((len(sentences), len(SIGNALS)), dtype=np.float32)
    tokens = getattr(engine, "batch_tokens", BATCH_TOKENS)
    work = list(batches_of_like_length(sentences, batch_size, tokens))
    if len(work) == 1:
        engine = getattr(engine, "undivided", engine)

    def run(rows: list[int]) -> None:
        result = engine.run(collate([sentences[i] for i in rows], pad_id))
        stance[rows], signals[rows] = result.stance, result.signals

    _at_once(run, work, engine)
    return Logits(stance, signals)


def embed_sorted(
    engine: OnnxEngine, sentences: Sequence[EncodedSentence], pad_id: int, batch_size: int
) -> FloatArray:
    """Return the pooled vectors of sentences; see :func:`run_sorted`. *Shape:* ``(n, width)``."""
    vectors = np.empty((len(sentences), engine.width), dtype=np.float32)

    def run(rows: list[int]) -> None:
        vectors[rows] = engine.embed(collate([sentences[i] for i in rows], pad_id))

    _at_once(run, batches_of_like_length(sentences, batch_size, engine.batch_tokens), engine)
    return vectors


def batches_of_like_length(
    sentences: Sequence[EncodedSentence], batch_size: int, tokens: int = BATCH_TOKENS
) -> Iterator[list[int]]:
    """Yield the row numbers of batches, longest sentences first; every row is in one batch.

    :param sentences: what to part.
    :param batch_size: sentences a batch, at most.
    :param tokens: tokens a batch, padding counted in; a longer sentence is a batch of its own.
    """
    order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i]))
    start = 0
    while start < len(order):
        size = max(1, min(batch_size, tokens // max(1, len(sentences[order[start]]))))
        yield order[start : start + size]
        start += size


def _at_once(run: Callable[[list[int]], None], batches: Iterable[list[int]], engine: object) -> None:
    """Run all batches, as many at a time as the engine has workers."""
    work = list(batches)
    pool: ThreadPoolExecutor | None = getattr(engine, "pool", None)
    if pool is None or len(work) == 1:
        for rows in work:
            run(rows)
        return
    for done in [pool.submit(run, rows) for rows in work]:
        done.result()


GPU_BATCH_TOKENS = 16_384
"""Tokens of a batch on a GPU, which needs more work at a time."""


_MOST_TOGETHER = 4
"""Threads that work on one batch, at most: more of them wait for each other longer than they save."""
_SOON = 2
"""Batches without another beside them that one thread does before more threads are made ready for the next."""


class OnnxEngine:
    """ONNX Runtime, on the CPU or on a GPU.

    :param weights: an ``.onnx`` file, as written by ``brinkline.train.export``.
    :param threads: batches that run at once, one thread each; by default as many as the processors that the process
        may use.
    :param gpu: compute on the GPU that onnxruntime-gpu sees. For weights in fp32: 8-bit products are for CPUs.
    :param together: threads that work on one batch.
    """

    def __init__(
        self, weights: Path, threads: int | None = None, gpu: bool = False, together: int = 1
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = together  # mostly 1: batches run beside one another instead
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Weights may be stored as int8 with a scale for each block. With the QDQ fusions off they are turned into fp32
        # once, at loading, and everything is computed in fp32: fused, a row's result would depend on its batch.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = onnxruntime.InferenceSession(
            str(weights), sess_options=options, providers=[CUDA, CPU] if gpu else [CPU]
        )
        # The exporter leaves out inputs that an encoder does not use (token types, mostly).
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._outputs = {node.name: node.shape for node in self._session.get_outputs()}
        self.batch_tokens = GPU_BATCH_TOKENS if gpu else BATCH_TOKENS
        self._workers = 1 if gpu else threads or available_processors()
        self._pool: ThreadPoolExecutor | None = None
        self._owner = 0
        self._weights, self._version = weights, _version(weights)
        self._undivided: OnnxEngine = self
        self._inherited: OnnxEngine | None = None
        self._undivided_owner, self._asked = os.getpid(), 0

    @property
    def pool(self) -> ThreadPoolExecutor | None:
        """Threads that batches run on side by side; None where they run one after the other."""
        # A forked process inherits the object, but none of its threads: work given to it would never be done.
        if self._workers > 1 and self._owner != os.getpid():
            self._owner, self._pool = os.getpid(), ThreadPoolExecutor(self._workers, "brinkline")
        return self._pool

    @property
    def undivided(self) -> OnnxEngine:
        """The engine for a batch that has nothing beside it: the same network, with all processors at its work.

        It is loaded when it is asked for again and again, since loading takes longer than many sentences do.
        """
        if self._undivided_owner != os.getpid():  # as for the pool
            # Kept, since letting go of a session waits for its threads, which are not in this process.
            self._inherited = self._undivided
            self._undivided, self._undivided_owner = self, os.getpid()
        together = min(self._workers, _MOST_TOGETHER)
        self._asked += 1
        if self._undivided is self and together > 1 and self._asked > _SOON:
            self._asked = 0
            if self._version is not None and self._version == _version(self._weights):
                self._undivided = OnnxEngine(self._weights, 1, together=together)
        return self._undivided

    @property
    def width(self) -> int:
        """Length of an embedding.

        :raises EngineError: where the file, of an earlier version, gives none.
        """
        if EMBEDDING not in self._outputs:
            raise EngineError("this model folder gives no embeddings: export it again with this version")
        return int(self._outputs[EMBEDDING][1])

    def run(self, batch: Batch) -> Logits:
        """Return the logits of a batch."""
        stance, signals = self._session.run(["stance_logits", "signal_logits"], self._feed(batch))
        return Logits(stance, signals)

    def embed(self, batch: Batch) -> FloatArray:
        """Return the pooled vectors of a batch. *Shape:* ``(batch_size, width)``."""
        vectors: FloatArray = self._session.run([EMBEDDING], self._feed(batch))[0]
        return vectors

    def _feed(self, batch: Batch) -> dict[str, Any]:
        return {name: getattr(batch, name) for name in self._inputs}


def _version(file: Path) -> tuple[int, int] | None:
    """Tell one version of a file from the next; None where it is gone."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def sees_gpu() -> bool:
    """Tell whether the installed ONNX Runtime can compute on a GPU (onnxruntime-gpu, with CUDA)."""
    import onnxruntime

    return CUDA in onnxruntime.get_available_providers()


def available_processors() -> int:
    """Return how many processors this process may use (its affinity mask where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
