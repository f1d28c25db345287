"""How far a job is: a bar on terminals and in notebooks, elsewhere a line in the log every so often."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from brinkline.archive_store import State
from brinkline.model.progress import is_interactive

if TYPE_CHECKING:
    from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

_PAUSE = 30.0  # seconds between two lines


class Progress:
    """Shows articles and sentences a second, and the time left by the bytes read.

    :param position: tells how many bytes of the input have been read.
    :param size: bytes of the input, or None where nobody knows.
    :param before: what was done before this run.
    :param show: True for a bar, False for lines; by default a bar where somebody may be looking.
    """

    def __init__(
        self, position: Callable[[], int], size: int | None, before: State, show: bool | None
    ) -> None:
        self._position, self._size, self._before = position, size, before
        self._show = sys.stderr.isatty() or is_interactive() if show is None else show
        self._began = self._told = monotonic()
        self._skipped = 0
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def begin(self) -> None:
        """Start the clock: reading has come to where this run begins."""
        self._began = self._told = monotonic()
        self._skipped = self._position()
        if self._show:
            from tqdm.auto import tqdm

            # Without smoothing, the mean of the whole run: what is left is like what is done.
            total, done = self._size, self._skipped
            self._bar = tqdm(
                total=total, initial=done, unit="B", unit_scale=True, desc="scoring", smoothing=0
            )

    def update(self, state: State) -> None:
        """Show how far the job is.

        :param state: counts from the job's very beginning.
        """
        if self._bar is not None:
            self._bar.set_postfix_str(self._rates(state), refresh=False)
            self._bar.update(max(0, self._position() - self._bar.n))
        elif monotonic() - self._told >= _PAUSE:
            self._told = monotonic()
            logger.info("%s", self._line(state))

    def _rates(self, state: State) -> str:
        seconds = max(monotonic() - self._began, 1e-9)
        articles = (state.articles - self._before.articles) / seconds
        sentences = (state.sentences - self._before.sentences) / seconds
        return f"{state.articles:,} articles, {articles:,.0f}/s, {sentences:,.0f} sentences/s"

    def _line(self, state: State) -> str:
        rates = self._rates(state)
        position = self._position()
        if not self._size or position <= self._skipped:
            return rates
        left = (monotonic() - self._began) / (position - self._skipped) * max(self._size - position, 0)
        return f"{position / self._size:.0%}: {rates}, {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
