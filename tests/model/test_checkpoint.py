import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import brinkline
from brinkline.model.checkpoint import (
    Calibration,
    ModelFolderError,
    check_thresholds,
    file_sha256,
    read_manifest,
    write_manifest,
)


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_round_trip(folder: Path) -> None:
    manifest = read_manifest(folder)
    write_manifest(folder, manifest)
    assert read_manifest(folder) == manifest


def test_manifest_holds_what_the_design_asks_for(folder: Path) -> None:
    values = json.loads((folder / "manifest.json").read_text())
    assert values["format"] == 1
    assert values["labels"] == {
        "stances": ["hostile", "neutral", "conciliatory"],
        "signals": ["threat", "deterrence", "retaliation"],
    }
    assert set(values["temperatures"]) == {"stance", "threat", "deterrence", "retaliation"}
    assert set(values["thresholds"]) == {"threat", "deterrence", "retaliation"}
    assert set(values["files"]) == {"README.md", "model.onnx", "tokenizer.json"}
    assert values["libraries"]["torch"]
    assert values["base_model"].keys() == {"name", "sha256"}


def test_nothing_is_pickled(folder: Path) -> None:
    assert {path.suffix for path in folder.iterdir()} == {".json", ".md", ".onnx"}


def test_folder_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"no model folder: it has no manifest\.json"):
        brinkline.load(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        brinkline.load(tmp_path / "nowhere")


def test_checkpoint_given_in_place_of_a_model_folder(checkpoint: Path) -> None:
    with pytest.raises(ModelFolderError, match="brinkline export"):
        brinkline.load(checkpoint)


def test_a_run_folder_stands_for_its_model(folder: Path) -> None:
    assert (folder.parent / "model").is_dir()
    assert brinkline.load(folder.parent).name == brinkline.load(folder).name


def test_other_format_number(folder: Path) -> None:
    edit(folder, lambda values: values.update(format=2))
    with pytest.raises(ModelFolderError, match="format 2, this version of brinkline reads 1"):
        brinkline.load(folder)


def test_other_labels(folder: Path) -> None:
    edit(folder, lambda values: values["labels"]["stances"].reverse())
    with pytest.raises(ModelFolderError, match="labels are"):
        brinkline.load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_changed_file(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ModelFolderError, match=f"{name} has changed"):
        brinkline.load(folder)


def test_a_note_in_the_model_card_does_no_harm(folder: Path) -> None:
    with (folder / "README.md").open("a") as file:
        file.write("Mind the gap.\n")
    assert brinkline.load(folder).name == "tiny 0.1.0"


def test_missing_file(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelFolderError, match=r"model\.onnx is missing"):
        brinkline.load(folder)


def test_manifest_that_is_not_json(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ModelFolderError, match="not JSON"):
        brinkline.load(folder)


@pytest.mark.parametrize("key", ["name", "temperatures", "thresholds", "max_tokens", "files"])
def test_missing_key_is_named(folder: Path, key: str) -> None:
    edit(folder, lambda values: values.pop(key))
    with pytest.raises(ModelFolderError, match=f"lacks '{key}'"):
        brinkline.load(folder)


def test_temperature_out_of_range(folder: Path) -> None:
    edit(folder, lambda values: values["temperatures"].update(threat=0))
    with pytest.raises(ModelFolderError, match="temperature of threat must be above 0"):
        brinkline.load(folder)


def test_calibration_round_trip() -> None:
    calibration = Calibration(1.5, {"threat": 1.0, "deterrence": 2.0, "retaliation": 0.5})
    assert Calibration.from_dict(calibration.to_dict()) == calibration


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"menace": 0.5}, "unknown signal 'menace'"),
        ({"threat": 1.5}, "from 0 to 1"),
        ({"threat": True}, "from 0 to 1"),
    ],
)
def test_bad_thresholds(thresholds: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_thresholds(thresholds)


def test_file_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
