"""Labelled sentences that the model finds most like one: what stood with such sentences, to be held against its answer.

Likeness is the cosine between the encoder's pooled vectors (the first token's or the mean, as the model was trained).
The encoder was fine-tuned on the labels, so
this is the model's own notion: it tells what the model goes by, not what the sentences mean.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brinkline.data.schema import LabelledSentence, read_labelled, sentences_of
from brinkline.model.checkpoint import CARD
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.progress import is_interactive
from brinkline.model.scores import import_pandas

if TYPE_CHECKING:
    import pandas

    from brinkline.model.classifier import Classifier

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]

_CHUNK = 1024  # sentences embedded between two steps of the bar
_COLUMNS = ("similarity", "stance", *SIGNALS, "text", "id")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A labelled sentence and how like the other it is."""

    text: str
    """The sentence."""
    stance: str
    """As labelled, not as predicted."""
    signals: tuple[str, ...]
    """As labelled, in label order."""
    similarity: float
    """Cosine of the two vectors, from -1 to 1."""
    id: str
    """Of the sentence, in its file."""


@dataclass(frozen=True, slots=True, repr=False)
class SimilarSentences:
    """The labelled sentences most like one, nearest first."""

    sentence: str
    """The one that they are like."""
    neighbours: tuple[Neighbour, ...]
    """Nearest first."""
    model: str
    """Name and version of the model."""

    def __len__(self) -> int:
        return len(self.neighbours)

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self.neighbours)

    def __getitem__(self, position: int) -> Neighbour:
        return self.neighbours[position]

    def to_frame(self) -> pandas.DataFrame:
        """Return a table with one row a sentence: ``similarity``, ``stance``, a yes or no a signal, ``text``, ``id``.

        :raises ImportError: without pandas (extra ``[frame]``).
        """
        rows = [
            {
                "similarity": near.similarity,
                "stance": near.stance,
                **{signal: signal in near.signals for signal in SIGNALS},
                "text": near.text,
                "id": near.id,
            }
            for near in self
        ]
        frame: pandas.DataFrame = import_pandas().DataFrame(rows, columns=list(_COLUMNS))
        return frame.astype({"similarity": "float64", **dict.fromkeys(SIGNALS, "bool")})

    def _repr_html_(self) -> str:
        from brinkline.model.render import safe as escape_text

        cell = 'style="text-align:left;vertical-align:top;padding:.2em .6em"'
        rows = "".join(
            f"<tr><td {cell}>{near.similarity:.2f}</td><td {cell}>{escape_text(near.stance)}</td>"
            f"<td {cell}>{escape_text(', '.join(near.signals))}</td>"
            f"<td {cell}><bdi>{escape_text(near.text)}</bdi></td></tr>\n"
            for near in self
        )
        heads = "".join(f"<th {cell}>{name}</th>" for name in ("likeness", "labelled", "signals", "sentence"))
        return (
            f'<div class="brinkline-similar"><p><bdi>{escape_text(self.sentence)}</bdi></p>\n'
            f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table></div>\n"
        )

    def __repr__(self) -> str:
        counts = Counter(near.stance for near in self) + Counter(s for near in self for s in near.signals)
        parts = [f"{name} {counts[name]}" for name in (*STANCES, *SIGNALS) if counts[name]]
        return f"<SimilarSentences {len(self)} labelled: {', '.join(parts) or 'none'}>"


class LabelledIndex:
    """Labelled sentences with their vectors, ready to be searched.

    The vectors are computed once and kept in the user's cache folder (:func:`cache_folder`), under a name made from the
    model's files and the sentences' texts, so that another model or other sentences never meet them.

    :param classifier: the model; by default the shipped one.
    :param data: ``.jsonl`` files or folders of labelled sentences; by default the project's own corpus.
    :param cache: False to neither read nor write the cache.
    :raises EngineError: for a model folder of an earlier version, which gives no embeddings.
    :raises LabelledDataError: if anything in the files is wrong.
    """

    def __init__(
        self,
        classifier: Classifier | None = None,
        data: str | Path | Sequence[str | Path] | None = None,
        *,
        cache: bool = True,
    ) -> None:
        self._classifier = _shipped() if classifier is None else classifier
        self.sentences: tuple[LabelledSentence, ...] = tuple(sentences_of(read_labelled(_paths(data))))
        texts = [sentence.text for sentence in self.sentences]
        self._vectors = _cached(self._classifier, texts) if cache else _vectors(self._classifier, texts)

    def __len__(self) -> int:
        return len(self.sentences)

    def similar(self, sentence: str, n: int = 5) -> SimilarSentences:
        """Return the labelled sentences most like one; see :func:`similar`."""
        if not isinstance(sentence, str):
            raise TypeError(f"similar takes one sentence as str, got {type(sentence).__name__}")
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        query = _unit(self._classifier.embed([sentence]))[0]
        likeness = np.clip(self._vectors @ query, -1, 1)
        order = np.argsort(-likeness, kind="stable")[:n]
        neighbours = tuple(
            Neighbour(s.text, s.stance, s.signals, float(likeness[i]), s.id)
            for i, s in ((int(i), self.sentences[i]) for i in order)
        )
        return SimilarSentences(sentence, neighbours, self._classifier.name)


def similar(
    sentence: str,
    n: int = 5,
    *,
    classifier: Classifier | None = None,
    data: str | Path | Sequence[str | Path] | None = None,
) -> SimilarSentences:
    """Return the labelled sentences most like one: "sentences like this one were labelled …".

    The first call with a model and data embeds all labelled sentences, which takes about as long as scoring them;
    later calls read the vectors from a cache, in other processes too. Files that change while the process runs are not
    read again: make a :class:`LabelledIndex` for that.

    :param sentence: one sentence.
    :param n: how many at most.
    :param classifier: the model; by default the shipped one.
    :param data: ``.jsonl`` files or folders of labelled sentences; by default the project's own corpus.
    :return: the sentences, nearest first.
    :raises TypeError: if the sentence is not a str.
    :raises ValueError: for ``n`` below 1.
    :raises EngineError: for a model folder of an earlier version, which gives no embeddings.
    :raises LabelledDataError: if anything in the files is wrong.
    """
    classifier = _shipped() if classifier is None else classifier
    return _index(classifier, tuple(_paths(data))).similar(sentence, n)


def cache_folder() -> Path:
    """Return where vectors are kept: ``brinkline`` in ``XDG_CACHE_HOME`` or in the system's usual folder."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "brinkline"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "brinkline"
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path.home() / usual / "brinkline"


@lru_cache(maxsize=2)
def _index(classifier: Classifier, data: tuple[Path, ...]) -> LabelledIndex:
    return LabelledIndex(classifier, data)


def _shipped() -> Classifier:
    from brinkline.model.classifier import shipped

    return shipped()


def _paths(data: str | Path | Sequence[str | Path] | None) -> list[Path]:
    if data is None:
        import brinkline.data

        home = Path(str(brinkline.data.__file__)).parent
        return [home / "corpus", home / "contrast"]
    return [Path(path) for path in ([data] if isinstance(data, str | Path) else data)]


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, 1e-12)
    return unit


def _vectors(classifier: Classifier, texts: Sequence[str]) -> Vectors:
    """Embed sentences. *Shape:* ``(len(texts), width)``, rows of length 1, to the precision that the cache keeps."""
    from tqdm.auto import tqdm

    show = is_interactive()
    parts = []
    with tqdm(total=len(texts), disable=not show, unit=" sentences", desc="embedding") as bar:
        for start in range(0, len(texts), _CHUNK):
            part = _unit(classifier.embed(texts[start : start + _CHUNK]))
            parts.append(part.astype(np.float16))
            bar.update(len(part))
    return np.concatenate(parts).astype(np.float32)


def _cached(classifier: Classifier, texts: Sequence[str]) -> Vectors:
    path = cache_folder() / f"vectors-{_key(classifier, texts)}.npy"
    found = _read(path, len(texts))
    if found is not None:
        return found
    vectors = _vectors(classifier, texts)
    try:
        _write(path, vectors)
    except OSError as error:
        logger.info("vectors of labelled sentences are not kept: %s", error)
    return vectors


def _key(classifier: Classifier, texts: Sequence[str]) -> str:
    """Hash what the vectors depend on: weights, tokenizer and limits of the model, and the texts."""
    manifest = classifier.manifest
    files = sorted((name, digest) for name, digest in manifest.files.items() if name != CARD)
    digest = hashlib.sha256(repr((files, manifest.max_tokens, manifest.context)).encode())
    for text in texts:
        digest.update(repr(text).encode("ascii", "backslashreplace") + b"\n")
    return digest.hexdigest()[:32]


def _read(path: Path, rows: int) -> Vectors | None:
    """Read vectors, or None where there are none or the file is damaged."""
    try:
        with path.open("rb") as file:
            vectors = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        logger.warning("%s is damaged and made anew: %s", path, error)
        return None
    if vectors.dtype != np.float16 or vectors.ndim != 2 or len(vectors) != rows:
        logger.warning("%s is damaged and made anew: %s %s", path, vectors.dtype, vectors.shape)
        return None
    return vectors.astype(np.float32)


def _write(path: Path, vectors: Vectors) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".vectors-", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, vectors.astype(np.float16))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
