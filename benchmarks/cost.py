"""What an archive costs to score: core-hours, GPU-hours and money, out of a measured rate and the reader's prices.

    python benchmarks/cost.py --sentences-per-second 900 --cores 2 --price-core-hour 0.04
    python benchmarks/cost.py --sentences-per-second 900 --cores 2 --price-core-hour 0.04 \\
        --gpu-sentences-per-second 20000 --price-gpu-hour 2.50

Prints a Markdown table; nothing is measured here. The rate is that of the whole way from file to table
(``brinkline predict`` on a sample), on so many cores; cores are taken to work independently of each other, copies of
sentences to cost nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

ARCHIVES = {"10 million articles": 10**7, "1 billion articles": 10**9}
CLUSTERS = (64, 1024)  # cores, or a sixteenth as many GPUs
CORES_A_GPU = 16  # only for the choice of how many GPUs to show


@dataclass(frozen=True)
class Device:
    """What computes: cores, or GPUs."""

    noun: str
    rate: float
    """Sentences a second, of one."""
    price: float
    """Of one for an hour."""
    counts: tuple[int, ...]
    """How many at once, for the hours by the clock."""

    def hours(self, sentences: float) -> float:
        """Return the hours that one would take."""
        return sentences / self.rate / 3600


def rows(sentences: Sequence[float], device: Device) -> list[list[str]]:
    """Return the lines of the table for one kind of device: hours, money, hours by the clock.

    :param sentences: to be scored, of each archive.
    :param device: what computes.
    """
    hours = [device.hours(count) for count in sentences]
    table = [
        [f"{device.noun}-hours", *map(number, hours)],
        [f"cost at {device.price:g} a {device.noun}-hour", *(number(h * device.price) for h in hours)],
    ]
    for count in device.counts:
        plural = device.noun + "s" * (count != 1)
        table.append([f"hours by the clock on {count:,} {plural}", *(number(h / count) for h in hours)])
    return table


def number(value: float) -> str:
    """Write a number with three digits, as long as it has no more before the point."""
    if value >= 1e9:
        return f"{value / 1e9:.3g} billion"
    if value >= 1e6:
        return f"{value / 1e6:.3g} million"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(arguments: argparse.Namespace) -> str:
    """Return the table in Markdown.

    :param arguments: as :func:`parser` reads them.
    """
    every = [count * arguments.sentences_per_article for count in ARCHIVES.values()]
    scored = [count * (1 - arguments.duplicates) for count in every]
    core = Device(
        "core", arguments.sentences_per_second / arguments.cores, arguments.price_core_hour, CLUSTERS
    )
    lines = [["", *ARCHIVES], ["---"] * 3]
    lines += [["sentences", *map(number, every)], ["scored, copies left out", *map(number, scored)]]
    lines += rows(scored, core)
    if arguments.gpu_sentences_per_second:
        counts = (1, *(count // CORES_A_GPU for count in CLUSTERS))
        gpu = Device("GPU", arguments.gpu_sentences_per_second, arguments.price_gpu_hour, counts)
        lines += rows(scored, gpu)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--sentences-per-second", type=positive, required=True, help="measured, on --cores")
    made.add_argument("--cores", type=positive, default=2.0)
    made.add_argument("--price-core-hour", type=positive, required=True)
    made.add_argument("--gpu-sentences-per-second", type=positive, help="of one GPU; default: no rows for it")
    made.add_argument("--price-gpu-hour", type=positive)
    made.add_argument("--sentences-per-article", type=positive, default=25.0)
    made.add_argument("--duplicates", type=share, default=0.0, help="share of sentences that are copies")
    return made


def positive(text: str) -> float:
    """Read a number above 0."""
    if not 0 < (value := float(text)) < float("inf"):
        raise ValueError
    return value


def share(text: str) -> float:
    """Read a number from 0 to below 1."""
    if not 0 <= (value := float(text)) < 1:
        raise ValueError
    return value


def main(words: Sequence[str]) -> None:
    """Print the table.

    :param words: of the command line, without the program's name.
    """
    line = parser()
    arguments = line.parse_args(words)
    if (arguments.gpu_sentences_per_second is None) != (arguments.price_gpu_hour is None):
        line.error("--gpu-sentences-per-second and --price-gpu-hour go together")
    print(table(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
