"""Settings that several tests of training begin with."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def short_run(tiny_base: Path, labelled_file: Path, tmp_path: Path) -> dict[str, Any]:
    """Return settings of a run of four steps on the tiny model, measured and saved at its end."""
    return {
        "name": "tiny",
        "runs": str(tmp_path / "runs"),
        "base_model": str(tiny_base),
        "data": {"files": [str(labelled_file)]},
        "max_tokens": 32,
        "baselines": False,
        "trainer": {
            "max_steps": 4,
            "eval_strategy": "steps",
            "save_strategy": "steps",
            "eval_steps": 4,
            "save_steps": 4,
            "disable_tqdm": True,
            "use_cpu": True,
        },
    }
