"""Figures by group add up, small groups go with the rest, and a contrast group is right as a whole or not."""

import numpy as np

from brinkline.data.schema import Document, LabelledSentence
from brinkline.train.breakdown import REST, breakdown, contrast_groups, length_of
from brinkline.train.metrics import Decisions, Truth


def documents() -> list[Document]:
    made = []
    for number in range(60):
        source = "wire" if number < 30 else "radio" if number < 55 else "rare"
        text = "They met." if number % 2 else "They " + "met " * 30
        sentence = LabelledSentence(text, "conciliatory", ("deterrence",) if number < 10 else ())
        rule = "rule 1" if number < 4 else ""
        made.append(Document(str(number), source, (sentence, sentence), "x", number, rule=rule))
    return made


def test_groups() -> None:
    items = documents()
    truth = Truth.of(items)
    stance = truth.stance.copy()
    stance[:30] = 0  # half of the first source wrong
    found = breakdown(items, truth, Decisions(stance, np.zeros_like(truth.signals)))
    assert set(found) == {"source", "length"}  # nothing is known of genre and region
    assert {name: group["sentences"] for name, group in found["source"].items()} == {
        "wire": 60,
        "radio": 50,
        REST: 10,
    }
    assert found["source"]["wire"]["stance_accuracy"] == 0.5
    assert found["source"]["radio"]["stance_accuracy"] == 1
    assert found["source"]["wire"]["signals_micro_f1"] == 0
    assert found["source"]["radio"]["signals_micro_f1"] is None
    assert found["source"]["wire"]["signals"] == {"threat": 0, "deterrence": 20, "retaliation": 0}
    assert sum(group["sentences"] for group in found["length"].values()) == 120
    assert list(found["length"]) == ["under 8 words", "25 to 44 words"]


def test_length_groups_have_no_gap() -> None:
    assert [length_of("x " * n) for n in (1, 7, 8, 15, 16, 24, 25, 44, 45)] == [
        "under 8 words",
        "under 8 words",
        "8 to 15 words",
        "8 to 15 words",
        "16 to 24 words",
        "16 to 24 words",
        "25 to 44 words",
        "25 to 44 words",
        "45 words and more",
    ]


def test_a_length_that_is_rare_goes_with_the_rest() -> None:
    items = documents()
    long = LabelledSentence("They " + "met " * 50, "conciliatory", ())
    items += [Document(f"long-{i}", "wire", (long,), "x", i) for i in range(7)]
    truth = Truth.of(items)
    found = breakdown(items, truth, Decisions(truth.stance, truth.signals))["length"]
    assert list(found) == ["under 8 words", "25 to 44 words", REST]
    assert found[REST]["sentences"] == 7
    assert sum(group["sentences"] for group in found.values()) == 127


def test_contrast_groups() -> None:
    items = documents()
    truth = Truth.of(items)
    signals = truth.signals.copy()
    signals[1, 1] = 0  # one sentence of the first group
    stance = truth.stance.copy()
    stance[9] = 0  # of a document that is no group
    decisions = Decisions(stance, signals)
    assert contrast_groups(items, truth, decisions) == {"groups": 4, "wholly_right": 0.75}
    plain = items[4:]
    assert contrast_groups(plain, Truth.of(plain), Decisions(stance[8:], signals[8:])) is None
