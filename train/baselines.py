"""What the model has to beat: a keyword list, TF-IDF and the frozen encoder, each with logistic regression.

The learned baselines see the same training part as the model, and their thresholds are fitted on the same
development part, by search, since their probabilities are not calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from brinkline.data.schema import Document, sentences_of
from brinkline.model.encoding import SentenceEncoder, collate
from brinkline.model.engine import batches_of_like_length
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.calibrate import fit_thresholds
from brinkline.train.keywords import classify_all
from brinkline.train.metrics import Decisions, IntArray, Truth, decide

FloatArray = NDArray[np.float64]

KEYWORDS = "keyword list"
TFIDF = "TF-IDF + logistic regression"
FROZEN = "frozen encoder + logistic regression"


def keyword_decisions(documents: Sequence[Document]) -> Decisions:
    """Apply the analyst's keyword list."""
    found = classify_all([sentence.text for sentence in sentences_of(documents)])
    return Decisions(
        np.array([STANCES.index(stance) for stance, _ in found], dtype=np.int64),
        np.array([[name in signals for name in SIGNALS] for _, signals in found], dtype=np.int64).reshape(
            -1, 3
        ),
    )


class LearnedBaseline:
    """Features and four logistic regressions: one for the stance, one for each signal.

    :param features: a scikit-learn pipeline that turns what :meth:`fit` is given into a matrix.
    """

    def __init__(self, features: Any) -> None:
        self._features = features
        self._thresholds: dict[str, float] = {}

    def fit(
        self, train: Any, train_truth: Truth, dev: Any, dev_truth: Truth, taught: IntArray | None = None
    ) -> LearnedBaseline:
        """Learn from the training part, fit thresholds on the development part.

        :param taught: rows of the training part whose signals are to be learned, None for all.
        """
        x = self._features.fit_transform(train)
        rows = np.arange(len(train_truth.stance)) if taught is None else taught
        self._stance = _regression(x, train_truth.stance)
        self._signals = [_regression(x[rows], train_truth.signals[rows, i]) for i in range(len(SIGNALS))]
        self._thresholds = fit_thresholds(self._probabilities(dev)[1], dev_truth.signals)
        return self

    def decide(self, items: Any) -> Decisions:
        """Predict labels and probabilities."""
        stance, signals = self._probabilities(items)
        return decide(stance, signals, self._thresholds)

    def _probabilities(self, items: Any) -> tuple[FloatArray, FloatArray]:
        x = self._features.transform(items)
        signals = [_class_probabilities(model, x, 2)[:, 1] for model in self._signals]
        return _class_probabilities(self._stance, x, len(STANCES)), np.stack(signals, axis=1)


def tfidf() -> LearnedBaseline:
    """Return TF-IDF over words (1-2) and characters (3-5) with logistic regression, unfitted; takes texts."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=3)
    return LearnedBaseline(make_union(words, characters))


def frozen() -> LearnedBaseline:
    """Return logistic regression over the vectors of :func:`sentence_vectors`, unfitted."""
    return LearnedBaseline(make_pipeline(StandardScaler()))


def sentence_vectors(documents: Sequence[Document], base_model: str, max_tokens: int) -> FloatArray:
    """Return the mean-pooled vectors of the encoder as it was before fine-tuning.

    :param documents: ``n`` sentences in all.
    :param base_model: as in the settings.
    :param max_tokens: longest input.
    :return: *Shape:* ``(n, width)``.
    """
    from brinkline.model.network import Network, load_base
    from brinkline.train.scoring import TorchEngine

    module, tokenizer, _ = load_base(base_model)
    encoder = SentenceEncoder(tokenizer, max_tokens)
    engine = TorchEngine(Network(module))
    encoded = encoder.encode([sentence.text for sentence in sentences_of(documents)])
    vectors: dict[int, FloatArray] = {}
    for rows in batches_of_like_length(encoded, 32):
        batch = engine.embed(collate([encoded[i] for i in rows], encoder.pad_id))
        vectors |= dict(zip(rows, batch.astype(np.float64), strict=True))
    return np.stack([vectors[i] for i in range(len(encoded))])


class Baselines:
    """All baselines, fitted once and applied to any number of evaluation sets.

    :param train: documents to learn from.
    :param dev: documents to fit thresholds on.
    :param base_model: the encoder to freeze, as in the settings.
    :param max_tokens: its longest input.
    """

    def __init__(
        self, train: Sequence[Document], dev: Sequence[Document], base_model: str, max_tokens: int = 256
    ) -> None:
        self._base, self._max_tokens = base_model, max_tokens
        train_truth, dev_truth = Truth.of(train), Truth.of(dev)
        # As for the network: what teaches the stance alone does not say how rare signals are.
        taught = np.flatnonzero([sentence.signals_teach for sentence in sentences_of(train)])
        self._tfidf = tfidf().fit(_texts(train), train_truth, _texts(dev), dev_truth, taught)
        self._frozen = frozen().fit(self._vectors(train), train_truth, self._vectors(dev), dev_truth, taught)

    def decide(self, documents: Sequence[Document]) -> dict[str, Decisions]:
        """Return the decisions of every baseline, by name."""
        return {
            KEYWORDS: keyword_decisions(documents),
            TFIDF: self._tfidf.decide(_texts(documents)),
            FROZEN: self._frozen.decide(self._vectors(documents)),
        }

    def _vectors(self, documents: Sequence[Document]) -> FloatArray:
        return sentence_vectors(documents, self._base, self._max_tokens)


def _texts(documents: Sequence[Document]) -> list[str]:
    return [sentence.text for sentence in sentences_of(documents)]


def _regression(x: Any, y: NDArray[np.int64]) -> Any:
    if len(np.unique(y)) == 1:  # nothing to tell apart
        return DummyClassifier().fit(x, y)
    # Balanced weights: what an analyst would set first, since signals are rare.
    return LogisticRegression(max_iter=2000, class_weight="balanced", random_state=0).fit(x, y)


def _class_probabilities(model: Any, x: Any, classes: int) -> FloatArray:
    """Return the probabilities of all classes, 0 for those that were not there to learn from."""
    probabilities = np.zeros((x.shape[0], classes))
    probabilities[:, model.classes_] = model.predict_proba(x)
    return probabilities
