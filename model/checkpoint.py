"""The model folder: what it holds, how it is written, and what is checked before it is used."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from pathlib import Path
from typing import Any

from brinkline.model.errors import BrinklineError
from brinkline.model.labels import SIGNALS, STANCES

FORMAT = 1
"""Number of the folder format; a folder with another number is refused."""

MANIFEST = "manifest.json"
WEIGHTS = "model.onnx"
TOKENIZER = "tokenizer.json"
CARD = "README.md"

DEFAULT_FOLDER = Path(__file__).parent / "default"
"""The shipped model."""


class ModelFolderError(BrinklineError, ValueError):
    """A folder is not a model folder, is damaged, or is of another format; the message says which and where."""


@dataclass(frozen=True)
class Calibration:
    """Temperatures and thresholds, fitted on a development split."""

    stance_temperature: float = 1.0
    """Stance logits are divided by it before the softmax."""
    signal_temperatures: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SIGNALS, 1.0))
    """A signal's logit is divided by its temperature before the sigmoid."""
    thresholds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SIGNALS, 0.5))
    """A signal is given from this probability upwards."""

    def __post_init__(self) -> None:
        for name, values in (("temperature", self.signal_temperatures), ("threshold", self.thresholds)):
            if set(values) != set(SIGNALS):
                raise ValueError(
                    f"one {name} is needed for each of {', '.join(SIGNALS)}; got {sorted(values)}"
                )
        temperatures = {"stance": self.stance_temperature, **self.signal_temperatures}
        for name, value in temperatures.items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"temperature of {name} must be above 0, got {value!r}")
        check_thresholds(self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as the manifest holds them."""
        return {
            "temperatures": {"stance": self.stance_temperature, **self.signal_temperatures},
            "thresholds": dict(self.thresholds),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_dict` wrote.

        :raises KeyError: where a temperature or threshold is missing.
        :raises ValueError: where one is out of range.
        """
        temperatures = values["temperatures"]
        return cls(
            float(temperatures["stance"]),
            {signal: float(temperatures[signal]) for signal in SIGNALS},
            {signal: float(values["thresholds"][signal]) for signal in SIGNALS},
        )


@dataclass(frozen=True)
class Manifest:
    """What a model folder says of itself."""

    name: str
    version: str
    base_model: dict[str, str]
    """``name`` and ``sha256`` of the encoder that was fine-tuned."""
    max_tokens: int
    """Longest input, special tokens counted in."""
    context: int
    """How many sentences before are read along with a sentence."""
    calibration: Calibration
    """Temperatures, and the thresholds from which signals are given."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Headline figures, each with the data that they were measured on."""
    training_data: list[dict[str, Any]] = field(default_factory=list)
    """Files that were trained on: name, sha256, counts."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The resolved settings of the training run."""
    libraries: dict[str, str] = field(default_factory=dict)
    """Versions that the model was trained and exported with."""
    files: dict[str, str] = field(default_factory=dict)
    """sha256 of every other file of the folder."""

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``manifest.json``."""
        values = {"format": FORMAT, **asdict(self)}
        del values["calibration"]
        values["labels"] = {"stances": list(STANCES), "signals": list(SIGNALS)}
        return {**values, **self.calibration.to_dict()}


def check_thresholds(thresholds: Mapping[str, float]) -> None:
    """Check names and values of thresholds.

    :raises ValueError: for a name that is no signal, or a value outside 0 to 1.
    """
    for name in thresholds:
        value: object = thresholds[name]
        if name not in SIGNALS:
            raise ValueError(f"threshold for unknown signal {name!r}; signals are {', '.join(SIGNALS)}")
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
            raise ValueError(f"threshold of {name} must be a number from 0 to 1, got {value!r}")


def find_folder(path: Path) -> Path:
    """Return the model folder that a path stands for: itself, or the ``model`` of a run folder."""
    inner = path / "model"
    return inner if not (path / MANIFEST).is_file() and (inner / MANIFEST).is_file() else path


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` with the hashes of the files beside it."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    values = manifest.to_dict() | {"files": {name: file_sha256(folder / name) for name in names}}
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="\n")


def read_manifest(folder: Path, verify: bool = True) -> Manifest:
    """Read and check a model folder.

    :param folder: the model folder.
    :param verify: also compare the hash of every file but the model card.
    :return: its manifest.
    :raises FileNotFoundError: where the folder does not exist.
    :raises ModelFolderError: where something is missing, changed, or of another format or other labels.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder at {folder}")
    values = _read_json(folder / MANIFEST)
    if values.get("format") != FORMAT:
        raise ModelFolderError(
            f"{folder / MANIFEST}: format {values.get('format')!r}, this version of brinkline reads {FORMAT}"
        )
    labels = {"stances": list(STANCES), "signals": list(SIGNALS)}
    if values.get("labels") != labels:
        raise ModelFolderError(f"{folder / MANIFEST}: labels are {values.get('labels')}, expected {labels}")
    manifest = _parse(folder / MANIFEST, values)
    _check_files(folder, manifest.files, verify)
    return manifest


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        hint = ""
        if (path.parent / "model.safetensors").is_file():
            hint = " (this is a training checkpoint: turn it into a model folder with 'brinkline export')"
        raise ModelFolderError(f"{path.parent} is no model folder: it has no {MANIFEST}{hint}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ModelFolderError(f"{path}: expected an object, got {type(values).__name__}")
    return values


def _parse(path: Path, values: dict[str, Any]) -> Manifest:
    names = {item.name for item in fields(Manifest)} - {"calibration"}
    try:
        calibration = Calibration.from_dict(values)
        given = {name: values[name] for name in names}
    except KeyError as error:
        raise ModelFolderError(f"{path}: lacks {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise ModelFolderError(f"{path}: {error}") from error
    for name in ("max_tokens", "context"):
        if not isinstance(given[name], int) or given[name] < 0:
            raise ModelFolderError(f"{path}: {name} must be a whole number, got {given[name]!r}")
    return Manifest(calibration=calibration, **given)


def _check_files(folder: Path, hashes: Mapping[str, str], verify: bool) -> None:
    for name in (WEIGHTS, TOKENIZER):
        if name not in hashes:
            raise ModelFolderError(f"{folder / MANIFEST}: files lacks {name!r}")
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise ModelFolderError(f"{path} is missing, {MANIFEST} names it")
        # People write in model cards, and nothing is computed from them.
        if verify and name != CARD and (found := file_sha256(path)) != expected:
            raise ModelFolderError(
                f"{path} has changed: sha256 {found[:12]}…, {MANIFEST} says {expected[:12]}…"
            )


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
