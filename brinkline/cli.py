"""The command line: predict, train, evaluate, export; the data commands are in :mod:`brinkline.cli_data`."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import chain, tee
from pathlib import Path
from typing import Annotated

import typer

from brinkline.cli_data import data_app
from brinkline.terminal import Failures, told_apart, usage_errors

app = typer.Typer(
    name="brinkline",
    help="Stance and escalation signals in news, sentence by sentence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data_app, name="data")


class Format(StrEnum):
    """Output formats of predict."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    html = "html"


class Weights(StrEnum):
    """How an exported file stores the weights."""

    int8 = "int8"
    fp32 = "fp32"


_SUFFIXES = {".jsonl": Format.jsonl, ".csv": Format.csv, ".parquet": Format.parquet, ".html": Format.html}


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from brinkline import __version__

        typer.echo(f"brinkline {__version__}")
        raise typer.Exit


@app.command()
def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Text, HTML, .jsonl, .csv, .tsv or .parquet files, also .gz and .zst; - is standard input. "
            "With Parquet output also folders."
        ),
    ],
    form: Annotated[
        Format | None, typer.Option("--format", help="Default: table on a terminal, else jsonl.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Write to a file, or Parquet to a folder; the suffix may name the format."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="A model folder; default: the shipped one.")
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option("--threshold", help="e.g. threat=0.3; repeatable.")
    ] = None,
    text_field: Annotated[str, typer.Option("--text", help="Field or column that holds the text.")] = "text",
    id_field: Annotated[str, typer.Option("--id", help="Field or column that holds the id.")] = "id",
    encoding: Annotated[str | None, typer.Option("--encoding", help="Of the files; default: UTF-8.")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", help="Parquet: fields that become columns, e.g. source,date; repeatable."),
    ] = None,
    part_rows: Annotated[
        int | None,
        typer.Option(
            "--part-rows",
            min=1,
            help="Parquet: sentences in one file, at least; default: 50,000, with --ray 500,000.",
        ),
    ] = None,
    ray: Annotated[
        bool,
        typer.Option("--ray", help="Parquet: on the Ray cluster of RAY_ADDRESS, else one on this machine."),
    ] = False,
) -> None:
    """Score articles, sentence by sentence.

    Parquet is for archives of any size: --out names a folder of files that readers open as one table, and the same
    command goes on with a job that was stopped.

    Exit codes: 0 all done, 1 some inputs failed (named on standard error, the others are done), 2 wrong usage.
    """
    from brinkline.articles import check_encoding, read_articles
    from brinkline.model.classifier import load, shipped
    from brinkline.render import check_target, write

    thresholds = _thresholds(threshold or [])
    chosen = form or _guess(out)
    try:
        check_encoding(encoding)
    except LookupError as error:
        raise typer.BadParameter(str(error), param_hint="--encoding") from None
    if chosen is Format.parquet and out is None:
        raise typer.BadParameter("parquet needs --out", param_hint="--format")
    if chosen is not Format.parquet and (keep or part_rows or ray):
        name = "--keep" if keep else "--part-rows" if part_rows else "--ray"
        raise typer.BadParameter("goes with Parquet output (--out scores.parquet)", param_hint=name)
    if chosen is Format.parquet and out is not None:
        if ray:
            from brinkline.cli_cluster import predict_archive
        else:
            from brinkline.cli_archive import predict_archive

        predict_archive(
            inputs,
            out,
            model=model,
            thresholds=thresholds,
            keep=_keep(keep or []),
            part_rows=part_rows,
            text_field=text_field,
            id_field=id_field,
            encoding=encoding,
        )
        return
    with usage_errors(), told_apart():
        items = read_articles(inputs, text_field=text_field, id_field=id_field, encoding=encoding)
        check_target(out)
        classifier = load(model) if model is not None else shipped()
        failures = Failures()
        read, names = tee(failures.sift(items))
        if (first := next(read, None)) is not None or not failures.count:
            texts = (article.text for article in chain([first] if first else [], read))
            ids = (article.id for article in names)
            scores = classifier.predict_many(texts, ids=ids, thresholds=thresholds)
            limits = {**classifier.manifest.calibration.thresholds, **thresholds}
            write(scores, chosen.value, out, limits)
    if failures.count:
        raise typer.Exit(1)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML file of settings, e.g. configs/default.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value …, in place of what the file says.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was killed.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete an earlier run of the name.")
    ] = False,
    fast_dev_run: Annotated[
        bool, typer.Option("--fast-dev-run", help="Two steps through every stage.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=40, help="Use only so many documents.")] = None,
) -> None:
    """Fine-tune, calibrate, evaluate and export a model."""
    with usage_errors():
        from brinkline.train.scripts import log_to_terminal

        with log_to_terminal():
            from brinkline.train.finetune import main as finetune

            finetune(config, overrides, resume, overwrite, fast_dev_run, limit)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[list[Path], typer.Argument(help="Labelled .jsonl files or folders.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path("report"),
    train_data: Annotated[
        list[Path] | None,
        typer.Option("--train", help="Labelled data to train the baselines on; repeatable."),
    ] = None,
) -> None:
    """Measure a model on labelled data: figures with intervals, baselines, mistakes, pictures."""
    with usage_errors():
        from brinkline.train.scripts import log_to_terminal

        with log_to_terminal():
            from brinkline.train.evaluate import main as measure
            from brinkline.train.report import headline_table

            evaluation = measure(model, data, out, train_data)
        typer.echo(headline_table(evaluation.metrics))
        typer.echo(f"\nThe full report is in {out}/report.md")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A training checkpoint, or a model folder for fp32.")],
    out: Annotated[Path, typer.Argument(help="The model folder to write.")],
    name: Annotated[str | None, typer.Option("--name", help="Name that the model gives of itself.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version likewise.")] = None,
    weights: Annotated[
        Weights, typer.Option("--weights", help="int8: a quarter of the size.")
    ] = Weights.int8,
) -> None:
    """Turn a training checkpoint into a model folder, and compare the two at once.

    With --weights fp32 a model folder that computes in 8 bits is turned back, for GPUs: the shipped one too.
    """
    with usage_errors():
        from brinkline.train.scripts import log_to_terminal

        with log_to_terminal():
            from brinkline.train.export import main as convert

            convert(checkpoint, out, name, version, weights.value)
        typer.echo(f"{out} is a model folder: brinkline.load({str(out)!r})")


@app.command("app")
def web_page(
    model: Annotated[
        Path | None, typer.Option("--model", help="A model folder; default: the shipped one.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Default: the first free one from 7860.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
) -> None:
    """Serve a web page that marks articles, on this machine and without a network."""
    from brinkline.model.classifier import load, shipped

    with usage_errors(), told_apart():
        from brinkline.app import serve

        classifier = load(model) if model is not None else shipped()
        serve(
            classifier,
            host,
            port,
            open_browser,
            lambda url: typer.echo(f"{url}  (Ctrl+C stops it)", err=True),
        )


def main() -> None:
    """Run the command line."""
    app()


def _guess(out: Path | None) -> Format:
    if out is not None:
        return _SUFFIXES.get(out.suffix.lower(), Format.jsonl)
    return Format.table if sys.stdout.isatty() else Format.jsonl


def _keep(values: list[str]) -> tuple[str, ...]:
    from brinkline.archive_rows import check_keep

    try:
        return check_keep(name.strip() for value in values for name in value.split(",") if name.strip())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--keep") from None


def _thresholds(values: list[str]) -> dict[str, float]:
    from brinkline.model.checkpoint import check_thresholds

    thresholds = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            thresholds[name] = float(number)
        except ValueError:
            message = f"expected SIGNAL=NUMBER, e.g. threat=0.3, got {value!r}"
            raise typer.BadParameter(message, param_hint="--threshold") from None
    try:
        check_thresholds(thresholds)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--threshold") from None
    return thresholds
