"""Load a model folder and score articles with it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brinkline.model.checkpoint import (
    DEFAULT_FOLDER,
    TOKENIZER,
    WEIGHTS,
    Calibration,
    Manifest,
    check_thresholds,
    find_folder,
    read_manifest,
)
from brinkline.model.encoding import EncodedSentence, SentenceEncoder
from brinkline.model.engine import Engine, EngineError, Logits, OnnxEngine, embed_sorted, run_sorted, sees_gpu
from brinkline.model.explain import Explanation, explain
from brinkline.model.inputs import as_texts, chunks, with_ids
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.progress import progress_bar
from brinkline.model.scores import FLAT_COLUMNS, ArticleScores, SentenceScore, frame_from_rows
from brinkline.model.sentences import Span

if TYPE_CHECKING:
    import pandas

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]


class Classifier:
    """A loaded model.

    :param manifest: what the model folder says of itself.
    :param encoder: sentences to token ids.
    :param engine: token ids to logits.
    """

    def __init__(self, manifest: Manifest, encoder: SentenceEncoder, engine: Engine) -> None:
        self.manifest = manifest
        """What the model folder says of itself: calibration, figures, training data."""
        self._encoder = encoder
        self._engine = engine

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return f"{self.manifest.name} {self.manifest.version}"

    def __repr__(self) -> str:
        return f"<Classifier {self.name}>"

    def predict(
        self, article: str, *, id: str | None = None, thresholds: Mapping[str, float] | None = None
    ) -> ArticleScores:
        """Split one article into sentences and score each.

        :param article: the text; empty text gives zero sentences.
        :param id: a name for the article, carried into the result.
        :param thresholds: signal → probability from which it is given, in place of the model's own.
        :return: the article's scores.
        :raises TypeError: if the article is not a str.
        :raises ValueError: for a threshold of an unknown signal or outside 0 to 1.
        """
        if not isinstance(article, str):
            raise TypeError(
                f"predict takes one article as str, got {type(article).__name__}; for several use predict_many"
            )
        ids = None if id is None else [id]
        return next(self.predict_many([article], ids=ids, thresholds=thresholds, progress=False))

    def predict_many(
        self,
        articles: Iterable[str],
        *,
        ids: Iterable[str | None] | None = None,
        thresholds: Mapping[str, float] | None = None,
        batch_size: int = 32,
        progress: bool | None = None,
    ) -> Iterator[ArticleScores]:
        """Score articles one after the other, as a stream: only a few are held in memory at a time.

        :param articles: any iterable of texts.
        :param ids: names of the articles, in the same order.
        :param thresholds: signal → probability from which it is given, in place of the model's own.
        :param batch_size: sentences scored at once.
        :param progress: show a bar; by default in notebooks and interactive sessions only.
        :return: an iterator over the articles' scores, in the order of the articles.
        :raises TypeError: if an article is not a str (its position is named) or ``articles`` is one itself.
        :raises ValueError: for a bad threshold or batch size, or fewer ids than articles.
        """
        if isinstance(articles, str):
            raise TypeError("predict_many takes an iterable of articles, got one str; for one use predict")
        if isinstance(articles, bytes | Mapping) or hasattr(articles, "columns"):
            kind = type(articles).__name__
            raise TypeError(
                f"predict_many takes an iterable of articles, got {kind}; for a table use predict_frame"
            )
        limits = self._thresholds(thresholds)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        return self._stream(with_ids(articles, ids), limits, batch_size, progress)

    def predict_sentences(
        self,
        sentences: Iterable[str],
        *,
        previous: Iterable[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
        batch_size: int = 32,
    ) -> list[SentenceScore]:
        """Score sentences that are already split; each is scored by itself.

        :param sentences: one str a sentence.
        :param previous: for each sentence the text before it (read only by models trained with context).
        :param thresholds: signal → probability from which it is given, in place of the model's own.
        :param batch_size: sentences scored at once.
        :return: a list of the same length, in the same order; offsets count within each sentence.
        :raises TypeError: if ``sentences`` is a str, or one of them is not.
        :raises ValueError: for a bad threshold, or if ``previous`` has another length.
        """
        texts = as_texts(sentences, "sentence")
        before = as_texts(previous, "previous text") if previous is not None else [""] * len(texts)
        if len(before) != len(texts):
            raise ValueError(f"{len(texts)} sentences, but {len(before)} texts before them")
        limits = self._thresholds(thresholds)
        encoded = self._encode(texts, before)
        spans = [Span(0, len(text)) for text in texts]
        scores = self._score(texts, spans, encoded, self.logits(encoded, batch_size), limits)
        _warn_truncated(sum(score.truncated for score in scores), self.manifest.max_tokens)
        return scores

    def predict_frame(
        self,
        frame: pandas.DataFrame,
        *,
        text: str = "text",
        thresholds: Mapping[str, float] | None = None,
        progress: bool | None = None,
    ) -> pandas.DataFrame:
        """Score a column of articles.

        >>> import pandas
        >>> table = pandas.DataFrame({"paper": ["Wire"], "body": ["They met. The army shelled two villages."]})
        >>> scored = load().predict_frame(table, text="body", progress=False)
        >>> scored[["paper", "sentence", "stance"]].values.tolist()
        [['Wire', 'They met.', 'conciliatory'], ['Wire', 'The army shelled two villages.', 'hostile']]

        :param frame: one row an article.
        :param text: the column that holds the article; a missing value counts as an empty article.
        :param thresholds: signal → probability from which it is given, in place of the model's own.
        :param progress: as for :meth:`predict_many`.
        :return: one row a sentence, under the index of the article's row: all columns of the caller's, then
            ``sentence_index``, ``start``, ``end``, ``sentence`` and the score columns of
            :meth:`ArticleScores.to_frame`.
        :raises KeyError: if there is no such column.
        :raises ValueError: if the caller has a column of a name that a result column needs.
        """
        if text not in frame.columns:
            raise KeyError(f"no column {text!r}; columns are {', '.join(map(str, frame.columns))}")
        names = {"index": "sentence_index", "text": "sentence"}
        columns = tuple(names.get(name, name) for name in FLAT_COLUMNS if name != "article")
        if clash := [name for name in columns if name in frame.columns]:
            raise ValueError(f"rename these columns first, the result needs the names: {', '.join(clash)}")
        missing = frame[text].isna()
        if missing.any():
            logger.warning("%d of %d articles are missing and give no sentence", missing.sum(), len(frame))
        articles = ["" if gone else article for article, gone in zip(frame[text], missing, strict=True)]
        rows: list[dict[str, Any]] = []
        origins: list[int] = []
        for position, scores in enumerate(
            self.predict_many(articles, thresholds=thresholds, progress=progress)
        ):
            for row in scores.to_flat_rows():
                del row["article"]
                rows.append({names.get(name, name): value for name, value in row.items()})
                origins.append(position)
        result = frame.iloc[origins]
        table = frame_from_rows(rows, columns).set_index(result.index)
        return result.assign(**{name: table[name].to_numpy() for name in columns})

    def explain(self, sentence: str, *, previous: str | None = None, method: str = "auto") -> Explanation:
        """Say which words of a sentence carry each label; see :func:`brinkline.model.explain.explain`.

        >>> load().explain("The army shelled two villages.").strongest("hostile", 1)[0].text
        'shelled'
        """
        return explain(self, sentence, previous=previous, method=method)

    def logits(self, encoded: Sequence[EncodedSentence], batch_size: int = 32) -> Logits:
        """Run the engine over encoded sentences, in batches of like length.

        :param encoded: sentences as token ids.
        :param batch_size: sentences a batch.
        :return: logits in the order of ``encoded``, *Shape:* ``(len(encoded), 3)`` each.
        """
        return run_sorted(self._engine, encoded, self._encoder.pad_id, batch_size)

    def embed(
        self, sentences: Sequence[str], previous: Sequence[str] | None = None, batch_size: int = 32
    ) -> NDArray[np.float32]:
        """Return the encoder's vectors of sentences: near each other where the model reads them alike.

        :param sentences: ``n`` sentences.
        :param previous: for each sentence the text before it (read only by models trained with context).
        :param batch_size: sentences a batch, at most.
        :return: pooled vectors, not normalised, *Shape:* ``(n, width)``.
        :raises EngineError: where the model folder, of an earlier version, gives no embeddings.
        """
        if not isinstance(self._engine, OnnxEngine):
            raise EngineError(f"{type(self._engine).__name__} gives no embeddings")
        encoded = self.encode(sentences, previous)
        return embed_sorted(self._engine, encoded, self._encoder.pad_id, batch_size)

    def encode(
        self, sentences: Sequence[str], previous: Sequence[str] | None = None
    ) -> list[EncodedSentence]:
        """Turn sentences into token ids, with context where the model reads it.

        :param sentences: the sentences.
        :param previous: for each sentence the text before it.
        """
        return self._encode(sentences, previous if previous is not None else [""] * len(sentences))

    def _encode(self, sentences: Sequence[str], previous: Sequence[str]) -> list[EncodedSentence]:
        return self._encoder.encode(sentences, previous if self.manifest.context else None)

    def _thresholds(self, changes: Mapping[str, float] | None) -> dict[str, float]:
        check_thresholds(changes or {})
        return {**self.manifest.calibration.thresholds, **(changes or {})}

    def _stream(
        self,
        articles: Iterable[tuple[str, str | None]],
        limits: Mapping[str, float],
        batch_size: int,
        progress: bool | None,
    ) -> Iterator[ArticleScores]:
        truncated = 0
        with progress_bar(progress) as update:
            for chunk in chunks(articles):
                for scores in self._score_chunk(chunk, limits, batch_size):
                    truncated += sum(score.truncated for score in scores.sentences)
                    update()
                    yield scores
        _warn_truncated(truncated, self.manifest.max_tokens)

    def _score_chunk(
        self, chunk: list[tuple[str, str | None, list[Span]]], limits: Mapping[str, float], batch_size: int
    ) -> Iterator[ArticleScores]:
        texts: list[str] = []
        before: list[str] = []
        for article, _, spans in chunk:
            sentences = [article[start:end] for start, end in spans]
            texts += sentences
            before += [
                " ".join(sentences[max(0, i - self.manifest.context) : i]) for i in range(len(sentences))
            ]
        spans = [span for _, _, found in chunk for span in found]
        encoded = self._encode(texts, before)
        scores = iter(self._score(texts, spans, encoded, self.logits(encoded, batch_size), limits))
        for article, id_, found in chunk:
            yield ArticleScores(article, tuple(islice(scores, len(found))), self.name, id_)

    def _score(
        self,
        texts: Sequence[str],
        spans: Sequence[Span],
        encoded: Sequence[EncodedSentence],
        logits: Logits,
        limits: Mapping[str, float],
    ) -> list[SentenceScore]:
        stance, signals = probabilities(logits, self.manifest.calibration)
        best = stance.argmax(axis=1)
        return [
            SentenceScore(
                text=texts[i],
                start=spans[i].start,
                end=spans[i].end,
                stance=STANCES[best[i]],
                stance_probabilities=dict(zip(STANCES, stance[i].tolist(), strict=True)),
                signals=tuple(s for s, p in zip(SIGNALS, signals[i], strict=True) if p >= limits[s]),
                signal_probabilities=dict(zip(SIGNALS, signals[i].tolist(), strict=True)),
                truncated=encoded[i].truncated,
            )
            for i in range(len(texts))
        ]


def probabilities(logits: Logits, calibration: Calibration) -> tuple[FloatArray, FloatArray]:
    """Turn logits into calibrated probabilities (temperature scaling, Guo et al. 2017, arXiv:1706.04599).

    :param logits: of ``n`` sentences.
    :param calibration: the temperatures.
    :return: stance probabilities, *Shape:* ``(n, 3)``, rows sum to 1; signal probabilities, *Shape:* ``(n, 3)``.
    """
    scaled = logits.stance.astype(np.float64) / calibration.stance_temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    stance = exponentials / exponentials.sum(axis=1, keepdims=True)
    temperatures = np.array([calibration.signal_temperatures[signal] for signal in SIGNALS])
    # The tanh form of the sigmoid does not overflow.
    signals = 0.5 * (1 + np.tanh(logits.signals.astype(np.float64) / temperatures / 2))
    return stance, signals


def load(
    folder: str | Path | None = None, *, threads: int | None = None, gpu: bool | None = None
) -> Classifier:
    """Load a model folder; nothing is fetched from anywhere.

    >>> load().predict_sentences(["The army shelled two villages."])[0].stance
    'hostile'

    :param folder: a model folder, as ``brinkline export`` writes it, or a run folder of ``brinkline train``; by
        default the shipped model.
    :param threads: threads to compute with; by default as many as there are processors to use.
    :param gpu: compute on a GPU; by default where onnxruntime-gpu sees one and the model computes in fp32 (``brinkline
        export FOLDER OUT --weights fp32``), since 8-bit products are for CPUs.
    :return: a classifier.
    :raises FileNotFoundError: where there is no such folder.
    :raises ModelFolderError: where the folder is damaged, of another format, or no model folder.
    """
    path = find_folder(Path(folder)) if folder is not None else DEFAULT_FOLDER
    manifest = read_manifest(path)
    encoder = SentenceEncoder.from_file(path / TOKENIZER, manifest.max_tokens)
    if gpu is None:
        gpu = manifest.metrics.get("export", {}).get("weights") == "fp32" and sees_gpu()
    return Classifier(manifest, encoder, OnnxEngine(path / WEIGHTS, threads, gpu))


@cache
def shipped() -> Classifier:
    """Return the shipped model, loaded once a process."""
    return load()


def predict(
    article: str, *, id: str | None = None, thresholds: Mapping[str, float] | None = None
) -> ArticleScores:
    """Score one article with the shipped model; see :meth:`Classifier.predict`.

    >>> scores = predict("The army shelled two villages. The two sides signed a ceasefire.")
    >>> [(sentence.start, sentence.stance) for sentence in scores.sentences]
    [(0, 'hostile'), (31, 'conciliatory')]
    """
    return shipped().predict(article, id=id, thresholds=thresholds)


def predict_many(
    articles: Iterable[str],
    *,
    ids: Iterable[str | None] | None = None,
    thresholds: Mapping[str, float] | None = None,
    batch_size: int = 32,
    progress: bool | None = None,
) -> Iterator[ArticleScores]:
    """Score articles with the shipped model; see :meth:`Classifier.predict_many`.

    >>> [scores.summary.sentences for scores in predict_many(["They met. They left.", ""], progress=False)]
    [2, 0]
    """
    return shipped().predict_many(
        articles, ids=ids, thresholds=thresholds, batch_size=batch_size, progress=progress
    )


def _warn_truncated(truncated: int, max_tokens: int) -> None:
    if truncated:
        logger.warning(
            "%d sentences are longer than the model's %d tokens: only their beginning was read (truncated=True)",
            truncated,
            max_tokens,
        )
