"""Articles out of files: plain text, HTML, JSON lines and tables, plain or gzipped, or standard input.

Input that cannot be read is never an exception: it comes out as an :class:`Unreadable`, and reading goes on.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast


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


class _BadInputError(Exception):
    """Carries the reason from where it is found to where the Unreadable is made; never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Options:
    text_field: str
    id_field: str
    encoding: str | None


@dataclass(frozen=True, slots=True)
class _Source:
    """An opened input: decompressed, its first bytes looked at, its encoding known."""

    name: str
    stream: BinaryIO
    encoding: str
    mark: int  # length of the byte order mark, which is already taken off the stream
    options: _Options

    def item(self, line: int, read: Callable[[_Source, Any], dict[str, Any]], raw: object) -> _Item:
        """Make an article of one line or row, or say what is wrong with it."""
        try:
            fields = read(self, raw)
        except _BadInputError as error:
            return Unreadable(f"{self.name}:{line}", str(error))
        text = fields.pop(self.options.text_field)
        given = fields.get(self.options.id_field)
        if isinstance(given, bool) or not isinstance(given, str | int | float) or not str(given).strip():
            # An id of another type stays in the metadata, so that nothing is lost.
            return Article(f"{self.name}:{line}", text, fields)
        del fields[self.options.id_field]
        return Article(str(given), text, fields)


_HEAD = 4096  # bytes: enough for every mark and signature looked for
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
_SIGNATURES = (
    (rb"%PDF-", "a PDF"),
    (rb"(?s)PK\x03\x04.*word/", "a Word document (docx)"),
    (rb"(?s)PK\x03\x04.*xl/", "an Excel workbook (xlsx)"),
    (rb"PK\x03\x04|PK\x05\x06", "a zip archive or an Office document"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (doc, xls)"),
    (rb"\{\\rtf\d", "a rich text document (RTF)"),
    (rb"\x1f\x8b\x08", "gzip"),
    (rb"\x89PNG\r\n\x1a\n", "a PNG image"),
    (rb"\xff\xd8\xff", "a JPEG image"),
    # Parquet's four letters are text too; its first page header never goes without a zero byte or two.
    (rb"(?s)PAR1.*\x00", "a Parquet table"),
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

    The kind goes by the suffix, with or without ``.gz`` after it: ``.html``, ``.htm`` and ``.xhtml`` are
    HTML, whose main text is taken out; ``.jsonl``, ``.ndjson`` and ``.json`` hold one JSON object a line;
    ``.csv`` and ``.tsv`` are tables with a header row; all else is plain text, one article a file.

    :param inputs: names of files; ``-`` is standard input, whose kind goes by how it begins.
    :param text_field: field of a JSON object, or column of a table, that holds the text.
    :param id_field: field or column that holds the article's id, where there is one.
    :param encoding: encoding of the files; by default UTF-8, and for HTML what the page says. A byte order
        mark goes before it.
    :param stdin: what ``-`` reads, by default standard input.
    :return: an article, or what could not be read and why, one after the other.
    :raises LookupError: at once, for an encoding that Python does not know.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), encoding or "utf-8")
    except (LookupError, ValueError):
        raise LookupError(f"unknown encoding {encoding!r}; known are utf-8, cp1252, gb18030 …") from None
    options = _Options(text_field, id_field, encoding)
    return (item for name in inputs for item in _read_input(name, options, stdin))


def _read_input(name: str, options: _Options, stdin: BinaryIO | None) -> Iterator[_Item]:
    shown = name.encode("utf-8", "backslashreplace").decode()  # a file's name need not be valid UTF-8
    try:
        if name == "-":
            yield from _read_stdin(options, stdin)
            return
        stream, kind = _open(Path(name))
        with stream:
            yield from _read_stream(kind, shown, stream.read(_HEAD), stream, options)
    except _BadInputError as error:
        yield Unreadable(shown, str(error))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        other = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        yield Unreadable(shown, _SYSTEM_REASONS.get(type(error), other))


def _open(path: Path) -> tuple[BinaryIO, str]:
    if path.is_dir():  # asked first, because Windows refuses to open one as it does a locked file
        raise _BadInputError("is a directory: name the files in it")
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path)), _KINDS.get(Path(path.stem).suffix.lower(), "text")
    return path.open("rb"), _KINDS.get(path.suffix.lower(), "text")


def _read_stdin(options: _Options, stdin: BinaryIO | None) -> Iterator[_Item]:
    if stdin is None and sys.stdin is None:
        raise _BadInputError("standard input is closed")
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
    with suppress(_BadInputError):
        _json_object(head[mark:].decode(encoding, "replace").strip().partition("\n")[0])
        kind = "jsonl"
    if kind == "text":  # only JSON lines are streamed: all else is one article
        head += stream.read()
        kind = "html" if _HTML_START.match(head[mark:_HEAD].decode(encoding, "replace")) else kind
    yield from _read_stream(kind, "-", head, stream, options)


class _Joined(io.RawIOBase):
    """The bytes read ahead and then the rest of a stream, which need not be seekable."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._parts = (io.BytesIO(head), rest)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        chunk = next((chunk for part in self._parts if (chunk := part.read(len(view)))), b"")
        view[: len(chunk)] = chunk
        return len(chunk)


def _read_stream(kind: str, name: str, head: bytes, rest: BinaryIO, options: _Options) -> Iterator[_Item]:
    for signature, look in _SIGNATURES:
        if re.match(signature, head[:_HEAD]):
            raise _BadInputError(f"looks like {look}, not text")
    encoding, mark = _encoding_of(head, options.encoding)
    stream = cast(BinaryIO, io.BufferedReader(_Joined(head[mark:], rest)))
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
            raise _BadInputError(_BINARY) from None
        raise _undecodable(source, data[error.start], f"at offset {error.start + source.mark}") from None
    if "\0" in text:
        raise _BadInputError(_BINARY)
    if not text.strip():
        raise _BadInputError("is empty")
    return text


def _undecodable(source: _Source, byte: int, place: str) -> _BadInputError:
    what = f"not {source.encoding}: byte 0x{byte & 0xFF:02x} {place}"
    return _BadInputError(f"{what}; convert it or name its encoding with --encoding")


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
        raise _BadInputError(f"the HTML cannot be parsed: {error}") from error
    if document is None or not (text := (document.text or "").strip()):
        raise _BadInputError("no main text found in the HTML")
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
        raise _BadInputError(f"not {source.encoding} after line {count}; the rest is not read") from None


def _read_jsonl(source: _Source) -> Iterator[_Item]:
    empty = True
    for number, line in enumerate(_lines(source, "\n"), start=1):
        line = line.removeprefix("\ufeff")  # also amid the file, where two were joined
        if not line.strip():
            continue
        if empty and "\0" in line:
            raise _BadInputError(_BINARY)
        if empty and _PART_OF_JSON.fullmatch(line):
            raise _BadInputError("is one JSON value over many lines: write one object a line")
        empty = False
        yield source.item(number, _json_fields, line)
    if empty:
        raise _BadInputError("is empty")


def _json_fields(source: _Source, line: str) -> dict[str, Any]:
    if bad := _UNDECODED.search(line):
        raise _undecodable(source, ord(bad[0]), f"at character {bad.start() + 1} of the line")
    fields, name = _json_object(line), source.options.text_field
    if name not in fields:
        raise _BadInputError(f"has no field {name!r}: {_listed('its fields are', name, fields)}")
    if not isinstance(fields[name], str):
        raise _BadInputError(f"field {name!r} is {_JSON_TYPES[type(fields[name])]}, not text")
    return fields


def _json_object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise _BadInputError(f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise _BadInputError(f"not JSON that can be read: {error}") from None
    if not isinstance(value, dict):
        raise _BadInputError(f"is {_JSON_TYPES[type(value)]}, not a JSON object")
    return value


def _listed(lead: str, wanted: str, names: Iterable[str]) -> str:
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
        raise _BadInputError("has a header row and nothing below it")


def _header(source: _Source, rows: Iterator[list[str]], delimiter: str) -> list[str]:
    try:
        header = next((row for row in rows if row), [])
    except csv.Error as error:
        raise _BadInputError(f"its header row cannot be read: {error}") from None
    if not any(cell.strip() for cell in header):
        raise _BadInputError("has no header row" if header else "is empty")
    _check_cells(source, header, _BINARY)
    name = source.options.text_field
    if header.count(name) > 1:
        raise _BadInputError(f"has more than one column {name!r}")
    if name not in header:
        listed = _listed("the columns in its header row are", name, header)
        other = next((d for d in ",;\t|" if d != delimiter and name in delimiter.join(header).split(d)), None)
        hint = f"; they are parted by {other!r}, not by {delimiter!r}" if other else ""
        raise _BadInputError(f"has no column {name!r}: {listed}{hint}")
    return header


def _row_fields(source: _Source, header_and_row: tuple[list[str], list[str]]) -> dict[str, Any]:
    header, row = header_and_row
    _check_cells(source, row, "holds a NUL character")
    if len(row) != len(header):
        raise _BadInputError(f"has {len(row)} field{'s' * (len(row) != 1)}, the header has {len(header)}")
    return dict(zip(header, row, strict=True))


def _check_cells(source: _Source, row: list[str], nul: str) -> None:
    for number, cell in enumerate(row, start=1):
        if "\0" in cell:
            raise _BadInputError(nul)
        if bad := _UNDECODED.search(cell):
            raise _undecodable(source, ord(bad[0]), f"in field {number}")
