"""Out to a labelling tool and back: nothing lost, whatever the texts.

What each tool writes is simulated from its documentation.
"""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from brinkline.data.annotations import read_annotations
from brinkline.data.formats import FORMATS, label_studio_config, write_jsonl, write_tasks
from brinkline.data.resolve import labellings, resolve
from brinkline.data.schema import read_labelled, sentences_of
from brinkline.data.tasks import Suggestion, Task, fingerprint, is_changed, sentence_id
from brinkline.model.labels import SIGNALS, STANCES

Labels = tuple[str, tuple[str, ...]]

# Any character that a file can hold; csv and JSON must carry quotes, line ends and the rest unharmed.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(str.strip)
LABELS = st.tuples(
    st.sampled_from(STANCES),
    st.sets(st.sampled_from(SIGNALS)).map(lambda s: tuple(n for n in SIGNALS if n in s)),
)
PROBABILITIES = dict.fromkeys((*STANCES, *SIGNALS), 0.25)


def task(number: int, text: str = "They met.", **more: Any) -> Task:
    more = {"previous": "Before.", "document": f"d{number}", "start": 0, "end": len(text), **more}
    return Task(sentence_id(f"d{number}", number, text), text, **more)


def in_label_studio(path: Path, labels: dict[str, Labels], who: str = "1") -> Path:
    """Annotate as Label Studio exports it as JSON."""
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for number, item in enumerate(tasks, start=1):
        stance, signals = labels[item["data"]["sentence_id"]]
        chosen = [("stance", [stance]), ("signals", list(signals))]
        result = [
            {
                "id": f"r{number}",
                "from_name": name,
                "to_name": "text",
                "type": "choices",
                "origin": "manual",
                "value": {"choices": names},
            }
            for name, names in chosen
            if names
        ]
        annotation = {
            "id": number,
            "completed_by": int(who),
            "result": result,
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2024-01-01T00:00:00.000000Z",
            "updated_at": "2024-01-01T00:00:00.000000Z",
            "lead_time": 4.2,
        }
        item |= {"id": number, "annotations": [annotation], "drafts": [], "meta": {}, "project": 3}
    out = path.with_name("label-studio-export.json")
    out.write_text(json.dumps(tasks), encoding="utf-8")  # it escapes what is not ASCII
    return out


def in_label_studio_min(path: Path, labels: dict[str, Labels], as_csv: bool = False) -> Path:
    """Annotate as Label Studio exports it as JSON-MIN or CSV."""
    rows = []
    for number, item in enumerate(json.loads(path.read_text(encoding="utf-8")), start=1):
        stance, signals = labels[item["data"]["sentence_id"]]
        row = {**item["data"], "id": number, "stance": stance, "annotator": 1, "annotation_id": number}
        if signals:
            row["signals"] = signals[0] if len(signals) == 1 else {"choices": list(signals)}
        rows.append(row)
    out = path.with_name("min." + ("csv" if as_csv else "json"))
    if not as_csv:
        out.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
        return out
    names = sorted({name for row in rows for name in row} | {"was_cancelled"})
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        for row in rows:
            if isinstance(row.get("signals"), dict):
                row["signals"] = json.dumps(row["signals"])
            writer.writerow({**row, "was_cancelled": False})
    return out


def in_doccano(path: Path, labels: dict[str, Labels]) -> Path:
    """Annotate as doccano exports it as JSONL: its own id, the text, the metadata, the labels sorted."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
        meta = json.loads(line)
        text, _ = meta.pop("text"), meta.pop("label")
        stance, signals = labels[meta["sentence_id"]]
        rows.append({"id": number, "text": text, **meta, "label": sorted([stance, *signals]), "Comments": []})
    out = path.with_name("admin.jsonl")
    write_jsonl(rows, out)
    return out


def in_prodigy(path: Path, labels: dict[str, Labels], who: str = "mine-ann") -> Path:
    """Annotate as Prodigy's db-out writes it, options in the order in which they were clicked."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1]):
        item = json.loads(line)
        stance, signals = labels[item["sentence_id"]]
        item |= {"accept": [*reversed(signals), stance], "answer": "accept", "_view_id": "choice"}
        item |= {"_input_hash": number, "_task_hash": -number, "_timestamp": 1_700_000_000 + number}
        rows.append({**item, "_annotator_id": who, "_session_id": who})
    out = path.with_name("db-out.jsonl")
    write_jsonl(rows, out)
    return out


def in_a_table(path: Path, labels: dict[str, Labels]) -> Path:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        stance, signals = labels[row["id"]]
        row |= {"stance": stance, "signals": ", ".join(signals), "annotator": "ann"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return path


def in_json_lines(path: Path, labels: dict[str, Labels]) -> Path:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    for row in rows:
        stance, signals = labels[row["id"]]
        row |= {"stance": stance, "signals": list(signals)}
    write_jsonl(rows, path)
    return path


TOOLS: dict[str, tuple[str, str, Callable[..., Path]]] = {
    "label studio": ("labelstudio", "t.json", in_label_studio),
    "label studio min": ("labelstudio", "t.json", in_label_studio_min),
    "label studio csv": ("labelstudio", "t.json", lambda *given: in_label_studio_min(*given, as_csv=True)),
    "doccano": ("doccano", "t.jsonl", in_doccano),
    "prodigy": ("prodigy", "t.jsonl", in_prodigy),
    "csv": ("csv", "t.csv", in_a_table),
    "jsonl": ("jsonl", "t.jsonl", in_json_lines),
}


@pytest.mark.parametrize("tool", TOOLS)
@settings(max_examples=25)
@given(items=st.lists(st.tuples(TEXTS, TEXTS, LABELS, LABELS), min_size=1, max_size=4))
def test_nothing_is_lost_on_the_way(
    tool: str, items: list[tuple[str, str, Labels, Labels]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tool", numbered=True)
    form, name, annotate = TOOLS[tool]
    tasks, wanted = [], {}
    for number, (text, previous, (stance, signals), labels) in enumerate(items):
        said = Suggestion(stance, signals, PROBABILITIES, "tiny 1")
        made = task(number, text, previous=previous, why="random", detail="x", chance=0.5, suggestion=said)
        tasks.append(made)
        wanted[made.id] = labels
    write_tasks(tasks, folder / name, form)
    back, problems = read_annotations([annotate(folder / name, wanted)])
    assert problems == []
    assert [item.task for item in back] == tasks
    assert {item.task.id: (item.stance, item.signals) for item in back} == wanted
    # And on into the format that training reads.
    resolved = resolve(back)
    write_jsonl(resolved.rows(), folder / "labelled.jsonl")
    read = {s.id: s for s in sentences_of(read_labelled([folder / "labelled.jsonl"]))}
    assert {name: (s.stance, s.signals) for name, s in read.items()} == wanted
    assert {s.text for s in read.values()} == {made.text for made in tasks}
    assert all(read[made.id].previous == (made.previous,) for made in tasks)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_labelled_before_somebody_labels_it(form: str, tmp_path: Path) -> None:
    path = tmp_path / ("t.csv" if form == "csv" else "t.json" if form == "labelstudio" else "t.jsonl")
    write_tasks([task(0)], path, form)
    (item,), problems = read_annotations([path])
    assert (item.status, problems) == ("unlabelled", [])


def test_the_interface_of_label_studio_fits_the_tasks(tmp_path: Path) -> None:
    said = Suggestion("hostile", ("threat",), PROBABILITIES)
    path, config = write_tasks([task(0, suggestion=said)], tmp_path / "t.json", "labelstudio")
    view = ElementTree.fromstring(config.read_text())
    assert config.read_text() == label_studio_config()
    (item,) = json.loads(path.read_text())
    shown = {tag.get("value", "").removeprefix("$") for tag in view.iter("Text")}
    assert shown <= item["data"].keys()
    controls = {
        tag.get("name"): [choice.get("value") for choice in tag.iter("Choice")]
        for tag in view.iter("Choices")
    }
    assert controls == {"stance": list(STANCES), "signals": list(SIGNALS)}
    (prediction,) = item["predictions"]
    assert [(r["from_name"], r["value"]["choices"]) for r in prediction["result"]] == [
        ("stance", ["hostile"]),
        ("signals", ["threat"]),
    ]
    # JSON-MIN puts the labels beside the data: no name may stand for both.
    assert not {"stance", "signals", "id", "annotator"} & item["data"].keys()


def test_what_the_other_tools_are_set_up_with(tmp_path: Path) -> None:
    _, labels = write_tasks([task(0)], tmp_path / "d.jsonl", "doccano")
    rows = json.loads(labels.read_text())
    assert [row["text"] for row in rows] == [*STANCES, *SIGNALS]
    assert len({row["suffix_key"] for row in rows}) == 6
    path, config = write_tasks([task(0)], tmp_path / "p.jsonl", "prodigy")
    assert json.loads(config.read_text())["choice_style"] == "multiple"
    assert [o["id"] for o in json.loads(path.read_text())["options"]] == [*STANCES, *SIGNALS]
    with pytest.raises(ValueError, match="unknown format 'brat'"):
        write_tasks([], tmp_path / "x", "brat")


def test_several_annotators_of_label_studio(tmp_path: Path) -> None:
    path = write_tasks([task(0), task(1)], tmp_path / "t.json", "labelstudio")[0]
    export = in_label_studio(path, {task(n).id: ("hostile", ()) for n in (0, 1)})
    items = json.loads(export.read_text())
    second = {**items[0]["annotations"][0], "completed_by": {"id": 2, "email": "bo@example.org"}}
    items[0]["annotations"] += [second, {**second, "completed_by": 3, "was_cancelled": True}]
    items[1]["annotations"] = []
    export.write_text(json.dumps(items))
    back, problems = read_annotations([export])
    assert [(item.annotator, item.status) for item in back] == [
        ("1", "labelled"),
        ("bo@example.org", "labelled"),
        ("3", "skipped"),
        ("", "unlabelled"),
    ]
    assert not problems


def test_one_file_an_annotator_zipped(tmp_path: Path) -> None:
    path = write_tasks([task(0)], tmp_path / "t.jsonl", "doccano")[0]
    export = in_doccano(path, {task(0).id: ("neutral", ())}).read_bytes()
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as file:
        file.writestr("ann.jsonl", export)
        file.writestr("bo.jsonl", export.replace(b'"neutral"', b'"hostile", "threat"'))
    back, problems = read_annotations([tmp_path / "export.zip"])
    assert not problems
    assert labellings(back) == {
        "ann": {task(0).id: ("neutral", ())},
        "bo": {task(0).id: ("hostile", ("threat",))},
    }


def test_labels_joined_by_a_hash_as_in_doccanos_table(tmp_path: Path) -> None:
    (tmp_path / "ann.csv").write_text(
        "id,text,label\n7,They met.,conciliatory\n8,They hit back.,hostile#retaliation\n"
    )
    back, problems = read_annotations([tmp_path / "ann.csv"])
    assert not problems
    assert [(item.stance, item.signals) for item in back] == [
        ("conciliatory", ()),
        ("hostile", ("retaliation",)),
    ]
    assert back[0].task.id.startswith("text:")  # doccano's own numbers name no sentence of ours


@pytest.mark.parametrize(
    ("answer", "status"),
    [("accept", "labelled"), ("reject", "rejected"), ("ignore", "skipped"), (None, "unlabelled")],
)
def test_answers_of_prodigy(answer: str | None, status: str, tmp_path: Path) -> None:
    row = {
        "text": "They met.",
        "options": [],
        "accept": ["neutral"],
        "answer": answer,
        "_session_id": "set-ann",
    }
    write_jsonl([row], tmp_path / "x.jsonl")
    (item,), problems = read_annotations([tmp_path / "x.jsonl"])
    assert (item.status, item.annotator, problems) == (status, "set-ann", [])


@pytest.mark.parametrize(
    ("record", "field", "says"),
    [
        ({"text": "x", "stance": "hostle"}, "labels", "(did you mean 'hostile'?)"),
        ({"text": "x", "label": ["hostile", "neutral"]}, "labels", "more than one stance: hostile, neutral"),
        ({"text": "x", "label": ["threat"]}, "labels", "no stance, only threat"),
        ({"text": "x", "label": [[0, 4, "hostile"]]}, "label", "is no list of labels"),
        ({"text": " ", "stance": "hostile"}, "text", "expected a text"),
        ({"text": "\ud800", "stance": "hostile"}, "text", "half a surrogate"),
        ({"text": "x", "answer": "accept", "label": "hostile"}, "accept", "is missing"),
        ({"text": "x", "answer": "yes", "accept": []}, "answer", "none of accept, reject, ignore"),
        ({"text": "x", "answer": ["accept"], "accept": []}, "answer", "none of accept, reject, ignore"),
        ({"data": {"text": "x"}, "annotations": 3}, "annotations", "expected a list"),
        ({"text": "x", "stance": "hostile", "signals": "[thr"}, "signals", "is no list of labels"),
    ],
)
def test_what_cannot_be_used_is_named(record: dict[str, Any], field: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "fine", "stance": "Neutral"}) + "\n" + json.dumps(record) + "\n")
    (item,), (problem,) = read_annotations([path])
    assert item.stance == "neutral"
    assert (problem.file, problem.line, problem.field) == (str(path), 2, field)
    assert says in problem.message


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", b"", "the file is empty"),
        ("x.jsonl", b"\xff", "not UTF-8: byte 0xff"),
        ("x.jsonl", b"{", "not JSON"),
        ("x.json", b"[3]", "expected an object"),
        ("x.json", b"[{", "not JSON"),
        ("x.csv", b"a,b\n1,2\n", "no column 'text', only a, b"),
        ("x.csv", b"text,stance\nx,hostile,threat\n", "has 3 cells, the header has 2"),
        ("x.csv", b'text,stance\n"x,hostile\n', "not a table"),
        ("x.csv", b"text,stance,stance\nx,hostile,neutral\n", "stands twice in the header"),
        ("x.zip", b"no", "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    back, (problem,) = read_annotations([tmp_path / name])
    assert back == []
    assert says in problem.message
    _, (problem,) = read_annotations([tmp_path / "none.jsonl"])
    assert problem.message == "cannot be read: No such file or directory"


def test_what_macos_adds_to_a_zip_file_is_passed_over(tmp_path: Path) -> None:
    record = {"id": 1, "text": "The rain went on.", "label": ["neutral"]}
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as file:
        file.writestr("ann.jsonl", json.dumps(record))
        file.writestr("__MACOSX/._ann.jsonl", b"\x00\x05\x16\x07\xff")
        file.writestr(".DS_Store", b"\x00\xff")
    back, problems = read_annotations([tmp_path / "export.zip"])
    assert [item.annotator for item in back] == ["ann"]
    assert problems == []


def test_a_zip_file_with_a_password_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("ann.jsonl", "{}")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the file's own header says that it is encrypted,
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and so does the directory
    path.write_bytes(content)
    back, (problem,) = read_annotations([path])
    assert back == []
    assert "password" in problem.message


def plain(path: Path, *rows: tuple[Task, str, str, tuple[str, ...]]) -> Path:
    write_jsonl(
        (
            {
                "id": t.id,
                "text": t.text,
                "document": t.document,
                "annotator": who,
                "stance": stance,
                "signals": signals,
            }
            for t, who, stance, signals in rows
        ),
        path,
    )
    return path


def test_labels_are_settled_by_majority(tmp_path: Path) -> None:
    one, two, three = task(1), task(2, "They hit back."), task(3, "It rained.")
    path = plain(
        tmp_path / "x.jsonl",
        (one, "a", "hostile", ("threat",)),
        (one, "b", "hostile", ("threat",)),
        (one, "c", "neutral", ()),
        (two, "a", "hostile", ()),
        (two, "b", "neutral", ()),
        (three, "a", "neutral", ()),
        (three, "a", "conciliatory", ()),  # a second thought
    )
    resolved = resolve(read_annotations([path])[0])
    assert [(t.id, labels, n) for t, labels, n in resolved.labelled] == [
        (one.id, ("hostile", ("threat",)), 3),
        (three.id, ("conciliatory", ()), 1),
    ]
    assert resolved.counts["contradictions"] == resolved.counts["repeated"] == 1
    (row,) = resolved.disagreement_rows()
    assert (row["id"], row["said"], row["stance"]) == (two.id, {"a": "hostile", "b": "neutral"}, "")
    # What is filled in there stands, whatever the two said.
    write_jsonl([{**row, "stance": "hostile", "signals": ["retaliation"]}], tmp_path / "judge.jsonl")
    settled = resolve(read_annotations([path])[0], read_annotations([tmp_path / "judge.jsonl"])[0])
    assert {t.id: labels for t, labels, _ in settled.labelled}[two.id] == ("hostile", ("retaliation",))
    assert not settled.disagreements


def test_one_sentence_with_two_labels_is_counted(tmp_path: Path) -> None:
    path = plain(tmp_path / "x.jsonl", (task(1), "a", "hostile", ()), (task(2), "a", "neutral", ()))
    resolved = resolve(read_annotations([path])[0])
    assert (len(resolved.labelled), resolved.counts["conflicts"]) == (2, 1)


def test_a_tie_over_a_signal_is_a_disagreement(tmp_path: Path) -> None:
    path = plain(tmp_path / "x.jsonl", (task(1), "a", "hostile", ("threat",)), (task(1), "b", "hostile", ()))
    resolved = resolve(read_annotations([path])[0])
    assert (len(resolved.labelled), len(resolved.disagreements)) == (0, 1)


def test_a_changed_text_is_told(tmp_path: Path) -> None:
    sent = task(1, "They met on monday.")
    mended = replace(sent, text="They met on Monday.")
    assert not is_changed(sent)
    assert not is_changed(replace(sent, text="They  met on monday.\r\n"))
    assert is_changed(mended)
    path = plain(tmp_path / "x.jsonl", (mended, "a", "neutral", ()), (task(2), "a", "neutral", ()))
    annotations = read_annotations([path])[0]
    kept = resolve(annotations)
    assert kept.counts["changed"] == 1
    assert [t.text for t, _, _ in kept.labelled] == ["They met on Monday.", "They met."]
    assert [t.text for t, _, _ in resolve(annotations, changed="drop").labelled] == ["They met."]
    # Two annotators who saw different texts have not labelled the same thing.
    path = plain(tmp_path / "y.jsonl", (mended, "a", "neutral", ()), (sent, "b", "neutral", ()))
    assert len(resolve(read_annotations([path])[0]).disagreements) == 1


@given(TEXTS)
def test_white_space_does_not_change_a_fingerprint(text: str) -> None:
    assert fingerprint(f" {text}\r\n") == fingerprint(text)
    assert len(fingerprint(text)) == 8


def test_rows_of_a_table_with_line_ends_are_counted_where_they_begin(tmp_path: Path) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([["text", "stance"], ["a\nb", "hostile"], ["c", "hostle"]])
    (tmp_path / "x.csv").write_text(file.getvalue(), newline="")
    (item,), (problem,) = read_annotations([tmp_path / "x.csv"])
    assert (item.line, problem.line) == (2, 4)


def test_a_label_changed_in_the_tool_is_trained_on(
    tmp_path: Path, labelled_file: Path, tiny_base: Path
) -> None:
    from brinkline.train.finetune import load_data
    from brinkline.train.settings import load_settings

    tasks = [task(n, f"the envoy met the army {n}") for n in range(3)]
    said = Suggestion("conciliatory", (), PROBABILITIES)
    path = write_tasks([replace(t, suggestion=said) for t in tasks], tmp_path / "t.jsonl", "prodigy")[0]
    labels: dict[str, Labels] = {t.id: ("conciliatory", ()) for t in tasks}
    labels[tasks[1].id] = ("hostile", ("threat",))
    resolved = resolve(read_annotations([in_prodigy(path, labels)])[0])
    write_jsonl(resolved.rows(), tmp_path / "labelled.jsonl")
    values = {
        "name": "mine",
        "base_model": str(tiny_base),
        "data": {"files": [str(labelled_file)], "train_only": [str(tmp_path / "labelled.jsonl")]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    split = load_data(load_settings(tmp_path / "mine.yaml")).split
    trained = {s.text: (s.stance, s.signals) for s in sentences_of(split.train)}
    assert [trained[t.text] for t in tasks] == [labels[t.id] for t in tasks]
    assert trained[tasks[1].text] == ("hostile", ("threat",))
    assert {d.id for d in split.train} >= {f"labelled/{t.document}" for t in tasks}


def test_the_settings_that_the_tutorial_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from brinkline.train.settings import load_settings

    text = (Path(__file__).parents[2] / "docs" / "labelling.md").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    for name in ("data/corpus", "data/contrast"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("labelled.jsonl", "random.jsonl"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    settings = load_settings(Path("mine.yaml"))
    assert settings.data.train_only == [Path("labelled.jsonl")]
    assert settings.data.evaluate == [Path("random.jsonl")]
