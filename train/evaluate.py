"""Measure a model folder on labelled data and write the report.

    brinkline evaluate MODEL DATA.jsonl --out report
    python -m brinkline.train.evaluate MODEL DATA.jsonl --out report

``report`` then holds ``metrics.json``, ``report.md``, ``mistakes.jsonl`` and the pictures.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brinkline.data.corpus import content_sha256
from brinkline.data.schema import Document, read_labelled, sentences_of
from brinkline.model.checkpoint import Calibration
from brinkline.model.classifier import Classifier, load, probabilities
from brinkline.model.engine import Logits
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.breakdown import breakdown, contrast_groups
from brinkline.train.metrics import Bootstrap, Decisions, Truth, calibration_figures, decide, measure
from brinkline.train.probe import name_swap
from brinkline.train.report import write_markdown
from brinkline.train.scoring import model_logits

logger = logging.getLogger(__name__)

MISTAKES = 25
"""How many of the most confident mistakes a report shows."""

Rival = Callable[[Sequence[Document]], dict[str, Decisions]]


@dataclass(frozen=True)
class Evaluation:
    """A model measured on one set of documents."""

    name: str
    metrics: dict[str, Any]
    """The content of ``metrics.json``."""
    mistakes: list[dict[str, Any]]
    """Wrong labels, most confident first."""
    truth: Truth
    decisions: Decisions


def evaluate(
    classifier: Classifier,
    documents: Sequence[Document],
    name: str,
    rivals: Rival | None = None,
    swapped: dict[str, Any] | None = None,
) -> Evaluation:
    """Measure a model.

    :param classifier: a loaded model folder.
    :param documents: labelled documents that it was not trained on.
    :param name: what to call the data in the report.
    :param rivals: gives the decisions of baselines on the same documents.
    :param swapped: what the name-swap probe found, for the report.
    :return: figures, mistakes and the arrays behind them.
    """
    truth = Truth.of(documents)
    logits = model_logits(classifier, documents)
    metrics, decisions = figures(logits, truth, classifier.manifest.calibration)
    bootstrap = Bootstrap(truth)
    metrics["baselines"] = {
        rival: _rival_figures(truth, theirs, decisions, bootstrap)
        for rival, theirs in (rivals(documents) if rivals else {}).items()
    }
    metrics["breakdown"] = breakdown(documents, truth, decisions)
    metrics["contrast"] = contrast_groups(documents, truth, decisions)
    metrics["name_swap"] = swapped
    metrics |= {"data": {"name": name, "sha256": content_sha256(documents)}, "model": classifier.name}
    return Evaluation(name, metrics, find_mistakes(documents, truth, decisions), truth, decisions)


def figures(logits: Logits, truth: Truth, calibration: Calibration) -> tuple[dict[str, Any], Decisions]:
    """Return the figures of calibrated logits, their bootstrap intervals, and calibration before and after."""
    stance, signals = probabilities(logits, calibration)
    raw = probabilities(logits, Calibration())
    decisions = decide(stance, signals, calibration.thresholds)
    metrics = measure(truth, decisions)
    for name in SIGNALS:
        metrics["signals"]["labels"][name]["threshold"] = calibration.thresholds[name]
    metrics["intervals"] = Bootstrap(truth).intervals(decisions)
    metrics["calibration"] = {
        "before": calibration_figures(truth, *raw),
        "after": calibration_figures(truth, stance, signals),
    }
    return metrics, decisions


def find_mistakes(documents: Sequence[Document], truth: Truth, decisions: Decisions) -> list[dict[str, Any]]:
    """List every wrong label, the most confident first.

    A wrong stance is as confident as its probability, a signal wrongly given as its own, and a signal wrongly left out
    as one minus its own.
    """
    if decisions.stance_probabilities is None or decisions.signal_probabilities is None:
        raise ValueError("mistakes are ranked by probability, and these decisions have none")
    mistakes = []
    for row, sentence in enumerate(sentences_of(documents)):
        best = int(decisions.stance[row])
        if best != truth.stance[row]:
            found = float(decisions.stance_probabilities[row, best])
            mistakes.append(_mistake(sentence.id, sentence.text, sentence.stance, STANCES[best], found))
        for i, name in enumerate(SIGNALS):
            given = int(decisions.signals[row, i])
            if given != truth.signals[row, i]:
                p = float(decisions.signal_probabilities[row, i])
                labels = (f"no {name}", name)
                mistakes.append(
                    _mistake(
                        sentence.id, sentence.text, labels[1 - given], labels[given], p if given else 1 - p
                    )
                )
    return sorted(mistakes, key=lambda mistake: -mistake["confidence"])


def write_report(folder: Path, evaluation: Evaluation) -> None:
    """Write ``metrics.json``, ``report.md``, ``mistakes.jsonl`` and the pictures into a folder."""
    from brinkline.train import pictures

    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(evaluation.metrics, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    lines = [json.dumps(mistake, ensure_ascii=False) for mistake in evaluation.mistakes]
    (folder / "mistakes.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    write_markdown(folder / "report.md", evaluation.metrics, evaluation.mistakes[:MISTAKES])
    stance, signals = evaluation.decisions.stance_probabilities, evaluation.decisions.signal_probabilities
    pictures.draw_confusion(evaluation.metrics["stance"]["confusion"], folder / "confusion.png")
    if stance is not None and signals is not None:
        pictures.draw_reliability(evaluation.truth, stance, signals, folder / "reliability.png")
        pictures.draw_precision_recall(evaluation.truth, signals, folder / "precision-recall.png")


def _rival_figures(truth: Truth, theirs: Decisions, ours: Decisions, bootstrap: Bootstrap) -> dict[str, Any]:
    metrics = measure(truth, theirs)
    metrics["intervals"] = bootstrap.intervals(theirs)
    metrics["behind_by"] = bootstrap.difference(ours, theirs)
    return metrics


def _mistake(name: str, text: str, label: str, predicted: str, confidence: float) -> dict[str, Any]:
    return {
        "id": name,
        "label": label,
        "predicted": predicted,
        "confidence": round(confidence, 4),
        "text": text,
    }


def main(
    model: Path, data: list[Path], out: Path = Path("report"), train: list[Path] | None = None
) -> Evaluation:
    """Measure a model folder on labelled data and write the report.

    :param model: a model folder.
    :param data: labelled data to measure on.
    :param out: folder of the report.
    :param train: labelled data to train the baselines on (a tenth of them fits their thresholds); without it only the
        keyword list is reported.
    """
    from brinkline.data.corpus import leave_out, split_documents
    from brinkline.train.baselines import KEYWORDS, Baselines, keyword_decisions

    classifier = load(model)
    documents = read_labelled(data)
    rivals: Rival = lambda items: {KEYWORDS: keyword_decisions(items)}  # noqa: E731
    if train:
        split = split_documents(leave_out(read_labelled(train), documents)[0], dev=0.1, test=0)
        longest = min(classifier.manifest.max_tokens, 512)  # the packaged encoder reads no more
        rivals = Baselines(split.train, split.dev, "packaged", longest).decide
    name = ", ".join(path.name for path in data)
    evaluation = evaluate(classifier, documents, name, rivals, name_swap(classifier))
    write_report(out, evaluation)
    return evaluation


if __name__ == "__main__":
    from brinkline.train.scripts import run_script

    run_script(main)
