"""A real cluster for the tests, apart from the one that `make up` shows.

Each process of a distributed run has one of its own: much of the time is spent waiting.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from rich.console import Console

from sandbox.cluster import cluster as clusters
from sandbox.paths import Sandbox
from tests.cluster import sandboxes
from tests.cluster.deployment import Deployment
from tests.cluster.engine import Engine
from tests.cluster.pair import Pair

WORKER = "PYTEST_XDIST_WORKER"
"""Names each process of a distributed run in its environment."""

STARTS = pytest.StashKey[bool]()

LONGEST_FIRST = (
    # Each of two processes begins with one of these,
    *("test_redis_reliability", "test_own_cluster"),
    "test_life_of_a_stack",  # and the second goes on with this, which needs nothing deployed.
    *("test_postgres_takeover", "test_sandbox_lifecycle", "test_interrupted_up", "test_examples"),
    *("test_postgres_fencing", "test_postgres_services", "test_day_two"),
    *("test_postgres_reliability", "test_data_tier", "test_platform_changes"),
    *("test_backup", "test_upgrade", "test_provider", "test_worker_autoscaling"),
    *("test_every_key", "test_secrets_stay_secret", "test_declared_connections", "test_rendered"),
    *("test_existing_secrets", "test_model_gateway"),
    *("test_platform_running", "test_status_anywhere", "test_no_setting_replaces", "test_refusals"),
    *("test_previews", "test_network_policies", "test_dashboard_queries"),
)
"""The files in the order in which a distributed run takes them, so that no process waits long."""


@dataclass(frozen=True)
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the cluster's files behind all others, the longest first; unknown ones before them."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST, start=2)}

    def place(item: pytest.Item) -> int:
        return places.get(item.path.stem, 1) if item.path.parent == Path(__file__).parent else 0

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """Notes whether this run starts sandboxes: else those that are there are another's."""
    node.config.stash[STARTS] = any(each.startswith("tests/cluster/") for each in ids)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes what the processes of a distributed run had no time to remove, as after Ctrl-C."""
    workers = config.getoption("numprocesses", None)
    if workers and config.stash.get(STARTS, False):
        for sandbox in sandboxes.of_workers(workers):
            if sandbox.state.exists() or clusters.lock_path(sandbox).exists():
                clusters.down(sandbox, Console())


@pytest.fixture(scope="session")
def cluster() -> Iterator[Sandbox]:
    """A running sandbox of three nodes, removed afterwards."""
    with sandboxes.running(sandboxes.shared(os.environ.get(WORKER))) as sandbox:
        yield sandbox


@pytest.fixture
def deployment(cluster: Sandbox, tmp_path: Path) -> Deployment:
    """The dev stack, deployed and Ready as committed, whatever the test before left."""
    deployed = Deployment(cluster, tmp_path)
    deployed.reset()
    return deployed


@pytest.fixture
def undeployed(cluster: Sandbox, tmp_path: Path) -> Deployment:
    """The dev stack, not deployed, whatever the test before left."""
    stack = Deployment(cluster, tmp_path)
    stack.write()
    stack.forget_given()
    assert stack.command("destroy").returncode == 0
    stack.provide()
    return stack


@pytest.fixture
def engine(cluster: Sandbox, tmp_path: Path) -> Iterator[Engine]:
    """An engine with an empty state; what a test leaves in the cluster is destroyed."""
    with mock.patch.dict(os.environ):
        started = Engine(tmp_path, cluster.kubeconfig)
        yield started
        assert started.destroy().error == ""


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
