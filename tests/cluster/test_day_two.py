"""What an operator does on the second day: pause, see what has drifted, drain a node."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from sandbox.cluster import object_storage
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import Pair, pod
from tests.cluster.reliability import record

AS_DEPLOYED: dict[str, Any] = {
    "ado:objectStorage": {
        "endpoint": object_storage.ENDPOINT,
        "region": object_storage.REGION,
    },
    **{
        f"ado:{key}": {"secure": "v1:of:another"}
        for key in (
            *("anthropicApiKey", "googleApiKey"),
            *("objectStorageAccessKey", "objectStorageSecretKey"),
        )
    },
}
"""What the sandbox deploys beside, or in the place of, what the stack says."""
WRITERS = {"ado-api-gateway", "ado-orchestrator", "ado-worker"}
LONGEST_OUTAGE = 60.0
"""Seconds that a writer may wait while the primary moves."""


def _did(deployment: Deployment, *typed: str) -> str:
    done = deployment.ops(*typed)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _wanted(deployment: Deployment) -> dict[str, int]:
    """Deployment → how many pods it is to have."""
    found = deployment.objects().items()
    return {name: m["spec"]["replicas"] for (kind, name), m in found if kind == "Deployment"}


def _drift(deployment: Deployment) -> dict[str, list[str]]:
    """What `drift` finds, by its kind of finding."""
    deployment.write(AS_DEPLOYED)
    done = deployment.ops("drift", "--json")
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found.pop("objects") > 30
    named = {
        kind: [" ".join(filter(None, (e["name"], e.get("path"), e.get("found")))) for e in each]
        for kind, each in found.items()
    }
    assert done.returncode == (3 if any(named.values()) else 0)
    return named


NONE: dict[str, list[str]] = {"missing": [], "changed": [], "extra": []}


def test_a_pause_leaves_no_writer_and_resume_brings_back_as_many_of_each(
    deployment: Deployment,
) -> None:
    deployment.kubectl("scale", "deployment/ado-worker", "-n", NAMESPACE, "--replicas=3")
    deployment.wait_until_ready()
    before = _wanted(deployment)
    try:
        with deployment.started_ops("pause") as cut:
            assert cut.stdout
            while "stopping ado-worker" not in cut.stdout.readline():
                assert cut.poll() is None
            cut.send_signal(signal.SIGKILL)
        assert "Paused" in _did(deployment, "pause")
        assert {name for name, pods in _wanted(deployment).items() if pods == 0} == WRITERS
        for name in WRITERS:
            assert deployment.pods(name) == set()
        found = _drift(deployment)["changed"]
        assert {line.partition(" ")[0] for line in found} == WRITERS
        assert all("paused, `resume`" in line for line in found)
    finally:
        started = _did(deployment, "resume")
    assert all(name in started for name in WRITERS)
    assert _wanted(deployment) == before
    deployment.wait_until_ready()
    assert _drift(deployment) == NONE
    assert set(deployment.up().changes) == {"same"}


def test_nothing_has_drifted_after_an_up_and_what_is_changed_by_hand_is_named(
    deployment: Deployment,
) -> None:
    assert _drift(deployment) == NONE
    budget = ("pdb", "ado-dashboard-pdb", "-n", NAMESPACE)
    most = deployment.objects()["HorizontalPodAutoscaler", "ado-worker-hpa"]["spec"]["maxReplicas"]
    labels = ("app.kubernetes.io/instance=ado", "app.kubernetes.io/managed-by=pulumi")
    deployment.kubectl("delete", *budget)
    _allow_workers(deployment, 97)
    deployment.kubectl("create", "configmap", "by-hand", "-n", NAMESPACE)
    deployment.kubectl("label", "configmap", "by-hand", "-n", NAMESPACE, *labels)
    try:
        assert _drift(deployment) == {
            "missing": ["ado-dashboard-pdb"],
            "changed": ["ado-worker-hpa spec.maxReplicas 97"],
            "extra": ["by-hand"],
        }
        told = deployment.ops("drift")
        assert told.returncode == 3
        assert "- missing: PodDisruptionBudget ado-dashboard-pdb" in told.stdout
    finally:
        deployment.kubectl("delete", "configmap", "by-hand", "-n", NAMESPACE)
        # By who has changed it: of anybody else the API server calls that a conflict.
        _allow_workers(deployment, most)
    mended = deployment.command("up")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert _drift(deployment) == NONE


def _allow_workers(deployment: Deployment, most: int) -> None:
    patch = ("--type=merge", "--patch", json.dumps({"spec": {"maxReplicas": most}}))
    deployment.kubectl("patch", "hpa", "ado-worker-hpa", "-n", NAMESPACE, *patch)


@pytest.fixture
def primarys_node(pair: Pair) -> str:
    """Where the primary is, and not the pod beside which the writer runs."""
    deployment = pair.deployment
    writer = set(deployment.nodes_of("ado-dashboard").values())
    if deployment.nodes_of("postgresql")[pod(pair.primary)] in writer:
        pair.fail_over()
    node = deployment.nodes_of("postgresql")[pod(pair.primary)]
    assert node not in writer
    return node


def _pods_on(deployment: Deployment, node: str) -> list[str]:
    """The platform's pods there that have not ended."""
    return [
        name
        for (kind, name), manifest in deployment.objects().items()
        if kind == "Pod"
        and manifest["spec"].get("nodeName") == node
        and manifest["status"]["phase"] not in {"Succeeded", "Failed"}
    ]


def test_a_drained_node_hands_over_under_a_writer_and_gets_its_pods_back(
    pair: Pair, primarys_node: str
) -> None:
    deployment, former, node = pair.deployment, pair.primary, primarys_node
    planned = _did(deployment, "drain", node, "--dry-run")
    assert f"make {pod(1 - former)} the primary in the place of {pod(former)}" in planned
    assert pair.primary == former
    try:
        done = _drained_under_a_writer(pair, node)
        assert "other namespaces were not touched" in done
        assert _pods_on(deployment, node) == []
        assert pair.primary == 1 - former
    finally:
        _did(deployment, "drain", node, "--undo")
    pair.healthy()
    assert pair.primary == 1 - former  # nobody moved it back
    assert _drift(deployment) == NONE


def _drained_under_a_writer(pair: Pair, node: str) -> str:
    """What the second of two drains has said, of which the first was killed half-way."""
    with pair.writer() as told:
        with pair.deployment.started_ops("drain", node) as cut:
            assert cut.stdout
            assert cut.stderr
            while f"{node} is cordoned" not in cut.stdout.readline():
                assert cut.poll() is None, cut.stderr.read()
            cut.send_signal(signal.SIGKILL)
        done = _did(pair.deployment, "drain", node)
        told.goes_on()
    lost = pair.lost(told)
    record(
        "PostgreSQL: its node drained under a writer",
        rto_seconds=told.longest_gap,
        rows_acknowledged=len(told.rows),
        rows_lost=len(lost),
    )
    assert lost == set()
    assert told.longest_gap < LONGEST_OUTAGE
    return done
