"""Soft labels: what a model says, in probabilities, of sentences whose texts are kept elsewhere.

A file of soft labels is JSON lines. The first says who spoke: ``teacher`` (a name), ``weights`` (the SHA-256 of its
weights) and ``trained_on`` (the ids of the documents that it learned from). Each of the others holds ``sha256``, as in
:mod:`brinkline.data.detached`, ``stance`` (the probabilities of hostile, neutral and conciliatory) and, where the
teacher is heard on them, ``signals`` (those of threat, deterrence and retaliation).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brinkline.data.detached import DIGITS, json_records
from brinkline.data.schema import LabelledDataError, Problem
from brinkline.model.labels import SIGNALS, STANCES

DECIMALS = 3
"""Of a probability, in the file."""


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """What one teacher said, by the hash of the text."""

    teacher: str
    weights: str
    """SHA-256 of the teacher's weights."""
    trained_on: frozenset[str]
    """Documents that the teacher learned from."""
    stance: Mapping[str, Sequence[float]]
    """Three probabilities each, in the order of ``STANCES``; their sum is 1."""
    signals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Three probabilities each, in the order of ``SIGNALS``; empty where the teacher is not heard on signals."""


def write_soft_labels(path: str | Path, labels: SoftLabels) -> None:
    """Write a file of soft labels, rounded to three decimals.

    :param path: the file; one that is there is replaced.
    :param labels: what goes into it.
    """
    first = {
        "teacher": labels.teacher,
        "weights": labels.weights,
        "trained_on": sorted(labels.trained_on),
    }
    lines = [json.dumps(first, ensure_ascii=False)]
    for digest, stance in labels.stance.items():
        row: dict[str, Any] = {"sha256": digest, "stance": [round(value, DECIMALS) for value in stance]}
        if labels.signals:
            row["signals"] = [round(value, DECIMALS) for value in labels.signals[digest]]
        lines.append(json.dumps(row))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_soft_labels(path: str | Path) -> SoftLabels:
    """Read a file of soft labels; what rounding took from the sum of the stances is put right.

    :param path: JSON lines, plain or ``.gz`` or ``.xz``.
    :raises LabelledDataError: with file, line and field of everything that is wrong.
    """
    path = Path(path)
    problems: list[Problem] = []
    rows = list(json_records(path, problems))
    head = _head(path, rows[0][1], problems) if rows else None
    stance: dict[str, list[float]] = {}
    signals: dict[str, list[float]] = {}
    lines: dict[str, int] = {}
    for number, record in rows[1:]:
        digest = record.get("sha256")
        if wrong := _problem(record, lines, bool(signals) if stance else None):
            problems.append(Problem(str(path), number, *wrong))
            continue
        lines[str(digest)] = number
        total = sum(record["stance"])
        stance[str(digest)] = [value / total for value in record["stance"]]
        if "signals" in record:
            signals[str(digest)] = [float(value) for value in record["signals"]]
    if not stance and not problems:
        problems.append(Problem(str(path), None, None, "holds no soft label"))
    if problems or head is None:
        raise LabelledDataError(problems)
    return SoftLabels(*head, stance, signals)


def _head(
    path: Path, record: Mapping[str, Any], problems: list[Problem]
) -> tuple[str, str, frozenset[str]] | None:
    teacher, weights, learned = (record.get(key) for key in ("teacher", "weights", "trained_on"))
    expected = "the first line tells the teacher: expected "
    if not isinstance(teacher, str) or not teacher:
        problems.append(Problem(str(path), 1, "teacher", f"{expected}its name"))
    elif not isinstance(weights, str) or not re.fullmatch("[0-9a-f]{64}", weights):
        problems.append(Problem(str(path), 1, "weights", f"{expected}the SHA-256 of its weights"))
    elif not isinstance(learned, list) or not all(isinstance(name, str) for name in learned):
        problems.append(Problem(str(path), 1, "trained_on", f"{expected}a list of document ids"))
    else:
        return teacher, weights, frozenset(learned)
    return None


def _problem(
    record: Mapping[str, Any], lines: Mapping[str, int], with_signals: bool | None
) -> tuple[str, str] | None:
    """Return field and message of what is wrong with a row; the first decides whether rows have signals."""
    digest = record.get("sha256")
    if not isinstance(digest, str) or not re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", digest):
        return "sha256", f"expected {DIGITS} hexadecimal digits"
    if digest in lines:
        return "sha256", f"stands already in line {lines[digest]}"
    stance = record.get("stance")
    # Three values, each off by half of the last decimal at most.
    if not _probabilities(stance, len(STANCES)) or not math.isclose(sum(stance or []), 1, abs_tol=0.01):
        return "stance", f"expected {len(STANCES)} probabilities whose sum is 1, got {stance!r}"
    if "signals" in record:
        if not _probabilities(record["signals"], len(SIGNALS)):
            return "signals", f"expected {len(SIGNALS)} probabilities, got {record['signals']!r}"
        if with_signals is False:
            return "signals", "the rows before have none"
    elif with_signals:
        return "signals", "missing; the rows before have them"
    return None


def _probabilities(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(
            isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
            for value in values
        )
    )
