"""PostgreSQL, Redis and who depends on them, as they run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from sandbox.cluster import cluster as clusters
from sandbox.cluster import node
from sandbox.host import cgroups, programs
from sandbox.paths import Sandbox
from tests.cluster.data import database_password, query, redis, redis_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import Pair
from tests.cluster.reliability import record
from tests.cluster.writing import patiently

DEADLINE = 120.0
"""Seconds for what the cluster does by itself after a fault."""
READ_PAGES = """
import json, socket, sys, urllib.request
for host, port in json.load(sys.stdin):
    for address in sorted({a[4][0] for a in socket.getaddrinfo(host, port)}):
        with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=10) as answer:
            print(host, address, answer.status, b"ado_standin_info" in answer.read())
"""


@pytest.fixture
def row(deployment: Deployment) -> Iterator[str]:
    """A row in a table `kept`, and a key of the same name in Redis."""
    assert "CREATE" in query(
        deployment,
        database_password(deployment),
        "DROP TABLE IF EXISTS kept; CREATE TABLE kept (value text)",
    )
    assert "INSERT" in query(
        deployment, database_password(deployment), "INSERT INTO kept VALUES ('kept-row')"
    )
    assert redis(deployment, redis_password(deployment), "set kept-row here") == "OK"
    yield "kept-row"
    query(deployment, database_password(deployment), "DROP TABLE kept")


def _assert_kept(deployment: Deployment, row: str) -> None:
    """Both stores are whole and have what was written; within the deadline after a fault."""

    def check() -> None:
        for host in ("postgresql", "postgresql-ro"):
            found = query(deployment, database_password(deployment), "SELECT * FROM kept", host)
            assert row in found, f"{host}: {found}"
        for ordinal in range(3):
            host = f"redis-{ordinal}.redis-headless"
            state = redis(deployment, redis_password(deployment), "cluster info", host)
            assert "cluster_state:ok" in state, f"{host}: {state}"
            assert "cluster_slots_ok:16384" in state, f"{host}: {state}"
            assert "cluster_known_nodes:3" in state, f"{host}: {state}"
        assert redis(deployment, redis_password(deployment), f"get {row}") == "here"

    patiently(check, DEADLINE)


def test_a_row_is_written_to_the_primary_and_read_from_the_replica(
    deployment: Deployment, row: str
) -> None:
    _assert_kept(deployment, row)


def test_a_write_to_the_replica_is_refused(deployment: Deployment, row: str) -> None:
    assert row
    refused = query(
        deployment, database_password(deployment), "DELETE FROM kept", host="postgresql-ro"
    )
    assert "read-only transaction" in refused


def test_a_wrong_or_missing_password_is_refused(deployment: Deployment) -> None:
    assert "password authentication failed" in query(deployment, "wrong")
    assert "NOAUTH" in deployment.shell("redis-cli -h redis get x", "redis-0")
    superuser = deployment.shell("psql --host postgresql --username postgres", "postgresql-1")
    assert "pg_hba.conf rejects connection" in superuser


def test_keys_of_every_slot_are_read_through_every_node(deployment: Deployment) -> None:
    password = redis_password(deployment)
    # Their hash tags fall into the first, second and last third of the slots.
    tags = ("{b}", "{c}", "{a}")
    for number, tag in enumerate(tags):
        written = f"redis-{number}.redis-headless"
        assert redis(deployment, password, f"set {tag} value-{number}", written) == "OK"
        for reader in range(3):
            host = f"redis-{reader}.redis-headless"
            assert redis(deployment, password, f"get {tag}", host) == f"value-{number}"
    slots = {redis(deployment, password, f"cluster keyslot {tag}") for tag in tags}
    assert len({int(slot) * 3 // 16384 for slot in slots}) == 3


def test_the_orchestrators_name_resolves_to_its_pods(deployment: Deployment) -> None:
    lookup = (
        "import socket; "
        "print(sorted({a[4][0] for a in socket.getaddrinfo('ado-orchestrator', 3000)}))"
    )
    pods = json.loads(
        deployment.kubectl(
            *("get", "pods", "-n", NAMESPACE, "-l", "app=ado-orchestrator", "-o", "json")
        )
    )
    addresses = sorted(pod["status"]["podIP"] for pod in pods["items"])
    assert deployment.inside(lookup).strip() == str(addresses)


def test_every_target_of_the_service_monitor_serves_metrics(deployment: Deployment) -> None:
    services = [
        manifest["metadata"]["name"]
        for (kind, _), manifest in deployment.objects().items()
        if kind == "Service"
        and any(port["name"] == "metrics" for port in manifest["spec"]["ports"])
    ]
    assert sorted(services) == [
        "ado-api-gateway",
        "ado-dashboard",
        "ado-orchestrator",
        "ado-worker",
    ]
    targets = json.dumps([(service, 9090) for service in services])
    printed = deployment.inside(READ_PAGES, given=targets)
    seen = [line.split() for line in printed.splitlines()]
    assert {line[0] for line in seen} == set(services)
    assert {(line[2], line[3]) for line in seen} == {("200", "True")}


def test_workers_reach_what_they_are_told_of(deployment: Deployment) -> None:
    read = (
        "import json, urllib.request as u; "
        "page = u.Request('http://127.0.0.1:9090/', headers={'Accept': 'application/json'}); "
        "print(json.dumps(json.load(u.urlopen(page, timeout=10))['dependencies']))"
    )
    seen = {
        workload: {each["name"] for each in json.loads(deployment.inside(read, workload))}
        for workload in ("ado-api-gateway", "ado-orchestrator", "ado-worker")
    }
    assert seen == {
        "ado-api-gateway": {"postgresql", "redis", "config"},
        "ado-orchestrator": {"postgresql", "redis", "config", "object storage"},
        "ado-worker": {"redis", "config", "object storage", "controller", "credentials"},
    }


def test_all_pods_deleted_at_once_come_back_with_their_data(
    deployment: Deployment, row: str
) -> None:
    deployment.kubectl("delete", "pods", "--all", "-n", NAMESPACE)
    deployment.wait_until_ready()
    _assert_kept(deployment, row)


def test_a_node_lost_and_brought_back_brings_back_its_pods_and_data(
    deployment: Deployment, row: str, cluster: Sandbox
) -> None:
    lost = deployment.nodes_of("postgresql")["postgresql-0"]
    listed = programs.read_list(cluster)
    programs.apply(cluster, [p for p in listed if not p.name.startswith(f"{lost}-")])
    cgroups.kill(node.cgroup(cluster, lost))
    deployment.kubectl(
        *("wait", "--for=condition=Ready=Unknown", f"node/{lost}", f"--timeout={DEADLINE:.0f}s")
    )
    refused = query(deployment, database_password(deployment), "SELECT 1")
    assert "1 row" not in refused
    clusters.up(cluster, None, Console())
    deployment.wait_until_ready()
    _assert_kept(deployment, row)


def test_a_drained_node_ends_its_pods_and_gets_them_back_the_primarys_and_its_replicas(
    deployment: Deployment, row: str
) -> None:
    took = []
    for name in deployment.nodes_of("postgresql").values():
        began = time.monotonic()
        flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=300s")
        deployment.kubectl("drain", name, *flags)
        took.append(time.monotonic() - began)
        deployment.kubectl("uncordon", name)
        Pair(deployment).healthy()
        _assert_kept(deployment, row)
    record("Nodes drained one after the other", nodes=len(took), longest_seconds=max(took))
