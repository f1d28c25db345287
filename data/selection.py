"""Which sentences are worth labelling, as numbers: uncertainty, disagreement with neighbours, spread."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from brinkline.model.labels import SIGNALS

FloatArray = NDArray[np.float32]

COPY = 0.9
"""Cosine similarity of the wording from which on two sentences count as copies of one another."""

_WIDTH = 512  # of a lexical vector
_NEIGHBOURS = 8
_BLOCK = 1024  # rows compared at once
_SELF = 0.9999  # cosine similarity from which on a neighbour is the sentence itself


def uncertainty(
    stances: Mapping[str, float], signals: Mapping[str, float], thresholds: Mapping[str, float]
) -> tuple[float, str]:
    """Return how unsure a model is of a sentence, 0 to 1, and the label that it is least sure of.

    For the stance one minus the margin between the two most probable (margin sampling, Scheffer et al. 2001; Settles
    2009, Active Learning Literature Survey, 3.1); for a signal how near its probability is to the threshold, as a
    share of the room on that side (Lewis & Gale 1994, with a threshold of its own for each label). The largest counts.

    :param stances: probabilities by stance.
    :param signals: probabilities by signal.
    :param thresholds: probabilities from which on a signal is given.
    """
    first, second = sorted(stances.values(), reverse=True)[:2]
    found = {"stance": 1 - (first - second)}
    for name in SIGNALS:
        probability, limit = signals[name], thresholds[name]
        room = 1 - limit if probability >= limit else limit
        found[name] = 1 - abs(probability - limit) / room if room > 0 else 1.0
    best = max(found, key=lambda name: found[name])
    return found[best], best


def disagreement(
    vectors: FloatArray, labels: Sequence[str], others: FloatArray, theirs: Sequence[str]
) -> NDArray[np.float64]:
    """Return for each sentence the share of its nearest neighbours that bear another label.

    :param vectors: unit vectors, *Shape:* ``(n, width)``.
    :param labels: their labels, ``n``.
    :param others: unit vectors of the neighbours to look among, *Shape:* ``(m, width)``; the sentence itself is
        passed over.
    :param theirs: their labels, ``m``.
    :return: *Shape:* ``(n,)``, each weighted by similarity; 0 where there is no neighbour.
    """
    codes = {name: code for code, name in enumerate(dict.fromkeys([*labels, *theirs]))}
    own, their = (np.array([codes[name] for name in side], dtype=np.int64) for side in (labels, theirs))
    found = np.zeros(len(vectors))
    if not len(others):
        return found
    for start in range(0, len(vectors), _BLOCK):
        similar = vectors[start : start + _BLOCK] @ others.T
        similar[similar >= _SELF] = 0
        count = min(_NEIGHBOURS, similar.shape[1])
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        weights = np.clip(np.take_along_axis(similar, nearest, axis=1), 0, None).astype(np.float64)
        differs = their[nearest] != own[start : start + _BLOCK, None]
        total = weights.sum(axis=1)
        found[start : start + _BLOCK] = (weights * differs).sum(axis=1) / np.where(total > 0, total, 1)
    return found


def spread(
    vectors: FloatArray, words: FloatArray, count: int, taken: FloatArray, taken_words: FloatArray
) -> list[int]:
    """Choose sentences far from each other: the farthest-first traversal (Gonzalez 1985; Sener & Savarese 2018).

    :param vectors: unit vectors, *Shape:* ``(n, width)``; the first is taken first where nothing is taken yet.
    :param words: unit vectors of the wording, by which copies are known, *Shape:* ``(n, 512)``.
    :param count: how many to choose.
    :param taken: unit vectors of what is chosen already, *Shape:* ``(m, width)``.
    :param taken_words: likewise, of the wording, *Shape:* ``(m, 512)``.
    :return: at most ``count`` positions, in the order of choosing; copies of what is chosen are left out.
    """
    nearest, likest = (np.full(len(vectors), -1.0, dtype=np.float32) for _ in range(2))
    for start in range(0, len(taken), _BLOCK):
        block = slice(start, start + _BLOCK)
        np.maximum(nearest, (vectors @ taken[block].T).max(axis=1), out=nearest)
        np.maximum(likest, (words @ taken_words[block].T).max(axis=1), out=likest)
    chosen: list[int] = []
    while len(chosen) < min(count, len(vectors)):
        nearest[likest >= COPY] = np.inf
        best = int(nearest.argmin())
        if np.isinf(nearest[best]):
            break
        chosen.append(best)
        np.maximum(nearest, vectors @ vectors[best], out=nearest)
        np.maximum(likest, words @ words[best], out=likest)
        nearest[best] = np.inf
    return chosen


def lexical_vectors(texts: Sequence[str]) -> FloatArray:
    """Return hashed bags of words as unit vectors: likeness in wording, where a model gives no embedding.

    :return: *Shape:* ``(len(texts), 512)``; a text without a word is all zero.
    """
    vectors = np.zeros((len(texts), _WIDTH), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.casefold()):
            # crc32 is the same in every process, which hash() is not.
            vectors[row, zlib.crc32(word.encode("utf-8", "replace")) % _WIDTH] += 1
    return unit(vectors)


def unit(vectors: FloatArray) -> FloatArray:
    """Scale rows to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
