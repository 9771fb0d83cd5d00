"""The platform's own NetworkPolicies, enforced: what is declared gets through, and nothing else.

Every tier that has Python in its image tries every port that any pod of the platform listens at.
What each attempt has to come to is said by the graph; without policies all of them get through.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ado_infra.connections import graph
from ado_infra.site import Site
from sandbox.deploy import rollout
from sandbox.paths import Sandbox
from tests.cluster import client_policy
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.support.network import End
from tests.support.policed import declared, settings_with

OFF: dict[str, Any] = {"ado:networkPolicies": {"enabled": False}}
TIERS = ("ado-api-gateway", "ado-dashboard", "ado-orchestrator", "ado-worker")
FORBIDDEN = {("ado-worker", "postgresql", 5432), ("ado-dashboard", "redis", 6379)}
"""What is refused as soon as the policies are enforced; nothing is believed before."""
SECONDS = 60.0
TRY = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def opens(target):
    try:
        socket.create_connection(tuple(target), 3).close()
    except OSError:
        return False
    return True

targets = json.loads(%r)
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(opens, targets))))
"""


def pods(deployment: Deployment) -> dict[str, End]:
    """A running pod of each workload, by the workload's name."""
    listed = json.loads(deployment.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json"))
    return {
        pod["metadata"]["labels"]["app"]: End(
            name=pod["metadata"]["labels"]["app"],
            address=pod["status"]["podIP"],
            namespace=NAMESPACE,
            labels=pod["metadata"]["labels"],
            ports={
                port["name"]: port["containerPort"]
                for container in pod["spec"]["containers"]
                for port in container["ports"]
            },
        )
        for pod in listed["items"]
        if pod["status"]["phase"] == "Running" and "app" in pod["metadata"]["labels"]
    }


def opened(deployment: Deployment, ends: Mapping[str, End]) -> set[tuple[str, str, int]]:
    """Who reaches whom at which port: source, target, port."""
    targets = [(name, port) for name, end in ends.items() for port in end.ports.values()]
    addresses = json.dumps([[ends[name].address, port] for name, port in targets])
    return {
        (source, *target)
        for source in TIERS
        for target, opens in zip(
            targets, json.loads(deployment.inside(TRY % addresses, source)), strict=True
        )
        if opens
    }


@pytest.fixture(scope="module")
def policed(
    cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, set[tuple[str, str, int]]]]:
    """The dev stack with its policies, and what got through before there were any."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("policed"))
    deployment.reset()
    deployment.up(OFF)
    deployment.links()  # takes away what the sandbox has added to the stack's policies
    before = opened(deployment, pods(deployment))
    deployment.up({})
    yield deployment, before
    deployment.reset()


def test_without_policies_every_tier_reaches_every_port(
    policed: tuple[Deployment, set[tuple[str, str, int]]],
) -> None:
    deployment, before = policed
    listening = {(n, port) for n, end in pods(deployment).items() for port in end.ports.values()}
    assert before == {(source, *target) for source in TIERS for target in listening}


def test_with_them_it_reaches_what_is_declared_and_nothing_else(
    policed: tuple[Deployment, set[tuple[str, str, int]]],
) -> None:
    deployment, _ = policed
    ends = pods(deployment)
    connections = graph(Site("ado", namespace=NAMESPACE), settings_with("dev", {}))
    wanted = {
        (source, name, port)
        for source in TIERS
        for name, end in ends.items()
        for port in end.ports.values()
        # There is one pod of each, and what it says to itself never leaves it.
        if source != name and (port, "TCP") in declared(connections, ends[source], end)
    }
    with rollout.api(deployment.sandbox) as api:
        client_policy.remove(api, NAMESPACE)
    deadline = time.monotonic() + SECONDS
    while FORBIDDEN & (found := opened(deployment, ends)):
        assert time.monotonic() < deadline, f"{FORBIDDEN & found} still get through"
    # What a pod says to itself never leaves it; where there are two, either may have been asked.
    assert {each for each in found if each[0] != each[1]} == wanted


def test_with_them_the_platform_is_as_ready_after_all_of_it_is_started_anew(
    policed: tuple[Deployment, set[tuple[str, str, int]]],
) -> None:
    deployment, _ = policed
    before = {name: deployment.pods(name) for name in (*TIERS, "postgresql", "redis")}
    deployment.kubectl("delete", "pods", "-n", NAMESPACE, "--all", "--wait=true")
    deployment.wait_until_ready()
    for name, uids in before.items():
        assert deployment.pods(name).isdisjoint(uids), name


def test_a_second_up_changes_nothing(
    policed: tuple[Deployment, set[tuple[str, str, int]]],
) -> None:
    deployment, _ = policed
    assert not deployment.engine().preview().touched
