import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brinkline.model.encoding import SentenceEncoder, collate


@pytest.fixture(scope="module")
def encoder(tokenizer_json: str) -> SentenceEncoder:
    return SentenceEncoder(tokenizer_json, max_tokens=16)


def test_sentence_without_context_is_pooled_over_all_its_tokens(encoder: SentenceEncoder) -> None:
    [sentence] = encoder.encode(["the army fire"])
    assert sentence.ids[0] == 2
    assert sentence.ids[-1] == 3
    assert len(sentence) == 5
    assert sentence.pooling == [1] * 5
    assert sentence.type_ids == [0] * 5
    assert not sentence.truncated


def test_context_comes_first_and_is_not_pooled(encoder: SentenceEncoder) -> None:
    [sentence] = encoder.encode(["the army fire"], ["talks on monday"])
    assert sentence.ids == [2, *sentence.ids[1:4], 3, *sentence.ids[5:8], 3]
    assert sentence.pooling == [0] * 5 + [1] * 3 + [0]
    assert sentence.type_ids == [0] * 5 + [1] * 4


def test_no_context_is_the_same_as_empty_context(encoder: SentenceEncoder) -> None:
    assert encoder.encode(["the army fire"]) == encoder.encode(["the army fire"], [""])


def test_long_sentence_loses_its_end_and_is_flagged(encoder: SentenceEncoder) -> None:
    exact, long = encoder.encode([" ".join(["army"] * 14), " ".join(["army"] * 15)])
    assert (len(exact), exact.truncated) == (16, False)
    assert (len(long), long.truncated) == (16, True)


def test_long_context_loses_its_beginning_and_is_not_flagged(encoder: SentenceEncoder) -> None:
    [sentence] = encoder.encode(["the army"], ["talks " * 30 + "monday"])
    assert len(sentence) == 16
    assert not sentence.truncated
    [near] = encoder.encode(["the army"], ["monday"])
    assert sentence.ids[sentence.ids.index(3) - 1] == near.ids[1], "the nearest word before stays"


def test_context_is_left_out_when_the_sentence_needs_all_the_room(encoder: SentenceEncoder) -> None:
    [sentence] = encoder.encode([" ".join(["army"] * 40)], ["talks on monday"])
    assert sentence.truncated
    assert len(sentence) <= 16


def test_collate_pads_to_the_longest(encoder: SentenceEncoder) -> None:
    sentences = encoder.encode(["the army", "the army fire on city"])
    batch = collate(sentences, pad_id=0)
    assert batch.input_ids.shape == (2, 7)
    assert batch.attention_mask.sum(axis=1).tolist() == [4, 7]
    assert np.array_equal(batch.attention_mask, batch.pooling_mask)
    assert (batch.input_ids[0, 4:] == 0).all()


def test_limit_without_room_for_a_sentence_is_refused(tokenizer_json: str) -> None:
    with pytest.raises(ValueError, match="max_tokens must leave room"):
        SentenceEncoder(tokenizer_json, max_tokens=3)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=80), max_size=6))
def test_any_text_is_encoded_within_the_limit(encoder: SentenceEncoder, texts: list[str]) -> None:
    found = encoder.encode(texts, [" ".join(texts)] * len(texts))
    assert len(found) == len(texts)
    for sentence in found:
        assert 2 <= len(sentence) <= 16
        assert len(sentence.ids) == len(sentence.type_ids) == len(sentence.pooling)
