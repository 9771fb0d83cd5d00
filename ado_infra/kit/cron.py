"""Schedules of five fields, as cron and Kubernetes read them, in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final[tuple[tuple[str, int, int, tuple[str, ...]], ...]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 6, _WEEKDAYS),
)
_NAME: Final = "[A-Za-z]{3}"
_WRITTEN: Final = (
    *("[0-5]?[0-9]", "1?[0-9]|2[0-3]", "[1-9]|[12][0-9]|3[01]"),
    *(f"[1-9]|1[0-2]|{_NAME}", f"[0-6]|{_NAME}"),
)
"""One value of each field, as a pattern."""
_EVERY: Final = frozenset({"*", "?"})
_LEAP_CYCLE: Final = 8 * 366
"""Days within which every possible date comes, also over a year like 1900."""


@dataclass(frozen=True)
class Schedule:
    """When something is due; built by `parse`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Whether a day of the month or of the week is enough, as when both are given."""

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule that is written so; raises ValueError when it is none, or never comes."""
        fields = text.split()
        if len(fields) != len(_FIELDS):
            raise ValueError(
                "is no schedule; write minute, hour, day, month and weekday, such as '0 3 * * *'"
            )
        numbers = [
            frozenset(n for part in field.split(",") for n in _range(part, *known))
            for field, known in zip(fields, _FIELDS, strict=True)
        ]
        schedule = cls(*numbers, either_day=not {fields[2], fields[4]} & _EVERY)
        if next(schedule.before(datetime(2000, 3, 1, tzinfo=UTC)), None) is None:
            raise ValueError("names no day that there is; it would never come")
        return schedule

    def before(self, moment: datetime) -> Iterator[datetime]:
        """When it was due before a moment, newest first; ends where it never was for years."""
        moment = moment.astimezone(UTC)
        times = [time(h, m, tzinfo=UTC) for h in self.hours for m in self.minutes]
        last = moment.date()
        while (moment.date() - last).days < _LEAP_CYCLE:
            if self._falls_on(last.month, last.day, last.isoweekday() % 7):
                due = [datetime.combine(last, each) for each in sorted(times, reverse=True)]
                yield from (each for each in due if each < moment)
            last -= timedelta(days=1)

    def _falls_on(self, month: int, day: int, weekday: int) -> bool:
        of_month, of_week = day in self.days, weekday in self.weekdays
        fits = of_month or of_week if self.either_day else of_month and of_week
        return month in self.months and fits


def _range(text: str, field: str, low: int, high: int, names: tuple[str, ...]) -> range:
    """`*`, `5`, `1-5`, each with or without `/2`, as the numbers it stands for."""
    span, slash, step = text.partition("/")
    first, dash, last = span.partition("-")
    if span in _EVERY:
        start, end = low, high
    else:
        start = _number(first, low, names)
        end = _number(last, low, names) if dash else high if slash else start
    every = _number(step, 0, ()) if slash else 1
    if not low <= start <= end <= high or every < 1:
        raise ValueError(f"has no {field} {text!r}; write {low} to {high}")
    return range(start, end + 1, every)


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    """A number, or what a name stands for; -1 for neither."""
    if text.lower() in names:
        return low + names.index(text.lower())
    return int(text) if text.isascii() and text.isdecimal() else -1


def _pattern(value: str) -> str:
    """What `_range` reads, but for other names, and a range that ends before it begins."""
    part = rf"(?:[*?]|0*(?:{value})(?:-0*(?:{value}))?)(?:/0*[1-9][0-9]*)?"
    return f"{part}(?:,{part})*"


PATTERN: Final = r"^\s*" + r"\s+".join(map(_pattern, _WRITTEN)) + r"\s*$"
"""Of a schedule, for a JSON Schema; that it never comes is left to `Schedule.parse`."""
