"""End to end, with the shipped model."""

import subprocess
import sys
from pathlib import Path

import pytest

import brinkline
from brinkline.model.checkpoint import DEFAULT_FOLDER

ARTICLE = (Path(__file__).parent / "data" / "article.txt").read_text(encoding="utf-8")


def by_text(part: str) -> brinkline.SentenceScore:
    [found] = [s for s in brinkline.predict(ARTICLE).sentences if part in s.text]
    return found


def test_shipped_model_is_small() -> None:
    size = sum(path.stat().st_size for path in DEFAULT_FOLDER.iterdir())
    assert size < 30_000_000


def test_rounding_to_8_bits_costs_next_to_nothing() -> None:
    metrics = brinkline.load().manifest.metrics
    assert metrics["export"]["computed_in"] == "int8"
    assert metrics["export"]["int8_mean_probability_difference"] < 0.01
    measured = metrics["evaluations"]["dev.jsonl"]
    for figure in ("stance_macro_f1", "signals_macro_f1"):
        assert measured["fp32"][figure] - measured[figure] <= 0.005


def test_article() -> None:
    scores = brinkline.predict(ARTICLE, id="strait")
    for sentence in scores.sentences:
        assert ARTICLE[sentence.start : sentence.end] == sentence.text
    gaps, end = [], 0
    for sentence in scores.sentences:
        gaps.append(ARTICLE[end : sentence.start])
        end = sentence.end
    assert not "".join([*gaps, ARTICLE[end:]]).strip(), "nothing of the article is lost"
    assert scores.summary.sentences == 15


@pytest.mark.parametrize(
    ("part", "stance", "signals"),
    [
        ("reopen the hotline", "conciliatory", set()),
        ("in answer to the ramming", "hostile", {"retaliation"}),
        ("we will close the strait", "hostile", {"threat", "deterrence"}),
        ("31 kilometres wide", "neutral", set()),
        ("tenth of the region", "neutral", set()),
        ("called on both sides to show restraint", "conciliatory", set()),
    ],
)
def test_labels_of_plain_cases(part: str, stance: str, signals: set[str]) -> None:
    found = by_text(part)
    assert (found.stance, set(found.signals)) == (stance, signals)


def test_a_sentence_scores_the_same_alone_and_in_a_batch() -> None:
    scores = brinkline.predict(ARTICLE)
    classifier = brinkline.load()
    for sentence in scores.sentences:
        [alone] = classifier.predict_sentences([sentence.text])
        assert sentence.stance_probabilities == pytest.approx(alone.stance_probabilities, abs=1e-4)
        assert sentence.signal_probabilities == pytest.approx(alone.signal_probabilities, abs=1e-4)


def test_command_line_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The two presidents met on Monday and agreed to talk again.")
    command = [sys.executable, "-m", "brinkline", "predict", "a.txt", "--format", "table"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "conciliatory" in done.stdout
