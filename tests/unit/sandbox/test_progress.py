"""The lines of a step where no terminal shows it live."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from sandbox import progress


def test_a_step_that_says_nothing_of_what_it_does_is_named_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.05)
    monkeypatch.setattr(progress, "_clock", lambda _: "1.0 s")
    printed = io.StringIO()

    def wait_for(line: str) -> None:
        end = time.monotonic() + 10
        while line not in printed.getvalue().splitlines():
            assert time.monotonic() < end, printed.getvalue()
            time.sleep(0.01)

    with progress.step(Console(file=printed), "Planning stack dev") as report:
        wait_for("  Planning stack dev (1.0 s)")
        report("compiling etcd")
        wait_for("  Planning stack dev: compiling etcd (1.0 s)")
