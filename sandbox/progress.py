"""Steps with elapsed time: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[str], None]
"""Receives a short line about what a long step is doing right now."""

PLAIN_INTERVAL = 20.0
"""Seconds between the plain lines of one step: alive, and still a short log of a long build."""
WORTH_A_LINE = 0.5
"""Seconds that a step must take to leave a line behind."""
WORTH_A_SUM = 60.0
"""Seconds after which it also says how much processor time it and its programs took."""


@contextmanager
def step(console: Console, title: str) -> Generator[Report]:
    """Show a step of work; call the yielded function with what it is doing right now."""
    started, used = time.monotonic(), _processor_seconds()
    with _live(console, title) if console.is_terminal else _plain(console, title) as report:
        yield report
    seconds = time.monotonic() - started
    if seconds > WORTH_A_LINE:
        spent = f", {_clock(_processor_seconds() - used)} of CPU" if seconds > WORTH_A_SUM else ""
        console.print(f"{title} ({_clock(seconds)}{spent})", markup=False, highlight=False)


@contextmanager
def _live(console: Console, title: str) -> Generator[Report]:
    # Imported here: not needed where nobody watches.
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(escape(title), total=None)

        def report(doing: str) -> None:
            progress.update(task, description=f"{escape(title)} [dim]{escape(doing)}[/dim]")

        yield report


@contextmanager
def _plain(console: Console, title: str) -> Generator[Report]:
    started, doing, ended = time.monotonic(), "", threading.Event()

    def report(now: str) -> None:
        nonlocal doing
        doing = now

    def tell() -> None:
        while not ended.wait(PLAIN_INTERVAL):
            now = f"{title}: {doing}" if doing else title
            line = f"  {now} ({_clock(time.monotonic() - started)})"
            console.print(line, markup=False, highlight=False)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield report
    finally:
        ended.set()
        teller.join()


def say_unused(what: str, why: object) -> None:
    """Why a program is not used, in a line that no later progress takes the place of."""
    print(f"{what} is not used: {why}", file=sys.stderr)  # stdout may be JSON


def _processor_seconds() -> float:
    """Of this process and of all its programs that have ended."""
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _clock(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
