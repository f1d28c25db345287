"""Two processes on the CPU train one model: what each of them reads and writes, and what they leave behind."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

import brinkline
from brinkline.model.labels import SIGNALS

ROOT = Path(__file__).parents[2]

# Notes down what each process trains on, and gives each its own umask: the mode of a file then tells who made it.
# It stands in front of the script that users start, and changes nothing in it.
WITNESS = """
import json, os, runpy, sys
from brinkline.train.trainer import StanceSignalTrainer

rank = int(os.environ["RANK"])
os.umask(0o027 if rank else 0o022)
seen, step = [], StanceSignalTrainer.training_step

def witnessed(self, model, inputs, *rest):
    rows = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist())
    seen.append([[i for i, real in zip(*row) if real] for row in rows])
    return step(self, model, inputs, *rest)

StanceSignalTrainer.training_step = witnessed
script, sys.argv = sys.argv[1], sys.argv[1:]
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as end:
    if end.code:
        raise
with open(f"seen-{rank}.json", "w") as file:
    json.dump(seen, file)
"""


def made_by_others(folder: Path) -> set[str]:
    """Return the files below a folder that another process than the main one made."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {p.relative_to(folder).as_posix() for p in paths if stat.S_IMODE(p.stat().st_mode) == 0o640}


@pytest.fixture(scope="module")
def trained(
    tiny_base: Path, labelled_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[list[list[list[int]]]]]:
    """Train with two processes; return the run folder, and for each process the sentences of each step."""
    folder = tmp_path_factory.mktemp("distributed")
    values: dict[str, Any] = {
        "name": "two",
        "model_name": "tiny",
        "base_model": str(tiny_base),
        "data": {"files": [str(labelled_file)]},
        "max_tokens": 32,
        "baselines": False,
        "trainer": {"num_train_epochs": 2, "learning_rate": 0.003, "disable_tqdm": True, "use_cpu": True},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    (folder / "witness.py").write_text(WITNESS)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*torchrun, "witness.py", str(ROOT / "train" / "finetune.py"), "config.yaml"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = [json.loads((folder / f"seen-{rank}.json").read_text()) for rank in (0, 1)]
    return folder / "runs" / "two", seen


def test_each_process_trains_on_other_sentences_and_together_on_all(
    trained: tuple[Path, list[list[list[list[int]]]]],
) -> None:
    run, (first, second) = trained
    assert len(first) == len(second), "as many steps in each, or one would wait for ever"
    count = json.loads((run / "split.json").read_text())["train"]["sentences"]
    epoch = len(first) // 2
    for steps in (slice(0, epoch), slice(epoch, None)):
        mine = [tuple(row) for batch in first[steps] for row in batch]
        yours = [tuple(row) for batch in second[steps] for row in batch]
        # No sentence of the file stands there twice; the last batch is filled up with sentences of the first.
        repeated = len(mine) + len(yours) - count
        assert 0 <= repeated < 2 * 32
        assert len({*mine, *yours}) == count
        assert len({*mine} & {*yours}) <= repeated
        assert min(len({*mine}), len({*yours})) >= count // 3


def test_the_run_folder_is_whole_and_the_main_process_alone_writes_it(
    trained: tuple[Path, list[list[list[list[int]]]]],
) -> None:
    run, _ = trained
    names = {path.relative_to(run).parts[0] for path in run.rglob("*") if path.is_file()}
    assert names == {"settings.yaml", "split.json", "log.txt", "seed-0", "model", "report"}
    result = json.loads((run / "seed-0" / "result.json").read_text())
    weights = load_file(run / "seed-0" / "checkpoints" / result["checkpoint"] / "model.safetensors")
    assert not [name for name in weights if name.startswith("module.")], "the network, not its wrapper"
    scores = brinkline.load(run / "model").predict("They met.")
    assert set(scores.sentences[0].signal_probabilities) == set(SIGNALS)
    # To resume, each process needs the state of its own random numbers; all else is the main one's.
    assert {Path(name).name for name in made_by_others(run)} == {"rng_state_1.pth"}
    log = (run / "log.txt").read_text()
    assert log.count("training the baselines") == 0
    assert log.count("seed 0 on test split") == 1
