"""The folder that a scored archive is written into: parts that are whole or absent, and what a job needs to go on.

``scores.parquet/`` holds parts and nothing else, so that every reader takes it for one table.
``scores.parquet.job/`` beside it holds what the job is (``job.json``), what could not be read (``failed.jsonl``)
and what is being written. Every part says in its footer how far the job had come with it: to rename it into
place is the one step that counts, so a job killed anywhere goes on behind its last part.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from brinkline.archive_input import Place
from brinkline.archive_rows import ScoreCache, import_pyarrow, recall
from brinkline.model.errors import BrinklineError

if TYPE_CHECKING:
    import pyarrow as pa

_FORMAT = 1  # of job.json and of the footers
_FOOTER = b"brinkline"
_GROWING = ".part.tmp"
"""A part on its way from another device; readers of the folder pass over names with a dot."""
_PART = re.compile(r"part-(\d{5,})\.parquet")
_ROW_GROUP = 10_000  # rows


class ArchiveError(BrinklineError):
    """A job cannot begin or go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a job has come, from its very beginning."""

    place: Place = field(default_factory=Place)
    parts: int = 0
    articles: int = 0
    sentences: int = 0
    scored: int = 0
    truncated: int = 0
    failed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> State:
        """Read what :meth:`to_dict` wrote."""
        return replace(cls(**values), place=Place(**values["place"]))


class ArchiveStore:
    """The output of a job; use :func:`open_store`.

    :param out: the folder of the parts.
    :param job: what the job is: name → value, compared one by one when it goes on.
    """

    def __init__(self, out: Path, job: Mapping[str, Any]) -> None:
        self.out, self.aside = out, aside(out)
        self.job = {"format": _FORMAT, **job}
        self.state = State()
        self.done = False

    @property
    def failures(self) -> Path:
        """The file of what could not be read; it is there when the job is done and there was anything."""
        return self.aside / "failed.jsonl"

    def commit(self, tables: Sequence[pa.Table], failures: Sequence[Mapping[str, Any]], state: State) -> None:
        """Write a part; it is there, whole, when this returns.

        :param tables: its rows; one table at least.
        :param failures: what could not be read among its articles.
        :param state: how far the job has come with it.
        """
        pa = import_pyarrow()
        import pyarrow.parquet as pq

        footer = json.dumps({"job": self.job, "state": state.to_dict()})
        table = pa.concat_tables(tables).replace_schema_metadata({_FOOTER: footer})
        if failures:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in failures)
            data = lines.encode("utf-8", "replace")
            _write(self._failed(state.parts), lambda file: file.write(data))
        _write(
            self.out / f"part-{state.parts - 1:05d}.parquet",
            lambda file: pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP),
            self.aside / "part.tmp",
        )
        self.state = state

    def finish(self) -> None:
        """Put together what could not be read, and note that the job is done."""
        parts = [path for n in range(1, self.state.parts + 1) if (path := self._failed(n)).exists()]

        def gather(file: IO[bytes]) -> None:
            for path in parts:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, file)

        if parts:
            _write(self.failures, gather)
        self._note(done=True)
        self.tidy()

    def tidy(self) -> None:
        """Take away what a job that is done needs no more."""
        for path in (*self.aside.glob("failed-*.jsonl"), self.out / _GROWING):
            path.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Take away what a job has made that found nothing, so that the next one has nothing in its way."""
        self.tidy()
        for path in (*map(self._part, range(self.state.parts)), self.aside / "job.json", self.aside / "lock"):
            path.unlink(missing_ok=True)
        for folder in (self.out, self.aside):
            with suppress(OSError):
                folder.rmdir()

    def remember(self, cache: ScoreCache, context: int) -> None:
        """Fill a cache as it was when the last part was written, so that the rest comes out the same.

        :param cache: an empty cache.
        :param context: sentences before that the model reads along with a sentence.
        """
        import pyarrow.parquet as pq

        newest: dict[bytes, bytes] = {}
        for number in reversed(range(self.state.parts)):
            rows = recall(pq.read_table(self._part(number)), context)
            for key, record in reversed(rows):
                newest.setdefault(key, record)
            if len(newest) >= cache.capacity:
                break
        for key, record in reversed(list(newest.items())[: cache.capacity]):
            cache.remember(key, record)

    def check(self) -> bool:
        """Find out how far the job has come, changing nothing.

        :return: whether it has come anywhere.
        :raises ArchiveError: where the folder holds something else, or another job.
        """
        if self.out.exists() and not self.out.is_dir():
            message = f"{self.out} is a file; an archive is written into a folder of that name"
            raise ArchiveError(f"{message}: name another, or move it away")
        parts, before = self._parts(), self._noted()
        if not parts:
            return False
        if before is None:
            what = f"{self.out} holds a table, but {self.aside / 'job.json'} does not say of which job"
            raise ArchiveError(f"{what}: name another folder, or move it away")
        self._compare(before["job"])
        self.state, self.done = self._last(parts), before["done"]
        return True

    def prepare(self) -> None:
        """Make the folders, or find out how far the job has come; see :meth:`check`."""
        if not self.check():
            self.out.mkdir(parents=True, exist_ok=True)
            self.failures.unlink(missing_ok=True)
            self.tidy()
            self._note(done=False)
        elif self.done:
            self.tidy()

    def _parts(self) -> list[int]:
        names = sorted(os.listdir(self.out)) if self.out.exists() else []  # noqa: PTH208 - names are enough
        for name in names:
            if not _PART.fullmatch(name) and not name.startswith("."):
                message = f"{self.out} holds something else ({name})"
                raise ArchiveError(f"{message}: name another folder, or move it away")
        return sorted(int(match[1]) for name in names if (match := _PART.fullmatch(name)))

    def _last(self, parts: list[int]) -> State:
        import pyarrow.parquet as pq

        if missing := sorted(set(range(parts[-1] + 1)) - set(parts)):
            raise ArchiveError(f"{self._part(missing[0])} is missing: put it back, or delete {self.out}")
        path = self._part(parts[-1])
        try:
            footer = json.loads(pq.read_schema(path).metadata[_FOOTER])
            state = State.from_dict(footer["state"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{path} is not a part of this job, or damaged ({error})"
            raise ArchiveError(f"{message}: delete it to go on without it") from None
        self._compare(footer["job"])
        return state

    def _compare(self, before: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps(self.job))
        differing = [name for name in now if before.get(name) != now[name]]
        if not differing:
            return
        told = [f"{name}: then {_told(before.get(name))}, now {_told(now[name])}" for name in differing]
        message = f"{self.out} was begun as another job ({'; '.join(told)})"
        raise ArchiveError(
            f"{message}: repeat that command to go on with it, or name another folder for this one"
        )

    def _noted(self) -> dict[str, Any] | None:
        path = self.aside / "job.json"
        if not path.exists():
            return None
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            return {"job": dict(noted["brinkline_job"]), "done": bool(noted["done"])}
        except (ValueError, KeyError, TypeError):
            message = f"{path} is damaged, or not of a job of this program"
            raise ArchiveError(f"{message}: name another folder, or move it away") from None

    def _note(self, done: bool) -> None:
        data = json.dumps({"brinkline_job": self.job, "done": done}, indent=1).encode()
        _write(self.aside / "job.json", lambda file: file.write(data))

    def _part(self, number: int) -> Path:
        return self.out / f"part-{number:05d}.parquet"

    def _failed(self, part: int) -> Path:
        return self.aside / f"failed-{part:05d}.jsonl"


def aside(out: Path) -> Path:
    """Return the folder beside the parts that holds what a job needs to go on.

    :raises ArchiveError: for the root of a file system, which has nothing beside it.
    """
    whole = out if out.name not in ("", "..") else Path(os.path.abspath(out))  # noqa: PTH100 - takes ".." away
    if not whole.name:
        raise ArchiveError(f"{out} is no folder for an archive: name one in it")
    return whole.with_name(f"{whole.name}.job")


def move_in(part: Path, place: Path) -> None:
    """Put a finished part into its place, whole or not at all, also where that is on another device."""
    try:
        part.replace(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        growing = place.with_name(_GROWING)
        with part.open("rb") as source, growing.open("wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        growing.replace(place)
        part.unlink()


@contextmanager
def open_store(out: Path, job: Mapping[str, Any]) -> Iterator[ArchiveStore]:
    """Open the output of a job, for this process alone.

    :param out: the folder of the parts; made where there is none.
    :param job: what the job is.
    :return: the output, which knows how far the job had come.
    :raises ArchiveError: where another job or process is at it, the folder holds something else, or it cannot
        be written, be it later.
    """
    store = ArchiveStore(out, job)
    try:
        store.check()
        store.aside.mkdir(parents=True, exist_ok=True)
        with _locked(store):
            store.prepare()
            yield store
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArchiveError(
            f"{error.filename or out}: {reason}; what is written stays, and {_AGAIN}"
        ) from error


_AGAIN = "the same command goes on from there"


@contextmanager
def _locked(store: ArchiveStore) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (store.aside / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(f"{store.out} is being written by another process") from None
        except OSError:  # a file system without locks
            yield
            return
        yield


def _write(path: Path, write: Callable[[IO[bytes]], object], temporary: Path | None = None) -> None:
    """Write a file aside, to the disk, and then put it into its place."""
    temporary = temporary or path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        move_in(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make a renaming last through a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else "none"
