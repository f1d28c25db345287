"""Splitting by document, and the tables that training reads."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brinkline.data.corpus import (
    SPLITS,
    Split,
    content_sha256,
    describe_files,
    label_counts,
    merge_documents,
    split_documents,
    to_dataset,
    to_dataset_dict,
)
from brinkline.data.schema import Document, LabelledSentence, read_labelled, sentences_of
from brinkline.model.labels import SIGNALS, STANCES

ROOT = Path(__file__).parent.parent.parent


@cache
def own() -> tuple[Document, ...]:
    return tuple(read_labelled([ROOT / "data" / "corpus", ROOT / "data" / "contrast"]))


@cache
def own_split() -> Split:
    return split_documents(own())


def sentence(text: str = "T.", stance: str = "neutral", *signals: str) -> LabelledSentence:
    return LabelledSentence(text, stance, signals)


def document(name: object, *sentences: LabelledSentence, source: str = "s") -> Document:
    return Document(str(name), source, sentences or (sentence(),), "f", 1)


def made_up(sizes: Sequence[int], seed: int = 0) -> list[Document]:
    choose = random.Random(seed)
    return [
        document(
            number,
            *(
                sentence(
                    f"{number} {row}", choose.choice(STANCES), *choose.choice([(), ("threat",), SIGNALS])
                )
                for row in range(size)
            ),
        )
        for number, size in enumerate(sizes)
    ]


def ids(split: Split) -> dict[str, list[str]]:
    return {name: [d.id for d in getattr(split, name)] for name in SPLITS}


def assert_parted(documents: Sequence[Document], split: Split) -> None:
    parts = [d.id for name in SPLITS for d in getattr(split, name)]
    assert len(parts) == len(set(parts))
    assert sorted(parts) == sorted(d.id for d in documents)


def test_every_document_is_in_exactly_one_part() -> None:
    assert_parted(own(), own_split())


def test_documents_keep_their_order_in_a_part() -> None:
    order = [d.id for d in own()]
    for names in ids(own_split()).values():
        assert names == sorted(names, key=order.index)


def test_shares_are_near_what_was_asked() -> None:
    split = split_documents(own(), dev=0.15, test=0.2)
    total = len(sentences_of(own()))
    for name, share in (("dev", 0.15), ("test", 0.2), ("train", 0.65)):
        assert len(sentences_of(getattr(split, name))) / total == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_label_has_its_share_in_each_part(seed: int) -> None:
    split = split_documents(own(), seed=seed)
    whole, total = label_counts(own()), len(sentences_of(own()))
    for name in ("dev", "test"):
        part = getattr(split, name)
        counts, size = label_counts(part), len(sentences_of(part))
        for label in (*STANCES, *SIGNALS):
            # Articles stay whole, so a tenth of the corpus comes out within some points of the corpus.
            assert counts[label] / size == pytest.approx(whole[label] / total, abs=0.05), (name, label)
            assert counts[label] >= 10


def test_the_same_seed_splits_the_same_whatever_else_is_random() -> None:
    np.random.seed(5)
    random.seed(5)
    again = split_documents(list(own()))
    assert ids(again) == ids(own_split())
    assert again.to_dict() == own_split().to_dict()


def test_labels_of_targets_and_files_do_not_move_the_split() -> None:
    moved = [replace(d, file="elsewhere", line=9, title="t", year=1900) for d in own()]
    assert ids(split_documents(moved)) == ids(own_split())


def test_another_seed_splits_otherwise() -> None:
    assert len({tuple(ids(split_documents(own(), seed=seed))["test"]) for seed in (0, 1, 2)}) == 3


def test_no_test_part() -> None:
    split = split_documents(own(), dev=0.1, test=0)
    assert split.test == ()
    assert_parted(own(), split)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=40, max_size=70),
    dev=st.sampled_from([0.05, 0.1, 0.25]),
    test=st.sampled_from([0.0, 0.05, 0.3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_documents_are_parted_without_a_leak(
    sizes: list[int], dev: float, test: float, seed: int
) -> None:
    documents = made_up(sizes)
    split = split_documents(documents, dev, test, seed)
    assert_parted(documents, split)
    assert split.train
    assert split.dev
    assert bool(split.test) == bool(test)
    assert ids(split) == ids(split_documents(documents, dev, test, seed))


def test_few_of_every_kind_still_splits() -> None:
    documents = made_up([1] * 24)
    assert max(label_counts(documents).values()) < 20
    assert_parted(documents, split_documents(documents))


@pytest.mark.parametrize(
    ("dev", "test", "named"),
    [
        (0.12, 0.1, "dev must be"),
        (0.1, 0.333, "test must be"),
        (-0.1, 0.1, "dev must be"),
        (0.1, -0.05, "test must be"),
        (1.5, 0.1, "dev must be"),
        (float("nan"), 0.1, "dev must be"),
        (0.1, float("inf"), "test must be"),
        (0.5, 0.5, "leave nothing to train on"),
        (1.0, 0, "leave nothing to train on"),
    ],
)
def test_bad_shares_are_refused(dev: float, test: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        split_documents(own(), dev, test)


@pytest.mark.parametrize("share", [step / 20 for step in range(1, 11)])
def test_every_twentieth_is_taken(share: float) -> None:
    assert split_documents(made_up([2] * 60), dev=share, test=0).dev


@pytest.mark.parametrize("number", [0, 1, 19])
def test_too_few_documents_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"^{number} documents are too few"):
        split_documents(made_up([3] * number))


@pytest.mark.parametrize("sizes", [[400, 300, 200, *[1] * 20], [400, *[1] * 19], [1] * 20])
def test_documents_of_very_unequal_length_fill_every_part(sizes: list[int]) -> None:
    split = split_documents(made_up(sizes), dev=0.05, test=0.05)
    assert_parted(made_up(sizes), split)
    assert split.dev
    assert split.test


@pytest.mark.parametrize(("empty", "named"), [((0, 1), "dev 0.1"), ((2, 3), "test 0.1")])
def test_a_part_that_comes_out_empty_is_refused(
    empty: tuple[int, int], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Folds:
        def __init__(self, **_: object) -> None: ...

        def split(self, rows: list[int], *_: object, **__: object) -> Iterator[tuple[list[int], list[int]]]:
            full = [number for number in range(20) if number not in empty]
            for number in range(20):
                yield [], rows[full.index(number) :: len(full)] if number in full else []

    monkeypatch.setattr("sklearn.model_selection.StratifiedGroupKFold", Folds)
    with pytest.raises(ValueError, match=f"^{named} comes out empty"):
        split_documents(made_up([1] * 40))


def test_written_split_can_be_checked(tmp_path: Path) -> None:
    split = own_split()
    split.write(tmp_path / "run" / "split.json")
    values = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))
    assert values == split.to_dict()
    assert values["seed"] == 0
    assert sum(values[name]["documents"] for name in SPLITS) == 5222
    assert sum(values[name]["sentences"] for name in SPLITS) == 29664
    assert values["dev"]["ids"] == [d.id for d in split.dev]
    assert values["test"]["labels"] == label_counts(split.test)
    assert values["test"]["sha256"] == content_sha256(split.test)


def test_dataset_columns_and_types() -> None:
    from datasets import ClassLabel, List, Value

    first = sentence("They met.", "conciliatory")
    second = replace(
        sentence("You will pay.", "hostile", "threat", "retaliation"), previous=("A.", "They met.")
    )
    dataset = to_dataset([document("d", first, second, source="own"), document("e")], context=1)
    assert dataset.column_names == ["text", "previous", "stance", "signals", "document", "source"]
    assert dataset.features["stance"] == ClassLabel(names=list(STANCES))
    assert dataset.features["signals"] == List(Value("float32"), length=3)
    assert {dataset.features[name].dtype for name in ("text", "previous", "document", "source")} == {"string"}
    assert dataset[1] == {
        "text": "You will pay.",
        "previous": "They met.",
        "stance": STANCES.index("hostile"),
        "signals": [1.0, 0.0, 1.0],
        "document": "d",
        "source": "own",
    }
    assert dataset["document"][:] == ["d", "d", "e"]


@pytest.mark.parametrize(("context", "previous"), [(0, ""), (1, "B."), (2, "A. B."), (8, "A. B.")])
def test_dataset_context(context: int, previous: str) -> None:
    dataset = to_dataset([document("d", replace(sentence(), previous=("A.", "B.")))], context)
    assert dataset[0]["previous"] == previous


def test_dataset_of_nothing_keeps_its_columns() -> None:
    assert to_dataset([]).column_names == to_dataset([document("d")]).column_names
    assert len(to_dataset([])) == 0


def test_dataset_dict_has_the_parts() -> None:
    split = Split((document("a"), document("b")), (document("c"),), (), seed=0)
    datasets = to_dataset_dict(split)
    assert list(datasets) == list(SPLITS)
    assert datasets.num_rows == {"train": 2, "dev": 1, "test": 0}


def test_label_counts_by_hand() -> None:
    documents = [
        document("a", sentence("1", "hostile", "threat", "deterrence"), sentence("2", "hostile", "threat")),
        document("b"),
    ]
    assert label_counts(documents) == {
        "hostile": 2,
        "neutral": 1,
        "conciliatory": 0,
        "threat": 2,
        "deterrence": 1,
        "retaliation": 0,
    }


def test_hash_changes_with_text_and_labels_alone() -> None:
    base = document("a", sentence("They met.", "hostile", "threat"))
    changed = [
        document("a", sentence("They met!", "hostile", "threat")),
        document("a", sentence("They met.", "neutral", "threat")),
        document("a", sentence("They met.", "hostile")),
        document("a", sentence("They met.", "hostile", "deterrence")),
        document("b", sentence("They met.", "hostile", "threat")),
        document("a", sentence("They met.", "hostile", "threat"), sentence()),
    ]
    hashes = [content_sha256([one]) for one in (base, *changed)]
    assert len(set(hashes)) == len(hashes)
    assert content_sha256([replace(base, file="g", line=7, title="t")]) == hashes[0]


def test_hash_of_one_flipped_label_in_the_whole_corpus() -> None:
    changed = list(own())
    first = changed[100].sentences[0]
    flipped = replace(first, stance="neutral" if first.stance == "hostile" else "hostile")
    changed[100] = replace(changed[100], sentences=(flipped, *changed[100].sentences[1:]))
    assert content_sha256(changed) != content_sha256(own())


def test_describe_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "b.jsonl").write_bytes(b"")
    (folder / "a.jsonl").write_bytes(b"x")
    first, second = describe_files([folder])
    assert (first["file"], second["file"]) == ("set/a.jsonl", "set/b.jsonl")
    assert second["sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    monkeypatch.chdir(folder)
    assert describe_files(["a.jsonl"]) == [first]


def test_sentences_of_one_document_are_put_together() -> None:
    first, second = made_up([2, 3])
    more = replace(second, sentences=first.sentences)
    merged = merge_documents([first, second, more])
    assert [document.id for document in merged] == [first.id, second.id]
    assert merged[1].sentences == (*second.sentences, *first.sentences)
