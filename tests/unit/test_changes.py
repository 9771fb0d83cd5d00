"""What a change changes: whoever reads something rolls with it, and nobody else does."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.support.manifests import changes
from tests.support.recording import SECRETS, Recording, record_stack

GATEWAY, DASHBOARD = ("Deployment", "ado-api-gateway"), ("Deployment", "ado-dashboard")
ORCHESTRATOR, WORKER = ("Deployment", "ado-orchestrator"), ("Deployment", "ado-worker")
POSTGRES, REDIS = ("StatefulSet", "postgresql"), ("StatefulSet", "redis")
GIVEN = {**SECRETS, "ado:databasePassword": "database", "ado:redisPassword": "redis"}
Key = tuple[str, str]


@functools.cache
def _given() -> Recording:
    """The dev stack with every secret given."""
    return record_stack("dev", secrets=GIVEN)


def _rolled(found: dict[Key, set[str]]) -> set[Key]:
    """The workloads among what has changed; of those, only annotations of the pods may have."""
    workloads = {key for key in found if key[0] in {"Deployment", "StatefulSet"}}
    for key in workloads:
        assert all(p.startswith("spec.template.metadata.annotations.") for p in found[key])
    return workloads


@pytest.mark.parametrize(
    ("secret", "holders", "readers"),
    [
        ("databasePassword", {"postgresql", "ado-secrets"}, {POSTGRES, GATEWAY, ORCHESTRATOR}),
        ("redisPassword", {"redis", "ado-secrets"}, {REDIS, GATEWAY, ORCHESTRATOR, WORKER}),
        ("objectStorageAccessKey", {"ado-object-storage"}, {ORCHESTRATOR, WORKER}),
        ("objectStorageSecretKey", {"ado-object-storage"}, {ORCHESTRATOR, WORKER}),
        ("anthropicApiKey", {"ado-agent-credentials"}, {WORKER}),
        ("googleApiKey", {"ado-agent-credentials"}, {WORKER}),
    ],
)
def test_a_changed_secret_rolls_its_readers_alone(
    secret: str, holders: set[str], readers: set[Key]
) -> None:
    changed = record_stack("dev", secrets={**GIVEN, f"ado:{secret}": "changed"})
    found = changes(_given(), changed)
    assert _rolled(found) == readers
    assert found.keys() - readers == {("Secret", holder) for holder in holders}


def test_a_changed_value_of_the_configuration_rolls_its_readers_alone(dev: Recording) -> None:
    config = {"orchestration": {"maxParallelAgents": 7}}
    found = changes(dev, record_stack("dev", changes={"ado:config": config}))
    readers = {GATEWAY, ORCHESTRATOR, WORKER}
    assert _rolled(found) == readers
    assert found.keys() - readers == {("ConfigMap", "ado-config")}


@pytest.mark.parametrize(
    ("section", "settings", "store"),
    [
        ("postgres", {"maxConnections": 200}, POSTGRES),
        ("redis", {"resources": {"limits": {"memory": "512Mi"}}}, REDIS),
        ("redis", {"appendfsync": "always"}, REDIS),
    ],
)
def test_a_changed_configuration_of_a_store_rolls_that_store_alone(
    section: str, settings: dict[str, Any], store: Key, dev: Recording
) -> None:
    found = changes(dev, record_stack("dev", changes={f"ado:{section}": settings}))
    assert found.keys() == {store, ("ConfigMap", f"{store[1]}-config")}
    assert "spec.template.metadata.annotations.checksum/config" in found[store]


@pytest.mark.parametrize(
    ("changed", "workload"),
    [
        ({"ado:gateway": {"image": {"tag": "0.2.0"}}}, GATEWAY),
        ({"ado:dashboard": {"image": {"tag": "0.2.0"}}}, DASHBOARD),
        ({"ado:orchestrator": {"image": {"tag": "0.2.0"}}}, ORCHESTRATOR),
        ({"ado:workerPools": {"default": {"image": {"tag": "0.2.0"}}}}, WORKER),
        ({"ado:postgres": {"image": {"tag": "17.13-trixie"}}}, POSTGRES),
    ],
    ids=["gateway", "dashboard", "orchestrator", "worker", "postgres"],
)
def test_a_new_tag_changes_that_tiers_pods_alone(
    changed: dict[str, Any], workload: Key, dev: Recording
) -> None:
    found = changes(dev, record_stack("dev", changes=changed))
    begun = found.pop(("Job", "postgresql-state-begin"), None)  # it asks with the server's image
    assert (begun is not None) == (workload == POSTGRES)
    assert found == {
        workload: {
            "spec.template.metadata.labels.app.kubernetes.io/version",
            "spec.template.spec.containers[0].image",
        }
    }


def test_the_same_settings_give_the_same_objects(dev: Recording) -> None:
    assert changes(dev, record_stack("dev")) == {}
