"""Schedules of five fields: when something was due, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from ado_infra.kit.cron import Schedule

NOW = datetime(2026, 11, 25, 10, 15, tzinfo=UTC)
"""A Wednesday."""


def _last(text: str, count: int = 2) -> list[str]:
    return [f"{due:%F %H:%M}" for due in islice(Schedule.parse(text).before(NOW), count)]


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("0 3 * * *", ["2026-11-25 03:00", "2026-11-24 03:00"]),
        ("*/15 * * * *", ["2026-11-25 10:00", "2026-11-25 09:45"]),
        ("05,50 1-2 * * *", ["2026-11-25 02:50", "2026-11-25 02:05"]),
        ("10/25 0 * * *", ["2026-11-25 00:35", "2026-11-25 00:10"]),
        ("0 0 1 JAN,jul ?", ["2026-07-01 00:00", "2026-01-01 00:00"]),
        ("0 0 * * sun", ["2026-11-22 00:00", "2026-11-15 00:00"]),
        ("0 0 29 2 *", ["2024-02-29 00:00", "2020-02-29 00:00"]),
        (
            "0 0 20 * mon",
            ["2026-11-23 00:00", "2026-11-20 00:00"],
        ),  # either day, when both are given
        ("0 0 */31 * *", ["2026-11-01 00:00", "2026-10-01 00:00"]),
    ],
)
def test_it_was_due_at_these_times(text: str, due: list[str]) -> None:
    assert _last(text) == due


def test_now_is_not_before_now() -> None:
    assert _last("15 10 * * *", 1) == ["2026-11-24 10:15"]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "minute, hour, day, month and weekday"),
        ("* * * *", "minute, hour, day, month and weekday"),
        ("* * * * * *", "minute, hour, day, month and weekday"),
        ("@daily", "minute, hour, day, month and weekday"),
        ("60 * * * *", "no minute '60'; write 0 to 59"),
        ("*/0 * * * *", r"no minute '\*/0'"),
        ("* 3- * * *", "no hour '3-'"),
        ("* * 0 * *", "no day '0'"),
        ("* * * 9-4 *", "no month '9-4'"),
        ("* * * * 7", "no weekday '7'; write 0 to 6"),
        ("* * * * monday", "no weekday 'monday'"),
        ("\N{FULLWIDTH DIGIT FIVE} * * * *", "no minute"),
        ("0 0 31 4,6 *", "would never come"),
    ],
)
def test_anything_else_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        Schedule.parse(text)
