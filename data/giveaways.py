"""Words that give a label away: those whose presence says most about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from brinkline.data.corpus import normalised
from brinkline.data.schema import Document, sentences_of
from brinkline.model.labels import SIGNALS, STANCES

FEWEST = 20
"""Rarer words say little."""


@dataclass(frozen=True, slots=True)
class Giveaway:
    """A word and how often a label stands where it stands."""

    word: str
    label: str
    with_label: int
    """Sentences with the word and the label."""
    sentences: int
    """Sentences with the word."""
    information: float
    """Pointwise mutual information of word and label, in bits (Church and Hanks 1990)."""


def giveaways(documents: Iterable[Document], most: int = 10) -> dict[str, list[Giveaway]]:
    """Return for each label the words with the highest pointwise mutual information, highest first.

    :param documents: labelled sentences; a word counts once a sentence.
    :param most: words a label.
    """
    words: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    total = 0
    for sentence in sentences_of(documents):
        total += 1
        found = {word for word in normalised(sentence.text).split() if not word.isdigit()}
        carried = (sentence.stance, *sentence.signals)
        words.update(found)
        labels.update(carried)
        together.update((word, label) for word in found for label in carried)
    result: dict[str, list[Giveaway]] = {}
    for label in (*STANCES, *SIGNALS):
        rows = [
            Giveaway(word, label, n, words[word], math.log2(n * total / (words[word] * labels[label])))
            for (word, other), n in together.items()
            if other == label and words[word] >= FEWEST
        ]
        result[label] = sorted(rows, key=lambda row: (-row.information, row.word))[:most]
    return result
