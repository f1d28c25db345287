"""What an archive is read from: files and folders in a fixed order, places in them, Parquet tables."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brinkline.archive_rows import import_pyarrow
from brinkline.articles import read_input, shown_name
from brinkline.sources import Article, BadInputError, Options, Unreadable, listed
from brinkline.tables import distinct

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 256  # of a Parquet table, unpacked at a time


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of an archive."""

    name: str
    size: int = 0
    """Bytes."""
    modified: int = 0
    """Time of the last change, in nanoseconds."""
    problem: str | None = None
    """Why there is nothing to read, where that is known beforehand."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in an archive: so many items of this file, and all files before it, have been read."""

    file: int = 0
    item: int = 0


@dataclass(frozen=True, slots=True)
class Survey:
    """What the inputs are, in short: a job goes on only where they are the same."""

    files: int
    size: int
    """Bytes of all files."""
    sha256: str
    """Of the names, sizes and times of change."""


def walk(inputs: Sequence[str], skip: Collection[str] = ()) -> Iterator[InputFile]:
    """Yield the files of inputs, those of a folder in the order of their names, with all folders in it.

    What begins with a dot or an underscore is left out of folders, and links to folders are not followed.

    :param inputs: names of files and folders; ``-`` is standard input.
    :param skip: real paths that are left out of folders.
    """
    for name in inputs:
        if name == "-":
            yield InputFile(name)
        elif not os.path.isdir(name):  # noqa: PTH112 - a name may be no valid path
            yield _file(name)
        else:
            files = _folder(name, skip)
            yield next(files, InputFile(name, problem="is a folder without a file"))
            yield from files


def _folder(name: str, skip: Collection[str]) -> Iterator[InputFile]:
    try:
        with os.scandir(name) as entries:
            # One folder's names are held at a time, however many there are in all.
            found = sorted(
                (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries
            )
    except OSError as error:
        yield InputFile(name, problem=f"cannot be listed: {error.strerror}")
        return
    for raw, is_folder in found:
        path = os.path.join(name, os.fsdecode(raw))  # noqa: PTH118 - keeps the name as it was given
        if raw.startswith((b".", b"_")) or os.path.realpath(path) in skip:
            continue
        if is_folder:
            yield from _folder(path, skip)
        elif not os.path.isdir(path):  # noqa: PTH112
            yield _file(path)


def _file(name: str) -> InputFile:
    try:
        status = Path(name).stat()
    except (OSError, ValueError):
        return InputFile(name)
    return InputFile(name, status.st_size, status.st_mtime_ns)


def survey(files: Iterable[InputFile]) -> Survey:
    """Sum up the files of an archive, without opening them."""
    count = size = 0
    digest = sha256()
    for file in files:
        count, size = count + 1, size + file.size
        digest.update(os.fsencode(file.name) + f"\0{file.size}\0{file.modified}\n".encode())
    return Survey(count, size, digest.hexdigest())


def read_from(
    files: Iterable[InputFile], options: Options, start: Place
) -> Iterator[tuple[Place, InputFile, Article | Unreadable]]:
    """Read an archive from a place on.

    :param files: all its files, as :func:`walk` gives them.
    :param options: how to read.
    :param start: where to begin; files before it are not opened.
    :return: every item with its file and the place behind it.
    """
    for number, file in enumerate(files):
        if number < start.file:
            continue
        for count, item in enumerate(_read_file(file, options), start=1):
            place = Place(number, count)
            if place > start:
                yield place, file, item


def _read_file(file: InputFile, options: Options) -> Iterator[Article | Unreadable]:
    if file.problem is not None:
        return iter([Unreadable(shown_name(file.name), file.problem)])
    return read_input(file.name, options)


def failure(file: InputFile, item: Unreadable) -> dict[str, Any]:
    """Return what is written down of something that could not be read.

    :return: ``file``, ``line`` (row of a Parquet table; None for a whole file) and ``reason``.
    """
    name = shown_name(file.name)
    line = item.source[len(name) + 1 :]
    return {"file": name, "line": int(line) if line else None, "reason": item.reason}


def read_parquet(path: Path, shown: str, options: Options) -> Iterator[Article | Unreadable]:
    """Read a Parquet table, one article a row, a few rows at a time.

    :param path: the table.
    :param shown: its name, for ids and messages.
    :param options: how to read; the columns other than text and id are metadata.
    :raises BadInputError: where it cannot be read.
    :raises ImportError: without pyarrow (extra ``[archive]``).
    """
    import_pyarrow()
    import pyarrow.parquet as pq

    size = path.stat().st_size
    # Without pre_buffer and with a buffer, columns are read piece by piece, however long a row group is.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as table:
        names, rows, done = table.schema_arrow.names, max(table.metadata.num_rows, 1), 0
        for name in (options.text_field, options.id_field):
            if names.count(name) > 1:
                raise BadInputError(f"has more than one column {name!r}")
        if options.text_field not in names:
            listing = listed("its columns are", options.text_field, names)
            raise BadInputError(f"has no column {options.text_field!r}: {listing}")
        if options.watch is not None:
            options.watch(lambda: size * done // rows)
        for batch in table.iter_batches(_ROWS):
            for row in _dicts(batch.rename_columns(distinct(names))):
                done += 1
                if isinstance(row, Exception):
                    yield Unreadable(f"{shown}:{done}", f"a value cannot be read: {row}")
                else:
                    yield _row(row, done, shown, options)
        if not done:
            raise BadInputError("has no row")


def _dicts(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Exception]:
    """Give rows as Python values; where one holds what Python has no value for, the others come all the same."""
    unknown = (
        ValueError,
        OverflowError,
        LookupError,
        NotImplementedError,
    )  # dates after 9999, unknown time zones
    try:
        rows = batch.to_pylist()
    except unknown:
        rows = None
    if rows is not None:
        yield from rows
        return
    for i in range(batch.num_rows):
        try:
            yield batch.slice(i, 1).to_pylist()[0]
        except unknown as error:
            yield error


def _row(row: dict[str, Any], number: int, shown: str, options: Options) -> Article | Unreadable:
    text = row[options.text_field]
    if text is None or not isinstance(text, str):
        what = "null" if text is None else f"of type {type(text).__name__}"
        return Unreadable(f"{shown}:{number}", f"field {options.text_field!r} is {what}, not text")
    try:
        return options.article(shown, number, row)
    except BadInputError as error:
        return Unreadable(f"{shown}:{number}", str(error))


def watched(options: Options, reading: Reading) -> Options:
    """Return options under which ``reading`` knows how far a file has been read."""
    return replace(options, watch=reading.watch)


class Reading:
    """Tells how many bytes of an archive have been read."""

    def __init__(self) -> None:
        self._file = InputFile("")
        self._before = 0
        self._position = _nothing

    def watch(self, position: Any) -> None:
        """Take what tells how far the file just opened has been read."""
        self._position = position

    def enter(self, files: Iterable[InputFile]) -> Iterator[InputFile]:
        """Let files through, one after the other as they are read."""
        for file in files:
            self._before += self._file.size
            self._file, self._position = file, _nothing
            yield file

    def size(self) -> int:
        """Bytes of the files, packed where they are packed."""
        try:
            return self._before + min(self._position(), self._file.size)
        except (OSError, ValueError):  # already closed
            return self._before + self._file.size


def _nothing() -> int:
    return 0
