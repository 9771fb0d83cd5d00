"""Which claims get a volume, what volume, and which volumes are deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock, call

import pytest

from sandbox.cluster import storage

VOLUMES = Path("/volumes")


def claim(**changes: Any) -> dict[str, Any]:
    spec = {
        "storageClassName": "sandbox",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "2Gi"}},
    }
    annotations = {storage.SELECTED_NODE: "n2"}
    metadata = {"namespace": "default", "name": "data", "uid": "u1", "annotations": annotations}
    return {"metadata": metadata | changes.pop("metadata", {}), "spec": spec | changes}


def test_a_claim_gets_a_directory_on_the_node_its_pod_was_given() -> None:
    volume = storage.volume_for(claim(), VOLUMES)
    assert volume
    assert volume["metadata"]["name"] == "pvc-u1"
    assert volume["spec"]["local"] == {"path": "/volumes/pvc-u1"}
    assert volume["spec"]["capacity"] == {"storage": "2Gi"}
    assert volume["spec"]["claimRef"]["uid"] == "u1"
    terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["n2"]


@pytest.mark.parametrize(
    "other",
    [
        claim(storageClassName="other"),
        claim(volumeName="pvc-u1"),
        claim(metadata={"annotations": None}),
    ],
    ids=["other class", "has its volume", "no node yet"],
)
def test_other_claims_get_none(other: dict[str, Any]) -> None:
    assert storage.volume_for(other, VOLUMES) is None


def bound(held: str, **changes: Any) -> dict[str, Any]:
    status = {"phase": "Bound", "capacity": {"storage": held}}
    return claim(volumeName="pvc-u1", **changes) | {"status": status}


def test_a_claim_that_grew_gets_its_size_and_then_no_more() -> None:
    core = Mock()
    provisioner = storage.Provisioner(core, VOLUMES)
    provisioner.on_claim(bound("1Gi"))
    larger = {"capacity": {"storage": "2Gi"}}
    assert core.method_calls == [
        call.patch_persistent_volume("pvc-u1", {"spec": larger}),
        call.patch_namespaced_persistent_volume_claim_status("data", "default", {"status": larger}),
    ]
    core.reset_mock()
    provisioner.on_claim(bound("2Gi"))
    assert core.method_calls == []


def test_claims_of_another_class_and_those_without_a_volume_do_not_grow() -> None:
    assert storage.grown_size(bound("1Gi", storageClassName="other")) is None
    assert storage.grown_size(claim()) is None


def released(**changes: Any) -> dict[str, Any]:
    volume = storage.volume_for(claim(), VOLUMES)
    assert volume
    return volume | {"status": {"phase": "Released"}} | changes


def test_a_released_volume_is_deleted_with_its_data() -> None:
    assert storage.is_released(released())


def test_bound_foreign_and_retained_volumes_are_kept() -> None:
    kept = released()
    kept["spec"] |= {"persistentVolumeReclaimPolicy": "Retain"}
    assert not storage.is_released(kept)
    assert not storage.is_released(released(status={"phase": "Bound"}))
    assert not storage.is_released(released(metadata={"name": "somebody's"}))
