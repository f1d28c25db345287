"""How to cite: the one place in the package (a test holds it against CITATION.cff)."""

from __future__ import annotations

from brinkline import __version__

TITLE = "Brinkline: stance and escalation signals in news, sentence by sentence"
AUTHORS = "The Brinkline maintainers"


def citation(model: str) -> str:
    """Return one line to put into a list of references.

    :param model: name and version of the model that was used, as results carry it.
    """
    return f"{AUTHORS}. {TITLE}, version {__version__}. Model: {model}."
