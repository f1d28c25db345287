"""Logits of labelled documents, from a torch network or from a loaded model folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from brinkline.data.schema import Document, sentences_of
from brinkline.model.checkpoint import TOKENIZER
from brinkline.model.classifier import Classifier
from brinkline.model.encoding import Batch, EncodedSentence, SentenceEncoder
from brinkline.model.engine import Logits, run_sorted
from brinkline.model.network import Network


class TorchEngine:
    """A torch network behind the same interface as the engines of inference.

    :param network: is put into evaluation mode.
    :param bfloat16: compute in bfloat16 where that is fast, else in fp32.
    """

    def __init__(self, network: Network, bfloat16: bool = False) -> None:
        self._network = network.eval()
        self._bfloat16 = bfloat16
        self._device = next(network.parameters()).device

    def run(self, batch: Batch) -> Logits:
        """Return the logits of a batch."""
        with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            stance, signals = self._network(**to_tensors(batch, self._device))
        return Logits(stance.float().cpu().numpy(), signals.float().cpu().numpy())

    def embed(self, batch: Batch) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Return the pooled vectors of a batch. *Shape:* ``(batch_size, width)``."""
        with torch.no_grad():
            vectors = self._network.embed(**to_tensors(batch, self._device))
        array: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = vectors.float().cpu().numpy()
        return array


def to_tensors(batch: Batch, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Return the network's arguments."""
    return {
        "input_ids": torch.from_numpy(batch.input_ids).to(device),
        "attention_mask": torch.from_numpy(batch.attention_mask).to(device),
        "token_type_ids": torch.from_numpy(batch.token_type_ids).to(device),
        "pooling_mask": torch.from_numpy(batch.pooling_mask).to(device),
    }


def encode_documents(
    documents: Sequence[Document], encoder: SentenceEncoder, context: int
) -> list[EncodedSentence]:
    """Turn all sentences of documents into token ids, with their context."""
    sentences = sentences_of(documents)
    texts = [sentence.text for sentence in sentences]
    return encoder.encode(texts, [s.context(context) for s in sentences] if context else None)


def network_logits(checkpoint: Path, documents: Sequence[Document]) -> Logits:
    """Run a training checkpoint over documents, in fp32.

    :param checkpoint: a folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
    :param documents: ``n`` sentences in all.
    :return: logits, *Shape:* ``(n, 3)`` each.
    """
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    return batched_logits(network, encoder, documents, limits["context"])


def batched_logits(
    network: Network,
    encoder: SentenceEncoder,
    documents: Sequence[Document],
    context: int,
    batch_size: int = 32,
) -> Logits:
    """Run a network over documents, in batches of like length; see :func:`network_logits`."""
    encoded = encode_documents(documents, encoder, context)
    return run_sorted(TorchEngine(network), encoded, encoder.pad_id, batch_size)


def model_logits(classifier: Classifier, documents: Sequence[Document]) -> Logits:
    """Run a loaded model folder over documents; see :func:`network_logits`."""
    sentences = sentences_of(documents)
    context = classifier.manifest.context
    previous = [sentence.context(context) for sentence in sentences]
    return classifier.logits(classifier.encode([s.text for s in sentences], previous))
