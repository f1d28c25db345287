"""What a teacher said, in a file, stands in the teacher's place."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from brinkline.data.corpus import to_dataset
from brinkline.data.schema import read_labelled, sentences_of
from brinkline.data.soft import read_soft_labels
from brinkline.train import distil, finetune, soft_labels
from brinkline.train.settings import Distillation, SettingsError, check_settings

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def texts(tmp_path: Path, labelled_file: Path) -> Path:
    """Thirty sentences without labels, and one that has a label elsewhere."""
    path = tmp_path / "texts.jsonl"
    known = sentences_of(read_labelled([labelled_file]))[0].text
    rows = [{"text": f"the rain on monday {i}"} for i in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": known}]), encoding="utf-8")
    return path


@pytest.fixture
def student(short_run: dict[str, Any], texts: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings of a student that learns from a file, beside the run folder of its teacher."""
    values = {**short_run, "name": "teacher", "export": False}
    finetune.run(check_settings(values))
    told = {"teacher": str(tmp_path / "soft.jsonl"), "unlabelled": [str(texts)], "share": 0}
    return {**values, "name": "student", "distillation": told}


def test_a_file_teaches_as_its_teacher_does(
    student: dict[str, Any], labelled_file: Path, tmp_path: Path
) -> None:
    teacher, out = tmp_path / "runs" / "teacher", tmp_path / "soft.jsonl"
    assert soft_labels.write(check_settings(student), teacher, out) == 30
    train = to_dataset(read_labelled([labelled_file])[:5])
    settings = Distillation(**student["distillation"])
    by_file = distil.with_teacher(train, settings, distil.Known())
    by_run = distil.with_teacher(train, settings.model_copy(update={"teacher": teacher}), distil.Known())
    n = len(train)
    assert by_file["text"][:n] == by_run["text"][:n] == train["text"][:]
    assert by_file["stance_target"][:n] == by_run["stance_target"][:n] == np.eye(3)[train["stance"]].tolist()
    assert len(by_file) == n + 30
    # The file speaks of none of the sentences that have labels; nothing was said to be known here.
    said = dict(zip(by_run["text"][n:], by_run["stance_target"][n:], strict=True))
    for text, target in zip(by_file["text"][n:], by_file["stance_target"][n:], strict=True):
        assert target == pytest.approx(said[text], abs=0.002)
    log = (finetune.run(check_settings(student)) / "log.txt").read_text(encoding="utf-8")
    assert "labelled sentences as they are, 30 with the teacher alone" in log
    assert "does not speak of" not in log


def test_a_file_that_cannot_stand_for_the_teacher_is_refused(student: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "soft.jsonl"
    told = {**student["distillation"], "signals": False}
    soft_labels.write(check_settings({**student, "distillation": told}), tmp_path / "runs" / "teacher", out)
    assert not read_soft_labels(out).signals

    def run(**changes: Any) -> None:
        finetune.run(check_settings({**student, "distillation": {**told, **changes}}), overwrite=True)

    with pytest.raises(SettingsError, match=r"distillation\.share: .* set it to 0"):
        run(share=0.5)
    with pytest.raises(SettingsError, match=r"distillation\.temperature: .* leave it at 1"):
        run(temperature=2)
    with pytest.raises(SettingsError, match=r"distillation\.signals: .*soft\.jsonl has none"):
        run(signals=True)
    others = tmp_path / "others.jsonl"
    others.write_text('{"text": "another"}\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"soft\.jsonl speaks of none of the sentences"):
        run(unlabelled=[str(others)])
    moved = {**student["data"], "split_seed": 1}
    with pytest.raises(SettingsError, match="documents that the student is measured on"):
        finetune.run(check_settings({**student, "distillation": told, "data": moved}), overwrite=True)


def test_sentences_that_the_file_does_not_speak_of_are_left_out(
    student: dict[str, Any], texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "soft.jsonl"
    soft_labels.write(check_settings(student), tmp_path / "runs" / "teacher", out)
    with texts.open("a", encoding="utf-8") as file:
        file.write('{"text": "a sentence that is new"}\n')
    log = (finetune.run(check_settings(student)) / "log.txt").read_text(encoding="utf-8")
    assert "soft.jsonl does not speak of 1 of 31 sentences: they are left out" in log
    assert "30 with the teacher alone" in log


def test_nothing_to_say_is_told(student: dict[str, Any], labelled_file: Path, tmp_path: Path) -> None:
    teacher, out = tmp_path / "runs" / "teacher", tmp_path / "soft.jsonl"
    with pytest.raises(SettingsError, match="distillation: missing"):
        soft_labels.write(check_settings({**student, "distillation": None}), teacher, out)
    known = sentences_of(read_labelled([labelled_file]))[0].text
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": known}) + "\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"distillation\.unlabelled: no sentences"):
        soft_labels.write(check_settings(student), teacher, out)
    with pytest.raises(SettingsError, match="no finished run"):
        soft_labels.write(check_settings(student), tmp_path / "none", out)
    assert not out.exists()


def test_as_a_script(student: dict[str, Any], tmp_path: Path) -> None:
    config, out = tmp_path / "student.yaml", tmp_path / "soft.jsonl"
    config.write_text(yaml.safe_dump(student), encoding="utf-8")
    script = [
        sys.executable,
        str(ROOT / "train" / "soft_labels.py"),
        str(config),
        str(tmp_path / "runs" / "teacher"),
    ]
    done = subprocess.run([*script, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of 30 sentences" in done.stderr
    assert len(read_soft_labels(out).stance) == 30
    failed = subprocess.run([*script[:-1], "nowhere", str(out)], capture_output=True, text=True, check=False)
    assert (failed.returncode, "Traceback" in failed.stderr) == (2, False)
    assert "no finished run" in failed.stderr
