"""Scored articles as a table, JSON lines, CSV or a page: what the command line writes; for Parquet see archive."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from brinkline.model.scores import FLAT_COLUMNS, ArticleScores

if TYPE_CHECKING:
    from rich.console import Console

FORMATS: tuple[str, ...] = ("table", "jsonl", "csv", "html")

_STYLES = {"hostile": "red", "neutral": "dim", "conciliatory": "green"}


def write(
    scores: Iterable[ArticleScores],
    form: str,
    out: Path | None,
    thresholds: Mapping[str, float] | None = None,
) -> None:
    """Write scored articles as they come.

    :param scores: a stream of articles.
    :param form: one of :data:`FORMATS`.
    :param out: a file, which appears when it is complete, or None for standard output.
    :param thresholds: signal → probability from which it was given, to be told on a page.
    """
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A pipe carries UTF-8 whatever the system's own encoding is; a terminal shows what it can.
            encoding = None if form == "table" else "utf-8"
            sys.stdout.reconfigure(encoding=encoding, errors="replace", newline="\n")
        _text(scores, form, sys.stdout, thresholds)
    else:
        with _aside(out) as path, path.open("w", encoding="utf-8", newline="") as file:
            _text(scores, form, file, thresholds)


def check_target(out: Path | None) -> None:
    """Refuse a file that cannot be written, before anything is scored.

    :raises IsADirectoryError: where ``out`` is a folder.
    """
    if out is not None and out.is_dir():
        raise IsADirectoryError(f"{out} is a folder: name a file in it")


def _text(
    scores: Iterable[ArticleScores], form: str, file: IO[str], thresholds: Mapping[str, float] | None
) -> None:
    if form == "html":
        from brinkline.report_page import write_page

        write_page(scores, file, thresholds=thresholds)
        return
    writers = {"table": _table, "jsonl": _jsonl, "csv": _csv}
    writers[form](scores, file)


def _jsonl(scores: Iterable[ArticleScores], file: IO[str]) -> None:
    for article in scores:
        for row in article.to_rows():
            file.write(_printable(json.dumps(row, ensure_ascii=False)) + "\n")


def _csv(scores: Iterable[ArticleScores], file: IO[str]) -> None:
    writer = csv.DictWriter(file, FLAT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for article in scores:
        writer.writerows({k: _printable(v) for k, v in row.items()} for row in article.to_flat_rows())


def _table(scores: Iterable[ArticleScores], file: IO[str]) -> None:
    from rich.console import Console

    # A file or a pipe has no width: wide enough for a sentence and its labels.
    console = Console(file=file, highlight=False, width=None if file.isatty() else 110)
    for number, article in enumerate(scores):
        if number:
            console.print()
        _print_article(console, article)


def _print_article(console: Console, article: ArticleScores) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(_summary(article)), title_justify="left")
    table.add_column("#", justify="right", style="dim")
    table.add_column("stance", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("signals", no_wrap=True)
    table.add_column("sentence", ratio=1)
    for number, sentence in enumerate(article.sentences, start=1):
        signals = "\n".join(f"{name} {sentence.signal_probabilities[name]:.2f}" for name in sentence.signals)
        mark = " […cut: longer than the model reads]" if sentence.truncated else ""
        table.add_row(
            str(number),
            Text(sentence.stance, style=_STYLES[sentence.stance]),
            f"{sentence.stance_probabilities[sentence.stance]:.2f}",
            Text(signals, style="bold"),
            Text(_one_line(sentence.text) + mark),
        )
    console.print(table)


def _summary(article: ArticleScores) -> str:
    name = article.id if article.id is not None else "article"
    summary = article.summary
    if not summary.sentences:
        return f"{_one_line(name)}: no sentences"
    stances = ", ".join(f"{stance} {share:.0%}" for stance, share in summary.stance.items())
    signals = ", ".join(f"{signal} {count}" for signal, count in summary.signals.items())
    noun = "sentence" if summary.sentences == 1 else "sentences"
    head = f"{_one_line(name)}: {summary.sentences} {noun}"
    return f"{head}; {stances}; balance {summary.balance:+.2f}; {signals} ({article.model})"


def _one_line(text: str) -> str:
    """Make a text safe for a terminal: control characters could move its cursor or change its colours."""
    # Lone surrogates are not printable either.
    return " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text).split())


def _printable(value: Any) -> Any:
    """Replace lone surrogates, which no encoding can write."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """Give a file beside ``out`` that takes its place when all has gone well; a device or pipe is written to itself."""
    if out.exists() and not out.is_file():  # asked before links are followed: those to pipes lead nowhere
        yield out
        return
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        # mkstemp makes the file private; the result should be as any other file of the user's.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
