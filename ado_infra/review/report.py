"""A review as Markdown: what is loud first, the rest folded, and never too long for a comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ado_infra.review.comparison import Comparison
from ado_infra.review.escaping import code
from ado_infra.review.sections import details, section

MARKER: Final = "<!-- ado-ops review -->"
"""The first line of a report, by which a workflow finds its own comment."""
LIMIT: Final = 65_000
"""GitHub takes 65,536 characters; counted in bytes, which are never fewer."""
_ROWS: Final = (200, 60, 20, 8, 3)
"""How many rows of a table there are, at most: fewer where all would be too long."""
_CUT: Final = "**Too long for a comment: what follows is cut off.** `ado-ops review` shows it."


@dataclass(frozen=True, kw_only=True)
class Against:
    """What was compared with.

    Attributes:
        ref: As it was asked for.
        commit: Which one that is.
        common: Whether that is where the branch left it, and not `ref` itself.
    """

    ref: str
    commit: str
    common: bool = True

    def __str__(self) -> str:
        where = "where this branch left it" if self.common else "which has no commit in common"
        return f"{code(self.ref)} ({self.commit[:7]}, {where})"


def report(comparisons: Sequence[Comparison], against: Against, *, limit: int = LIMIT) -> str:
    """All of it, at most `limit` bytes long; one line where nothing changes."""
    told = [each for each in comparisons if each.differs]
    same = [code(each.stack) for each in comparisons if not each.differs]
    if not told:
        return f"{MARKER}\nNothing changes in {_and(same)}, compared with {against}.\n"
    text = ""
    for rows in _ROWS:
        text = "\n".join([*_head(told, same, against), *_body(told, rows)]) + "\n"
        if len(text.encode()) <= limit:
            return text
    return _cut(text, limit)


def _head(told: Sequence[Comparison], same: Sequence[str], against: Against) -> Iterator[str]:
    yield MARKER
    yield f"## What changes in {_and([code(each.stack) for each in told])}"
    yield ""
    yield f"Compared with {against}." + (f" Nothing changes in {_and(same)}." if same else "")
    yield ""


def _body(told: Sequence[Comparison], rows: int) -> Iterator[str]:
    for each in told:
        yield from section(each, rows)
    for each in told:
        yield from details(each, rows)
    if not all(each.preview for each in told):
        yield "<sub>Without the engine's preview: neither secrets nor drift are seen.</sub>"


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _cut(text: str, limit: int) -> str:
    """As many whole lines as there is room for, and no fold left open."""
    room = limit - len(_CUT.encode()) - 40
    kept: list[str] = []
    for line in text.splitlines():
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept.append(line)
    is_open = kept.count("<details>") > kept.count("</details>")
    in_block = sum(line.startswith("```") for line in kept) % 2 == 1
    closing = [*(["```"] if in_block else []), *(["", "</details>"] if is_open else [])]
    return "\n".join([*kept, *closing, "", _CUT]) + "\n"
