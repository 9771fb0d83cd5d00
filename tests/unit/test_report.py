"""The page of measured numbers says what was measured, and names what was not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests import report
from tests.cluster import reliability
from tests.support.recording import ROOT

ABOUT = {"date": "2026-11-25", "machine": "2 cores, 8 GiB", "version": "6a426a5"}
NUMBERS = {"rto_seconds": 3.84, "rows_lost": 0, "wal_held_bytes": 331350016}
SCENARIO = "PostgreSQL: promotion under a writer"


def _recorded() -> Iterator[str]:
    """The scenarios that the tests record."""
    for folder in ("cluster", "soak"):
        for path in (ROOT / "tests" / folder).glob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                match call:
                    case ast.Call(func=ast.Name(id="record"), args=[ast.Constant(str(name))]):
                        yield name
                    case _:
                        pass


def test_every_scenario_is_recorded_by_a_test() -> None:
    assert set(_recorded()) == set(reliability.SCENARIOS)


def test_one_that_nobody_knows_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"Slip: name it in .*SCENARIOS"):
        reliability.record("Slip", seconds=1)


def test_numbers_are_said_with_their_units_and_where_they_are_from() -> None:
    page = report.page({SCENARIO: {**ABOUT, "numbers": NUMBERS}}, None)
    numbers = "0 rows lost, 3.8 s RTO, 316 MiB WAL held"
    assert f"| {SCENARIO} | {numbers} | 2026-11-25 | 6a426a5 | 2 cores, 8 GiB |" in page


def test_what_was_not_measured_is_named_with_what_measures_it() -> None:
    page = report.page({}, None)
    for scenario, source in reliability.SCENARIOS.items():
        assert f"| {scenario} | not measured: `{source}` does |" in page
    assert "Not measured: `make soak` does." in page


def test_the_autoscalers_walks_are_there_when_they_were_measured() -> None:
    walks = [{"queued": 600, "seconds": 544.5, "steps": [[59.3, 3, 8], [544.5, 45, 50]]}]
    page = report.page(
        {}, {**ABOUT, "walks": [*walks, {"queued": 0, "seconds": None, "steps": []}]}
    )
    assert "| 600 | 3 → 50 | 544.5 | 2026-11-25 |" in page
    assert "| 0 |" not in page


def test_the_machine_and_the_version_are_told() -> None:
    found = reliability.circumstances()
    assert set(found) == set(ABOUT)
    assert "" not in found.values()
