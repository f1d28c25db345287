"""The report: tables stay tables whatever the sentences hold, and pictures are pictures."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.metrics import Bootstrap, Truth, calibration_figures, decide, measure
from brinkline.train.pictures import draw_confusion, draw_precision_recall, draw_reliability
from brinkline.train.report import headline_table, plain, table, with_interval, write_markdown

NASTY = [
    "a | b || c",
    "line\nbreak\r\nand\ttab\u2028end",
    '<script>alert("x")</script> & <b>bold</b>',
    "\\| a backslash before a bar, and one at the end \\",
    "![image](https://example.org/x.png) and [link](javascript:x)",
    "`code | code` *stress* __more__ ~~gone~~ # head @someone",
    "",
    "---",
]


def cells(line: str) -> list[str]:
    """Split a row as GitHub's Markdown does: at bars that no backslash escapes."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    found = re.findall(r"((?:\\.|[^|\\])*)\|", line[1:])
    assert sum(map(len, found)) + len(found) == len(line) - 1
    return [cell.strip() for cell in found]


def tables_of(text: str) -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE)
    return [[cells(line) for line in block.splitlines()] for block in blocks]


def assert_well_formed(rows: list[list[str]]) -> None:
    assert set(rows[1]) == {"---"}
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.fixture(scope="module")
def truth() -> Truth:
    rng = np.random.default_rng(0)
    return Truth(rng.integers(0, 3, 80), rng.binomial(1, 0.3, (80, 3)), np.arange(80) // 4)


@pytest.fixture(scope="module")
def scores(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.dirichlet(np.ones(3), 80), np.clip(truth.signals * 0.5 + rng.random((80, 3)) / 2, 0, 1)


@pytest.fixture
def metrics(truth: Truth, scores: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    decisions = decide(*scores, dict.fromkeys(SIGNALS, 0.4))
    bootstrap = Bootstrap(truth, 50)
    found = measure(truth, decisions) | {"intervals": bootstrap.intervals(decisions)}
    for name in SIGNALS:
        found["signals"]["labels"][name]["threshold"] = 0.4
    calibration = calibration_figures(truth, *scores)
    found["baselines"] = {"a | rival": {**found, "behind_by": bootstrap.difference(decisions, decisions)}}
    return found | {
        "calibration": {"before": calibration, "after": calibration},
        "model": "tiny_model 1",
        "data": {"name": "<my> data.jsonl", "sha256": "0123456789abcdef" * 4},
    }


def mistakes(texts: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": f"x|{i}", "label": "hostile", "predicted": "neutral", "confidence": 0.5, "text": text}
        for i, text in enumerate(texts)
    ]


def test_report_is_well_formed_whatever_the_sentences_hold(tmp_path: Path, metrics: dict[str, Any]) -> None:
    write_markdown(tmp_path / "report.md", metrics, mistakes(NASTY))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    found = tables_of(text)
    assert len(found) == 6
    for rows in found:
        assert_well_formed(rows)
    assert [len(rows) - 2 for rows in found] == [2, 3, 3, 3, 4, len(NASTY)]
    assert not re.search(r"<(?!-)", text), "no HTML gets through"
    links = re.findall(r"!?\[[^]]*\]\(([^)]*)\)", text)
    assert links == ["confusion.png", "precision-recall.png", "reliability.png"]
    assert text.startswith("# tiny_model 1 on &#60;my&#62; data.jsonl\n")


def test_report_holds_the_figures(tmp_path: Path, metrics: dict[str, Any]) -> None:
    write_markdown(tmp_path / "report.md", metrics, mistakes(["They met."]))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    headline, stance, confusion, signals, calibration, wrong = tables_of(text)
    assert headline[2][0] == "**tiny_model 1**"
    assert headline[2][1].startswith(f"{metrics['stance']['macro_f1']:.3f} [")
    assert headline[3][0] == "a \\| rival"
    assert headline[3][4] == "+0.000 to +0.000, +0.000 to +0.000"
    assert [row[0] for row in stance[2:]] == list(STANCES)
    assert [[int(cell) for cell in row[1:]] for row in confusion[2:]] == metrics["stance"]["confusion"]
    assert [row[5] for row in signals[2:]] == ["0.400"] * 3
    assert [row[0] for row in calibration[2:]] == ["stance", *SIGNALS]
    assert wrong[2] == ["hostile", "neutral", "0.50", "They met.", "x&#124;0"]
    assert "80 sentences of 20 documents" in text


def test_report_without_mistakes_and_without_average_precision(
    tmp_path: Path, metrics: dict[str, Any]
) -> None:
    metrics["signals"]["labels"]["threat"]["average_precision"] = None
    del metrics["signals"]["labels"]["deterrence"]["average_precision"]
    metrics["baselines"] = {}
    write_markdown(tmp_path / "report.md", metrics, [])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "\n\nNone.\n" in text
    signals = tables_of(text)[3]
    assert [row[4] == "n/a" for row in signals[2:]] == [True, True, False]


def test_report_tells_what_8_bits_cost(tmp_path: Path, metrics: dict[str, Any]) -> None:
    stance, signals = metrics["stance"]["macro_f1"], metrics["signals"]["macro_f1"]
    metrics["fp32"] = {"stance_macro_f1": stance + 0.01, "signals_macro_f1": signals - 0.002}
    write_markdown(tmp_path / "report.md", metrics, [])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"stance {stance:.3f} against {stance + 0.01:.3f} (-0.010); signals {signals:.3f}" in text
    assert "(+0.002)" in text


def test_headline_table_stands_alone(metrics: dict[str, Any]) -> None:
    rows, *others = tables_of(headline_table(metrics))
    assert_well_formed(rows)
    assert not others


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=4))
def test_any_text_makes_a_table(rows: list[list[str]]) -> None:
    text = table(["a", "b|", "c\n"], rows)
    assert len(text.split("\n")) == len(text.splitlines()) == len(rows) + 2
    assert_well_formed([cells(line) for line in text.split("\n")])


@given(st.text())
def test_plain_text_comes_out_as_it_went_in(text: str) -> None:
    shown = plain(text)
    assert not set("<>`*|[]") & set(shown)
    assert re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), shown) == text


def test_plain_leaves_ordinary_text_alone() -> None:
    text = (
        "“We will answer,” the envoy's aide_de_camp said: 40% of the 3-day talks (in Oslo) failed; no more."
    )
    assert plain(text) == text
    assert "://" not in plain("see https://example.org")


def test_with_interval() -> None:
    assert with_interval(0.71234, [0.6, 0.8]) == "0.712 [0.600, 0.800]"


# Pictures


def draw_all(folder: Path, truth: Truth, stance: np.ndarray, signals: np.ndarray) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.png" for name in ("confusion", "reliability", "precision-recall")]
    draw_confusion([[5, 1, 0], [1000, 7, 0], [0, 0, 123456]], paths[0])
    draw_reliability(truth, stance, signals, paths[1])
    draw_precision_recall(truth, signals, paths[2])
    return paths


def test_pictures_are_valid_and_deterministic(
    tmp_path: Path, truth: Truth, scores: tuple[np.ndarray, np.ndarray]
) -> None:
    from PIL import Image

    first, second = (draw_all(tmp_path / name, truth, *scores) for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        with Image.open(one) as picture:
            picture.verify()
        with Image.open(one) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 400
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10


def test_pictures_follow_the_figures(
    tmp_path: Path, truth: Truth, scores: tuple[np.ndarray, np.ndarray]
) -> None:
    stance, signals = scores
    first = draw_all(tmp_path / "a", truth, stance, signals)
    second = draw_all(tmp_path / "b", truth, stance[:, ::-1], 1 - signals)
    changed = [one.read_bytes() != other.read_bytes() for one, other in zip(first, second, strict=True)]
    assert changed == [False, True, True]


@pytest.mark.parametrize("certain", [np.zeros, np.ones])
def test_pictures_of_edges_draw_without_a_warning(tmp_path: Path, certain: Callable[..., np.ndarray]) -> None:
    truth = Truth(np.zeros(3, dtype=int), np.zeros((3, 3), dtype=int), np.arange(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in draw_all(tmp_path, truth, np.eye(3)[[0, 1, 2]], certain((3, 3))):
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
