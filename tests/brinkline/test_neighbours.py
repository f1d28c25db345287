import json
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import brinkline
from brinkline import neighbours
from brinkline.neighbours import LabelledIndex, cache_folder, similar

ROWS = [
    {"id": "a", "text": "they vowed revenge", "stance": "hostile", "signals": ["threat", "retaliation"]},
    {"id": "b", "text": "they vowed to strike", "stance": "hostile", "signals": ["threat"]},
    {"id": "c", "text": "envoys met for talks", "stance": "conciliatory", "signals": []},
    {"id": "d", "text": "rain in the <city>", "stance": "neutral", "signals": []},
]


class Fake:
    """Embeds a sentence as the counts of its words."""

    name = "fake 1.0"

    def __init__(self, weights: str = "w1") -> None:
        files = {"model.onnx": weights, "tokenizer.json": "t", "README.md": str(id(self))}
        self.manifest = SimpleNamespace(files=files, max_tokens=32, context=0)
        self.embedded = 0

    def embed(self, sentences: Sequence[str]) -> Any:
        self.embedded += len(sentences)
        vectors = np.zeros((len(sentences), 64), dtype=np.float32)
        for row, sentence in zip(vectors, sentences, strict=True):
            for word in sentence.split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return vectors


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    neighbours._index.cache_clear()
    return tmp_path / "cache" / "brinkline"


def kept(cache: Path) -> list[Path]:
    return sorted(cache.iterdir()) if cache.exists() else []


def test_nearest_first_with_their_own_labels(data: Path) -> None:
    found = similar("they vowed revenge", 3, classifier=Fake(), data=data)
    assert [near.id for near in found][:2] == ["a", "b"]
    assert found[0].similarity == pytest.approx(1, abs=1e-3)
    assert found[1].similarity == pytest.approx(2 / np.sqrt(12), abs=1e-3)
    assert (found[0].stance, found[0].signals) == ("hostile", ("threat", "retaliation"))
    values = [near.similarity for near in found]
    assert values == sorted(values, reverse=True)
    assert len(found) == 3
    assert repr(found).startswith("<SimilarSentences 3 labelled: hostile 2")


def test_no_more_than_there_are(data: Path) -> None:
    assert len(similar("rain", 99, classifier=Fake(), data=[data])) == len(ROWS)


def test_sentences_are_embedded_once(data: Path, cache: Path) -> None:
    first, second = Fake(), Fake()
    one = LabelledIndex(first, data)
    assert first.embedded == len(ROWS)
    two = LabelledIndex(second, data)
    assert second.embedded == 0
    assert one.similar("they met").neighbours == two.similar("they met").neighbours
    assert [path.suffix for path in kept(cache)] == [".npy"]
    assert np.load(kept(cache)[0]).dtype == np.float16


def test_similar_reads_the_data_once(data: Path) -> None:
    fake = Fake()
    similar("they met", classifier=fake, data=data)
    data.unlink()
    similar("they met", classifier=fake, data=data)
    assert fake.embedded == len(ROWS) + 2


def test_another_model_or_other_sentences_have_a_file_of_their_own(data: Path, cache: Path) -> None:
    LabelledIndex(Fake(), data)
    other = Fake("w2")
    LabelledIndex(other, data)
    assert other.embedded == len(ROWS)
    data.write_text(json.dumps(ROWS[0]) + "\n", encoding="utf-8")
    third = Fake()
    LabelledIndex(third, data)
    assert third.embedded == 1
    assert len(kept(cache)) == 3


def test_changed_labels_are_read_anew(data: Path) -> None:
    LabelledIndex(Fake(), data)
    data.write_text("".join(json.dumps(row | {"stance": "neutral"}) + "\n" for row in ROWS), encoding="utf-8")
    fake = Fake()
    index = LabelledIndex(fake, data)
    assert fake.embedded == 0
    assert {near.stance for near in index.similar("they met")} == {"neutral"}


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "rows", "pickle"])
def test_a_damaged_cache_is_made_anew(
    damage: str, data: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = LabelledIndex(Fake(), data).similar("they vowed")
    (path,) = kept(cache)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-3])
    elif damage == "text":
        path.write_bytes(b"not vectors")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "rows":
        np.save(path, np.zeros((2, 64), dtype=np.float16))
    else:
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    fake = Fake()
    with caplog.at_level(logging.WARNING):
        found = LabelledIndex(fake, data).similar("they vowed")
    assert fake.embedded == len(ROWS) + 1
    assert found.neighbours == expected.neighbours
    assert "made anew" in caplog.text
    assert kept(cache)[0].read_bytes() == content


def test_works_where_no_cache_can_be_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert LabelledIndex(Fake(), data).similar("they vowed revenge")[0].id == "a"


def test_a_failed_write_leaves_nothing_behind(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(neighbours.np, "save", full)
    assert LabelledIndex(Fake(), data).similar("they vowed revenge")[0].id == "a"
    assert kept(cache) == []


def test_without_cache_nothing_is_written(data: Path, cache: Path) -> None:
    LabelledIndex(Fake(), data, cache=False)
    assert kept(cache) == []


def test_a_sentence_of_nothing_is_like_nothing(data: Path) -> None:
    assert {near.similarity for near in similar("", classifier=Fake(), data=data)} == {0.0}


def test_bad_calls(data: Path) -> None:
    with pytest.raises(ValueError, match="n must be at least 1"):
        similar("they met", 0, classifier=Fake(), data=data)
    with pytest.raises(TypeError, match="one sentence as str, got list"):
        similar(["they met"], classifier=Fake(), data=data)


def test_the_tiny_model_finds_a_sentence_itself(data: Path, model_folder: Path) -> None:
    classifier = brinkline.load(model_folder, threads=1)
    for row in ROWS:
        near = similar(row["text"], 1, classifier=classifier, data=data)[0]
        assert (near.id, near.stance) == (row["id"], row["stance"])
        assert near.similarity == pytest.approx(1, abs=1e-3)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(neighbours.Path, "home", lambda: tmp_path)
    for platform, expected in {"linux": ".cache", "darwin": "Library/Caches"}.items():
        monkeypatch.setattr(neighbours.sys, "platform", platform)
        assert cache_folder() == tmp_path / expected / "brinkline"
    monkeypatch.setattr(neighbours.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "brinkline"


def test_frame_and_html(data: Path) -> None:
    found = similar("rain in the <city> & more", 2, classifier=Fake(), data=data)
    frame = found.to_frame()
    assert list(frame.columns) == [
        "similarity",
        "stance",
        "threat",
        "deterrence",
        "retaliation",
        "text",
        "id",
    ]
    assert frame["id"][0] == "d"
    html = found._repr_html_()
    assert "<city>" not in html
    assert html.count("&lt;city&gt;") == 2
    assert html.count("<tr>") == 3


def test_the_own_corpus_is_the_default() -> None:
    folders = neighbours._paths(None)
    assert all(list(folder.glob("*.jsonl")) for folder in folders)
