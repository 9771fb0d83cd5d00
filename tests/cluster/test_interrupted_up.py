"""An `up` that is interrupted says by what, and the next one goes on from there."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Generator
from contextlib import contextmanager
from unittest import mock

import pytest

from sandbox.cluster import kubectl
from sandbox.deploy.mishaps import GOES_ON
from sandbox.paths import Sandbox
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.interruptions import (
    LOOKS,
    assert_next_up_converges,
    assert_nothing_is_left_to_do,
    started_up,
    survive,
    until_begun,
    written,
)
from tests.cluster.life import until

INGRESS = ("Ingress", "ado-ingress")
CLOSED = "the dashboard is closed today"


@pytest.fixture(scope="module")
def platform(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack, deployed; each test changes it."""
    deployed = Deployment(cluster, tmp_path_factory.mktemp("interrupted"))
    deployed.reset()
    return deployed


def test_a_provider_that_is_killed_is_told_and_the_next_up_goes_on(platform: Deployment) -> None:
    expected = written(platform)
    with started_up(platform) as up:
        until_begun(platform, expected, up)
        for pid in up.processes("pulumi-resource-kubernetes"):
            os.kill(pid, signal.SIGKILL)
        code, told = up.ended()
    assert code == 1, told
    assert "pulumi-resource-kubernetes ended in the middle of its work" in told
    assert GOES_ON in told
    assert not [words for words in ("Traceback", "urn:", "connection error") if words in told]
    assert_next_up_converges(platform, expected)
    assert_nothing_is_left_to_do(platform)


def test_a_refused_object_is_named_with_the_reason_and_made_once_it_is_admitted(
    platform: Deployment,
) -> None:
    expected = written(platform)
    with closed_dashboard(platform):
        refused = platform.command("up")
    assert refused.returncode == 1, refused.stdout
    line = next(line for line in refused.stderr.splitlines() if CLOSED in line)
    assert "ado-dashboard" in line
    assert not [words for words in ("Traceback", "urn:") if words in refused.stderr]
    assert_next_up_converges(platform, expected)
    assert_nothing_is_left_to_do(platform)


def test_an_up_killed_at_four_moments_is_finished_by_the_next(platform: Deployment) -> None:
    survive(platform, 4)  # a fifth one is production's first


def test_what_a_killed_up_has_written_gives_way_to_force(platform: Deployment) -> None:
    """What it made and could not note is the next one's too, but the former's as well."""
    platform.write()
    with written_by_a_killed_up(platform):
        platform.write({"ado:edge": {"host": "other.example"}})
        refused = platform.command("up")
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
        assert "ado-ingress" in refused.stderr
        (remedy,) = re.findall(r"`(\w+)=(\w+) \S+ -m sandbox up --stack dev", refused.stderr)
        with mock.patch.dict(os.environ, [remedy]):
            forced = platform.command("up")
        assert forced.returncode == 0, forced.stderr
        assert "other.example" in platform.kubectl("get", "ingress", "-n", NAMESPACE)


@contextmanager
def written_by_a_killed_up(deployment: Deployment) -> Generator[None]:
    """The Ingress as planned has a former manager too."""
    (made,) = (each for each in deployment.planned().objects if each.key == INGRESS)
    manager = "--field-manager=pulumi-kubernetes-00000000"
    apply = ("apply", "--server-side", "--force-conflicts", manager, "-f", "-")
    deployment.kubectl(*apply, given=json.dumps(made.manifest))
    try:
        yield
    finally:
        metadata = {"name": INGRESS[1], "namespace": NAMESPACE}
        nothing = {**made.manifest, "spec": {}, "metadata": metadata}
        deployment.kubectl(*apply, given=json.dumps(nothing))


@contextmanager
def closed_dashboard(deployment: Deployment) -> Generator[None]:
    """Admission forbids the dashboard's Deployment."""
    name, api = "test-closes-the-dashboard", "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
    rule["operations"] = ["CREATE", "UPDATE"]
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [
            {"name": "dashboard", "expression": "object.metadata.name == 'ado-dashboard'"}
        ],
        "validations": [{"expression": "false", "message": CLOSED, "reason": "Forbidden"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    items = [
        {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for kind, spec in (
            ("ValidatingAdmissionPolicy", policy),
            ("ValidatingAdmissionPolicyBinding", binding),
        )
    ]
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    deployment.kubectl("create", "-f", "-", given=listing)

    def closed() -> bool:
        label = ("label", "deployment/ado-dashboard", "-n", NAMESPACE, "looked=yes")
        return CLOSED in kubectl.attempt(deployment.sandbox, *label, "--dry-run=server").stderr

    try:
        until("admission knows the policy", closed, pause=LOOKS)
        yield
    finally:
        deployment.kubectl("delete", "-f", "-", given=listing)
