"""Brinkline: stance and escalation signals in news, sentence by sentence.

>>> import brinkline
>>> scores = brinkline.predict("Ankara expelled two envoys. Shares rose on Monday.")
>>> [sentence.stance for sentence in scores.sentences]
['hostile', 'neutral']

The names below are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.4.0"

if TYPE_CHECKING:
    from brinkline.archive import ArchiveReport, score_archive
    from brinkline.model.classifier import Classifier, load, predict, predict_many
    from brinkline.model.explain import Explanation
    from brinkline.model.labels import SIGNALS, STANCES
    from brinkline.model.scores import ArticleScores, SentenceScore, Summary
    from brinkline.neighbours import LabelledIndex, SimilarSentences, similar
    from brinkline.over_time import Trends, trends

_HOMES = {
    "ArchiveReport": "brinkline.archive",
    "ArticleScores": "brinkline.model.scores",
    "Classifier": "brinkline.model.classifier",
    "Explanation": "brinkline.model.explain",
    "LabelledIndex": "brinkline.neighbours",
    "SIGNALS": "brinkline.model.labels",
    "STANCES": "brinkline.model.labels",
    "SentenceScore": "brinkline.model.scores",
    "SimilarSentences": "brinkline.neighbours",
    "Summary": "brinkline.model.scores",
    "Trends": "brinkline.over_time",
    "load": "brinkline.model.classifier",
    "predict": "brinkline.model.classifier",
    "predict_many": "brinkline.model.classifier",
    "trends": "brinkline.over_time",
    "score_archive": "brinkline.archive",
    "similar": "brinkline.neighbours",
}

__all__ = [
    "SIGNALS",
    "STANCES",
    "ArchiveReport",
    "ArticleScores",
    "Classifier",
    "Explanation",
    "LabelledIndex",
    "SentenceScore",
    "SimilarSentences",
    "Summary",
    "Trends",
    "__version__",
    "load",
    "predict",
    "predict_many",
    "score_archive",
    "similar",
    "trends",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'brinkline' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
