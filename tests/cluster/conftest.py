"""A real cluster for the tests, apart from the one that `make up` shows.

Each process of a distributed run has one of its own: much of the time is spent waiting.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import cluster as clusters
from sandbox.paths import Sandbox
from tests.cluster.deployment import Deployment
from tests.cluster.engine import Engine
from tests.cluster.pair import Pair


@dataclass
class Failures:
    """Prints a failure when it happens: of a long run nobody waits for the end to know it."""

    config: pytest.Config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal:
            terminal.ensure_newline()
            terminal.write_line(f"{report.nodeid}, {report.when}:\n{report.longreprtext}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Failures(config))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Sandbox]:
    """A running sandbox of three nodes, removed afterwards."""
    # Another name where the tests of two checkouts run side by side.
    name = os.environ.get("ADO_TEST_SANDBOX", "test")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    sandbox = Sandbox(f"{name}-{worker}" if worker else name)
    console = Console()
    clusters.down(sandbox, console)
    try:
        clusters.up(sandbox, 3, console)
        yield sandbox
    finally:
        clusters.down(sandbox, console)


@pytest.fixture
def deployment(cluster: Sandbox, tmp_path: Path) -> Deployment:
    """The dev stack, deployed and Ready as committed, whatever the test before left."""
    deployed = Deployment(cluster, tmp_path)
    deployed.reset()
    return deployed


@pytest.fixture
def engine(cluster: Sandbox, tmp_path: Path) -> Iterator[Engine]:
    """An engine with an empty state; what a test leaves in the cluster is destroyed."""
    before = dict(os.environ)
    try:
        started = Engine(tmp_path, cluster.kubeconfig)
        yield started
        assert started.destroy().error == ""
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def pair_deployment(
    cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The dev stack as committed; so it is left too: PostgreSQL's pod 0 is the primary."""
    deployed = Deployment(cluster, tmp_path_factory.mktemp("pair"))
    deployed.reset()
    yield deployed
    Pair(deployed).led_by(0)


@pytest.fixture
def pair(pair_deployment: Deployment) -> Iterator[Pair]:
    """PostgreSQL's pods, one following the other, and a row that is kept; so again afterwards."""
    found = Pair(pair_deployment)
    found.keep()
    yield found
    found.mend()
