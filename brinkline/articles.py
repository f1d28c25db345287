"""Articles out of files: plain text, HTML, JSON lines and tables, plain or packed, or standard input.

Input that cannot be read is never an exception: it comes out as an :class:`Unreadable`, and reading goes on.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from brinkline.streams import Joined, open_stream, signature


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


_Item = Article | Unreadable


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
class _Source:
    """An opened input: decompressed, its first bytes looked at, its encoding known."""

    name: str
    stream: BinaryIO
    encoding: str
    mark: int  # length of the byte order mark, which is already taken off the stream
    options: Options

    def item(self, line: int, read: Callable[[_Source, Any], dict[str, Any]], raw: object) -> _Item:
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


_HEAD = 4096  # bytes: enough for every mark and signature looked for
_DEEPEST = 100  # levels of a field that is kept: Python's own limit is not far above
_LONGEST_CELL = 1 << 26  # characters; bounds what a quotation mark that is never closed swallows

_KINDS = {".csv": "csv", ".tsv": "tsv"} | dict.fromkeys((".html", ".htm", ".xhtml"), "html")
_KINDS |= dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl")

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32-LE"),
    (b"\x00\x00\xfe\xff", "UTF-32-BE"),
    (b"\xef\xbb\xbf", "UTF-8"),
    (b"\xff\xfe", "UTF-16-LE"),
    (b"\xfe\xff", "UTF-16-BE"),
)
_SYSTEM_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "no such file",
    PermissionError: "no permission to read it",
    EOFError: "corrupt gzip: it ends too early",
    zlib.error: "corrupt gzip",
    gzip.BadGzipFile: "corrupt gzip, or not gzip at all",
}

_HTML_START = re.compile(r"\s*(<\?xml[^>]*\?>\s*)?<(!doctype html|html)", re.IGNORECASE)
_PART_OF_JSON = re.compile(r"\s*(\[.*,|[\[{])\s*")  # the first line of one value laid out over many
_BEGINS_JSON = re.compile(r"\s*(\{\s*(\"|$)|\[\s*(\{|$))")  # what no article begins with
_UNDECODED = re.compile("[\udc80-\udcff]")  # how the handler "surrogateescape" stands in for a byte
_BINARY = "holds NUL bytes: binary, or UTF-16 without a byte order mark (then name it with --encoding)"
_JSON_TYPES = {type(None): "null", bool: "true or false", int: "a number", float: "a number"}
_JSON_TYPES |= {str: "a string", list: "a list", dict: "an object"}


def read_articles(
    inputs: Sequence[str],
    *,
    text_field: str = "text",
    id_field: str = "id",
    encoding: str | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Article | Unreadable]:
    """Read articles from files, as a stream and in order.

    The kind goes by the suffix, with or without ``.gz`` or ``.zst`` after it: ``.html``, ``.htm`` and
    ``.xhtml`` are HTML, whose main text is taken out; ``.jsonl``, ``.ndjson`` and ``.json`` hold one JSON
    object a line; ``.csv`` and ``.tsv`` are tables with a header row, ``.parquet`` is a table too; all else
    is plain text, one article a file.

    :param inputs: names of files; ``-`` is standard input, whose kind goes by how it begins.
    :param text_field: field of a JSON object, or column of a table, that holds the text.
    :param id_field: field or column that holds the article's id, where there is one.
    :param encoding: encoding of the files; by default UTF-8, and for HTML what the page says. A byte order
        mark goes before it.
    :param stdin: what ``-`` reads, by default standard input.
    :return: an article, or what could not be read and why, one after the other.
    :raises LookupError: at once, for an encoding that Python does not know.
    :raises ImportError: for a Parquet table or zstd without the extra ``[archive]``.
    """
    check_encoding(encoding)
    options = Options(text_field, id_field, encoding)
    return (item for name in inputs for item in read_input(name, options, stdin))


def check_encoding(encoding: str | None) -> None:
    """Refuse an encoding that Python does not know.

    :raises LookupError: for such a name.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), encoding or "utf-8")
    except (LookupError, ValueError):
        raise LookupError(f"unknown encoding {encoding!r}; known are utf-8, cp1252, gb18030 …") from None


def shown_name(name: str) -> str:
    """Return the name of a file, which need not be valid UTF-8, as it can be printed."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_input(name: str, options: Options, stdin: BinaryIO | None = None) -> Iterator[_Item]:
    """Read one file; see :func:`read_articles`."""
    shown = shown_name(name)
    try:
        if name == "-":
            yield from _read_stdin(options, stdin)
            return
        if Path(name).suffix.lower() == ".parquet" and not Path(name).is_dir():
            from brinkline.archive_input import read_parquet

            yield from read_parquet(Path(name), shown, options)
            return
        stream, kind = _open(Path(name))
        with stream:
            if options.watch is not None:
                options.watch(lambda: os.lseek(stream.fileno(), 0, os.SEEK_CUR))
            yield from _read_stream(kind, shown, stream.read(_HEAD), stream, options)
    except BadInputError as error:
        yield Unreadable(shown, str(error))
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        OverflowError,
        LookupError,
        NotImplementedError,
    ) as error:
        other = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        yield Unreadable(shown, _SYSTEM_REASONS.get(type(error), other))


def _open(path: Path) -> tuple[BinaryIO, str]:
    if path.is_dir():  # asked first, because Windows refuses to open one as it does a locked file
        raise BadInputError("is a directory: name the files in it")
    stream, suffix = open_stream(path)
    return stream, _KINDS.get(suffix, "text")


def _read_stdin(options: Options, stdin: BinaryIO | None) -> Iterator[_Item]:
    if stdin is None and sys.stdin is None:
        raise BadInputError("standard input is closed")
    stream = sys.stdin.buffer if stdin is None else stdin
    lines: list[bytes] = []
    for line in iter(stream.readline, b""):
        lines.append(line)
        if line.strip():
            break
    head, kind = b"".join(lines), "text"
    encoding, mark = _encoding_of(head, options.encoding)
    if "\n".encode(encoding) != b"\n":  # UTF-16 and its like: the lines above were cut in the wrong places
        head += stream.read()
    elif not _begins_json(head[mark:].decode(encoding, "replace").strip()):
        head += stream.readline()  # the first line of JSON lines may be cut off: tail -c
    first, *others = head[mark:].decode(encoding, "replace").strip().split("\n", 2)
    if _begins_json(first) or any(map(_is_object, others[:1])):
        kind = "jsonl"
    if kind == "text":  # only JSON lines are streamed: all else is one article
        head += stream.read()
        kind = "html" if _HTML_START.match(head[mark:_HEAD].decode(encoding, "replace")) else kind
    yield from _read_stream(kind, "-", head, stream, options)


def _begins_json(line: str) -> bool:
    """Tell whether a line is a JSON object, or begins a JSON value that is laid out otherwise."""
    return bool(_BEGINS_JSON.match(line)) or _is_object(line)


def _is_object(line: str) -> bool:
    with suppress(BadInputError):
        _json_object(line)
        return True
    return False


def _read_stream(kind: str, name: str, head: bytes, rest: BinaryIO, options: Options) -> Iterator[_Item]:
    if look := signature(head[:_HEAD]):
        raise BadInputError(f"looks like {look}, not text")
    encoding, mark = _encoding_of(head, options.encoding)
    stream = cast(BinaryIO, io.BufferedReader(Joined(head[mark:], rest)))
    source = _Source(name, stream, encoding, mark, options)
    if kind == "jsonl":
        yield from _read_jsonl(source)
    elif kind in ("csv", "tsv"):
        yield from _read_table(source, "," if kind == "csv" else "\t")
    elif kind == "html":
        yield _read_html(source)
    else:
        yield Article(name, _decode(stream.read(), source), {})


def _encoding_of(head: bytes, named: str | None) -> tuple[str, int]:
    marked = ((encoding, len(mark)) for mark, encoding in _MARKS if head.startswith(mark))
    return next(marked, (named or "UTF-8", 0))


def _decode(data: bytes, source: _Source) -> str:
    try:
        text = data.decode(source.encoding)
    except UnicodeDecodeError as error:
        if source.encoding == "UTF-8" and b"\0" in data:
            raise BadInputError(_BINARY) from None
        raise _undecodable(source, data[error.start], f"at offset {error.start + source.mark}") from None
    if "\0" in text:
        raise BadInputError(_BINARY)
    if not text.strip():
        raise BadInputError("is empty")
    return text


def _undecodable(source: _Source, byte: int, place: str) -> BadInputError:
    what = f"not {source.encoding}: byte 0x{byte & 0xFF:02x} {place}"
    return BadInputError(f"{what}; convert it or name its encoding with --encoding")


def _read_html(source: _Source) -> Article:
    data = source.stream.read()
    named = source.mark or source.options.encoding is not None
    # Unnamed, the bytes go in, for trafilatura to find the encoding; Latin-1 reads any, for the checks alone.
    page = _decode(data, source if named else replace(source, encoding="latin-1"))
    import trafilatura

    try:
        document: Any = trafilatura.bare_extraction(
            page if named else data, include_comments=False, with_metadata=True
        )
    except Exception as error:  # a page from the web may hold anything, and must not stop the others
        raise BadInputError(f"the HTML cannot be parsed: {error}") from error
    if document is None or not (text := (document.text or "").strip()):
        raise BadInputError("no main text found in the HTML")
    return Article(source.name, text, {"title": document.title} if document.title else {})


def _lines(source: _Source, newline: str) -> Iterator[str]:
    """Yield lines with their ends as they are; a byte that cannot be decoded stays in, to be named later."""
    count = 0
    try:
        text = io.TextIOWrapper(source.stream, source.encoding, "surrogateescape", newline)
        for line in text:
            count += 1
            yield line
    except UnicodeError:  # UTF-16 and its like, which cannot be picked up again
        raise BadInputError(f"not {source.encoding} after line {count}; the rest is not read") from None


def _read_jsonl(source: _Source) -> Iterator[_Item]:
    empty = True
    for number, line in enumerate(_lines(source, "\n"), start=1):
        line = line.removeprefix("\ufeff")  # also amid the file, where two were joined
        if not line.strip():
            continue
        if empty and "\0" in line:
            raise BadInputError(_BINARY)
        if empty and _PART_OF_JSON.fullmatch(line):
            raise BadInputError("is one JSON value over many lines: write one object a line")
        empty = False
        yield source.item(number, _json_fields, line)
    if empty:
        raise BadInputError("is empty")


def _json_fields(source: _Source, line: str) -> dict[str, Any]:
    if bad := _UNDECODED.search(line):
        raise _undecodable(source, ord(bad[0]), f"at character {bad.start() + 1} of the line")
    fields, name = _json_object(line), source.options.text_field
    if name not in fields:
        raise BadInputError(f"has no field {name!r}: {listed('its fields are', name, fields)}")
    if not isinstance(fields[name], str):
        raise BadInputError(f"field {name!r} is {_JSON_TYPES[type(fields[name])]}, not text")
    return fields


def _json_object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadInputError(f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise BadInputError(f"not JSON that can be read: {error}") from None
    if not isinstance(value, dict):
        raise BadInputError(f"is {_JSON_TYPES[type(value)]}, not a JSON object")
    return value


def listed(lead: str, wanted: str, names: Iterable[str]) -> str:
    """Name what is there and what is nearest, shortened: without a header row, a name may be an article."""
    there = list(names) or ["(none)"]
    short = [name if len(name) <= 40 else f"{name[:40]}…" for name in there]
    listed = ", ".join(map(repr, short[:20])) + (", …" if len(there) > 20 else "")
    near = difflib.get_close_matches(wanted, short, n=1)
    return f"{lead} {listed}" + (f"; the nearest is {near[0]!r}" if near else "")


def _read_table(source: _Source, delimiter: str) -> Iterator[_Item]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    # Strict: else a quotation mark left open, or one not doubled, would silently join or change texts.
    rows = csv.reader(_lines(source, ""), delimiter=delimiter, strict=True)
    header = _header(source, rows, delimiter)
    empty = True
    while True:
        line = rows.line_num + 1  # where the row begins: it may hold line breaks
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            empty = False
            yield Unreadable(f"{source.name}:{line}", f"not a table row: {error}")
            continue
        if row:
            empty = False
            yield source.item(line, _row_fields, (header, row))
    if empty:
        raise BadInputError("has a header row and nothing below it")


def _header(source: _Source, rows: Iterator[list[str]], delimiter: str) -> list[str]:
    try:
        header = next((row for row in rows if row), [])
    except csv.Error as error:
        raise BadInputError(f"its header row cannot be read: {error}") from None
    if not any(cell.strip() for cell in header):
        raise BadInputError("has no header row" if header else "is empty")
    _check_cells(source, header, _BINARY)
    for name in (source.options.id_field, source.options.text_field):
        if header.count(name) > 1:
            raise BadInputError(f"has more than one column {name!r}")
    if name not in header:
        named = listed("the columns in its header row are", name, header)
        other = next((d for d in ",;\t|" if d != delimiter and name in delimiter.join(header).split(d)), None)
        hint = f"; they are parted by {other!r}, not by {delimiter!r}" if other else ""
        raise BadInputError(f"has no column {name!r}: {named}{hint}")
    return distinct(header)


def distinct(names: Sequence[str]) -> list[str]:
    """Put a number after names of columns that have been there before, so that no value takes another's place."""
    found: dict[str, None] = {}
    for name in names:
        number, new = 1, name
        while new in found or (number > 1 and new in names):
            number += 1
            new = f"{name}_{number}"
        found[new] = None
    return list(found)


def _row_fields(source: _Source, header_and_row: tuple[list[str], list[str]]) -> dict[str, Any]:
    header, row = header_and_row
    _check_cells(source, row, "holds a NUL character")
    if len(row) != len(header):
        raise BadInputError(f"has {len(row)} field{'s' * (len(row) != 1)}, the header has {len(header)}")
    return dict(zip(header, row, strict=True))


def _check_cells(source: _Source, row: list[str], nul: str) -> None:
    for number, cell in enumerate(row, start=1):
        if "\0" in cell:
            raise BadInputError(nul)
        if bad := _UNDECODED.search(cell):
            raise _undecodable(source, ord(bad[0]), f"in field {number}")
