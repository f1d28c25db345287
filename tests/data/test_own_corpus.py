"""The project's own data read without a problem, are as many as the documents say, and have unique ids."""

import json
import re
from collections import Counter
from pathlib import Path

from brinkline.data.agreement import Labels, Pair, agreement, read_pairs
from brinkline.data.corpus import label_counts
from brinkline.data.schema import Document, read_labelled, sentences_of
from brinkline.data.soft import read_soft_labels
from brinkline.model.labels import SIGNALS, STANCES

ROOT = Path(__file__).parent.parent.parent
LABELS = ROOT / "data" / "labels"


def own(folder: str) -> list[Document]:
    return read_labelled([ROOT / "data" / folder])


def test_own_corpus_reads_whole() -> None:
    corpus, contrast = own("corpus"), own("contrast")
    assert (len(corpus), len(sentences_of(corpus))) == (4110, 25941)
    assert (len(contrast), len(sentences_of(contrast))) == (1112, 3723)
    assert all(document.rule for document in contrast)
    assert not any(document.rule for document in corpus)


def test_own_ids_are_unique() -> None:
    both = read_labelled([ROOT / "data" / "corpus", ROOT / "data" / "contrast"])
    sentences = [sentence.id for sentence in sentences_of(both)]
    assert len({document.id for document in both}) == len(both) == 5222
    assert len(set(sentences)) == len(sentences) == 29664


def test_the_datasheet_tells_the_true_counts() -> None:
    datasheet = (ROOT / "data" / "DATASHEET.md").read_text(encoding="utf-8")
    for name, folders in (
        ("`data/corpus`", ["corpus"]),
        ("`data/contrast`", ["contrast"]),
        ("both", ["corpus", "contrast"]),
    ):
        documents = [document for folder in folders for document in own(folder)]
        [row] = [line for line in datasheet.splitlines() if line.startswith(f"| {name} |")]
        told = [int(cell.replace(",", "")) for cell in re.findall(r"[\d,]*\d", row)]
        assert told == [len(documents), len(sentences_of(documents)), *label_counts(documents).values()]


def _settled(pairs: list[Pair], now: dict[str, Labels]) -> Counter[str]:
    """Count whose label stands where two differed."""
    sides = Counter[str]()
    for pair in pairs:
        if pair.first != pair.second:
            stands = now[pair.id]
            sides["first" if stands == pair.first else "second" if stands == pair.second else "neither"] += 1
    return sides


def test_the_datasheet_tells_how_differences_were_settled() -> None:
    datasheet = " ".join((ROOT / "data" / "DATASHEET.md").read_text(encoding="utf-8").split())
    documents = [*own("corpus"), *own("contrast")]
    now = {sentence.id: (sentence.stance, tuple(sentence.signals)) for sentence in sentences_of(documents)}
    sides = _settled(read_pairs(LABELS / "own.jsonl"), now)
    first, second, neither = (sides[side] for side in ("first", "second", "neither"))
    assert f"{first} went to the writer, {second} to the second labeller, {neither} to neither" in datasheet
    assert f"{sides.total():,} of {len(now):,} sentences" in datasheet
    suspects = read_pairs(LABELS / "suspects.jsonl")
    assert all(now[pair.id] == pair.first for pair in suspects), "none was changed"
    differ = sum(pair.first != pair.second for pair in suspects)
    assert f"{len(suspects)} sentences" in datasheet
    assert f"{len(suspects) - differ} came out as they were. The {differ} others" in datasheet


def test_the_datasheet_counts_the_real_labels() -> None:
    datasheet = " ".join((ROOT / "data" / "DATASHEET.md").read_text(encoding="utf-8").split())
    now: dict[str, Labels] = {}
    for name in ("real.jsonl", "real-next.jsonl"):
        rows = [json.loads(line) for line in (LABELS / name).read_text(encoding="utf-8").splitlines()]
        count = Counter(label for row in rows for label in (row["stance"], *row["signals"]))
        told = ", ".join(f"{stance} {count[stance]:,}" for stance in STANCES)
        signals = ", ".join(f"{signal} {count[signal]:,}" for signal in SIGNALS)
        assert f"({told}; {signals})" in datasheet
        now |= {row["sha256"]: (row["stance"], tuple(row["signals"])) for row in rows}
    pairs = read_pairs(LABELS / "real-twice.jsonl")
    sides = _settled(pairs, now)
    assert f"{len(now):,} more were chosen" in datasheet
    assert f"{len(pairs):,} of them were labelled a second time" in datasheet
    assert (
        f"{sides.total()} that differed were adjudicated, {sides['second']} of them for the second"
        in datasheet
    )
    assert f"the other {len(now) - len(pairs):,} were labelled once" in datasheet


def test_the_datasheet_counts_the_labels_of_addresses() -> None:
    datasheet = " ".join((ROOT / "data" / "DATASHEET.md").read_text(encoding="utf-8").split())
    rows = [
        json.loads(line) for line in (LABELS / "addresses.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    count = Counter(label for row in rows for label in (row["stance"], *row["signals"]))
    assert f"labels of {len(rows):,} sentences of the annual messages" in datasheet
    told = ", ".join(f"{stance} {count[stance]:,}" for stance in STANCES)
    signals = ", ".join(f"{signal} {count[signal]:,}" for signal in SIGNALS)
    assert f"{told.capitalize()}; {signals}." in datasheet
    now = {row["sha256"]: (row["stance"], tuple(row["signals"])) for row in rows}
    assert len(now) == len(rows)
    pairs = read_pairs(LABELS / "addresses-twice.jsonl")
    assert all(now[pair.id] == pair.first for pair in pairs), "none was changed"
    kappas = {item.label: f"{item.kappa:.3f}" for item in agreement(pairs)}
    assert f"{len(pairs):,} of them were labelled a second time" in datasheet
    assert f"stance kappa {kappas['stance']}" in datasheet
    assert ", ".join(f"{signal} {kappas[signal]}" for signal in SIGNALS) + ");" in datasheet
    assert f"{sum(pair.first != pair.second for pair in pairs)} differ in any label" in datasheet


def test_the_datasheet_tells_of_the_soft_labels() -> None:
    datasheet = " ".join((ROOT / "data" / "DATASHEET.md").read_text(encoding="utf-8").split())
    said = read_soft_labels(LABELS / "soft.jsonl")
    assert f"of the stance of {len(said.stance):,} sentences of the pool" in datasheet
    assert not said.signals
    assert said.trained_on & {document.id for document in own("corpus")}
    lines = (LABELS / "real.jsonl").read_text(encoding="utf-8").splitlines()
    assert not said.stance.keys() & {json.loads(line)["sha256"] for line in lines}, "labelled already"
