"""ResourceQuota and LimitRange of the namespace, and whether the stack fits into them."""

from __future__ import annotations

import math
import shlex
from decimal import Decimal
from typing import Any

import kubernetes_validate
import pytest
from pulumi_kubernetes.core.v1 import ContainerArgs, PodSpecArgs, PodTemplateSpecArgs
from pulumi_kubernetes.core.v1 import ResourceRequirementsArgs as Requirements

from ado_infra.kit import demand
from ado_infra.kit.quantities import amount
from tests.support.recording import Recording, record_stack

LIMITS = {
    "container": {
        "min": {"cpu": "1m"},
        "defaultRequest": {"memory": "64Mi"},
        "default": {"memory": "128Mi"},
        "max": {"memory": "64Gi", "nvidia.com/gpu": "1"},
    },
    "persistentVolumeClaim": {"max": {"storage": "200Gi"}},
}


def _stack(quota: dict[str, Any], **more: Any) -> Recording:
    return record_stack("dev", changes={"ado:namespace": {"resourceQuota": quota, **more}})


def _shortages(stack: Recording) -> list[str]:
    return [warning for warning in stack.warnings if "resourceQuota" in warning]


def test_both_are_made_as_they_are_asked_for() -> None:
    stack = _stack(
        {"pods": 100, "requests.cpu": "40", "count/jobs.batch": 5, "requests.nvidia.com/gpu": 2},
        limitRange=LIMITS,
    )
    quota, limits = stack.get("ResourceQuota", "ado"), stack.get("LimitRange", "ado")
    assert quota["spec"]["hard"] == {
        "pods": "100",
        "requests.cpu": "40",
        "count/jobs.batch": "5",
        "requests.nvidia.com/gpu": "2",
    }
    assert limits["spec"]["limits"] == [
        {"type": "Container", **LIMITS["container"]},
        {"type": "PersistentVolumeClaim", **LIMITS["persistentVolumeClaim"]},
    ]
    for each in (quota, limits):
        kubernetes_validate.validate(each, "1.37", strict=True)
        assert each["metadata"]["namespace"] == "ado-system"


def test_without_a_word_there_is_neither(dev: Recording) -> None:
    assert dev.of_kind("ResourceQuota") + dev.of_kind("LimitRange") == []


def _pods(stack: Recording) -> dict[str, int]:
    """Workload → its pods at their most, one tenth or one more while they roll."""
    most = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"]["maxReplicas"]
        for each in stack.of_kind("HorizontalPodAutoscaler")
    }
    found: dict[str, int] = {}
    for each in stack.of_kind("Deployment"):
        name, spec = each["metadata"]["name"], each["spec"]
        replicas = int(most.get(name) or spec["replicas"])
        surge = spec["strategy"]["rollingUpdate"]["maxSurge"]
        tenth = math.ceil(replicas / 10) if surge == "10%" else int(surge)
        found[name] = replicas + tenth
    for each in stack.of_kind("StatefulSet"):
        found[each["metadata"]["name"]] = int(each["spec"]["replicas"])
    return found


def _asked(stack: Recording, side: str, resource: str) -> Decimal:
    """Of all pods, which have one container each in the committed stacks."""
    pods = _pods(stack)
    return sum(
        (
            pods[each["metadata"]["name"]] * amount(container["resources"][side][resource])
            for kind in ("Deployment", "StatefulSet")
            for each in stack.of_kind(kind)
            for container in each["spec"]["template"]["spec"]["containers"]
        ),
        Decimal(0),
    )


def test_a_quota_that_is_just_enough_is_no_warning_and_one_below_it_is(dev: Recording) -> None:
    enough = {
        "pods": sum(_pods(dev).values()),
        "cpu": str(_asked(dev, "requests", "cpu")),
        "requests.memory": str(_asked(dev, "requests", "memory")),
        "limits.ephemeral-storage": str(_asked(dev, "limits", "ephemeral-storage")),
        "persistentvolumeclaims": 5,
    }
    assert _shortages(_stack(enough)) == []
    for name, most in enough.items():
        less = 1 if isinstance(most, int) else Decimal("0.001")
        (said,) = _shortages(_stack({**enough, name: str(Decimal(most) - less)}))
        assert said.startswith(f"ado:namespace.resourceQuota.{name} = ")


def test_what_the_warning_says_ends_it() -> None:
    names = ("pods", "requests.cpu", "limits.memory", "requests.storage")
    said = _shortages(_stack(dict.fromkeys(names, "1")))
    commands = [shlex.split(warning.splitlines()[-1]) for warning in said]
    quota = {command[-2].split('"')[1]: command[-1] for command in commands}
    assert quota.keys() == set(names)
    assert _shortages(_stack(quota)) == []


def test_what_nobody_can_count_is_no_warning() -> None:
    assert _shortages(_stack({"services": 1, "count/jobs.batch": 0, "secrets": 1})) == []


def _container(cpu: str, *, restart: str | None = None) -> ContainerArgs:
    resources = Requirements(requests={"cpu": cpu}, limits={"cpu": cpu, "memory": "1Ki"})
    return ContainerArgs(name="c", resources=resources, restart_policy=restart)


@pytest.mark.parametrize(
    ("first", "cpu"),
    [
        ([], 2),
        ([_container("1")], 2),
        ([_container("7")], 7),
        ([_container("3", restart="Always")], 5),
        ([_container("3", restart="Always"), _container("4")], 7),
        ([_container("4"), _container("3", restart="Always")], 5),
    ],
    ids=["none", "smaller", "greater", "sidecar", "after a sidecar", "before a sidecar"],
)
def test_what_runs_first_counts_beside_the_sidecars_before_it(
    first: list[ContainerArgs], cpu: int
) -> None:
    spec = PodSpecArgs(init_containers=first or None, containers=[_container("2")])
    asked = demand.of_pods(PodTemplateSpecArgs(spec=spec), 3)
    assert asked["requests.cpu"] == asked["limits.cpu"] == 3 * cpu
    assert asked["pods"] == 3
