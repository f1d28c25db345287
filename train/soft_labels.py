"""Write what a teacher says of sentences without labels, so that its students can be trained without it.

    python train/soft_labels.py configs/release.yaml runs/teacher data/labels/soft.jsonl

The settings are the student's: their ``distillation`` names the sentences (``unlabelled``) and says whether the teacher
is heard on signals. Sentences that the student learns from anyway, and whole documents that it is measured on, are
left out. The file then stands as ``distillation.teacher``, with a ``share`` of 0; no text is in it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from brinkline.train import distil
from brinkline.train.loading import load_data
from brinkline.train.scripts import run_script
from brinkline.train.settings import Settings, SettingsError, load_settings

logger = logging.getLogger("brinkline.train.soft_labels")


def write(settings: Settings, teacher: Path, out: Path) -> int:
    """Write a file of soft labels (:mod:`brinkline.data.soft`).

    :param settings: of the student.
    :param teacher: run folder of the teacher.
    :param out: the file; one that is there is replaced.
    :return: how many sentences it speaks of.
    :raises SettingsError: where the settings know no distillation, the teacher is not finished, or there is nothing
        for it to say.
    :raises LabelledDataError: where the data cannot be read.
    """
    if settings.distillation is None:
        raise SettingsError(["distillation: missing; it names the sentences without labels"])
    data = load_data(settings)
    known = distil.Known.of(data.split.train, data.held_out)
    # What the student makes of the word (share) is its own matter; the temperature is the writer's.
    told = settings.distillation.model_copy(update={"teacher": teacher})
    return distil.write_teacher(told, known, out)


def main(
    config: Annotated[Path, typer.Argument(help="the student's settings")],
    teacher: Annotated[Path, typer.Argument(help="run folder of the teacher")],
    out: Annotated[Path, typer.Argument(help="file to write")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value …, in place of what the file says")
    ] = None,
) -> None:
    """Write what a teacher says of sentences without labels."""
    count = write(load_settings(config, overrides or []), teacher, out)
    logger.info("%s: what %s says of %d sentences", out, teacher, count)


if __name__ == "__main__":
    run_script(main)
