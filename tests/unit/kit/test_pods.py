"""Where pods go, what ends them, and what they may put on a node's disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ado_infra.kit.quantities import in_bytes
from tests.support.manifests import templates
from tests.support.recording import Recording, record_stack

SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
READ = {
    "ado:postgres": {"backup": {"bucket": "backups", "volume": "20Gi"}},
    "ado:migrations": {"command": ["x"]},
}


@pytest.fixture(scope="module")
def whole() -> Recording:
    """A stack with everything in it that has pods."""
    return record_stack("prod", changes=READ)


def test_every_workload_is_spread_over_zones_where_there_are_several(whole: Recording) -> None:
    workloads = templates(whole, "Deployment", "StatefulSet")
    assert len(workloads) == 6
    for name, template in workloads.items():
        assert template["spec"]["topologySpreadConstraints"] == [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": name}},
            }
        ]
        assert template["metadata"]["labels"]["app"] == name


def test_an_evicted_pod_is_no_failure_of_its_job(whole: Recording) -> None:
    (cron,) = whole.of_kind("CronJob")
    specs = [job["spec"] for job in whole.of_kind("Job")] + [cron["spec"]["jobTemplate"]["spec"]]
    assert len(specs) == 4
    for spec in specs:
        assert spec["podFailurePolicy"]["rules"] == [
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            }
        ]
        assert spec["template"]["spec"]["restartPolicy"] == "Never"  # the API server demands it


STORAGE = "ephemeral-storage"


def _storage(template: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Request and limit of each container of a pod."""
    spec = template["spec"]
    asked = [each["resources"] for each in (*spec.get("initContainers", ()), *spec["containers"])]
    return {(each["requests"][STORAGE], each["limits"][STORAGE]) for each in asked}


def test_every_pod_asks_for_what_its_directories_on_disk_may_hold(whole: Recording) -> None:
    found = {name.rstrip("0123456789abcdef"): _storage(t) for name, t in templates(whole).items()}
    (cron,) = whole.of_kind("CronJob")
    assert _storage(cron["spec"]["jobTemplate"]["spec"]["template"]) == {("1Gi", "21Gi")}
    assert found.pop("ado-worker") == {("1Gi", "11Gi")}
    assert set().union(*found.values()) == {("1Gi", "1Gi")}


def test_every_directory_has_a_size(whole: Recording) -> None:
    for template in templates(whole).values():
        emptied = [v["emptyDir"] for v in template["spec"]["volumes"] if "emptyDir" in v]
        assert emptied
        assert all(each["sizeLimit"] for each in emptied)


def test_what_a_stack_says_of_the_disk_goes_before() -> None:
    said = {"requests": {STORAGE: "5Gi"}, "limits": {STORAGE: "30Gi"}}
    stack = record_stack(
        "dev",
        changes={
            "ado:gateway": {"resources": said},
            "ado:dashboard": {"resources": {"requests": {STORAGE: "3Gi"}}},
        },
    )
    assert _storage(templates(stack)["ado-api-gateway"]) == {("5Gi", "30Gi")}
    assert _storage(templates(stack)["ado-dashboard"]) == {("3Gi", "3Gi")}


def test_the_cluster_autoscaler_may_take_away_the_node_of_all_but_jobs(whole: Recording) -> None:
    told = {
        name: template["metadata"].get("annotations", {}).get(SAFE)
        for name, template in templates(whole).items()
    }
    assert told.pop("ado-worker") == "tmp,workspace"
    jobs = {job["metadata"]["name"] for job in whole.of_kind("Job")}
    assert {told.pop(name) for name in jobs} == {None}
    assert set(told.values()) == {"tmp"}


@pytest.mark.parametrize(
    ("number", "text"), [(2**30, "1Gi"), (3 * 2**29, "1536Mi"), (1000, "1000"), (0, "0")]
)
def test_bytes_are_written_as_the_api_server_does(number: int, text: str) -> None:
    assert in_bytes(number) == text
