"""Turn a training checkpoint into a model folder, and compare the two at once.

    brinkline export CHECKPOINT OUT
    python -m brinkline.train.export CHECKPOINT OUT

The file is ONNX. With ``weights: int8`` every large matrix is stored as 8-bit integers with one scale for each block
of 64 values and turned back into fp32 when it is loaded: a little over a quarter of the size, everything still
computed in fp32.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from brinkline.model.checkpoint import CARD, TOKENIZER, WEIGHTS, Calibration, Manifest, write_manifest
from brinkline.model.classifier import Classifier, load, probabilities
from brinkline.model.encoding import EncodedSentence, SentenceEncoder, collate
from brinkline.model.engine import OnnxEngine, run_sorted
from brinkline.model.errors import BrinklineError, CheckpointError
from brinkline.model.network import Network
from brinkline.train import calibrate
from brinkline.train.card import write_card
from brinkline.train.scoring import TorchEngine, to_tensors

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of a logit between the torch network and the fp32 ONNX file."""

OPSET = 21
"""The first with a scale for each block of values."""

BLOCK = 64
"""Values that share a scale. Against one scale a channel this halves what storing as int8 does to probabilities."""

INT8_TOLERANCE = 0.25
"""Largest difference of a probability that storing the weights as int8 may make."""

ORIGIN = "origin.json"
Weights = Literal["int8", "fp32"]
LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy", "scikit-learn")

PROBES: tuple[str, ...] = (
    "They vowed to retaliate.",
    "The two foreign ministers met on Tuesday and agreed to reopen the consulates.",
    "The committee will publish its figures in June.",
    (
        "If a single boat crosses the line, the coast guard said, it will be sunk, whoever is on board and whatever "
        "flag it flies, and the port that it came from will be closed until further notice to ships of that country."
    ),
    "No.",
    "“¿Por qué?” 為什麼 — 1,000.5 % …",
)
"""Sentences of unlike length and script on which exports are compared where no others are given."""


class ExportError(BrinklineError, RuntimeError):
    """The exported file does not compute what the network computes."""


@dataclass(frozen=True)
class Origin:
    """What a model folder should say of where its model comes from; see :class:`Manifest`."""

    name: str = "brinkline"
    version: str = "0.1.0"
    base_model: Mapping[str, str] | None = None
    training_data: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] | None = None

    def write(self, checkpoint: Path) -> None:
        """Write ``origin.json`` into a training checkpoint, so that it can be exported by itself."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (checkpoint / ORIGIN).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, checkpoint: Path) -> Origin:
        """Read ``origin.json`` of a training checkpoint; without one nothing is known.

        :raises CheckpointError: where the file is damaged.
        """
        path = checkpoint / ORIGIN
        if not path.is_file():
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: {error}") from error


def export(
    checkpoint: Path,
    out: Path,
    *,
    origin: Origin | None = None,
    calibration: Calibration | None = None,
    weights: Weights = "int8",
    sentences: Sequence[str] = PROBES,
    previous: Sequence[str] | None = None,
) -> Classifier:
    """Write a model folder.

    :param checkpoint: a folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
    :param out: the model folder; must not exist, or be an earlier model folder, which is then replaced.
    :param origin: for the manifest; by default what ``origin.json`` in the checkpoint says.
    :param calibration: temperatures and thresholds; by default those of ``calibration.json`` in the checkpoint.
    :param weights: how the file stores the weights.
    :param sentences: what the comparison with the torch network runs on.
    :param previous: for each of them the text before it, which a model with context reads; by default the one
        before it.
    :return: the loaded model folder.
    :raises FileNotFoundError: where the checkpoint lacks a file.
    :raises FileExistsError: where ``out`` is something else than a model folder.
    :raises ExportError: where the exported file does not agree with the network.
    """
    if out.exists() and any(out.iterdir()) and not (out / "manifest.json").is_file():
        raise FileExistsError(f"{out} exists and is no model folder; nothing was written")
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    calibration = calibration or calibrate.read(checkpoint)
    if calibration is None:
        logger.warning("%s holds no %s: temperatures 1, thresholds 0.5", checkpoint, calibrate.FILE)
    origin = origin or Origin.read(checkpoint)
    fitted = calibration or Calibration()
    before = list(previous) if previous is not None else ["", *sentences[:-1]]
    encoded = encoder.encode(list(sentences), before if limits["context"] else None)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        parity = _write_weights(network, encoder, work / WEIGHTS, weights, encoded, fitted)
        shutil.copyfile(checkpoint / TOKENIZER, work / TOKENIZER)
        manifest = Manifest(
            name=origin.name,
            version=origin.version,
            base_model=dict(origin.base_model or {"name": "unknown", "sha256": "unknown"}),
            max_tokens=limits["max_tokens"],
            context=limits["context"],
            calibration=fitted,
            metrics={"export": parity},
            training_data=[dict(item) for item in origin.training_data],
            settings=dict(origin.settings or {}),
            libraries={name: version(name) for name in LIBRARIES},
        )
        finish(work, manifest)
        load(work)
        _replace(work, out)
    return load(out)


def finish(folder: Path, manifest: Manifest) -> None:
    """Write the model card and the manifest, whose hashes cover all other files.

    :param folder: a model folder with its weights and tokenizer.
    :param manifest: what it should say.
    """
    write_card(folder / CARD, manifest)
    write_manifest(folder, manifest)


def add_metrics(folder: Path, manifest: Manifest, metrics: Mapping[str, Any]) -> Manifest:
    """Write further metrics into a model folder's manifest and card, and return the manifest."""
    changed = replace(manifest, metrics={**manifest.metrics, **metrics})
    finish(folder, changed)
    return changed


def _write_weights(
    network: Network,
    encoder: SentenceEncoder,
    path: Path,
    weights: Weights,
    encoded: Sequence[EncodedSentence],
    calibration: Calibration,
) -> dict[str, Any]:
    """Export, compare, and return the differences found."""
    to_onnx(network, path, encoder)
    reference = run_sorted(TorchEngine(network), encoded, encoder.pad_id, 8)
    exported = run_sorted(OnnxEngine(path), encoded, encoder.pad_id, 8)
    exact = max(_largest(reference.stance, exported.stance), _largest(reference.signals, exported.signals))
    if exact > TOLERANCE:
        raise ExportError(f"the ONNX file differs from the network by {exact:.2g} in a logit")
    parity: dict[str, Any] = {
        "sentences": len(encoded),
        "fp32_largest_logit_difference": exact,
        "weights": weights,
    }
    if weights == "int8":
        store_as_int8(path)
        stored = run_sorted(OnnxEngine(path), encoded, encoder.pad_id, 8)
        before, after = probabilities(reference, calibration), probabilities(stored, calibration)
        moved = max(_largest(before[0], after[0]), _largest(before[1], after[1]))
        if moved > INT8_TOLERANCE:
            raise ExportError(
                f"storing the weights as int8 moves a probability by {moved:.2f}: use weights fp32"
            )
        parity["int8_largest_probability_difference"] = moved
        parity["int8_stance_changes"] = int((before[0].argmax(axis=1) != after[0].argmax(axis=1)).sum())
    logger.info("export compared on %d sentences: %s", len(encoded), parity)
    return parity


def _largest(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a - b).max())


def to_onnx(network: Network, path: Path, encoder: SentenceEncoder) -> None:
    """Write the network as fp32 ONNX with batch size and length left open.

    :param network: in evaluation mode, on the CPU.
    :param path: the ``.onnx`` file.
    :param encoder: makes the example that the export traces.
    """
    batch = collate(encoder.encode(list(PROBES)), encoder.pad_id)
    arguments = to_tensors(batch)
    dynamic = {
        0: torch.export.Dim("batch", min=1),
        1: torch.export.Dim("tokens", min=2, max=encoder.max_tokens),
    }
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    with warnings.catch_warnings():
        # Deprecations and missing extras of the exporter: nothing that a user could act on.
        warnings.simplefilter("ignore")
        exporter.setLevel(logging.ERROR)
        program = torch.onnx.export(
            network.eval(),
            kwargs=arguments,
            input_names=list(arguments),
            output_names=["stance_logits", "signal_logits"],
            dynamic_shapes=dict.fromkeys(arguments, dynamic),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    exporter.setLevel(level)
    if program is None:
        raise ExportError("torch.onnx.export gave no program")
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


def _replace(work: Path, out: Path) -> None:
    """Put a finished folder in place of an earlier one."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        if old.is_file():
            old.unlink()
    for new in work.iterdir():
        shutil.copyfile(new, out / new.name)


def main(
    checkpoint: Path,
    out: Path,
    name: str | None = None,
    version: str | None = None,
    weights: Weights = "int8",
) -> None:
    """Write a model folder from a training checkpoint.

    :param checkpoint: a training checkpoint.
    :param out: the model folder to write.
    :param name: name that the model gives of itself; by default that of the training run.
    :param version: likewise.
    :param weights: how the file stores the weights.
    """
    known = Origin.read(checkpoint)
    origin = replace(known, name=name or known.name, version=version or known.version)
    export(checkpoint, out, origin=origin, weights=weights)


if __name__ == "__main__":
    from brinkline.train.scripts import run_script

    run_script(main)
