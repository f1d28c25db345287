"""Why a sentence was given its labels, from the gradients of a torch checkpoint: integrated gradients.

Each label's log-odds are followed from a sentence whose tokens are blank (padding's vectors, special tokens kept) to
the sentence itself, and the gradient along the way shared out among the tokens (Sundararajan, Taly and Yan 2017,
arXiv:1703.01365). By the method's axiom of completeness the contributions then add up to the difference between the
two, which is checked: :data:`TOLERANCE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from brinkline.model.checkpoint import TOKENIZER, Calibration
from brinkline.model.classifier import probabilities
from brinkline.model.encoding import EncodedSentence, SentenceEncoder, collate
from brinkline.model.engine import Logits
from brinkline.model.explain import LABELS, Explanation, FloatArray, Word, by_label, find_words
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.network import Network
from brinkline.model.scores import SentenceScore
from brinkline.model.sentences import Span
from brinkline.train.scoring import to_tensors

TOLERANCE = 0.02
"""How far the sum of the contributions may lie from the difference of log-odds that it should equal."""

_FIRST, _LAST = 32, 1024  # points of the integral: doubled until the sum is right
_CHUNK = 32  # points computed at once


class CompletenessError(ArithmeticError):
    """The contributions do not add up, even with the most points."""


def attribute(
    checkpoint: str | Path,
    sentence: str,
    *,
    previous: str | None = None,
    calibration: Calibration | None = None,
) -> Explanation:
    """Say which words of a sentence carry which label, by integrated gradients.

    :param checkpoint: a training checkpoint (``config.json``, ``model.safetensors``, ``tokenizer.json``).
    :param sentence: one sentence.
    :param previous: the text before it (read only by models trained with context); it stays as it is.
    :param calibration: temperatures and thresholds, as in a model folder's manifest; by default none and 0.5.
    :return: the explanation; ``rest`` holds what falls to punctuation.
    :raises FileNotFoundError: where there is no checkpoint.
    :raises CompletenessError: where the contributions miss the difference by more than :data:`TOLERANCE`.
    """
    calibration = calibration or Calibration()
    folder = Path(checkpoint)
    network, limits = Network.load(folder)
    encoder = SentenceEncoder.from_file(folder / TOKENIZER, limits["max_tokens"])
    encoded = encoder.encode([sentence], [previous or ""] if limits["context"] else None)[0]
    tokens, offsets = _tokens(encoder, sentence)
    places = _places(encoded.ids, tokens)
    path = _Path(network, encoded, places, encoder.pad_id, calibration)
    by_token, start, end = path.integrate()
    spans = find_words(sentence)
    by_word, rest = _gather(by_token[places], offsets, spans)
    words = tuple(
        Word(sentence[s.start : s.end], s.start, s.end, by_label(row))
        for s, row in zip(spans, by_word, strict=True)
    )
    score = _score(sentence, path.logits(), calibration, encoded.truncated)
    return Explanation(
        score, words, by_label(end), by_label(start), "integrated gradients", rest=by_label(rest)
    )


class _Path:
    """The straight line from the blank sentence to the sentence, in the space of token vectors."""

    def __init__(
        self,
        network: Network,
        encoded: EncodedSentence,
        places: slice,
        pad_id: int,
        calibration: Calibration,
    ) -> None:
        self._network = network
        self._inputs = to_tensors(collate([encoded], pad_id))
        embedding: torch.nn.Module = network.encoder.get_input_embeddings()  # type: ignore[operator]
        self._embedding = embedding
        with torch.no_grad():
            self._end: Tensor = embedding(self._inputs["input_ids"])
            blank = self._inputs["input_ids"].clone()
            blank[0, places] = pad_id
            self._start: Tensor = embedding(blank)
        self._calibration = calibration

    def logits(self) -> Logits:
        """Return the logits of the sentence itself."""
        with torch.no_grad():
            stance, signals = self._network(**self._inputs)
        return Logits(stance.numpy(), signals.numpy())

    def integrate(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return contributions, *Shape:* ``(tokens, 6)``, and the log-odds at the start and the end of the path."""
        with torch.no_grad():
            start, end = (self._odds(vectors)[0].double().numpy() for vectors in (self._start, self._end))
        points = _FIRST
        while True:
            by_token = self._sum(points)
            gap = float(np.abs(by_token.sum(axis=0) - (end - start)).max())
            if gap <= TOLERANCE:
                return by_token, start, end
            if points >= _LAST:
                raise CompletenessError(
                    f"contributions miss the difference in log-odds by {gap:.3f} with {points} points, "
                    f"{TOLERANCE} is allowed"
                )
            points *= 2

    def _sum(self, points: int) -> FloatArray:
        nodes, weights = np.polynomial.legendre.leggauss(points)
        total = torch.zeros(*self._end.shape[1:], len(LABELS), dtype=torch.float64)
        for first in range(0, points, _CHUNK):
            part = slice(first, first + _CHUNK)
            along = torch.from_numpy((nodes[part] + 1) / 2).float().view(-1, 1, 1)
            vectors = (self._start + along * (self._end - self._start)).requires_grad_()
            odds = self._odds(vectors)
            share = torch.from_numpy(weights[part] / 2).view(-1, 1, 1)
            for column in range(len(LABELS)):
                (gradient,) = torch.autograd.grad(odds[:, column].sum(), vectors, retain_graph=True)
                total[..., column] += (gradient.double() * share).sum(dim=0)
        difference = (self._end - self._start)[0].double()
        contributions: FloatArray = torch.einsum("tw,twl->tl", difference, total).numpy()
        return contributions

    def _odds(self, vectors: Tensor) -> Tensor:
        """Return the log-odds for token vectors. *Shape:* ``(points, tokens, width)`` to ``(points, 6)``."""
        inputs = {name: value.expand(len(vectors), -1) for name, value in self._inputs.items()}
        with _instead(self._embedding, vectors):
            stance, signals = self._network(**inputs)
        stance = stance / self._calibration.stance_temperature
        columns = range(len(STANCES))
        others = [torch.logsumexp(stance[:, [i for i in columns if i != c]], dim=1) for c in columns]
        temperatures = torch.tensor([self._calibration.signal_temperatures[signal] for signal in SIGNALS])
        return torch.cat([stance - torch.stack(others, dim=1), signals / temperatures], dim=1)


@contextmanager
def _instead(embedding: torch.nn.Module, vectors: Tensor) -> Iterator[None]:
    """Let an embedding return these vectors: works for every encoder, whatever it takes as input."""
    hook = embedding.register_forward_hook(lambda *_: vectors)
    try:
        yield
    finally:
        hook.remove()


def _tokens(encoder: SentenceEncoder, sentence: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the sentence's token ids and their character offsets."""
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_str(encoder.to_json())
    # One character for one, so that the offsets hold.
    found = tokenizer.encode(sentence.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False)
    return found.ids, found.offsets


def _places(ids: list[int], tokens: list[int]) -> slice:
    """Find the sentence's tokens, or as many as were read, in the model's input: they are the last that fit."""
    for count in range(min(len(ids), len(tokens)), 0, -1):
        for first in range(len(ids) - count, -1, -1):
            if ids[first : first + count] == tokens[:count]:
                return slice(first, first + count)
    return slice(0, 0)


def _gather(
    by_token: FloatArray, offsets: list[tuple[int, int]], spans: list[Span]
) -> tuple[FloatArray, FloatArray]:
    """Add up the tokens of each word, *Shape:* ``(words, 6)``, and those of none, *Shape:* ``(6,)``."""
    by_word, rest = np.zeros((len(spans), len(LABELS))), np.zeros(len(LABELS))
    for row, (start, _) in zip(by_token, offsets, strict=False):
        for word, span in enumerate(spans):
            if span.start <= start < span.end:
                by_word[word] += row
                break
        else:
            rest += row
    return by_word, rest


def _score(sentence: str, logits: Logits, calibration: Calibration, truncated: bool) -> SentenceScore:
    stance, signals = (array[0].tolist() for array in probabilities(logits, calibration))
    return SentenceScore(
        text=sentence,
        start=0,
        end=len(sentence),
        stance=STANCES[int(np.argmax(stance))],
        stance_probabilities=dict(zip(STANCES, stance, strict=True)),
        signals=tuple(s for s, p in zip(SIGNALS, signals, strict=True) if p >= calibration.thresholds[s]),
        signal_probabilities=dict(zip(SIGNALS, signals, strict=True)),
        truncated=truncated,
    )
