"""From a model that computes in 8 bits back to one in fp32, for GPUs, without the training checkpoint."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from brinkline.model.checkpoint import TOKENIZER, WEIGHTS, read_manifest
from brinkline.model.classifier import Classifier, load
from brinkline.model.encoding import Pooling
from brinkline.train import graph
from brinkline.train.export import ExportError, check_target, finish, replace_folder
from brinkline.train.graph import FloatArray

_TABLES = {"words": "word", "types": "token_type", "places": "position"}
_SELF = "attention.self."
_PARTS = {
    "attention": (f"{_SELF}query", f"{_SELF}key", f"{_SELF}value"),
    "query": (f"{_SELF}query",),
    "keys": (f"{_SELF}key", f"{_SELF}value"),
    "output": ("attention.output.dense",),
    "up": ("intermediate.dense",),
    "down": ("output.dense",),
}


def in_fp32(folder: Path, out: Path) -> Classifier:
    """Write a model folder that computes in fp32 with the rounded weights of one that computes in 8 bits.

    The matrices stay as they were rounded; what is no longer rounded is what they are multiplied with.

    :param folder: a model folder of a BERT encoder, such as the shipped one.
    :param out: the model folder to write; must not exist, or be an earlier model folder, which is then replaced.
    :return: the loaded model folder.
    :raises FileExistsError: where ``out`` is something else than a model folder.
    :raises ExportError: where the file was not written by :mod:`brinkline.train.graph`.
    """
    check_target(out)
    manifest = read_manifest(folder)
    state, config, pooling = restore(onnx.load(str(folder / WEIGHTS)))
    told = {"weights": "fp32", "computed_in": "fp32", "pooling": pooling, "rounded_before": True}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        onnx.save(graph.build(state, config, pooling=pooling), str(work / WEIGHTS))
        shutil.copyfile(folder / TOKENIZER, work / TOKENIZER)
        finish(work, replace(manifest, metrics={**manifest.metrics, "export": told}))
        load(work)
        replace_folder(work, out)
    return load(out)


def restore(model: onnx.ModelProto) -> tuple[dict[str, FloatArray], dict[str, Any], Pooling]:
    """Undo :func:`brinkline.train.graph.build`.

    :param model: a graph that it wrote, rounded or not.
    :return: the network's tensors, named as in ``model.safetensors``; the encoder's configuration as far as ``build``
        reads it; the pooling.
    :raises ExportError: where it is another graph.
    """
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    if missing := sorted({*_TABLES, "stance.weight", "signal.weight"} - arrays.keys()):
        raise ExportError(f"not a graph that brinkline wrote: it has no {missing[0]!r}")
    state = {
        f"encoder.embeddings.{torch_name}_embeddings.weight": _fp32(arrays, name)
        for name, torch_name in _TABLES.items()
    }
    state |= {name: array for name, array in arrays.items() if "LayerNorm" in name}
    for head in ("stance", "signal"):
        state |= {f"{head}_head.{part}": arrays[f"{head}.{part}"] for part in ("weight", "bias")}
    kinds = [name.split(".")[:2] for name in arrays if name[0].isdigit() and name.endswith(".bias")]
    for layer, kind in kinds:
        state |= _linear(arrays, layer, kind)
    config = _config(model, state, layers=1 + max(int(layer) for layer, _ in kinds))
    return state, config, pooling_of(model)


def pooling_of(model: onnx.ModelProto) -> Pooling:
    """Return how an exported file pools: where the first token is all that is read, nobody has to say which are."""
    return "mean" if "pooling_mask" in [tensor.name for tensor in model.graph.input] else "first"


def _linear(arrays: Mapping[str, NDArray[Any]], layer: str, kind: str) -> dict[str, FloatArray]:
    """The torch layers that a product was joined from."""
    name = f"{layer}.{kind}"
    found: dict[str, FloatArray] = {}
    matrix = _fp32(arrays, f"{name}.weight")
    if (inverse := arrays.get(f"{name}.divisor")) is not None:  # which the input is multiplied with
        matrix = matrix * inverse[:, None]
    parts = [f"encoder.encoder.layer.{layer}.{part}" for part in _PARTS[kind]]
    biases = np.split(arrays[f"{name}.bias"], len(parts))
    for part, weight, bias in zip(parts, np.split(matrix, len(parts), axis=1), biases, strict=True):
        found |= {f"{part}.weight": weight.T, f"{part}.bias": bias}
    return found


def _fp32(arrays: Mapping[str, NDArray[Any]], name: str) -> FloatArray:
    scale = arrays.get(f"{name}.scale")
    result: FloatArray = arrays[name] if scale is None else arrays[name].astype(np.float32) * scale
    return result


def _config(model: onnx.ModelProto, state: Mapping[str, FloatArray], layers: int) -> dict[str, Any]:
    heads: set[int] = set()
    epsilons: set[float] = set()
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "num_heads":
                heads.add(helper.get_attribute_value(attribute))
            elif attribute.name == "epsilon":
                epsilons.add(helper.get_attribute_value(attribute))
    return {
        "num_hidden_layers": layers,
        "num_attention_heads": heads.pop(),
        "hidden_size": state["encoder.embeddings.word_embeddings.weight"].shape[1],
        "layer_norm_eps": epsilons.pop(),
    }
