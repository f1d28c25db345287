"""Articles to rows of the table that a scored archive is: pure functions of one batch, on any machine."""

from __future__ import annotations

import json
import math
import struct
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.scores import FLAT_COLUMNS
from brinkline.model.sentences import Span, split

if TYPE_CHECKING:
    import pyarrow as pa

    from brinkline.model.classifier import Classifier
    from brinkline.model.scores import SentenceScore
    from brinkline.sources import Article

METADATA = "metadata"
"""The column that holds, as JSON, the fields that have no column of their own."""

CACHED_SENTENCES = 500_000
"""Sentences whose scores are remembered, so that copies of them are not scored again."""

_RECORD = struct.Struct(f"<B{len(STANCES) + len(SIGNALS)}d{len(SIGNALS) + 1}?")  # what is remembered of one


class ScoreCache:
    """The scores of the sentences seen last, by a hash of the sentence and of the context read with it.

    Which sentences it holds depends on nothing but the order in which they were last asked for, so that it can
    be made again from the rows of a table.

    :param capacity: sentences to hold, about 280 bytes each; 0 for none.
    """

    def __init__(self, capacity: int = CACHED_SENTENCES) -> None:
        self.capacity = capacity
        self._records: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: bytes) -> bool:
        return key in self._records

    def __getitem__(self, key: bytes) -> bytes:
        return self._records[key]

    def remember(self, key: bytes, record: bytes) -> None:
        """Put a sentence at the end of the queue, and drop the one at its head when there are too many."""
        self._records[key] = record
        self._records.move_to_end(key)
        if len(self._records) > self.capacity:
            self._records.popitem(last=False)


@dataclass(frozen=True, slots=True)
class SplitArticle:
    """An article and its sentences."""

    article: Article
    spans: list[Span]
    texts: list[str]
    """The sentences; a lone surrogate, which no table can hold, is a question mark."""
    before: list[str]
    """For each sentence the text that the model reads before it."""
    keys: list[bytes]
    """For each sentence what :class:`ScoreCache` knows it by."""


def split_article(article: Article, context: int = 0) -> SplitArticle:
    """Find the sentences of an article.

    :param article: the article.
    :param context: sentences before that the model reads along with a sentence.
    :return: the article with its sentences, ready to be scored.
    """
    spans = split(article.text)
    texts = [_printable(article.text[start:end]) for start, end in spans]
    before = contexts(texts, context)
    return SplitArticle(
        article, spans, texts, before, [key(*pair) for pair in zip(texts, before, strict=True)]
    )


def contexts(sentences: Sequence[str], context: int) -> list[str]:
    """Return for each sentence of an article the text that the model reads before it."""
    return [" ".join(sentences[max(0, i - context) : i]) for i in range(len(sentences))]


def key(sentence: str, before: str) -> bytes:
    """Return what a sentence is known by in the cache: 16 bytes, which no two sentences share in practice."""
    return blake2b(f"{before}\0{sentence}".encode(), digest_size=16).digest()


def check_keep(keep: str | Iterable[str]) -> tuple[str, ...]:
    """Check the names of the fields that are to be columns of their own; a text is one name.

    :raises ValueError: for a name that is given twice or that a column of the scores has.
    """
    names = (keep,) if isinstance(keep, str) else tuple(keep)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"field {name!r} is to be kept twice")
        if name in (*FLAT_COLUMNS, METADATA):
            message = f"field {name!r} cannot be a column of its own: the table has a column of that name"
            raise ValueError(f"{message} (its values stand in the column {METADATA!r})")
    return names


def schema(keep: Sequence[str] = ()) -> pa.Schema:
    """Return the columns of a scored archive.

    They are those of :data:`~brinkline.model.scores.FLAT_COLUMNS`, then the kept fields as strings, then
    ``metadata``: a JSON object of all other fields of the article, null where there is none.

    :param keep: fields of the articles that are to be columns of their own.
    :raises ImportError: without pyarrow (extra ``[archive]``).
    :raises ValueError: for a field that cannot be a column.
    """
    pa = import_pyarrow()
    types = {"article": pa.string(), "index": pa.int32(), "start": pa.int64(), "end": pa.int64()}
    types |= {"text": pa.string(), "stance": pa.string(), "truncated": pa.bool_()}
    types |= {name: pa.bool_() for name in SIGNALS}
    columns = [(name, types.get(name, pa.float64())) for name in FLAT_COLUMNS]
    return pa.schema([*columns, *((name, pa.string()) for name in check_keep(keep)), (METADATA, pa.string())])


def score_rows(
    classifier: Classifier,
    articles: Iterable[Article],
    *,
    thresholds: Mapping[str, float] | None = None,
    keep: Sequence[str] = (),
    cache: ScoreCache | None = None,
) -> pa.Table:
    """Score a batch of articles: the rows that :func:`brinkline.score_archive` writes for them.

    :param classifier: the model.
    :param articles: some articles, as many as memory holds; 1,000 sentences and more make it fast.
    :param thresholds: signal → probability from which it is given, in place of the model's own.
    :param keep: fields of the articles that are to be columns of their own.
    :param cache: scores of sentences seen before, added to; without it only copies within the batch are spared.
    :return: one row a sentence, with the columns of :func:`schema`; an article without a sentence has no row.
    :raises ImportError: without pyarrow (extra ``[archive]``).
    :raises ValueError: for a bad threshold or a field that cannot be a column.
    """
    parts = [split_article(article, classifier.manifest.context) for article in articles]
    return score_split(classifier, parts, thresholds=thresholds, keep=keep, cache=cache)[0]


def score_split(
    classifier: Classifier,
    articles: Sequence[SplitArticle],
    *,
    thresholds: Mapping[str, float] | None = None,
    keep: Sequence[str] = (),
    cache: ScoreCache | None = None,
) -> tuple[pa.Table, int]:
    """Score articles that are already split; see :func:`score_rows`.

    :return: the rows, and the number of sentences that the model was run on.
    """
    pa, keep = import_pyarrow(), check_keep(keep)
    columns = schema(keep)
    records, scored = _records(classifier, articles, thresholds, ScoreCache(0) if cache is None else cache)
    lengths = [len(article.texts) for article in articles]
    values: dict[str, list[Any]] = {
        "article": _repeat((_printable(article.article.id) for article in articles), lengths),
        "index": [i for length in lengths for i in range(length)],
        "start": [span.start for article in articles for span in article.spans],
        "end": [span.end for article in articles for span in article.spans],
        "text": [text for article in articles for text in article.texts],
    }
    values |= _score_columns(records)
    fields = [metadata_columns(article.article.metadata, keep) for article in articles]
    for name in (*keep, METADATA):
        values[name] = _repeat((row[name] for row in fields), lengths)
    return pa.table([pa.array(values[f.name], f.type) for f in columns], schema=columns), scored


def _records(
    classifier: Classifier,
    articles: Sequence[SplitArticle],
    thresholds: Mapping[str, float] | None,
    cache: ScoreCache,
) -> tuple[list[bytes], int]:
    """Return the record of every sentence, and how many were new and are scored, each once."""
    known: dict[bytes, bytes] = {}
    missing: dict[bytes, tuple[str, str]] = {}
    keys = [key for article in articles for key in article.keys]
    pairs = ((t, b) for article in articles for t, b in zip(article.texts, article.before, strict=True))
    for sentence_key, pair in zip(keys, pairs, strict=True):
        if sentence_key in cache:
            known[sentence_key] = cache[sentence_key]
        else:
            missing[sentence_key] = pair
    scores = classifier.predict_sentences(
        [sentence for sentence, _ in missing.values()],
        previous=[before for _, before in missing.values()],
        thresholds=thresholds,
    )
    known |= {k: pack(score) for k, score in zip(missing, scores, strict=True)}
    for sentence_key in keys:
        cache.remember(sentence_key, known[sentence_key])
    return [known[sentence_key] for sentence_key in keys], len(missing)


def pack(score: SentenceScore) -> bytes:
    """Return what is remembered of a score."""
    return _RECORD.pack(
        STANCES.index(score.stance),
        *(score.stance_probabilities[stance] for stance in STANCES),
        *(score.signal_probabilities[signal] for signal in SIGNALS),
        *(signal in score.signals for signal in SIGNALS),
        score.truncated,
    )


def _record_columns() -> list[str]:
    return ["stance", *(f"p_{name}" for name in (*STANCES, *SIGNALS)), *SIGNALS, "truncated"]


def _score_columns(records: Sequence[bytes]) -> dict[str, list[Any]]:
    names = _record_columns()
    columns = list(zip(*map(_RECORD.unpack, records), strict=True)) or [()] * len(names)
    values = {name: list(column) for name, column in zip(names, columns, strict=True)}
    values["stance"] = [STANCES[number] for number in values["stance"]]
    return values


def recall(table: pa.Table, context: int) -> list[tuple[bytes, bytes]]:
    """Read out of a table what the cache knew of its sentences.

    :param table: rows of whole articles, as :func:`score_rows` gives them.
    :param context: sentences before that the model reads along with a sentence.
    :return: key and record of every row, in order.
    """
    columns = {name: table.column(name).to_pylist() for name in ("index", "text", *_record_columns())}
    keys: list[bytes] = []
    sentences: list[str] = []
    for index, text in zip(columns["index"], columns["text"], strict=True):
        sentences = [*sentences[-context:], text] if index and context else [text]
        keys.append(key(text, " ".join(sentences[:-1])))
    numbers = (STANCES.index(stance) for stance in columns["stance"])
    rest = (columns[name] for name in _record_columns()[1:])
    return list(zip(keys, (_RECORD.pack(*row) for row in zip(numbers, *rest, strict=True)), strict=True))


def metadata_columns(metadata: Mapping[str, Any], keep: Sequence[str]) -> dict[str, str | None]:
    """Return the columns of an article's other fields.

    :param metadata: the fields.
    :param keep: those that are to be columns of their own: text as it is, all else as JSON, null where missing.
    :return: the kept fields and ``metadata``, a JSON object of the others or None where there is none.
    """
    kept = {name: _as_text(metadata.get(name)) for name in keep}
    others = {name: value for name, value in metadata.items() if name not in keep}
    return {**kept, METADATA: _json(others) if others else None}


def _as_text(value: Any) -> str | None:
    value = _plain(value)
    return value if value is None else _printable(value if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    return _printable(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Make a value JSON: dates in ISO 8601, other foreign types as text, null for numbers that JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)


def _printable(text: str) -> str:
    """Replace lone surrogates, which no encoding can write."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _repeat(values: Iterable[Any], times: Sequence[int]) -> list[Any]:
    return [value for value, count in zip(values, times, strict=True) for _ in range(count)]


def import_pyarrow() -> Any:
    """Import pyarrow, or say which extra brings it.

    :raises ImportError: where pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'brinkline[archive]'") from error
    return pyarrow
