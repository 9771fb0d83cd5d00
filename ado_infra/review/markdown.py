"""Tables, folds and lists of Markdown, each of which says what it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

FEW: Final = 4
"""How many names stand side by side; all of them are among the details."""


def table(head: Sequence[str], body: Iterable[Sequence[str]], rows: int) -> Iterator[str]:
    """A table of at most so many rows, and a blank line."""
    lines = [f"| {' | '.join(cells)} |" for cells in body]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from lines[:rows]
    yield ""
    if len(lines) > rows:
        yield from [*left_out(len(lines), rows, ""), ""]


def left_out(number: int, rows: int, begin: str) -> Iterator[str]:
    """How many more there are than rows."""
    if number > rows:
        yield f"{begin}… and {number - rows} more"


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines that are shown on demand; `title` must be harmless as HTML."""
    yield from ["<details>", f"<summary>{title}</summary>", "", *lines, "</details>", ""]


def some(told: Sequence[str], most: int = FEW) -> str:
    """The first few, side by side."""
    more = len(told) - most
    return ", ".join(told[:most]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
