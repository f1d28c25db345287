"""Labels apart from their texts: joined whole, or refused with the place."""

import gzip
import json
import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from brinkline.data.corpus import without_untaught
from brinkline.data.detached import read_detached, read_texts, text_sha256
from brinkline.data.schema import Document, LabelledDataError, LabelledSentence

TEXTS = [
    {"source": "wire", "document": "1", "index": 0, "text": "They met.", "licence": "CC0"},
    {"source": "wire", "document": "1", "index": 1, "text": "They vowed revenge.", "licence": "CC0"},
    {"source": "wire", "document": "1", "index": 4, "text": "It rained.", "licence": "CC0"},
    {"source": "wire", "document": "2", "index": 0, "text": "They met.", "licence": "CC0"},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix)
    if opener:
        with opener(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        path.write_text(text, encoding="utf-8")
    return path


def label(text: str, stance: str = "hostile", *signals: str) -> dict[str, object]:
    return {"sha256": text_sha256(text), "stance": stance, "signals": list(signals)}


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "t.jsonl.xz"])
def test_joined(tmp_path: Path, name: str) -> None:
    texts = write(tmp_path / name, TEXTS)
    labels = write(
        tmp_path / "l.jsonl",
        [label("It rained.", "neutral"), label("They vowed revenge.", "hostile", "retaliation", "threat")],
    )
    (document,) = read_detached(labels, texts)
    assert (document.id, document.source) == ("wire/1", "wire")
    first, second = document.sentences
    assert (first.text, first.stance, first.signals) == (
        "They vowed revenge.",
        "hostile",
        ("threat", "retaliation"),
    )
    assert (first.previous, second.previous) == (("They met.",), ())  # a gap before the second
    assert first.licence == "CC0"


def test_signals_that_do_not_teach(tmp_path: Path) -> None:
    texts = write(tmp_path / "t.jsonl", TEXTS)
    labels = write(tmp_path / "l.jsonl", [label("It rained.", "neutral"), label("They met.", "conciliatory")])
    documents = read_detached(labels, texts, signals=False)
    assert not any(sentence.signals_teach for document in documents for sentence in document.sentences)
    taught = Document("own", "own", (LabelledSentence("A.", "neutral", ()),), "f", 1)
    mixed = replace(taught, sentences=(*taught.sentences, *documents[0].sentences))
    assert without_untaught([*documents, taught, mixed]) == (taught, taught)


def test_a_text_that_stands_twice_is_joined_once(tmp_path: Path) -> None:
    labels = write(tmp_path / "l.jsonl", [label("They met.", "conciliatory")])
    documents = read_detached(labels, write(tmp_path / "t.jsonl", TEXTS))
    assert [document.id for document in documents] == ["wire/1"]


@pytest.mark.parametrize(
    ("rows", "line", "field", "says"),
    [
        ([label("They met."), label("Another.")], 2, "sha256", "1 of 2 labels have no text in"),
        ([label("They met."), label("They met.")], 2, "sha256", "stands already in line 1"),
        ([{"stance": "hostile", "signals": []}], 1, "sha256", "expected 16"),
        ([label("They met.", "hostle")], 1, "stance", "'hostle' is none of"),
        ([label("They met.", "hostile", "menace")], 1, "signals", "is no list of"),
        ([], None, None, "the file is empty"),
    ],
)
def test_refused(
    tmp_path: Path, rows: list[dict[str, object]], line: int | None, field: str | None, says: str
) -> None:
    labels, texts = write(tmp_path / "l.jsonl", rows), write(tmp_path / "t.jsonl", TEXTS)
    with pytest.raises(LabelledDataError) as caught:
        read_detached(labels, texts)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.field) == (str(labels), line, field)
    assert says in problem.message


def test_texts_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.xz"
    path.write_bytes(b"not xz")
    with pytest.raises(LabelledDataError, match="cannot be read"):
        read_texts(path)
    path = write(tmp_path / "t.jsonl", [{"text": " "}, {"body": "x"}])
    with pytest.raises(LabelledDataError, match=r"t.jsonl:2: text: expected a text"):
        read_texts(path)


def test_a_text_without_a_document_is_one_by_itself(tmp_path: Path) -> None:
    texts = write(tmp_path / "t.jsonl", [{"text": "They met."}, {"text": "It rained."}])
    labels = write(tmp_path / "l.jsonl", [label("It rained.", "neutral"), label("They met.", "conciliatory")])
    documents = read_detached(labels, texts)
    assert [len(document.sentences) for document in documents] == [1, 1]
    assert [document.line for document in documents] == [2, 1]


def test_signals_that_are_no_list_of_names(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"sha256": text_sha256("x"), "stance": "hostile", "signals": [["threat"]]},
        {"sha256": text_sha256("y"), "stance": "hostile", "signals": ["threat", "threat"]},
        {"sha256": "Z" * 16, "stance": "hostile", "signals": []},
    ]
    labels = write(tmp_path / "l.jsonl", rows)
    with pytest.raises(LabelledDataError) as caught:
        read_detached(labels, write(tmp_path / "t.jsonl", TEXTS))
    assert [(p.line, p.field) for p in caught.value.problems] == [
        (1, "signals"),
        (2, "signals"),
        (3, "sha256"),
    ]
