"""The settings of a training run: typed, checked before anything is loaded, all errors at once."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from brinkline.model.encoding import Pooling
from brinkline.model.errors import BrinklineError
from brinkline.train.arguments import LINKED, OWNED, TRAINER_DEFAULTS, training_arguments

TWENTIETH = Annotated[float, Field(ge=0, le=0.5, multiple_of=0.05)]
SEED = Annotated[int, Field(ge=0, lt=2**32)]  # as numpy takes it


class SettingsError(BrinklineError, ValueError):
    """Settings are wrong; ``problems`` holds one line for each thing that is."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{len(problems)} problem(s) in the settings:", *problems]))


class Detached(BaseModel):
    """Labels kept apart from their texts; see :mod:`brinkline.data.detached`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: FilePath
    """File of labels."""
    texts: FilePath
    """File of the texts that they belong to."""
    signals: bool = True
    """False where the texts were chosen by their signals, or by their words: such a choice would teach how often
    signals occur. Then they teach the stance alone and stay out of the dev and test parts."""
    train_only: bool = False
    """True to train on all of them, as ``DataSettings.train_only`` does: for texts that were chosen to be rich in
    signals, on which no threshold should be fitted."""


class DataSettings(BaseModel):
    """Which labelled data, and how they are split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: list[Path] = Field(min_length=1)
    """Labelled ``.jsonl`` files or folders of them, split by document into train, dev and test."""
    detached: list[Detached] = []
    """Labels that are joined with texts kept elsewhere, and split like ``files`` unless they are ``train_only``."""
    train_only: list[Path] = []
    """Files of which everything is trained on."""
    evaluate: list[Path] = []
    """Files that the finished model is measured on besides the test split; never trained on."""
    dev: TWENTIETH = 0.1
    """Share of the sentences for early stopping and calibration."""
    test: TWENTIETH = 0.1
    """Share of the sentences for the report."""
    split_seed: SEED = 0
    """Fixes the split, whatever the seed of the training."""

    @field_validator("files", "train_only", "evaluate")
    @classmethod
    def _exist(cls, paths: list[Path]) -> list[Path]:
        if missing := [str(path) for path in paths if not path.exists()]:
            raise ValueError(f"no such file or folder: {', '.join(missing)}")
        return paths

    @field_validator("dev")
    @classmethod
    def _needed(cls, share: float) -> float:
        if share == 0:
            raise ValueError("early stopping and calibration need a dev split: at least 0.05")
        return share

    @model_validator(mode="after")
    def _leave_some(self) -> DataSettings:
        if self.dev + self.test > 1 - 0.04:
            raise ValueError(f"dev {self.dev} and test {self.test} leave nothing to train on")
        return self


class Distillation(BaseModel):
    """Learning from a larger model's probabilities (Hinton et al. 2015, arXiv:1503.02531)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: Path
    """Run folder of the teacher, trained before with a file of settings of its own; looked for when the run begins.
    Or a file of what a teacher said of ``unlabelled``, written by ``train/soft_labels.py``; then ``share`` is 0."""
    unlabelled: list[FilePath] = []
    """Sentences without labels that the teacher labels."""
    share: float = Field(default=0.5, ge=0, le=1)
    """What the teacher's word weighs on sentences that have labels, 0 for nothing; on those without it is all there
    is."""
    temperature: float = Field(default=1.0, gt=0, le=10)
    """What the teacher's calibrated logits are divided by: above 1 for a softer word."""
    signals: bool = True
    """Whether the teacher is heard on signals too: if not, they are learned from the labels alone."""


class SecondStage(BaseModel):
    """Going on for a short while on part of the training documents: those most like what the model will read.

    What is learned last weighs most (supplementary training the other way round: Phang et al. 2018, arXiv:1811.01088).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: list[str] = Field(min_length=1)
    """Sources whose documents are read again."""
    others: float = Field(default=0.0, ge=0, le=1)
    """Share of the other documents that is read along, so that what they taught is not forgotten."""
    num_train_epochs: float = Field(default=1.0, gt=0)
    """How often."""
    learning_rate: float = Field(default=3e-5, gt=0)
    """The highest, as in ``trainer``; all else is as there."""


class Averaging(BaseModel):
    """Going on over the whole training set in rounds, in each of which the learning rate rises and falls once more, and
    averaging the weights of the main training's end and of all rounds' ends.

    Stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407) over the ends of a cyclic schedule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: int = Field(default=3, ge=1, le=100)
    """How many."""
    num_train_epochs: float = Field(default=1.0, gt=0)
    """How often a round reads everything."""
    learning_rate: float | None = Field(default=None, gt=0)
    """The highest of a round; None: that of ``trainer``."""


class Settings(BaseModel):
    """Everything that decides how a run comes out."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run folder."""
    runs: Path = Path("runs")
    """Where run folders are made."""
    model_name: str = "brinkline"
    """Name that the model gives of itself."""
    model_version: str = "0.1.0"
    """Version that the model gives of itself."""
    base_model: str = "packaged"
    """``packaged`` (all-MiniLM-L6-v2), a folder, or the id of a model on the Hugging Face hub."""
    data: DataSettings
    """Which labelled data, and how they are split."""
    seeds: list[SEED] = Field(default=[0], min_length=1)
    """One training a seed; the model with the best mean F1 on the dev split is exported."""
    context: int = Field(default=0, ge=0, le=8)
    """How many sentences before are read along."""
    max_tokens: int = Field(default=256, ge=16, le=8192)
    """Longest input, special tokens counted in."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout before the heads."""
    layers: list[Annotated[int, Field(ge=0)]] | None = Field(default=None, min_length=1)
    """Layers of the base model that are kept, counted from 0: fewer make scoring faster. None: all."""
    pooling: Pooling = "mean"
    """What stands for the sentence: the mean of the token vectors, or the first one, which makes scoring faster."""
    class_weight: Literal["none", "balanced"] = "none"
    """``balanced``: rare labels weigh more in the loss, as in scikit-learn."""
    signal_loss_weight: float = Field(default=1.0, gt=0, le=100)
    """What the signals' part of the loss is multiplied with before it is added to the stance's."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of a target that is spread over all labels."""
    focal_gamma: Literal[0, 1, 2, 3, 4, 5] = 0
    """Above 0: sentences that are easy already count less."""
    r_drop: float = Field(default=0.0, ge=0, le=100)
    """Above 0: each batch runs twice, and the difference that dropout makes is punished with this weight."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Below 1: each layer of the encoder learns so much more slowly than the one above it."""
    swap_names: float = Field(default=0.0, ge=0, le=1)
    """Share of the training documents whose countries are given other names."""
    contrastive_epochs: int = Field(default=0, ge=0, le=20)
    """Epochs of supervised-contrastive warm-up of the encoder before the heads are trained."""
    distillation: Distillation | None = None
    """A teacher whose probabilities are learned besides the labels."""
    averaging: Averaging | None = None
    """More rounds after the main training, whose weights are averaged with its own."""
    second_stage: SecondStage | None = None
    """A short training on part of the documents after all else."""
    patience: int = Field(default=3, ge=1)
    """Early stopping: evaluations without a better mean F1."""
    weights: Literal["int8", "fp32"] = "int8"
    """How the exported file stores the weights; with int8, networks of the BERT kind compute in 8 bits too."""
    export: bool = True
    """Export the best seed and write the reports; off for a teacher, of which only the checkpoint is used."""
    baselines: bool = True
    """Train and report the baselines too."""
    trainer: dict[str, Any] = {}
    """Anything that transformers' TrainingArguments takes."""

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("each seed makes one training, the same one twice makes no other")
        return seeds

    @field_validator("layers")
    @classmethod
    def _rise(cls, layers: list[int] | None) -> list[int] | None:
        if layers and layers != sorted(set(layers)):
            raise ValueError("name each layer once, in rising order")
        return layers

    @model_validator(mode="after")
    def _alone(self) -> Settings:
        if self.distillation and self.context:
            raise ValueError("distillation works on sentences alone: set context to 0")
        return self

    @property
    def run_folder(self) -> Path:
        """The run's folder."""
        return self.runs / self.name


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a YAML file, apply ``key=value`` overrides and check the result.

    :param path: the YAML file.
    :param overrides: e.g. ``trainer.num_train_epochs=3``; values are read as YAML.
    :return: the settings, with ``trainer`` completed by :data:`TRAINER_DEFAULTS`.
    :raises SettingsError: with everything that is wrong, unknown keys with the nearest known one.
    """
    values = _read_yaml(Path(path))
    problems: list[str] = []
    for override in overrides:
        _apply(values, override, problems)
    return check_settings(values, problems)


def check_settings(values: Mapping[str, Any], problems: Sequence[str] = ()) -> Settings:
    """Check settings given as a mapping.

    :param values: nested as in the YAML file.
    :param problems: what is known to be wrong already.
    :raises SettingsError: with everything that is wrong.
    """
    found = list(problems)
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        found += _explain(error)
    trainer = values.get("trainer") or {}
    if isinstance(trainer, Mapping):
        trainer, wrong = _check_trainer(trainer)
        found += wrong
    if found or settings is None:
        raise SettingsError(found)
    return settings.model_copy(update={"trainer": {**TRAINER_DEFAULTS, **trainer}})


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError([f"{path}: no such file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from None
    except yaml.YAMLError as error:
        raise SettingsError([f"{path}: not YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(values, dict):
        raise SettingsError([f"{path}: expected keys and values"])
    return values


def _apply(values: dict[str, Any], override: str, problems: list[str]) -> None:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        problems.append(f"{override}: expected key=value")
        return
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        problems.append(f"{override}: the value is not YAML")
        return
    *parents, last = key.split(".")
    for parent in parents:
        if values.get(parent) is None:  # a section without a line under it
            values[parent] = {}
        if not isinstance(values[parent], dict):
            problems.append(f"{override}: {parent} holds no keys")
            return
        values = values[parent]
    values[last] = value


def _explain(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            model = _SECTIONS.get(str(item["loc"][0]), Settings) if len(item["loc"]) > 1 else Settings
            yield f"{place}: unknown key{_nearest(str(item['loc'][-1]), model.model_fields)}"
        else:
            got = "" if item["type"] in ("missing", "value_error") else f", got {item['input']!r}"
            yield f"{place}: {item['msg'].removeprefix('Value error, ')}{got}"


_SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSettings,
    "distillation": Distillation,
    "averaging": Averaging,
    "second_stage": SecondStage,
}


def _nearest(key: str, known: typing.Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _check_trainer(trainer: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the section, with texts that are numbers (YAML's ``1e-4``) made numbers, and what is wrong."""
    from transformers import TrainingArguments

    fields = {item.name for item in dataclasses.fields(TrainingArguments) if item.init}
    hints = typing.get_type_hints(TrainingArguments)
    good: dict[str, Any] = {}
    problems = []
    for key, value in trainer.items():
        if key in OWNED:
            problems.append(f"trainer.{key}: not settable here, {OWNED[key]}")
        elif key not in fields:
            problems.append(f"trainer.{key}: unknown key{_nearest(str(key), fields)}")
        else:
            try:
                good[key] = _convert(hints[key], value)
            except ValueError as error:
                problems.append(f"trainer.{key}: {error}, got {value!r}")
    return good, [*problems, *_refused(good), *_not_installed(good.get("report_to"))]


def _not_installed(report_to: str | list[str] | None) -> Iterator[str]:
    """Name tracking tools that were asked for and would fail only when training begins."""
    from transformers.integrations.integration_utils import get_available_reporting_integrations

    tools = [report_to] if isinstance(report_to, str) else report_to or []
    for tool in tools:
        if tool not in ("none", "all", *get_available_reporting_integrations()):
            yield f"trainer.report_to: {tool!r} is not installed (pip install {tool})"


def _convert(hint: Any, value: Any) -> Any:
    try:
        read = TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None
    if isinstance(value, bool) and not isinstance(read, bool):
        raise ValueError("Input should be a number")
    return read if isinstance(value, str) and isinstance(read, int | float) else value


def _refused(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Let TrainingArguments itself say what it thinks of the values, and find the keys that it means."""
    if (whole := _complaint(trainer)) is None:
        return
    linked = [key for key in trainer if key in LINKED]
    units = [linked, *([key] for key in trainer if key not in LINKED)]
    blamed = False
    for keys in filter(None, units):
        if (complaint := _complaint({key: trainer[key] for key in keys})) is not None:
            blamed = True
            yield f"{', '.join(f'trainer.{key}' for key in keys)}: {complaint}"
    if not blamed:
        yield f"trainer: {whole}"


def _complaint(trainer: Mapping[str, Any]) -> str | None:
    try:
        training_arguments(trainer, Path("unused"), seed=0)
    except Exception as error:  # whatever it is, it would end the run later
        return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return None
