"""Soft labels: read back as written, or refused with the place."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.data.detached import text_sha256
from brinkline.data.schema import LabelledDataError
from brinkline.data.soft import SoftLabels, read_soft_labels, write_soft_labels

HEAD = {"teacher": "t", "weights": "0" * 64, "trained_on": ["a1"]}
ROW = {"sha256": "0123456789abcdef", "stance": [0.2, 0.7, 0.1]}
DIGEST = st.binary(min_size=8, max_size=8).map(bytes.hex)
POSITIVE = st.floats(0.0, 1.0)
STANCE = (
    st.tuples(POSITIVE, POSITIVE, POSITIVE)
    .filter(lambda v: sum(v) > 0.01)
    .map(lambda v: [x / sum(v) for x in v])
)
SIGNALS = st.tuples(POSITIVE, POSITIVE, POSITIVE).map(list)


def refused(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(LabelledDataError) as caught:
        read_soft_labels(path)
    return str(caught.value)


@given(st.dictionaries(DIGEST, st.tuples(STANCE, SIGNALS), min_size=1), st.booleans())
def test_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, tuple[list[float], list[float]]], heard: bool
) -> None:
    path = tmp_path_factory.mktemp("soft") / "soft.jsonl"
    stance = {digest: pair[0] for digest, pair in said.items()}
    signals = {digest: pair[1] for digest, pair in said.items()} if heard else {}
    write_soft_labels(path, SoftLabels("t", "f" * 64, frozenset({"a", "b"}), stance, signals))
    read = read_soft_labels(path)
    assert (read.teacher, read.weights, read.trained_on) == ("t", "f" * 64, {"a", "b"})
    assert list(read.stance) == list(stance)
    assert read.signals.keys() == signals.keys()
    for digest, values in read.stance.items():
        assert values == pytest.approx(stance[digest], abs=0.002)
        assert sum(values) == pytest.approx(1, abs=1e-9)
    for digest, values in read.signals.items():
        assert values == pytest.approx(signals[digest], abs=0.0006)


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ({**ROW, "sha256": "0123"}, "sha256", "16 hexadecimal digits"),
        ({**ROW, "sha256": 7}, "sha256", "16 hexadecimal digits"),
        ({**ROW, "stance": [0.2, 0.7]}, "stance", "3 probabilities whose sum is 1"),
        ({**ROW, "stance": [0.2, 0.7, 0.2]}, "stance", r"got [0.2, 0.7, 0.2]"),
        ({**ROW, "stance": [1.2, -0.1, -0.1]}, "stance", "probabilities"),
        ({**ROW, "stance": [True, 0, 0]}, "stance", "probabilities"),
        ({**ROW, "stance": "neutral"}, "stance", "got 'neutral'"),
        ({"sha256": ROW["sha256"]}, "stance", "got None"),
        ({**ROW, "signals": [0.1, 0.2]}, "signals", "expected 3 probabilities, got [0.1, 0.2]"),
        ({**ROW, "signals": [0.1, 0.2, 3]}, "signals", "probabilities"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, row: object, field: str, words: str) -> None:
    path = tmp_path / "soft.jsonl"
    message = refused(path, HEAD, {**ROW, "sha256": "f" * 16}, row)
    assert f"{path}:3: {field}: " in message
    assert words in message


def test_rows_have_signals_all_or_none(tmp_path: Path) -> None:
    other = {**ROW, "sha256": "f" * 16}
    with_signals = {"signals": [0.0, 0.1, 1.0]}
    assert "the rows before have none" in refused(tmp_path / "s", HEAD, ROW, {**other, **with_signals})
    assert "the rows before have them" in refused(tmp_path / "s", HEAD, {**ROW, **with_signals}, other)
    assert "stands already in line 2" in refused(tmp_path / "s", HEAD, ROW, ROW)


def test_a_file_that_does_not_tell_its_teacher_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soft.jsonl"
    assert "the first line tells the teacher: expected its name" in refused(path, ROW, ROW)
    assert "SHA-256 of its weights" in refused(path, {**HEAD, "weights": "abc"}, ROW)
    assert "list of document ids" in refused(path, {**HEAD, "trained_on": [1]}, ROW)
    assert "holds no soft label" in refused(path, HEAD)
    assert "holds no soft label" in refused(path)
    assert "cannot be read" in _missing(tmp_path)


def _missing(folder: Path) -> str:
    with pytest.raises(LabelledDataError) as caught:
        read_soft_labels(folder / "none.jsonl")
    return str(caught.value)


def test_only_the_hash_of_a_text_is_written(tmp_path: Path) -> None:
    path = tmp_path / "soft.jsonl"
    labels = SoftLabels("t", "0" * 64, frozenset(), {text_sha256("They met."): [0.00049, 0.2, 0.79951]})
    write_soft_labels(path, labels)
    head, row = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(head) == {"teacher": "t", "weights": "0" * 64, "trained_on": []}
    assert json.loads(row) == {"sha256": text_sha256("They met."), "stance": [0.0, 0.2, 0.8]}
