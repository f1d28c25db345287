"""Agreement: Cohen's kappa as scikit-learn has it, Krippendorff's alpha as published, files refused with the place."""

import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from brinkline.data.agreement import (
    Labels,
    Pair,
    agreement,
    agreement_of_many,
    cohen_kappa,
    decode,
    encode,
    is_file_of_pairs,
    krippendorff_alpha,
    read_pairs,
)
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


def test_what_editors_leave_in_a_file_is_read_and_repetitions_are_not(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    row = json.dumps({"id": "a/0", "first": "h", "second": "n"})
    path.write_bytes(b"\xef\xbb\xbf" + row.encode() + b"\r\n\r\n")
    assert [pair.id for pair in read_pairs(path)] == ["a/0"]
    path.write_text(f'{row}\n\n{row}\n["a/1", "h", "n"]\n{{"id": 3, "first": "h", "second": "n"}}\n')
    with pytest.raises(LabelledDataError) as caught:
        read_pairs(path)
    assert sorted((p.line, p.field) for p in caught.value.problems if p.field) == [(3, "id"), (5, "id")]
    assert [p.line for p in caught.value.problems if not p.field] == [4]


def test_every_own_sentence_was_labelled_twice() -> None:
    pairs = {pair.id: pair for pair in read_pairs(ROOT / "data" / "labels" / "own.jsonl")}
    documents = read_labelled([ROOT / "data" / "corpus", ROOT / "data" / "contrast"])
    sentences = {sentence.id: sentence for document in documents for sentence in document.sentences}
    assert sentences.keys() == pairs.keys()
    for name, sentence in sentences.items():
        pair = pairs[name]
        if pair.first == pair.second:
            assert (sentence.stance, sentence.signals) == pair.first, name


# Examples A to C of Krippendorff 2011, Computing Krippendorff's alpha-reliability; a dot is no value. Of A the
# coincidences are kept (five units 0 0, four 0 1, one 1 1), not their order, which does not matter.
PUBLISHED = [
    (["0000000001", "0000011111"], 0.095),
    (["aabbdcccedda", "babbbccceddd"], 0.692),
    (["123321412...", "1233224125.3", ".3332342251.", "12332441251."], 0.743),
]


def units(observers: list[str]) -> list[list[str]]:
    return [[value for value in unit if value != "."] for unit in zip(*observers, strict=True)]


@pytest.mark.parametrize(("observers", "alpha"), PUBLISHED)
def test_alpha_is_the_published_one(observers: list[str], alpha: float) -> None:
    assert krippendorff_alpha(units(observers)) == pytest.approx(alpha, abs=5e-4)


@given(st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=2, max_size=12))
def test_alpha_is_what_its_definition_says(values: list[list[int]]) -> None:
    paired = [unit for unit in values if len(unit) > 1]
    everything = [value for unit in paired for value in unit]
    n = len(everything)
    observed = sum(sum(a != b for a in unit for b in unit) / (len(unit) - 1) for unit in paired)
    expected = sum(a != b for a in everything for b in everything)
    found = krippendorff_alpha(values)
    if expected:
        assert found == pytest.approx(1 - (n - 1) * observed / expected)
    else:
        assert math.isnan(found)


def test_agreement_of_annotators_who_labelled_different_things() -> None:
    both: Labels = ("hostile", ("threat",))
    none: Labels = ("neutral", ())
    found = agreement_of_many(
        {
            "ann": {"1": both, "2": none, "3": none},
            "bo": {"1": both, "2": both, "4": none},
            "cy": {"5": both},
        }
    )
    assert [item.label for item in found] == ["stance", *SIGNALS]
    stance = found[0]
    assert stance.sentences == 2  # those that two labelled
    assert list(stance.pairs) == [("ann", "bo")]  # cy shares none with them
    assert stance.pairs["ann", "bo"].kappa == pytest.approx(cohen_kappa(["h", "n"], ["h", "h"]))
    assert stance.alpha == pytest.approx(krippendorff_alpha([["h", "h"], ["n", "h"]]))
    assert math.isnan(found[-1].alpha)  # nobody gave a retaliation


def test_alpha_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "krippendorff", None)
    with pytest.raises(ImportError, match=r"brinkline\[label\]"):
        krippendorff_alpha([[0, 1]])


@pytest.mark.parametrize(
    ("name", "content", "pairs"),
    [
        ("a.jsonl", '{"id": "1", "first": "h", "second": "n"}\n', True),
        ("a.jsonl", '{"id": "1", "text": "x", "stance": "hostile"}\n', False),
        ("a.jsonl", "nope\n", True),  # whose reader says what is wrong
        ("a.json", '[\n{"data": {}}]', False),
        ("a.csv", "id,first\n", False),
    ],
)
def test_files_of_pairs_are_told_from_exports(name: str, content: str, pairs: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert is_file_of_pairs(tmp_path / name) is pairs
