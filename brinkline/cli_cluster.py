"""What ``brinkline predict --ray`` does: the archive path on many machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from brinkline.terminal import told_apart, usage_errors


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
    """Score an archive on a Ray cluster, and say what came of it.

    :raises typer.Exit: with 1 where something could not be read, with 2 for wrong usage.
    """
    with usage_errors(), told_apart():
        from brinkline.cluster import PART_ROWS, score_with_ray

        report = score_with_ray(
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
    counts = f"{report.sentences:,} sentences of {report.articles:,} articles"
    typer.echo(f"brinkline: {out}: {counts}, {report.workers} workers, in {report.seconds:,.0f} s", err=True)
    if report.failed:
        typer.echo(f"brinkline: {report.failed:,} could not be read: see {report.failures}", err=True)
        raise typer.Exit(1)
