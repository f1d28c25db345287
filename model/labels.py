"""The labels and their order: the one place that defines them (meanings: data/CODEBOOK.md)."""

from __future__ import annotations

from collections.abc import Iterable

STANCES: tuple[str, ...] = ("hostile", "neutral", "conciliatory")
"""Exactly one a sentence. Arrays of stance logits or probabilities have their columns in this order."""

SIGNALS: tuple[str, ...] = ("threat", "deterrence", "retaliation")
"""Any combination a sentence. Arrays of signal logits or probabilities have their columns in this order."""


def order_signals(signals: Iterable[str]) -> tuple[str, ...]:
    """Put signals into label order.

    :param signals: names out of :data:`SIGNALS`, in any order.
    :return: the same names, each once, in label order.
    :raises ValueError: for a name that is no signal.
    """
    given = set(signals)
    if unknown := sorted(given - set(SIGNALS)):
        raise ValueError(f"unknown signal {unknown[0]!r}; signals are {', '.join(SIGNALS)}")
    return tuple(signal for signal in SIGNALS if signal in given)
