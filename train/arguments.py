"""transformers' TrainingArguments: what a run sets by itself, its defaults, and what the machine can do."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainingArguments

OWNED: dict[str, str] = {
    "output_dir": "set 'name' and 'runs' instead",
    "seed": "set 'seeds' instead",
    "data_seed": "set 'seeds' instead",
    "resume_from_checkpoint": "use --resume instead",
    "restore_callback_states_from_checkpoint": "resuming needs it and sets it",
    "load_best_model_at_end": "the best checkpoint is always the one that is used",
    "metric_for_best_model": "it is the mean F1 of the dev split",
    "greater_is_better": "it is the mean F1 of the dev split",
    "remove_unused_columns": "the columns are chosen for the network",
    "label_names": "the labels are those of the codebook",
}
"""Fields of TrainingArguments that a run sets by itself, and what to set in their place."""


LINKED = ("eval_strategy", "eval_steps", "save_strategy", "save_steps", "logging_strategy", "logging_steps")
"""Fields of TrainingArguments that are right or wrong only together."""

TRAINER_DEFAULTS: dict[str, Any] = {
    "num_train_epochs": 8,
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 64,
    "learning_rate": 1e-4,
    "warmup_steps": 0.1,
    "weight_decay": 0.01,
    "optim": "adamw_torch_fused",
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "train_sampling_strategy": "group_by_length",  # batches of like length: half the padding, twice the speed
    "logging_steps": 20,
    "report_to": "none",
}
"""What a run uses where the settings say nothing."""


def training_arguments(trainer: Mapping[str, Any], output: Path, seed: int) -> TrainingArguments:
    """Build transformers' own settings.

    :param trainer: the ``trainer`` section; what it leaves open comes from :data:`TRAINER_DEFAULTS`, and
        bfloat16 autocast is on where the processor (or GPU) has it.
    :param output: folder of the checkpoints.
    :param seed: seeds weights, dropout and the order of the data.
    """
    from transformers import TrainingArguments

    values = {**TRAINER_DEFAULTS, **trainer}
    # transformers takes bfloat16 on a processor only where it is told that the processor is meant.
    values.setdefault("use_cpu", not _has_accelerator())
    if not values.get("fp16"):
        values.setdefault("bf16", has_bfloat16(cpu=bool(values["use_cpu"])))
    values.setdefault("dataloader_pin_memory", not values["use_cpu"])
    values.setdefault("disable_tqdm", not sys.stderr.isatty())
    return TrainingArguments(
        **values,
        output_dir=str(output),
        seed=seed,
        data_seed=seed,
        load_best_model_at_end=values["eval_strategy"] != "no",
        metric_for_best_model="mean_f1",
        greater_is_better=True,
        remove_unused_columns=False,
        restore_callback_states_from_checkpoint=True,
        label_names=["stance_labels", "signal_labels"],
    )


def stage_arguments(
    trainer: Mapping[str, Any], epochs: float, sentences: int, output: Path, seed: int
) -> TrainingArguments:
    """Build the settings of a stage beside the main training; ``trainer.max_steps`` may cut it short, not lengthen it.

    :param trainer: the ``trainer`` section.
    :param epochs: of this stage.
    :param sentences: that it reads in an epoch.
    :param output: folder of the checkpoints.
    :param seed: seeds the order of the data.
    """
    values = {**trainer, "num_train_epochs": epochs}
    arguments = training_arguments(values, output, seed)
    batch = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    if arguments.max_steps < math.ceil(sentences / batch) * epochs:
        return arguments
    return training_arguments({**values, "max_steps": -1}, output, seed)


def has_bfloat16(cpu: bool) -> bool:
    """Return True if bfloat16 arithmetic is native to the device that trains.

    :param cpu: ask of the processor, else of the CUDA device (where there is none: False).
    """
    import torch

    if not cpu:
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def _has_accelerator() -> bool:
    import torch

    return bool(torch.accelerator.is_available())
