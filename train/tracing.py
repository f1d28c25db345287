"""ONNX files of any encoder by torch's own exporter, and their large matrices stored as int8."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx_ir.passes.common import NameFixPass
from torch import Tensor, nn

from brinkline.model.encoding import EncodedSentence, collate
from brinkline.model.network import Network
from brinkline.train.graph import OUTPUTS
from brinkline.train.scoring import to_tensors

OPSET = 21
"""The first with a scale for each block of values."""

BLOCK = 64
"""Values that share a scale. Against one scale a channel this halves what storing as int8 does to probabilities."""


class TracingError(RuntimeError):
    """torch's exporter gave nothing."""


class _WithEmbedding(nn.Module):
    """The network with its pooled vector as a third output."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, pooling_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        pooled = self.network.embed(input_ids, attention_mask, token_type_ids, pooling_mask)
        stance, signals = self.network.heads(pooled)
        return stance, signals, pooled


def trace(
    network: Network, path: Path, example: Sequence[EncodedSentence], pad_id: int, max_tokens: int
) -> None:
    """Write the network as fp32 ONNX with batch size and length left open.

    :param network: in evaluation mode, on the CPU.
    :param path: the ``.onnx`` file.
    :param example: sentences that the exporter runs.
    :param pad_id: token id of the padding.
    :param max_tokens: longest input.
    :raises TracingError: where torch's exporter gives nothing.
    """
    arguments = to_tensors(collate(example, pad_id))
    dynamic = {
        0: torch.export.Dim("batch", min=1),
        1: torch.export.Dim("tokens", min=2, max=max_tokens),
    }
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    with warnings.catch_warnings():
        # Deprecations and missing extras of the exporter: nothing that a user could act on.
        warnings.simplefilter("ignore")
        exporter.setLevel(logging.ERROR)
        program = torch.onnx.export(
            _WithEmbedding(network).eval(),
            kwargs=arguments,
            input_names=list(arguments),
            output_names=list(OUTPUTS),
            dynamic_shapes=dict.fromkeys(arguments, dynamic),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    exporter.setLevel(level)
    if program is None:
        raise TracingError("torch.onnx.export gave no program")
    NameFixPass()(program.model)  # a value inside may bear an output's name
    onnx.save(program.model_proto, str(path))


def store_as_int8(path: Path, smallest: int = 2048) -> None:
    """Rewrite an ONNX file so that its large matrices are stored as int8, symmetric, one scale a block.

    :param path: the file, changed in place.
    :param smallest: matrices with fewer values stay fp32.
    """
    model = onnx.load(str(path))
    graph = model.graph
    axes = _summed_axes(graph)
    kept, nodes = [], []
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.ndim != 2 or array.size < smallest:
            kept.append(tensor)
            continue
        axis = axes.get(tensor.name, 1)
        values, scales = quantise(array, axis)
        names = [f"{tensor.name}_int8", f"{tensor.name}_scale"]
        kept += [numpy_helper.from_array(values, names[0]), numpy_helper.from_array(scales, names[1])]
        block = array.shape[axis] // scales.shape[axis]
        nodes.append(
            onnx.helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis, block_size=block)
        )
    del graph.initializer[:]
    graph.initializer.extend(kept)
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def quantise(
    array: NDArray[np.float32], axis: int, block: int = BLOCK
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a matrix to int8 with one scale for each block of values along an axis.

    :param array: *Shape:* ``(rows, columns)``.
    :param axis: blocks lie along it: 0 for blocks of rows, 1 for blocks of columns.
    :param block: values a block; a length that it does not divide is one block.
    :return: values from -127 to 127 of the same shape, and the scales, as many along ``axis`` as there are blocks.
    """
    size = array.shape[axis]
    block = block if size % block == 0 else size
    blocks = np.moveaxis(array, axis, 1).reshape(array.shape[1 - axis], size // block, block)
    largest = np.abs(blocks).max(axis=2)
    # Below the smallest normal number a scale has too few digits left: such a block is rounded to zero.
    smallest = np.finfo(np.float32).tiny
    scales = np.where(largest / 127 >= smallest, largest / 127, 1.0).astype(np.float32)
    values = np.clip(np.rint(blocks / scales[:, :, None]), -127, 127).astype(np.int8)
    flat = values.reshape(values.shape[0], size)
    return np.ascontiguousarray(np.moveaxis(flat, 1, axis)), np.ascontiguousarray(
        np.moveaxis(scales, 1, axis)
    )


def _summed_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the axis over which each factor is summed; a table of vectors has its blocks within a vector."""
    axes = {}
    for node in graph.node:
        if node.op_type == "MatMul" and len(node.input) == 2:
            axes[node.input[1]] = 0
        elif node.op_type == "Gemm":
            transposed = any(a.name == "transB" and a.i == 1 for a in node.attribute)
            axes[node.input[1]] = 1 if transposed else 0
    return axes
