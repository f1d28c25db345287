"""Measure brinkline beside the usual ways to run the same weights: one run, by turns.

    python benchmarks/speed.py                # some fifteen minutes; benchmarks/results/speed.json and .md
    python benchmarks/speed.py --write-docs   # and the tables into docs/speed.md
    python benchmarks/speed.py --quick        # a minute, a few sentences: does it run, not how fast it is

Needs pip install 'brinkline[bench]'. No network. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brinkline.model.checkpoint import DEFAULT_FOLDER, find_folder
from brinkline.model.engine import available_processors
from brinkline.model.errors import BrinklineError

if TYPE_CHECKING:
    from speed_peers import Peers

logger = logging.getLogger("brinkline.benchmarks.speed")

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "speed.md"
EXACT, BFLOAT16, INT8 = 1e-2, 0.5, 2.0
"""Largest difference of a stance logit from torch fp32 that is let pass, by what is computed in."""
OTHER_STANCES = 0.05
"""Largest share of sentences with another stance that is let pass, whatever is computed in."""


class Part(StrEnum):
    """What is measured."""

    throughput = "throughput"
    latency = "latency"
    cold = "cold"
    lengths = "lengths"
    batches = "batches"
    threads = "threads"
    invariance = "invariance"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sentences: int
    rounds: int
    scaling: int
    """Sentences for each point of a scaling table, and for the comparison of results."""
    articles: int
    """Articles, and four times as many single sentences."""
    lengths: tuple[int, ...] = (8, 16, 32, 64, 128)
    batches: tuple[int, ...] = (1, 8, 32, 128)


def measure(
    plan: Plan,
    parts: list[Part],
    model: Path,
    checkpoint: Path | None,
    texts: Path | None,
    article: Path,
    threads: int,
    tolerance: float | None,
    seed: int,
) -> dict[str, Any]:
    """Build the contestants, check that they compute the same, and measure.

    :raises BrinklineError: where they do not compute the same.
    """
    # The tokenizers' own pool of threads, made when it is first used.
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from speed_machine import describe_model, machine
    from speed_measures import read_texts
    from speed_peak import operations, peak
    from speed_peers import build

    facts = machine()
    sentences = read_texts(texts, plan.sentences, seed)
    few = sentences[: plan.scaling]
    with tempfile.TemporaryDirectory() as folder:
        peers = build(model, checkpoint, Path(folder), threads)
        gc.freeze()  # else each go waits for a look through all that the libraries hold
        tokens = [len(item) for item in peers.encoder.encode(sentences)]
        results: dict[str, Any] = {
            "machine": facts,
            "model": describe_model(model, peers.classifier.manifest),
            "settings": {
                "threads": threads,
                "rounds": plan.rounds,
                "sentences": len(sentences),
                "scaling_sentences": len(few),
                "compared_sentences": len(few),
                "mean_tokens": sum(tokens) / len(tokens),
                "longest_tokens": max(tokens),
                "texts": texts.name if texts else "data/corpus",
                "seed": seed,
            },
            "agreement": _agreement(peers, few, tolerance),
            "peak": peak(threads, plan.rounds),
            "operations": operations(peers.network, sum(tokens) / len(tokens)),
        }
        for part, run in _measures(plan, peers, sentences, model, checkpoint, article, threads).items():
            if part in parts:
                logger.info("%s …", part.value)
                results[part.value] = run()
    return results


def _agreement(peers: Peers, texts: list[str], tolerance: float | None) -> list[dict[str, Any]]:
    """Compare everybody's stance with torch fp32, and refuse to go on where they differ."""
    from speed_peers import (
        compare,
        with_brinkline,
        with_engine,
        with_pipeline,
        with_sentence_transformers,
        with_torch,
    )

    others = [with_pipeline(peers, 1), with_pipeline(peers, 32), with_sentence_transformers(peers)]
    own = [with_brinkline(peers), with_engine(peers)]
    half = with_torch(peers, bfloat16=True)
    found = compare([with_torch(peers), half, *others, *own], texts)
    if tolerance is None:
        exported = peers.classifier.manifest.metrics.get("export", {})
        tolerance = INT8 if exported.get("computed_in") == "int8" else EXACT
    allowed = {half.name: BFLOAT16, **dict.fromkeys((contestant.name for contestant in own), tolerance)}
    for item in found:
        limit, others_allowed = allowed.get(item["name"], EXACT), max(1, OTHER_STANCES * len(texts))
        if item["largest_logit_difference"] > limit or item["other_stances"] > others_allowed:
            raise BrinklineError(
                f"{item['name']}: a stance logit is {item['largest_logit_difference']:.2g} away from torch fp32 "
                f"(allowed: {limit:g}) and {item['other_stances']} of {len(texts)} stances are others: "
                "not the same weights, so nothing was timed (--tolerance sets how far brinkline may be)"
            )
    return found


def _measures(
    plan: Plan,
    peers: Peers,
    texts: list[str],
    model: Path,
    checkpoint: Path | None,
    article: Path,
    threads: int,
) -> dict[Part, Callable[[], Any]]:
    import speed_measures as m
    from speed_peers import (
        ARTICLE,
        with_articles,
        with_brinkline,
        with_engine,
        with_pipeline,
        with_sentence_transformers,
        with_torch,
    )

    few, rounds = texts[: plan.scaling], min(plan.rounds, 3)
    libraries = [
        with_pipeline(peers, 1),
        with_pipeline(peers, 32),
        with_sentence_transformers(peers),
        with_torch(peers),
        with_torch(peers, bfloat16=True),
    ]
    own = [with_brinkline(peers), with_articles(peers), with_engine(peers)]
    articles = [texts[i * ARTICLE : (i + 1) * ARTICLE] for i in range(plan.articles)]
    singles = [[text] for text in texts[: 4 * plan.articles]]

    def latency() -> dict[str, Any]:
        return {
            "article": m.one_by_one(
                [*libraries, m.with_article(peers)], [a for a in articles if a], plan.rounds
            ),
            "sentence": m.one_by_one([*libraries[1:], m.with_article(peers)], singles, plan.rounds),
        }

    return {
        Part.cold: lambda: m.cold_starts(model, peers.folder, article, plan.rounds),
        Part.throughput: lambda: m.by_turns([*libraries, *own], texts, plan.rounds),
        Part.latency: latency,
        Part.lengths: lambda: m.by_length(peers, texts, plan.lengths, len(few), rounds),
        Part.batches: lambda: m.by_batch(peers, few, plan.batches, rounds),
        Part.threads: lambda: m.by_threads(model, checkpoint, few, threads, rounds),
        Part.invariance: lambda: m.invariance(peers, few),
    }


def main(
    model: Annotated[Path, typer.Option(help="The model folder.")] = DEFAULT_FOLDER,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Where its fp32 weights are: a training checkpoint or an .onnx file; default: in itself."
        ),
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="JSON lines with 'text', a sentence each; default: data/corpus.")
    ] = None,
    article: Annotated[Path, typer.Option(help="What is scored in cold starts.")] = ROOT
    / "tests/data/article.txt",
    sentences: Annotated[int, typer.Option(min=1, help="How many are drawn.")] = 4000,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of every contestant; default: the processors available.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="How far a logit of brinkline's may be from torch fp32; default: 0.01, computed in int8 2."
        ),
    ] = None,
    seed: int = 0,
    only: Annotated[list[Part] | None, typer.Option(help="Measure only this; repeatable.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few sentences, to see that it runs.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of speed.json and speed.md; default: benchmarks/results.")
    ] = None,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Also put the tables into docs/speed.md.")
    ] = False,
) -> None:
    """Measure brinkline beside pipeline, sentence-transformers and torch, with the same weights."""
    from speed_report import fill, markdown

    if quick and write_docs:
        raise typer.BadParameter("a quick run measures nothing worth writing down", param_hint="--write-docs")
    plan = Plan(sentences, rounds, scaling=min(512, sentences), articles=20)
    if quick:
        plan = Plan(min(sentences, 60), min(rounds, 2), 8, 2, lengths=(8, 16), batches=(1, 8))
    count = threads or available_processors()
    results = measure(
        plan, only or list(Part), find_folder(model), checkpoint, texts, article, count, tolerance, seed
    )
    text = markdown(results)
    folder = out or (ROOT / "build" / "speed-quick" if quick else ROOT / "benchmarks" / "results")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "speed.md").write_text(text, encoding="utf-8")
    if write_docs:
        fill(DOCS, text)
    typer.echo(text)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(main)
    try:
        command()
    except (BrinklineError, OSError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code if isinstance(error, BrinklineError) else 2)
