"""Where pods go, what ends them, and what they may put on a node's disk."""

from __future__ import annotations

import pytest

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
