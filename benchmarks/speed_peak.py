"""How fast this machine multiplies matrices: what no engine that computes the whole network can pass."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from brinkline.model.network import Network

SIZE, REPEATS = 1024, 20


def peak(threads: int, rounds: int) -> dict[str, float]:
    """Return the speed of a large matrix product in ONNX Runtime, in 10⁹ operations a second.

    :param threads: products that run at once, one thread each, as the engine's batches do.
    :param rounds: the best of so many counts.
    :return: ``fp32`` and ``int8`` (unsigned by signed, the kind that the shipped model computes).
    """
    random = np.random.default_rng(0)
    values = random.integers(0, 60, (SIZE, SIZE))
    kinds: dict[str, tuple[str, Any, Any]] = {
        "fp32": ("MatMul", values.astype(np.float32), values.astype(np.float32)),
        "int8": ("MatMulInteger", values.astype(np.uint8), values.astype(np.int8)),
    }
    return {name: max(_speed(*kind, threads) for _ in range(rounds)) for name, kind in kinds.items()}


def operations(network: Network, tokens: float) -> float:
    """Return the operations of a sentence's matrix products that its labels depend on, in 10⁹; attention left out.

    :param network: a BERT encoder with its heads.
    :param tokens: length of the sentence.
    """
    config: Any = network.encoder.config
    square, wide = config.hidden_size**2, config.hidden_size * config.intermediate_size
    layer, layers = 4 * square + 2 * wide, config.num_hidden_layers
    if network.pooling == "first":  # of the last layer, keys and values alone are needed of every token
        return float(2 * ((layers - 1) * layer * tokens + 2 * square * tokens + layer - 2 * square) / 1e9)
    return float(2 * layers * layer * tokens / 1e9)


def _speed(kind: str, left: Any, right: Any, threads: int) -> float:
    session = _session(kind, left, right)

    def work(_: int) -> None:
        for _ in range(REPEATS):
            session.run(None, {"left": left})

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))  # the first go is not counted
        begin = time.perf_counter()
        list(pool.map(work, range(threads)))
        seconds = time.perf_counter() - begin
    return float(2 * SIZE**3 * REPEATS * threads / seconds / 1e9)


def _session(kind: str, left: Any, right: Any) -> onnxruntime.InferenceSession:
    number = helper.np_dtype_to_tensor_dtype(left.dtype)
    result = TensorProto.FLOAT if kind == "MatMul" else TensorProto.INT32
    graph = helper.make_graph(
        [helper.make_node(kind, ["left", "right"], ["product"])],
        "peak",
        [helper.make_tensor_value_info("left", number, left.shape)],
        [helper.make_tensor_value_info("product", result, [SIZE, SIZE])],
        [onnx.numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
