"""What a change of the settings changes in the cluster, and which pods it rolls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.engine import Outcome
from tests.cluster.deployment import Deployment

NEW_TAG = {"ado:gateway": {"image": {"tag": "0.2.0"}}}
NEW_VALUE = {"ado:config": {"orchestration": {"maxParallelAgents": 7}}}


def _touched(outcome: Outcome) -> dict[str, str]:
    """Logical name → operation of everything that was touched."""
    return {urn.split("::")[-1]: operation for urn, operation in outcome.touched.items()}


def _rolled(deployment: Deployment, changes: Mapping[str, Any]) -> tuple[Outcome, set[str]]:
    workloads = ("ado-api-gateway", "ado-dashboard")
    before = {workload: deployment.pods(workload) for workload in workloads}
    outcome = deployment.up(changes)
    return outcome, {w for w in workloads if deployment.pods(w).isdisjoint(before[w])}


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
    }
    assert rolled == {"ado-api-gateway"}
    assert deployment.objects()[("ConfigMap", "ado-config")]["metadata"]["uid"] == uid


def test_without_the_mutable_flags_the_same_change_is_a_replacement(deployment: Deployment) -> None:
    planned = deployment.preview(NEW_VALUE, drop=("config",))
    assert planned.succeeded, planned.errors
    operations = _touched(planned)
    assert "replace" in operations["ado-configuration-config"]
    # Its fixed name makes the engine delete it first, and with it whatever depends on it.
    assert "replace" in operations["ado-gateway-workload-deployment"]


@pytest.mark.parametrize("key", ["anthropicApiKey", "googleApiKey"])
def test_a_new_secret_updates_the_secret_in_place(deployment: Deployment, key: str) -> None:
    uid = deployment.objects()[("Secret", "ado-agent-credentials")]["metadata"]["uid"]
    deployment.engine().set_secret(f"ado:{key}", "another value")
    outcome = deployment.up()
    assert _touched(outcome) == {"ado-configuration-agent-credentials": "update"}
    assert deployment.objects()[("Secret", "ado-agent-credentials")]["metadata"]["uid"] == uid
