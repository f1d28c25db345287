"""What docs/scaling.md says is what the script prints, and the job that it shows takes every file once."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
COST = [sys.executable, str(ROOT / "benchmarks" / "cost.py")]


def cost(options: str) -> str:
    done = subprocess.run([*COST, *shlex.split(options)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells(table: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    return {name: values for name, *values in rows}


def test_the_table_of_the_page_is_the_output_of_the_script() -> None:
    found = re.search(r"<!-- cost: (.*?) -->\n\n(.*?)\n<!-- /cost -->", PAGE, re.DOTALL)
    assert found
    assert cost(found[1]) == found[2]


def test_inputs_that_the_page_explains_are_those_of_its_table() -> None:
    found = re.search(r"<!-- cost: (.*?) -->", PAGE)
    assert found
    words = shlex.split(found[1])
    given = {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}
    explained = {}
    for names, values in re.findall(r"^\| (`--.*?) \| (.*?) \|", PAGE, re.MULTILINE):
        numbers = [float(number) for number in re.findall(r"\d[\d.]*", values.replace(",", ""))]
        explained |= dict(zip(re.findall(r"`(.*?)`", names), numbers, strict=True))
    assert explained == given


def test_cost_by_hand() -> None:
    rows = cells(cost("--sentences-per-second 100 --cores 4 --duplicates 0.64 --price-core-hour 0.5"))
    # 25 sentences an article of which 9 are scored, 25 sentences a second and core: 0.36 s an article.
    assert rows["scored, copies left out"] == ["90 million", "9 billion"]
    assert rows["core-hours"] == ["1,000", "100,000"]
    assert rows["cost at 0.5 a core-hour"] == ["500", "50,000"]
    assert rows["hours by the clock on 64 cores"] == ["15.6", "1,562"]
    assert not [name for name in rows if "GPU" in name]


@pytest.mark.parametrize(
    "options",
    [
        "--sentences-per-second 0 --price-core-hour 1",
        "--sentences-per-second nan --price-core-hour 1",
        "--sentences-per-second 9 --price-core-hour 1 --duplicates 1",
        "--sentences-per-second 9 --price-core-hour 1 --gpu-sentences-per-second 9",
    ],
)
def test_senseless_inputs_are_refused(options: str) -> None:
    done = subprocess.run([*COST, *shlex.split(options)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "error" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="a job of a Linux cluster")
def test_an_array_of_jobs_takes_every_file_once(tmp_path: Path) -> None:
    found = re.search(r"<!-- slurm -->\n```bash\n(.*?)```", PAGE, re.DOTALL)
    assert found
    (tmp_path / "job.sh").write_text(found[1])
    names = [f"archive/part-{number:03d} of the year.jsonl" for number in range(23)]
    (tmp_path / "files.txt").write_text("\n".join(names) + "\n")
    program = tmp_path / "brinkline"  # stands in for the real one, and writes down what it is given
    program.write_text("#!/bin/bash\nprintf '%s\\n' \"$@\" >> taken.txt\n")
    program.chmod(0o755)
    for task in range(5):
        environment = {
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "SLURM_ARRAY_TASK_COUNT": "5",
            "SLURM_ARRAY_TASK_ID": str(task),
        }
        subprocess.run(["bash", "job.sh"], cwd=tmp_path, env=environment, check=True)
    taken = (tmp_path / "taken.txt").read_text().splitlines()
    assert sorted(word for word in taken if word.startswith("archive/")) == names
    assert [word for word in taken if word.startswith("scores/")] == [f"scores/{n}.parquet" for n in range(5)]
