"""What a change of the settings changes in the cluster, and which pods it rolls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.outcome import Outcome
from tests.cluster.data import AWKWARD, database_password, query, redis, redis_password
from tests.cluster.deployment import Deployment

WORKLOADS = (
    *("ado-api-gateway", "ado-dashboard", "ado-orchestrator", "ado-worker"),
    *("postgresql", "redis"),
)
NEW_TAG = {"ado:gateway": {"image": {"tag": "0.2.0"}}}
NEW_VALUE = {"ado:config": {"orchestration": {"maxParallelAgents": 7}}}


def _touched(outcome: Outcome) -> dict[str, str]:
    """Logical name → operation of everything that was touched."""
    return {urn.split("::")[-1]: operation for urn, operation in outcome.touched.items()}


def _rolled(
    deployment: Deployment, changes: Mapping[str, Any] | None = None
) -> tuple[Outcome, set[str]]:
    """What a change touches, and which workloads have none of their pods left after it."""
    before = {workload: deployment.pods(workload) for workload in WORKLOADS}
    outcome = deployment.up(changes)
    after = {workload: deployment.pods(workload) for workload in WORKLOADS}
    rolled = {w for w in WORKLOADS if after[w].isdisjoint(before[w])}
    assert all(after[w] == before[w] for w in WORKLOADS if w not in rolled)
    return outcome, rolled


def test_a_new_tag_updates_one_deployment_and_rolls_its_pods(deployment: Deployment) -> None:
    outcome, rolled = _rolled(deployment, NEW_TAG)
    assert _touched(outcome) == {"ado-gateway-workload-deployment": "update"}
    assert rolled == {"ado-api-gateway"}


def test_a_new_config_value_updates_in_place_and_rolls_its_readers(deployment: Deployment) -> None:
    uid = deployment.objects()[("ConfigMap", "ado-config")]["metadata"]["uid"]
    outcome, rolled = _rolled(deployment, NEW_VALUE)
    assert _touched(outcome) == {
        "ado-configuration-config": "update",
        "ado-gateway-workload-deployment": "update",
        "ado-orchestrator-workload-deployment": "update",
        "ado-worker-default-workload-deployment": "update",
    }
    assert rolled == {"ado-api-gateway", "ado-orchestrator", "ado-worker"}
    assert deployment.objects()[("ConfigMap", "ado-config")]["metadata"]["uid"] == uid


def test_without_the_mutable_flags_the_same_change_is_a_replacement(deployment: Deployment) -> None:
    planned = deployment.preview(NEW_VALUE, drop=("config",))
    assert planned.succeeded, planned.errors
    operations = _touched(planned)
    assert "replace" in operations["ado-configuration-config"]
    # Its fixed name makes the engine delete it first, and with it whatever depends on it.
    assert "replace" in operations["ado-gateway-workload-deployment"]


@pytest.mark.parametrize("key", ["anthropicApiKey", "googleApiKey"])
def test_a_new_key_updates_its_secret_in_place_and_rolls_the_workers(
    deployment: Deployment, key: str
) -> None:
    uid = deployment.objects()[("Secret", "ado-agent-credentials")]["metadata"]["uid"]
    deployment.give(f"ado:{key}", "another value")
    outcome, rolled = _rolled(deployment)
    assert _touched(outcome) == {
        "ado-configuration-agent-credentials": "update",
        "ado-worker-default-workload-deployment": "update",
    }
    assert rolled == {"ado-worker"}
    assert deployment.objects()[("Secret", "ado-agent-credentials")]["metadata"]["uid"] == uid


def test_a_new_database_password_rolls_its_readers_and_the_old_one_is_refused(
    deployment: Deployment,
) -> None:
    old = database_password(deployment)
    assert "1 row" in query(deployment, old)
    deployment.give("ado:databasePassword", AWKWARD)
    outcome, rolled = _rolled(deployment)
    assert _touched(outcome) == {
        "ado-stores-postgres-passwords": "update",
        "ado-stores-postgres-workload-statefulset": "update",
        "ado-stores-connections-urls": "update",
        "ado-gateway-workload-deployment": "update",
        "ado-orchestrator-workload-deployment": "update",
    }
    assert rolled == {"postgresql", "ado-api-gateway", "ado-orchestrator"}
    assert "1 row" in query(deployment, AWKWARD)
    assert "password authentication failed" in query(deployment, old)


def test_a_new_redis_password_rolls_its_readers_and_the_old_one_is_refused(
    deployment: Deployment,
) -> None:
    old = redis_password(deployment)
    assert redis(deployment, old, "ping") == "PONG"
    deployment.give("ado:redisPassword", AWKWARD)
    outcome, rolled = _rolled(deployment)
    assert _touched(outcome) == {
        "ado-stores-redis-password": "update",
        "ado-stores-redis-workload-statefulset": "update",
        "ado-stores-connections-urls": "update",
        "ado-gateway-workload-deployment": "update",
        "ado-orchestrator-workload-deployment": "update",
        "ado-worker-default-workload-deployment": "update",
    }
    assert rolled == {"redis", "ado-api-gateway", "ado-orchestrator", "ado-worker"}
    assert redis(deployment, AWKWARD, "ping") == "PONG"
    assert "WRONGPASS" in redis(deployment, old, "ping")


def test_three_orchestrators_of_required_anti_affinity_roll_on_three_nodes(
    deployment: Deployment,
) -> None:
    three = {"replicas": 3, "antiAffinity": "required"}
    deployment.up({"ado:orchestrator": three})
    assert len(set(deployment.nodes_of("ado-orchestrator").values())) == 3
    _, rolled = _rolled(deployment, {"ado:orchestrator": {**three, "image": {"tag": "0.2.0"}}})
    assert rolled == {"ado-orchestrator"}
    assert len(set(deployment.nodes_of("ado-orchestrator").values())) == 3


def test_a_lower_number_of_connections_does_not_stop_the_standby(deployment: Deployment) -> None:
    deployment.up({"ado:postgres": {"maxConnections": 120}})
    _, rolled = _rolled(deployment)
    assert rolled == {"postgresql"}
    password = database_password(deployment)
    assert " 100" in query(deployment, password, "SHOW max_connections")
    assert "1 row" in query(deployment, password, "SELECT 1", "postgresql-ro")


def test_a_changed_volume_size_is_refused_with_the_steps_that_grow_it(
    deployment: Deployment,
) -> None:
    before = deployment.objects()[("StatefulSet", "postgresql")]["metadata"]["uid"]
    larger = {"volume": {"size": "2Gi"}}
    deployment.write({"ado:postgres": larger, "ado:redis": larger})
    refused = deployment.command("up")
    assert refused.returncode == 1
    for room, store in (("postgres", "postgresql"), ("redis", "redis")):
        assert f"ado:{room}.volume.size = 2Gi: the volumes of {store} have 1Gi" in refused.stderr
        assert f"patch pvc data-{store}-0" in refused.stderr
        assert f"delete statefulset {store} --cascade=orphan" in refused.stderr
    assert "instead of `pulumi refresh` and `pulumi up`, `make up STACK=dev`" in refused.stderr
    for stray in ("Traceback", "Exception"):
        assert stray not in refused.stdout + refused.stderr
    assert deployment.objects()[("StatefulSet", "postgresql")]["metadata"]["uid"] == before


CONNECT = "import asyncio, asyncpg, os; asyncio.run(asyncpg.connect(os.environ['DATABASE_URL']))"


def test_migrations_run_once_for_each_command_and_before_the_applications(
    deployment: Deployment,
) -> None:
    first = {"ado:migrations": {"command": ["python3", "-c", CONNECT]}}
    created = _touched(deployment.up(first))
    (job,) = [name for name in created if name.startswith("ado-migrations-job-")]
    assert created == {"ado-migrations": "create", job: "create"}
    jobs = deployment.jobs()
    assert set(deployment.up(first).changes) == {"same"}
    assert deployment.jobs() == jobs

    broken = {"ado:migrations": {"command": ["python3", "-c", "raise SystemExit(3)"]}}
    pods = deployment.pods("ado-api-gateway")
    deployment.write({**broken, **NEW_TAG})
    failed = deployment.engine().up()
    assert not failed.succeeded
    assert any("ado-migrations" in error for error in failed.errors), failed.errors
    assert deployment.pods("ado-api-gateway") == pods
    assert jobs.items() < deployment.jobs().items()
