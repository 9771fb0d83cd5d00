"""`ado-ops status` and `picture` with a plain kubeconfig and the rights of one namespace."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.cluster import operators
from tests.cluster.deployment import NAMESPACE, Deployment

NAME = "test-eyes"
WORKLOADS = {
    *("ado-api-gateway", "ado-dashboard", "ado-orchestrator", "ado-worker"),
    *("postgresql", "redis"),
}


@pytest.fixture
def kubeconfig(deployment: Deployment, tmp_path: Path) -> Iterator[Path]:
    """Of somebody who may do nothing."""
    with operators.operator(deployment, tmp_path, NAME) as file:
        yield file


def _shown(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_with_the_printed_role_all_of_the_platform_is_seen(
    deployment: Deployment, kubeconfig: Path
) -> None:
    role = deployment.ops("role").stdout
    with operators.allowed(deployment, NAME, role):
        done = deployment.ops("status", kubeconfig=kubeconfig)
        shown = _shown(done)
        assert "Warning" not in done.stderr
        assert "Not looked at" not in shown
        for workload in WORKLOADS:
            assert workload in shown
        assert deployment.ops("status", "--check", kubeconfig=kubeconfig).stdout == ""

        told = json.loads(_shown(deployment.ops("status", "--json", kubeconfig=kubeconfig)))
        assert told["ready"] is True
        assert (told["unseen"], told["orphans"]) == ([], [])
        tiers = {tier["name"]: tier for tier in told["tiers"] if tier["kind"] != "Job"}
        assert set(tiers) == WORKLOADS
        assert tiers["redis"]["version"].startswith("8.")  # what the server says itself
        assert [monitor["name"] for monitor in told["monitors"]] == ["ado-metrics"]

        for store in ("postgres", "redis"):
            of_store = deployment.ops(store, "status", "--json", kubeconfig=kubeconfig)
            pods = json.loads(_shown(of_store))["pods"]
            assert all(pod["ready"] for pod in pods)
            assert len(pods) > 1

        assert "Drawn: platform.svg" in _shown(deployment.ops("picture", kubeconfig=kubeconfig))
        drawn = (deployment.directory / "platform.svg").read_text()
        assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - our own
        assert "ado-orchestrator" in drawn


def test_with_less_the_rest_is_shown_and_what_is_not_is_named(
    deployment: Deployment, kubeconfig: Path
) -> None:
    nothing = deployment.ops("status", kubeconfig=kubeconfig)
    assert nothing.returncode == 3
    assert "you may not get configmaps" in nothing.stderr
    assert "Whether all of it is Ready cannot be told" in nothing.stdout
    refused = deployment.ops("picture", kubeconfig=kubeconfig)
    assert refused.returncode == 1
    assert "There is nothing to draw" in refused.stderr

    role = yaml.safe_load(deployment.ops("role").stdout)
    hidden = {"ingresses", "pods/exec", "servicemonitors", "horizontalpodautoscalers"}
    role["rules"] = [each for each in role["rules"] if not hidden & {*each["resources"]}]
    with operators.allowed(deployment, NAME, yaml.safe_dump(role)):
        shown = _shown(deployment.ops("status", kubeconfig=kubeconfig))
        assert "ado-orchestrator" in shown
        assert (
            "you may not read it: autoscalers, Ingresses, ServiceMonitors, the versions that "
            "really run" in shown
        )
        drawn = _shown(deployment.ops("picture", kubeconfig=kubeconfig))
        assert "Not looked at" in drawn


def test_a_missing_workload_and_another_stack_are_told(deployment: Deployment) -> None:
    deployment.kubectl("delete", "deployment", "ado-dashboard", "-n", NAMESPACE)
    try:
        check = deployment.ops("status", "--check")
        assert check.returncode == 1
        assert "Service ado-dashboard leads to no workload" in check.stdout
    finally:
        deployment.up()

    (deployment.directory / "Pulumi.prod.yaml").write_text("config: {}\n")
    other = Deployment(deployment.sandbox, deployment.directory, "prod")
    for typed in (("status", "--check"), ("picture",), ("postgres", "status"), ("redis", "heal")):
        refused = other.ops(*typed)
        assert refused.returncode == 1
        assert "is stack dev of project ado, not prod of ado" in refused.stderr
        assert len(refused.stderr.splitlines()) == 2  # where it is, and that
