"""Labelled sentences and articles, and the one reader for both.

A file holds one JSON object a line. An object with ``sentences`` is a labelled article (or, with ``rule`` as
well, a contrast group, whose sentences do not follow one another); one with ``text`` is a labelled sentence.
Fields that the format does not know are left alone, unless they look like a misspelt one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brinkline.model.errors import BrinklineError
from brinkline.model.labels import SIGNALS, STANCES, order_signals

ATTITUDES: tuple[str, ...] = ("against", "favor", "none")
"""Stance toward a named target."""

_CONTEXT = 8  # sentences before that are kept with a sentence: more than any model here reads

_LABELS = ("text", "stance", "signals", "targets", "licence")
_ARTICLE = ("id", "title", "genre", "region", "year", "rule", "sentences")
_SENTENCE = ("id", "source", "document", "previous", *_LABELS)
# Fields that may be left out, and whose name is long enough to say that another is meant for it.
_OPTIONAL = ("title", "genre", "region", "source", "document", "previous", "targets", "licence")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file of labelled data."""

    file: str
    line: int | None
    field: str | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


_SHOWN = 100  # problems in the message; the exception holds them all


class LabelledDataError(BrinklineError, ValueError):
    """Labelled data cannot be read; ``problems`` holds everything wrong, in the order of the files."""

    exit_code = 1

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        noun = "problem" if len(problems) == 1 else "problems"
        shown = [str(problem) for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"… and {len(problems) - _SHOWN} more")
        super().__init__("\n".join([f"{len(problems)} {noun} in the labelled data:", *shown]))


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """One sentence with its labels."""

    text: str
    stance: str
    signals: tuple[str, ...]
    """In label order."""
    previous: tuple[str, ...] = ()
    """The sentences before it, nearest last, as far as they are known."""
    id: str = ""
    targets: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    signals_teach: bool = True
    """False where the choice of the sentence says something about its signals: then only its stance is learned."""

    def context(self, sentences: int) -> str:
        """Return the last so many sentences before this one, as one text."""
        return " ".join(self.previous[-sentences:]) if sentences else ""


@dataclass(frozen=True, slots=True)
class Document:
    """Sentences that stay together when data are split: an article, a contrast group, a source document."""

    id: str
    """Unique over everything that was read together."""
    source: str
    """Where it comes from: the ``source`` field of its sentences, or the name of its file."""
    sentences: tuple[LabelledSentence, ...]
    file: str
    line: int
    """Line of the file on which it (or its first sentence) stands."""
    rule: str = ""
    """For a contrast group: the rule of the codebook that it turns on."""
    genre: str = ""
    region: str = ""
    year: int | None = None
    title: str = ""


def read_labelled(paths: Iterable[str | Path]) -> list[Document]:
    """Read labelled articles, contrast groups and labelled sentences.

    :param paths: ``.jsonl`` files, or folders of them (read in the order of their names).
    :return: the documents, in the order in which they stand; sentences of one ``document`` are gathered.
    :raises LabelledDataError: if anything at all is wrong; it lists every problem with file, line and field.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    reader = _Reader()
    for path in paths:
        reader.read(Path(path))
    documents = reader.documents()
    if not reader.problems and not documents:
        reader.problems.append(
            Problem(", ".join(map(str, paths)) or "(no path)", None, None, "no labelled data")
        )
    if reader.problems:
        raise LabelledDataError(reader.problems)
    return documents


def sentences_of(documents: Iterable[Document]) -> list[LabelledSentence]:
    """Return all sentences of the documents, in order."""
    return [sentence for document in documents for sentence in document.sentences]


def labelled_files(path: Path) -> list[Path]:
    """Return the files that a path stands for: itself, or the ``.jsonl`` files of a folder, by name."""
    return sorted(path.glob("*.jsonl")) if path.is_dir() else [path]


class _Reader:
    """Collects documents and problems over several files."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._documents: dict[str, Document] = {}
        self._loose: dict[str, list[tuple[LabelledSentence, str, int, str]]] = {}
        self._names: dict[Path, str] = {}
        self._first: dict[tuple[str, ...], str] = {}

    def read(self, path: Path) -> None:
        files = labelled_files(path)
        if not files:
            self.problems.append(Problem(str(path), None, None, "the folder holds no .jsonl file"))
        for file in files:
            if file.resolve() in self._names:
                self.problems.append(Problem(str(file), None, None, "is named twice"))
                continue
            source = self._name(file)
            before = len(self.problems)
            lines = 0
            for lines, (number, line) in enumerate(self._lines(file), start=1):  # noqa: B007
                self._read_line(str(file), number, line, source)
            if not lines and before == len(self.problems):
                self.problems.append(Problem(str(file), None, None, "the file is empty"))

    def documents(self) -> list[Document]:
        gathered = []
        for key, members in self._loose.items():
            _, file, line, source = members[0]
            if key in self._documents:
                message = f"{key!r} is the id of an article too, in {self._first[key,]}"
                self.problems.append(Problem(file, line, "document", message))
            gathered.append(Document(key, source, tuple(member[0] for member in members), file, line))
        return [*self._documents.values(), *gathered]

    def _name(self, file: Path) -> str:
        """Return the file's name without its ending, numbered where another folder has the same."""
        name, number = file.stem, 1
        while name in self._names.values():
            number += 1
            name = f"{file.stem}-{number}"
        self._names[file.resolve()] = name
        return name

    def _lines(self, file: Path) -> Iterator[tuple[int, str]]:
        try:
            raw = file.read_bytes()
        except FileNotFoundError:
            self.problems.append(Problem(str(file), None, None, "no such file"))
            return
        except OSError as error:
            self.problems.append(Problem(str(file), None, None, f"cannot be read: {error.strerror}"))
            return
        for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                column = len(line[: error.start].decode("utf-8")) + 1
                message = f"not UTF-8: byte 0x{line[error.start]:02x} at column {column}"
                self.problems.append(Problem(str(file), number, None, message))
                continue
            if text.strip():
                yield number, text

    def _read_line(self, file: str, number: int, line: str, source: str) -> None:
        try:
            record = json.loads(line, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            self.problems.append(
                Problem(file, number, None, f"not JSON: {error.msg} at column {error.colno}")
            )
            return
        except (ValueError, RecursionError) as error:
            self.problems.append(Problem(file, number, None, f"not JSON: {error}"))
            return
        if not isinstance(record, dict):
            self.problems.append(Problem(file, number, None, f"expected an object, got {_kind(record)}"))
            return
        record_problems: list[tuple[str, str]] = []
        if _is_article(record):
            self._article(record, file, number, source, record_problems)
        else:
            self._sentence(record, file, number, source, record_problems)
        self.problems += [Problem(file, number, name, message) for name, message in record_problems]

    def _article(
        self, record: dict[str, Any], file: str, number: int, source: str, problems: list[tuple[str, str]]
    ) -> None:
        name = _text(record, "id", problems, required=True)
        sentences = _parse_sentences(record, name, problems)
        year = record.get("year")
        if year is not None and (not isinstance(year, int) or isinstance(year, bool)):
            problems.append(("year", f"expected a whole number, got {_kind(year)} {year!r}"))
        texts = {key: _text(record, key, problems) for key in ("rule", "genre", "region", "title")}
        _misspelt(record, _ARTICLE, problems)
        if name and (first := self._first.setdefault((name,), f"{file}:{number}")) != f"{file}:{number}":
            problems.append(("id", f"{name!r} stands already in {first}"))
        if not problems:
            self._documents[name] = Document(name, source, sentences, file, number, year=year, **texts)

    def _sentence(
        self, record: dict[str, Any], file: str, number: int, source: str, problems: list[tuple[str, str]]
    ) -> None:
        before = _text(record, "previous", problems)
        name = _text(record, "id", problems) or f"{source}:{number}"
        source = _text(record, "source", problems) or source
        # Documents of different sources may bear the same name ("1", "2").
        document = f"{source}/{_text(record, 'document', problems) or name}"
        sentence = _parse_sentence(record, problems, name, (before,) if before else (), "")
        _misspelt(record, _SENTENCE, problems)
        here = f"{file}:{number}"
        if (first := self._first.setdefault((document, name), here)) != here:
            problems.append(("id", f"{name!r} stands already in {first}"))
        if not problems:
            self._loose.setdefault(document, []).append((sentence, file, number, source))


def _is_article(record: dict[str, Any]) -> bool:
    if record.get("sentences") is not None:
        return True
    like_a_list = isinstance(record.get(_like("sentences", record)), list)
    return "text" not in record and ("sentences" in record or like_a_list)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} stands there twice")
    return values


def _parse_sentences(
    record: dict[str, Any], name: str, problems: list[tuple[str, str]]
) -> tuple[LabelledSentence, ...]:
    items = record.get("sentences")
    if "sentences" not in record:
        problems.append(("sentences", _missing(record, "sentences")))
        return ()
    if not isinstance(items, list) or not items:
        got = "an empty list" if items == [] else _kind(items)
        problems.append(("sentences", f"expected a list with at least one sentence, got {got}"))
        return ()
    contrast = record.get("rule") is not None
    sentences: list[LabelledSentence] = []
    for index, item in enumerate(items):
        # The sentences of a contrast group are versions of one another, none is the context of the next.
        previous = () if contrast else tuple(sentence.text for sentence in sentences[-_CONTEXT:])
        place = f"sentences[{index}]"
        if isinstance(item, dict):
            sentences.append(_parse_sentence(item, problems, f"{name}/{index}", previous, f"{place}."))
            _misspelt(item, _LABELS, problems, f"{place}.")
        else:
            problems.append((place, f"expected an object, got {_kind(item)}"))
    return tuple(sentences)


def _parse_sentence(
    record: dict[str, Any], problems: list[tuple[str, str]], name: str, previous: tuple[str, ...], place: str
) -> LabelledSentence:
    found: list[tuple[str, str]] = []
    text = _text(record, "text", found, required=True)
    stance = _text(record, "stance", found, required=True)
    if stance.strip() and stance not in STANCES:
        found.append(("stance", f"{stance!r} is none of {', '.join(STANCES)}{_nearest(stance, STANCES)}"))
    signals = _signals(record, found)
    targets = _targets(record, found)
    licence = _text(record, "licence", found)
    problems += [(place + key, message) for key, message in found]
    return LabelledSentence(text, stance, signals, previous, name, targets, licence)


def _signals(record: dict[str, Any], problems: list[tuple[str, str]]) -> tuple[str, ...]:
    if "signals" not in record:
        problems.append(("signals", _missing(record, "signals")))
        return ()
    values = record["signals"]
    if not isinstance(values, list):
        problems.append(("signals", f"expected a list, got {_kind(values)}"))
        return ()
    good = []
    for value in values:
        if value not in SIGNALS:
            hint = _nearest(value, SIGNALS) if isinstance(value, str) else ""
            problems.append(("signals", f"{value!r} is none of {', '.join(SIGNALS)}{hint}"))
        elif value in good:
            problems.append(("signals", f"{value!r} stands there twice"))
        else:
            good.append(value)
    return order_signals(good)


def _targets(record: dict[str, Any], problems: list[tuple[str, str]]) -> dict[str, str]:
    values = record.get("targets")
    if values is None:
        return {}
    if not isinstance(values, dict):
        problems.append(("targets", f"expected an object, got {_kind(values)}"))
        return {}
    for name, attitude in values.items():
        if attitude not in ATTITUDES:
            hint = _nearest(attitude, ATTITUDES) if isinstance(attitude, str) else ""
            problems.append((f"targets[{name!r}]", f"{attitude!r} is none of {', '.join(ATTITUDES)}{hint}"))
    return dict(values)


def _text(record: dict[str, Any], key: str, problems: list[tuple[str, str]], required: bool = False) -> str:
    value = record.get(key)
    if value is None:
        if required:
            problems.append((key, _missing(record, key)))
        return ""
    if key in ("id", "document") and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        problems.append((key, f"expected a text, got {_kind(value)}"))
        return ""
    if required and not value.strip():
        problems.append((key, "is empty"))
    if any("\ud800" <= character <= "\udfff" for character in value):
        problems.append((key, "holds half a surrogate pair, which is no character"))
    return value


def _missing(record: dict[str, Any], key: str) -> str:
    near = _like(key, record)
    return f"is missing (did you mean the field {near!r}?)" if near else "is missing"


def _misspelt(
    record: dict[str, Any], known: Sequence[str], problems: list[tuple[str, str]], place: str = ""
) -> None:
    """Refuse a field that is all but one that may be left out; other unknown fields are left alone."""
    for key in known:
        if key in _OPTIONAL and key not in record and (near := _like(key, record, cutoff=0.82)):
            problems.append((place + near, f"is no field (did you mean {key!r}?)"))


def _like(key: str, record: dict[str, Any], cutoff: float = 0.6) -> str:
    """Return the unknown field of a record whose name is nearest to a known one, or nothing."""
    unknown = {name.lower(): name for name in record if name not in (*_ARTICLE, *_SENTENCE)}
    near = difflib.get_close_matches(key, unknown, n=1, cutoff=cutoff)
    return unknown[near[0]] if near else ""


def _nearest(value: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(value.lower(), known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
