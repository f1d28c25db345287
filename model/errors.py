"""The errors that a user can mend: a command ends them with one message instead of a traceback."""

from __future__ import annotations


class BrinklineError(Exception):
    """Base of the package's own errors; the message says what is wrong and where."""

    exit_code = 2
    """What a command exits with: 2 for wrong usage, 1 where an input is at fault."""


class CheckpointError(BrinklineError, ValueError):
    """A training checkpoint or base model is damaged, of another format, or not of a kind that can be used."""
