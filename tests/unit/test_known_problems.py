"""The page of what others ran into: each line is answered, and each test that it names exists."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.support.recording import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "known-problems.md").read_text().splitlines()
    if re.match(r"\| \d+ \| ", line)
]


@cache
def _tests() -> frozenset[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return frozenset(
        name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text())
    )


def test_the_lines_are_numbered() -> None:
    assert [int(number) for number, *_ in ROWS] == [*range(1, 44)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:60])
def test_a_line_is_answered_by_tests_or_by_a_reason(row: list[str]) -> None:
    *_, answer, shown = row
    named = re.findall(r"`(test_\w+)`", shown)
    assert answer
    assert named or "not supported" in answer
    assert "not supported" not in answer or ", because " in answer
    assert [name for name in named if name not in _tests()] == []
