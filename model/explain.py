"""Why a sentence was given its labels: how much each word carries each of them.

A word is taken out of the sentence, the rest is scored again, and what a label's log-odds lose by it is the word's
contribution (leave-one-out, or occlusion: Zeiler and Fergus 2014, arXiv:1311.2901; Li et al. 2016, arXiv:1612.08220).
Words act together ("will not", "if … then"), so the strongest words of a label that the sentence was given are
searched for one after the other, each with those before it already gone (docs/explain.md has the measurements).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.scores import SentenceScore, import_pandas
from brinkline.model.sentences import Span

if TYPE_CHECKING:
    import pandas

    from brinkline.model.checkpoint import Calibration
    from brinkline.model.classifier import Classifier
    from brinkline.model.engine import Logits

FloatArray = NDArray[np.float64]

LABELS: tuple[str, ...] = (*STANCES, *SIGNALS)
"""Columns of the arrays of log-odds below: the stances, then the signals."""

METHODS: tuple[str, ...] = ("auto", "search", "leave-one-out")
"""``auto`` is ``search``: leave-one-out, and a search for the words that are strongest together."""

SEARCHED = 3
"""How many words are searched for one after the other; the words after them go by their own contribution."""

# Letters and digits, with accents written as characters of their own, and what joins them: U.S., don't, cease-fire.
_WORD = re.compile(r"\w[\w\u0300-\u036f]*(?:['’.\-‐‑]\w[\w\u0300-\u036f]*)*")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of an explained sentence."""

    text: str
    """As it stands in the sentence."""
    start: int
    """Offset of its first character: ``sentence[start:end] == text``."""
    end: int
    """Offset just past its last character."""
    contributions: Mapping[str, float]
    """What the log-odds of each label owe to the word; below zero where the word speaks against the label."""


class Found(NamedTuple):
    """One word that the search took out."""

    position: int
    """Of the word in ``Explanation.words``."""
    contribution: float
    """What the label's log-odds lost when it was taken out, with those before it already gone."""


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """Which words of a sentence carry which label."""

    score: SentenceScore
    """What the model says of the sentence."""
    words: tuple[Word, ...]
    """Its words, in order."""
    log_odds: Mapping[str, float]
    """Log-odds of each label for the whole sentence, from calibrated probabilities."""
    baseline: Mapping[str, float]
    """The same with nothing to read: all words taken out, or what the method compares with."""
    method: str
    """``leave-one-out``, ``search`` or ``integrated gradients``."""
    together: Mapping[str, tuple[Found, ...]] = field(default_factory=dict)
    """For the labels that the sentence was given (method ``search``): the words that are strongest together."""
    rest: Mapping[str, float] = field(default_factory=dict)
    """Contributions of what is no word (punctuation), for methods that give it any."""

    @property
    def sentence(self) -> str:
        """The sentence."""
        return self.score.text

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the sentence was given: its stance, then its signals."""
        return (self.score.stance, *self.score.signals)

    def strongest(self, label: str, n: int = 3) -> tuple[Word, ...]:
        """Return the words that carry a label most, strongest first.

        For a label that the sentence was given, the first three are strongest together (method ``search``): the
        second is the one that weighs most once the first is gone. All others go by their own contribution.

        :param label: a stance or a signal, given or not.
        :param n: how many at most; a sentence with fewer words gives fewer.
        :raises ValueError: for an unknown label, or ``n`` below 0.
        """
        _check_label(label)
        if n < 0:
            raise ValueError(f"n must be at least 0, got {n}")
        first = [found.position for found in self.together.get(label, ())]
        others = [i for i in range(len(self.words)) if i not in first]
        others.sort(key=lambda i: -self.words[i].contributions[label])
        return tuple(self.words[i] for i in [*first, *others][:n])

    def carriers(self, label: str) -> tuple[Word, ...]:
        """Return those of the three strongest words that speak for the label: fewer than three, or none, may do.

        :param label: a stance or a signal, given or not.
        :raises ValueError: for an unknown label.
        """
        found = {step.position: step.contribution for step in self.together.get(label, ())}
        gains = {self.words[i].start: gain for i, gain in found.items()}
        words = self.strongest(label, SEARCHED)
        return tuple(w for w in words if gains.get(w.start, w.contributions[label]) > 0)

    def total(self, label: str) -> float:
        """Return the sum of all contributions to a label.

        With integrated gradients it equals :meth:`difference`. With leave-one-out it need not: words that say the same
        are each worth little alone, words that need one another are each counted in full.

        :raises ValueError: for an unknown label.
        """
        _check_label(label)
        return sum(word.contributions[label] for word in self.words) + self.rest.get(label, 0.0)

    def difference(self, label: str) -> float:
        """Return how far the label's log-odds for the sentence lie above those for nothing to read.

        :raises ValueError: for an unknown label.
        """
        _check_label(label)
        return self.log_odds[label] - self.baseline[label]

    def to_frame(self) -> pandas.DataFrame:
        """Return a table with one row a word: ``text``, ``start``, ``end`` and its contribution to each label.

        :raises ImportError: without pandas (extra ``[frame]``).
        """
        rows = [
            {"text": word.text, "start": word.start, "end": word.end, **word.contributions}
            for word in self.words
        ]
        types = {"text": "str", "start": "int64", "end": "int64", **dict.fromkeys(LABELS, "float64")}
        frame: pandas.DataFrame = import_pandas().DataFrame(rows, columns=list(types))
        return frame.astype(types)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, ready for JSON; ``strongest`` holds positions of words."""
        positions = {word.start: i for i, word in enumerate(self.words)}
        return {
            **self.score.to_dict(),
            "method": self.method,
            "words": [
                {"text": w.text, "start": w.start, "end": w.end, "contributions": dict(w.contributions)}
                for w in self.words
            ],
            "strongest": {label: [positions[w.start] for w in self.carriers(label)] for label in LABELS},
            "log_odds": dict(self.log_odds),
            "baseline": dict(self.baseline),
            "total": {label: self.total(label) for label in LABELS},
        }

    def _repr_html_(self) -> str:
        from brinkline.model.explain_render import explanation_html

        return explanation_html(self)

    def __repr__(self) -> str:
        parts = []
        for label in self.labels:
            names = [word.text for word in self.carriers(label)]
            parts.append(f"{label}: {', '.join(names) or 'no word'}")
        return f"<Explanation {'; '.join(parts)}>"


def explain(
    classifier: Classifier, sentence: str, *, previous: str | None = None, method: str = "auto"
) -> Explanation:
    """Say which words of a sentence carry which label.

    Costs one scored sentence a word, and with the search about two more a word for each label that was given.

    :param classifier: the model.
    :param sentence: one sentence.
    :param previous: the text before it (read only by models trained with context).
    :param method: one of :data:`METHODS`.
    :return: the explanation.
    :raises TypeError: if the sentence is not a str.
    :raises ValueError: for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; methods are {', '.join(METHODS)}")
    before = previous or ""
    score = classifier.predict_sentences([sentence], previous=[before])[0]
    words = find_words(sentence)
    # Words further on are not read, whatever is taken out: they carry nothing.
    spans = words[: classifier.manifest.max_tokens + SEARCHED]
    text = sentence if len(spans) == len(words) else sentence[: spans[-1].end]
    removals: list[set[int]] = [set(), set(range(len(spans))), *({i} for i in range(len(spans)))]
    odds = _odds_without(classifier, text, before, spans, removals)
    lost = np.vstack([odds[0] - odds[2:], np.zeros((len(words) - len(spans), len(LABELS)))])
    together = {}
    if method != "leave-one-out" and spans:
        together = _search(classifier, text, before, spans, (score.stance, *score.signals), odds)
    explained = tuple(
        Word(sentence[s.start : s.end], s.start, s.end, by_label(row))
        for s, row in zip(words, lost, strict=True)
    )
    name = "leave-one-out" if method == "leave-one-out" else "search"
    return Explanation(score, explained, by_label(odds[0]), by_label(odds[1]), name, together)


def find_words(sentence: str) -> list[Span]:
    """Return the words of a sentence, in order: runs of letters and digits, joined by apostrophe, hyphen or point."""
    return [Span(*match.span()) for match in _WORD.finditer(sentence)]


def without(sentence: str, spans: Sequence[Span], removed: Collection[int]) -> str:
    """Return a sentence without some of its words; punctuation stays, and no double space is left behind.

    :param sentence: the sentence.
    :param spans: its words, as of :func:`find_words`.
    :param removed: positions in ``spans``.
    """
    kept = ""
    done = 0
    for position in sorted(removed):
        start, end = spans[position]
        kept += sentence[done:start]
        if sentence[end : end + 1].isspace() and (not kept or kept[-1].isspace()):
            end += 1
        done = end
    return kept + sentence[done:]


def log_odds(logits: Logits, calibration: Calibration) -> FloatArray:
    """Turn logits into the log-odds of each label, after temperature scaling.

    A stance's log-odds are its logit less the log-sum-exp of the two others: log(p / (1 - p)) without overflow.

    :param logits: of ``n`` sentences.
    :param calibration: the temperatures.
    :return: *Shape:* ``(n, 6)``, columns in the order of :data:`LABELS`.
    """
    stance = logits.stance.astype(np.float64) / calibration.stance_temperature
    columns = []
    for column in range(len(STANCES)):
        others = np.delete(stance, column, axis=1)
        columns.append(stance[:, column] - np.logaddexp.reduce(others, axis=1))
    temperatures = np.array([calibration.signal_temperatures[signal] for signal in SIGNALS])
    return np.column_stack([*columns, logits.signals.astype(np.float64) / temperatures])


def by_label(row: FloatArray) -> dict[str, float]:
    """Name six numbers by their labels."""
    return dict(zip(LABELS, row.tolist(), strict=True))


def _odds_without(
    classifier: Classifier,
    sentence: str,
    previous: str,
    spans: Sequence[Span],
    removals: Sequence[Collection[int]],
) -> FloatArray:
    """Score the sentence without each of the sets of words. *Shape:* ``(len(removals), 6)``."""
    texts = [without(sentence, spans, removed) for removed in removals]
    encoded = classifier.encode(texts, [previous] * len(texts))
    return log_odds(classifier.logits(encoded), classifier.manifest.calibration)


def _search(
    classifier: Classifier,
    sentence: str,
    previous: str,
    spans: Sequence[Span],
    labels: Sequence[str],
    odds: FloatArray,
) -> dict[str, tuple[Found, ...]]:
    """For each label take out the word that costs it most, then, of what is left, again; labels side by side.

    :param odds: for the whole sentence, for none of it, and without each word, *Shape:* ``(len(spans) + 2, 6)``.
    :return: at most :data:`SEARCHED` words a label, in the order in which they were taken.
    """
    columns = [LABELS.index(label) for label in labels]
    taken: list[list[Found]] = [[] for _ in labels]
    before = odds[0, columns]
    after = [odds[2:, column] for column in columns]
    left = [list(range(len(spans))) for _ in labels]
    for step in range(min(SEARCHED, len(spans))):
        if step:
            sets = [{*(found.position for found in taken[k]), i} for k in range(len(labels)) for i in left[k]]
            rows = _odds_without(classifier, sentence, previous, spans, sets)
            # As many words are left for every label.
            parts = np.split(rows, len(labels))
            after = [part[:, column] for part, column in zip(parts, columns, strict=True)]
        for k in range(len(labels)):
            best = int(after[k].argmin())
            taken[k].append(Found(left[k].pop(best), float(before[k] - after[k][best])))
            before[k] = after[k][best]
    return {label: tuple(found) for label, found in zip(labels, taken, strict=True)}


def _check_label(label: str) -> None:
    if label not in LABELS:
        raise ValueError(f"unknown label {label!r}; labels are {', '.join(LABELS)}")
