"""A sentence that is sent out to be labelled, and the flat fields that carry it through any tool and back.

The id holds a fingerprint of the text, so that a text that was changed on the way is noticed without the file that
was sent.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brinkline.model.labels import SIGNALS, STANCES, order_signals

WHY: tuple[str, ...] = ("random", "uncertain", "neighbours", "diverse")
"""Why a sentence is chosen; only ``random`` ones stand for the whole archive."""

_FINGERPRINT = re.compile(r"#\d+\.([0-9a-f]{8})$")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a model says of a sentence."""

    stance: str
    signals: tuple[str, ...]
    probabilities: Mapping[str, float]
    """By name, of stances and signals."""
    model: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Stance and signals as one list."""
        return (self.stance, *self.signals)


@dataclass(frozen=True, slots=True)
class Task:
    """One sentence to be labelled."""

    id: str
    text: str
    previous: str = ""
    """The text before it, as the labelled-sentence format has it."""
    document: str = ""
    """Id of the article that it stands in."""
    start: int | None = None
    """Offset in the article, in characters."""
    end: int | None = None
    why: str = ""
    """One of :data:`WHY`, or empty where it is not known."""
    detail: str = ""
    """More of the reason, for people."""
    chance: float | None = None
    """Probability with which it was drawn, where it is known (``why`` is ``random``)."""
    suggestion: Suggestion | None = None


def fingerprint(text: str) -> str:
    """Return 8 hexadecimal digits of a text's hash; white space and Unicode's normal form do not matter."""
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def sentence_id(document: str, index: int, text: str) -> str:
    """Return the id of a sentence of a document.

    :param document: id of the document.
    :param index: position of the sentence in it, from 0.
    :param text: the sentence.
    """
    return f"{document}#{index}.{fingerprint(text)}"


def is_changed(task: Task) -> bool:
    """Return True where the text is another than the one that the id was made for."""
    found = _FINGERPRINT.search(task.id)
    return found is not None and found[1] != fingerprint(task.text)


def to_fields(task: Task) -> dict[str, Any]:
    """Return the task as one flat dict, of which no field has a name that a labelling tool uses itself."""
    fields: dict[str, Any] = {
        "sentence_id": task.id,
        "text": task.text,
        "previous": task.previous,
        "document": task.document,
        "start": task.start,
        "end": task.end,
        "why": task.why,
        "detail": task.detail,
        "chance": task.chance,
    }
    if task.suggestion is not None:
        said = task.suggestion
        fields |= {"suggested_stance": said.stance, "suggested_signals": " ".join(said.signals)}
        fields |= {f"p_{name}": round(said.probabilities[name], 4) for name in (*STANCES, *SIGNALS)}
        fields["model"] = said.model
    return fields


def from_fields(fields: Mapping[str, Any], id_field: str = "sentence_id") -> Task:
    """Return the task that fields carry; fields may be missing, or be texts as a table has them.

    :param fields: as :func:`to_fields` gives them, with whatever a tool added.
    :param id_field: field that holds the id where there is no ``sentence_id``; without an id, the text names it.
    :raises ValueError: where there is no text.
    """
    text = fields.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("expected a text that is not empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds half a surrogate pair, which is no character")
    name = _word(fields.get("sentence_id")) or _word(fields.get(id_field))
    return Task(
        name or "text:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        text,
        _word(fields.get("previous")),
        _word(fields.get("document")),
        _number(fields.get("start")),
        _number(fields.get("end")),
        _word(fields.get("why")),
        _word(fields.get("detail")),
        _share(fields.get("chance")),
        _suggestion(fields),
    )


def _suggestion(fields: Mapping[str, Any]) -> Suggestion | None:
    stance = fields.get("suggested_stance")
    if stance not in STANCES:
        return None
    named = set(_word(fields.get("suggested_signals")).split()) & set(SIGNALS)
    shares = {name: _share(fields.get(f"p_{name}")) for name in (*STANCES, *SIGNALS)}
    known = {name: share for name, share in shares.items() if share is not None}
    return Suggestion(stance, order_signals(named), known, _word(fields.get("model")))


def _word(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _number(value: object) -> int | None:
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _share(value: object) -> float | None:
    try:
        share = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return share if 0 <= share <= 1 else None
