"""Figures by group: source, genre, region and length of the sentences, and whole contrast groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from brinkline.data.schema import Document, LabelledSentence
from brinkline.model.labels import SIGNALS
from brinkline.train.metrics import Decisions, Truth, measure

FEWEST = 20
"""A group with fewer sentences is counted with the rest."""
LENGTHS = ((8, "under 8 words"), (16, "8 to 15 words"), (25, "16 to 24 words"), (45, "25 to 44 words"))
REST = "other"

_Key = Callable[[Document, LabelledSentence], str]


def length_of(text: str) -> str:
    """Return the group that a sentence's length puts it in."""
    words = len(text.split())
    return next((name for limit, name in LENGTHS if words < limit), "45 words and more")


GROUPS: dict[str, _Key] = {
    "source": lambda document, _: document.source,
    "genre": lambda document, _: document.genre,
    "region": lambda document, _: document.region,
    "length": lambda _, sentence: length_of(sentence.text),
}


def breakdown(
    documents: Sequence[Document], truth: Truth, decisions: Decisions
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return figures of each group: ``sentences``, ``stance_macro_f1``, ``stance_accuracy``, ``signals_micro_f1``.

    Groups by something that the documents do not tell are left out, as are those with one group only. Signals are
    counted together (micro-F1; None where the group has none and none was found), since few groups have enough of each.
    """
    pairs = [(document, sentence) for document in documents for sentence in document.sentences]
    found = {}
    for name, key in GROUPS.items():
        keys = [key(*pair) or REST for pair in pairs]
        few = {k for k in set(keys) if keys.count(k) < FEWEST}
        names = np.array([REST if k in few else k for k in keys])
        if len(set(names) - {REST}) > 1:
            order = (
                [text for _, text in LENGTHS] + ["45 words and more", REST]
                if name == "length"
                else sorted(set(names))
            )
            found[name] = {
                str(k): _figures(truth, decisions, names == k) for k in order if (names == k).any()
            }
    return found


def _figures(truth: Truth, decisions: Decisions, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    part = Truth(truth.stance[rows], truth.signals[rows], truth.documents[rows])
    theirs = Decisions(decisions.stance[rows], decisions.signals[rows])
    stance = measure(part, theirs)["stance"]
    both = (part.signals * theirs.signals).sum()
    either = part.signals.sum() + theirs.signals.sum()
    return {
        "sentences": int(rows.sum()),
        "stance_macro_f1": stance["macro_f1"],
        "stance_accuracy": stance["accuracy"],
        "signals": {name: int(part.signals[:, i].sum()) for i, name in enumerate(SIGNALS)},
        "signals_micro_f1": float(2 * both / either) if either else None,
    }


def contrast_groups(
    documents: Sequence[Document], truth: Truth, decisions: Decisions
) -> dict[str, Any] | None:
    """Return how many contrast groups are wholly right: every label of every sentence. None where there are none."""
    right = (truth.stance == decisions.stance) & (truth.signals == decisions.signals).all(axis=1)
    whole, start = [], 0
    for document in documents:
        end = start + len(document.sentences)
        if document.rule:
            whole.append(bool(right[start:end].all()))
        start = end
    if not whole:
        return None
    return {"groups": len(whole), "wholly_right": sum(whole) / len(whole)}
