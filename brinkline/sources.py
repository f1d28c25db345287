"""What reading articles passes on: an article, or what could not be read and why; and how to say it."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

_DEEPEST = 100  # levels of a field that is kept: Python's own limit is not far above
UNDECODED = re.compile("[\udc80-\udcff]")  # how the handler "surrogateescape" stands in for a byte
BINARY = "holds NUL bytes: binary, or UTF-16 without a byte order mark (then name it with --encoding)"


@dataclass(frozen=True, slots=True)
class Article:
    """One article as it was read."""

    id: str
    """The given id; else the file as it was named, with the line where it holds many (``archive.jsonl:12``)."""
    text: str
    """The decoded characters, exactly: line ends are kept as they are, only a byte order mark is dropped."""
    metadata: Mapping[str, Any]
    """The other fields of the JSON object or table row, as they are; ``title`` for HTML that has one."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that could not be read, and why."""

    source: str
    """The input as it was named, with the line where there is one: ``archive.jsonl:12``."""
    reason: str
    """What is wrong, to be read after ``source: ``."""

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


Item = Article | Unreadable


class BadInputError(Exception):
    """Carries the reason from where it is found to where the Unreadable is made; leaves none of the readers."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to read."""

    text_field: str = "text"
    id_field: str = "id"
    encoding: str | None = None
    watch: Callable[[Callable[[], int]], None] | None = None
    """Given, for every file opened, what tells how many of its bytes have been read."""

    def article(self, name: str, line: int, fields: dict[str, Any]) -> Article:
        """Make an article of the fields of a line or row, which are changed."""
        text = fields.pop(self.text_field)
        given = fields.get(self.id_field)
        if any(_too_deep(value) for value in fields.values()):
            raise BadInputError(f"a field is nested more than {_DEEPEST} levels deep")
        if isinstance(given, bool) or not isinstance(given, str | int | float) or not str(given).strip():
            # An id of another type stays in the metadata, so that nothing is lost.
            return Article(f"{name}:{line}", text, fields)
        del fields[self.id_field]
        return Article(str(given), text, fields)


@dataclass(frozen=True, slots=True)
class Source:
    """An opened input: decompressed, its first bytes looked at, its encoding known."""

    name: str
    stream: BinaryIO
    encoding: str
    mark: int  # length of the byte order mark, which is already taken off the stream
    options: Options

    def item(self, line: int, read: Callable[[Source, Any], dict[str, Any]], raw: object) -> Item:
        """Make an article of one line or row, or say what is wrong with it."""
        try:
            return self.options.article(self.name, line, read(self, raw))
        except BadInputError as error:
            return Unreadable(f"{self.name}:{line}", str(error))


def _too_deep(value: Any) -> bool:
    """Tell whether a value is nested deeper than what writes it goes."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list | tuple)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def undecodable(source: Source, byte: int, place: str) -> BadInputError:
    """Say which byte is not in the encoding, and where."""
    what = f"not {source.encoding}: byte 0x{byte & 0xFF:02x} {place}"
    return BadInputError(f"{what}; convert it or name its encoding with --encoding")


def lines(source: Source, newline: str) -> Iterator[str]:
    """Yield lines with their ends as they are; a byte that cannot be decoded stays in, to be named later."""
    count = 0
    try:
        text = io.TextIOWrapper(source.stream, source.encoding, "surrogateescape", newline)
        for line in text:
            count += 1
            yield line
    except UnicodeError:  # UTF-16 and its like, which cannot be picked up again
        raise BadInputError(f"not {source.encoding} after line {count}; the rest is not read") from None


def listed(lead: str, wanted: str, names: Iterable[str]) -> str:
    """Name what is there and what is nearest, shortened: without a header row, a name may be an article."""
    there = list(names) or ["(none)"]
    short = [name if len(name) <= 40 else f"{name[:40]}…" for name in there]
    listed = ", ".join(map(repr, short[:20])) + (", …" if len(there) > 20 else "")
    near = difflib.get_close_matches(wanted, short, n=1)
    return f"{lead} {listed}" + (f"; the nearest is {near[0]!r}" if near else "")
