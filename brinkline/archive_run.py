"""The work of a job: articles gathered into chunks, chunks scored, parts written."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from brinkline.archive_input import InputFile, Place, failure
from brinkline.archive_progress import Progress
from brinkline.archive_rows import ScoreCache, SplitArticle, score_split, split_article
from brinkline.archive_store import ArchiveStore, State
from brinkline.sources import Article, Unreadable

if TYPE_CHECKING:
    import pyarrow as pa

    from brinkline.model.classifier import Classifier

logger = logging.getLogger(__name__)

_CHUNK = 4096  # sentences scored at once: enough for batches of like length
# Characters of a chunk and of a part, metadata counted once a row: bounds the memory.
_HEAVY_CHUNK, _HEAVY_PART = 1 << 25, 1 << 27
_NAMED = 20  # failures that are named one by one; all of them are in the file


class Run:
    """One run of a job, from where the store is to the end.

    :param classifier: the model.
    :param limits: signal → probability from which it is given.
    :param keep: fields of the articles that become columns of their own.
    :param part_rows: sentences of a part, at least.
    :param store: where the parts go.
    """

    def __init__(
        self,
        classifier: Classifier,
        limits: Mapping[str, float],
        keep: tuple[str, ...],
        part_rows: int,
        store: ArchiveStore,
    ) -> None:
        self._classifier = classifier
        self._limits = limits
        self._keep = keep
        self._part_rows = part_rows
        self._store = store
        self._context = classifier.manifest.context
        self._cache = ScoreCache()
        store.remember(self._cache, self._context)
        self._part = _Part(store.state)

    def all(self, items: Iterable[tuple[Place, InputFile, Article | Unreadable]], bar: Progress) -> None:
        """Score all there is.

        :param items: what is read, with its file and the place behind it.
        :param bar: is told how far the job is.
        """
        for number, (place, file, item) in enumerate(items):
            if not number:
                bar.begin()
            if isinstance(item, Unreadable):
                self._fail(item, failure(file, item))
            else:
                self._part.add(split_article(item, self._context), self._keep)
            self._part.place = place
            if self._part.chunk_is_full():
                self._score()
                bar.update(self._part.state())
            if self._part.is_full(self._part_rows):
                self._commit()
                bar.update(self._store.state)
        if self._part.items or not self._store.state.parts:
            self._commit()
        bar.update(self._store.state)

    def _fail(self, item: Unreadable, row: dict[str, Any]) -> None:
        self._part.failures.append(row)
        self._part.items += 1
        count = self._part.before.failed + len(self._part.failures)
        if count <= _NAMED:
            logger.warning("%s", item)
        elif count == _NAMED + 1:
            logger.warning("more could not be read: %s will name all", self._store.failures)

    def _score(self) -> None:
        part = self._part
        table, scored = score_split(
            self._classifier, part.chunk, thresholds=self._limits, keep=self._keep, cache=self._cache
        )
        part.take(table, scored)

    def _commit(self) -> None:
        self._score()
        state = replace(self._part.state(), parts=self._part.before.parts + 1)
        if state.parts == 1 and (absent := sorted(set(self._keep) - self._part.seen)):
            logger.warning("none of the first %d articles has a field %r", state.articles, absent[0])
        self._store.commit(self._part.tables, self._part.failures, state)
        self._part = _Part(state)


@dataclass(slots=True)
class _Part:
    """What is gathered for a part."""

    before: State
    place: Place = field(init=False)
    tables: list[pa.Table] = field(default_factory=list)
    chunk: list[SplitArticle] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    items: int = 0
    gathered: int = 0  # sentences, scored or not
    scored: int = 0
    truncated: int = 0
    waiting: int = 0  # sentences of the chunk
    weight: int = 0  # characters of the chunk
    total: int = 0  # characters of the part

    def __post_init__(self) -> None:
        self.place = self.before.place

    def add(self, article: SplitArticle, keep: Sequence[str]) -> None:
        """Take an article in."""
        self.chunk.append(article)
        self.items += 1
        count = len(article.texts)
        self.gathered += count
        self.waiting += count
        metadata = article.article.metadata
        weight = len(article.article.text) + count * sum(len(str(value)) for value in metadata.values())
        self.weight += weight
        self.total += weight
        self.seen.update(name for name in keep if name in metadata)

    def chunk_is_full(self) -> bool:
        """Tell whether it is time to score."""
        return self.waiting >= _CHUNK or len(self.chunk) >= _CHUNK or self.weight >= _HEAVY_CHUNK

    def is_full(self, rows: int) -> bool:
        """Tell whether it is time to write, by nothing but what the part holds."""
        return self.items >= rows or self.gathered >= rows or self.total >= _HEAVY_PART

    def take(self, table: pa.Table, scored: int) -> None:
        """Take the rows of the chunk in."""
        import pyarrow.compute as pc

        self.tables.append(table)
        self.scored += scored
        self.truncated += pc.sum(table["truncated"]).as_py() or 0
        self.chunk, self.waiting, self.weight = [], 0, 0

    def state(self) -> State:
        """Return how far the job has come with this part."""
        before = self.before
        return State(
            place=self.place,
            parts=before.parts,
            articles=before.articles + self.items - len(self.failures),
            sentences=before.sentences + self.gathered,
            scored=before.scored + self.scored,
            truncated=before.truncated + self.truncated,
            failed=before.failed + len(self.failures),
        )
