"""The baselines that need no network: the keyword list and TF-IDF."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from brinkline.data.schema import Document, LabelledSentence
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.baselines import LearnedBaseline, keyword_decisions, tfidf
from brinkline.train.keywords import classify
from brinkline.train.metrics import Truth, measure

KINDS: list[tuple[str, str, tuple[str, ...]]] = [
    ("gunners shelled the harbour near {}", "hostile", ()),
    ("the general vowed to strike {} again", "hostile", ("threat",)),
    ("in answer to the raid planes bombed {}", "hostile", ("retaliation",)),
    ("a patrol off {} warned others to keep away", "hostile", ("deterrence",)),
    ("envoys met in {} and praised the accord", "conciliatory", ()),
    ("a census of {} lists its wells and roads", "neutral", ()),
]
PLACES = ("Arda", "Belm", "Corin", "Dosk", "Eral", "Finmar", "Gostra", "Hale")

Toy = tuple[list[str], Truth]


def toy(n: int, seed: int, kinds: Sequence[tuple[str, str, tuple[str, ...]]] = KINDS) -> Toy:
    choose = random.Random(seed)
    rows = [choose.choice(kinds) for _ in range(n)]
    sentences = tuple(LabelledSentence(text.format(choose.choice(PLACES)), *labels) for text, *labels in rows)  # type: ignore[arg-type]
    document = Document("d", "s", sentences, "f", 1)
    return [sentence.text for sentence in sentences], Truth.of([document])


def fitted(train: Toy, dev: Toy) -> LearnedBaseline:
    return tfidf().fit(*train, *dev)


def test_learnt_labels_beat_chance() -> None:
    texts, truth = toy(120, 2)
    decisions = fitted(toy(240, 0), toy(120, 1)).decide(texts)
    figures = measure(truth, decisions)
    assert figures["stance"]["macro_f1"] > 0.95
    assert figures["signals"]["macro_f1"] > 0.95
    always = np.bincount(truth.stance).max() / len(texts)
    assert figures["stance"]["accuracy"] > always + 0.2


def test_probabilities_are_probabilities() -> None:
    decisions = fitted(toy(240, 0), toy(120, 1)).decide(toy(30, 2)[0])
    stance, signals = decisions.stance_probabilities, decisions.signal_probabilities
    assert stance is not None
    assert signals is not None
    assert stance.shape == signals.shape == (30, 3)
    assert stance.sum(axis=1) == pytest.approx(1)
    assert ((signals >= 0) & (signals <= 1)).all()
    assert (stance.argmax(axis=1) == decisions.stance).all()


def test_fitting_twice_gives_the_same() -> None:
    texts = toy(40, 2)[0]
    one, other = (fitted(toy(240, 0), toy(120, 1)).decide(texts).signal_probabilities for _ in range(2))
    assert one is not None
    assert other is not None
    assert (one == other).all()


def test_shuffled_labels_teach_nothing() -> None:
    texts, truth = toy(240, 0)
    mixed = np.random.default_rng(0).permutation(240)
    shuffled = Truth(truth.stance[mixed], truth.signals[mixed], truth.documents)
    learnt = tfidf().fit(texts, shuffled, *toy(120, 1))
    unseen, wanted = toy(200, 2)
    assert measure(wanted, learnt.decide(unseen))["stance"]["macro_f1"] < 0.6


@pytest.mark.parametrize("missing", STANCES)
def test_a_missing_stance_is_never_given(missing: str) -> None:
    kinds = [kind for kind in KINDS if kind[1] != missing]
    decisions = fitted(toy(200, 0, kinds), toy(100, 1, kinds)).decide(toy(60, 2)[0])
    column = STANCES.index(missing)
    assert decisions.stance_probabilities is not None
    assert (decisions.stance_probabilities[:, column] == 0).all()
    assert column not in decisions.stance
    assert len(set(decisions.stance)) == 2


@pytest.mark.parametrize("missing", SIGNALS)
def test_a_missing_signal_is_never_given(missing: str) -> None:
    kinds = [kind for kind in KINDS if missing not in kind[2]]
    decisions = fitted(toy(200, 0, kinds), toy(100, 1)).decide(toy(60, 2)[0])
    assert decisions.signals.sum(axis=0)[SIGNALS.index(missing)] == 0
    assert (decisions.signals.sum(axis=0) > 0).sum() == 2


def test_signals_are_learned_only_where_they_are_taught() -> None:
    texts, truth = toy(240, 0)
    wrong = Truth(truth.stance, 1 - truth.signals, truth.documents)
    both = Truth(
        *(np.concatenate([a, b]) for a, b in zip(vars(truth).values(), vars(wrong).values(), strict=True))
    )
    dev, test = toy(120, 1), toy(120, 2)
    misled = tfidf().fit([*texts, *texts], both, *dev)
    spared = tfidf().fit([*texts, *texts], both, *dev, taught=np.arange(240))
    plain = fitted((texts, truth), dev)
    found = [model.decide(test[0]).signal_probabilities for model in (misled, spared, plain)]
    assert all(p is not None for p in found)
    assert found[1] == pytest.approx(found[2], abs=0.02), "as without the others"
    assert np.abs(found[0] - found[2]).max() > 0.3


def test_one_class_alone_is_always_given() -> None:
    texts, truth = toy(60, 0, [KINDS[1]])
    decisions = fitted((texts, truth), toy(60, 1)).decide(["the general vowed to strike", "a census"])
    assert decisions.stance.tolist() == [0, 0]
    assert decisions.signal_probabilities is not None
    assert decisions.signal_probabilities.tolist() == [[1.0, 0.0, 0.0]] * 2
    assert decisions.signals.tolist() == [[1, 0, 0]] * 2


def test_thresholds_come_from_the_development_part() -> None:
    train, unseen = toy(240, 0), toy(60, 2)[0]
    texts, truth = toy(120, 1)
    denied = Truth(truth.stance, np.zeros_like(truth.signals), truth.documents)
    usual, half = fitted(train, (texts, truth)), fitted(train, (texts, denied))
    # Without a development sentence that carries it, a signal keeps the threshold 0.5.
    found = half.decide(unseen)
    assert found.signal_probabilities is not None
    assert (found.signals == (found.signal_probabilities >= 0.5)).all()
    again = usual.decide(unseen)
    assert again.signal_probabilities == pytest.approx(found.signal_probabilities)


def test_keyword_decisions_are_those_of_the_list_in_order() -> None:
    texts = [
        "Rebel gunners shelled the airport.",
        "The two ministers met in Oslo.",
        "It rained.",
        "We will retaliate.",
    ]
    documents = [
        Document(str(i), "s", tuple(LabelledSentence(text, "neutral", ()) for text in part), "f", 1)
        for i, part in enumerate((texts[:1], texts[1:]))
    ]
    decisions = keyword_decisions(documents)
    assert decisions.stance_probabilities is None
    for row, text in enumerate(texts):
        stance, signals = classify(text)
        assert STANCES[decisions.stance[row]] == stance
        assert tuple(n for n, given in zip(SIGNALS, decisions.signals[row], strict=True) if given) == tuple(
            signals
        )
    assert [STANCES[i] for i in decisions.stance[:3]] == ["hostile", "conciliatory", "neutral"]


def test_keyword_decisions_of_nothing() -> None:
    decisions = keyword_decisions([])
    assert (decisions.stance.shape, decisions.signals.shape) == ((0,), (0, 3))
