"""What a training script shows on the terminal."""

from __future__ import annotations

import logging
import sys


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
