"""Tests of docs/archives.md: its questions are put to a scored archive, and opened in the ways it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from brinkline import score_archive
from brinkline.archive_rows import schema

DOCS = Path(__file__).parents[2] / "docs" / "archives.md"
TEXT = "The army fire on the city. They vowed revenge. Rain on monday."


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small ``scores.parquet`` of several parts."""
    folder = tmp_path_factory.mktemp("docs")
    lines = [
        {"id": f"a{n}", "text": TEXT, "source": "Wire", "date": f"2024-0{1 + n % 3}-11"} for n in range(12)
    ]
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    keep = ("source", "date")
    report = score_archive(
        folder / "in.jsonl", folder / "scores.parquet", model=model_folder, keep=keep, part_rows=10
    )
    assert report.parts > 1
    return folder


def test_the_three_questions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(folder)
    months, threats, answers = (duckdb.sql(sql).fetchall() for sql in blocks("sql"))
    rows = duckdb.sql(
        "SELECT article, index, stance, p_threat, p_retaliation FROM 'scores.parquet/*.parquet'"
    )
    table = [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
    assert len(table) == 36
    assert [(f"{month:%Y-%m}", count) for month, count, _ in months] == [
        (f"2024-0{n}", 12) for n in (1, 2, 3)
    ]
    one = [row["stance"] for row in table[:3]]
    balance = (one.count("conciliatory") - one.count("hostile")) / 3
    assert [value for _, _, value in months] == pytest.approx([balance] * 3)
    assert sorted(text for text, _, _ in threats) == sorted(re.findall(r"[^ ].*?\.", TEXT))
    assert {articles for _, _, articles in threats} == {12}
    assert [p for _, p, _ in threats] == sorted((row["p_threat"] for row in table[:3]), reverse=True)
    pairs = [
        (a["article"], a["index"], b["index"])
        for a in table
        for b in table
        if a["article"] == b["article"] and 1 <= b["index"] - a["index"] <= 3
        if a["p_threat"] > 0.5 and b["p_retaliation"] > 0.5
    ]
    assert [row[0] for row in answers] == [pair[0] for pair in sorted(pairs)]


@pytest.mark.parametrize("library", ["pandas", "polars", "duckdb"])
def test_opening_the_table(folder: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    pytest.importorskip(library)
    monkeypatch.chdir(folder)
    block = next(block for block in blocks("python") if f"import {library}" in block)
    names: dict[str, Any] = {}
    exec(block, names)
    assert len(names["scores"]) == 36 or library == "polars"
    assert "stance" in names["scores"].columns


def test_the_columns_are_told() -> None:
    told = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| (?:string|int|double|boolean)", DOCS.read_text(), re.MULTILINE
    )
    assert [name for cell in told for name in re.findall(r"\w+", cell)] == schema().names
