"""How far two or more labellings of the same sentences agree.

A file of two labellings holds one JSON object a line: ``id`` (of the sentence, as the reader gives it: document/index)
and the codes ``first`` and ``second``. A code is the stance's letter (h, n, c), then those of the signals (t, d, r), as
in ``h td``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from brinkline.data.detached import json_records
from brinkline.data.schema import LabelledDataError, Problem
from brinkline.model.labels import SIGNALS, STANCES

_STANCE = {name[0]: name for name in STANCES}
_SIGNAL = {name[0]: name for name in SIGNALS}

Labels = tuple[str, tuple[str, ...]]
"""Stance and signals of a sentence."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One sentence, labelled twice."""

    id: str
    first: Labels
    second: Labels


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two labellings agree on one label."""

    label: str
    """``stance`` (of three) or a signal (yes or no)."""
    kappa: float
    """Cohen's kappa (Cohen 1960); nan where neither labelling varies."""
    share: float
    """Share of the sentences with the same label."""
    sentences: int


def decode(code: str) -> Labels:
    """Return what a code stands for.

    :raises ValueError: where it stands for nothing.
    """
    stance, _, signals = code.partition(" ")
    if stance not in _STANCE or not set(signals) <= set(_SIGNAL) or len(set(signals)) < len(signals):
        raise ValueError(
            f"{code!r} is no code: a stance's letter (h, n, c), then signals' (t, d, r), e.g. 'h td'"
        )
    return _STANCE[stance], tuple(name for letter, name in _SIGNAL.items() if letter in signals)


def encode(labels: Labels) -> str:
    """Return the code of a stance and its signals."""
    stance, signals = labels
    return f"{stance[0]} {''.join(name[0] for name in SIGNALS if name in signals)}".strip()


def read_pairs(path: str | Path) -> list[Pair]:
    """Read a file of labellings.

    :raises LabelledDataError: with line and field of everything that is wrong; a sentence that stands twice would
        count twice, so it is refused too.
    """
    pairs: dict[str, Pair] = {}
    problems: list[Problem] = []
    for number, record in json_records(Path(path), problems):
        try:
            pair = _pair(record)
            if pair.id in pairs:
                raise _BadFieldError("id", f"{pair.id!r} stands twice")
            pairs[pair.id] = pair
        except _BadFieldError as error:
            problems.append(Problem(str(path), number, error.field, str(error)))
    if problems or not pairs:
        raise LabelledDataError(problems or [Problem(str(path), None, None, "the file is empty")])
    return list(pairs.values())


class _BadFieldError(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _pair(record: Mapping[str, object]) -> Pair:
    values: dict[str, str] = {}
    for field in ("id", "first", "second"):
        value = record.get(field)
        if not isinstance(value, str):
            message = f"expected a text, got {value!r}" if field in record else "is missing"
            raise _BadFieldError(field, message)
        values[field] = value
    labels = []
    for field in ("first", "second"):
        try:
            labels.append(decode(values[field]))
        except ValueError as error:
            raise _BadFieldError(field, str(error)) from None
    return Pair(values["id"], labels[0], labels[1])


def is_file_of_pairs(path: str | Path) -> bool:
    """Return True for a file of two labellings, False for one of labels by annotator."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            record = json.loads(next((line for line in file if line.strip()), ""))
    except (OSError, ValueError):
        # A path that cannot be read is told by whoever reads it.
        return Path(path).suffix.lower() == ".jsonl"
    return isinstance(record, dict) and bool({"first", "second"} & record.keys())


def agreement(pairs: Sequence[Pair]) -> list[Agreement]:
    """Return Cohen's kappa and the share of equal labels, for the stance and for each signal."""
    found = []
    for label in ("stance", *SIGNALS):
        first, second = (
            [_value(labels, label) for labels in side]
            for side in ([pair.first for pair in pairs], [pair.second for pair in pairs])
        )
        same = sum(a == b for a, b in zip(first, second, strict=True)) / len(pairs)
        found.append(Agreement(label, cohen_kappa(first, second), same, len(pairs)))
    return found


def cohen_kappa(first: Sequence[object], second: Sequence[object]) -> float:
    """Return Cohen's kappa of two labellings; nan where agreement by chance is certain."""
    labels = sorted({*first, *second}, key=str)
    a, b = (np.array([labels.index(label) for label in side]) for side in (first, second))
    p, q = (np.bincount(side, minlength=len(labels)) / len(side) for side in (a, b))
    chance = float(p @ q)
    return (float((a == b).mean()) - chance) / (1 - chance) if chance < 1 else float("nan")


@dataclass(frozen=True, slots=True)
class ManyAgreement:
    """How far any number of annotators agree on one label."""

    label: str
    """``stance`` (of three) or a signal (yes or no)."""
    alpha: float
    """Krippendorff's alpha, nominal; nan where no sentence was labelled twice or nobody ever differs from one value."""
    sentences: int
    """Sentences that at least two annotators labelled: alpha rests on these."""
    pairs: Mapping[tuple[str, str], Agreement]
    """Cohen's kappa for each pair of annotators that labelled a sentence in common."""


def agreement_of_many(labellings: Mapping[str, Mapping[str, Labels]]) -> list[ManyAgreement]:
    """Return Krippendorff's alpha over all annotators and Cohen's kappa of each pair, for stance and signals.

    :param labellings: annotator → sentence → labels; nobody needs to have labelled everything.
    :raises ImportError: without the package krippendorff (extra ``[label]``).
    """
    names = sorted({name for labels in labellings.values() for name in labels})
    shared = sum(sum(name in labels for labels in labellings.values()) > 1 for name in names)
    pairs: dict[tuple[str, str], dict[str, Agreement]] = {}
    for (first, a), (second, b) in combinations(labellings.items(), 2):
        both = [Pair(name, a[name], b[name]) for name in a if name in b]
        if both:
            pairs[first, second] = {item.label: item for item in agreement(both)}
    found = []
    for label in ("stance", *SIGNALS):
        values = [
            [_value(labels[name], label) for labels in labellings.values() if name in labels]
            for name in names
        ]
        alpha = krippendorff_alpha(values)
        found.append(ManyAgreement(label, alpha, shared, {who: items[label] for who, items in pairs.items()}))
    return found


def krippendorff_alpha(units: Sequence[Sequence[object]]) -> float:
    """Return Krippendorff's alpha for nominal values (Krippendorff 2011, Computing Krippendorff's alpha-reliability).

    :param units: for each unit (sentence) the values it was given, by however many annotators.
    :return: 1 for perfect agreement, 0 for what chance gives; nan where no unit has two values or all are the same.
    :raises ImportError: without the package krippendorff (extra ``[label]``).
    """
    try:
        import krippendorff
    except ImportError as error:
        raise ImportError("Krippendorff's alpha needs a package: pip install 'brinkline[label]'") from error
    # A unit with one value says nothing of agreement: it is not pairable.
    pairable = [unit for unit in units if len(unit) > 1]
    values = sorted({value for unit in pairable for value in unit}, key=str)
    if len(values) < 2:
        return float("nan")
    counts = [[sum(given == value for given in unit) for value in values] for unit in pairable]
    return float(krippendorff.alpha(value_counts=np.array(counts), level_of_measurement="nominal"))


def _value(labels: Labels, label: str) -> object:
    return labels[0] if label == "stance" else label in labels[1]
