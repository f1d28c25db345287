"""The command line's data commands: check, sample, import, agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brinkline.terminal import Failures, told_apart, usage_errors

if TYPE_CHECKING:
    from brinkline.data.agreement import Labels

data_app = typer.Typer(help="Labelled data.", no_args_is_help=True)


class TaskFormat(StrEnum):
    """Formats of data sample."""

    labelstudio = "labelstudio"
    doccano = "doccano"
    prodigy = "prodigy"
    csv = "csv"
    jsonl = "jsonl"


class Strategy(StrEnum):
    """What data sample chooses by."""

    mixed = "mixed"
    uncertain = "uncertain"
    neighbours = "neighbours"
    diverse = "diverse"
    random = "random"


class Changed(StrEnum):
    """What data import does with a text that was changed."""

    keep = "keep"
    drop = "drop"


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


@data_app.command("sample")
def data_sample(
    archives: Annotated[
        list[str], typer.Argument(help="Text, HTML, .jsonl or .csv files; - is standard input.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The file of sentences to label.")],
    form: Annotated[TaskFormat, typer.Option("--format", help="The tool to label in.")] = TaskFormat.csv,
    count: Annotated[int, typer.Option("-n", min=1, help="How many sentences.")] = 200,
    strategy: Annotated[
        Strategy, typer.Option("--strategy", help="What those not drawn at random are chosen by.")
    ] = Strategy.mixed,
    random_share: Annotated[
        float, typer.Option("--random", min=0, max=1, help="Share drawn at random, for figures without bias.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Fixes the draw.")] = 0,
    suggestions: Annotated[
        bool, typer.Option("--suggestions/--no-suggestions", help="Without them labelling is blind.")
    ] = True,
    labelled: Annotated[
        list[Path] | None, typer.Option("--labelled", help="Labelled data to leave out; repeatable.")
    ] = None,
    previous: Annotated[int, typer.Option("--previous", min=0, help="Sentences before, to be shown.")] = 1,
    model: Annotated[
        Path | None, typer.Option("--model", help="A model folder; default: the shipped one.")
    ] = None,
    text_field: Annotated[str, typer.Option("--text", help="Field or column that holds the text.")] = "text",
    id_field: Annotated[str, typer.Option("--id", help="Field or column that holds the id.")] = "id",
    encoding: Annotated[str | None, typer.Option("--encoding", help="Of the files; default: UTF-8.")] = None,
) -> None:
    """Choose the sentences of an archive that are most worth labelling, and write them for a labelling tool."""
    from brinkline.articles import read_articles
    from brinkline.data.formats import write_tasks
    from brinkline.data.schema import read_labelled, sentences_of
    from brinkline.model.classifier import load, shipped
    from brinkline.render import check_target
    from brinkline.sampling import sample

    with usage_errors(), told_apart():
        check_target(out)
        known = sentences_of(read_labelled(labelled)) if labelled else []
        classifier = load(model) if model is not None else shipped()
        failures = Failures()
        try:
            items = read_articles(archives, text_field=text_field, id_field=id_field, encoding=encoding)
        except LookupError as error:
            raise typer.BadParameter(str(error), param_hint="--encoding") from None
        chosen = sample(
            failures.sift(items),
            classifier,
            count,
            strategy=strategy.value,
            random_share=random_share,
            seed=seed,
            labelled=known,
            previous=previous,
        )
        tasks = (
            chosen.tasks
            if suggestions
            else [replace(task, suggestion=None, detail="") for task in chosen.tasks]
        )
        if tasks:
            written = write_tasks(tasks, out, form.value)
    if not chosen.tasks:
        typer.echo("brinkline: no sentence to choose", err=True)
        raise typer.Exit(1)
    reasons = ", ".join(f"{count} {why}" for why, count in Counter(task.why for task in tasks).most_common())
    typer.echo(f"{len(tasks)} of {chosen.sentences} sentences ({reasons}) in {', '.join(map(str, written))}")
    if failures.count:
        raise typer.Exit(1)


@data_app.command("import")
def data_import(
    files: Annotated[
        list[Path], typer.Argument(help="What the labelling tool exported; also .zip files of it.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Labelled sentences, for brinkline train.")],
    disagreements: Annotated[
        Path | None, typer.Option("--disagreements", help="Sentences to settle by hand, to be filled in.")
    ] = None,
    adjudicated: Annotated[
        list[Path] | None,
        typer.Option("--adjudicated", help="Labels that stand whatever others said; repeatable."),
    ] = None,
    random_out: Annotated[
        Path | None,
        typer.Option("--random", help="Write sentences drawn at random here instead, to count and test on."),
    ] = None,
    changed: Annotated[
        Changed, typer.Option("--changed", help="What to do with sentences whose text was changed.")
    ] = Changed.keep,
) -> None:
    """Read back what was labelled, tell how far annotators agree, and write one label a sentence.

    Exit codes: 0 all done, 1 some labels could not be used (named on standard error, the others are done).
    """
    from brinkline.data.annotations import read_annotations
    from brinkline.data.formats import write_jsonl
    from brinkline.data.resolve import labellings, resolve

    targets = [path.resolve() for path in (out, disagreements, random_out) if path is not None]
    if set(targets) & {path.resolve() for path in (*files, *(adjudicated or []))}:
        raise typer.BadParameter("would write over what is read", param_hint="--out")
    if len(set(targets)) < len(targets):
        raise typer.BadParameter("the files to write must differ", param_hint="--disagreements")
    with usage_errors(), told_apart():
        annotations, problems = read_annotations(files)
        settled, more = read_annotations(adjudicated or [])
        resolved = resolve(annotations, settled, changed.value)
        for problem in [*problems, *more]:
            typer.echo(f"brinkline: {problem}", err=True)
        rows = resolved.rows()
        if not rows and not resolved.disagreements:
            typer.echo("brinkline: no labels in what was read", err=True)
            raise typer.Exit(1)
        if random_out is not None:
            write_jsonl((row for row in rows if row.get("why") == "random"), random_out)
            rows = [row for row in rows if row.get("why") != "random"]
        write_jsonl(rows, out)
        if disagreements is not None:
            write_jsonl(resolved.disagreement_rows(), disagreements)
        _tell_counts(resolved.counts)
        try:
            _tell_agreement(labellings(annotations))
        except ImportError as error:
            typer.echo(f"brinkline: agreement is left out: {error}", err=True)
    if problems or more:
        typer.echo(f"brinkline: {len(problems) + len(more)} problems", err=True)
        raise typer.Exit(1)


@data_app.command("agreement")
def data_agreement(
    files: Annotated[
        list[Path],
        typer.Argument(help="JSON lines with id, first and second; or what a labelling tool exported."),
    ],
) -> None:
    """Tell how far two or more labellings of the same sentences agree."""
    from brinkline.data.agreement import agreement, is_file_of_pairs, read_pairs
    from brinkline.data.annotations import read_annotations
    from brinkline.data.resolve import labellings
    from brinkline.data.schema import LabelledDataError

    with usage_errors():
        if not (len(files) == 1 and is_file_of_pairs(files[0])):
            annotations, problems = read_annotations(files)
            if problems:
                raise LabelledDataError(problems)
            _tell_agreement(labellings(annotations))
            return
        pairs = read_pairs(files[0])
    for item in agreement(pairs):
        typer.echo(f"{item.label}: kappa {item.kappa:.3f}, {item.share:.1%} of {item.sentences} the same")
    differ = sum(pair.first != pair.second for pair in pairs)
    typer.echo(f"any label: {differ} of {len(pairs)} sentences differ ({differ / len(pairs):.1%})")


_COUNTS = {
    "labelled": "sentences labelled",
    "disagreements": "sentences without a majority (--disagreements FILE writes them)",
    "unlabelled": "records that nobody labelled",
    "skipped": "skipped by an annotator",
    "rejected": "rejected by an annotator",
    "repeated": "earlier answers of the same annotator, of which the last counts",
    "contradictions": "sentences that an annotator labelled differently the second time",
    "conflicts": "sentences that stand there more than once with different labels (brinkline data check names them)",
    "changed": "sentences whose text was changed after they were chosen",
    "as suggested": "labelled as the model suggested",
}


def _tell_counts(counts: Mapping[str, int]) -> None:
    typer.echo(
        f"{counts['annotations']} labels of {counts['sentences']} sentences by {counts['annotators']} annotators"
    )
    for name, says in _COUNTS.items():
        if counts[name] or name == "labelled":
            typer.echo(f"{counts[name]} {says}")


def _tell_agreement(labellings: Mapping[str, Mapping[str, Labels]]) -> None:
    from brinkline.data.agreement import agreement_of_many

    if len(labellings) < 2:
        typer.echo("one annotator: no agreement to measure" if labellings else "no labels")
        return
    found = agreement_of_many(labellings)
    for item in found:
        typer.echo(
            f"{item.label}: alpha {item.alpha:.3f} on {item.sentences} sentences with two or more labels"
        )
    for pair in found[0].pairs:
        kappas = ", ".join(f"{item.label} {item.pairs[pair].kappa:.3f}" for item in found)
        typer.echo(f"{pair[0]} and {pair[1]}: kappa {kappas} on {found[0].pairs[pair].sentences} sentences")
