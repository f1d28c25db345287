"""What is measured on is learned from in no way: not by labels, not as a further file, not without labels."""

import json
from pathlib import Path
from typing import Any

import pytest

from brinkline.data.detached import text_sha256
from brinkline.data.schema import Document, sentences_of
from brinkline.train.distil import Known, unlabelled_texts
from brinkline.train.loading import Data, load_data
from brinkline.train.settings import SettingsError, check_settings


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def articles(folder: Path, name: str, count: int) -> Path:
    rows = [
        {
            "id": f"{name}-{i}",
            "sentences": [
                {"text": f"{name} {i} met {j}.", "stance": "conciliatory", "signals": []} for j in range(3)
            ],
        }
        for i in range(count)
    ]
    return written(folder / f"{name}.jsonl", rows)


def load(limit: int | None = None, **data: Any) -> Data:
    return load_data(check_settings({"name": "x", "data": data}), limit)


def texts(documents: tuple[Document, ...]) -> set[str]:
    return {sentence.text for sentence in sentences_of(documents)}


def test_what_is_only_trained_on_is_in_no_other_part(tmp_path: Path) -> None:
    files = [str(articles(tmp_path, "wire", 60))]
    before = load(files=files)
    rows = [json.loads(line) for line in Path(files[0]).read_text(encoding="utf-8").splitlines()]
    again = [rows[0], next(row for row in rows if row["id"] == before.split.dev[0].id)]
    loose = before.split.test[0].sentences[0]
    more = written(
        tmp_path / "more.jsonl",
        [
            *({"id": row["id"], "sentences": row["sentences"][:1]} for row in again),
            {"text": loose.text.upper(), "stance": "neutral", "signals": []},
        ],
    )
    split = load(files=files, train_only=[str(more)]).split
    assert [document.id for document in split.dev] == [document.id for document in before.split.dev[1:]]
    assert not texts(split.test) & {loose.text}
    assert len(sentences_of(split.test)) == len(sentences_of(before.split.test)) - 1
    learned = [sentence.text.lower() for sentence in sentences_of(split.train)]
    assert len(learned) == len(set(learned)), "nothing is learned twice"
    with pytest.raises(SettingsError, match=r"data\.train_only: every document of the dev part is in it"):
        load(files=files, train_only=files)


def test_a_part_of_the_data_keeps_sources_and_parts(tmp_path: Path) -> None:
    files = [str(articles(tmp_path, "wire", 200)), str(articles(tmp_path, "radio", 30))]
    whole, part = load(files=files), load(files=files, limit=46)
    for name in ("train", "dev", "test"):
        documents = getattr(part.split, name)
        assert {document.source for document in documents} == {"wire", "radio"}
        own = {document.id for document in getattr(whole.split, name)}
        assert {document.id for document in documents} <= own, "no document changes its part"
    assert 44 <= sum(len(getattr(part.split, name)) for name in ("train", "dev", "test")) <= 48
    assert part.held_out == whole.held_out
    assert load(files=files, limit=230).split == whole.split


def test_sentences_without_labels_come_from_no_document_that_is_held_out(tmp_path: Path) -> None:
    pool = [
        {"text": f"report {i} on the rain {j}", "source": "s", "document": str(i), "index": j}
        for i in range(40)
        for j in range(4)
    ]
    pool += [{"text": "a report of its own"}]
    unlabelled = written(tmp_path / "pool.jsonl", pool)
    rows = [
        {"sha256": text_sha256(row["text"]), "stance": "neutral", "signals": []}
        for row in pool[:-1]
        if row["index"] < 2
    ]
    detached = {
        "labels": str(written(tmp_path / "labels.jsonl", rows)),
        "texts": str(unlabelled),
        "signals": False,
    }
    data = load(files=[str(articles(tmp_path, "wire", 60))], detached=[detached])
    held_out = {document.id for document in data.held_out}
    assert any(name.startswith("s/") for name in held_out)
    assert not any(document.source == "s" for document in (*data.split.dev, *data.split.test)), "untaught"
    found = unlabelled_texts([unlabelled], Known.of(data.split.train, data.held_out))
    expected = [
        row["text"] for row in pool[:-1] if f"s/{row['document']}" not in held_out and row["index"] > 1
    ]
    assert found == [*expected, "a report of its own"]


def test_detached_sentences_can_be_trained_on_alone(tmp_path: Path) -> None:
    rows = [
        {"text": f"speech {i} on the tides {j}", "source": "s", "document": str(i), "index": j}
        for i in range(40)
        for j in range(2)
    ]
    texts = written(tmp_path / "texts.jsonl", rows)
    labels = [
        {"sha256": text_sha256(row["text"]), "stance": "hostile", "signals": ["threat"]} for row in rows
    ]
    pair = {"labels": str(written(tmp_path / "labels.jsonl", labels)), "texts": str(texts)}
    files = [str(articles(tmp_path, "wire", 60))]
    apart = load(files=files, detached=[{**pair, "train_only": True}])
    known = [sentence for d in apart.split.train if d.source == "s" for sentence in d.sentences]
    assert len(known) == len(rows)
    assert all(sentence.signals_teach for sentence in known)
    assert not any(document.source == "s" for document in apart.held_out)
    alone = load(files=files)
    for part in ("dev", "test"):  # the other documents stay where they were
        assert getattr(apart.split, part) == getattr(alone.split, part)
    assert any(document.source == "s" for document in load(files=files, detached=[pair]).held_out)
