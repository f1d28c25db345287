"""Articles out of tables with a header row: CSV and its like."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any

from brinkline.sources import (
    BINARY,
    UNDECODED,
    BadInputError,
    Item,
    Source,
    Unreadable,
    lines,
    listed,
    undecodable,
)

_LONGEST_CELL = 1 << 26  # characters; bounds what a quotation mark that is never closed swallows


def read_table(source: Source, delimiter: str) -> Iterator[Item]:
    """Read a table with a header row, an article a row.

    :param source: the opened table.
    :param delimiter: what parts its columns.
    :raises BadInputError: where nothing of it can be read.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    # Strict: else a quotation mark left open, or one not doubled, would silently join or change texts.
    rows = csv.reader(lines(source, ""), delimiter=delimiter, strict=True)
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


def _header(source: Source, rows: Iterator[list[str]], delimiter: str) -> list[str]:
    try:
        header = next((row for row in rows if row), [])
    except csv.Error as error:
        raise BadInputError(f"its header row cannot be read: {error}") from None
    if not any(cell.strip() for cell in header):
        raise BadInputError("has no header row" if header else "is empty")
    _check_cells(source, header, BINARY)
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


def _row_fields(source: Source, header_and_row: tuple[list[str], list[str]]) -> dict[str, Any]:
    header, row = header_and_row
    _check_cells(source, row, "holds a NUL character")
    if len(row) != len(header):
        raise BadInputError(f"has {len(row)} field{'s' * (len(row) != 1)}, the header has {len(header)}")
    return dict(zip(header, row, strict=True))


def _check_cells(source: Source, row: list[str], nul: str) -> None:
    for number, cell in enumerate(row, start=1):
        if "\0" in cell:
            raise BadInputError(nul)
        if bad := UNDECODED.search(cell):
            raise undecodable(source, ord(bad[0]), f"in field {number}")
