"""From the first `up` over a killed sandbox to the last `destroy`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox.cluster import cluster as clusters
from sandbox.deploy import deployed
from sandbox.host import programs
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.interruptions import (
    LOG,
    WHOLE,
    assert_next_up_converges,
    assert_nothing_is_left_to_do,
    killed_up,
    moments,
)
from tests.cluster.test_platform_changes import generated


def _kept(deployment: Deployment) -> dict[tuple[str, str], str]:
    """The uids of everything but pods and what comes and goes with them."""
    return {key: manifest["metadata"]["uid"] for key, manifest in _lasting(deployment)}


def _said(deployment: Deployment) -> dict[tuple[str, str], dict[str, Any]]:
    """What each of these is to be; how many pods a Deployment has is its autoscaler's."""
    found = {}
    for key, manifest in _lasting(deployment):
        said = {part: manifest.get(part) for part in ("spec", "data", "roleRef", "rules")}
        if key[0] == "Deployment":
            said["spec"] = {**manifest["spec"], "replicas": None}
        found[key] = said
    return found


def _lasting(deployment: Deployment) -> list[tuple[tuple[str, str], Mapping[str, Any]]]:
    objects = deployment.objects().items()
    return [(key, manifest) for key, manifest in objects if key[0] not in {"Pod", "ReplicaSet"}]


def test_without_the_monitors_crd_nothing_is_made(undeployed: Deployment) -> None:
    crd = ["crd", "servicemonitors.monitoring.coreos.com"]
    manifest = json.loads(undeployed.kubectl("get", *crd, "-o", "json"))
    undeployed.kubectl("delete", *crd)
    try:
        refused = undeployed.engine().up()
        assert not refused.succeeded
        told = "\n".join(refused.errors)
        assert "servicemonitors.monitoring.coreos.com" in told
        assert "ado:monitoring.serviceMonitor" in told
        assert not [r for r in undeployed.state().resources if r["type"].startswith("kuber")]
    finally:
        kept = {key: manifest["metadata"][key] for key in ("name", "annotations")}
        crd_alone = {**manifest, "metadata": kept}
        undeployed.kubectl("create", "-f", "-", given=json.dumps(crd_alone))


def test_production_from_its_first_up_to_its_destroy(
    undeployed: Deployment, tmp_path: Path
) -> None:
    production = replace(undeployed, stack="prod")
    production.write()
    # Its first `up` is killed, at another moment in each run.
    expected = {each.key: each.manifest for each in production.planned().objects}
    assert killed_up(production, expected, moments().uniform(0, WHOLE))
    assert "The sandbox puts in secrets of its own" in (tmp_path / LOG).read_text()
    assert_next_up_converges(production, expected)
    tiers = [tier for tier in production.wait_until_ready() if tier.kind != "Job"]
    assert {(tier.name, tier.ready) for tier in tiers} == {
        ("ado-api-gateway", 2),
        ("ado-dashboard", 2),
        ("ado-orchestrator", 2),
        ("ado-worker", 3),
        ("postgresql", 2),
        ("redis", 3),
    }
    for workload in ("ado-orchestrator", "postgresql", "redis"):
        nodes = list(production.nodes_of(workload).values())
        assert len(set(nodes)) == len(nodes), f"{workload} shares a host: {nodes}"

    # As an autoscaler does it.
    workers = ("deployment/ado-worker", "-n", NAMESPACE)
    production.kubectl("scale", *workers, "--replicas=4")
    production.kubectl("rollout", "status", *workers, "--timeout=2m")
    assert_nothing_is_left_to_do(production)

    before = _kept(production)
    refused = production.command("destroy")
    assert refused.returncode == 1
    assert "pulumi config set ado:protectData false" in refused.stderr
    assert "pulumi config rm profile" in refused.stderr
    assert _kept(production) == before

    production.write({"ado:protectData": False, "ado:profile": "development"})
    lifted = production.command("up")
    assert "Nothing to change" in lifted.stdout
    gone = production.command("destroy")
    assert gone.returncode == 0, gone.stderr
    assert production.objects() == {}
    assert not production.state().resources


def test_a_killed_sandbox_is_repaired_with_everything_deployed(deployment: Deployment) -> None:
    before, said, secrets = _kept(deployment), _said(deployment), generated(deployment)
    supervisor = programs.supervisor_pid(deployment.sandbox)
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    clusters.up(deployment.sandbox, None, Console())
    deployment.wait_until_ready()
    # What is not Ready at the moment when the engine looks, as a pod whose probe was late, it waits
    # for anew, and calls that an update.
    assert set(deployment.up().touched.values()) <= {"update"}
    assert generated(deployment) == secrets
    assert _kept(deployment) == before
    assert _said(deployment) == said


def test_what_was_deleted_by_hand_is_missed_and_made_anew(deployment: Deployment) -> None:
    deployment.kubectl("delete", "deployment", "ado-dashboard", "-n", NAMESPACE)
    status = deployment.command("status")
    assert status.returncode == 3
    assert "Missing: ado-dashboard" in status.stdout
    assert deployment.command("up").returncode == 0
    assert deployment.command("status").returncode == 0

    # Its controller looks again after half of the longest grace period of the pods it finds.
    workloads = ["deployments,statefulsets", "--all", "--cascade=foreground"]
    deployment.kubectl("delete", *workloads, "-n", NAMESPACE)
    deployment.kubectl("delete", "namespace", NAMESPACE)
    again = deployment.command("up")
    assert again.returncode == 0, again.stdout + again.stderr
    assert deployment.command("status").returncode == 0

    (state,) = deployed.states(deployment.sandbox, "dev")
    written = state.stat().st_mtime_ns
    assert "Nothing to change" in deployment.command("up").stdout
    assert state.stat().st_mtime_ns == written  # it was only planned
