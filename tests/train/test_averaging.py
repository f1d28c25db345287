"""Rounds after the main training, and the mean of the weights they end with."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import brinkline
from brinkline.model.checkpoint import TOKENIZER
from brinkline.model.encoding import SentenceEncoder
from brinkline.model.network import STATE, Network
from brinkline.train import finetune
from brinkline.train.averaging import average_weights
from brinkline.train.runs import RESULT, best_checkpoint, best_seed
from brinkline.train.settings import SettingsError, check_settings


@pytest.fixture
def values(short_run: dict[str, Any]) -> dict[str, Any]:
    return {**short_run, "averaging": {"rounds": 2, "learning_rate": 1e-3}}


def weights_of(checkpoint: Path) -> dict[str, Any]:
    found: dict[str, Any] = load_file(checkpoint / STATE)
    return found


def ends_of(run: Path) -> list[dict[str, Any]]:
    checkpoints = run / "seed-0" / "checkpoints"
    folders = [checkpoints, checkpoints / "round-1", checkpoints / "round-2"]
    return [weights_of(best_checkpoint(folder, None)) for folder in folders]


def test_what_is_kept_is_the_mean_of_all_ends(values: dict[str, Any]) -> None:
    run = finetune.run(check_settings(values))
    ends = ends_of(run)
    assert best_seed(run).checkpoint == run / "seed-0" / "checkpoints" / "average"
    mean = weights_of(best_seed(run).checkpoint)
    for name, value in mean.items():
        wanted = np.mean([end[name].astype(np.float64) for end in ends], axis=0)
        np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-8, err_msg=name)
    moved = [max(float(abs(b[n] - a[n]).max()) for n in a) for a, b in itertools.pairwise(ends)]
    assert all(0 < step < 0.1 for step in moved), "each round goes on from the one before"
    told = json.loads((run / "model" / "manifest.json").read_text(encoding="utf-8"))["settings"]
    assert told["averaging"] == {"rounds": 2, "num_train_epochs": 1.0, "learning_rate": 1e-3}
    assert brinkline.load(run / "model").predict_sentences(["The rain fell on Monday."])


def test_a_killed_round_is_made_up_for(values: dict[str, Any]) -> None:
    settings = check_settings({**values, "export": False})
    run = finetune.run(settings)
    before = weights_of(best_seed(run).checkpoint)
    shutil.rmtree(run / "seed-0" / "checkpoints" / "round-2")  # as if killed between the rounds
    shutil.rmtree(run / "seed-0" / "checkpoints" / "average")
    (run / "seed-0" / RESULT).unlink()
    finetune.run(settings, resume=True)
    after = weights_of(best_seed(run).checkpoint)
    assert all((after[name] == before[name]).all() for name in before)


def test_a_second_stage_begins_at_the_average(values: dict[str, Any]) -> None:
    stage = {"sources": ["articles"], "learning_rate": 1e-9}
    run = finetune.run(check_settings({**values, "export": False, "second_stage": stage}))
    kept = best_seed(run).checkpoint
    assert kept.parent.name == "second-stage"
    average, second = weights_of(run / "seed-0" / "checkpoints" / "average"), weights_of(kept)
    assert max(float(abs(second[name] - average[name]).max()) for name in average) < 1e-6


def test_the_mean_keeps_tokenizer_and_limits(values: dict[str, Any], tmp_path: Path) -> None:
    run = finetune.run(check_settings({**values, "averaging": None, "export": False}))
    checkpoint = best_seed(run).checkpoint
    network, limits = Network.load(checkpoint)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.neg_()
    text = (checkpoint / TOKENIZER).read_text(encoding="utf-8")
    network.save(tmp_path / "negative", text, limits)
    average_weights([checkpoint, tmp_path / "negative"], tmp_path / "mean")
    mean, kept = Network.load(tmp_path / "mean")
    assert kept == limits == {"max_tokens": 32, "context": 0}
    assert all(not parameter.any() for parameter in mean.parameters())
    assert SentenceEncoder.from_file(tmp_path / "mean" / TOKENIZER, 32).encode(["rain"])


def test_wrong_settings_are_named(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"averaging.round: unknown key \(did you mean 'rounds'"):
        check_settings({**values, "averaging": {"round": 2}})
    with pytest.raises(SettingsError, match=r"averaging.rounds: Input should be greater than or equal to 1"):
        check_settings({**values, "averaging": {"rounds": 0}})
