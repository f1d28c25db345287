"""Write sentences as the tasks of a labelling tool: Label Studio, doccano, Prodigy, a table, JSON lines.

Documented at https://labelstud.io/guide/predictions (tasks with pre-annotations) and https://labelstud.io/tags/choices,
https://doccano.github.io/doccano/tutorial (import of JSONL for text classification),
https://prodi.gy/docs/api-interfaces#choice (tasks of the choice view). What the tools give back is read by
:mod:`brinkline.data.annotations`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from brinkline.data.tasks import Task, to_fields
from brinkline.model.labels import SIGNALS, STANCES

FORMATS: tuple[str, ...] = ("labelstudio", "doccano", "prodigy", "csv", "jsonl")

_COLOURS = {
    "hostile": "#b3261e",
    "neutral": "#5f6368",
    "conciliatory": "#1e7b34",
    "threat": "#8a4b00",
    "deterrence": "#0b57a4",
    "retaliation": "#6a1b9a",
}


def write_tasks(tasks: Iterable[Task], path: Path, form: str) -> list[Path]:
    """Write tasks in a tool's format, and beside them what else the tool needs to be set up.

    :param tasks: the sentences; a suggestion becomes a pre-annotation.
    :param path: the file of tasks.
    :param form: one of :data:`FORMATS`.
    :return: the files written, the tasks first.
    :raises ValueError: for an unknown format.
    """
    if form not in FORMATS:
        raise ValueError(f"unknown format {form!r}; formats are {', '.join(FORMATS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(tasks)
    if form == "csv":
        _write_csv(rows, path)
        return [path]
    if form == "labelstudio":
        _write(path, json.dumps([_label_studio(task) for task in rows], ensure_ascii=False, indent=1) + "\n")
        return [path, _write(path.with_name(f"{path.stem}-config.xml"), label_studio_config())]
    make = {"doccano": _doccano, "prodigy": _prodigy, "jsonl": _plain}[form]
    write_jsonl((make(task) for task in rows), path)
    if form == "doccano":
        return [path, _write(path.with_name(f"{path.stem}-labels.json"), _doccano_labels())]
    if form == "prodigy":
        config = json.dumps({"choice_style": "multiple", "choice_auto_accept": False}, indent=1) + "\n"
        return [path, _write(path.with_name(f"{path.stem}-config.json"), config)]
    return [path]


def write_jsonl(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write one JSON object a line, in UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def label_studio_config() -> str:
    """Return the labelling interface of a Label Studio project for these labels, in its XML."""
    lines = [
        "<View>",
        '  <Header value="Before it" size="6"/>',
        '  <Text name="before" value="$before"/>',
        '  <Header value="Label this sentence"/>',
        '  <Text name="text" value="$text"/>',
        *_choices("stance", STANCES, 'choice="single" required="true"', 1),
        *_choices("signals", SIGNALS, 'choice="multiple"', 4),
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def _choices(name: str, labels: Sequence[str], options: str, key: int) -> list[str]:
    return [
        f'  <Choices name="{name}" toName="text" {options} showInline="true">',
        *(
            f'    <Choice value={quoteattr(label)} hotkey="{number}"/>'
            for number, label in enumerate(labels, start=key)
        ),
        "  </Choices>",
    ]


def _label_studio(task: Task) -> dict[str, Any]:
    # A Text tag wants something to show, also before the first sentence of an article.
    record: dict[str, Any] = {"data": {**to_fields(task), "before": task.previous or "(nothing)"}}
    if (said := task.suggestion) is not None:
        results = [_result("stance", [said.stance])]
        if said.signals:
            results.append(_result("signals", list(said.signals)))
        score = round(said.probabilities.get(said.stance, 0.0), 4)
        record["predictions"] = [{"model_version": said.model, "score": score, "result": results}]
    return record


def _result(name: str, choices: list[str]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": choices}}


def _doccano(task: Task) -> dict[str, Any]:
    # doccano keeps every field but text and label as the example's metadata, and writes it out again.
    return {**to_fields(task), "label": list(task.suggestion.labels) if task.suggestion else []}


def _doccano_labels() -> str:
    labels = [
        {
            "text": name,
            "prefix_key": None,
            "suffix_key": str(number),
            "background_color": _COLOURS[name],
            "text_color": "#ffffff",
        }
        for number, name in enumerate((*STANCES, *SIGNALS), start=1)
    ]
    return json.dumps(labels, indent=1) + "\n"


def _prodigy(task: Task) -> dict[str, Any]:
    return {
        **to_fields(task),
        "options": [{"id": name, "text": name} for name in (*STANCES, *SIGNALS)],
        "accept": list(task.suggestion.labels) if task.suggestion else [],
        "meta": {"document": task.document, "before": task.previous},
    }


def _plain(task: Task) -> dict[str, Any]:
    """Return a row with stance and signals left to fill in: what is suggested stands beside them."""
    fields = to_fields(task)
    return {"id": fields.pop("sentence_id"), **fields, "stance": "", "signals": [], "annotator": ""}


def _write_csv(tasks: Sequence[Task], path: Path) -> None:
    rows = [{**_plain(task), "signals": ""} for task in tasks]
    first = ["id", "previous", "text", "stance", "signals", "annotator"]
    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    # The byte order mark is for Excel, which else takes the file for another encoding.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(names), quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
