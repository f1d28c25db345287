"""What a speed was measured on: processor, memory, versions, settings that matter."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from brinkline.model.checkpoint import WEIGHTS, Manifest, file_sha256
from brinkline.model.engine import available_processors

LIBRARIES = (
    "brinkline",
    "onnxruntime",
    "tokenizers",
    "numpy",
    "torch",
    "transformers",
    "sentence-transformers",
)
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16")
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM")


def machine() -> dict[str, Any]:
    """Return what is known of the machine, as it is at this moment."""
    import psutil

    info = _cpuinfo()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "instructions": [flag for flag in _FLAGS if flag in info.get("flags", "").split()],
        "processors": os.cpu_count(),
        "processors_available": available_processors(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        # Of the last minute, before anything is measured: above nought, others were at work.
        "load": round(psutil.getloadavg()[0], 2),
        "niceness": psutil.Process().nice(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "commit": _commit(),
    }


def describe_model(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Return which weights were measured."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "max_tokens": manifest.max_tokens,
        "megabytes": round((folder / WEIGHTS).stat().st_size / 1e6, 1),
        "sha256": file_sha256(folder / WEIGHTS),
    }


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first = path.read_text(encoding="utf-8").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _commit() -> str | None:
    """Return the commit that was measured, with a mark where files are changed; None outside git."""
    root = Path(__file__).parent.parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
