"""The measured speeds as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

BEGIN, END = "<!-- speed -->", "<!-- /speed -->"

_Times = dict[str, list[float]]


def markdown(results: dict[str, Any]) -> str:
    """Return all tables.

    :param results: what ``speed.py`` measured; parts that were left out are left out here.
    """
    parts: dict[str, Callable[[dict[str, Any]], str]] = {
        "throughput": _throughput,
        "latency": _latency,
        "cold": _cold,
        "lengths": lambda r: _scaling(r, "lengths", "Sentence length", "tokens"),
        "batches": lambda r: _scaling(r, "batches", "Batch size", "batch"),
        "threads": lambda r: _scaling(r, "threads", "Threads", "threads"),
        "invariance": _invariance,
    }
    sections = [_measured_on(results), _agreement(results), _peak(results)]
    sections += [make(results) for name, make in parts.items() if name in results]
    return "\n\n".join(sections) + "\n"


def fill(path: Path, text: str) -> None:
    """Put text between the two marks of a file.

    :raises ValueError: where the file lacks them.
    """
    whole = path.read_text(encoding="utf-8")
    head, begin, rest = whole.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: lacks the marks {BEGIN} and {END}")
    path.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}", encoding="utf-8", newline="\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    rule = ["---", *("---:" for _ in columns[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, rule, *rows])


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median of the rounds, with the least and the largest."""
    return f"{np.median(values):,.{digits}f} [{min(values):,.{digits}f}–{max(values):,.{digits}f}]"


def ratios(times: _Times, slow: str, fast: str) -> list[float]:
    """Return how many times faster one contestant is than another, round by round."""
    return [a / b for a, b in zip(times[slow], times[fast], strict=True)]


def _measured_on(results: dict[str, Any]) -> str:
    machine, model, settings = results["machine"], results["model"], results["settings"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    return (
        f"Measured {machine['date']} on {machine['processor']} "
        f"({', '.join(machine['instructions']) or 'flags unknown'}), "
        f"{machine['processors_available']} of {machine['processors']} processors, {machine['memory_gb']} GB, "
        f"load {machine['load']} before the run, niceness {machine['niceness']}; {machine['system']}, Python "
        f"{machine['python']}; {versions}; commit {machine['commit'] or 'unknown'}. "
        f"Model {model['name']} {model['version']} ({model['megabytes']} MB). "
        f"{settings['threads']} threads for each contestant. {settings['sentences']:,} sentences of "
        f"{settings['mean_tokens']:.1f} tokens in the mean (from {settings['texts']}, seed {settings['seed']}), "
        f"{settings['rounds']} rounds by turns: median [least–largest]."
    )


def _agreement(results: dict[str, Any]) -> str:
    sentences = results["settings"]["compared_sentences"]
    rows = [
        [item["name"], f"{item['largest_logit_difference']:.1g}", str(item["other_stances"])]
        for item in results["agreement"]
    ]
    return (
        f"All compute the same: largest difference of a stance logit from torch fp32, and other stances, on "
        f"{sentences} sentences.\n\n{table(['', 'logit', 'other stances'], rows)}"
    )


def _peak(results: dict[str, Any]) -> str:
    speeds, one = results["peak"], results["operations"]
    parts = [
        f"{name} {speed:,.0f} (so at most {speed / one:,.0f} sentences/s)" for name, speed in speeds.items()
    ]
    return (
        "Large matrix products in ONNX Runtime on as many threads, 10⁹ operations a second: "
        f"{', '.join(parts)}. A sentence of the mean length needs {one:.2f} in the products that its labels depend on."
    )


def _throughput(results: dict[str, Any]) -> str:
    times: _Times = results["throughput"]
    count = results["settings"]["sentences"]
    slow = [name for name in times if name.startswith("pipeline")]
    rows = []
    for name, seconds in times.items():
        speeds = [count / value for value in seconds]
        rows.append([name, spread(speeds), *(spread(ratios(times, peer, name), 1) for peer in slow)])
    columns = ["", "sentences/s", *(f"times {name}" for name in slow)]
    return f"**Throughput**\n\n{table(columns, rows)}"


def _latency(results: dict[str, Any]) -> str:
    parts = []
    titles = {"article": "One article of 25 sentences", "sentence": "One sentence"}
    for key, times in results["latency"].items():
        own = next(name for name in times if name.startswith("brinkline"))
        rows = [
            [name, spread([1000 * value for value in seconds], 1), spread(ratios(times, name, own), 1)]
            for name, seconds in times.items()
        ]
        parts.append(f"**{titles[key]}**\n\n{table(['', 'ms', 'brinkline is faster by'], rows)}")
    return "\n\n".join(parts)


def _cold(results: dict[str, Any]) -> str:
    rows = [
        [name, spread(found["seconds"], 2), spread(found["megabytes"])]
        for name, found in results["cold"].items()
    ]
    return f"**Cold start: a new process, from start to end**\n\n{table(['', 's', 'peak memory, MB'], rows)}"


def _scaling(results: dict[str, Any], key: str, title: str, unit: str) -> str:
    found: dict[str, _Times] = results[key]
    count = results["settings"]["scaling_sentences"]
    names = list(next(iter(found.values())))
    slow, own = names[0], names[-1]
    rows = []
    for value, times in found.items():
        speeds = [spread([count / seconds for seconds in times[name]]) for name in names]
        rows.append([value, *speeds, spread(ratios(times, slow, own), 1)])
    return f"**{title}** (sentences/s)\n\n{table([unit, *names, f'{own} / {slow}'], rows)}"


def _invariance(results: dict[str, Any]) -> str:
    rows = [[name, f"{value:.1g}"] for name, value in results["invariance"].items()]
    return (
        "**Same sentence, same result**: largest difference of a probability between alone, batches of 2, 32 and "
        f"128, and reversed order, {results['settings']['compared_sentences']} sentences\n\n"
        f"{table(['', 'difference'], rows)}"
    )
