"""Looking over data before training: contradictions are errors, repetitions and rare labels warnings."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from brinkline.data.check import FEW, LONG, Finding, check, normalised

ROOT = Path(__file__).parent.parent.parent

Labelled = tuple[str, str, Sequence[str]]


def findings_of(tmp_path: Path, *articles: Sequence[Labelled], **fields: Any) -> list[Finding]:
    path = tmp_path / "x.jsonl"
    lines = []
    for number, sentences in enumerate(articles):
        items = [
            {"text": text, "stance": stance, "signals": [*signals]} for text, stance, signals in sentences
        ]
        lines.append(json.dumps({"id": f"a{number}", "sentences": items, **fields}))
    path.write_text("\n".join(lines))
    return check([path])[1]


def about(findings: list[Finding], level: str, words: str) -> list[Finding]:
    return [finding for finding in findings if finding.level == level and words in finding.message]


def test_own_corpus_has_no_error() -> None:
    documents, findings = check([ROOT / "data" / "corpus", ROOT / "data" / "contrast"])
    assert len(documents) == 5222
    assert [str(finding) for finding in findings if finding.level == "error"] == []
    assert "5222 documents, 29664 sentences" in str(findings)


def test_what_the_reader_refuses_is_an_error_each(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "T.", "stance": "hostle", "signals": []}\nnope\n')
    documents, findings = check([tmp_path / "x.jsonl", tmp_path / "no.jsonl"])
    assert documents == []
    assert [finding.level for finding in findings] == ["error"] * 3
    assert [finding.where.removeprefix(str(tmp_path)) for finding in findings] == [
        "/x.jsonl:1",
        "/x.jsonl:2",
        "/no.jsonl",
    ]
    assert findings[0].message.startswith("stance: 'hostle' is none of")
    assert str(findings[2]) == f"error: {tmp_path / 'no.jsonl'}: no such file"


def test_other_labels_in_another_document(tmp_path: Path) -> None:
    findings = findings_of(
        tmp_path, [("They shelled the port.", "hostile", [])], [("they shelled the port", "neutral", [])]
    )
    (error,) = about(findings, "error", "has other labels in")
    assert error.where.endswith("x.jsonl:1 (a0)")
    assert "x.jsonl:2 (a1)" in error.message
    assert not about(findings, "warning", "another document")


@pytest.mark.parametrize(("signals", "errors"), [(["threat"], 1), ([], 0)])
def test_other_signals_are_other_labels(tmp_path: Path, signals: list[str], errors: int) -> None:
    findings = findings_of(
        tmp_path, [("You will pay.", "hostile", signals)], [("You will pay.", "hostile", [])]
    )
    assert len(about(findings, "error", "has other labels")) == errors


def test_other_labels_after_another_sentence_are_no_contradiction(tmp_path: Path) -> None:
    said = "It was an answer."
    findings = findings_of(
        tmp_path,
        [("Raiders burned a mill.", "hostile", []), (said, "hostile", ["retaliation"])],
        [("The clerk read a letter.", "neutral", []), (said, "neutral", [])],
    )
    assert not about(findings, "error", "")
    assert len(about(findings, "warning", "stands in another document too")) == 1


def test_a_contradiction_is_found_beside_a_third_context(tmp_path: Path) -> None:
    said = "It was an answer."
    findings = findings_of(
        tmp_path,
        [("The clerk read a letter.", "neutral", []), (said, "neutral", [])],
        [(said, "hostile", ["retaliation"])],
        [(said, "neutral", [])],
        [(said, "hostile", ["retaliation"])],
    )
    (error,) = about(findings, "error", "has other labels")
    assert "(a1)" in error.where
    assert "(a2)" in error.message
    assert "(a3)" not in error.message


def test_repeated_within_one_document(tmp_path: Path) -> None:
    twice = ("Rain fell on the quay.", "neutral", [])
    findings = findings_of(tmp_path, [twice, twice, twice], rule="rule 1")
    assert len(about(findings, "warning", "stands there 3 times")) == 1


def test_other_documents_are_named_once(tmp_path: Path) -> None:
    twice = ("Rain fell on the quay.", "neutral", [])
    findings = findings_of(tmp_path, [twice], [twice, twice], rule="rule 1")
    (warning,) = about(findings, "warning", "stands in another document too")
    assert warning.message.count("(a1)") == 1


def test_rare_labels(tmp_path: Path) -> None:
    many = [(f"Column {number} shelled a village.", "hostile", []) for number in range(FEW)]
    findings = findings_of(tmp_path, [*many, ("A clerk swore revenge.", "neutral", ["threat"])])
    rare = {finding.where: finding.message for finding in findings if finding.level == "warning"}
    assert rare == {
        "neutral": "only 1 sentence carries it",
        "conciliatory": "no sentence carries it",
        "threat": "only 1 sentence carries it",
        "deterrence": "no sentence carries it",
        "retaliation": "no sentence carries it",
    }


def test_odd_sentences(tmp_path: Path) -> None:
    long = " ".join(["word"] * (LONG + 1))
    findings = findings_of(
        tmp_path, [(long, "neutral", []), (" Space. ", "neutral", []), ("…", "neutral", [])]
    )
    assert len(about(findings, "note", f"has {LONG + 1} words")) == 1
    assert len(about(findings, "warning", "begins or ends with white space")) == 1
    assert len(about(findings, "warning", "has no letter or digit")) == 1
    assert all(len(finding.message) < 200 for finding in findings)


def test_errors_come_first_and_counts_last(tmp_path: Path) -> None:
    findings = findings_of(tmp_path, [("They met.", "neutral", [])], [("They met.", "conciliatory", [])])
    order = [finding.level for finding in findings]
    assert order == sorted(order, key=["error", "warning", "note"].index)
    assert set(order) == {"error", "warning", "note"}
    assert (
        "2 documents, 2 sentences: hostile 0 (0%), neutral 1 (50%), conciliatory 1 (50%)"
        in findings[-2].message
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("“Go!” he said", "GO he said."),
        ("Führer  Café", "fuhrer cafe"),
        ("a\u00a0b", "a b"),
        ("straße", "STRASSE"),
    ],
)
def test_normalised_forgets_what_does_not_matter(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_normalised_keeps_words_and_numbers() -> None:
    assert normalised("They fired 12 shells") != normalised("They fired 13 shells")
    assert normalised("…") == ""


def test_near_duplicates_and_evaluation_data(tmp_path: Path) -> None:
    long = "The foreign minister told reporters in the capital that the two armies had agreed to a truce"
    measured = tmp_path / "gold.jsonl"
    rows = [
        {"text": "They shelled the port.", "stance": "hostile", "signals": []},
        {"text": f"{long} at noon", "stance": "conciliatory", "signals": []},
    ]
    measured.write_text("\n".join(json.dumps(row) for row in rows))
    own = tmp_path / "own.jsonl"
    rows = [
        {"text": "they shelled the port", "stance": "hostile", "signals": []},
        {"text": f"{long} today", "stance": "conciliatory", "signals": []},
        {"text": f"{long} yesterday", "stance": "conciliatory", "signals": []},
    ]
    own.write_text("\n".join(json.dumps(row) for row in rows))
    findings = check([own], [measured])[1]
    (error,) = about(findings, "error", "stands in evaluation data")
    assert error.where.endswith("own.jsonl:1 (own/own:1)")
    assert len(about(findings, "warning", "nearly stands in evaluation data")) == 2
    assert len(about(findings, "warning", "nearly stands in another document too")) == 1
    assert not about(check([own])[1], "error", "")


def test_words_that_give_a_label_away(tmp_path: Path) -> None:
    sentences = [(f"They warned side {n}.", "hostile", ["threat"]) for n in range(25)]
    sentences += [(f"They thanked side {n}.", "conciliatory", []) for n in range(25)]
    notes = about(findings_of(tmp_path, sentences), "note", "words that give it away")
    assert {note.where: note.message for note in notes}["threat"].endswith(
        "warned (25 of 25), side (25 of 50), they (25 of 50)"
    )


def test_a_folder_that_holds_its_own_evaluation_data(tmp_path: Path) -> None:
    rows = [{"text": f"They met on day {n}.", "stance": "conciliatory", "signals": []} for n in range(3)]
    (tmp_path / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows[:2]))
    (tmp_path / "held-out.jsonl").write_text(json.dumps(rows[2]))
    findings = check([tmp_path], [tmp_path / "held-out.jsonl"])[1]
    assert not about(findings, "error", "")


def test_without_datasketch_the_rest_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    findings = findings_of(tmp_path, [("They met.", "conciliatory", []), ("They met.", "conciliatory", [])])
    assert about(findings, "note", "near-duplicates were not looked for")
    assert about(findings, "warning", "stands there 2 times")
