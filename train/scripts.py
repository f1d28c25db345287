"""What the modules of training share when they are run as scripts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from brinkline.model.errors import BrinklineError


@contextmanager
def log_to_terminal() -> Iterator[None]:
    """Send the package's log to standard error, and keep other libraries' progress bars and chatter away."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with log_to(logging.StreamHandler(sys.stderr), "%(message)s"):
        yield


@contextmanager
def log_to(handler: logging.Handler, form: str) -> Iterator[None]:
    """Send the package's log to a handler for a while.

    :param handler: where to; it stays open.
    :param form: how a line looks, as :class:`logging.Formatter` reads it.
    """
    handler.setFormatter(logging.Formatter(form))
    logger = logging.getLogger("brinkline")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def run_script(function: Callable[..., Any]) -> None:
    """Run a function as a command line; what the user can mend ends in one message and its exit code.

    :param function: its parameters become arguments and options, as typer reads them.
    """
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    try:
        with log_to_terminal():
            app()
    except (BrinklineError, OSError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code if isinstance(error, BrinklineError) else 2)
