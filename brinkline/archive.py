"""Score archives: any number of articles in, one table of sentences out, in parts that survive a kill."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import brinkline
from brinkline.archive_input import Reading, Survey, read_from, survey, walk, watched
from brinkline.archive_progress import Progress
from brinkline.archive_rows import check_keep, import_pyarrow
from brinkline.archive_run import Run
from brinkline.archive_store import ArchiveError, ArchiveStore, State, aside, open_store
from brinkline.articles import check_encoding, shown_name
from brinkline.model.checkpoint import check_thresholds
from brinkline.sources import Options

if TYPE_CHECKING:
    from brinkline.model.classifier import Classifier

logger = logging.getLogger(__name__)

PART_ROWS = 50_000
"""Sentences of a part: about a minute's work, and the most that a kill undoes."""


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What a job has done, from its very beginning."""

    out: Path
    """The folder of the parts."""
    parts: int
    """Files in it."""
    articles: int
    """Articles read; one without a sentence is counted here, but has no row."""
    sentences: int
    """Rows of the table."""
    scored: int
    """Sentences that the model was run on; the others are copies of them."""
    truncated: int
    """Sentences longer than the model reads."""
    failed: int
    """Files, lines and rows that could not be read."""
    failures: Path | None
    """JSON lines of ``file``, ``line`` and ``reason``; None where all could be read."""
    resumed: int
    """Articles that were done before, by a run that was stopped."""
    seconds: float
    """How long this run took."""


def score_archive(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    model: Classifier | str | os.PathLike[str] | None = None,
    keep: str | Iterable[str] = (),
    thresholds: Mapping[str, float] | None = None,
    text_field: str = "text",
    id_field: str = "id",
    encoding: str | None = None,
    part_rows: int = PART_ROWS,
    progress: bool | None = None,
) -> ArchiveReport:
    """Score an archive of any size into a folder of Parquet files, which readers open as one table.

    Called again after it was stopped or killed, it goes on where it stopped, and the table comes out the same.
    A sentence that occurs again (within the last 500,000 different ones) is not scored again.

    >>> from pathlib import Path
    >>> from brinkline import score_archive
    >>> _ = Path("wire.jsonl").write_text('{"text": "They met. They fired."}\\n{"text": "They met."}\\n')
    >>> report = score_archive("wire.jsonl", "scores.parquet", progress=False)
    >>> report.articles, report.sentences, report.scored
    (2, 3, 2)

    :param inputs: files (.jsonl, .csv, .tsv, .parquet, .html or text, also .gz and .zst) and folders of such;
        ``-`` is standard input, from which a job cannot go on.
    :param out: the folder, e.g. ``scores.parquet``; made where there is none.
    :param model: a classifier, or a model folder; by default the shipped model.
    :param keep: fields of the articles that become columns of their own; the others stand in ``metadata``.
    :param thresholds: signal → probability from which it is given, in place of the model's own.
    :param text_field: field of a JSON object, or column of a table, that holds the text.
    :param id_field: field or column that holds the article's id, where there is one.
    :param encoding: of the files; by default UTF-8, and for HTML what the page says.
    :param part_rows: sentences of a part, at least; articles are not parted.
    :param progress: show a bar; by default on a terminal and in notebooks, elsewhere lines are logged.
    :return: counts of what was done.
    :raises ArchiveError: where an input does not exist, nothing at all can be read, ``out`` holds something else
        or was begun with other inputs, model or options, or cannot be written.
    :raises ImportError: without pyarrow (extra ``[archive]``).
    :raises LookupError: for an unknown encoding.
    :raises ValueError: for a bad threshold, field or size of a part.
    """
    names = [os.fspath(name) for name in ([inputs] if isinstance(inputs, str | os.PathLike) else inputs)]
    options, kept, target = Options(text_field, id_field, encoding), check_keep(keep), Path(out)
    import_pyarrow()
    check_encoding(encoding)
    if part_rows < 1:
        raise ValueError(f"part_rows must be at least 1, got {part_rows}")
    _check_inputs(names)
    classifier = _load(model)
    limits = _limits(classifier, thresholds)
    skip = {os.path.realpath(path) for path in (target, aside(target))}
    found = survey(walk(names, skip))
    job = _job(names, found, classifier, limits, options, kept, part_rows)
    began = monotonic()
    with open_store(target, job) as store, _quiet_classifier():
        before = store.state
        if "-" in names and before.parts:
            # Nobody can tell whether standard input is what it was.
            state = "is done" if store.done else "cannot go on where it stopped"
            message = f"a job that reads standard input {state}: delete {target} to begin anew"
            raise ArchiveError(f"{message}, or name another folder")
        if not store.done:
            run = Run(classifier, limits, kept, part_rows, store)
            reading = Reading()
            with Progress(reading.size, None if "-" in names else found.size, before, progress) as bar:
                files = reading.enter(walk(names, skip))
                run.all(read_from(files, watched(options, reading), before.place), bar)
            _finish(store)
        return _report(store, before, monotonic() - began)


def _check_inputs(names: Sequence[str]) -> None:
    """Refuse at once what a long job should not begin with."""
    if not names:
        raise ArchiveError("no input is named")
    if names.count("-") > 1:
        raise ArchiveError("standard input can be read once only")
    for name in names:
        if name != "-" and not os.path.lexists(name):
            raise ArchiveError(f"{shown_name(name)}: no such file or folder")


def _load(model: Classifier | str | os.PathLike[str] | None) -> Classifier:
    from brinkline.model.classifier import load, shipped

    if model is None:
        return shipped()
    return load(Path(model)) if isinstance(model, str | os.PathLike) else model


def _limits(classifier: Classifier, changes: Mapping[str, float] | None) -> dict[str, float]:
    check_thresholds(changes or {})
    return {**classifier.manifest.calibration.thresholds, **(changes or {})}


def _job(
    names: Sequence[str],
    found: Survey,
    classifier: Classifier,
    limits: Mapping[str, float],
    options: Options,
    keep: Sequence[str],
    part_rows: int,
) -> dict[str, Any]:
    """Return what makes the job what it is: with any of it changed, the rest of the table would not fit."""
    manifest = json.dumps(classifier.manifest.to_dict(), sort_keys=True)
    return {
        "version": brinkline.__version__,
        "inputs": [shown_name(name) for name in names],
        "files": asdict(found),
        "model": classifier.name,
        "model sha256": hashlib.sha256(manifest.encode()).hexdigest(),
        "thresholds": dict(limits),
        "text field": options.text_field,
        "id field": options.id_field,
        "encoding": options.encoding,
        "keep": list(keep),
        "part rows": part_rows,
    }


@contextmanager
def _quiet_classifier() -> Iterator[None]:
    """Hold back the warning that every chunk would give of long sentences; they are counted instead."""

    def is_other(record: logging.LogRecord) -> bool:
        return "longer than the model" not in record.getMessage()

    noisy = logging.getLogger("brinkline.model.classifier")
    noisy.addFilter(is_other)
    try:
        yield
    finally:
        noisy.removeFilter(is_other)


def _finish(store: ArchiveStore) -> None:
    state = store.state
    if not state.articles:
        store.give_up()
        raise ArchiveError(f"nothing could be read, and {store.out} is not written")
    store.finish()
    if state.truncated:
        message = "%d sentences are longer than the model reads: only their beginning was (truncated=True)"
        logger.warning(message, state.truncated)


def _report(store: ArchiveStore, before: State, seconds: float) -> ArchiveReport:
    state = store.state
    return ArchiveReport(
        out=store.out,
        parts=state.parts,
        articles=state.articles,
        sentences=state.sentences,
        scored=state.scored,
        truncated=state.truncated,
        failed=state.failed,
        failures=store.failures if state.failed else None,
        resumed=before.articles,
        seconds=seconds,
    )
