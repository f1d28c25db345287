"""Read what labelling tools export: every label that somebody gave, with who gave it.

What each tool writes: https://labelstud.io/guide/export (JSON, JSON-MIN and CSV),
https://doccano.github.io/doccano/tutorial (JSONL, JSON and CSV; one file an annotator, zipped, unless the project
shares its labels), https://prodi.gy/docs/api-interfaces#choice and https://prodi.gy/docs/recipes#db-out (JSONL). Which
tool a record comes from goes by its fields.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from brinkline.data.schema import Problem
from brinkline.data.tasks import Task, from_fields
from brinkline.model.labels import SIGNALS, STANCES, order_signals

Status = Literal["labelled", "unlabelled", "skipped", "rejected"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotator did with one sentence."""

    task: Task
    """The sentence as it came back."""
    annotator: str
    status: Status
    stance: str = ""
    """Empty unless it is labelled."""
    signals: tuple[str, ...] = ()
    """In label order."""
    time: str = ""
    """When it was made, in a form that sorts; empty where it is not known."""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, or one of a zip file."""

    name: str
    stem: str
    """Stands for the annotator where the records name none."""
    data: bytes


class _BadRecordError(ValueError):
    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_annotations(paths: Iterable[str | Path]) -> tuple[list[Annotation], list[Problem]]:
    """Read exports of labelling tools.

    :param paths: ``.json``, ``.jsonl``, ``.csv`` and ``.tsv`` files, or ``.zip`` files of them (of which what
        macOS adds, and other files with a leading dot, is passed over).
    :return: what was done with each sentence by each annotator, in order, and everything that cannot be used:
        unknown labels, sentences with two stances or with signals and no stance, records that cannot be read.
    """
    annotations: list[Annotation] = []
    problems: list[Problem] = []
    for source in _sources(paths, problems):
        for number, record in _records(source, problems):
            try:
                annotations += _parse(record, source, number)
            except _BadRecordError as error:
                problems.append(Problem(source.name, number, error.field, str(error)))
    return annotations, problems


def _sources(paths: Iterable[str | Path], problems: list[Problem]) -> Iterator[_Source]:
    for path in map(Path, paths):
        try:
            if path.suffix.lower() == ".zip":
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        if not name.endswith("/") and not Path(name).name.startswith("."):
                            yield _Source(f"{path}/{name}", Path(name).stem, archive.read(name))
            else:
                yield _Source(str(path), path.stem, path.read_bytes())
        # RuntimeError: a zip file with a password; NotImplementedError: packed in a way that Python cannot undo.
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:
            message = getattr(error, "strerror", None) or error
            problems.append(Problem(str(path), None, None, f"cannot be read: {message}"))


def _records(source: _Source, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of a file with their lines; in a JSON list, with their positions from 1."""
    try:
        text = source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"not UTF-8: byte 0x{source.data[error.start]:02x} at offset {error.start}"
        problems.append(Problem(source.name, None, None, message))
        return
    suffix = Path(source.name).suffix.lower()
    if suffix in (".csv", ".tsv"):
        yield from _rows(source, text, problems)
    elif text.lstrip().startswith("["):
        found = _loads(source, None, text, problems)
        items = found if isinstance(found, list) else []
        yield from _objects(source, enumerate(items, start=1), problems)
    else:
        lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
        values = ((number, _loads(source, number, line, problems)) for number, line in lines)
        yield from _objects(source, values, problems)
    if not text.strip():
        problems.append(Problem(source.name, None, None, "the file is empty"))


def _loads(source: _Source, line: int | None, text: str, problems: list[Problem]) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(Problem(source.name, line, None, f"not JSON: {error}"))
    return None


def _objects(
    source: _Source, values: Iterable[tuple[int, Any]], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, value in values:
        if isinstance(value, dict):
            yield number, value
        elif value is not None:
            problems.append(Problem(source.name, number, None, "expected an object"))


def _rows(source: _Source, text: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    head = text.split("\n", 1)[0]
    # Excel parts cells by semicolons where the comma is the decimal sign.
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 26))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = next(rows, [])
        if names and "text" not in names:
            problems.append(Problem(source.name, 1, None, f"has no column 'text', only {', '.join(names)}"))
            return
        if twice := sorted({name for name in names if names.count(name) > 1}):
            problems.append(Problem(source.name, 1, twice[0], "stands twice in the header"))
            return
        before = rows.line_num
        for row in rows:
            line, before = before + 1, rows.line_num
            if len(row) == len(names):
                yield line, dict(zip(names, row, strict=True))
            elif row:
                message = f"has {len(row)} cells, the header has {len(names)}"
                problems.append(Problem(source.name, line, None, message))
    except csv.Error as error:
        problems.append(Problem(source.name, rows.line_num, None, f"not a table: {error}"))


def _parse(record: dict[str, Any], source: _Source, line: int) -> list[Annotation]:
    if isinstance(record.get("data"), dict):
        return _label_studio(record, source, line)
    if "answer" in record or "_task_hash" in record or ("accept" in record and "options" in record):
        return [_prodigy(record, source, line)]
    if "label" in record:
        return [_doccano(record, source, line)]
    return [_plain(record, source, line)]


def _label_studio(record: dict[str, Any], source: _Source, line: int) -> list[Annotation]:
    task = _task(record["data"])
    given = record.get("annotations", record.get("completions", []))
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise _BadRecordError("annotations", "expected a list of objects")
    if not given:  # predictions, if there are any, are nobody's labels
        return [Annotation(task, "", "unlabelled", file=source.name, line=line)]
    found = []
    for item in given:
        results = [result for result in item.get("result") or () if isinstance(result, dict)]
        names = [
            name
            for result in results
            if result.get("type") == "choices"
            for name in _names(result.get("value"), "result")
        ]
        who = item.get("completed_by")
        if isinstance(who, dict):
            who = next((who[key] for key in ("email", "username", "id") if who.get(key)), None)
        skipped = item.get("was_cancelled") or item.get("skipped")
        time = str(item.get("updated_at") or item.get("created_at") or "")
        annotator = source.stem if who is None else str(who)
        found.append(_made(task, annotator, "skipped" if skipped else None, names, time, source, line))
    return found


def _prodigy(record: dict[str, Any], source: _Source, line: int) -> Annotation:
    statuses: dict[object, Status | None] = {"accept": None, "reject": "rejected", "ignore": "skipped"}
    answer = record.get("answer")
    if answer is not None and (not isinstance(answer, str) or answer not in statuses):
        raise _BadRecordError("answer", f"{answer!r} is none of accept, reject, ignore")
    if answer == "accept" and "accept" not in record:
        raise _BadRecordError("accept", "is missing: only answers of the choice view can be read")
    status = "unlabelled" if answer is None else statuses[answer]
    who = record.get("_annotator_id") or record.get("_session_id") or source.stem
    stamp = record.get("_timestamp")
    time = f"{stamp:020}" if isinstance(stamp, int) else ""
    names = _names(record.get("accept"), "accept")
    return _made(_task(record), str(who), status, names, time, source, line)


def _doccano(record: dict[str, Any], source: _Source, line: int) -> Annotation:
    names = _names(record["label"], "label")
    return _made(_task(record), source.stem, None, names, "", source, line)


def _plain(record: dict[str, Any], source: _Source, line: int) -> Annotation:
    # With annotation_id it is Label Studio's JSON-MIN or CSV, where id is the number of a task.
    task = _task(record, "sentence_id" if "annotation_id" in record else "id")
    names = [*_names(record.get("stance"), "stance"), *_names(record.get("signals"), "signals")]
    skipped = str(record.get("was_cancelled", "")).lower() in ("true", "1")
    time = str(record.get("updated_at") or record.get("created_at") or "")
    who = record.get("annotator")
    if isinstance(who, dict):
        who = next((who[key] for key in ("email", "username", "id") if who.get(key)), None)
    annotator = str(who) if who not in (None, "") else source.stem
    return _made(task, annotator, "skipped" if skipped else None, names, time, source, line)


def _task(fields: Mapping[str, Any], id_field: str = "sentence_id") -> Task:
    try:
        return from_fields(fields, id_field)
    except ValueError as error:
        raise _BadRecordError("text", str(error)) from None


def _made(
    task: Task,
    annotator: str,
    status: Status | None,
    names: Sequence[str],
    time: str,
    source: _Source,
    line: int,
) -> Annotation:
    if status is None and not names:
        status = "unlabelled"
    if status is not None:
        return Annotation(task, annotator, status, time=time, file=source.name, line=line)
    stance, signals = _labels(names)
    return Annotation(task, annotator, "labelled", stance, signals, time, source.name, line)


def _names(value: Any, field: str) -> list[str]:
    """Return names of labels out of whatever a tool puts them into."""
    if isinstance(value, dict):
        value = value.get("choices")
    if value is None:
        return []
    if isinstance(value, str):
        if value.lstrip()[:1] in ("{", "["):  # Label Studio's CSV holds JSON where several are chosen
            try:
                return _names(json.loads(value), field)
            except ValueError:
                raise _BadRecordError(field, f"{value!r} is no list of labels") from None
        return [name for name in re.split(r"[\s,;|#]+", value) if name]
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return [str(name) for name in value]
    raise _BadRecordError(field, f"{value!r} is no list of labels")


def _labels(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    known = (*STANCES, *SIGNALS)
    plain = list(dict.fromkeys(name.strip().casefold() for name in names))
    for name in plain:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise _BadRecordError("labels", f"{name!r} is none of {', '.join(known)}{hint}")
    stances = [name for name in STANCES if name in plain]
    if not stances:
        raise _BadRecordError("labels", f"no stance, only {', '.join(plain)}")
    if len(stances) > 1:
        raise _BadRecordError("labels", f"more than one stance: {', '.join(stances)}")
    return stances[0], order_signals(name for name in plain if name in SIGNALS)
