"""What a plan asks of a sandbox."""

from __future__ import annotations

from typing import Any

from sandbox.deploy.planned import nodes_needed


def _deployment(*first: dict[str, Any]) -> dict[str, Any]:
    resources = {"resources": {"requests": {"cpu": "4"}}}
    pod = {"initContainers": [{**each, **resources} for each in first], "containers": [resources]}
    return {
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"replicas": 1, "template": {"spec": pod}},
    }


def test_a_sidecar_takes_room_and_what_runs_before_does_not() -> None:
    alone = nodes_needed([_deployment()], cores=1)
    assert nodes_needed([_deployment({"name": "wait"})], cores=1) == alone
    sidecar = {"name": "mesh", "restartPolicy": "Always"}
    assert 2 * alone - 1 <= nodes_needed([_deployment(sidecar)], cores=1) <= 2 * alone
