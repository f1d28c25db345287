"""Do the words that an explanation names carry the label? Takes them out, and words drawn at random, and compares.

    python benchmarks/explain_faithfulness.py DATA.jsonl [DATA.jsonl ...] [--model FOLDER] [--seed 0]

Every decision of the model on a sentence of at least six words is counted: its stance, and each signal that it gives.
The three strongest words of the decided label are deleted, and, apart, three words drawn at random (the mean of several
draws); the label is changed where the stance is another, or the signal is no longer given. Labels in the data are not
looked at. Intervals: 95 %, documents resampled (percentile bootstrap, Efron 1979).

Ways to find the three words: ``search`` (what ``explain`` does), ``leave-one-out``, and ``mask``: leave-one-out with
[MASK] in the word's place. All are judged by deletion.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import brinkline
from brinkline.data.schema import read_labelled
from brinkline.model.classifier import Classifier
from brinkline.model.explain import LABELS, Explanation, find_words, log_odds, without
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.scores import SentenceScore
from brinkline.model.sentences import Span

FINDERS = ("search", "leave-one-out", "mask")
REMOVED = 3
RESAMPLES = 2000


class Counts:
    """Decisions by label: for each its document and, by way of removal, how often the label changed (0 to 1)."""

    def __init__(self) -> None:
        self.changed: dict[str, list[dict[str, float]]] = defaultdict(list)
        self.documents: dict[str, list[int]] = defaultdict(list)

    def add(self, label: str, document: int, changed: dict[str, float]) -> None:
        """Count one decision."""
        self.changed[label].append(changed)
        self.documents[label].append(document)

    def row(self, name: str, labels: Sequence[str], rng: np.random.Generator) -> str:
        """Return one line of the table: shares and ratios with intervals, over the decisions for some labels."""
        rows = [row for label in labels for row in self.changed[label]]
        if not rows:
            return f"{name:13} {0:9}"
        owners = np.unique([d for label in labels for d in self.documents[label]], return_inverse=True)[1]
        ways = ("random", *FINDERS)
        sums = np.zeros((owners.max() + 1, len(ways) + 1))
        np.add.at(sums, owners, np.array([[*(row[way] for way in ways), 1.0] for row in rows]))
        picks = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
        shares, drawn = _shares(sums.sum(axis=0)[None])[0], _shares(picks @ sums)
        cells = [_cell(shares[i], drawn[:, i]) for i in range(len(ways))]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [_cell(shares[i] / shares[0], drawn[:, i] / drawn[:, 0], 1) for i in range(1, len(ways))]
        return f"{name:13} {len(rows):9}  " + "  ".join(cells + ratios)


def measure(
    classifier: Classifier,
    documents: Sequence[Sequence[str]],
    *,
    words: int = 6,
    draws: int = 10,
    seed: int = 0,
) -> tuple[Counts, int]:
    """Explain every sentence, take out the strongest words of each decision and words at random.

    :param classifier: the model that is explained, and judged.
    :param documents: sentences by document.
    :param words: sentences with fewer are left out.
    :param draws: random triples a sentence.
    :param seed: of the draws.
    :return: the counts, and the number of sentences.
    """
    rng = random.Random(seed)
    counts, sentences = Counts(), 0
    for number, document in enumerate(documents):
        for text in document:
            spans = find_words(text)
            if len(spans) >= words:
                sentences += 1
                _measure_sentence(classifier, text, spans, number, draws, rng, counts)
    return counts, sentences


def _measure_sentence(
    classifier: Classifier,
    text: str,
    spans: list[Span],
    document: int,
    draws: int,
    rng: random.Random,
    counts: Counts,
) -> None:
    why = classifier.explain(text)
    masked = _masked(classifier, text, spans, why)
    at_random = [rng.sample(range(len(spans)), REMOVED) for _ in range(draws)]
    found = []
    for label in why.labels:
        column = LABELS.index(label)
        alone = np.array([word.contributions[label] for word in why.words])
        searched = [step.position for step in why.together[label]]
        found += [searched, [*np.argsort(-alone)[:REMOVED]], [*np.argsort(-masked[:, column])[:REMOVED]]]
    scores = classifier.predict_sentences([without(text, spans, set(s)) for s in [*found, *at_random]])
    for k, label in enumerate(why.labels):
        mine = scores[k * len(FINDERS) : (k + 1) * len(FINDERS)]
        changed = {way: float(_changed(score, label)) for way, score in zip(FINDERS, mine, strict=True)}
        changed["random"] = float(np.mean([_changed(score, label) for score in scores[len(found) :]]))
        counts.add(label, document, changed)


def _masked(classifier: Classifier, text: str, spans: list[Span], why: Explanation) -> NDArray[np.float64]:
    """Return contributions with [MASK] in the place of each word. *Shape:* ``(words, 6)``."""
    texts = [f"{text[: span.start]}[MASK]{text[span.end :]}" for span in spans]
    odds = log_odds(classifier.logits(classifier.encode(texts)), classifier.manifest.calibration)
    return np.array([why.log_odds[label] for label in LABELS]) - odds


def _changed(score: SentenceScore, label: str) -> bool:
    return score.stance != label if label in STANCES else label not in score.signals


def _shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: NDArray[np.float64] = sums[:, :-1] / sums[:, -1:]
    return shares


def _cell(value: float, drawn: NDArray[np.float64], digits: int = 3) -> str:
    # A resample in which nothing drawn at random changes a label has an infinite ratio, which counts as that.
    drawn = np.sort(drawn[~np.isnan(drawn)])
    if not len(drawn):
        return f"{value:.{digits}f}".rjust(20)
    low, high = (drawn[round(q * (len(drawn) - 1))] for q in (0.025, 0.975))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]".rjust(20)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="+", help="labelled .jsonl files or folders")
    parser.add_argument("--model", help="a model folder; by default the shipped model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", type=int, default=6, help="shortest sentence")
    parser.add_argument("--draws", type=int, default=10, help="random triples a sentence")
    parser.add_argument("--documents", type=int, help="measure on so many documents, drawn at random")
    parser.add_argument("--threads", type=int, help="threads of the engine; by default one a processor")
    arguments = parser.parse_args()
    if arguments.words < REMOVED:
        parser.error(f"--words must be at least {REMOVED}")
    documents = [[s.text for s in document.sentences] for document in read_labelled(arguments.data)]
    if arguments.documents and arguments.documents < len(documents):
        documents = random.Random(arguments.seed).sample(documents, arguments.documents)
    classifier = brinkline.load(arguments.model, threads=arguments.threads)
    counts, sentences = measure(
        classifier, documents, words=arguments.words, draws=arguments.draws, seed=arguments.seed
    )
    print(f"{classifier.name}: {sentences} sentences of at least {arguments.words} words")
    print(
        "share of decisions changed by deleting three words (random, then by way of finding them); ratios to random"
    )
    heads = ("random", *FINDERS, *(f"{name}/random" for name in FINDERS))
    print(f"{'label':13} {'decisions':>9}  " + "  ".join(head.rjust(20) for head in heads))
    groups = {name: (name,) for name in LABELS} | {"stance": STANCES, "signals": SIGNALS, "all": LABELS}
    for name, labels in groups.items():
        print(counts.row(name, labels, np.random.default_rng(arguments.seed)))


if __name__ == "__main__":
    main()
