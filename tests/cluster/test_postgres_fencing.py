"""Nobody is promoted unless PostgreSQL's old primary is known to have ended; and who may do it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.cluster import cluster as clusters
from sandbox.host import programs
from tests.cluster import operators
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import SERVER, Pair, pod

SERVED_BY = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].targetRef.name}"


@contextmanager
def frozen_kubelet(deployment: Deployment, node: str) -> Generator[None]:
    """The kubelet of a node does nothing during the block; the node is whole afterwards."""
    sandbox = deployment.sandbox
    status = programs.read_status(sandbox)
    kubelet = next(each.pid for each in status if each.name == f"{node}-kubelet")
    assert kubelet
    os.kill(kubelet, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kubelet, signal.SIGCONT)
        clusters.up(sandbox, None, Console())


def test_a_server_whose_node_was_deleted_is_not_taken_for_ended(pair: Pair) -> None:
    deployment, old, new = pair.deployment, pod(pair.primary), pod(1 - pair.primary)
    server, node = pair.process(pair.primary, SERVER), deployment.nodes_of("postgresql")[old]
    with frozen_kubelet(deployment, node):
        with deployment.started_ops("postgres", "promote", new, "--accept-loss") as first:
            assert first.stdout
            assert first.stderr
            while f"stopping {old}" not in first.stdout.readline():
                assert first.poll() is None, first.stderr.read()
            second = pair.ops("promote", new)
            assert second.returncode == 1
            assert "is at work here since" in second.stderr
            deployment.kubectl("delete", "node", node)
            # As the controllers do it when they miss the node.
            deployment.kubectl("delete", "pod", old, "-n", NAMESPACE, "--force", "--grace-period=0")
            _, told = first.communicate(timeout=200)
        assert first.returncode == 1
        assert f"Nobody can tell whether {old} still runs" in told
        assert "--node-is-off" in told
        assert pair.ask(1 - pair.primary, "SELECT pg_is_in_recovery()") == "t"

        done = pair.did("promote", new, "--node-is-off")
        assert f"{new} is the primary. Lost (RPO): unknown" in done
        assert Path(f"/proc/{server}").exists()  # it was not off
        services = ("get", "endpointslices", "-n", NAMESPACE, "-o", SERVED_BY, "-l")
        of_primary = "kubernetes.io/service-name=postgresql"
        assert deployment.kubectl(*services, of_primary).split() == [new]
        assert pair.ask_as_ado("INSERT INTO kept VALUES ('newer')") == ""
    pair.did("rejoin", old)
    pair.healthy()
    assert "newer" in pair.ask_as_ado("SELECT value FROM kept")


@pytest.fixture
def operator(pair: Pair, tmp_path: Path) -> Generator[Path]:
    """The kubeconfig of somebody who has no right yet."""
    with operators.operator(pair.deployment, tmp_path, "test-operator") as file:
        yield file


def test_whoever_has_the_printed_role_alone_promotes_and_who_lacks_it_touches_nothing(
    pair: Pair, operator: Path
) -> None:
    deployment, new = pair.deployment, pod(1 - pair.primary)
    versions = ("get", "pods,configmaps,services", "-n", NAMESPACE, "-l", "app.kubernetes.io/name")
    before = deployment.kubectl(*versions, "-o", "json")
    for flags in ((), ("--dry-run",)):
        refused = deployment.ops("postgres", "promote", new, *flags, kubeconfig=operator)
        assert refused.returncode == 1
        assert "You may not get pods" in refused.stderr
        assert "Nothing was touched" in refused.stderr
    assert _versions(deployment.kubectl(*versions, "-o", "json")) == _versions(before)

    with operators.allowed(deployment, "test-operator", deployment.ops("role").stdout):
        done = deployment.ops("postgres", "promote", new, kubeconfig=operator)
        assert done.returncode == 0, done.stdout + done.stderr
        again = deployment.ops("postgres", "rejoin", pod(1 - pair.primary), kubeconfig=operator)
        assert again.returncode == 0, again.stdout + again.stderr
        assert deployment.ops("postgres", "status", kubeconfig=operator).returncode == 0
    assert pair.kept()


def _versions(listed: str) -> dict[tuple[str, str], str]:
    items = json.loads(listed)["items"]
    return {(i["kind"], i["metadata"]["name"]): i["metadata"]["resourceVersion"] for i in items}
