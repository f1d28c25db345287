"""Near-duplicates between documents are found, and the words that give a label away."""

from brinkline.data.duplicates import near_duplicates
from brinkline.data.giveaways import giveaways
from brinkline.data.schema import Document, LabelledSentence

LONG = "The foreign minister told reporters in the capital that the two armies had agreed to a truce"


def document(name: str, *texts: str, stance: str = "neutral", signals: tuple[str, ...] = ()) -> Document:
    sentences = tuple(LabelledSentence(text, stance, signals) for text in texts)
    return Document(name, "test", sentences, "x.jsonl", 1)


def test_near_duplicates_of_other_documents_are_found() -> None:
    first = document("a", f"{LONG} on Monday.", f"{LONG} on Tuesday.")
    second = document("b", f"{LONG} on Friday.", "Something else altogether was said on the hill that day.")
    pairs = near_duplicates([first, second])
    assert {(p.first[0].id, p.second[0].id) for p in pairs} == {("a", "b")}
    assert len(pairs) == 2
    assert all(0.6 <= pair.similarity < 1 for pair in pairs)


def test_the_same_words_are_no_near_duplicate() -> None:
    assert near_duplicates([document("a", f"{LONG}."), document("b", LONG.upper())]) == []


def test_against_compares_across_only() -> None:
    own = [document("a", f"{LONG} today."), document("b", f"{LONG} yesterday.")]
    other = [document("g", f"{LONG} at noon."), document("h", f"{LONG} at night.")]
    pairs = near_duplicates(own, other)
    assert {(p.first[0].id, p.second[0].id) for p in pairs} == {
        ("a", "g"),
        ("a", "h"),
        ("b", "g"),
        ("b", "h"),
    }


def test_short_sentences_and_no_sentences() -> None:
    assert near_duplicates([document("a", "They met today."), document("b", "They met yesterday.")]) == []
    assert near_duplicates([]) == []


def test_giveaways() -> None:
    threats = document(
        "a", *(f"they warned side {n}" for n in range(20)), stance="hostile", signals=("threat",)
    )
    plain = document("b", *(f"they met side {n}" for n in range(20)), stance="conciliatory")
    found = giveaways([threats, plain])
    assert next((w.word, w.with_label, w.sentences, w.information) for w in found["threat"]) == (
        "warned",
        20,
        20,
        1.0,
    )
    assert found["conciliatory"][0].word == "met"
    assert found["retaliation"] == []
    assert {w.word for w in found["threat"]} == {"warned", "they", "side"}  # numbers are no words
