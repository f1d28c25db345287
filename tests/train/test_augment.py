"""Other names for countries: consistent, in the same form, and nothing else touched."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.data.schema import Document, LabelledSentence
from brinkline.train.augment import COUNTRIES, swap_names, with_other_names


def forms(text: str) -> list[int]:
    """Return which countries a text names, in the order of the list."""
    return [i for i, names in enumerate(COUNTRIES) if any(name in text for name in names)]


@given(st.integers(0, 10_000))
def test_each_country_becomes_one_other_throughout(seed: int) -> None:
    text = swap_names(
        "Iranian jets left Tehran; Iran said that France and the French knew.", random.Random(seed)
    )
    words = text.replace(";", "").rstrip(".").split()
    found = [names for names in COUNTRIES if text.startswith((names[1], names[1][:1].upper() + names[1][1:]))]
    assert any(names[2] in text and names[0] in text for names in found), text
    assert "jets left" in text
    assert text.endswith("knew.")
    assert "Iran" not in text or "Iran" in {names[0] for names in COUNTRIES if names[0] in text}
    assert len(words) >= 11


def test_form_and_article() -> None:
    texts = {swap_names("The United States spoke.", random.Random(seed)) for seed in range(60)}
    assert len(texts) > 20
    assert all(text[0].isupper() and text.endswith(" spoke.") for text in texts)
    assert not any("the the" in text.lower() for text in texts)
    assert all(
        "the the" not in swap_names("He left the Philippines.", random.Random(seed)) for seed in range(60)
    )


@pytest.mark.parametrize(
    "text", ["South Sudan spoke.", "New Georgia", "He is a Parisian.", "Chadwick", "US-led"]
)
def test_longer_names_stay(text: str) -> None:
    assert swap_names(text, random.Random(1)) == text


def test_share_of_documents() -> None:
    documents = [
        Document(str(n), "test", (LabelledSentence("Iran fired.", "hostile", ("threat",)),), "x", n)
        for n in range(200)
    ]
    changed = with_other_names(documents, 0.5, seed=1)
    count = sum(d.sentences[0].text != "Iran fired." for d in changed)
    assert 70 < count < 130
    assert all(d.sentences[0].signals == ("threat",) for d in changed)
    assert with_other_names(documents, 0.5, seed=1) == changed
    assert with_other_names(documents, 0, seed=1) == tuple(documents)
