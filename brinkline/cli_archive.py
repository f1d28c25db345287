"""What ``brinkline predict`` does for Parquet: the archive path."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from brinkline.terminal import told_apart, usage_errors

if TYPE_CHECKING:
    from brinkline.archive import ArchiveReport

_SHORT = 30.0  # seconds: a shorter job that nobody looks at says nothing of itself


def predict_archive(
    inputs: Sequence[str],
    out: Path,
    *,
    model: Path | None,
    thresholds: Mapping[str, float],
    keep: Sequence[str],
    part_rows: int | None,
    text_field: str,
    id_field: str,
    encoding: str | None,
) -> None:
    """Score an archive, and say what came of it.

    :raises typer.Exit: with 1 where something could not be read, with 2 for wrong usage, with 130 after Ctrl-C.
    """
    with usage_errors(), _logged():
        from brinkline.archive import PART_ROWS, score_archive

        try:
            report = score_archive(
                inputs,
                out,
                model=model,
                keep=keep,
                thresholds=thresholds,
                text_field=text_field,
                id_field=id_field,
                encoding=encoding,
                part_rows=part_rows or PART_ROWS,
            )
        except KeyboardInterrupt:
            typer.echo(f"brinkline: stopped; the same command goes on with {out}", err=True)
            raise typer.Exit(130) from None
    if sys.stderr.isatty() or report.seconds >= _SHORT:
        typer.echo(f"brinkline: {_told(report)}", err=True)
    if report.failed:
        typer.echo(f"brinkline: {report.failed:,} could not be read: see {report.failures}", err=True)
        raise typer.Exit(1)


def _told(report: ArchiveReport) -> str:
    copies = report.sentences - report.scored
    done = f"{report.out}: {report.sentences:,} sentences ({copies:,} of them copies) of {report.articles:,} articles"
    before = f", {report.resumed:,} of them done before" if report.resumed else ""
    return f"{done}{before}, in {report.seconds:,.0f} s"


@contextmanager
def _logged() -> Iterator[None]:
    """Let lines of progress through as well, and keep them off the bar."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    logger = logging.getLogger("brinkline")
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with told_apart(), logging_redirect_tqdm([logger]):
            yield
    finally:
        logger.setLevel(level)
