"""The command line's data commands: check, agreement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brinkline.terminal import usage_errors

data_app = typer.Typer(help="Labelled data.", no_args_is_help=True)


@data_app.command("check")
def data_check(
    paths: Annotated[list[Path], typer.Argument(help="Labelled .jsonl files or folders.")],
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="Evaluation data that must not be trained on; repeatable."),
    ] = None,
) -> None:
    """Look over labelled data before training on them; exit code 1 if anything in them is an error."""
    from brinkline.data.check import check

    with usage_errors():
        _, findings = check(paths, against or [])
    colours = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "note": None}
    for finding in findings:
        typer.secho(str(finding), fg=colours[finding.level])
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    typer.secho(f"{errors} errors, {warnings} warnings", bold=True)
    if errors:
        raise typer.Exit(1)


@data_app.command("agreement")
def data_agreement(
    labellings: Annotated[Path, typer.Argument(help="JSON lines with id, first and second.")],
) -> None:
    """Tell how far two labellings of the same sentences agree."""
    from brinkline.data.agreement import agreement, read_pairs

    with usage_errors():
        pairs = read_pairs(labellings)
    for item in agreement(pairs):
        typer.echo(f"{item.label}: kappa {item.kappa:.3f}, {item.share:.1%} of {item.sentences} the same")
    differ = sum(pair.first != pair.second for pair in pairs)
    typer.echo(f"any label: {differ} of {len(pairs)} sentences differ ({differ / len(pairs):.1%})")
