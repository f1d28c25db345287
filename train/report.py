"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brinkline.model.labels import SIGNALS, STANCES

_INTERVALS = (
    "In brackets: 95 % bootstrap interval, documents resampled 1,000 times. *Behind by*: 95 % interval of "
    "the model's lead in macro-F1, paired over the same resamples. n/a: one document, or nothing to find."
)
_ERRORS = (
    "Expected calibration error over 15 bins of equal width; stance: most probable label, and the Brier "
    "score summed over the three labels (0 to 2). Before and after the temperatures of the manifest."
)
_SPECIAL = re.compile(r"[&<>\\`*{}\[\]#!|~@]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.")


def write_markdown(path: Path, metrics: dict[str, Any], mistakes: Sequence[dict[str, Any]]) -> None:
    """Write ``report.md``.

    :param path: the file.
    :param metrics: as in ``metrics.json``.
    :param mistakes: rows for the table of mistakes.
    """
    sections = [
        _head(metrics),
        headline_table(metrics),
        *_rounding(metrics),
        _stance(metrics["stance"]),
        _signals(metrics["signals"]),
        _calibration(metrics["calibration"]),
        *_contrast(metrics.get("contrast")),
        *(_breakdown(name, groups) for name, groups in metrics.get("breakdown", {}).items()),
        *_name_swap(metrics.get("name_swap")),
        _mistakes(mistakes),
    ]
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _rounding(metrics: dict[str, Any]) -> list[str]:
    """Return what computing in 8 bits costs, where the network was measured in fp32 beside."""
    if not (before := metrics.get("fp32")):
        return []
    parts = [
        f"{name} {metrics[name]['macro_f1']:.3f} against {before[f'{name}_macro_f1']:.3f} "
        f"({metrics[name]['macro_f1'] - before[f'{name}_macro_f1']:+.3f})"
        for name in ("stance", "signals")
    ]
    return [f"The exported file against the same network in fp32, macro-F1: {'; '.join(parts)}."]


def headline_table(metrics: dict[str, Any]) -> str:
    """Return model and baselines side by side, with 95 % intervals and the gap to the model."""
    rows = [
        [
            f"**{plain(metrics['model'])}**",
            with_interval(metrics["stance"]["macro_f1"], metrics["intervals"]["stance_macro_f1"]),
            with_interval(metrics["signals"]["macro_f1"], metrics["intervals"]["signals_macro_f1"]),
            with_interval(metrics["stance"]["accuracy"], metrics["intervals"]["stance_accuracy"]),
            "",
        ]
    ]
    for name, rival in metrics["baselines"].items():
        gap = rival["behind_by"]
        rows.append(
            [
                name,
                with_interval(rival["stance"]["macro_f1"], rival["intervals"]["stance_macro_f1"]),
                with_interval(rival["signals"]["macro_f1"], rival["intervals"]["signals_macro_f1"]),
                with_interval(rival["stance"]["accuracy"], rival["intervals"]["stance_accuracy"]),
                f"{_range(gap['stance_macro_f1'])}, {_range(gap['signals_macro_f1'])}",
            ]
        )
    columns = [
        "method",
        "stance macro-F1",
        "signals macro-F1",
        "stance accuracy",
        "behind by (stance, signals)",
    ]
    return "\n".join(
        [
            table(columns, rows),
            "",
            _INTERVALS,
        ]
    )


def with_interval(value: float, interval: Sequence[float] | None) -> str:
    """Return e.g. ``0.710 [0.670, 0.750]``, or ``0.710 [n/a]`` without an interval."""
    if interval is None:
        return f"{value:.3f} [n/a]"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; bars and line breaks in cells are made harmless, other Markdown is kept."""
    head, *body = ([_cell(value) for value in row] for row in (columns, *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body))


def plain(text: str) -> str:
    """Return a text so that Markdown shows it as it is: no HTML, emphasis, link, image or code in it."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)


def _head(metrics: dict[str, Any]) -> str:
    data = metrics["data"]
    return (
        f"# {plain(metrics['model'])} on {plain(data['name'])}\n\n"
        f"{metrics['sentences']} sentences of {metrics['documents']} documents; "
        f"sha256 of texts and labels `{data['sha256'][:16]}…`"
    )


def _stance(figures: dict[str, Any]) -> str:
    rows = [[name, *_prf(figures["labels"][name])] for name in STANCES]
    matrix = [[name, *counts] for name, counts in zip(STANCES, figures["confusion"], strict=True)]
    return "\n\n".join(
        [
            "## Stance",
            table(["label", "precision", "recall", "F1", "sentences"], rows),
            "Rows: true label; columns: predicted label.",
            table(["", *STANCES], matrix),
            "![Confusion matrix](confusion.png)",
        ]
    )


def _signals(figures: dict[str, Any]) -> str:
    rows = []
    for name in SIGNALS:
        label = figures["labels"][name]
        precision = label.get("average_precision")
        average = "n/a" if precision is None else f"{precision:.3f}"
        rows.append([name, *_prf(label)[:3], average, f"{label['threshold']:.3f}", label["support"]])
    columns = ["signal", "precision", "recall", "F1", "average precision", "threshold", "sentences"]
    return "\n\n".join(
        ["## Signals", table(columns, rows), "![Precision-recall curves](precision-recall.png)"]
    )


def _calibration(figures: dict[str, Any]) -> str:
    rows = []
    for name in ("stance", *SIGNALS):
        before, after = figures["before"][name], figures["after"][name]
        values = (before["ece"], after["ece"], before["brier"], after["brier"])
        rows.append([name, *(f"{value:.3f}" for value in values)])
    columns = ["", "ECE before", "ECE after", "Brier before", "Brier after"]
    return "\n\n".join(
        [
            "## Calibration",
            table(columns, rows),
            _ERRORS,
            "![Reliability diagram](reliability.png)",
        ]
    )


def _contrast(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    text = f"{found['wholly_right']:.1%} of {found['groups']} groups are wholly right: every label of every sentence."
    return [f"## Contrast groups\n\n{text}"]


def _breakdown(name: str, groups: dict[str, dict[str, Any]]) -> str:
    rows = []
    for group, figures in groups.items():
        signals = figures["signals_micro_f1"]
        rows.append(
            [
                plain(group),
                figures["sentences"],
                f"{figures['stance_macro_f1']:.3f}",
                f"{figures['stance_accuracy']:.3f}",
                "n/a" if signals is None else f"{signals:.3f}",
                sum(figures["signals"].values()),
            ]
        )
    columns = [name, "sentences", "stance macro-F1", "stance accuracy", "signals micro-F1", "true signals"]
    return f"## By {name}\n\n{table(columns, rows)}"


def _name_swap(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    text = (
        f"{found['templates']} templates, {found['swaps']} exchanges of actors' names: the stance changes in "
        f"{found['stance']:.1%} of them, a signal in {found['signals']:.1%}."
    )
    rows = [[f"`{row['template']}`", row["stance"], row["signals"]] for row in found["worst"]]
    worst = [table(["templates that change most", "stance", "signals"], rows)] if rows else []
    return ["\n\n".join(["## Name swap", text, *worst])]


def _mistakes(mistakes: Sequence[dict[str, Any]]) -> str:
    rows = [
        [m["label"], m["predicted"], f"{m['confidence']:.2f}", plain(m["text"]), plain(m["id"])]
        for m in mistakes
    ]
    return "\n\n".join(
        [
            "## Most confident mistakes",
            table(["label", "predicted", "confidence", "sentence", "id"], rows) if rows else "None.",
            "All of them are in `mistakes.jsonl`.",
        ]
    )


def _prf(label: dict[str, Any]) -> list[str]:
    return [
        f"{label['precision']:.3f}",
        f"{label['recall']:.3f}",
        f"{label['f1']:.3f}",
        str(label["support"]),
    ]


def _range(interval: Sequence[float] | None) -> str:
    if interval is None:
        return "n/a"
    return f"{interval[0]:+.3f} to {interval[1]:+.3f}"


def _cell(value: object) -> str:
    # A bar after an odd number of backslashes is escaped already.
    return " ".join(re.sub(r"(?<!\\)((?:\\\\)*)\|", r"\1\\|", str(value)).split())
