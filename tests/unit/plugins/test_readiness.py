from __future__ import annotations

from typing import Any

import pytest

from sandbox.plugins.kubernetes import readiness
from sandbox.plugins.kubernetes.diagnosis import pod_problems
from tests.unit.plugins.fakes import deployment, rolled_out


def test_a_rolled_out_deployment_is_ready() -> None:
    assert readiness.deployment(rolled_out()).ready


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 1},  # the controller has not seen the change
        {"updatedReplicas": 1},
        {"availableReplicas": 1},
        {"conditions": []},
        {
            "conditions": [
                {"type": "Available", "status": "True"},
                {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
            ]
        },
    ],
)
def test_a_deployment_in_the_middle_of_a_rollout_is_not(status: dict[str, Any]) -> None:
    assert not readiness.deployment(rolled_out(**status)).ready


def test_a_deployment_says_how_far_it_is() -> None:
    half = readiness.deployment(deployment(updatedReplicas=2, availableReplicas=1))
    assert half.status == "[1/2] Waiting for app ReplicaSet be available (1/2 Pods available)"


def stateful_set(strategy: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": 3, "updateStrategy": strategy or {}},
        "status": {
            "observedGeneration": 1,
            "readyReplicas": 3,
            "updatedReplicas": 3,
            "currentRevision": "b",
            "updateRevision": "b",
        }
        | status,
    }


def test_a_stateful_set_is_ready_when_every_pod_is_new_and_ready() -> None:
    assert readiness.stateful_set(stateful_set()).ready
    assert not readiness.stateful_set(stateful_set(readyReplicas=2)).ready
    assert not readiness.stateful_set(stateful_set(updatedReplicas=2)).ready
    assert not readiness.stateful_set(stateful_set(currentRevision="a")).ready
    assert not readiness.stateful_set(stateful_set(observedGeneration=0)).ready


def test_a_stateful_set_updates_only_what_its_strategy_lets_it() -> None:
    old = {"updatedReplicas": 1, "currentRevision": "a"}
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert readiness.stateful_set(stateful_set(partition, **old)).ready
    assert readiness.stateful_set(stateful_set({"type": "OnDelete"}, **old)).ready


def test_a_failed_job_fails_at_once_and_says_why() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}
    state = readiness.job({"status": {"conditions": [failed]}})
    assert state.failure == "the Job failed (BackoffLimitExceeded: m)"
    done = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    assert readiness.job(done).ready
    assert not readiness.job({"status": {"active": 1}}).ready


def test_a_pod_is_ready_or_done_or_failed() -> None:
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert readiness.pod({"status": ready}).ready
    assert readiness.pod({"status": {"phase": "Succeeded"}}).ready
    assert not readiness.pod({"status": {"phase": "Running"}}).ready
    assert readiness.pod({"status": {"phase": "Failed"}}).failure


def test_a_daemon_set_waits_for_every_node() -> None:
    status = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 3,
        "numberAvailable": 3,
        "updatedNumberScheduled": 3,
    }
    assert readiness.daemon_set({"status": status}).ready
    assert not readiness.daemon_set({"status": status | {"updatedNumberScheduled": 2}}).ready


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"selector": {"a": "b"}}, True),
        ({"selector": {"a": "b"}, "clusterIP": "None"}, False),
        ({"type": "ExternalName", "selector": {"a": "b"}}, False),
        ({}, False),
    ],
)
def test_only_a_service_with_pods_of_its_own_needs_endpoints(
    spec: dict[str, Any],
    expected: bool,  # noqa: FBT001
) -> None:
    assert readiness.needs_endpoints({"spec": spec}) is expected


def test_endpoints_count_before_their_pods_are_ready() -> None:
    not_ready = {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]}
    assert readiness.endpoint_slice(not_ready).ready
    assert not readiness.endpoint_slice({"endpoints": None}).ready


def test_an_ingress_names_its_backends() -> None:
    paths = [
        {"backend": {"service": {"name": "web"}}},
        {"backend": {"service": {"name": "api"}}},
        {"backend": {"resource": {"kind": "Bucket"}}},
    ]
    ingress = {"spec": {"rules": [{"http": {"paths": paths}}, {"host": "h"}]}}
    assert readiness.backends(ingress) == ["api", "web"]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]},  # noqa: E501
            "Pod p, container c: ImagePullBackOff no such image",
        ),
        (
            {"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]},  # noqa: E501
            "Pod p, container i: ended with code 3 (Error)",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes fit"}]},  # noqa: E501
            "Pod p is not scheduled: 0/3 nodes fit",
        ),
        (
            {"containerStatuses": [{"name": "c", "ready": False, "restartCount": 4, "state": {"running": {}}}]},  # noqa: E501
            "Pod p, container c: running, not ready (4 restarts)",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_pod_is_told(status: dict[str, Any], told: str) -> None:
    assert list(pod_problems({"metadata": {"name": "p"}, "status": status})) == [told]


def test_a_pod_on_its_way_has_no_problem() -> None:
    waiting = {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [waiting]}}
    assert list(pod_problems(pod)) == []
