"""Static 8-bit quantisation: activations have ranges that were measured beforehand, on sentences of their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from brinkline.model.encoding import EncodedSentence, collate
from brinkline.model.engine import batches_of_like_length
from brinkline.train.graph import INPUTS, Activation, build, products

FloatArray = NDArray[np.float32]

STRENGTH: Mapping[str, float] = {"attention": 0.6, "output": 0.0, "up": 0.6, "down": 0.9}
"""How much of an activation's unevenness over its channels moves into the matrix (alpha of SmoothQuant), by the kind of
product; 0 leaves both as they are. Chosen on release 0.2.0 by the share of stances that change."""

_SMALLEST = 1e-5  # of a channel's values: below, it counts as empty


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest value of each channel of an activation. *Shape:* ``(channels,)`` each."""

    low: FloatArray
    high: FloatArray

    def join(self, other: Ranges) -> Ranges:
        """The ranges of both."""
        return Ranges(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


def measure_ranges(
    state: Mapping[str, FloatArray],
    config: Mapping[str, Any],
    sentences: Sequence[EncodedSentence],
    pad_id: int,
    work: Path,
) -> dict[str, Ranges]:
    """Run the network in fp32 and note the range of every product's input, padding left out.

    :param state: the network's tensors.
    :param config: the encoder's configuration.
    :param sentences: at least one.
    :param pad_id: token id of the padding.
    :param work: a folder for a passing file.
    """
    import onnxruntime

    path = work / "calibration.onnx"
    onnx.save(build(state, config, show_inputs=True), str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = list(products(state, config))
    ranges: dict[str, Ranges] = {}
    for rows in batches_of_like_length(sentences, 16):
        batch = collate([sentences[i] for i in rows], pad_id)
        values = session.run(
            [f"{name}.input" for name in names], {name: getattr(batch, name) for name in INPUTS}
        )
        real = batch.attention_mask.astype(bool)
        for name, value in zip(names, values, strict=True):
            seen = Ranges(value[real].min(axis=0), value[real].max(axis=0))
            ranges[name] = ranges[name].join(seen) if name in ranges else seen
    path.unlink()
    return ranges


def activation(weight: FloatArray, ranges: Ranges, strength: float) -> Activation:
    """Decide how a product's input is rounded.

    :param weight: the matrix, *Shape:* ``(channels, outputs)``.
    :param ranges: of the input.
    :param strength: alpha of SmoothQuant, 0 to 1; 0 for no smoothing.
    """
    divisor = np.ones(len(ranges.low), dtype=np.float32)
    if strength:
        largest = np.maximum(np.maximum(-ranges.low, ranges.high), _SMALLEST)
        factors = np.maximum(np.abs(weight).max(axis=1), _SMALLEST)
        log_divisor = strength * np.log(largest) - (1 - strength) * np.log(factors)
        divisor = np.exp(log_divisor - log_divisor.mean()).astype(np.float32)
    # 0 has to be one of the steps, so it lies within the range.
    low = min(float((ranges.low / divisor).min()), 0.0)
    high = max(float((ranges.high / divisor).max()), 0.0)
    scale = max((high - low) / 255, float(np.finfo(np.float32).tiny))
    return Activation(scale, int(np.clip(round(-low / scale), 0, 255)), divisor)


def quantise_network(
    state: Mapping[str, FloatArray],
    config: Mapping[str, Any],
    sentences: Sequence[EncodedSentence],
    pad_id: int,
    path: Path,
) -> None:
    """Write a network with 8-bit matrices.

    :param state: the network's tensors, named as in ``model.safetensors``.
    :param config: the encoder's configuration, which ``graph.supports`` accepts.
    :param sentences: what the ranges are measured on: some hundred, of the kind that will be scored.
    :param pad_id: token id of the padding.
    :param path: the ``.onnx`` file to write.
    """
    ranges = measure_ranges(state, config, sentences, pad_id, path.parent)
    activations = {
        name: activation(product.weight, ranges[name], STRENGTH[name.partition(".")[2]])
        for name, product in products(state, config).items()
    }
    onnx.save(build(state, config, activations), str(path))
