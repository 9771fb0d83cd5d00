"""A real cluster for the tests, apart from the one that `make up` shows."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import cluster as clusters
from sandbox.paths import Sandbox
from tests.cluster.deployment import Deployment
from tests.cluster.engine import Engine
from tests.cluster.pair import Pair


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Prints a failure when it happens: of an hour's run nobody waits for the end to know it."""
    report = yield
    terminal = item.config.pluginmanager.get_plugin("terminalreporter")
    if report.failed and terminal:
        terminal.ensure_newline()
        terminal.write_line(f"{report.nodeid}, {report.when}:\n{report.longreprtext}")
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Sandbox]:
    """A running sandbox of three nodes, removed afterwards."""
    # Another name where the tests of two checkouts run side by side.
    sandbox = Sandbox(os.environ.get("ADO_TEST_SANDBOX", "test"))
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
