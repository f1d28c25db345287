"""Articles out of files: plain text, HTML, JSON lines and tables, plain or packed, or standard input.

Input that cannot be read is never an exception: it comes out as an :class:`Unreadable`, and reading goes on.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from brinkline.sources import (
    BINARY,
    UNDECODED,
    Article,
    BadInputError,
    Item,
    Options,
    Source,
    Unreadable,
    lines,
    listed,
    undecodable,
)
from brinkline.streams import Joined, open_stream, signature
from brinkline.tables import read_table

_HEAD = 4096  # bytes: enough for every mark and signature looked for

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


def read_input(name: str, options: Options, stdin: BinaryIO | None = None) -> Iterator[Item]:
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


def _read_stdin(options: Options, stdin: BinaryIO | None) -> Iterator[Item]:
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


def _read_stream(kind: str, name: str, head: bytes, rest: BinaryIO, options: Options) -> Iterator[Item]:
    if look := signature(head[:_HEAD]):
        raise BadInputError(f"looks like {look}, not text")
    encoding, mark = _encoding_of(head, options.encoding)
    stream = cast(BinaryIO, io.BufferedReader(Joined(head[mark:], rest)))
    source = Source(name, stream, encoding, mark, options)
    if kind == "jsonl":
        yield from _read_jsonl(source)
    elif kind in ("csv", "tsv"):
        yield from read_table(source, "," if kind == "csv" else "\t")
    elif kind == "html":
        yield _read_html(source)
    else:
        yield Article(name, _decode(stream.read(), source), {})


def _encoding_of(head: bytes, named: str | None) -> tuple[str, int]:
    marked = ((encoding, len(mark)) for mark, encoding in _MARKS if head.startswith(mark))
    return next(marked, (named or "UTF-8", 0))


def _decode(data: bytes, source: Source) -> str:
    try:
        text = data.decode(source.encoding)
    except UnicodeDecodeError as error:
        if source.encoding == "UTF-8" and b"\0" in data:
            raise BadInputError(BINARY) from None
        raise undecodable(source, data[error.start], f"at offset {error.start + source.mark}") from None
    if "\0" in text:
        raise BadInputError(BINARY)
    if not text.strip():
        raise BadInputError("is empty")
    return text


def _read_html(source: Source) -> Article:
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


def _read_jsonl(source: Source) -> Iterator[Item]:
    empty = True
    for number, line in enumerate(lines(source, "\n"), start=1):
        line = line.removeprefix("\ufeff")  # also amid the file, where two were joined
        if not line.strip():
            continue
        if empty and "\0" in line:
            raise BadInputError(BINARY)
        if empty and _PART_OF_JSON.fullmatch(line):
            raise BadInputError("is one JSON value over many lines: write one object a line")
        empty = False
        yield source.item(number, _json_fields, line)
    if empty:
        raise BadInputError("is empty")


def _json_fields(source: Source, line: str) -> dict[str, Any]:
    if bad := UNDECODED.search(line):
        raise undecodable(source, ord(bad[0]), f"at character {bad.start() + 1} of the line")
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
