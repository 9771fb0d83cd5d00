"""What a change of the settings changes in the cluster, and which pods it rolls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.deploy.outcome import Outcome
from sandbox.paths import Called, Sandbox
from tests.cluster.deployment import Deployment

WORKLOADS = (
    *("ado-api-gateway", "ado-dashboard", "ado-orchestrator", "ado-worker"),
    *("postgresql", "redis"),
)
THREE = {"ado:orchestrator": {"replicas": 3, "antiAffinity": "required"}}
"""What the stack is deployed with here; each change comes on top of those before it."""
NEW_TAG = {**THREE, "ado:gateway": {"image": {"tag": "0.2.0"}}}
NEW_VALUE = {**NEW_TAG, "ado:config": {"orchestration": {"maxParallelAgents": 7}}}


def touched(outcome: Outcome) -> dict[str, str]:
    """Logical name → operation of everything that was touched."""
    return {urn.split("::")[-1]: operation for urn, operation in outcome.touched.items()}


def rolled_by(
    deployment: Deployment, changes: Mapping[str, Any] | None = None
) -> tuple[Outcome, set[str]]:
    """What a change touches, and which workloads have none of their pods left after it."""
    before = {workload: deployment.pods(workload) for workload in WORKLOADS}
    outcome = deployment.up(changes)
    after = {workload: deployment.pods(workload) for workload in WORKLOADS}
    rolled = {w for w in WORKLOADS if after[w].isdisjoint(before[w])}
    assert all(after[w] == before[w] for w in WORKLOADS if w not in rolled)
    return outcome, rolled


def generated(deployment: Deployment) -> dict[str, Any]:
    """What follows from the generated secrets: the URLs and passwords of the stores."""
    objects = deployment.objects()
    return {
        name: objects["Secret", name]["data"] for name in ("ado-secrets", "postgresql", "redis")
    }


@pytest.fixture(scope="module")
def walked(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack with three orchestrators, each on a node of its own."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("changes"))
    deployment.up(THREE)
    return deployment


def test_a_new_tag_and_new_keys_roll_their_readers_alone(walked: Deployment) -> None:
    uid = walked.objects()["Secret", "ado-agent-credentials"]["metadata"]["uid"]
    for key in ("anthropicApiKey", "googleApiKey"):
        walked.give(f"ado:{key}", f"another {key}")
    outcome, rolled = rolled_by(walked, NEW_TAG)
    assert touched(outcome) == {
        "ado-gateway-workload-deployment": "update",
        "ado-configuration-agent-credentials": "update",
        "ado-worker-default-workload-deployment": "update",
    }
    assert rolled == {"ado-api-gateway", "ado-worker"}
    assert walked.objects()["Secret", "ado-agent-credentials"]["metadata"]["uid"] == uid


def test_without_the_mutable_flags_a_new_config_value_is_a_replacement(walked: Deployment) -> None:
    planned = walked.preview(NEW_VALUE, drop=("config",))
    assert planned.succeeded, planned.errors
    operations = touched(planned)
    assert "replace" in operations["ado-configuration-config"]
    # Its fixed name makes the engine delete it first, and with it whatever depends on it.
    assert "replace" in operations["ado-gateway-workload-deployment"]


def test_a_new_config_value_updates_in_place_and_rolls_its_readers(walked: Deployment) -> None:
    uid, secrets = walked.objects()["ConfigMap", "ado-config"]["metadata"]["uid"], generated(walked)
    outcome, rolled = rolled_by(walked, NEW_VALUE)
    assert touched(outcome) == {
        "ado-configuration-config": "update",
        "ado-gateway-workload-deployment": "update",
        "ado-orchestrator-workload-deployment": "update",
        "ado-worker-default-workload-deployment": "update",
    }
    assert rolled == {"ado-api-gateway", "ado-orchestrator", "ado-worker"}
    assert walked.objects()["ConfigMap", "ado-config"]["metadata"]["uid"] == uid
    assert generated(walked) == secrets
    # There was no fourth node for a fourth pod: one had to go first.
    assert len(set(walked.nodes_of("ado-orchestrator").values())) == 3


def _stores(deployment: Deployment) -> dict[tuple[str, str], Any]:
    """What the stores' pods are made from and read: a version that changes with each update."""
    found = deployment.objects()
    versions: dict[tuple[str, str], Any] = {}
    for store in ("postgresql", "redis"):
        for key in (("ConfigMap", f"{store}-config"), ("Secret", store)):
            versions[key] = found[key]["metadata"]["resourceVersion"]
        made = found["StatefulSet", store]["metadata"]
        versions["StatefulSet", store] = (made["uid"], made["generation"])
    return versions


def test_a_changed_volume_size_is_refused_with_the_steps_that_grow_it(walked: Deployment) -> None:
    before = _stores(walked)
    larger = {"volume": {"size": "2Gi"}}
    walked.write({"ado:postgres": larger, "ado:redis": larger})
    refused = walked.command("up")
    assert refused.returncode == 1
    for section, store in (("postgres", "postgresql"), ("redis", "redis")):
        assert f"ado:{section}.volume.size = 2Gi: the volumes of {store} have 1Gi" in refused.stderr
        assert f"patch pvc data-{store}-0" in refused.stderr
        assert f"delete statefulset {store} --cascade=orphan" in refused.stderr
    here = Called(walked.sandbox, "dev", walked.directory).command("up")
    assert f"instead of `pulumi refresh` and `pulumi up`, `{here}`" in refused.stderr
    for stray in ("Traceback", "Exception"):
        assert stray not in refused.stdout + refused.stderr
    assert _stores(walked) == before  # refused in the preview: nothing has reached a pod


CONNECT = "import asyncio, asyncpg, os; asyncio.run(asyncpg.connect(os.environ['DATABASE_URL']))"


def test_migrations_run_once_for_each_command_and_before_the_applications(
    walked: Deployment,
) -> None:
    first = {**NEW_VALUE, "ado:migrations": {"command": ["python3", "-c", CONNECT]}}
    created = touched(walked.up(first))
    (job,) = [name for name in created if re.fullmatch(r"ado-migrations-job-[0-9a-f]{10}", name)]
    policies = "ado-network-policies"
    assert created == {
        "ado-migrations": "create",
        "ado-migrations-job-account": "create",
        job: "create",
        # PostgreSQL lets it in.
        f"{policies}-migrations-netpol": "create",
        f"{policies}-postgresql-netpol": "update",
    }
    jobs = walked.jobs()
    assert set(walked.up(first).changes) == {"same"}
    assert walked.jobs() == jobs

    failing = {"command": ["python3", "-c", "raise SystemExit(3)"]}
    newer = {"ado:gateway": {"image": {"tag": "0.3.0"}}}
    pods = walked.pods("ado-api-gateway")
    walked.write({**NEW_VALUE, **newer, "ado:migrations": failing})
    failed = walked.engine().up()
    assert not failed.succeeded
    assert any("ado-migrations" in error for error in failed.errors), failed.errors
    assert walked.pods("ado-api-gateway") == pods
    assert jobs.items() < walked.jobs().items()
