"""No setting ever replaces a StatefulSet, a claim, a Service or the Namespace.

All the other values are planned in one preview but those that would hide each other; that none is
hidden is shown without a cluster.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ado_infra.settings import Settings
from sandbox.paths import Sandbox
from tests.cluster.deployment import Deployment
from tests.support.recording import merged, record_stack

KEPT = (
    "core/v1:Namespace",
    "core/v1:PersistentVolumeClaim",
    "core/v1:Service::",
    "apps/v1:StatefulSet",
)
RESOURCES = {"requests": {"cpu": "60m", "memory": "80Mi"}, "limits": {"cpu": "3", "memory": "6Gi"}}
POD: dict[str, Any] = {
    "env": {"TZ": "Europe/Berlin"},
    "labels": {"example.com/team": "agents"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "serviceAccount": {"annotations": {"example.com/role": "x"}},
    "volumes": [{"name": "cache", "emptyDir": "1Gi", "mountPath": "/cache"}],
}
TIER: dict[str, Any] = {
    "image": {"tag": "0.2.0"},
    "resources": RESOURCES,
    "health": {"ready": "/readyz", "live": "/livez"},
    "disruption": {"maxUnavailable": "50%"},
    "antiAffinity": "required",
    "pod": POD,
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "namespace": {
        "podSecurity": False,
        "resourceQuota": {"pods": 100},
        "limitRange": {"container": {"max": {"memory": "64Gi"}}},
    },
    "images": {
        "registry": "registry.example.com/ado",
        "mirror": "mirror.example.com/official",
        "kubernetes": "mirror.example.com/kubernetes",
        "kubectlImage": {"tag": "v1.36.1"},
        "pullSecret": "pull",
    },
    "pods": {
        "env": {"LANG": "C.UTF-8"},
        "envFrom": [{"configMap": "more"}],
        "volumes": [{"name": "ca", "configMap": "ca", "mountPath": "/etc/company"}],
        "sidecars": [{"name": "mesh", "image": "x/mesh:1", "resources": RESOURCES}],
        "initContainers": [{"name": "wait", "image": "x/wait:1", "resources": RESOURCES}],
        "labels": {"example.com/cost": "1"},
        "annotations": {"example.com/a": "b"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpread": [{"topologyKey": "rack"}],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "hostUsers": False,
        "serviceAccount": {"annotations": {"example.com/role": "of-jobs"}},
        "securityContext": "cluster",
    },
    "edge": {
        "host": "other.example.com",
        "controller": "traefik",
        "className": "other",
        "tls": {"issuer": {"name": "letsencrypt-prod", "kind": "Issuer"}},
        "annotations": {"example.com/told": "the controller"},
        "serviceAnnotations": {"example.com/told": "the load balancer"},
        "bodySize": "9m",
        "timeout": 99,
    },
    "gateway": {**TIER, "poolSize": 5, "scaling": {"minReplicas": 2, "maxReplicas": 3}},
    "dashboard": {**TIER, "replicas": 2},
    "orchestrator": {**TIER, "poolSize": 5, "replicas": 2},
    "workerPools.default": {
        **TIER,
        "scaling": {"queueLength": 5, "queueMetric": {"name": "other_queue"}},
        "workspace": "1Gi",
        "longestTask": 60,
        "drain": {"preStop": 9},
    },
    "postgres": {
        "image": {"tag": "17.11-trixie"},
        "resources": RESOURCES,
        "antiAffinity": "required",
        "maxConnections": 120,
        "pod": POD,
        "parameters": {"work_mem": "16MB"},
        "backup": {"bucket": "other-backups"},
    },
    "redis": {
        "image": {"tag": "8.0.4-bookworm"},
        "resources": RESOURCES,
        "antiAffinity": "required",
        "appendfsync": "always",
        "replicasPerMaster": 1,
        "pod": POD,
    },
    "objectStorage": {
        "buckets": {"checkpoints": "other-checkpoints"},
    },
    "secrets": {
        "databasePassword": {"secret": "passwords"},
        "replicationPassword": {"secret": "passwords"},
        "redisPassword": {"secret": "passwords", "key": "redis"},
    },
    "network": {
        "proxy": {"https": "http://proxy.example.com:3128"},
        "caBundle": {"configMap": "authorities"},
    },
    "networkPolicies": {
        "enabled": False,
        "ingressNamespace": "other-ingress",
        "ingressAddresses": ["10.1.0.0/16"],
        "monitoringNamespace": "other-monitoring",
        "monitoringAddresses": ["10.2.0.0/16"],
        "egress": {"modelProviders": [{"namespace": "models", "ports": [4000]}]},
        "extra": {"workers": {"egress": [{"namespace": "git", "ports": [22], "why": "Git"}]}},
    },
    "monitoring": {"serviceMonitor": False, "labels": {"release": "prometheus"}},
    "config": {
        "orchestration": {"maxParallelAgents": 7},
        "routing": {"strategy": "api-first"},
        "quality": {"lint": {"required": False}},
        "observability": {"tracing": {"enabled": False}},
    },
}
"""Another value for every setting, by section and key."""
ELSEWHERE = {
    "namespace.create": "hands the Namespace over or deletes it; fixed from the first `up` on",
    "namespace.name": "is another platform; fixed from the first `up` on",
    "profile": "demands more and changes nothing",
    "protectData": "changes protection alone, which is no property of an object",
    "edge.tlsIssuer": "is short for edge.tls; see tests/unit/tiers/test_edge.py",
    "images.registryUser": "stands for images.pullSecret; see tests/unit/test_registry.py",
    "images.rclone": "is read by the backup alone; see tests/unit/data/test_backup.py",
    "images.rcloneImage": "is read by the backup alone; see tests/unit/test_policies.py",
    "workerPools.default.modelGateway": "refuses the keys that are given here; see "
    "test_model_gateway",
    "postgres.volume": "is refused; see test_platform_changes",
    "redis.volume": "is refused; see test_platform_changes",
    "postgres.mode": "makes or takes away the whole store; see test_external_stores",
    "redis.mode": "the same",
    "redis.nodes": "is of an external Redis",
    **dict.fromkeys(
        (
            *("secrets.anthropicApiKey", "secrets.googleApiKey"),
            *("secrets.objectStorageAccessKey", "secrets.objectStorageSecretKey"),
        ),
        "is refused beside the one that is given here; see tests/unit/test_existing_secrets.py",
    ),
    **dict.fromkeys(
        ("secrets.backupAccessKey", "secrets.backupSecretKey"),
        "is read by the backup alone; see tests/unit/test_existing_secrets.py",
    ),
    "secrets.databaseUrl": "is of an external PostgreSQL",
    "secrets.redisUrl": "is of an external Redis",
    "secrets.store": "makes ExternalSecrets, which need a remote; see test_existing_secrets.py",
    "objectStorage.credentials": "refuses the keys that are given here",
    "objectStorage.endpoint": "is the sandbox's own here",
    "objectStorage.region": "is the sandbox's own here",
    "objectStorage.provider": "is read by the backup alone; see tests/unit/data/test_backup.py",
    "policies.waived": "changes what the policies say, and no object",
    "migrations": "makes a Job; see test_platform_changes",
}
"""Why a setting is not walked here."""


def _settings() -> Iterator[str]:
    """Every setting of a stack: sections, and their keys where they have some."""
    for section, field in Settings.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        name = f"{field.alias}.default" if section == "worker_pools" else str(field.alias)
        if name in ELSEWHERE or not models:
            yield name
        else:
            yield from (f"{name}.{below.alias}" for below in models[0].model_fields.values())


ALONE = {
    "edge.controller": "another one is told neither bodySize nor timeout, and className hides it",
    "monitoring.serviceMonitor": "without one its labels are nowhere",
    "networkPolicies.enabled": "without policies nothing else of them is anywhere",
}
"""Settings that are planned by themselves, and why."""
WALKED = [f"{section}.{key}" for section, keys in OTHERWISE.items() for key in keys]
PREVIEWS = {
    "together": [setting for setting in WALKED if setting not in ALONE],
    **{setting: [setting] for setting in ALONE},
}
"""The settings of each preview, by its name."""


def _otherwise(settings: Sequence[str]) -> dict[str, Any]:
    """What a stack file says where these settings have their other values."""
    changes: dict[str, Any] = {}
    for setting in settings:
        section, _, key = setting.rpartition(".")
        value = OTHERWISE[section][key]
        for step in reversed([*section.split("."), key]):
            value = {step: value}
        changes = merged(changes, value)
    return {f"ado:{section}": value for section, value in changes.items()}


@functools.cache
def _registered(*settings: str) -> dict[str, Any]:
    """What the program registers where these settings have their other values, by URN."""
    recorded = record_stack("dev", changes=_otherwise(settings))
    return {resource.urn: resource.inputs for resource in recorded.resources}


@pytest.fixture
def event_loop() -> Iterator[None]:
    """Pulumi's mocks want a current one."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="module")
def deployed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack as committed; previews change nothing of it."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("walk"))
    deployment.reset()
    return deployment


def test_every_setting_is_walked_or_its_absence_explained() -> None:
    assert sorted([*WALKED, *ELSEWHERE]) == sorted(_settings())


@pytest.mark.usefixtures("event_loop")
@pytest.mark.parametrize("setting", WALKED)
def test_every_setting_changes_something_also_beside_the_others_of_its_preview(
    setting: str,
) -> None:
    (together,) = (settings for settings in PREVIEWS.values() if setting in settings)
    without = [other for other in together if other != setting]
    assert _registered(*together) != _registered(*without)


@pytest.mark.parametrize("settings", PREVIEWS.values(), ids=PREVIEWS)
def test_changed_settings_replace_nothing_that_must_stay(
    deployed: Deployment, settings: list[str]
) -> None:
    deployed.write(_otherwise(settings))
    planned = deployed.engine().preview(refresh=False)
    assert planned.succeeded, planned.errors
    assert planned.touched, f"{settings} change nothing"
    replaced = {
        urn: operation
        for urn, operation in planned.touched.items()
        if operation != "update" and any(kind in urn for kind in KEPT)
    }
    assert not replaced, planned.text
