"""The measures: contestants by turns, articles, cold starts, scaling, and whether batches change results."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from speed_peers import (
    Contestant,
    FloatArray,
    Peers,
    SpeedError,
    build,
    with_brinkline,
    with_pipeline,
    with_torch,
)

from brinkline.data.schema import read_labelled, sentences_of
from brinkline.model.encoding import SentenceEncoder

Times = dict[str, list[float]]
"""Name of a contestant → seconds, one entry a round."""

ROOT = Path(__file__).parent.parent
_WARM = 64  # sentences that every contestant scores before it is timed

_PIPELINE = """
import sys
from transformers import pipeline
pipe = pipeline("text-classification", model=sys.argv[1], device="cpu", top_k=None)
with open(sys.argv[2], encoding="utf-8") as file:
    print(pipe(file.read().splitlines(), batch_size=32, truncation=True))
"""
_PIPELINE_ONE = """
import sys
from transformers import pipeline
pipe = pipeline("text-classification", model=sys.argv[1], device="cpu", top_k=None)
print(pipe("They vowed to retaliate."))
"""
_BRINKLINE_ONE = """
import sys, brinkline
print(brinkline.load(sys.argv[1]).predict("They vowed to retaliate."))
"""


def read_texts(path: Path | None, count: int, seed: int) -> list[str]:
    """Draw sentences.

    :param path: JSON lines with ``text``, one sentence each; by default the project's own corpus.
    :param count: how many at most.
    :param seed: fixes the draw.
    :raises SpeedError: where a line has no text.
    """
    if path is None:
        texts = [sentence.text for sentence in sentences_of(read_labelled([ROOT / "data" / "corpus"]))]
    else:
        texts = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                text = None
            if not isinstance(text, str) or not text.strip():
                raise SpeedError(f"{path}:{number}: expected an object with a 'text'")
            texts.append(text)
    if not texts:
        raise SpeedError(f"{path}: no sentences")
    return random.Random(seed).sample(texts, min(count, len(texts)))


def by_turns(contestants: Sequence[Contestant], texts: Sequence[str], rounds: int) -> Times:
    """Time each contestant once a round, in an order that turns from round to round.

    What slows the machine for a while so meets all of them. A first go on a few sentences is not counted, and the
    garbage collector runs before each go, not in it.

    :param contestants: whom to time.
    :param texts: the same sentences for each.
    :param rounds: how often.
    """
    inputs = {contestant.name: contestant.prepare(texts) for contestant in contestants}
    for contestant in contestants:
        contestant.run(contestant.prepare(texts[:_WARM]))
    times: Times = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        turn = number % len(contestants)
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            times[contestant.name].append(_timed(contestant.run, inputs[contestant.name]))
    return times


def _timed(run: Callable[[Any], Any], given: Any) -> float:
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        run(given)
        return time.perf_counter() - began
    finally:
        gc.enable()


def one_by_one(contestants: Sequence[Contestant], items: Sequence[Sequence[str]], rounds: int) -> Times:
    """Time calls with one item each; the seconds of a round are the median call's.

    :param contestants: whom to time.
    :param items: lists of sentences, each of which is one call.
    :param rounds: how often all items are gone through.
    """
    times: Times = {contestant.name: [] for contestant in contestants}
    inputs = {c.name: [c.prepare(item) for item in items] for c in contestants}
    for contestant in contestants:
        contestant.run(inputs[contestant.name][0])
    for _ in range(rounds):
        calls: Times = {contestant.name: [] for contestant in contestants}
        for position in range(len(items)):
            for contestant in contestants:
                calls[contestant.name].append(_timed(contestant.run, inputs[contestant.name][position]))
        for name, seconds in calls.items():
            times[name].append(float(np.median(seconds)))
    return times


def with_article(peers: Peers) -> Contestant:
    """Return ``Classifier.predict`` on one article, splitting included."""
    return Contestant("brinkline", peers.classifier.predict, prepare=" ".join, own=True)


def cold_starts(model: Path, peer: Path, article: Path, rounds: int) -> dict[str, Any]:
    """Start new processes that score an article or a sentence, and measure wall time and peak memory of each.

    The peer gets the article's sentences already split, one a line.

    :param model: the model folder.
    :param peer: the same model as transformers stores it.
    :param article: a text file.
    :param rounds: how often each is started.
    """
    from brinkline.model.sentences import split

    text = article.read_text(encoding="utf-8")
    lines = peer / "sentences.txt"
    lines.write_text(
        "\n".join(" ".join(text[span.start : span.end].split()) for span in split(text)), encoding="utf-8"
    )
    predict = [sys.executable, "-m", "brinkline", "predict", str(article), "--format", "jsonl"]
    commands = {
        "python that does nothing": [sys.executable, "-c", "pass"],
        "pipeline, an article": [sys.executable, "-c", _PIPELINE, str(peer), str(lines)],
        "brinkline predict, an article": [*predict, "--model", str(model)],
        "pipeline, import and one sentence": [sys.executable, "-c", _PIPELINE_ONE, str(peer)],
        "import brinkline and one sentence": [sys.executable, "-c", _BRINKLINE_ONE, str(model)],
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "speed_cold.py"), str(rounds)],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        # The model is a folder: the hub is not to be asked for anything.
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode:
        raise SpeedError(f"a cold start failed:\n{done.stderr}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def scaled_contestants(peers: Peers, batch: int = 32) -> list[Contestant]:
    """Return those whose scaling is compared."""
    return [with_pipeline(peers, batch), with_torch(peers, batch=batch), with_brinkline(peers, batch)]


def by_length(
    peers: Peers, texts: Sequence[str], lengths: Sequence[int], count: int, rounds: int
) -> dict[str, Times]:
    """Time sentences of one length each."""
    contestants = scaled_contestants(peers)
    return {
        str(length): by_turns(contestants, of_length(peers.encoder, texts, length, count), rounds)
        for length in lengths
    }


def of_length(encoder: SentenceEncoder, texts: Sequence[str], tokens: int, count: int) -> list[str]:
    """Make sentences of exactly so many tokens, the special ones counted in, out of the words of others.

    :raises SpeedError: where the texts hold no word that is one token.
    """
    words = sorted({word for text in texts for word in text.split() if word.isalpha()})
    special = len(encoder.encode([""])[0])
    whole = [
        word for word, found in zip(words, encoder.encode(words), strict=True) if len(found) == special + 1
    ]
    if not whole:
        raise SpeedError("the texts hold no word that is one token")
    draw = random.Random(tokens)
    return [" ".join(draw.choices(whole, k=tokens - special)) for _ in range(count)]


def by_batch(peers: Peers, texts: Sequence[str], batches: Sequence[int], rounds: int) -> dict[str, Times]:
    """Time batches of several sizes; names are without the size."""
    found = {}
    for batch in batches:
        times = by_turns(scaled_contestants(peers, batch), texts, rounds)
        found[str(batch)] = {name.partition(", batch")[0]: seconds for name, seconds in times.items()}
    return found


def by_threads(
    model: Path, checkpoint: Path | None, texts: Sequence[str], most: int, rounds: int
) -> dict[str, Times]:
    """Time several numbers of threads, each in a new process that may use so many processors.

    :param most: the largest number; the others are 1 and its powers of two below.
    """
    counts = sorted({most, *(2**power for power in range(most.bit_length()) if 2**power <= most)})
    found = {}
    for count in counts:
        context = multiprocessing.get_context("spawn")
        with _processors(count), ProcessPoolExecutor(1, context) as pool:
            found[str(count)] = pool.submit(
                _with_threads, model, checkpoint, list(texts), count, rounds
            ).result()
    return found


def _with_threads(model: Path, checkpoint: Path | None, texts: list[str], threads: int, rounds: int) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        peers = build(model, checkpoint, Path(folder), threads)
        return by_turns(scaled_contestants(peers), texts, rounds)


@contextmanager
def _processors(count: int) -> Iterator[None]:
    """Let processes that are started meanwhile use only so many processors."""
    threads = os.environ.get("RAYON_NUM_THREADS")
    os.environ["RAYON_NUM_THREADS"] = str(count)  # of the tokenizers
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed is not None:
        os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        yield
    finally:
        if allowed is not None:
            os.sched_setaffinity(0, allowed)
        if threads is None:
            del os.environ["RAYON_NUM_THREADS"]
        else:
            os.environ["RAYON_NUM_THREADS"] = threads


def invariance(peers: Peers, texts: Sequence[str]) -> dict[str, float]:
    """Return by how much a probability moves at most between a sentence alone, in batches, and in another order."""

    def own(batch: int) -> Callable[[list[str]], FloatArray]:
        return lambda given: _every_probability(peers, given, batch)

    def pipeline(batch: int) -> Callable[[list[str]], FloatArray]:
        contestant = with_pipeline(peers, batch)
        stance = contestant.stance
        assert stance is not None
        return lambda given: stance(contestant.run(given))

    def bfloat16(batch: int) -> Callable[[list[str]], FloatArray]:
        return with_torch(peers, bfloat16=True, batch=batch).run

    ways = {"pipeline": pipeline, "torch eager, bf16": bfloat16, "brinkline predict_sentences": own}
    return {name: _largest_move(way, list(texts)) for name, way in ways.items()}


def _every_probability(peers: Peers, texts: list[str], batch: int) -> FloatArray:
    scores = peers.classifier.predict_sentences(texts, batch_size=batch)
    return np.array([[*s.stance_probabilities.values(), *s.signal_probabilities.values()] for s in scores])


def _largest_move(way: Callable[[int], Callable[[list[str]], FloatArray]], texts: list[str]) -> float:
    score = way(1)
    alone = np.concatenate([score([text]) for text in texts])
    together = [way(batch)(texts) for batch in (2, 32, 128)]
    other_way_round = way(32)(texts[::-1])[::-1]
    return float(max(np.abs(alone - other).max() for other in [*together, other_way_round]))
