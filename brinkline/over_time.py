"""Stance and signals over time: shares with intervals, from the scored sentences of many articles.

The index that such series are measured against is the Geopolitical Risk index: D. Caldara and M. Iacoviello,
"Measuring Geopolitical Risk", American Economic Review 112(4), 2022, 1194-1225. It is the share of a newspaper's
articles in which words of a list stand close to one another, with one part for threats and one for acts.
Here a *sentence* counts, by what a model says of it; the base is the sentences of the table, not all that a
newspaper printed; and ``threat``, ``deterrence`` and ``retaliation`` divide otherwise than threats and acts:
what actors announce, mean to prevent and answer. ``docs/trends.md`` says more.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from brinkline.frame_articles import articles_of, check_once
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.model.scores import import_pandas
from brinkline.periods import Period, bad_row, days_of, number, start

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

__all__ = ["MEASURES", "Trends", "trends"]

logger = logging.getLogger(__name__)

Count = Literal["labels", "probabilities"]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MEASURES: tuple[str, ...] = (*STANCES, "balance", *SIGNALS)
"""What is measured of each period: the share of each stance, ``balance`` and the rate of each signal."""

_MOST_CELLS = 200_000  # periods times groups
_BLOCK = 2_000_000  # random draws held at once
_LABELS = (*STANCES, *SIGNALS)
_OWN = ("period", "measure", "estimate", "low", "high", "sentences", "articles")


@dataclass(frozen=True, slots=True)
class Trends:
    """Measures over time, as :func:`trends` makes them."""

    frame: pandas.DataFrame
    """One row a period, group and measure: ``period`` (its first day), the group's column if there is one,
    ``measure`` (one of :data:`MEASURES`), ``estimate``, ``low``, ``high``, ``sentences``, ``articles``. A period
    without sentences has NaN and counts of 0; ``low`` and ``high`` are NaN, too, where there is one article only."""
    by: str
    """Length of a period: day, week, month, quarter or year."""
    group: str | None
    """The column that tells the series apart."""
    count: str
    """What was counted: labels or probabilities."""
    level: float
    """Probability that the intervals aim at."""
    resamples: int
    """Bootstrap resamples of the articles of each period and group."""
    seed: int
    """Seed of the bootstrap."""
    left_out: int
    """Sentences without a date or a group."""

    def to_frame(self) -> pandas.DataFrame:
        """Return a copy of :attr:`frame`."""
        return self.frame.copy()

    def wide(self) -> pandas.DataFrame:
        """Return one row a period and group: ``hostile``, ``hostile_low``, ``hostile_high`` and so on.

        :return: a table with ``period``, the group's column, three columns a measure, ``sentences``, ``articles``.
        """
        keys = ["period"] if self.group is None else ["period", self.group]
        step = len(MEASURES)
        table = self.frame.iloc[::step][keys].reset_index(drop=True)
        for position, measure in enumerate(MEASURES):
            rows = self.frame.iloc[position::step]
            table[measure] = rows["estimate"].to_numpy()
            table[f"{measure}_low"] = rows["low"].to_numpy()
            table[f"{measure}_high"] = rows["high"].to_numpy()
        for name in ("sentences", "articles"):
            table[name] = self.frame[name].iloc[::step].to_numpy()
        return table

    def plot(
        self,
        measures: Sequence[str] = (
            "balance",
            "threat",
            "hostile",
            "deterrence",
            "conciliatory",
            "retaliation",
        ),
        figsize: tuple[float, float] | None = None,
    ) -> Figure:
        """Draw measures over time, one panel a measure, one line a group, with their intervals.

        :param measures: out of :data:`MEASURES`.
        :param figsize: width and height in inches.
        :return: a figure; nothing is shown as a side effect.
        :raises ValueError: for an unknown measure, or none.
        :raises ImportError: without matplotlib (extra ``[plot]``).
        """
        from brinkline.model.plots import trends_figure

        if isinstance(measures, str):
            measures = (measures,)
        if unknown := [name for name in measures if name not in MEASURES]:
            raise ValueError(f"unknown measure {unknown[0]!r}; measures are {', '.join(MEASURES)}")
        if not measures:
            raise ValueError("no measure to draw")
        note = f"by {self.by}  ·  bands: {self.level:.0%} intervals, articles resampled"
        return trends_figure(self.frame, measures, self.group, figsize, note)

    def _repr_html_(self) -> str:
        wide = self.wide()
        keys = ["period"] if self.group is None else ["period", self.group]
        table = wide[[*keys, "articles", "sentences"]].copy()
        table["period"] = table["period"].dt.strftime("%Y-%m-%d")
        for name in MEASURES:
            columns = (wide[name], wide[f"{name}_low"], wide[f"{name}_high"])
            table[name] = [_shown(*values) for values in zip(*columns, strict=True)]
        body = table.to_html(index=False, max_rows=40, border=0)
        return f"<div><p>{escape(repr(self))}</p>{body}</div>"

    def __repr__(self) -> str:
        periods = self.frame["period"].nunique()
        counts = self.frame.iloc[:: len(MEASURES)]
        noun = self.by if periods == 1 else f"{self.by}s"
        groups = "" if self.group is None else f" by {self.group}"
        return (
            f"<Trends of {counts['sentences'].sum():,} sentences in {counts['articles'].sum():,} articles, "
            f"{periods:,} {noun}{groups}; {self.count} counted, {self.level:.0%} intervals>"
        )


def trends(
    frame: pandas.DataFrame,
    by: Period = "week",
    group: str | None = None,
    *,
    date: str = "date",
    article: str | None = None,
    count: Count = "labels",
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    timezone: str = "UTC",
) -> Trends:
    """Measure stance and signals over time.

    A share is a period's sentences with a stance divided by all its sentences; ``balance`` is the share of
    conciliatory less that of hostile; a signal's rate is the share of sentences that bear it.

    The intervals are percentile intervals of a cluster bootstrap: in each period and group whole *articles* are drawn
    with replacement, since sentences of one article resemble one another and to draw them singly would make the
    intervals too narrow (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13; C. Field and
    A. Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B 69(3), 2007, 369-390).
    They speak of the choice of articles, not of the model's errors, and with few articles they are too narrow.
    A seed gives the same intervals again, whatever the order of the rows and whichever other groups there are.

    >>> import pandas
    >>> from brinkline import trends
    >>> labels = {"stance": ["hostile", "neutral", "conciliatory"], "threat": [True, False, False]}
    >>> others = {"deterrence": False, "retaliation": False, "article": ["a", "a", "b"]}
    >>> dates = {"date": ["2024-05-01", "2024-05-01", "2024-06-03"]}
    >>> table = trends(pandas.DataFrame({**labels, **others, **dates}), by="month").wide()
    >>> table[["hostile", "balance", "threat", "articles"]].values.tolist()
    [[0.5, -0.5, 0.5, 1.0], [0.0, 1.0, 0.0, 1.0]]

    :param frame: one row a sentence, as ``predict_frame`` and scored archives have them: ``stance``, the
        signals, their ``p_`` columns, and the date.
    :param by: length of a period; weeks begin on Monday (ISO 8601).
    :param group: column that tells series apart; groups stand in the order of its categories or sorted.
    :param date: column with the article's date: datetimes, dates or ISO 8601 strings.
    :param article: column that names the article; by default ``article`` if there is one, else the index, as
        ``predict_frame`` leaves it. Equal names in different groups or periods are different articles.
    :param count: ``"labels"`` counts the labels given; ``"probabilities"`` adds up the probabilities, which are
        calibrated, and so gives expected shares: less biased where labels miss much, as they do for rare signals.
    :param level: probability that the intervals aim at, between 0 and 1.
    :param resamples: bootstrap resamples.
    :param seed: seed of the bootstrap.
    :param timezone: where days begin, for dates that bear a time zone; others are taken as they stand.
    :return: the measures, with gaps where a period has no sentence.
    :raises KeyError: if a column is missing.
    :raises ValueError: for a bad value in a column (its row is named) or a bad setting.
    :raises TypeError: if ``frame`` is no pandas table.
    :raises ImportError: without pandas (extra ``[frame]``).
    """
    _check(frame, by, count, level, resamples)
    columns = _p(_LABELS) if count == "probabilities" else ["stance", *SIGNALS]
    _check_columns(frame, [date, *columns], group, article)
    days = days_of(frame, date, timezone)
    groups, names = _groups(frame, group)
    known = ~np.isnat(days) & (groups >= 0)
    if left_out := int((~known).sum()):
        logger.warning("%d of %d sentences have no date or no group and are left out", left_out, len(frame))
    if not known.any():
        raise ValueError(f"no row of {len(frame)} has a date in column {date!r}")
    numbers = number(days[known], by)
    first, periods = int(numbers.min()), int(numbers.max() - numbers.min()) + 1
    if periods * len(names) > _MOST_CELLS:
        span = f"{days[known].min()} to {days[known].max()}"
        raise ValueError(f"{periods:,} {by}s, {span}, are too many: is a date in column {date!r} wrong?")
    cells = (numbers - first) * len(names) + groups[known]
    values = _labels(frame) if count == "labels" else _probabilities(frame)
    articles = articles_of(frame, article)[known]
    check_once(frame, article, known, cells, articles)
    sums, cell_of = _by_article(cells, articles, [value[known] for value in values])
    figures = np.full((periods * len(names), 3, len(MEASURES)), np.nan)
    sizes = np.zeros((periods * len(names), 2), dtype=np.int64)
    marks = [zlib.crc32(str(name).encode("utf-8", "replace")) for name in names]
    for cell, rows in _runs(cell_of):
        period, mark = first + cell // len(names), marks[cell % len(names)]
        rng = np.random.default_rng([seed, period & 0xFFFFFFFF, mark])
        figures[cell] = _figures(sums[rows], resamples, level, rng)
        sizes[cell] = sums[rows, -1].sum(), rows.stop - rows.start
    starts = start(np.arange(first, first + periods), by)
    table = _table(starts, group, names, figures, sizes)
    return Trends(table, by, group, count, level, resamples, seed, left_out)


def _check(frame: Any, by: str, count: str, level: float, resamples: int) -> None:
    if not isinstance(frame, import_pandas().DataFrame):
        raise TypeError(f"trends takes a pandas table of scored sentences, got {type(frame).__name__}")
    for name, value, choices in (("by", by, get_args(Period)), ("count", count, get_args(Count))):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")


def _p(labels: Sequence[str]) -> list[str]:
    return [f"p_{label}" for label in labels]


def _check_columns(
    frame: pandas.DataFrame, needed: list[str], group: str | None, article: str | None
) -> None:
    needed = [*needed, *(name for name in (group, article) if name is not None)]
    if missing := [name for name in needed if name not in frame.columns]:
        raise KeyError(f"no column {missing[0]!r}; columns are {', '.join(map(str, frame.columns))}")
    if group in _OWN:
        raise ValueError(f"rename column {group!r} first: the result has a column of that name")


def _groups(frame: pandas.DataFrame, group: str | None) -> tuple[Ints, list[Any]]:
    """Number the groups in order. *Shape:* ``(n,)``, -1 where the group is missing; and their names."""
    if group is None:
        return np.zeros(len(frame), dtype=np.int64), [None]
    pd = import_pandas()
    column = frame[group]
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return np.asarray(column.cat.codes, dtype=np.int64), list(column.cat.categories)
    try:
        codes, names = pd.factorize(column, sort=True)
    except TypeError:  # values that cannot be compared stand as they come
        codes, names = pd.factorize(column)
    return np.asarray(codes, dtype=np.int64), list(names)


def _labels(frame: pandas.DataFrame) -> list[Floats]:
    """Return one column a label, 1 where it was given. *Shape:* ``(n,)`` each."""
    stance = frame["stance"]
    if (bad := ~stance.isin(STANCES).to_numpy(bool)).any():
        raise bad_row(frame, bad, "stance", f"is no stance; stances are {', '.join(STANCES)}")
    columns: list[Floats] = [np.asarray(stance == name, dtype=np.float64) for name in STANCES]
    return columns + [_column(frame, name, "is not True or False", whole=True) for name in SIGNALS]


def _probabilities(frame: pandas.DataFrame) -> list[Floats]:
    """Return one column a label, its probability. *Shape:* ``(n,)`` each."""
    columns = [_column(frame, name, "is no probability", whole=False) for name in _p(_LABELS)]
    bad = np.abs(sum(columns[: len(STANCES)]) - 1) > 1e-3
    if bad.any():
        raise bad_row(
            frame, np.asarray(bad), _p(STANCES)[0], "and those of the other stances do not sum to 1"
        )
    return columns


def _column(frame: pandas.DataFrame, name: str, what: str, whole: bool) -> Floats:
    pd = import_pandas()
    values = np.asarray(
        pd.to_numeric(frame[name], errors="coerce").astype("Float64").to_numpy(float, na_value=np.nan)
    )
    bad = ~((values == 0) | (values == 1)) if whole else ~((values >= 0) & (values <= 1))
    if bad.any():
        raise bad_row(frame, bad, name, what)
    return values


def _by_article(cells: Ints, articles: Ints, values: list[Floats]) -> tuple[Floats, Ints]:
    """Add up the sentences of each article in each cell (a period and group).

    :return: sums, the last column the number of sentences, *shape* ``(articles, labels + 1)``, and the cell
        of each row, ascending. Within a cell the rows are sorted, so that their order says nothing of the table's.
    """
    many = int(articles.max()) + 1
    keys, inverse = np.unique(cells * many + articles, return_inverse=True)
    columns = [np.bincount(inverse, value, minlength=len(keys)) for value in values]
    sums = np.stack([*columns, np.bincount(inverse, minlength=len(keys)).astype(float)], axis=1)
    cell_of = keys // many
    order = np.lexsort((*sums.T, cell_of))
    return sums[order], cell_of[order]


def _runs(cell_of: Ints) -> list[tuple[int, slice]]:
    cells, begins = np.unique(cell_of, return_index=True)
    ends = [*begins[1:], len(cell_of)]
    return [(int(c), slice(int(a), int(b))) for c, a, b in zip(cells, begins, ends, strict=True)]


def _figures(sums: Floats, resamples: int, level: float, rng: np.random.Generator) -> Floats:
    """Return estimate, lower and upper bound of each measure. *Shape:* ``(a, labels + 1)`` → ``(3, measures)``."""
    estimate = _measures(sums.sum(axis=0, keepdims=True))[0]
    if len(sums) < 2:  # one article says nothing of how articles differ
        return np.stack([estimate, np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)])
    drawn = _measures(_resampled(sums, resamples, rng))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.stack([estimate, np.minimum(low, estimate), np.maximum(high, estimate)])


def _resampled(sums: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Draw articles with replacement and add them up. *Shape:* ``(a, k)`` → ``(resamples, k)``."""
    size = len(sums)
    step = max(1, _BLOCK // size)
    parts = []
    for begin in range(0, resamples, step):
        rows = min(step, resamples - begin)
        drawn = rng.integers(size, size=(rows, size))
        drawn += np.arange(rows)[:, None] * size
        # How often each article was drawn, then one product with the sums.
        times = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        parts.append(times.astype(float) @ sums)
    return np.concatenate(parts)


def _measures(sums: Floats) -> Floats:
    """Turn sums into :data:`MEASURES`. *Shape:* ``(r, labels + 1)`` → ``(r, measures)``."""
    shares = sums[:, :-1] / sums[:, -1:]
    stances = shares[:, : len(STANCES)]
    balance = stances[:, STANCES.index("conciliatory")] - stances[:, STANCES.index("hostile")]
    return np.concatenate([stances, balance[:, None], shares[:, len(STANCES) :]], axis=1)


def _table(
    starts: npt.NDArray[np.datetime64], group: str | None, names: list[Any], figures: Floats, sizes: Ints
) -> pandas.DataFrame:
    pd = import_pandas()
    cells, many = len(figures), len(MEASURES)
    table: dict[Hashable, Any] = {"period": np.repeat(starts.astype("datetime64[s]"), len(names) * many)}
    if group is not None:
        table[group] = [name for _ in starts for name in names for _ in MEASURES]
    table["measure"] = list(MEASURES) * cells
    for position, name in enumerate(("estimate", "low", "high")):
        table[name] = figures[:, position].ravel()
    for position, name in enumerate(("sentences", "articles")):
        table[name] = np.repeat(sizes[:, position], many)
    frame: pandas.DataFrame = pd.DataFrame(table)
    return frame


def _shown(estimate: float, low: float, high: float) -> str:
    if np.isnan(estimate):
        return ""
    return f"{estimate:.2f}" if np.isnan(low) else f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
