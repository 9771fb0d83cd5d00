"""Commands, timed in turns: whatever slows the machine down for a while slows all of them."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.progress import Report

PATIENCE = 15.0
"""Seconds that a command has to end by itself after Ctrl-C."""
Run = Mapping[str, float]
"""What a run took.

`seconds` by the clock; `cpu`, seconds of processors, of all that it started and waited for;
`megabytes`, the peak of the largest process.
"""
Figures = dict[str, dict[str, float]]
"""What was timed → its figures."""


@dataclass(frozen=True)
class Case:
    """A command that is timed."""

    name: str
    command: Sequence[str | Path]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def timed(cases: Sequence[Case], runs: int, say: Report) -> Figures:
    """Every case `runs` times, in turns, after one run that is not counted."""
    taken: dict[str, list[Run]] = {case.name: [] for case in cases}
    for turn in range(runs + 1):
        for case in cases:
            run = once(case)
            if turn:
                taken[case.name].append(run)
            say(f"{turn or 'first'}/{runs} {case.name}: {run['seconds']:.2f} s")
    return {name: summary(each) for name, each in taken.items()}


def summary(runs: Sequence[Run]) -> dict[str, float]:
    """The median of each figure, and between which times the runs lie."""
    seconds = [run["seconds"] for run in runs]
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    found = {**medians, "fastest": min(seconds), "slowest": max(seconds)}
    return {key: round(each, 3) for key, each in found.items()}


def once(case: Case) -> Run:
    """One run, which must succeed: SandboxError has the end of what it said."""
    with tempfile.NamedTemporaryFile() as taken, tempfile.TemporaryFile() as said:
        launcher = [sys.executable, "-IS", str(Path(__file__).with_name("launched.py")), taken.name]
        with subprocess.Popen(
            [*launcher, *map(str, case.command)],
            cwd=case.cwd,
            env=case.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as process:
            try:
                failed = process.wait()
            except BaseException:
                _end(process)
                raise
        if failed:
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
            raise SandboxError(f"{case.name} failed: {text[-2000:]}")
        run: Run = json.load(taken)
        return run


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C would: a deployment ends in order."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
