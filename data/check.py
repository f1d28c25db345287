"""Look over labelled data before training on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brinkline.data.corpus import label_counts, normalised
from brinkline.data.duplicates import near_duplicates
from brinkline.data.giveaways import giveaways
from brinkline.data.schema import Document, LabelledDataError, LabelledSentence, read_labelled
from brinkline.model.labels import SIGNALS, STANCES

FEW = 50
"""A label with fewer sentences is called rare."""
LONG = 120
"""A sentence with more words is called long."""

_LOW = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing about labelled data."""

    level: Literal["error", "warning", "note"]
    """error: training must not go on; warning: look at it; note: for information."""
    where: str
    """File and line, or the label."""
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.message}"


def check(
    paths: Sequence[str | Path], against: Sequence[str | Path] = ()
) -> tuple[list[Document], list[Finding]]:
    """Read labelled data and list what is wrong or odd about them.

    Errors are what the reader refuses, sentences that stand there twice, after the same sentence, with different
    labels, and sentences that stand in ``against`` too. Warnings are sentences that stand, or nearly stand, in two
    documents (a split by document does not keep them apart) or twice in one, and rare labels. Notes are counts, odd
    lengths and the words that give a label away.

    :param paths: files or folders, as for :func:`brinkline.data.schema.read_labelled`.
    :param against: evaluation data that must not be trained on.
    :return: the documents (none if they cannot be read) and the findings, errors first.
    """
    try:
        documents = read_labelled(paths)
        measured = read_labelled(against) if against else []
    except LabelledDataError as error:
        places = [(p.file if p.line is None else f"{p.file}:{p.line}", p) for p in error.problems]
        return [], [
            Finding("error", place, f"{p.field}: {p.message}" if p.field else p.message)
            for place, p in places
        ]
    findings = [
        *_repeated(documents),
        *_leaking([d for d in documents if not _among(d, measured)], measured),
        *_alike(documents, (), "nearly stands in another document too"),
        *_rare(documents),
        *_odd(documents),
        *_counts(documents),
        *_telling(documents),
    ]
    return documents, sorted(findings, key=lambda finding: _LOW[finding.level])


def _repeated(documents: Iterable[Document]) -> Iterable[Finding]:
    places: dict[str, list[tuple[Document, LabelledSentence]]] = defaultdict(list)
    for document in documents:
        for sentence in document.sentences:
            places[normalised(sentence.text) or sentence.text].append((document, sentence))
    for members in places.values():
        if len(members) > 1:
            yield _contradiction(members) or _repetition(members)


def _contradiction(members: Sequence[tuple[Document, LabelledSentence]]) -> Finding | None:
    # The same words may mean different things after different sentences: then it is no contradiction.
    by_context: dict[str, list[tuple[Document, LabelledSentence]]] = defaultdict(list)
    for document, sentence in members:
        by_context[normalised(sentence.context(1))].append((document, sentence))
    for (first, sentence), *rest in by_context.values():
        others = [d for d, s in rest if (s.stance, s.signals) != (sentence.stance, sentence.signals)]
        if others:
            return Finding(
                "error", _place(first), f"{_quote(sentence.text)} has other labels in {_places(others)}"
            )
    return None


def _repetition(members: Sequence[tuple[Document, LabelledSentence]]) -> Finding:
    (first, sentence), *_ = members
    others = [document for document, _ in members if document.id != first.id]
    if others:
        message = f"{_quote(sentence.text)} stands in another document too: {_places(others)}"
    else:
        message = f"{_quote(sentence.text)} stands there {len(members)} times"
    return Finding("warning", _place(first), message)


def _leaking(documents: Sequence[Document], measured: Sequence[Document]) -> Iterable[Finding]:
    taken = {normalised(s.text) or s.text: d for d in measured for s in d.sentences}
    for document in documents:
        for sentence in document.sentences:
            if (other := taken.get(normalised(sentence.text) or sentence.text)) is not None:
                message = f"{_quote(sentence.text)} stands in evaluation data: {_place(other)}"
                yield Finding("error", _place(document), message)
    if measured:
        yield from _alike(documents, measured, "nearly stands in evaluation data")


def _among(document: Document, measured: Sequence[Document]) -> bool:
    """Return True for a document that is evaluation data itself, in a folder that holds both."""
    return any(
        document.id == other.id and Path(document.file).resolve() == Path(other.file).resolve()
        for other in measured
    )


def _alike(documents: Sequence[Document], measured: Sequence[Document], says: str) -> Iterable[Finding]:
    try:
        pairs = near_duplicates(documents, measured)
    except ImportError:
        yield Finding("note", "all", "near-duplicates were not looked for: pip install 'brinkline[train]'")
        return
    for pair in pairs:
        (document, sentence), (other, _) = pair.first, pair.second
        message = f"{_quote(sentence.text)} {says} ({pair.similarity:.0%} alike): {_place(other)}"
        yield Finding("warning", _place(document), message)


def _rare(documents: Iterable[Document]) -> Iterable[Finding]:
    for name, count in label_counts(documents).items():
        if count < FEW:
            noun = "sentence carries" if count == 1 else "sentences carry"
            yield Finding("warning", name, f"only {count} {noun} it" if count else "no sentence carries it")


def _odd(documents: Iterable[Document]) -> Iterable[Finding]:
    for document in documents:
        for sentence in document.sentences:
            words = len(sentence.text.split())
            if words > LONG:
                yield Finding("note", _place(document), f"{_quote(sentence.text)} has {words} words")
            if sentence.text != sentence.text.strip():
                yield Finding(
                    "warning", _place(document), f"{_quote(sentence.text)} begins or ends with white space"
                )
            if not any(character.isalnum() for character in sentence.text):
                yield Finding("warning", _place(document), f"{_quote(sentence.text)} has no letter or digit")


def _counts(documents: Sequence[Document]) -> Iterable[Finding]:
    counts = label_counts(documents)
    total = sum(counts[name] for name in STANCES)
    shares = ", ".join(f"{name} {counts[name]} ({counts[name] / total:.0%})" for name in (*STANCES, *SIGNALS))
    yield Finding("note", "all", f"{len(documents)} documents, {total} sentences: {shares}")
    for source, members in sorted(Counter(document.source for document in documents).items()):
        sentences = sum(len(document.sentences) for document in documents if document.source == source)
        yield Finding("note", source, f"{members} documents, {sentences} sentences")


def _telling(documents: Sequence[Document]) -> Iterable[Finding]:
    for label, words in giveaways(documents).items():
        if words:
            shown = ", ".join(f"{w.word} ({w.with_label} of {w.sentences})" for w in words)
            yield Finding("note", label, f"words that give it away: {shown}")


def _place(document: Document) -> str:
    return f"{document.file}:{document.line} ({document.id})"


def _places(documents: Iterable[Document]) -> str:
    return ", ".join(dict.fromkeys(_place(document) for document in documents))


def _quote(text: str) -> str:
    return f"“{text}”" if len(text) <= 60 else f"“{text[:57]}…”"
