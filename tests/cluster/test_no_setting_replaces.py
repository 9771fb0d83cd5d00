"""No setting ever replaces a StatefulSet, a claim, a Service or the Namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ado_infra.settings import Settings
from sandbox.paths import Sandbox
from tests.cluster.deployment import Deployment

KEPT = (
    "core/v1:Namespace",
    "core/v1:PersistentVolumeClaim",
    "core/v1:Service::",
    "apps/v1:StatefulSet",
)
RESOURCES = {"requests": {"cpu": "60m", "memory": "80Mi"}, "limits": {"cpu": "3", "memory": "6Gi"}}
TIER: dict[str, Any] = {
    "image": {"tag": "0.2.0"},
    "resources": RESOURCES,
    "health": {"ready": "/readyz", "live": "/livez"},
    "disruption": {"maxUnavailable": "50%"},
    "antiAffinity": "required",
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "images": {
        "registry": "registry.example.com/ado",
        "mirror": "mirror.example.com/official",
        "kubernetes": "mirror.example.com/kubernetes",
        "pullSecret": "pull",
    },
    "edge": {
        "host": "other.example.com",
        "controller": "traefik",
        "className": "other",
        "tlsIssuer": "letsencrypt-prod",
        "bodySize": "9m",
        "timeout": 99,
    },
    "gateway": {**TIER, "poolSize": 5, "scaling": {"minReplicas": 2, "maxReplicas": 3}},
    "dashboard": {**TIER, "replicas": 2},
    "orchestrator": {**TIER, "poolSize": 5, "replicas": 2},
    "workerPools.default": {
        **TIER,
        "scaling": {"queueLength": 5},
        "workspace": "1Gi",
        "longestTask": 60,
        "drain": {"preStop": 9},
    },
    "postgres": {
        "image": {"tag": "17.11-trixie"},
        "resources": RESOURCES,
        "antiAffinity": "required",
        "maxConnections": 120,
        "primaryOrdinal": 1,
        "backup": {"bucket": "other-backups"},
    },
    "redis": {
        "image": {"tag": "8.0.4-bookworm"},
        "resources": RESOURCES,
        "antiAffinity": "required",
        "appendfsync": "always",
        "replicasPerMaster": 1,
    },
    "objectStorage": {
        "buckets": {"checkpoints": "other-checkpoints"},
    },
    "monitoring": {"serviceMonitor": False, "labels": {"release": "prometheus"}},
    "config": {
        "orchestration": {"maxParallelAgents": 7},
        "routing": {"strategy": "api-first"},
        "quality": {"lint": {"required": False}},
        "observability": {"tracing": {"enabled": False}},
    },
}
"""Another value for every setting, by room and key."""
ELSEWHERE = {
    "profile": "demands more and changes nothing",
    "protectData": "changes protection alone, which is no property of an object",
    "images.rclone": "is read by the backup alone; see tests/unit/test_backup.py",
    "postgres.volume": "is refused; see test_platform_changes",
    "redis.volume": "is refused; see test_platform_changes",
    "postgres.mode": "makes or takes away the whole store; see tests/unit/test_external_stores.py",
    "redis.mode": "the same",
    "redis.nodes": "is of an external Redis",
    "objectStorage.endpoint": "is the sandbox's own here",
    "objectStorage.region": "is the sandbox's own here",
    "migrations": "makes a Job; see test_platform_changes",
}
"""Why a setting is not walked here."""


def _settings() -> Iterator[str]:
    """Every setting of a stack: rooms, and their keys where they have some."""
    for room, field in Settings.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        name = f"{field.alias}.default" if room == "worker_pools" else str(field.alias)
        if name in ELSEWHERE or not models:
            yield name
        else:
            yield from (f"{name}.{below.alias}" for below in models[0].model_fields.values())


WALKED = [f"{room}.{key}" for room, keys in OTHERWISE.items() for key in keys]


@pytest.fixture(scope="module")
def deployed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack as committed; previews change nothing of it."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("walk"))
    deployment.reset()
    return deployment


def test_every_setting_is_walked_or_its_absence_explained() -> None:
    assert sorted([*WALKED, *ELSEWHERE]) == sorted(_settings())


@pytest.mark.parametrize("setting", WALKED)
def test_a_changed_setting_replaces_nothing_that_must_stay(
    deployed: Deployment, setting: str
) -> None:
    room, _, key = setting.rpartition(".")
    value = OTHERWISE[room][key]
    for step in reversed([*room.split("."), key]):
        value = {step: value}
    (name,) = value
    deployed.write({f"ado:{name}": value[name]})
    planned = deployed.engine().preview(refresh=False)
    assert planned.succeeded, planned.errors
    assert planned.touched, f"{setting} changes nothing: is it read at all?"
    replaced = {
        urn
        for urn, operation in planned.touched.items()
        if operation != "update" and any(kind in urn for kind in KEPT)
    }
    assert replaced == set()
