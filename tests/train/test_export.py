import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import brinkline
from brinkline.model.checkpoint import Calibration, read_manifest
from brinkline.train import calibrate
from brinkline.train import export as export_module
from brinkline.train.card import OWN_LICENCE, render_card
from brinkline.train.export import ExportError, Origin, export
from brinkline.train.tracing import quantise


def test_checkpoint_without_calibration_is_exported_and_says_so(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="brinkline"):
        classifier = export(checkpoint, tmp_path / "out")
    assert classifier.manifest.calibration == Calibration()
    assert "temperatures 1, thresholds 0.5" in caplog.text


def test_calibration_of_the_checkpoint_is_taken_along(checkpoint: Path, tmp_path: Path) -> None:
    calibration = Calibration(2.0, thresholds={"threat": 0.2, "deterrence": 0.3, "retaliation": 0.4})
    calibrate.write(calibration, checkpoint)
    try:
        assert export(checkpoint, tmp_path / "out").manifest.calibration == calibration
    finally:
        (checkpoint / calibrate.FILE).unlink()


def test_differences_are_in_the_manifest(checkpoint: Path, tmp_path: Path) -> None:
    parity = export(checkpoint, tmp_path / "out", weights="int8").manifest.metrics["export"]
    assert 0 <= parity["fp32_largest_logit_difference"] < 1e-4
    assert (
        0 < parity["int8_mean_probability_difference"] <= parity["int8_largest_probability_difference"] < 0.2
    )


def test_int8_is_smaller(checkpoint: Path, tmp_path: Path) -> None:
    sizes = {}
    for weights in ("int8", "fp32"):
        export(checkpoint, tmp_path / weights, weights=weights)
        model = onnx.load(str(tmp_path / weights / "model.onnx"))
        sizes[weights] = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    assert sizes["int8"] < sizes["fp32"]


def test_an_export_that_differs_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="differs from the network"):
        export(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_that_int8_would_spoil_are_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "INT8_TOLERANCE", 0.0)
    with pytest.raises(ExportError, match="use weights fp32"):
        export(checkpoint, tmp_path / "out")
    export(checkpoint, tmp_path / "out", weights="fp32")


def test_a_checkpoint_says_where_it_comes_from(checkpoint: Path, tmp_path: Path) -> None:
    row = {"source": "x", "licence": "own", "documents": 1, "sentences": 2, "sha256": "1" * 64}
    origin = Origin("mine", "2.0", {"name": "base", "sha256": "0"}, [row], {"seed": 3})
    origin.write(checkpoint)
    try:
        assert Origin.read(checkpoint) == origin
        export_module.main(checkpoint, tmp_path / "out", version="2.1")
        manifest = brinkline.load(tmp_path / "out").manifest
    finally:
        (checkpoint / export_module.ORIGIN).unlink()
    assert (manifest.name, manifest.version) == ("mine", "2.1")
    assert manifest.base_model == {"name": "base", "sha256": "0"}
    assert manifest.settings == {"seed": 3}


def test_an_earlier_model_folder_is_replaced(checkpoint: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "out")
    export(checkpoint, tmp_path / "out", weights="fp32")
    assert brinkline.load(tmp_path / "out").manifest.metrics["export"]["weights"] == "fp32"


def test_another_folder_is_not_written_over(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(FileExistsError, match="nothing was written"):
        export(checkpoint, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint: it has no"):
        export(tmp_path, tmp_path / "out")


def test_card_tells_what_the_manifest_holds(model_folder: Path) -> None:
    card = (model_folder / "README.md").read_text(encoding="utf-8")
    assert "# tiny 0.1.0" in card


def test_card_says_of_a_users_data_only_what_is_known(model_folder: Path) -> None:
    manifest = read_manifest(model_folder)
    row = {"source": "s", "documents": 1, "sentences": 2, "sha256": "0" * 64}
    theirs = render_card(replace(manifest, training_data=[{**row, "licence": "CC-BY-NC-4.0"}]))
    assert theirs.startswith("---\nlicense: other\nlibrary_name")
    assert "English only" not in theirs
    assert "human experts" not in theirs
    ours = render_card(replace(manifest, training_data=[{**row, "licence": OWN_LICENCE}]))
    assert ours.startswith("---\nlicense: apache-2.0\nlanguage: en\n")
    assert "English only." in ours
    assert "has not been checked\n  by human experts" in ours


def test_card_says_whether_probabilities_were_fitted(model_folder: Path) -> None:
    manifest = read_manifest(model_folder)
    assert "Not fitted" in render_card(replace(manifest, calibration=Calibration()))
    assert "Fitted on the development split" in render_card(replace(manifest, calibration=Calibration(2.0)))


def test_libraries_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "LIBRARIES", ("numpy", "onnxruntime-for-nothing"))
    assert list(export_module._versions()) == ["numpy"]


@example(np.full((8, 12), 1.5e-42, np.float32), 0, 4)  # a scale with too few digits left
@given(
    arrays(np.float32, (8, 12), elements=st.floats(-100, 100, width=32)),
    st.sampled_from([0, 1]),
    st.sampled_from([4, 5, 64]),
)
def test_rounding_to_int8_is_off_by_half_a_step_at_most(array: np.ndarray, axis: int, block: int) -> None:
    values, scales = quantise(array, axis, block)
    blocks = array.shape[axis] // block if array.shape[axis] % block == 0 else 1
    assert values.dtype == np.int8
    assert scales.shape[axis] == blocks
    spread = np.repeat(scales, array.shape[axis] // blocks, axis=axis)
    assert (np.abs(values.astype(np.float32) * spread - array) <= spread * 0.5001).all()
