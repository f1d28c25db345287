"""Static 8-bit quantisation: how activations are rounded is chosen beforehand, on sentences of their kind.

For every matrix product two things are searched on a grid: how much of the unevenness over channels moves from the
activation into the matrix (SmoothQuant, Xiao et al. 2023, arXiv:2211.10438), and how much of the largest values is cut
off for finer steps below. What changes the product's result least, in mean square, is taken; then the matrix is
rounded with feedback (GPTQ, Frantar et al. 2023, arXiv:2210.17323).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product as pairs
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from brinkline.model.encoding import EncodedSentence, Pooling, collate
from brinkline.model.engine import batches_of_like_length
from brinkline.train.graph import WEIGHT_LIMIT, Product, Rounding, build, products

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float32]

STRENGTHS = (0.0, 0.4, 0.6, 0.8)
"""Of SmoothQuant (its alpha); 0 leaves activation and matrix as they are."""

SHARES = (1.0, 0.9, 0.8, 0.6)
"""What is kept of the range that was seen."""

ROWS = 8000
"""Tokens that a choice is made on."""

_SMALLEST = 1e-5  # of a channel's values: below, it counts as empty
_TINY = float(np.finfo(np.float32).tiny)


def quantise_network(
    state: Mapping[str, FloatArray],
    config: Mapping[str, Any],
    sentences: Sequence[EncodedSentence],
    pad_id: int,
    path: Path,
    pooling: Pooling = "mean",
) -> None:
    """Write a network with 8-bit matrices.

    :param state: the network's tensors, named as in ``model.safetensors``.
    :param config: the encoder's configuration, which ``graph.supports`` accepts.
    :param sentences: what the choices are made on: some hundred, of the kind that will be scored.
    :param pad_id: token id of the padding.
    :param path: the ``.onnx`` file to write.
    :param pooling: of the network.
    """
    seen = seen_by_products(state, config, sentences, pad_id, path.parent, pooling=pooling)
    found = products(state, config, pooling)
    roundings = {name: choose(found[name], rows) for name, rows in seen.items()}
    onnx.save(build(state, config, roundings, pooling=pooling), str(path))


def seen_by_products(
    state: Mapping[str, FloatArray],
    config: Mapping[str, Any],
    sentences: Sequence[EncodedSentence],
    pad_id: int,
    work: Path,
    seed: int = 0,
    pooling: Pooling = "mean",
) -> dict[str, FloatArray]:
    """Run the network in fp32 and keep what every product is given: tokens at random, and those with extreme values.

    :param state: the network's tensors.
    :param config: the encoder's configuration.
    :param sentences: at least one.
    :param pad_id: token id of the padding, which is left out.
    :param work: a folder for a passing file.
    :param seed: of the choice of tokens.
    :param pooling: of the network.
    :return: by the product's name, *Shape:* ``(rows, channels)``, at most :data:`ROWS` of them or so.
    """
    import onnxruntime

    path = work / "calibration.onnx"
    onnx.save(build(state, config, show_inputs=True, pooling=pooling), str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = list(products(state, config, pooling))
    given = [node.name for node in session.get_inputs()]
    share = min(1.0, ROWS / sum(map(len, sentences)))
    random = np.random.default_rng(seed)
    kept: dict[str, list[FloatArray]] = {name: [] for name in names}
    for rows in batches_of_like_length(sentences, 16):
        batch = collate([sentences[i] for i in rows], pad_id)
        values = session.run(
            [f"{name}.input" for name in names], {name: getattr(batch, name) for name in given}
        )
        real = batch.attention_mask.astype(bool)
        taken = random.random(int(real.sum())) < share
        for name, value in zip(names, values, strict=True):
            if value.shape[1] < real.shape[1]:  # the last layer's first tokens: few, so all of them
                kept[name].append(value[:, 0])
                continue
            tokens = value[real]
            extremes = {int(tokens.max(axis=1).argmax()), int(tokens.min(axis=1).argmin())}
            kept[name].append(tokens[np.unique([*np.flatnonzero(taken), *extremes])])
    path.unlink()
    return {name: np.concatenate(parts) for name, parts in kept.items()}


def choose(product: Product, rows: FloatArray) -> Rounding:
    """Decide how a product is rounded.

    :param product: the matrix.
    :param rows: inputs of it, *Shape:* ``(rows, channels)``.
    """
    exact = rows @ product.weight

    def error(rule: Rounding) -> float:
        return float(np.square(rounded_product(rows, rule) - exact).mean())

    found = [rounding(product.weight, rows, *setting) for setting in pairs(STRENGTHS, SHARES)]
    nearest = min(found, key=error)
    best = min(nearest, with_feedback(product.weight, rows, nearest), key=error)
    power = float(np.square(exact).mean())
    logger.debug(
        "%s: error %.2g, with feedback %.2g", product.name, error(nearest) / power, error(best) / power
    )
    return best


def rounding(weight: FloatArray, rows: FloatArray, strength: float, share: float = 1.0) -> Rounding:
    """Return a product rounded to the nearest steps.

    :param weight: the matrix, *Shape:* ``(channels, outputs)``.
    :param rows: inputs of it, *Shape:* ``(rows, channels)``.
    :param strength: alpha of SmoothQuant, 0 to 1; 0 for no smoothing.
    :param share: what is kept of the range of ``rows``.
    """
    divisor = np.ones(weight.shape[0], dtype=np.float32)
    if strength:
        largest = np.maximum(np.abs(rows).max(axis=0), _SMALLEST)
        factors = np.maximum(np.abs(weight).max(axis=1), _SMALLEST)
        log_divisor = strength * np.log(largest) - (1 - strength) * np.log(factors)
        divisor = np.exp(log_divisor - log_divisor.mean()).astype(np.float32)
    smooth = rows / divisor
    # 0 has to be one of the steps, so it lies within the range.
    low, high = share * min(float(smooth.min()), 0.0), share * max(float(smooth.max()), 0.0)
    scale = float(np.float32(max((high - low) / 255, _TINY)))
    zero_point = int(np.clip(round(-low / scale), 0, 255))
    return Rounding(
        scale, zero_point, divisor, *round_columns((weight * divisor[:, None]).astype(np.float32))
    )


def round_columns(weight: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Round a matrix to the nearest integers of 7 bits, symmetric, one scale a column.

    :param weight: *Shape:* ``(channels, outputs)``.
    :return: integers of the same shape, and the scales, *Shape:* ``(outputs,)``.
    """
    # Below the smallest normal number a scale has too few digits left: such a column is rounded to zero.
    largest = np.abs(weight).max(axis=0) / WEIGHT_LIMIT
    scale = np.where(largest >= _TINY, largest, 1.0).astype(np.float32)
    return _steps(weight, scale), scale


def with_feedback(weight: FloatArray, rows: FloatArray, rule: Rounding) -> Rounding:
    """Round the matrix channel by channel, each error made good by the channels still to come.

    GPTQ (Frantar et al. 2023, arXiv:2210.17323).

    :param weight: the matrix, *Shape:* ``(channels, outputs)``.
    :param rows: inputs of it, *Shape:* ``(rows, channels)``.
    :param rule: how the input is rounded; its scales of the columns are kept.
    """
    given = _rounded_rows(rows, rule).astype(np.float64)
    hessian = given.T @ given
    hessian[np.diag_indices_from(hessian)] += 0.01 * np.diag(hessian).mean() + _SMALLEST
    # The upper factor of the inverse: row i tells how the later channels make good an error in channel i.
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    left = (weight * rule.divisor[:, None]).astype(np.float64)
    integers = np.empty(weight.shape, dtype=np.int8)
    for channel in range(len(left)):
        integers[channel] = _steps(left[channel], rule.weight_scale)
        error = (left[channel] - integers[channel] * rule.weight_scale) / upper[channel, channel]
        left[channel + 1 :] -= np.outer(upper[channel, channel + 1 :], error)
    return replace(rule, weight=integers)


def rounded_product(rows: FloatArray, rule: Rounding) -> FloatArray:
    """Return what the 8-bit product gives, without its bias. *Shape:* ``(rows, outputs)``."""
    result: FloatArray = _rounded_rows(rows, rule) @ rule.weight.astype(np.float32) * rule.weight_scale
    return result


def _rounded_rows(rows: FloatArray, rule: Rounding) -> FloatArray:
    """The input as the product sees it: divided and rounded."""
    steps = np.clip(np.rint(rows / rule.divisor / rule.scale) + rule.zero_point, 0, 255) - rule.zero_point
    seen: FloatArray = steps.astype(np.float32) * np.float32(rule.scale)
    return seen


def _steps(weight: NDArray[Any], scale: FloatArray) -> NDArray[np.int8]:
    steps: NDArray[np.int8] = np.clip(np.rint(weight / scale), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)
    return steps
