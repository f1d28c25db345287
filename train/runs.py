"""The run folder: what is in it, when it may be written to, and how a killed run is found again."""

from __future__ import annotations

import json
import logging
import os
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from brinkline.data.corpus import describe_files
from brinkline.model.checkpoint import file_sha256
from brinkline.train.arguments import training_arguments
from brinkline.train.scripts import log_to
from brinkline.train.settings import Settings, SettingsError

SETTINGS = "settings.yaml"
LOG = "log.txt"
RESULT = "result.json"
STATE = "trainer_state.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class SeedResult:
    """One finished training."""

    seed: int
    checkpoint: Path
    """The best checkpoint, with its ``calibration.json``."""
    dev_mean_f1: float
    figures: dict[str, dict[str, float]]
    """Headline figures of each evaluation set."""


def is_main_process() -> bool:
    """Return True in the process that writes files (under torchrun the first, else the only one)."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_everyone(settings: Settings) -> None:
    """Under torchrun, wait until every process is here: none may look into the run folder before it is made."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        arguments = training_arguments(settings.trainer, settings.run_folder, seed=0)
        assert arguments.device is not None  # asking for the device joins the processes
        arguments.distributed_state.wait_for_everyone()


def check_folder(settings: Settings, limit: int | None, resume: bool, overwrite: bool) -> None:
    """Refuse a run that would spoil an earlier one, or something that is no run.

    :raises SettingsError: where the folder exists and neither ``resume`` nor ``overwrite`` is asked for, or where the
        run to be resumed was made with other settings or other data.
    """
    folder = settings.run_folder
    path = folder / SETTINGS
    if resume and path.is_file():
        before, now = yaml.safe_load(path.read_text(encoding="utf-8")), _describe(settings, limit)
        old, new = before["settings"], now["settings"]
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        problems = [f"{key}: differs from the run to be resumed ({path})" for key in changed]
        if before.get("limit") != limit:
            problems.append(f"limit: {limit}, but {before.get('limit')} in the run to be resumed ({path})")
        if not problems and before["files"] != now["files"]:
            names = [item["file"] for item in now["files"] if item not in before["files"]]
            problems = [
                f"{name}: has changed since the run began ({path})" for name in names or ["data.files"]
            ]
        if problems:
            raise SettingsError(problems)
    elif folder.exists() and any(folder.iterdir()) and not path.is_file():
        raise SettingsError([f"{folder} exists and is no run folder; nothing was touched"])
    elif not overwrite and path.is_file():
        choices = "--resume goes on with it, --overwrite starts anew, name=… makes another"
        raise SettingsError([f"{folder} exists already: {choices}"])


def make_folder(settings: Settings, limit: int | None, resume: bool) -> None:
    """Make the folder and write the resolved settings; without ``resume`` an earlier run is deleted."""
    folder = settings.run_folder
    if resume and (folder / SETTINGS).is_file():
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / SETTINGS).write_text(
        yaml.safe_dump(_describe(settings, limit), sort_keys=False), encoding="utf-8"
    )


@contextmanager
def log_to_file(folder: Path) -> Iterator[None]:
    """Append the package's log, and the traceback of an error, to the run's ``log.txt``."""
    handler = logging.FileHandler(folder / LOG, encoding="utf-8")
    try:
        with log_to(handler, "%(asctime)s %(message)s"):
            yield
    except Exception:
        if handler.stream is not None:
            handler.stream.write(traceback.format_exc())
        raise
    finally:
        handler.close()


def read_result(folder: Path) -> SeedResult | None:
    """Read the result of a seed that is finished; None where it is not."""
    path = folder / RESULT
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    return SeedResult(**{**values, "checkpoint": folder / "checkpoints" / values["checkpoint"]})


def best_seed(run_folder: Path) -> SeedResult:
    """Return the finished training of a run that did best on its dev split.

    :raises SettingsError: where none is finished.
    """
    found = [read_result(folder) for folder in sorted(run_folder.glob("seed-*"))]
    finished = [result for result in found if result is not None]
    if not finished:
        raise SettingsError([f"{run_folder}: no finished run, train it first"])
    return max(finished, key=lambda result: result.dev_mean_f1)


def write_result(folder: Path, result: SeedResult) -> None:
    """Write the result of a finished seed."""
    values = {
        "seed": result.seed,
        "checkpoint": result.checkpoint.relative_to(folder / "checkpoints").as_posix(),
        "dev_mean_f1": result.dev_mean_f1,
        "figures": result.figures,
    }
    (folder / RESULT).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def last_checkpoint(checkpoints: Path) -> Path | None:
    """Return the newest whole checkpoint of a training, None where there is none.

    The trainer writes its state last: a checkpoint without one was cut off by a kill, and is deleted.
    """
    lead = f"{PREFIX_CHECKPOINT_DIR}-"
    steps = [int(n) for path in checkpoints.glob(f"{lead}*") if (n := path.name.removeprefix(lead)).isdigit()]
    for step in sorted(steps, reverse=True):
        path = checkpoints / f"{lead}{step}"
        if (path / STATE).is_file():
            return path
        if is_main_process():  # the others may stand here at the same time
            shutil.rmtree(path)
    return None


def stopped_early(checkpoint: Path, patience: int) -> bool:
    """Return True if training had come to its early end when this checkpoint was saved."""
    path = checkpoint / STATE
    if not path.is_file():
        return False
    callbacks: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")).get("stateful_callbacks", {})
    state = callbacks.get("EarlyStoppingCallback", {}).get("attributes", {})
    return int(state.get("early_stopping_patience_counter", 0)) >= patience


def best_checkpoint(checkpoints: Path, best: str | None) -> Path:
    """Return the best checkpoint; without evaluation while training there is only a last one.

    :param checkpoints: the folder that holds them.
    :param best: the one that the trainer names.
    :raises SettingsError: where none was saved.
    """
    # By its name: the run folder may have been moved since.
    found = checkpoints / Path(best).name if best else last_checkpoint(checkpoints)
    if found is None:
        raise SettingsError(["trainer.save_strategy: no checkpoint was saved, so there is nothing to export"])
    return found


def _describe_teacher(folder: Path) -> dict[str, Any]:
    if folder.is_file():  # of soft labels
        return {"file": folder.name, "sha256": file_sha256(folder)}
    weights = best_seed(folder).checkpoint / WEIGHTS
    return {"file": f"{folder.name}/{weights.name}", "sha256": file_sha256(weights)}


def _describe(settings: Settings, limit: int | None) -> dict[str, Any]:
    data = settings.data
    joined = [path for pair in data.detached for path in (pair.labels, pair.texts)]
    more = list(settings.distillation.unlabelled) if settings.distillation else []
    files = describe_files([*data.files, *data.train_only, *data.evaluate, *joined, *more])
    if settings.distillation:
        files.append(_describe_teacher(settings.distillation.teacher))
    if (
        base := Path(settings.base_model) / WEIGHTS
    ).is_file():  # a folder, which may hold another network tomorrow
        files.append({"file": f"{base.parent.name}/{base.name}", "sha256": file_sha256(base)})
    return {"settings": json.loads(settings.model_dump_json()), "limit": limit, "files": files}
