"""Agreement of two labellings: Cohen's kappa as scikit-learn has it, and files refused with the place."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from brinkline.data.agreement import Pair, agreement, cohen_kappa, decode, encode, read_pairs
from brinkline.data.schema import LabelledDataError, read_labelled
from brinkline.model.labels import SIGNALS, STANCES

ROOT = Path(__file__).parents[2]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60))
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    found = cohen_kappa(first, second)
    if math.isnan(found):
        assert len(set(first) | set(second)) == 1
    else:
        assert found == pytest.approx(cohen_kappa_score(first, second))


@given(st.sampled_from(STANCES), st.sets(st.sampled_from(SIGNALS)))
def test_codes_stand_for_labels(stance: str, signals: set[str]) -> None:
    labels = (stance, tuple(name for name in SIGNALS if name in signals))
    assert decode(encode(labels)) == labels


@pytest.mark.parametrize("code", ["", "x", "h x", "h tt", "ht", "hostile"])
def test_what_is_no_code(code: str) -> None:
    with pytest.raises(ValueError, match="is no code"):
        decode(code)


def test_agreement_of_each_label() -> None:
    pairs = [
        Pair("a", ("hostile", ("threat",)), ("hostile", ("threat",))),
        Pair("b", ("neutral", ()), ("hostile", ())),
        Pair("c", ("neutral", ()), ("neutral", ("threat",))),
        Pair("d", ("conciliatory", ()), ("conciliatory", ())),
    ]
    found = {item.label: item for item in agreement(pairs)}
    assert list(found) == ["stance", *SIGNALS]
    assert found["stance"].share == 0.75
    assert found["threat"].kappa == pytest.approx(0.5)
    assert math.isnan(found["retaliation"].kappa)


def test_problems_name_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    rows = [{"id": "a/0", "first": "h", "second": "q"}, {"id": "a/1", "first": "h"}]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\nnope\n")
    with pytest.raises(LabelledDataError) as caught:
        read_pairs(path)
    assert [(p.line, p.field) for p in caught.value.problems] == [(1, "second"), (2, "second"), (3, None)]


def test_every_own_sentence_was_labelled_twice() -> None:
    pairs = {pair.id: pair for pair in read_pairs(ROOT / "data" / "labels" / "own.jsonl")}
    documents = read_labelled([ROOT / "data" / "corpus", ROOT / "data" / "contrast"])
    sentences = {sentence.id: sentence for document in documents for sentence in document.sentences}
    assert sentences.keys() == pairs.keys()
    for name, sentence in sentences.items():
        pair = pairs[name]
        if pair.first == pair.second:
            assert (sentence.stance, sentence.signals) == pair.first, name
