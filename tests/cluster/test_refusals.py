"""Mistakes through the real engine: a short message, exit code 1, and nothing registered."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.cluster.deployment import Deployment
from tests.support.recording import ROOT

SEVERAL: dict[str, Any] = {
    "ado:gatway": {},
    "ado:gateway": {"scaling": {"minReplicas": "3"}, "image": {"tag": "latest"}},
    "ado:dashboard": {"replicas": -1},
    "ado:edge": {"controller": "haproxy"},
    "ado:workerPools": {"Big_One": {"image": {"tag": "0.1.0"}}},
    "ado:objectStorage": {"buckets": {"artifacts": "no bucket"}},
}


def test_wrong_settings_are_all_named_and_nothing_is_registered(deployment: Deployment) -> None:
    deployment.write(SEVERAL)
    refused = deployment.command("up")
    assert refused.returncode == 1
    parts = ("ado:gatway", 'minReplicas = "3"', "'latest'", "ado:dashboard.replicas = -1")
    of_later_rooms = ("ado:edge.controller", "ado:workerPools.Big_One", "buckets.artifacts")
    for part in parts + of_later_rooms:
        assert part in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    planned = deployment.engine().preview()
    assert not planned.succeeded
    assert set(planned.touched) <= {urn for urn in planned.touched if "pulumi:Stack" in urn}


def test_a_secret_in_plain_text_is_refused_without_being_shown(deployment: Deployment) -> None:
    deployment.write({"ado:googleApiKey": "canary-in-plain-text"})
    refused = deployment.command("up")
    assert refused.returncode == 1
    assert "pulumi config set --secret ado:googleApiKey" in refused.stderr
    assert "canary-in-plain-text" not in refused.stdout + refused.stderr


def test_an_encrypted_value_inside_a_room_is_refused(deployment: Deployment) -> None:
    deployment.write({"ado:gateway": {"apiKey": {"secure": "v1:of:another:stack"}}})
    refused = deployment.command("up")
    assert refused.returncode == 1
    assert "ado:gateway holds an encrypted value" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_stack_that_names_another_cluster_still_goes_to_the_sandbox(
    deployment: Deployment,
) -> None:
    elsewhere = {"kubernetes:kubeconfig": "/nowhere", "kubernetes:context": "production"}
    deployment.write(elsewhere)
    # It reads the CRD. A refresh would plan an update of what is not Ready at this moment.
    planned = deployment.engine().preview(refresh=False)
    assert planned.succeeded, planned.errors
    assert set(planned.changes) == {"same"}, planned.touched


def test_a_broken_stack_file_is_named_with_its_line(deployment: Deployment) -> None:
    file = deployment.directory / "Pulumi.dev.yaml"
    file.write_text("config:\n  ado:profile: [\n")
    refused = deployment.command("up")
    assert refused.returncode == 1
    assert f"{file}, line 3" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_two_pools_of_one_name_are_refused_with_the_line_of_the_second(
    deployment: Deployment,
) -> None:
    file = deployment.directory / "Pulumi.dev.yaml"
    pool = "    default: { image: { tag: 0.1.0 } }\n"
    file.write_text(f"config:\n  ado:workerPools:\n{pool}{pool}")
    refused = deployment.command("up")
    assert refused.returncode == 1
    assert f"{file}, line 4" in refused.stderr
    assert "default" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_unknown_stack_is_refused_with_the_known_ones(deployment: Deployment) -> None:
    deployment.stack = "staging"
    refused = deployment.command("up")
    assert refused.returncode == 1
    assert "There is no stack 'staging' here" in refused.stderr
    assert "dev" in refused.stderr


def test_a_stack_that_is_not_deployed_is_not_destroyed(deployment: Deployment) -> None:
    deployment.stack = "prod"
    deployment.write()
    nothing = deployment.command("destroy")
    assert nothing.returncode == 0
    assert "nothing to delete" in nothing.stdout
    deployment.stack = "dev"
    assert deployment.links().keys() == {"gateway", "gateway-ws", "dashboard"}


@pytest.mark.parametrize("command", ["preview", "status", "destroy"])
def test_without_a_sandbox_a_command_says_how_to_start_one(command: str) -> None:
    arguments = [sys.executable, "-m", "sandbox", command, "--name", "absent"]
    refused = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "Sandbox absent does not run; `.venv/bin/python -m sandbox up" in refused.stderr
