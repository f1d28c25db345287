import csv
import json
from pathlib import Path

import pytest

import brinkline
from brinkline import app_session
from brinkline.app_session import Session, beginning, decide, explain, score
from brinkline.model.labels import SIGNALS

ARTICLE = "The army fire on the city. They met.\n\nIf they attack we will answer."


@pytest.fixture(scope="module")
def classifier(model_folder: Path) -> brinkline.Classifier:
    return brinkline.load(model_folder)


def scored(classifier: brinkline.Classifier, text: str = "", *files: Path, **fields: str) -> Session:
    names = {"text_field": "text", "id_field": "id", **fields}
    return score(classifier, text, [str(file) for file in files], **names)


def test_pasted_text_and_files(classifier: brinkline.Classifier, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Rain on monday.")
    (tmp_path / "b.jsonl").write_text('{"body": "They met.", "key": "x"}\n{"body": "They met."}\n')
    session = scored(
        classifier, ARTICLE, tmp_path / "a.txt", tmp_path / "b.jsonl", text_field="body", id_field="key"
    )
    assert [a.id for a in session.scores] == ["pasted text", "a.txt", "x", "b.jsonl:2"]
    assert session.problems == []
    alone = classifier.predict(ARTICLE, id="pasted text")
    assert [s.signals for s in session.decided()[0].sentences] == [s.signals for s in alone.sentences]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.jsonl", '{"text": "They met."}\n{"body": 1}\n', "bad.jsonl:2: has no field 'text'"),
        ("bad.csv", "id,text\n1,They met.\n2,a,b\n", "bad.csv:3: has 3 fields, the header has 2"),
        ("bad.pdf", "%PDF-1.7", "bad.pdf: looks like a PDF"),
        ("empty.txt", "", "empty.txt: is empty"),
    ],
)
def test_bad_files_are_named_as_the_visitor_knows_them(
    classifier: brinkline.Classifier, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    session = scored(classifier, "", tmp_path / name)
    [problem] = session.problems
    assert problem.startswith(said)
    assert len(session.scores) == content.count("They met.")


def test_what_is_too_long_is_said(
    classifier: brinkline.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [problem] = scored(classifier, "x" * 200_001).problems
    assert "200,001 characters" in problem
    monkeypatch.setattr(app_session, "MOST_SENTENCES", 3)
    (tmp_path / "many.jsonl").write_text((json.dumps({"text": "They met. Rain."}) + "\n") * 3)
    session = scored(classifier, "", tmp_path / "many.jsonl")
    assert len(session.scores) == 1
    assert session.problems[0].startswith("Scored the first 1 articles")
    assert scored(classifier, "  \n").problems == ["Nothing to score yet: paste an article or choose a file."]


def test_thresholds_decide_as_the_model_does(classifier: brinkline.Classifier) -> None:
    for limits in ({"threat": 0.0}, {"retaliation": 1.0, "deterrence": 0.2}):
        session = scored(classifier, ARTICLE)
        session.decided()
        session.thresholds |= limits
        expected = classifier.predict(ARTICLE, id="pasted text", thresholds=limits)
        [found] = session.decided()
        assert [s.signals for s in found.sentences] == [s.signals for s in expected.sentences]
        assert found.summary.signals == expected.summary.signals


def test_beginning_keeps_offsets(classifier: brinkline.Classifier) -> None:
    article = classifier.predict(ARTICLE)
    cut = beginning(article, 2)
    assert [s.text for s in cut.sentences] == ["The army fire on the city.", "They met."]
    assert all(cut.text[s.start : s.end] == s.text for s in cut.sentences)
    assert beginning(article, 3) is article


def test_explains_the_labels_that_are_shown(classifier: brinkline.Classifier) -> None:
    article = decide(classifier.predict(ARTICLE), dict.fromkeys(SIGNALS, 0.0))
    found = explain(classifier, article, 2)
    assert found.sentence == "If they attack we will answer."
    assert found.labels[1:] == SIGNALS


@pytest.mark.parametrize("form", app_session.FORMATS)
def test_saved_files_hold_the_decisions_of_now(classifier: brinkline.Classifier, form: str) -> None:
    session = scored(classifier, ARTICLE + " \ud800.")
    first = session.save(form)
    session.thresholds = {"threat": 0.0, "deterrence": 1.1, "retaliation": 1.1}
    path = session.save(form)
    assert not first.exists()
    if form == "csv":
        rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
        assert {row["threat"] for row in rows} == {"True"}
        assert {row["deterrence"] for row in rows} == {"False"}
    elif form == "parquet":
        import pandas as pd

        rows = pd.read_parquet(path)
        assert rows["threat"].all()
        assert not rows["retaliation"].any()
    else:
        rows = path.read_text(encoding="utf-8").split("<tr data-a")[1:]
        assert all('data-l="threat">' in row and "given" in row for row in rows)
    assert len(rows) == len(session.scores[0].sentences)
    session.close()
    assert not path.parent.exists()
    with pytest.raises(ValueError, match="csv, parquet, html"):
        session.save("xls")
