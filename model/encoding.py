"""Sentences to token ids: one code path for training and inference, so that both read the same input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

IntArray = NDArray[np.int64]

Pooling = Literal["mean", "first"]
"""How token vectors become the sentence's: their mean, or the first token's. The latter spares the last layer most of
its work, since nothing else of it is read."""


@dataclass(frozen=True, slots=True)
class EncodedSentence:
    """Token ids of one sentence, with the sentences before it where the model reads context."""

    ids: list[int]
    type_ids: list[int]
    pooling: list[int]
    """1 for tokens that the mean is taken over: all of them, or with context the sentence's own."""
    truncated: bool

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded arrays, each of *Shape:* ``(batch_size, tokens)``."""

    input_ids: IntArray
    attention_mask: IntArray
    token_type_ids: IntArray
    pooling_mask: IntArray


class SentenceEncoder:
    """A tokenizer with the model's limits.

    :param tokenizer: content of a ``tokenizer.json``.
    :param max_tokens: longest input, special tokens counted in.
    """

    def __init__(self, tokenizer: str, max_tokens: int) -> None:
        from tokenizers import Tokenizer

        self.max_tokens = max_tokens
        self._tokenizer: Tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.pad_id = _pad_id(self._tokenizer)
        self._room = max_tokens - self._tokenizer.num_special_tokens_to_add(False)
        self._pair_room = max_tokens - self._tokenizer.num_special_tokens_to_add(True)
        if self._pair_room < 1:
            raise ValueError(f"max_tokens must leave room for a sentence, got {max_tokens}")

    @classmethod
    def from_file(cls, path: Path, max_tokens: int) -> SentenceEncoder:
        """Read a ``tokenizer.json``."""
        return cls(path.read_text(encoding="utf-8"), max_tokens)

    def to_json(self) -> str:
        """Return the tokenizer as the content of a ``tokenizer.json``."""
        text: str = self._tokenizer.to_str()
        return text

    def encode(self, texts: Sequence[str], previous: Sequence[str] | None = None) -> list[EncodedSentence]:
        """Turn sentences into token ids.

        A sentence over the limit loses its end and is flagged; context over what is left of the limit loses
        its beginning, which is no loss of what is scored and is not flagged.

        :param texts: the sentences.
        :param previous: for each sentence the text before it (empty for none), or None for no context at all.
        :return: one entry a sentence, in order.
        """
        sentences = self._encode_plain(texts)
        contexts = self._encode_plain(previous) if previous is not None else [None] * len(texts)
        return [self._assemble(s, c) for s, c in zip(sentences, contexts, strict=True)]

    def _encode_plain(self, texts: Sequence[str]) -> list[Encoding]:
        # A lone surrogate cannot be written as UTF-8, which is what the tokenizer reads.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        return encodings

    def _assemble(self, sentence: Encoding, context: Encoding | None) -> EncodedSentence:
        pair = context is not None and len(context) > 0
        room = self._pair_room if pair else self._room
        truncated = len(sentence) > room
        if truncated:
            sentence.truncate(room)
        left = room - len(sentence)
        if context is None or not pair or left < 1:
            whole = self._tokenizer.post_process(sentence)
            return EncodedSentence(whole.ids, whole.type_ids, [1] * len(whole.ids), truncated)
        if len(context) > left:
            context.truncate(left, direction="left")
        whole = self._tokenizer.post_process(context, sentence)
        return EncodedSentence(
            whole.ids, whole.type_ids, [int(i == 1) for i in whole.sequence_ids], truncated
        )


def collate(sentences: Sequence[EncodedSentence], pad_id: int) -> Batch:
    """Pad sentences to the longest of them.

    :param sentences: at least one.
    :param pad_id: token id of the padding.
    :return: arrays of *Shape:* ``(len(sentences), longest)``.
    """
    shape = (len(sentences), max(len(sentence) for sentence in sentences))
    ids = np.full(shape, pad_id, dtype=np.int64)
    attention, types, pooling = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for row, sentence in enumerate(sentences):
        n = len(sentence)
        ids[row, :n] = sentence.ids
        attention[row, :n] = 1
        types[row, :n] = sentence.type_ids
        pooling[row, :n] = sentence.pooling
    return Batch(ids, attention, types, pooling)


def _pad_id(tokenizer: Tokenizer) -> int:
    for token in ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>"):
        if (found := tokenizer.token_to_id(token)) is not None:
            return int(found)
    return 0  # any id will do: padding is masked out of attention and of the mean
