import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import brinkline
from brinkline.data.schema import read_labelled
from brinkline.train import finetune
from brinkline.train.objective import ClassWeights
from brinkline.train.runs import last_checkpoint, make_folder, stopped_early
from brinkline.train.settings import Settings, SettingsError, check_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def values(tiny_base: Path, labelled_file: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "name": "tiny",
        "runs": str(tmp_path / "runs"),
        "model_name": "tiny",
        "base_model": str(tiny_base),
        "data": {"files": [str(labelled_file)]},
        "max_tokens": 32,
        "baselines": False,
        "trainer": {"num_train_epochs": 3, "learning_rate": 0.003, "disable_tqdm": True, "use_cpu": True},
    }


def last_weights(run: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    folders = (run / f"seed-{seed}" / "checkpoints").glob("checkpoint-*")
    last = max(folders, key=lambda path: int(path.name.split("-")[1]))
    return load_file(last / "model.safetensors")


def test_a_run_from_data_to_model(values: dict[str, Any], labelled_file: Path) -> None:
    values["data"]["evaluate"] = [str(labelled_file)]
    values["seeds"] = [0, 1]
    values["baselines"] = True
    settings = check_settings(values)
    # The evaluation file is the training file here: everything would be left out of training.
    with pytest.raises(ValueError, match="too few"):
        finetune.run(settings)
    values["data"].pop("evaluate")
    run = finetune.run(check_settings(values), overwrite=True)
    classifier = brinkline.load(run / "model")
    assert classifier.name == "tiny 0.1.0"
    assert classifier.predict("The army fire on the city. They met.").summary.sentences == 2
    manifest = classifier.manifest
    assert manifest.metrics["evaluations"]["test split"]["intervals"].keys() >= {"stance_macro_f1"}
    assert len(manifest.metrics["seeds"]["test split"]["stance_macro_f1"]["values"]) == 2
    assert manifest.metrics["evaluations"]["test split"]["fp32"].keys() >= {"stance_macro_f1"}
    assert "in fp32, macro-F1" in (run / "report" / "test-split" / "report.md").read_text()
    assert manifest.training_data[0]["sha256"]
    assert manifest.base_model["sha256"] != "unknown"
    report = run / "report" / "test-split"
    names = {path.name for path in report.iterdir()}
    assert names == {
        "metrics.json",
        "report.md",
        "mistakes.jsonl",
        "confusion.png",
        "reliability.png",
        "precision-recall.png",
    }
    metrics = json.loads((report / "metrics.json").read_text())
    assert len(metrics["baselines"]) == 3
    assert set(metrics["calibration"]) == {"before", "after"}
    assert "on test split" in (run / "log.txt").read_text()
    split = json.loads((run / "split.json").read_text())
    assert split["train"]["sha256"] != split["dev"]["sha256"]
    for seed in (0, 1):
        checkpoints = list((run / f"seed-{seed}" / "checkpoints").glob("checkpoint-*"))
        assert 1 <= len(checkpoints) <= 2, "best and last only"


def test_a_killed_and_resumed_run_ends_with_the_same_weights(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune.run(check_settings({**values, "name": "whole"}))

    from transformers import TrainerCallback

    class Killed(BaseException):
        """Nothing catches it, as nothing catches a kill."""

    class Kill(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 9:  # of 18: in the second epoch, past its checkpoint
                raise Killed

    build = finetune.build_trainer

    def with_kill(*args: Any, **kwargs: Any) -> Any:
        trainer = build(*args, **kwargs)
        trainer.add_callback(Kill)
        return trainer

    settings = check_settings({**values, "name": "killed"})
    monkeypatch.setattr(finetune, "build_trainer", with_kill)
    with pytest.raises(Killed):
        finetune.run(settings)
    assert not (settings.run_folder / "model").exists()
    monkeypatch.setattr(finetune, "build_trainer", build)
    resumed = finetune.run(settings, resume=True)

    expected, found = last_weights(whole), last_weights(resumed)
    assert expected.keys() == found.keys()
    for name in expected:
        assert torch.equal(expected[name], found[name]), name
    states = [(run / "seed-0" / "result.json").read_text() for run in (whole, resumed)]
    assert states[0] == states[1]


def test_the_same_settings_give_the_same_weights_and_another_seed_others(values: dict[str, Any]) -> None:
    values["trainer"]["max_steps"] = 4
    values["trainer"] |= {
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 4,
        "save_steps": 4,
    }
    runs = [
        finetune.run(check_settings({**values, "name": name, "seeds": [seed]}))
        for name, seed in (("a", 0), ("b", 0), ("c", 5))
    ]
    a, b, c = (last_weights(run, seed) for run, seed in zip(runs, (0, 0, 5), strict=True))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_an_existing_run_is_not_overwritten_by_accident(values: dict[str, Any]) -> None:
    settings = check_settings(values)
    make_folder(settings, None, resume=False)
    (settings.run_folder / "notes.txt").write_text("precious")
    with pytest.raises(SettingsError, match="--resume goes on with it"):
        finetune.run(settings)
    assert (settings.run_folder / "notes.txt").is_file()


def test_a_folder_that_is_no_run_is_never_overwritten(values: dict[str, Any]) -> None:
    settings = check_settings(values)
    settings.run_folder.mkdir(parents=True)
    (settings.run_folder / "thesis.docx").write_text("years of work")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(SettingsError, match="is no run folder; nothing was touched"):
            finetune.run(settings, **options)
    assert (settings.run_folder / "thesis.docx").is_file()


def test_a_checkpoint_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    for step, files in ((6, ["model.safetensors", "trainer_state.json"]), (12, ["model.safetensors"])):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in files:
            (folder / name).write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-6"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-6"]
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_resuming_with_other_settings_is_refused(values: dict[str, Any]) -> None:
    make_folder(check_settings(values), None, resume=False)
    with pytest.raises(SettingsError, match="limit: 50, but None"):
        finetune.run(check_settings(values), resume=True, limit=50)
    values["dropout"] = 0.3
    with pytest.raises(SettingsError, match="dropout: differs"):
        finetune.run(check_settings(values), resume=True)


def test_resuming_with_other_data_is_refused(
    values: dict[str, Any], labelled_file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_text(labelled_file.read_text())
    values["data"]["files"] = [str(copy)]
    make_folder(check_settings(values), None, resume=False)
    with copy.open("a") as file:
        file.write('{"text": "They met.", "stance": "conciliatory", "signals": []}\n')
    with pytest.raises(SettingsError, match=r"copy\.jsonl: has changed since the run began"):
        finetune.run(check_settings(values), resume=True)


def test_data_that_cannot_be_read_leave_no_run_folder(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("not json\n")
    values["data"]["files"] = [str(tmp_path / "bad.jsonl")]
    with pytest.raises(ValueError, match="not JSON"):
        finetune.run(check_settings(values))
    assert not (tmp_path / "runs").exists()


def test_a_training_that_had_stopped_early_is_not_gone_on_with(tmp_path: Path) -> None:
    for counter, stopped in ((2, False), (3, True)):
        callback = {"attributes": {"early_stopping_patience_counter": counter}}
        state = {"stateful_callbacks": {"EarlyStoppingCallback": callback}}
        (tmp_path / "trainer_state.json").write_text(json.dumps(state))
        assert stopped_early(tmp_path, patience=3) is stopped


def test_sentences_that_are_measured_on_are_not_trained_on(
    values: dict[str, Any], labelled_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = json.loads(labelled_file.read_text().splitlines()[0])
    shouted = {**first["sentences"][0], "text": f"  {first['sentences'][0]['text'].upper()} "}
    held_out = tmp_path / "held-out.jsonl"
    held_out.write_text(json.dumps(shouted) + "\n")
    values["data"]["evaluate"] = [str(held_out)]
    data = finetune.load_data(check_settings(values))
    texts = [
        s.text for part in ("train", "dev", "test") for d in getattr(data.split, part) for s in d.sentences
    ]
    assert first["sentences"][0]["text"] not in texts
    assert len(texts) == 60 * 4 - 1
    assert "1 sentences left out of training" in caplog.text


def test_input_longer_than_the_base_model_reads_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="more than the base model's 64"):
        finetune.run(check_settings({**values, "max_tokens": 128}))


def test_class_weights_are_those_of_scikit_learn() -> None:
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight

    stance = np.array([0, 0, 0, 1, 1, 2])
    signals = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]])
    weights = ClassWeights(stance, signals)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 2]), y=stance)
    assert weights.stance.tolist() == pytest.approx(expected.tolist())
    assert weights.signals.tolist() == pytest.approx([5.0, 1.0, 5.0])


def test_a_base_model_in_a_folder_needs_no_network(tiny_base: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise SystemExit('the network was called')\n"
        "socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse\n"
        "from brinkline.model.network import load_base\n"
        "print(len(load_base(sys.argv[1])[2]))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    command = [sys.executable, "-c", code, str(tiny_base)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "64", done.stderr


def test_script_and_fast_dev_run(values: dict[str, Any], tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(values))
    command = [
        sys.executable,
        str(ROOT / "train" / "finetune.py"),
        str(config),
        "--fast-dev-run",
        "dropout=0.2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    model = tmp_path / "runs" / "tiny-fast" / "model"
    assert brinkline.load(model).manifest.settings["dropout"] == 0.2


def test_script_ends_wrong_settings_with_one_message(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: x\ndata: {files: [nowhere]}\nepochs: 3\n")
    command = [sys.executable, str(ROOT / "train" / "finetune.py"), "config.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "epochs: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tracking_tool_that_is_not_installed_is_named_before_anything_is_loaded(
    values: dict[str, Any],
) -> None:
    values["trainer"]["report_to"] = "clearml"
    with pytest.raises(SettingsError, match=r"trainer\.report_to: 'clearml' is not installed"):
        check_settings(values)


def test_settings_are_written_in_full(values: dict[str, Any]) -> None:
    settings: Settings = check_settings(values)
    make_folder(settings, None, resume=False)
    saved = yaml.safe_load((settings.run_folder / "settings.yaml").read_text())
    assert saved["settings"]["patience"] == 3
    assert saved["settings"]["trainer"]["optim"] == "adamw_torch_fused"
    assert len(saved["files"][0]["sha256"]) == 64


def test_no_report_takes_the_place_of_another() -> None:
    slugs: list[str] = []
    for name in ("test split", "test-split.jsonl", "gold", "gold.jsonl"):
        slugs.append(finetune._slug(name, slugs))
    assert slugs == ["test-split", "test-split-2", "gold", "gold-2"]


def test_sentences_that_name_no_licence_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    plain: dict[str, Any] = {"stance": "neutral", "signals": []}
    rows = [{"text": "It rained.", **plain}, {"text": "They met.", "licence": "CC BY 4.0", **plain}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (found,) = finetune.describe_training(read_labelled([path]))
    assert found["licence"] == "CC BY 4.0, not stated"
