"""The BERT encoder with its two heads as an ONNX graph for ONNX Runtime, in fp32 or with 8-bit matrices.

torch's exporter writes any encoder, but spells attention out in small steps; written by hand, the graph uses the
runtime's own operators for attention and for 8-bit products, and its 8-bit form needs no pass over the activations to
find their range: that is fixed, so a sentence's scores do not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from brinkline.model.encoding import Pooling

FloatArray = NDArray[np.float32]

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "pooling_mask")
OUTPUTS = ("stance_logits", "signal_logits", "embedding")

OPSET, IR_VERSION = 20, 10
_RUNTIME = "com.microsoft"  # ONNX Runtime's own operators, on every platform that it runs on

WEIGHT_LIMIT = 63
"""7 bits. x86 processors without VNNI add two products in 16 bits, which 8-bit weights overflow: so the same file
computes the same integers everywhere."""


@dataclass(frozen=True)
class Rounding:
    """A matrix product in 8 bits: how its input is rounded, and its matrix in integers."""

    scale: float
    """Width of a step of the input."""
    zero_point: int
    """The step that stands for 0, from 0 to 255."""
    divisor: FloatArray
    """Each channel is divided by this first, and the matrix multiplied with it: channels with large values then cost
    the others no precision (Xiao et al. 2023, SmoothQuant, arXiv:2211.10438). *Shape:* ``(channels,)``."""
    weight: NDArray[np.int8]
    """The matrix in steps, from -63 to 63. *Shape:* ``(channels, outputs)``."""
    weight_scale: FloatArray
    """Width of a step of each column. *Shape:* ``(outputs,)``."""


@dataclass(frozen=True)
class Product:
    """A matrix product of the encoder: ``x @ weight + bias``."""

    name: str
    weight: FloatArray
    """*Shape:* ``(channels, outputs)``."""
    bias: FloatArray


def supports(config: Mapping[str, Any]) -> bool:
    """Tell whether an encoder's configuration is one that this module writes."""
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") in ("absolute", None)
        and not config.get("is_decoder", False)
        and config["hidden_size"] % config["num_attention_heads"] == 0
    )


def products(
    state: Mapping[str, FloatArray], config: Mapping[str, Any], pooling: Pooling = "mean"
) -> dict[str, Product]:
    """Return the matrix products of an encoder by name: ``0.attention``, ``0.output``, ``0.up``, ``0.down``, ``1.…``.

    :param state: the network's tensors, named as in ``model.safetensors``.
    :param config: the encoder's configuration.
    :param pooling: of the network; where it is ``first``, the last layer's ``attention`` falls into ``query``, which
        only the first token needs, and ``keys`` (keys and values).
    """
    found = {}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.encoder.layer.{layer}."
        parts = [prefix + f"attention.self.{name}" for name in ("query", "key", "value")]
        parted = pooling == "first" and layer == config["num_hidden_layers"] - 1
        groups = {
            **({"query": parts[:1], "keys": parts[1:]} if parted else {"attention": parts}),
            "output": [prefix + "attention.output.dense"],
            "up": [prefix + "intermediate.dense"],
            "down": [prefix + "output.dense"],
        }
        for kind, names in groups.items():
            weight = np.concatenate([state[f"{name}.weight"].T for name in names], axis=1)
            bias = np.concatenate([state[f"{name}.bias"] for name in names])
            found[f"{layer}.{kind}"] = Product(f"{layer}.{kind}", weight, bias)
    return found


def build(
    state: Mapping[str, FloatArray],
    config: Mapping[str, Any],
    roundings: Mapping[str, Rounding] | None = None,
    show_inputs: bool = False,
    pooling: Pooling = "mean",
) -> onnx.ModelProto:
    """Write the graph.

    :param state: the network's tensors, named as in ``model.safetensors``.
    :param config: the encoder's configuration, which :func:`supports` accepts.
    :param roundings: each product in 8 bits; without them everything is fp32.
    :param show_inputs: give the inputs of the products out as well, named ``NAME.input``.
    :param pooling: ``mean`` or ``first``, as the network was trained.
    :return: inputs :data:`INPUTS` of *Shape:* ``(batch, tokens)``, outputs :data:`OUTPUTS`.
    """
    graph = _Graph(state, config, roundings, pooling)
    graph.heads(graph.pooled(graph.layers(graph.embeddings())))
    return graph.model(show_inputs)


class _Graph:
    """Collects nodes and constants."""

    def __init__(
        self,
        state: Mapping[str, FloatArray],
        config: Mapping[str, Any],
        roundings: Mapping[str, Rounding] | None,
        pooling: Pooling,
    ) -> None:
        self._state, self._config, self._roundings, self._pooling = state, config, roundings, pooling
        self._products = products(state, config, pooling)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs_of_products: dict[str, str] = {}

    def embeddings(self) -> str:
        """Words, their places and types, normalised. *Shape:* ``(batch, tokens, width)``."""
        prefix = "encoder.embeddings."
        words = self._state[prefix + "word_embeddings.weight"]
        if self._roundings is None:
            x = self._op("Gather", self._constant("words", words), "input_ids")
        else:  # the table is most of the file: a row a word, each with its scale
            integers, scale = _round_rows(words)
            row = self._op("Gather", self._constant("words", integers), "input_ids")
            factor = self._op("Gather", self._constant("words.scale", scale), "input_ids")
            x = self._op("Mul", self._op("Cast", row, to=TensorProto.FLOAT), factor)
        types = self._constant("types", self._state[prefix + "token_type_embeddings.weight"])
        places = self._constant("places", self._state[prefix + "position_embeddings.weight"])
        start = self._constant("first", np.array([0], dtype=np.int64))
        length = self._op("Shape", "input_ids", start=1, end=2)
        x = self._op("Add", x, self._op("Gather", types, "token_type_ids"))
        x = self._op("Add", x, self._op("Slice", places, start, length))
        return self._norm(x, prefix + "LayerNorm")

    def layers(self, x: str) -> str:
        """The encoder's layers. *Shape:* as before; ``(batch, 1, width)`` where only the first token is read."""
        mask = self._op("Cast", "attention_mask", to=TensorProto.INT32)
        for layer in range(self._config["num_hidden_layers"]):
            prefix = f"encoder.encoder.layer.{layer}."
            if f"{layer}.query" in self._products:
                seen, x = x, self._first(x)
                mixed = self._attention_of_first(layer, x, seen, mask)
            else:
                mixed = self._attention(f"{layer}.attention", x, mask)
            mixed = self._product(f"{layer}.output", mixed)
            x = self._norm(self._op("Add", mixed, x), prefix + "attention.output.LayerNorm")
            # Not SkipLayerNormalization, which does the sum as well: it was slower (benchmarks of ONNX Runtime 1.31).
            up = self._op("Gelu", self._product(f"{layer}.up", x))
            x = self._norm(
                self._op("Add", self._product(f"{layer}.down", up), x), prefix + "output.LayerNorm"
            )
        return x

    def pooled(self, x: str) -> str:
        """The mean over the tokens that are pooled, or the first token. *Shape:* ``(batch, width)``."""
        if self._pooling == "first":
            return self._op(
                "Squeeze", x, self._constant("axis1", np.array([1], dtype=np.int64)), out="embedding"
            )
        one, two = (self._constant(f"axis{i}", np.array([i], dtype=np.int64)) for i in (1, 2))
        mask = self._op("Unsqueeze", self._op("Cast", "pooling_mask", to=TensorProto.FLOAT), one)
        total = self._op("Squeeze", self._op("MatMul", mask, x), one)
        count = self._op("ReduceSum", mask, two, keepdims=0)
        least = self._constant("least", np.array(1e-9, dtype=np.float32))
        return self._op("Div", total, self._op("Max", count, least), out="embedding")

    def heads(self, x: str) -> None:
        """The logits. *Shape:* ``(batch, 3)`` each."""
        for name in ("stance", "signal"):
            weight, bias = (
                self._constant(f"{name}.{part}", self._state[f"{name}_head.{part}"])
                for part in ("weight", "bias")
            )
            self._op("Gemm", x, weight, bias, out=f"{name}_logits", transB=1)

    def model(self, show_inputs: bool) -> onnx.ModelProto:
        """What was collected, checked."""

        def tensor(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, shape)

        width = self._config["hidden_size"]
        outputs = [tensor(name, TensorProto.FLOAT, "batch", 3) for name in OUTPUTS[:2]]
        outputs.append(tensor(OUTPUTS[2], TensorProto.FLOAT, "batch", width))
        if show_inputs:
            for name, source in self._inputs_of_products.items():
                self._op("Identity", source, out=f"{name}.input")
                channels = self._products[name].weight.shape[0]
                outputs.append(
                    tensor(f"{name}.input", TensorProto.FLOAT, "batch", f"{name}.tokens", channels)
                )
        given = INPUTS[:3] if self._pooling == "first" else INPUTS
        graph = helper.make_graph(
            self._nodes,
            "brinkline",
            [tensor(name, TensorProto.INT64, "batch", "tokens") for name in given],
            outputs,
            list(self._constants.values()),
        )
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(_RUNTIME, 1)]
        model = helper.make_model(graph, opset_imports=versions, producer_name="brinkline")
        model.ir_version = IR_VERSION
        return model

    def _attention(self, name: str, x: str, mask: str) -> str:
        product, heads = self._products[name], self._config["num_attention_heads"]
        self._inputs_of_products[name] = x
        if self._roundings is None:
            weight, bias = self._constant(f"{name}.weight", product.weight), self._bias(product)
            return self._op("Attention", x, weight, bias, mask, domain=_RUNTIME, num_heads=heads)
        rounded, scale, zero = self._rounded(name, x)
        weight, factor, nought = self._rounded_weight(product)
        inputs = (rounded, weight, self._bias(product), scale, factor, mask, zero, nought)
        return self._op("QAttention", *inputs, domain=_RUNTIME, num_heads=heads)

    def _first(self, x: str) -> str:
        ends = [self._constant(f"axis{i}", np.array([i], dtype=np.int64)) for i in (0, 1)]
        return self._op("Slice", x, *ends, ends[1])

    def _attention_of_first(self, layer: int, first: str, x: str, mask: str) -> str:
        query, keys = self._product(f"{layer}.query", first), self._product(f"{layer}.keys", x)
        key, value = f"{layer}.key", f"{layer}.value"
        self._nodes.append(helper.make_node("Split", [keys], [key, value], axis=2, num_outputs=2))
        heads = self._config["num_attention_heads"]
        inputs = (query, key, value, "", mask)
        return self._op("MultiHeadAttention", *inputs, domain=_RUNTIME, num_heads=heads)

    def _product(self, name: str, x: str) -> str:
        product = self._products[name]
        self._inputs_of_products[name] = x
        if self._roundings is None:
            weight = self._constant(f"{name}.weight", product.weight)
            return self._op("Add", self._op("MatMul", x, weight), self._bias(product))
        rounded, scale, zero = self._rounded(name, x)
        weight, factor, nought = self._rounded_weight(product)
        inputs = (rounded, weight, scale, factor, zero, nought, self._bias(product))
        return self._op("MatMulIntegerToFloat", *inputs, domain=_RUNTIME)

    def _rounded(self, name: str, x: str) -> tuple[str, str, str]:
        assert self._roundings is not None
        rule = self._roundings[name]
        if not (rule.divisor == 1).all():
            x = self._op("Mul", x, self._constant(f"{name}.divisor", (1 / rule.divisor).astype(np.float32)))
        scale = self._constant(f"{name}.input.scale", np.array(rule.scale, dtype=np.float32))
        zero = self._constant(f"{name}.input.zero", np.array(rule.zero_point, dtype=np.uint8))
        return self._op("QuantizeLinear", x, scale, zero), scale, zero

    def _rounded_weight(self, product: Product) -> tuple[str, str, str]:
        assert self._roundings is not None
        rule = self._roundings[product.name]
        zero = np.zeros(rule.weight_scale.shape, dtype=np.int8)
        name = f"{product.name}.weight"
        weight = self._constant(name, rule.weight)
        return (
            weight,
            self._constant(f"{name}.scale", rule.weight_scale),
            self._constant(f"{name}.zero", zero),
        )

    def _bias(self, product: Product) -> str:
        return self._constant(f"{product.name}.bias", product.bias)

    def _norm(self, x: str, name: str) -> str:
        gain, shift = (
            self._constant(f"{name}.{part}", self._state[f"{name}.{part}"]) for part in ("weight", "bias")
        )
        return self._op(
            "LayerNormalization", x, gain, shift, axis=-1, epsilon=float(self._config["layer_norm_eps"])
        )

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _op(self, kind: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        out = out or f"{kind}_{len(self._nodes)}"
        node = helper.make_node(
            kind, inputs, [out], name=f"{kind}_{len(self._nodes)}", domain=domain, **attributes
        )
        self._nodes.append(node)
        return out


def _round_rows(table: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Round a table to int8, one scale a row; the scales' *Shape:* ``(rows, 1)``."""
    largest = np.abs(table).max(axis=1, keepdims=True) / 127
    scale = np.where(largest >= np.finfo(np.float32).tiny, largest, 1.0).astype(np.float32)
    return np.clip(np.rint(table / scale), -127, 127).astype(np.int8), scale
