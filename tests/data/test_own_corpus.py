"""The project's own data read without a problem, are as many as the documents say, and have unique ids."""

from pathlib import Path

from brinkline.data.schema import Document, read_labelled, sentences_of

ROOT = Path(__file__).parent.parent.parent


def own(folder: str) -> list[Document]:
    return read_labelled([ROOT / "data" / folder])


def test_own_corpus_reads_whole() -> None:
    corpus, contrast = own("corpus"), own("contrast")
    assert (len(corpus), len(sentences_of(corpus))) == (214, 3261)
    assert (len(contrast), len(sentences_of(contrast))) == (130, 481)
    assert all(document.rule for document in contrast)
    assert not any(document.rule for document in corpus)


def test_own_ids_are_unique() -> None:
    both = read_labelled([ROOT / "data" / "corpus", ROOT / "data" / "contrast"])
    sentences = [sentence.id for sentence in sentences_of(both)]
    assert len({document.id for document in both}) == len(both) == 344
    assert len(set(sentences)) == len(sentences) == 3742
