"""Labels whose texts stay where they are: other people's sentences, labelled here, joined when they are read.

A file of detached labels holds one JSON object a line: ``sha256`` (the first 16 hexadecimal digits of the hash of the
text in UTF-8), ``stance``, ``signals``. The texts are a file of JSON lines (also ``.gz`` or ``.xz``) with ``text`` and
any of ``source``, ``document``, ``index`` and ``licence``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from brinkline.data.schema import Document, LabelledDataError, LabelledSentence, Problem
from brinkline.model.labels import SIGNALS, STANCES, order_signals

DIGITS = 16


@dataclass(frozen=True, slots=True)
class PlainText:
    """A sentence without labels."""

    text: str
    source: str = ""
    document: str = ""
    index: int = 0
    """Position in the document."""
    licence: str = ""


def text_sha256(text: str) -> str:
    """Return what a detached label names its text by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def document_of(item: PlainText) -> str:
    """Return the id of the document that a sentence without labels stands in; without a document it stands alone."""
    return f"{item.source}/{item.document or text_sha256(item.text)}"


def read_texts(path: str | Path) -> list[PlainText]:
    """Read sentences without labels.

    :param path: JSON lines, plain or ``.gz`` or ``.xz``.
    :raises LabelledDataError: with file, line and field of everything that is wrong.
    """
    path = Path(path)
    texts: list[PlainText] = []
    problems: list[Problem] = []
    for number, record in json_records(path, problems):
        text = record.get("text")
        if not isinstance(text, str) or not text.strip():
            problems.append(Problem(str(path), number, "text", "expected a text that is not empty"))
            continue
        index = record.get("index", 0)
        named = {key: str(record.get(key) or "") for key in ("source", "document", "licence")}
        texts.append(PlainText(text, index=index if isinstance(index, int) else 0, **named))
    if not texts and not problems:
        problems.append(Problem(str(path), None, None, "the file is empty"))
    if problems:
        raise LabelledDataError(problems)
    return texts


def read_detached(labels: str | Path, texts: str | Path, signals: bool = True) -> list[Document]:
    """Join detached labels with their texts.

    :param labels: the file of labels.
    :param texts: the file of texts, as for :func:`read_texts`.
    :param signals: False to mark the sentences as teaching their stance alone.
    :return: the labelled sentences as documents, in the order of the texts; texts without a label are left out.
    :raises LabelledDataError: with file, line and field of everything that is wrong, also of labels that have no text.
    """
    known = _read_labels(Path(labels))
    found: dict[str, list[tuple[PlainText, LabelledSentence, int]]] = {}
    before: dict[tuple[str, str], PlainText] = {}
    seen = set()
    for item in read_texts(texts):
        place = (item.source, item.document)
        last = before.get(place)
        before[place] = item
        digest = text_sha256(item.text)
        if digest not in known or digest in seen:
            continue
        seen.add(digest)
        stance, given, line = known[digest]
        previous = (last.text,) if last and last.index == item.index - 1 else ()
        sentence = LabelledSentence(item.text, stance, given, previous, digest, {}, item.licence, signals)
        found.setdefault(document_of(item), []).append((item, sentence, line))
    if missing := [line for digest, (_, _, line) in known.items() if digest not in seen]:
        message = f"{len(missing)} of {len(known)} labels have no text in {texts}: is it another version?"
        raise LabelledDataError([Problem(str(labels), missing[0], "sha256", message)])
    return [
        Document(name, members[0][0].source, tuple(s for _, s, _ in members), str(labels), members[0][2])
        for name, members in found.items()
    ]


def _read_labels(path: Path) -> dict[str, tuple[str, tuple[str, ...], int]]:
    problems: list[Problem] = []
    known: dict[str, tuple[str, tuple[str, ...], int]] = {}
    for number, record in json_records(path, problems):
        digest, stance, signals = (record.get(key) for key in ("sha256", "stance", "signals"))
        if not isinstance(digest, str) or not re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", digest):
            problems.append(Problem(str(path), number, "sha256", f"expected {DIGITS} hexadecimal digits"))
        elif digest in known:
            problems.append(
                Problem(str(path), number, "sha256", f"stands already in line {known[digest][2]}")
            )
        elif stance not in STANCES:
            problems.append(
                Problem(str(path), number, "stance", f"{stance!r} is none of {', '.join(STANCES)}")
            )
        elif not isinstance(signals, list) or any(signals.count(s) > 1 or s not in SIGNALS for s in signals):
            problems.append(
                Problem(
                    str(path), number, "signals", f"{signals!r} is no list of {', '.join(SIGNALS)}, each once"
                )
            )
        else:
            known[digest] = (stance, order_signals(signals), number)
    if not known and not problems:
        problems.append(Problem(str(path), None, None, "the file is empty"))
    if problems:
        raise LabelledDataError(problems)
    return known


def json_records(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the objects of a file of JSON lines with their line numbers.

    :param path: plain or ``.gz`` or ``.xz``.
    :param problems: what is wrong is added to it.
    """
    openers = {".gz": gzip.open, ".xz": lzma.open}
    try:
        opened = openers.get(path.suffix, open)(path, "rt", encoding="utf-8-sig")  # type: ignore[operator]
        with cast("IO[str]", opened) as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    problems.append(Problem(str(path), number, None, f"not JSON: {error}"))
                    continue
                if isinstance(record, dict):
                    yield number, record
                else:
                    problems.append(Problem(str(path), number, None, "expected an object"))
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        problems.append(Problem(str(path), None, None, f"cannot be read: {error}"))
