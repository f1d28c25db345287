"""Back from 8 bits: the graph gives its tensors back, and the fp32 file says what the 8-bit one says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file

from brinkline.model.checkpoint import DEFAULT_FOLDER, WEIGHTS
from brinkline.model.network import read_checkpoint_config
from brinkline.train import graph
from brinkline.train.export import ExportError, Origin, export
from brinkline.train.export import main as export_main
from brinkline.train.unrounded import in_fp32, restore

TEXTS = ["the army fire", "talks", "if they attack we will answer and revenge", "rain on monday " * 20]


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_graph_gives_its_tensors_back(make_checkpoint: Callable[..., Path], pooling: str) -> None:
    checkpoint = make_checkpoint(pooling=pooling)
    config, state = read_checkpoint_config(checkpoint)["encoder"], load_file(checkpoint / "model.safetensors")
    found, read, pooled = restore(graph.build(state, config, pooling=pooling))
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)
    assert pooled == pooling
    assert read == {name: pytest.approx(config[name]) for name in read}


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_rounded_model_is_turned_back(
    make_checkpoint: Callable[..., Path], tmp_path: Path, pooling: str
) -> None:
    rounded = export(make_checkpoint(pooling=pooling), tmp_path / "int8", origin=Origin(name="tiny"))
    exact = in_fp32(tmp_path / "int8", tmp_path / "fp32")
    assert exact.name == rounded.name
    assert exact.manifest.calibration == rounded.manifest.calibration
    assert exact.manifest.metrics["export"]["weights"] == "fp32", (
        "which is what load() asks before it takes a GPU"
    )
    card = (tmp_path / "fp32" / "README.md").read_text(encoding="utf-8")
    assert ("The first token's vector" if pooling == "first" else "Mean pooling") in card
    operators = {node.op_type for node in onnx.load(str(tmp_path / "fp32" / WEIGHTS)).graph.node}
    assert not operators & {"QAttention", "MatMulIntegerToFloat", "QuantizeLinear"}
    for one, other in zip(rounded.predict_sentences(TEXTS), exact.predict_sentences(TEXTS), strict=True):
        for label, probability in one.stance_probabilities.items():
            assert other.stance_probabilities[label] == pytest.approx(probability, abs=0.1)


def test_the_shipped_model_is_turned_back(tmp_path: Path) -> None:
    exact = in_fp32(DEFAULT_FOLDER, tmp_path / "fp32")
    assert exact.predict("The army shelled two villages.").sentences[0].stance == "hostile"


def test_what_cannot_be_turned_back_is_refused(
    make_checkpoint: Callable[..., Path], model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="is a model folder: it can be turned into fp32"):
        export_main(model_folder, tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="nothing was written"):
        export_main(model_folder, tmp_path / "other", weights="fp32")
    foreign = onnx.load(str(model_folder / WEIGHTS))
    kept = [tensor for tensor in foreign.graph.initializer if tensor.name != "words"]
    del foreign.graph.initializer[:]
    foreign.graph.initializer.extend(kept)
    with pytest.raises(ExportError, match="it has no 'words'"):
        restore(foreign)
