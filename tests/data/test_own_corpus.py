"""The project's own data read without a problem, are as many as the documents say, and have unique ids."""

import re
from pathlib import Path

from brinkline.data.corpus import label_counts
from brinkline.data.schema import Document, read_labelled, sentences_of

ROOT = Path(__file__).parent.parent.parent


def own(folder: str) -> list[Document]:
    return read_labelled([ROOT / "data" / folder])


def test_own_corpus_reads_whole() -> None:
    corpus, contrast = own("corpus"), own("contrast")
    assert (len(corpus), len(sentences_of(corpus))) == (3367, 21113)
    assert (len(contrast), len(sentences_of(contrast))) == (1112, 3723)
    assert all(document.rule for document in contrast)
    assert not any(document.rule for document in corpus)


def test_own_ids_are_unique() -> None:
    both = read_labelled([ROOT / "data" / "corpus", ROOT / "data" / "contrast"])
    sentences = [sentence.id for sentence in sentences_of(both)]
    assert len({document.id for document in both}) == len(both) == 4479
    assert len(set(sentences)) == len(sentences) == 24836


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
