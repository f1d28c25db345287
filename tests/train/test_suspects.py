"""A label that all the other documents speak against is found."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brinkline.data.schema import read_labelled
from brinkline.train import suspects as module
from brinkline.train.suspects import cross_validated, suspects


def test_wrong_labels_come_first(labelled_file: Path, tiny_base: Path) -> None:
    documents = read_labelled([labelled_file])
    first = documents[7]
    wrong = replace(first.sentences[0], stance="conciliatory", signals=("deterrence",))
    documents[7] = replace(first, sentences=(wrong, *first.sentences[1:]))
    rows = suspects(documents, 2, str(tiny_base))
    assert {(row["id"], row["label"]) for row in rows[:2]} == {
        (wrong.id, "conciliatory"),
        (wrong.id, "deterrence"),
    }
    assert len(rows) == 8
    assert [row["quality"] for row in rows] == sorted(row["quality"] for row in rows)


@pytest.mark.parametrize(
    ("documents", "stances", "signals", "tasks"),
    [
        (20, ("hostile", "conciliatory"), 10, {"hostile", "conciliatory", "threat", "no threat"}),
        (20, ("hostile", "conciliatory"), 1, {"hostile", "conciliatory"}),
        (3, ("hostile", "neutral"), 2, set()),
    ],
)
def test_labels_that_are_missing_or_rare(
    documents: int, stances: tuple[str, ...], signals: int, tasks: set[str], tmp_path: Path, tiny_base: Path
) -> None:
    path = tmp_path / "x.jsonl"
    rows = [
        {
            "document": f"d{i}",
            "text": f"the army fire on the city {i} {j}",
            "stance": stances[(i + j) % 2],
            "signals": ["threat"] if j == 0 and i < signals else [],
        }
        for i in range(documents)
        for j in range(4)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert {row["label"] for row in suspects(read_labelled([path]), 200, str(tiny_base))} == tasks


def test_no_document_is_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    labels = (groups % 2).astype(np.int64)
    vectors = np.eye(40)[groups]  # says which document it is, and nothing else
    found = cross_validated(vectors + rng.normal(0, 0.01, vectors.shape), labels, groups)
    assert found.shape == (200, 2)
    assert abs(float((found.argmax(axis=1) == labels).mean()) - 0.5) < 0.3


def test_command(
    labelled_file: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.sentence_vectors
    monkeypatch.setattr(module, "sentence_vectors", lambda d, *_, **__: original(d, str(tiny_base), 32))
    module.main([labelled_file], tmp_path / "s.jsonl", most=3)
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert set(rows[0]) == {"id", "label", "quality", "text"}
