"""Choose the sentences of an archive that are most worth labelling.

The archive is read once, as a stream; what is held are two pools of fixed size: a random one (a reservoir) and the
sentences that the model is least sure of.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from brinkline.data.corpus import normalised
from brinkline.data.schema import LabelledSentence
from brinkline.data.selection import FloatArray, disagreement, lexical_vectors, spread, uncertainty, unit
from brinkline.data.tasks import Suggestion, Task, sentence_id
from brinkline.model.classifier import Classifier
from brinkline.model.errors import BrinklineError
from brinkline.model.labels import STANCES
from brinkline.model.scores import ArticleScores
from brinkline.sources import Article

logger = logging.getLogger(__name__)

Places = NDArray[np.int64]

STRATEGIES: Mapping[str, Mapping[str, float]] = {
    "mixed": {"uncertain": 0.5, "neighbours": 0.25, "diverse": 0.25},
    "uncertain": {"uncertain": 1.0},
    "neighbours": {"neighbours": 1.0},
    "diverse": {"diverse": 1.0},
    "random": {},
}
"""Strategy → what the sentences that are not drawn at random are chosen by, in shares."""

_BACKGROUND = 2000  # sentences at random: the neighbours to compare with, and what diverse ones come from
_POOL = 10  # unsure sentences held for each one wanted
_SHORTLIST = 5  # of these, for each one chosen, the spread picks
_REFERENCE = 5000  # labelled sentences looked at as neighbours


@dataclass(frozen=True, slots=True)
class Sample:
    """Chosen sentences."""

    tasks: tuple[Task, ...]
    """In random order, so that neither place nor reason tells an annotator anything."""
    sentences: int
    """Sentences of the archive that could have been chosen."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    task: Task
    key: str
    """The text without what does not matter: two of one key are one sentence."""
    unsure: float
    label: str
    """What the model is least sure of."""


@dataclass(slots=True)
class _Reservoir:
    """A uniform random sample of a stream (Vitter 1985, algorithm R)."""

    size: int
    rng: np.random.Generator
    items: list[_Candidate] = field(default_factory=list)
    seen: int = 0

    def offer(self, item: _Candidate) -> None:
        self.seen += 1
        if len(self.items) < self.size:
            self.items.append(item)
        elif (place := int(self.rng.integers(self.seen))) < self.size:
            self.items[place] = item


@dataclass(slots=True)
class _Unsure:
    """The sentences of a stream that a model is least sure of, each text once."""

    size: int
    heap: list[tuple[float, int, _Candidate]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    count: int = 0

    def offer(self, item: _Candidate) -> None:
        if item.key in self.keys or (len(self.heap) >= self.size and item.unsure <= self.heap[0][0]):
            return
        self.count += 1
        self.keys.add(item.key)
        heapq.heappush(self.heap, (item.unsure, -self.count, item))
        if len(self.heap) > self.size:
            self.keys.discard(heapq.heappop(self.heap)[2].key)

    def items(self) -> list[_Candidate]:
        return [item for _, _, item in sorted(self.heap, key=lambda entry: (-entry[0], -entry[1]))]


def sample(
    articles: Iterable[Article],
    classifier: Classifier,
    count: int = 200,
    *,
    strategy: str = "mixed",
    random_share: float = 0.2,
    seed: int = 0,
    labelled: Sequence[LabelledSentence] = (),
    previous: int = 1,
    progress: bool | None = None,
) -> Sample:
    """Choose sentences to label.

    :param articles: the archive; read once.
    :param classifier: scores them.
    :param count: how many sentences.
    :param strategy: one of :data:`STRATEGIES`.
    :param random_share: share of them that is drawn at random from all sentences, for figures without bias.
    :param seed: fixes the draw.
    :param labelled: sentences that have labels already: left out, and neighbours to compare with.
    :param previous: sentences before a chosen one that are shown with it.
    :param progress: as for :meth:`Classifier.predict_many`.
    :raises ValueError: for an unknown strategy, a share outside 0 to 1, or a count below 1.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}; strategies are {', '.join(STRATEGIES)}")
    if count < 1 or not 0 <= random_share <= 1 or previous < 0:
        raise ValueError("count must be at least 1, random_share between 0 and 1, previous not below 0")
    rng = np.random.default_rng(seed)
    at_random = count if strategy == "random" else round(count * random_share)
    reservoir = _Reservoir(at_random + _BACKGROUND, rng)
    unsure = _Unsure(max(_POOL * count, _BACKGROUND))
    done = {normalised(sentence.text) for sentence in labelled}
    for item in _candidates(articles, classifier, previous, progress):
        if item.key not in done:
            reservoir.offer(item)
            unsure.offer(item)
    # Any part of a uniform sample, picked without looking, is one.
    drawn = [reservoir.items[place] for place in rng.permutation(len(reservoir.items))]
    chance = min(1.0, at_random / reservoir.seen) if reservoir.seen else 0.0
    # An article that stands in the archive twice has the same sentences twice, under the same ids.
    fair = {item.task.id: replace(item.task, why="random", chance=chance) for item in drawn[:at_random]}
    chosen = list(fair.values())
    wanted = count - len(chosen)
    if STRATEGIES[strategy] and wanted and reservoir.seen:
        places = sorted(rng.permutation(len(labelled))[:_REFERENCE].tolist())
        near = [labelled[place] for place in places]
        search = _Search(classifier, drawn[:at_random], drawn[at_random:], unsure.items(), near)
        chosen += search.choose(STRATEGIES[strategy], wanted)
    if len(chosen) < min(count, reservoir.seen):
        logger.warning("only %d of %d sentences chosen: the others are near copies", len(chosen), count)
    return Sample(tuple(chosen[place] for place in rng.permutation(len(chosen))), reservoir.seen)


def _candidates(
    articles: Iterable[Article], classifier: Classifier, previous: int, progress: bool | None
) -> Iterator[_Candidate]:
    names: list[str] = []

    def texts() -> Iterator[str]:
        for article in articles:
            names.append(article.id)
            yield article.text

    thresholds = classifier.manifest.calibration.thresholds
    for scores in classifier.predict_many(texts(), progress=progress):
        yield from _of_article(scores, names.pop(0), thresholds, previous)


def _of_article(
    scores: ArticleScores, document: str, thresholds: Mapping[str, float], previous: int
) -> Iterator[_Candidate]:
    for index, sentence in enumerate(scores.sentences):
        key = normalised(sentence.text)
        if not key:
            continue
        # A lone surrogate cannot be written to a file.
        text = sentence.text.encode("utf-8", "replace").decode("utf-8")
        before = scores.sentences[max(0, index - previous) : index]
        context = " ".join(s.text for s in before).encode("utf-8", "replace").decode("utf-8")
        unsure, label = uncertainty(sentence.stance_probabilities, sentence.signal_probabilities, thresholds)
        probabilities = {**sentence.stance_probabilities, **sentence.signal_probabilities}
        said = Suggestion(sentence.stance, sentence.signals, probabilities, scores.model)
        name = sentence_id(document, index, text)
        task = Task(name, text, context, document, sentence.start, sentence.end, suggestion=said)
        yield _Candidate(task, key, unsure, label)


class _Search:
    """Chooses out of the pools; every text is embedded once."""

    def __init__(
        self,
        classifier: Classifier,
        drawn: Sequence[_Candidate],
        background: Sequence[_Candidate],
        unsure: Sequence[_Candidate],
        labelled: Sequence[LabelledSentence],
    ) -> None:
        used = {item.key for item in drawn}
        both = {item.key: item for item in [*unsure, *background] if item.key not in used}
        self._pool = list(both.values())
        self._background = [*drawn, *background]
        self._labelled = labelled
        groups = (self._pool, drawn, self._background)
        texts = dict.fromkeys([s.text for s in labelled] + [c.task.text for group in groups for c in group])
        self._rows = {text: row for row, text in enumerate(texts)}
        self._embedded, self._matrix = _vectors(classifier, list(texts))
        self._vectors = self._of(item.task.text for item in self._pool)
        self._words = lexical_vectors([item.task.text for item in self._pool])
        taken = [*(s.text for s in labelled), *(item.task.text for item in drawn)]
        self._taken, self._taken_words = self._of(taken), lexical_vectors(taken)

    def choose(self, shares: Mapping[str, float], count: int) -> list[Task]:
        """Choose ``count`` sentences in the given shares of reasons, and no copies."""
        free = np.ones(len(self._pool), dtype=bool)
        chosen: list[Task] = []
        orders: dict[str, Places] = {}
        for why, quota in _quotas(shares if self._embedded else _without_neighbours(shares), count).items():
            orders[why] = self._order(why)
            shortlist = orders[why] if why == "diverse" else orders[why][: quota * _SHORTLIST + len(chosen)]
            chosen += self._pick(why, shortlist, quota, free)
        for why, order in orders.items():  # copies left a gap: what else there is may fill it
            chosen += self._pick(why, order, count - len(chosen), free)
        return chosen

    def _pick(self, why: str, order: Places, quota: int, free: NDArray[np.bool_]) -> list[Task]:
        order = order[free[order]]
        vectors, words = self._vectors[order], self._words[order]
        places = order[spread(vectors, words, quota, self._taken, self._taken_words)]
        free[places] = False
        self._taken_words = np.concatenate([self._taken_words, self._words[places]])
        self._taken = np.concatenate([self._taken, self._vectors[places]])
        return [_explained(self._pool[place], why) for place in places]

    def _order(self, why: str) -> Places:
        """Return places in the pool, those that most deserve the reason first."""
        unsure = np.array([item.unsure for item in self._pool])
        if why == "uncertain":
            return np.argsort(-unsure, kind="stable")
        if why == "diverse":
            ordinary = {item.key for item in self._background}
            return np.array([i for i, c in enumerate(self._pool) if c.key in ordinary], dtype=np.int64)
        # Against what is known, and against what the model says of an ordinary part of the archive.
        others = self._of([*(s.text for s in self._labelled), *(item.task.text for item in self._background)])
        theirs = [*(s.stance for s in self._labelled), *(_stance(item) for item in self._background)]
        differs = disagreement(self._vectors, [_stance(item) for item in self._pool], others, theirs)
        return np.lexsort((-unsure, -differs))

    def _of(self, texts: Iterable[str]) -> FloatArray:
        return self._matrix[np.array([self._rows[text] for text in texts], dtype=np.int64)]


def _vectors(classifier: Classifier, texts: Sequence[str]) -> tuple[bool, FloatArray]:
    """Return whether the model embeds texts, and their unit vectors, *Shape:* ``(len(texts), width)``."""
    try:
        # Encoders put all sentences into a narrow cone: without the mean, near and far are told apart (Mu & Viswanath
        # 2018, All-but-the-Top).
        vectors = classifier.embed(texts)
        return True, unit(vectors - vectors.mean(axis=0))
    except BrinklineError as error:
        logger.warning("%s: sentences count as alike where their words are", error)
    return False, lexical_vectors(texts)


def _quotas(shares: Mapping[str, float], count: int) -> dict[str, int]:
    """Part a number; what rounding leaves goes to the first."""
    quotas = {why: int(count * share) for why, share in shares.items()}
    quotas[next(iter(quotas))] += count - sum(quotas.values())
    return quotas


def _without_neighbours(shares: Mapping[str, float]) -> dict[str, float]:
    """Let uncertainty stand in where likeness of meaning is not known."""
    rest = {why: share for why, share in shares.items() if why != "neighbours"}
    if rest == dict(shares):
        return rest
    return {**rest, "uncertain": rest.get("uncertain", 0.0) + shares["neighbours"]}


def _explained(item: _Candidate, why: str) -> Task:
    said = item.task.suggestion
    assert said is not None
    stances = sorted(STANCES, key=lambda name: -said.probabilities[name])
    names = stances[:2] if item.label == "stance" else [item.label]
    detail = ", ".join(f"{name} {said.probabilities[name]:.2f}" for name in names)
    return replace(item.task, why=why, detail=detail)


def _stance(item: _Candidate) -> str:
    assert item.task.suggestion is not None
    return item.task.suggestion.stance
