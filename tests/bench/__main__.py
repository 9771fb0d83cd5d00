"""The command line of `make bench`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NoReturn

from sandbox import files
from sandbox.errors import SandboxError
from tests.bench import deploying, rendering
from tests.bench.page import DEPLOYING, GROWTH, PAGE, PARTS, RENDERING, page
from tests.cluster.reliability import circumstances
from tests.support.recording import ROOT

FIGURES: Final = Path(__file__).with_name("figures.json")
ENOUGH: Final = 5
"""Runs, below which nothing is written."""


def main() -> None:
    """Measures, and writes the page; a trial is only printed."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part, instead of all")
    parser.add_argument("--runs", type=int, default=ENOUGH, help="how often each is measured")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, _interrupted)
    before: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    try:
        figures = before | _measured(given.only or PARTS, given.runs)
    except SandboxError as failed:
        sys.exit(str(failed))
    except KeyboardInterrupt:
        print("Interrupted; nothing of it is left.", file=sys.stderr)
        sys.exit(130)
    if given.runs < ENOUGH:
        print(page(figures))
        return
    files.write(FIGURES, json.dumps(figures, indent=2, sort_keys=True) + "\n", mode=0o644)
    files.write(PAGE, page(figures), mode=0o644)
    say(f"written: {PAGE.relative_to(ROOT)}")


def _measured(parts: Sequence[str], runs: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="ado-bench-")))
        if RENDERING in parts:
            found[RENDERING] = rendering.measure(folder, runs, say)
        if {DEPLOYING, GROWTH} & {*parts}:
            bench = closing.enter_context(deploying.deployed(folder, say))
            if DEPLOYING in parts:
                found[DEPLOYING] = bench.unchanged(runs, say)
            if GROWTH in parts:
                found[GROWTH] = bench.growth(runs, say)
    return {part: {**circumstances(), "runs": runs, **each} for part, each in found.items()}


def say(what: str) -> None:
    """Prints how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def _interrupted(*_: object) -> NoReturn:
    """Ends the run; a second Ctrl-C must not interrupt what tidies up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
