"""A client that writes without end, and what it has been told; and patience."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tests.cluster.deployment import Deployment

DEADLINE = 120.0
"""Seconds for what the pods do by themselves."""
WRITER = """
import os, sys, threading, time

def acknowledge(number):
    os.write(1, f"{number} {time.time():.3f}\\n".encode())  # whole, whenever the end comes

def end_with_input():
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
"""
"""How each program of `writing` begins."""


@dataclass
class Acknowledged:
    """What a writer was told: number of the row → when, in seconds since the epoch."""

    rows: dict[int, float] = field(default_factory=dict)

    def listen(self, lines: Iterable[str]) -> None:
        """Takes in what the writer prints, until it ends."""
        for line in lines:
            number, when = line.split()
            self.rows[int(number)] = float(when)

    def require(self, more: int) -> None:
        """Fails until so many rows were acknowledged."""
        assert len(self.rows) >= more, f"{len(self.rows)} rows were acknowledged"

    def goes_on(self) -> None:
        """Waits until something is acknowledged again."""
        more = len(self.rows) + 1
        patiently(lambda: self.require(more))

    @property
    def longest_gap(self) -> float:
        """Seconds for which nothing was acknowledged."""
        times = sorted(self.rows.values())
        return max(later - earlier for earlier, later in itertools.pairwise(times))


@contextmanager
def writing(deployment: Deployment, program: str, given: str) -> Generator[Acknowledged]:
    """A program that writes during the block, beside a pod that no test takes away.

    It reads the line `given`, ends with its input, and acknowledges each number that it wrote.
    """
    told = Acknowledged()
    with deployment.start_beside(WRITER + program) as client:
        assert client.stdin
        assert client.stdout
        listener = threading.Thread(target=told.listen, args=(client.stdout,))
        listener.start()
        client.stdin.write(given + "\n")
        client.stdin.flush()
        try:
            patiently(lambda: told.require(1))
            yield told
        finally:
            client.stdin.close()  # ends the writer
            listener.join()


def patiently(check: Callable[[], Any], seconds: float = DEADLINE) -> None:
    """Repeats a check until it holds; after the deadline its assertion is the test's."""
    Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.5),
        retry=retry_if_exception_type(AssertionError),
        reraise=True,
    )(check)
