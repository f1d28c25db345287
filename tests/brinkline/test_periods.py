"""Tests of dates: every kind that tables hold, time zones, and the periods they lie in."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.periods import days_of, number, start


def days(values: object, timezone: str = "UTC") -> list[str]:
    frame = pd.DataFrame({"date": values})
    return [str(day) for day in days_of(frame, "date", timezone)]


@pytest.mark.parametrize(
    "value",
    [
        "2024-03-11",
        "20240311",
        "2024-03-11T23:30:00",
        " 2024-03-11 ",
        "2024-03-11T23:30:00Z",
        "2024-03-12T01:30:00+02:00",
        "20240311T233000Z",
        datetime.date(2024, 3, 11),
        datetime.datetime(2024, 3, 11, 23, 30),
        datetime.datetime(2024, 3, 12, 1, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        pd.Timestamp("2024-03-11 23:30"),
        pd.Timestamp("2024-03-11 23:30", tz="UTC"),
        pd.Period("2024-03-11", "D"),
    ],
)
def test_dates_of_every_kind(value: object) -> None:
    assert days([value]) == ["2024-03-11"]
    assert days(pd.Series([value, None], dtype=object)) == ["2024-03-11", "NaT"]


def test_time_zone_moves_only_dates_that_bear_one() -> None:
    texts = ["2024-03-11T23:30:00Z", "2024-03-11T23:30:00", "2024-03-11"]
    assert days(texts, "Asia/Tokyo") == ["2024-03-12", "2024-03-11", "2024-03-11"]
    zoned = pd.to_datetime(["2024-03-11T23:30:00Z"])
    assert days(zoned, "Asia/Tokyo") == ["2024-03-12"]
    assert days(zoned.tz_convert("America/New_York")) == ["2024-03-11"]
    assert days(zoned.tz_localize(None), "Asia/Tokyo") == ["2024-03-11"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NaT])
def test_missing_dates_are_no_error(missing: object) -> None:
    assert days(pd.Series(["2024-03-11", missing], dtype=object)) == ["2024-03-11", "NaT"]


@pytest.mark.parametrize(
    "bad", ["11.03.2024", "03/11/2024", "soon", "", "2024-13-01", "2024-03", "2024", 20240311, 1.5, True]
)
def test_bad_date_is_named_with_its_row(bad: object) -> None:
    frame = pd.DataFrame({"when": ["2024-03-11", None, bad]}, index=["x", "y", "z"], dtype=object)
    with pytest.raises(ValueError, match=r"row 2 \(index 'z'\): .* in column 'when' is no date"):
        days_of(frame, "when", "UTC")


def test_weeks_begin_on_monday() -> None:
    dates = np.array(["2023-12-31", "2024-01-01", "2024-01-07", "2024-01-08"], dtype="datetime64[D]")
    numbers = number(dates, "week")
    assert np.diff(numbers).tolist() == [1, 0, 1]
    assert start(numbers, "week").astype(str).tolist() == [
        "2023-12-25",
        "2024-01-01",
        "2024-01-01",
        "2024-01-08",
    ]


@given(st.dates(), st.sampled_from(["day", "week", "month", "quarter", "year"]))
def test_periods_agree_with_pandas(day: datetime.date, by: str) -> None:
    days = np.array([day], dtype="datetime64[D]")
    found = start(number(days, by), by)
    frequency = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}[by]
    period = pd.Period(year=day.year, month=day.month, day=day.day, freq="D").asfreq(frequency)
    first = period.asfreq("D", how="start")
    assert str(found[0]) == f"{first.year:04d}-{first.month:02d}-{first.day:02d}"
    assert start(number(found, by) + 1, by)[0] > days[0] >= found[0]
