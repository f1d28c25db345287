"""What the modules of training share when they are run as scripts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from brinkline.model.errors import BrinklineError


def log_to_terminal() -> None:
    """Send the package's log to standard error, and keep other libraries' progress bars and chatter away."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("brinkline")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def run_script(function: Callable[..., Any]) -> None:
    """Run a function as a command line; what the user can mend ends in one message and its exit code.

    :param function: its parameters become arguments and options, as typer reads them.
    """
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    log_to_terminal()
    try:
        app()
    except (BrinklineError, OSError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code if isinstance(error, BrinklineError) else 2)
