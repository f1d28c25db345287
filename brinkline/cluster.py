"""Score archives on many machines: the work of :func:`brinkline.score_archive` as a Ray Data pipeline.

A driver lists the files. Tasks read them, each file by one task, so that ids and line numbers are those of one machine,
and pass articles on in blocks of a megabyte. A pool of actors, which hold the model, scores the blocks. Tasks
write the rows as Parquet. When a worker dies, Ray runs its task again; every file has one name, whoever writes it.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from brinkline.archive_input import InputFile, Place, failure, read_from, walk
from brinkline.archive_rows import ScoreCache, check_keep, import_pyarrow, schema, score_rows
from brinkline.archive_store import ArchiveError, aside, move_in
from brinkline.articles import check_encoding
from brinkline.model.checkpoint import DEFAULT_FOLDER, check_thresholds, find_folder, read_manifest
from brinkline.sources import Options, Unreadable

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

PART_ROWS = 500_000
"""Sentences of a part, at least, but for the last."""

_BLOCK = (
    1 << 20
)  # bytes of articles that a worker takes at once: seconds of work, and the most that its death undoes
_READ = 1 << 26  # bytes of files that one task reads, at most, but for a single larger file
_READ_FILES = 1000
_CACHE = 100_000  # sentences that each worker remembers
_RETRIES = 5  # of a block; a block that kills every worker must come to an end
_TOGETHER = 32  # articles that a reading task hands on at once
_ROW_GROUP = 10_000  # rows


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What a job has done."""

    out: Path
    """The folder of the parts."""
    parts: int
    """Files in it."""
    articles: int
    """Articles read; one without a sentence is counted here, but has no row."""
    sentences: int
    """Rows of the table."""
    failed: int
    """Files, lines and rows that could not be read."""
    failures: Path | None
    """JSON lines of ``file``, ``line`` and ``reason``; None where all could be read."""
    workers: int
    """Workers that held the model."""
    seconds: float
    """How long it took."""


def score_with_ray(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    cpus_per_worker: int = 1,
    address: str | None = None,
    keep: str | Iterable[str] = (),
    thresholds: Mapping[str, float] | None = None,
    text_field: str = "text",
    id_field: str = "id",
    encoding: str | None = None,
    part_rows: int = PART_ROWS,
    progress: bool | None = None,
) -> ClusterReport:
    """Score an archive on a Ray cluster: the rows of :func:`brinkline.score_archive`, in another order.

    Sorted by ``article`` and ``index`` the two tables are the same, probabilities to the last digits of a 32-bit
    number. Inputs, ``out`` and ``model`` must lie where every machine finds them under the same name.
    Unlike there, a job whose driver is killed begins anew; a worker or a machine that dies is made up for.

    :param inputs: files and folders, as for :func:`brinkline.score_archive`, but for standard input.
    :param out: the folder of the parts, which appear when all is done; it must not hold anything.
    :param model: a model folder; by default the shipped model, which is part of the package.
    :param workers: processes that hold the model; by default as many as the cluster has CPUs for.
    :param cpus_per_worker: CPUs of each, which are also the threads that it computes with.
    :param address: of a cluster (``auto``, ``ray://host:10001``); by default that of ``RAY_ADDRESS``, of the connection
        there is, or a new one on this machine.
    :param keep: fields of the articles that become columns of their own; the others stand in ``metadata``.
    :param thresholds: signal → probability from which it is given, in place of the model's own.
    :param text_field: field of a JSON object, or column of a table, that holds the text.
    :param id_field: field or column that holds the article's id, where there is one.
    :param encoding: of the files; by default UTF-8, and for HTML what the page says.
    :param part_rows: sentences of a part, at least.
    :param progress: show Ray's bars; by default on a terminal.
    :return: counts of what was done.
    :raises ArchiveError: where an input does not exist, nothing at all can be read, or ``out`` holds something.
    :raises ImportError: without Ray (extra ``[ray]``).
    :raises LookupError: for an unknown encoding.
    :raises ModelFolderError: where ``model`` is no model folder.
    :raises ValueError: for a bad threshold, field, size of a part or number of workers.
    """
    began = monotonic()
    ray = _import_ray()
    names = [os.fspath(name) for name in ([inputs] if isinstance(inputs, str | os.PathLike) else inputs)]
    check_encoding(encoding)
    for what, number in (
        ("part_rows", part_rows),
        ("workers", workers),
        ("cpus_per_worker", cpus_per_worker),
    ):
        if number is not None and number < 1:
            raise ValueError(f"{what} must be at least 1, got {number}")
    check_thresholds(thresholds or {})
    folder = DEFAULT_FOLDER if model is None else find_folder(Path(model)).resolve()
    read_manifest(folder)
    start = None if all(map(os.path.isabs, names)) else Path.cwd()
    job = _Job(Path(out).resolve(), Options(text_field, id_field, encoding), start)
    scoring = _Scoring(None if model is None else folder, check_keep(keep), dict(thresholds or {}))
    groups = _groups(_files(names, job))
    with _connected(ray, address), _opened(job):
        pool = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus_per_worker)
        show = sys.stderr.isatty() if progress is None else progress
        _Pipeline(job, scoring, pool, cpus_per_worker, part_rows, show).run(groups)
        return _finish(job, scoring, len(groups), pool, began)


@dataclass(frozen=True, slots=True)
class _Job:
    """Where a job reads and writes."""

    out: Path
    options: Options
    start: Path | None
    """The folder that names of inputs are relative to; None where none is relative."""

    @property
    def aside(self) -> Path:
        return aside(self.out)

    @property
    def staging(self) -> Path:
        """Where the parts grow."""
        return self.aside / "ray"

    def notes(self, group: int) -> Path:
        """Return the file in which a reading task says what it found."""
        return self.aside / "read" / f"{group:07d}.json"


@dataclass(frozen=True, slots=True)
class _Scoring:
    """What a worker needs to know."""

    model: Path | None
    keep: tuple[str, ...]
    thresholds: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Pipeline:
    job: _Job
    scoring: _Scoring
    workers: int
    cpus: int
    part_rows: int
    progress: bool

    def run(self, groups: Sequence[Sequence[InputFile]]) -> None:
        """Read, score and write."""
        import ray.data

        rows = [{"group": number, "files": pickle.dumps(files)} for number, files in enumerate(groups)]
        data = ray.data.from_items(rows, override_num_blocks=len(rows))
        data.context.target_max_block_size = _BLOCK
        data.context.enable_progress_bars = self.progress
        # Reading and writing are little work beside scoring: without CPUs of their own they never wait for the pool.
        articles = data.map_batches(
            _read,
            fn_kwargs={"job": self.job},
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=0,
            compute=ray.data.TaskPoolStrategy(size=1 + self.workers // 4),
        )
        scored = articles.map_batches(
            _Scorer,
            fn_constructor_args=(self.scoring,),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=self.cpus,
            compute=ray.data.ActorPoolStrategy(size=self.workers),
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
        scored.write_parquet(
            str(self.job.staging),
            min_rows_per_file=self.part_rows,
            ray_remote_args={"num_cpus": 0},
            compression="zstd",
            row_group_size=_ROW_GROUP,
        )


def _read(rows: pa.Table, job: _Job) -> Iterator[pa.Table]:
    """Read the files of a group; what cannot be read goes into the group's notes, not down the pipeline."""
    if job.start is not None:
        os.chdir(job.start)  # ids are made of the names as they were given; the process is this job's alone
    for row in rows.to_pylist():
        articles, failures = 0, []
        batch: list[bytes] = []
        for _, file, item in read_from(pickle.loads(row["files"]), job.options, Place()):
            if isinstance(item, Unreadable):
                failures.append(failure(file, item))
                continue
            articles += 1
            batch.append(pickle.dumps(item))
            if len(batch) == _TOGETHER or sum(map(len, batch)) >= _BLOCK:
                yield _articles(batch)
                batch = []
        if batch:
            yield _articles(batch)
        _write(job.notes(row["group"]), {"articles": articles, "failures": failures})


def _articles(pickled: list[bytes]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"article": pa.array(pickled, pa.large_binary())})


class _Scorer:
    """A worker: holds the model."""

    def __init__(self, scoring: _Scoring) -> None:
        import ray

        from brinkline.model.classifier import load

        logging.getLogger("brinkline.model.classifier").setLevel(logging.ERROR)  # else a line a block
        cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
        self._classifier = load(scoring.model, threads=max(1, int(cpus)))
        self._scoring = scoring
        self._cache = ScoreCache(_CACHE)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Score a block of articles."""
        return score_rows(
            self._classifier,
            [pickle.loads(article) for article in block["article"].to_pylist()],
            thresholds=self._scoring.thresholds,
            keep=self._scoring.keep,
            cache=self._cache,
        )


def _files(names: Sequence[str], job: _Job) -> list[InputFile]:
    if not names:
        raise ArchiveError("no input is named")
    if "-" in names:
        raise ArchiveError("standard input cannot be read from many machines: name files")
    for name in names:
        if not Path(name).exists():
            raise ArchiveError(f"{name}: no such file or folder")
    return list(walk(names, {os.path.realpath(path) for path in (job.out, job.aside)}))


def _groups(files: Iterable[InputFile]) -> list[list[InputFile]]:
    """Gather files into groups, each for one task to read; a file is not parted."""
    groups: list[list[InputFile]] = []
    size = 0
    for file in files:
        if not groups or size + file.size > _READ or len(groups[-1]) == _READ_FILES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size
    return groups


@contextmanager
def _opened(job: _Job) -> Iterator[None]:
    """Make the folders of a job, and take away what only its run needs."""
    if job.out.exists() and (not job.out.is_dir() or any(job.out.iterdir())):
        raise ArchiveError(f"{job.out} holds something already: name another folder, or move it away")
    try:
        for folder in (job.staging, job.notes(0).parent):
            shutil.rmtree(folder, ignore_errors=True)  # of a driver that was killed
            folder.mkdir(parents=True)
        (job.aside / "failed.jsonl").unlink(missing_ok=True)
        yield
    except OSError as error:
        raise ArchiveError(f"{error.filename or job.out}: {error.strerror or error}") from error
    finally:
        for folder in (job.staging, job.notes(0).parent):
            shutil.rmtree(folder, ignore_errors=True)
        if job.aside.is_dir() and not any(job.aside.iterdir()):
            job.aside.rmdir()


def _finish(job: _Job, scoring: _Scoring, groups: int, workers: int, began: float) -> ClusterReport:
    """Put the parts into their place, and gather what the tasks noted."""
    import pyarrow.parquet as pq

    articles, failed, failures = 0, 0, job.aside / "failed.jsonl"
    with failures.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for group in range(groups):
            notes = json.loads(job.notes(group).read_text(encoding="utf-8"))
            articles += notes["articles"]
            for row in notes["failures"]:
                failed += 1
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    if not failed:
        failures.unlink()
    elif not articles:
        raise ArchiveError(f"nothing could be read: {failures} says why")
    parts = sorted(job.staging.glob("*.parquet"))
    if not parts:
        parts = [job.staging / "empty.parquet"]
        pq.write_table(schema(scoring.keep).empty_table(), parts[0], compression="zstd")
    sentences = sum(pq.read_metadata(part).num_rows for part in parts)
    job.out.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts):
        move_in(part, job.out / f"part-{number:05d}.parquet")
    found = failures if failed else None
    return ClusterReport(
        job.out, len(parts), articles, sentences, failed, found, workers, monotonic() - began
    )


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Use the connection there is, or make one for the time being."""
    if ray.is_initialized():
        if address is not None:
            raise ValueError("Ray is connected already: leave address out, or call ray.shutdown() first")
        yield
        return
    alone = address in (None, "local") and not os.environ.get("RAY_ADDRESS")
    if alone:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported unless asked for
    ray.init(address=address, log_to_driver=False, **({"include_dashboard": False} if alone else {}))
    try:
        yield
    finally:
        ray.shutdown()


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Write notes; a task that runs twice, even at the same time, leaves them whole."""
    temporary = path.with_suffix(f".{uuid4().hex}")
    temporary.write_text(json.dumps(values), encoding="utf-8")
    temporary.replace(path)


def _import_ray() -> Any:
    import_pyarrow()
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("many machines need Ray: pip install 'brinkline[ray]'") from error
    return ray
