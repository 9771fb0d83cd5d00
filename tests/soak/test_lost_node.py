"""A machine that does not answer, and what the cluster is told of it: docs/data-runbooks.md."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import suppress

import pytest
from rich.console import Console

from sandbox.cluster import cluster as clusters
from sandbox.cluster import node
from sandbox.errors import SandboxError
from sandbox.host import cgroups, programs
from tests.cluster.deployment import NAMESPACE
from tests.cluster.pair import Pair, pod
from tests.cluster.runbooks import commands, section
from tests.cluster.writing import DEADLINE, patiently

TAINT, UNTAINT, DELETE = [
    line
    for line in commands(section("A node does not answer"))
    if line.startswith(("kubectl taint", "kubectl delete node"))
]
LOOK = 20.0
"""Seconds between two looks of the controller that deletes pods of nodes that are gone."""


@pytest.mark.parametrize(
    ("told", "seconds"), [(TAINT, 60), (DELETE, 120)], ids=["out of service", "deleted"]
)
def test_pods_of_a_lost_node_go_once_the_cluster_is_told_and_come_back_with_it(
    pair: Pair, told: str, seconds: float
) -> None:
    pair.led_by(1)  # which is the pod that the applications' role is asked from
    deployment, sandbox, standby = pair.deployment, pair.deployment.sandbox, 0
    lost = deployment.nodes_of("postgresql")[pod(standby)]
    assert lost != deployment.nodes_of("postgresql")[pod(1)]
    listed = programs.read_list(sandbox)
    programs.apply(sandbox, [p for p in listed if not p.name.startswith(f"{lost}-")])
    cgroups.kill(node.cgroup(sandbox, lost))
    try:
        unknown = "--for=condition=Ready=Unknown"
        deployment.kubectl("wait", unknown, f"node/{lost}", f"--timeout={DEADLINE:.0f}s")
        # As the cluster does it by itself after five minutes.
        deployment.kubectl("delete", "pod", pod(standby), "-n", NAMESPACE, "--wait=false")
        before = _uid(pair, standby)
        time.sleep(1.5 * LOOK)
        assert _uid(pair, standby) == before

        _types(pair, told, lost)

        def replaced() -> None:
            assert _uid(pair, standby) not in {"", before}

        patiently(replaced, seconds)
        # Its volume is where the machine is.
        assert pod(standby) not in _running(pair)
        assert pair.ask_as_ado("INSERT INTO kept VALUES ('meanwhile')") == ""
    finally:
        clusters.up(sandbox, None, Console())
        with suppress(SandboxError):  # there is none
            _types(pair, UNTAINT, lost)
    pair.healthy()
    assert "meanwhile" in pair.ask_as_ado("SELECT value FROM kept")
    assert pair.ask(standby, "SELECT pg_is_in_recovery()") == "t"


def _types(pair: Pair, line: str, name: str) -> None:
    """Types a line of the runbook, with the node's name."""
    words = [name if word == "NAME" else word for word in shlex.split(line)]
    assert name in words
    pair.deployment.kubectl(*words[1:])


def _uid(pair: Pair, ordinal: int) -> str:
    """The uid of a pod, which may be on its way out; empty while there is none."""
    get = ("get", "pod", pod(ordinal), "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
    uid: str = json.loads(pair.deployment.kubectl(*get) or "{}").get("metadata", {}).get("uid", "")
    return uid


def _running(pair: Pair) -> set[str]:
    """The pods of PostgreSQL that are on some node."""
    placed = pair.deployment.nodes_of("postgresql")
    return {name for name, where in placed.items() if where}
