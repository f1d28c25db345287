"""The keyword baseline: one sentence a rule, and what must hold for any text."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train import keywords
from brinkline.train.keywords import classify, classify_all


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("Rebel gunners shelled the airport at dawn.", "hostile"),
        ("The foreign minister condemned the decision and rejected every term.", "hostile"),
        ("The envoy thanked his hosts and agreed to a second round of talks.", "conciliatory"),
        ("Both governments appealed for calm along the frontier.", "conciliatory"),
        ("The parliament building dates from 1911.", "neutral"),
        ("Although it welcomed the offer, the junta rejected the terms.", "hostile"),
    ],
)
def test_stance(text: str, stance: str) -> None:
    assert classify(text) == (stance, ())


@pytest.mark.parametrize(
    ("text", "signals"),
    [
        ("The union will shut the ports unless the decree is dropped.", ("threat",)),
        ("The minister spoke of grave consequences.", ("threat",)),
        ("The frigates sailed so that nobody should be tempted to try a landing.", ("deterrence",)),
        ("It bombed two depots in retaliation for the raid.", ("retaliation",)),
        ("It expelled three diplomats in response to the seizure of its ship.", ("retaliation",)),
        ("The general vowed to retaliate.", ("threat", "retaliation")),
        ("Any attack on the island will be met with force.", ("threat", "deterrence")),
    ],
)
def test_signals(text: str, signals: tuple[str, ...]) -> None:
    assert classify(text)[1] == signals


@pytest.mark.parametrize(
    "text",
    [
        "The army denied that it had shelled the village.",
        "The militia did not attack the convoy.",
        "The patrol never fired at the boats.",
    ],
)
def test_negation_and_denial_switch_a_keyword_off(text: str) -> None:
    assert classify(text) == ("neutral", ())


def test_a_call_for_restraint_carries_no_signal() -> None:
    assert classify("The envoy urged the generals not to retaliate for the raid.") == ("conciliatory", ())


@pytest.mark.parametrize(
    "text",
    [
        "The striker vowed revenge after the semi-final.",
        "The hurricane threatened to hit the coast.",
        "Analysts fear that the army will retaliate for the raid.",
    ],
)
def test_other_fields_and_forecasts_are_neutral(text: str) -> None:
    assert classify(text) == ("neutral", ())


def test_several_texts_keep_their_order() -> None:
    texts = ["Tanks shelled the town.", "", "The two presidents agreed to meet."]
    assert classify_all(texts) == [classify(text) for text in texts]


def test_there_are_at_least_sixty_patterns() -> None:
    tables = [value for name, value in vars(keywords).items() if name.isupper() and isinstance(value, tuple)]
    patterns = [item for table in tables for item in table if isinstance(item, re.Pattern)]
    assert len(patterns) >= 60


@given(st.text())
def test_any_text_gets_valid_labels(text: str) -> None:
    stance, signals = classify(text)
    assert stance in STANCES
    assert signals == tuple(signal for signal in SIGNALS if signal in signals)


@pytest.mark.parametrize("word", ["if ", "a", "will any ", "-", "for the ", "unless it will be ", "\n"])
def test_a_megabyte_on_one_line_is_quick(word: str) -> None:
    begun = time.perf_counter()
    classify(word * (1_000_000 // len(word)))
    assert time.perf_counter() - begun < 5
