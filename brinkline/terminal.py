"""What the commands share: errors and warnings as lines on standard error, and exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from brinkline.model.errors import BrinklineError

if TYPE_CHECKING:
    from brinkline.sources import Article, Unreadable


class Failures:
    """Names what could not be read on standard error, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    def sift(self, items: Iterable[Article | Unreadable]) -> Iterator[Article]:
        """Let articles through."""
        from brinkline.sources import Article

        for item in items:
            if isinstance(item, Article):
                yield item
            else:
                self.count += 1
                typer.echo(f"brinkline: {item}", err=True)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn what the user can mend into one message; anything else keeps its traceback."""
    try:
        yield
    except BrokenPipeError:
        # Whoever read standard output has gone (head, less): nothing more to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except ModuleNotFoundError as error:
        # Everything that predict needs is installed with the package: what is missing comes with training.
        typer.echo(f"brinkline: {error.name} is missing: pip install 'brinkline[train]'", err=True)
        raise typer.Exit(2) from None
    except (BrinklineError, OSError, ImportError) as error:
        typer.echo(f"brinkline: {error}", err=True)
        raise typer.Exit(error.exit_code if isinstance(error, BrinklineError) else 2) from None


@contextmanager
def told_apart() -> Iterator[None]:
    """Let the library's warnings through to standard error, as lines that begin with the program's name."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("brinkline: %(message)s"))
    logger = logging.getLogger("brinkline")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
