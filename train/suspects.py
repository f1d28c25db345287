"""Labels that may be wrong: those that a model trained on the other documents finds least likely.

    python -m brinkline.train.suspects data/corpus data/contrast --out suspects.jsonl

Logistic regressions over the frozen encoder, cross-validated by document, give every label a probability that was not
fitted on it; cleanlab (Northcutt et al. 2021, arXiv:1911.00068) ranks the labels by it. A person reads the first
of them again: a suspect is no error yet.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brinkline.data.schema import Document, read_labelled
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.baselines import sentence_vectors
from brinkline.train.metrics import FloatArray, IntArray, Truth

logger = logging.getLogger("brinkline.train.suspects")

FOLDS = 5


def suspects(documents: Sequence[Document], most: int, base_model: str = "packaged") -> list[dict[str, Any]]:
    """Return the least likely labels, worst first.

    :param documents: labelled; sentences of one are never on both sides of a fold.
    :param most: how many for the stance, and for each signal.
    :param base_model: the encoder to freeze, as in the settings.
    :return: ``id``, ``label`` (what is given), ``quality`` (0 to 1: the probability of the given label) and ``text``.
    :raises ImportError: where cleanlab is not installed (``brinkline[clean]``).
    """
    from cleanlab.rank import get_label_quality_scores

    truth = Truth.of(documents)
    vectors = sentence_vectors(documents, base_model, max_tokens=128)
    sentences = [s for document in documents for s in document.sentences]
    tasks = {"stance": truth.stance, **{name: truth.signals[:, i] for i, name in enumerate(SIGNALS)}}
    rows = []
    for task, labels in tasks.items():
        classes, coded = np.unique(labels, return_inverse=True)  # without gaps, where a stance does not occur
        if len(classes) < 2:
            logger.warning("%s: every sentence has the same label, nothing to compare", task)
            continue
        if not _comparable(coded, truth.documents):
            logger.warning("%s: too few documents, or a label in too few of them, to compare", task)
            continue
        quality = get_label_quality_scores(coded, cross_validated(vectors, coded, truth.documents))
        for row in np.argsort(quality)[:most]:
            given = STANCES[labels[row]] if task == "stance" else f"{'' if labels[row] else 'no '}{task}"
            sentence = sentences[row]
            rows.append(
                {
                    "id": sentence.id,
                    "label": given,
                    "quality": round(float(quality[row]), 4),
                    "text": sentence.text,
                }
            )
    return sorted(rows, key=lambda item: item["quality"])


def _comparable(labels: IntArray, groups: IntArray) -> bool:
    """Return True where the training part of every fold has every class."""
    from sklearn.model_selection import StratifiedGroupKFold

    if len(np.unique(groups)) < FOLDS or np.bincount(labels).max() < FOLDS:
        return False
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():  # that a class is rarer than folds is what is asked here
        warnings.simplefilter("ignore")
        parts = list(folds.split(labels, labels, groups))
    return all(len(np.unique(labels[train])) == labels.max() + 1 for train, _ in parts)


def cross_validated(
    vectors: FloatArray | NDArray[np.float32], labels: IntArray, groups: IntArray
) -> FloatArray:
    """Return probabilities of each class from models that saw no sentence of the same group.

    :param vectors: *Shape:* ``(n, width)``.
    :param labels: classes 0 to k-1, *Shape:* ``(n,)``.
    :param groups: *Shape:* ``(n,)``.
    :return: *Shape:* ``(n, k)``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1, random_state=0))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    found: FloatArray = cross_val_predict(
        model, vectors, labels, groups=groups, cv=folds, method="predict_proba"
    )
    return found


def main(data: list[Path], out: Path = Path("suspects.jsonl"), most: int = 100) -> None:
    """Write the labels that may be wrong, the worst first, as JSON lines."""
    rows = suspects(read_labelled(data), most)
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    logger.info("%d labels to read again: %s", len(rows), out)


if __name__ == "__main__":
    from brinkline.train.scripts import run_script

    run_script(main)
