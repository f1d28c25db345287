"""Other names for countries: consistent, in the same form, and nothing else touched."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.data.schema import Document, LabelledSentence
from brinkline.train.augment import COUNTRIES, other_countries, swap_names, with_other_names


@given(st.integers(0, 10_000))
def test_every_country_becomes_another(seed: int) -> None:
    others = other_countries(random.Random(seed))
    assert sorted(others) == list(range(len(COUNTRIES)))
    assert all(new != old for old, new in enumerate(others))


@given(st.integers(0, 10_000))
def test_the_same_one_throughout_and_in_the_same_form(seed: int) -> None:
    others = other_countries(random.Random(seed))
    text = swap_names("Iranian jets left Tehran; Iran said that France knew.", others)
    iran, france = (COUNTRIES[others[i]] for i in (1, 0))
    assert text == f"{iran[1]} jets left {iran[2]}; {iran[0]} said that {france[0]} knew."


def test_articles() -> None:
    texts = [
        swap_names("The United States spoke.", other_countries(random.Random(seed))) for seed in range(60)
    ]
    assert len(set(texts)) > 20
    assert all(text[0].isupper() and text.endswith(" spoke.") for text in texts)
    assert not any("the the" in text.lower() for text in texts)
    for seed in range(60):
        others = other_countries(random.Random(seed))
        assert "the the" not in swap_names("He left the Philippines.", others)
        article, name = swap_names("a French ship", others).split()[:2]
        assert article == ("an" if name[0] in "AEIOU" else "a")


@pytest.mark.parametrize(
    "text", ["South Sudan spoke.", "New Georgia", "He is a Parisian.", "Chadwick", "US-led"]
)
def test_longer_names_stay(text: str) -> None:
    assert swap_names(text, other_countries(random.Random(1))) == text


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
