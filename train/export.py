"""Turn a training checkpoint into a model folder, and compare the two at once.

    brinkline export CHECKPOINT OUT
    python -m brinkline.train.export CHECKPOINT OUT

The file is ONNX. With ``weights: int8`` a BERT encoder multiplies in 8-bit integers: a little over a quarter of the
size, about three times as fast, and no score depends on its batch, since the ranges are fixed beforehand
(:mod:`brinkline.train.quantise`). Another encoder only stores its large matrices as 8-bit integers and turns them
back into fp32 when it is loaded.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.numpy import load_file

import brinkline.data
from brinkline.data.schema import read_labelled, sentences_of
from brinkline.model.checkpoint import (
    CARD,
    MANIFEST,
    TOKENIZER,
    WEIGHTS,
    Calibration,
    Manifest,
    write_manifest,
)
from brinkline.model.classifier import Classifier, load, probabilities
from brinkline.model.encoding import EncodedSentence, SentenceEncoder
from brinkline.model.engine import Logits, OnnxEngine, run_sorted
from brinkline.model.errors import BrinklineError, CheckpointError
from brinkline.model.network import STATE, Network, read_checkpoint_config
from brinkline.train import calibrate, graph, tracing
from brinkline.train.card import write_card
from brinkline.train.quantise import quantise_network
from brinkline.train.scoring import TorchEngine

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of a logit between the torch network and the fp32 ONNX file."""

INT8_TOLERANCE = 0.03
"""What 8 bits may move a probability by, in the mean over sentences and labels."""

ORIGIN = "origin.json"
Weights = Literal["int8", "fp32"]
LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",  # stands in its place where there is a GPU
    "numpy",
    "scikit-learn",
)

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
"""Sentences of unlike length and script, on which every export is compared."""


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
    sentences: Sequence[str] | None = None,
    previous: Sequence[str] | None = None,
) -> Classifier:
    """Write a model folder.

    :param checkpoint: a folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
    :param out: the model folder; must not exist, or be an earlier model folder, which is then replaced.
    :param origin: for the manifest; by default what ``origin.json`` in the checkpoint says.
    :param calibration: temperatures and thresholds; by default those of ``calibration.json`` in the checkpoint.
    :param weights: how the file stores the weights.
    :param sentences: what the comparison with the torch network runs on, and what the ranges of 8-bit activations are
        measured on: some hundred of the kind that will be scored. By default sentences of the project's own corpus.
    :param previous: for each of them the text before it, which a model with context reads; by default the one
        before it.
    :return: the loaded model folder.
    :raises FileNotFoundError: where the checkpoint lacks a file.
    :raises FileExistsError: where ``out`` is something else than a model folder.
    :raises ExportError: where the exported file does not agree with the network.
    """
    check_target(out)
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    calibration = calibration or calibrate.read(checkpoint)
    if calibration is None:
        logger.warning("%s holds no %s: temperatures 1, thresholds 0.5", checkpoint, calibrate.FILE)
    origin = origin or Origin.read(checkpoint)
    fitted = calibration or Calibration()
    sentences = [*PROBES, *(sentences if sentences is not None else _corpus_sample())]
    previous = ["", *PROBES[:-1], *previous] if previous is not None else None
    before = list(previous) if previous is not None else ["", *sentences[:-1]]
    encoded = encoder.encode(sentences, before if limits["context"] else None)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        parity = _write_weights(network, checkpoint, encoder, work / WEIGHTS, weights, encoded, fitted)
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
            libraries=_versions(),
        )
        finish(work, manifest)
        load(work)
        replace_folder(work, out)
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
    checkpoint: Path,
    encoder: SentenceEncoder,
    path: Path,
    weights: Weights,
    encoded: Sequence[EncodedSentence],
    calibration: Calibration,
) -> dict[str, Any]:
    """Export, compare, and return the differences found."""
    config = read_checkpoint_config(checkpoint)["encoder"]
    known = graph.supports(config)
    state = load_file(checkpoint / STATE) if known else {}
    if known:
        onnx.save(graph.build(state, config, pooling=network.pooling), str(path))
    else:
        tracing.trace(network, path, encoder.encode(list(PROBES)), encoder.pad_id, encoder.max_tokens)
    reference = run_sorted(TorchEngine(network), encoded, encoder.pad_id, 8)
    exported = run_sorted(OnnxEngine(path), encoded, encoder.pad_id, 8)
    exact = max(_largest(reference.stance, exported.stance), _largest(reference.signals, exported.signals))
    if exact > TOLERANCE:
        raise ExportError(f"the ONNX file differs from the network by {exact:.2g} in a logit")
    parity: dict[str, Any] = {
        "sentences": len(encoded),
        "fp32_largest_logit_difference": exact,
        "weights": weights,
        "computed_in": "int8" if known and weights == "int8" else "fp32",
        "pooling": network.pooling,
    }
    if weights == "int8":
        if known:
            quantise_network(state, config, encoded, encoder.pad_id, path, network.pooling)
        else:
            logger.info(
                "a %s encoder: weights are stored as int8, computed in fp32", config.get("model_type")
            )
            tracing.store_as_int8(path)
        stored = run_sorted(OnnxEngine(path), encoded, encoder.pad_id, 8)
        parity |= _compare(reference, stored, calibration)
    logger.info("export compared on %d sentences: %s", len(encoded), parity)
    return parity


def _compare(reference: Logits, stored: Logits, calibration: Calibration) -> dict[str, Any]:
    """Return how far 8 bits move the probabilities, if it is not too far."""
    before, after = probabilities(reference, calibration), probabilities(stored, calibration)
    moved = float(np.mean([np.abs(b - a).mean() for b, a in zip(before, after, strict=True)]))
    if moved > INT8_TOLERANCE:
        raise ExportError(f"8 bits move a probability by {moved:.3f} in the mean: use weights fp32")
    return {
        "int8_mean_probability_difference": moved,
        "int8_largest_probability_difference": max(
            _largest(b, a) for b, a in zip(before, after, strict=True)
        ),
        "int8_stance_changes": int((before[0].argmax(axis=1) != after[0].argmax(axis=1)).sum()),
    }


@cache
def _corpus_sample(sentences: int = 500) -> tuple[str, ...]:
    """Return sentences of the project's own corpus, evenly out of the whole."""
    corpus = Path(brinkline.data.__file__).parent / "corpus"
    texts = [sentence.text for sentence in sentences_of(read_labelled([corpus]))]
    return tuple(texts[i * len(texts) // sentences] for i in range(sentences))


def _largest(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a - b).max())


def check_target(out: Path) -> None:
    """Refuse to write a model folder over something else.

    :raises FileExistsError: where ``out`` holds files and is no model folder.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise FileExistsError(f"{out} exists and is no model folder; nothing was written")


def replace_folder(work: Path, out: Path) -> None:
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
    """Write a model folder from a training checkpoint, or in fp32 from a model folder that computes in 8 bits.

    :param checkpoint: a training checkpoint or, with ``weights`` fp32, a model folder.
    :param out: the model folder to write.
    :param name: name that the model gives of itself; by default that of the training run.
    :param version: likewise.
    :param weights: how the file stores the weights.
    """
    if (checkpoint / MANIFEST).is_file():
        if weights != "fp32" or name or version:
            raise ExportError(
                f"{checkpoint} is a model folder: it can be turned into fp32 (--weights fp32 alone), no more"
            )
        from brinkline.train.unrounded import in_fp32

        in_fp32(checkpoint, out)
        return
    known = Origin.read(checkpoint)
    origin = replace(known, name=name or known.name, version=version or known.version)
    export(checkpoint, out, origin=origin, weights=weights)


if __name__ == "__main__":
    from brinkline.train.scripts import run_script

    run_script(main)


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
