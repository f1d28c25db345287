"""Dates as they come in tables → the days, weeks, months, quarters or years they lie in."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from brinkline.model.scores import import_pandas

if TYPE_CHECKING:
    import pandas

__all__ = ["Period", "bad_row", "days_of", "number", "start"]

Period = Literal["day", "week", "month", "quarter", "year"]
Days = npt.NDArray[np.datetime64]
Ints = npt.NDArray[np.int64]

_UNITS = {"day": "D", "month": "M", "year": "Y"}
_OFFSET_OF_MONDAY = 3  # 1 January 1970, day 0, was a Thursday
_SHORTEST = 8  # 20240311; a year or a month alone names no day
_ZONED = r"[Tt ].*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"


def number(days: Days, by: str) -> Ints:
    """Number the periods that days lie in, without gaps; 0 is the one of 1 January 1970. *Shape:* as given."""
    if by == "week":
        return np.asarray((days.astype(np.int64) + _OFFSET_OF_MONDAY) // 7)
    if by == "quarter":
        return np.asarray(days.astype("datetime64[M]").astype(np.int64) // 3)
    return np.asarray(days.astype(f"datetime64[{_UNITS[by]}]").astype(np.int64))


def start(numbers: Ints, by: str) -> Days:
    """Return the first day of numbered periods: the inverse of :func:`number`. *Shape:* as given."""
    if by == "week":
        return np.asarray((numbers * 7 - _OFFSET_OF_MONDAY).astype("datetime64[D]"))
    if by == "quarter":
        return np.asarray((numbers * 3).astype("datetime64[M]").astype("datetime64[D]"))
    return np.asarray(numbers.astype(f"datetime64[{_UNITS[by]}]").astype("datetime64[D]"))


def days_of(frame: pandas.DataFrame, column: str, timezone: str) -> Days:
    """Read the day of each row.

    :param frame: a table.
    :param column: datetimes, dates or ISO 8601 strings.
    :param timezone: where the days of dates that bear a time zone begin; others are taken as they stand.
    :return: days, *shape* ``(len(frame),)``, NaT where the date is missing.
    :raises ValueError: for a value that is no date; its row is named.
    """
    pd = import_pandas()
    codes, seen = pd.factorize(frame[column])
    if isinstance(seen, pd.DatetimeIndex):
        days = _local(seen, timezone)
    else:
        strings = np.array([isinstance(value, str) for value in seen], dtype=bool)
        days = np.full(len(seen), np.datetime64("NaT"), dtype="datetime64[D]")
        days[strings] = _parsed([value for value in seen if isinstance(value, str)], timezone)
        for position in np.flatnonzero(~strings):
            days[position] = _day_of(seen[position], timezone)
    result = np.append(days, np.datetime64("NaT", "D"))[codes]  # code -1: missing
    bad = np.isnat(result) & (codes >= 0)
    if bad.any():
        raise bad_row(frame, bad, column, "is no date (write 2024-03-11, or use pandas.to_datetime first)")
    return np.asarray(result)


def bad_row(frame: pandas.DataFrame, bad: npt.NDArray[np.bool_], column: str, what: str) -> ValueError:
    """Make an error that names the first bad row.

    :param bad: True for each bad row. *Shape:* ``(len(frame),)``.
    :param what: what is wrong with the value.
    """
    position = int(np.argmax(bad))
    value = frame[column].iloc[position]
    where = f"row {position} (index {frame.index[position]!r})"
    return ValueError(f"{where}: {value!r} in column {column!r} {what}")


def _parsed(texts: list[str], timezone: str) -> Days:
    pd = import_pandas()
    series = pd.Series(texts, dtype=object).str.strip()
    moments = pd.to_datetime(series, format="ISO8601", errors="coerce", utc=True)
    moments = moments.where(series.str.len() >= _SHORTEST)
    zoned = series.str.contains(_ZONED, regex=True).to_numpy(bool)
    plain = moments.dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    return np.where(zoned, _local(pd.DatetimeIndex(moments), timezone), plain)


def _day_of(value: Any, timezone: str) -> np.datetime64:
    pd = import_pandas()
    if isinstance(value, datetime.datetime):
        return np.datetime64(_local(pd.DatetimeIndex([value]), timezone)[0])
    if isinstance(value, datetime.date):
        return np.datetime64(value, "D")
    if isinstance(value, pd.Period):
        return np.datetime64(value.start_time.date(), "D")
    return np.datetime64("NaT", "D")


def _local(moments: pandas.DatetimeIndex, timezone: str) -> Days:
    if moments.tz is not None:
        moments = moments.tz_convert(timezone).tz_localize(None)
    return np.asarray(moments.to_numpy().astype("datetime64[D]"))
