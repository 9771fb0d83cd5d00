"""The sandboxes that tests start, by name."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console

from sandbox.cluster import cluster as clusters
from sandbox.paths import Sandbox

_NAME = os.environ.get("ADO_TEST_SANDBOX", "test")
"""Another one where the tests of two checkouts run side by side."""
LIFE, NEIGHBOUR = Sandbox(f"{_NAME}-life"), Sandbox(f"{_NAME}-neighbour")
"""Those of the tests of the sandbox itself."""
LENT = Sandbox(f"{_NAME}-lent")
"""That of a stack which is deployed without the sandbox's help, as large as it says."""


def shared(worker: str | None) -> Sandbox:
    """That of all other tests of one process; `worker` names it in a distributed run."""
    return Sandbox(f"{_NAME}-{worker}" if worker else _NAME)


def of_workers(count: int) -> list[Sandbox]:
    """All that a distributed run may start."""
    return [*(shared(f"gw{number}") for number in range(count)), LIFE, NEIGHBOUR, LENT]


@contextmanager
def running(sandbox: Sandbox) -> Generator[Sandbox]:
    """A sandbox of three nodes, new and empty, while the block runs."""
    console = Console()
    clusters.down(sandbox, console)
    try:
        clusters.up(sandbox, 3, console)
        yield sandbox
    finally:
        clusters.down(sandbox, console)
