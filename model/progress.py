"""A progress bar where somebody looks."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(show: bool | None) -> Iterator[Callable[[], object]]:
    """Give what is to be called after each article.

    :param show: draw a bar; None for notebooks and interactive sessions only. tqdm is loaded only to be seen.
    """
    if not (is_interactive() if show is None else show):
        yield lambda: None
        return
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # in a notebook without ipywidgets it draws a plain bar, and says so in red
        from tqdm.auto import tqdm
    with tqdm(unit=" articles", desc="scoring") as bar:
        yield bar.update


def is_interactive() -> bool:
    """Tell whether this is a notebook or an interactive session."""
    # That ipykernel is loaded does not tell: a program may have imported it for something else.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return hasattr(sys, "ps1") or (shell is not None and shell() is not None)
