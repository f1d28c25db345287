"""Sentences that are nearly the same: MinHash finds candidates, the exact overlap decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from brinkline.data.corpus import normalised
from brinkline.data.schema import Document, LabelledSentence

SIMILAR = 0.6
"""Jaccard similarity of the word trigrams from which on two sentences are nearly the same."""
WORDS = 6
"""Shorter sentences are alike by chance and are compared whole only (see :mod:`brinkline.data.check`)."""

_PERMUTATIONS = 128


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two sentences of different documents that are nearly the same."""

    first: tuple[Document, LabelledSentence]
    second: tuple[Document, LabelledSentence]
    similarity: float
    """Jaccard similarity of their word trigrams, 0 to 1."""


def near_duplicates(documents: Sequence[Document], against: Sequence[Document] = ()) -> list[NearDuplicate]:
    """Find pairs of sentences that are nearly, but not exactly, the same (Broder 1997, MinHash).

    :param documents: sentences of one document are not compared with each other.
    :param against: where given, pairs are made of one sentence of ``documents`` and one of these only.
    :return: the pairs, most similar first.
    :raises ImportError: where datasketch is not installed (it comes with ``brinkline[train]``).
    """
    from datasketch import MinHash, MinHashLSH

    rows = list(_shingled([*documents, *against]))
    if not rows:
        return []
    boundary = len(list(_shingled(documents)))
    hashes = MinHash.bulk(([s.encode() for s in row[2]] for row in rows), num_perm=_PERMUTATIONS)
    # A lower threshold than wanted: a candidate missed is lost, one too many is dropped below.
    index = MinHashLSH(threshold=SIMILAR - 0.15, num_perm=_PERMUTATIONS)
    found = []
    for number, (document, sentence, shingles) in enumerate(rows):
        if not against or number >= boundary:
            for other in index.query(hashes[number]):
                pair = _pair(rows[other], (document, sentence, shingles))
                if pair is not None:
                    found.append(pair)
        if not against or number < boundary:
            index.insert(number, hashes[number])
    return sorted(found, key=lambda pair: -pair.similarity)


_Row = tuple[Document, LabelledSentence, frozenset[str]]


def _shingled(documents: Iterable[Document]) -> Iterator[_Row]:
    for document in documents:
        for sentence in document.sentences:
            words = normalised(sentence.text).split()
            if len(words) >= WORDS:
                shingles = frozenset(" ".join(words[i : i + 3]) for i in range(len(words) - 2))
                yield document, sentence, shingles


def _pair(first: _Row, second: _Row) -> NearDuplicate | None:
    if first[0] is second[0]:
        return None
    similarity = len(first[2] & second[2]) / len(first[2] | second[2])
    same = normalised(first[1].text) == normalised(second[1].text)
    if similarity < SIMILAR or same:
        return None
    return NearDuplicate(first[:2], second[:2], similarity)
