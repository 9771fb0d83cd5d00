"""Each application tier against the numbers of the design; workers: test_workers.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ado_infra.data.endpoints import DatabaseEndpoint, RedisEndpoint
from ado_infra.kit.sources import ConfigFile, SecretKey
from ado_infra.kit.spec import AntiAffinity, ImageVersion
from ado_infra.settings import GatewaySettings
from ado_infra.site import Site
from ado_infra.tiers.gateway import ApiGateway, ApiGatewayArgs
from tests.support.manifests import (
    VERSION_LABEL,
    checksums,
    container,
    directories,
    environment,
    job,
    pod,
    ports,
    service_ports,
    spread,
    templates,
)
from tests.support.recording import Recording, record, record_stack

DIGEST = "sha256:" + "0123456789ab" + "c" * 52
GATEWAY, DASHBOARD, ORCHESTRATOR = "ado-api-gateway", "ado-dashboard", "ado-orchestrator"
REDIS_NODES = ",".join(f"redis-{n}.redis-headless:6379" for n in range(3))
NUMBERS: dict[tuple[str, str], tuple[tuple[str, str], tuple[str, str]]] = {
    ("prod", GATEWAY): (("500m", "512Mi"), ("2", "2Gi")),
    ("prod", DASHBOARD): (("100m", "128Mi"), ("500m", "512Mi")),
    ("prod", ORCHESTRATOR): (("500m", "1Gi"), ("2", "4Gi")),
    ("dev", GATEWAY): (("100m", "128Mi"), ("500m", "512Mi")),
    ("dev", DASHBOARD): (("50m", "64Mi"), ("500m", "512Mi")),
    ("dev", ORCHESTRATOR): (("100m", "256Mi"), ("2", "4Gi")),
}
"""(cpu, memory) that is promised, and the most."""
DISK = ({"ephemeral-storage": "1Gi"}, {"ephemeral-storage": "1Gi"})
"""What is promised and the most of a node's disk."""
Recorded = Callable[[str], Recording]


def _gateway(
    settings: GatewaySettings | None = None, component: type[ApiGateway] = ApiGateway
) -> Recording:
    site = Site("ado", namespace="ado-system")
    args = ApiGatewayArgs(
        site=site,
        settings=settings or GatewaySettings(image=ImageVersion(tag="1.4.2")),
        config_file=ConfigFile(
            config_map="ado-config", key="config.yaml", path="/etc/ado/config.yaml", digest="abc"
        ),
        database=DatabaseEndpoint(url=SecretKey(secret="ado-secrets", key="u", digest="d1")),
        redis=RedisEndpoint(
            url=SecretKey(secret="ado-secrets", key="r", digest="d2"), nodes="redis-0:6379"
        ),
    )
    return record(lambda: component("gateway", args) and None)


def test_a_class_of_another_name_is_the_same_resource() -> None:
    class Renamed(ApiGateway):
        pass

    (tier,) = (r for r in _gateway(component=Renamed).resources if r.type.endswith("Gateway"))
    assert tier.type == "ado:index:ApiGateway"


@pytest.mark.parametrize(("name", "workload"), NUMBERS)
def test_each_tier_is_promised_and_limited_as_the_design_says(
    name: str, workload: str, recorded: Recorded
) -> None:
    requests, limits = NUMBERS[name, workload]
    assert container(recorded(name), workload)["resources"] == {
        "requests": {"cpu": requests[0], "memory": requests[1], **DISK[0]},
        "limits": {"cpu": limits[0], "memory": limits[1], **DISK[1]},
    }


@pytest.mark.parametrize("workload", [GATEWAY, DASHBOARD, ORCHESTRATOR])
def test_each_tier_is_probed_on_its_first_port(workload: str, stack: Recording) -> None:
    first = "grpc" if workload == ORCHESTRATOR else "http"
    asked = container(stack, workload)
    assert asked["readinessProbe"] == {
        "httpGet": {"path": "/health/ready", "port": first},
        "initialDelaySeconds": 5,
        "periodSeconds": 5,
        "timeoutSeconds": 5,
    }
    assert asked["livenessProbe"] == {
        "httpGet": {"path": "/health/live", "port": first},
        "initialDelaySeconds": 10,
        "periodSeconds": 10,
        "timeoutSeconds": 5,
    }


@pytest.mark.parametrize("workload", [GATEWAY, DASHBOARD, ORCHESTRATOR, "ado-worker"])
def test_a_slow_start_is_not_killed_by_liveness(workload: str, stack: Recording) -> None:
    asked = container(stack, workload)
    started = asked["startupProbe"]
    assert started["httpGet"] == asked["livenessProbe"]["httpGet"]
    assert started["periodSeconds"] * started["failureThreshold"] >= 600


@pytest.mark.parametrize("workload", [GATEWAY, DASHBOARD, ORCHESTRATOR])
def test_a_leaving_pod_serves_until_nobody_sends_to_it(workload: str, stack: Recording) -> None:
    assert container(stack, workload)["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert pod(stack, workload)["terminationGracePeriodSeconds"] == 30


def _budget(stack: Recording, workload: str) -> dict[str, Any]:
    spec = dict(stack.get("PodDisruptionBudget", f"{workload}-pdb")["spec"])
    assert spec.pop("selector") == {"matchLabels": {"app": workload}}
    # Pods that serve nobody must not block a drain for ever.
    assert spec.pop("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return spec


def test_productions_disruption_budgets_are_the_designs(prod: Recording) -> None:
    designed: dict[str, dict[str, int | str]] = {
        GATEWAY: {"minAvailable": 1},
        "ado-worker": {"maxUnavailable": "30%"},
    }
    for workload in templates(prod, "Deployment", "StatefulSet"):
        assert _budget(prod, workload) == designed.get(workload, {"maxUnavailable": 1})


def test_in_development_every_budget_lets_one_pod_go(dev: Recording) -> None:
    for workload in templates(dev, "Deployment", "StatefulSet"):
        assert _budget(dev, workload) == {"maxUnavailable": 1}


def test_production_requires_different_hosts_where_the_design_does(prod: Recording) -> None:
    required = {ORCHESTRATOR, "postgresql", "redis"}
    for workload in templates(prod, "Deployment", "StatefulSet"):
        assert (spread(prod, workload) == "required") == (workload in required)


def test_development_only_prefers_different_hosts(dev: Recording) -> None:
    for workload in templates(dev, "Deployment", "StatefulSet"):
        assert spread(dev, workload) == "preferred"


def test_a_rollout_surges_unless_each_pod_needs_a_host_of_its_own(stack: Recording) -> None:
    for deployment in stack.of_kind("Deployment"):
        required = spread(stack, deployment["metadata"]["name"]) == "required"
        # An autoscaler's number can be large, and one pod after the other would take too long.
        surge = 1 if "replicas" in deployment["spec"] else "10%"
        assert deployment["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}
            if required
            else {"maxSurge": surge, "maxUnavailable": 0},
        }


class TestGateway:
    @pytest.mark.parametrize(("name", "bounds"), [("dev", (1, 2)), ("prod", (2, 5))])
    def test_it_scales_on_cpu_within_its_bounds(
        self, name: str, bounds: tuple[int, int], recorded: Recorded
    ) -> None:
        spec = recorded(name).get("HorizontalPodAutoscaler", "ado-api-gateway-hpa")["spec"]
        target = {"type": "Utilization", "averageUtilization": 70}
        assert spec == {
            "minReplicas": bounds[0],
            "maxReplicas": bounds[1],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": GATEWAY},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }

    def test_it_is_told_of_the_stores_and_its_configuration(self, stack: Recording) -> None:
        assert environment(stack, GATEWAY) == {
            "ADO_CONFIG_FILE": "/etc/ado/config.yaml",
            "DATABASE_POOL_SIZE": "10",
            "ORCHESTRATOR_URL": "http://ado-orchestrator:3000",
            "DATABASE_URL": "Secret ado-secrets/database-url",
            "REDIS_URL": "Secret ado-secrets/redis-url",
            "REDIS_CLUSTER_NODES": REDIS_NODES,
        }
        assert directories(stack, GATEWAY) == {
            "/tmp": "empty 1Gi",  # noqa: S108 - the pod's own
            "/etc/ado/config.yaml": "ConfigMap ado-config/config.yaml, read-only",
        }

    def test_its_service_leads_to_http_and_websocket(self, stack: Recording) -> None:
        assert ports(stack, GATEWAY) == {"http": 3000, "ws": 3001, "metrics": 9090}
        assert service_ports(stack, GATEWAY) == {
            "http": (80, "http"),
            "ws": (81, "ws"),
            "metrics": (9090, "metrics"),
        }
        assert "clusterIP" not in stack.get("Service", GATEWAY)["spec"]

    def test_what_it_reads_rolls_it(self) -> None:
        assert checksums(_gateway(), GATEWAY) == {
            "checksum/DATABASE_URL": "d1",
            "checksum/REDIS_URL": "d2",
            "checksum/config": "abc",
        }

    def test_a_digest_names_the_image_and_its_version_label(self) -> None:
        recording = _gateway(GatewaySettings(image=ImageVersion(digest=DIGEST)))
        assert container(recording, GATEWAY)["image"] == f"ado/api-gateway@{DIGEST}"
        labels = templates(recording)[GATEWAY]["metadata"]["labels"]
        assert labels[VERSION_LABEL] == "0123456789ab"

    def test_anti_affinity_is_a_setting(self) -> None:
        settings = GatewaySettings(image=ImageVersion(tag="1"), anti_affinity=AntiAffinity.REQUIRED)
        recording = _gateway(settings)
        assert spread(recording, GATEWAY) == "required"
        strategy = recording.only("Deployment")["spec"]["strategy"]
        assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}

    def test_health_paths_are_settings(self) -> None:
        health = {"ready": "/r", "live": "/l"}
        image = {"tag": "1"}
        settings = GatewaySettings.model_validate({"image": image, "health": health})
        asked = container(_gateway(settings), GATEWAY)
        assert asked["readinessProbe"]["httpGet"]["path"] == "/r"
        assert asked["livenessProbe"]["httpGet"]["path"] == "/l"


class TestDashboard:
    @pytest.mark.parametrize(("name", "replicas"), [("dev", 1), ("prod", 2)])
    def test_it_runs_in_a_fixed_number_of_pods(
        self, name: str, replicas: int, recorded: Recorded
    ) -> None:
        assert recorded(name).get("Deployment", DASHBOARD)["spec"]["replicas"] == replicas

    def test_its_service_leads_to_port_80(self, stack: Recording) -> None:
        assert ports(stack, DASHBOARD) == {"http": 3000, "metrics": 9090}
        assert service_ports(stack, DASHBOARD) == {
            "http": (80, "http"),
            "metrics": (9090, "metrics"),
        }

    def test_it_reads_neither_configuration_nor_secrets(self, stack: Recording) -> None:
        assert environment(stack, DASHBOARD) == {}
        assert set(directories(stack, DASHBOARD)) == {"/tmp"}  # noqa: S108 - the pod's own
        assert checksums(stack, DASHBOARD) == {}


class TestOrchestrator:
    @pytest.mark.parametrize(("name", "replicas"), [("dev", 1), ("prod", 2)])
    def test_it_runs_in_a_fixed_number_of_pods(
        self, name: str, replicas: int, recorded: Recorded
    ) -> None:
        assert recorded(name).get("Deployment", ORCHESTRATOR)["spec"]["replicas"] == replicas

    @pytest.mark.parametrize(("name", "prefix"), [("dev", "ado-dev"), ("prod", "ado")])
    def test_it_is_told_of_every_store_and_its_configuration(
        self, name: str, prefix: str, recorded: Recorded
    ) -> None:
        stack = recorded(name)
        assert environment(stack, ORCHESTRATOR) == {
            "ADO_CONFIG_FILE": "/etc/ado/config.yaml",
            "DATABASE_POOL_SIZE": "20",
            "DATABASE_URL": "Secret ado-secrets/database-url",
            "REDIS_URL": "Secret ado-secrets/redis-url",
            "REDIS_CLUSTER_NODES": REDIS_NODES,
            "AWS_ACCESS_KEY_ID": "Secret ado-object-storage/access-key",
            "AWS_SECRET_ACCESS_KEY": "Secret ado-object-storage/secret-key",
            "S3_ENDPOINT": "https://s3.us-east-1.amazonaws.com",
            "S3_REGION": "us-east-1",
            "S3_BUCKET_CHECKPOINTS": f"{prefix}-checkpoints",
            "S3_BUCKET_ARTIFACTS": f"{prefix}-artifacts",
        }
        assert directories(stack, ORCHESTRATOR) == {
            "/tmp": "empty 1Gi",  # noqa: S108 - the pod's own
            "/etc/ado/config.yaml": "ConfigMap ado-config/config.yaml, read-only",
        }

    def test_its_service_names_the_pods_themselves(self, stack: Recording) -> None:
        assert ports(stack, ORCHESTRATOR) == {"grpc": 3000, "metrics": 9090}
        assert service_ports(stack, ORCHESTRATOR) == {
            "grpc": (3000, "grpc"),
            "metrics": (9090, "metrics"),
        }
        spec = stack.get("Service", ORCHESTRATOR)["spec"]
        assert spec["clusterIP"] == "None"
        assert "publishNotReadyAddresses" not in spec  # workers get those that answer


class TestImages:
    def test_they_are_the_platforms_own_and_the_official_ones(self, stack: Recording) -> None:
        images = {name: container(stack, name)["image"] for name in templates(stack)}
        redis, postgres = images.pop("redis"), images.pop("postgresql")
        assert redis.startswith("docker.io/library/redis:")
        assert postgres.startswith("docker.io/library/postgres:")
        assert images.pop(job(stack, "redis-cluster-create")) == redis
        kubectl = images.pop(job(stack, "postgresql-state-begin"))
        assert kubectl.startswith("registry.k8s.io/kubectl:v1.")
        assert images == {
            GATEWAY: "ado/api-gateway:0.1.0",
            DASHBOARD: "ado/dashboard:0.1.0",
            ORCHESTRATOR: "ado/orchestrator:0.1.0",
            "ado-worker": "ado/worker:0.1.0",
        }

    def test_private_registries_and_their_pull_secret_are_used_by_every_pod(self) -> None:
        images = {
            "registry": "registry.example.com:5000/team",
            "mirror": "mirror.example.com/library",
            "kubernetes": "mirror.example.com/kubernetes",
            "pullSecret": "pull",
        }
        stack = record_stack(
            "dev", changes={"ado:images": images, "ado:migrations": {"command": ["migrate"]}}
        )
        official = ("postgresql", "redis")
        for name, template in templates(stack).items():
            source = "mirror" if name.startswith(official) else "registry"
            registry = images["kubernetes" if "state-begin" in name else source]
            assert template["spec"]["containers"][0]["image"].rpartition("/")[0] == registry
            assert template["spec"]["imagePullSecrets"] == [{"name": "pull"}]

    def test_without_a_pull_secret_none_is_named(self, stack: Recording) -> None:
        for template in templates(stack).values():
            assert "imagePullSecrets" not in template["spec"]


class TestConfiguration:
    def test_the_file_is_the_designs(self, stack: Recording) -> None:
        text = stack.get("ConfigMap", "ado-config")["data"]["config.yaml"]
        assert yaml.safe_load(text) == {
            "server": {"port": 3000, "wsPort": 3001},
            "orchestration": {
                "maxParallelAgents": 50,
                "checkpointInterval": 30,
                "worktreeIsolation": True,
            },
            "routing": {
                "strategy": "subscription-first",
                "apiFallback": {"enabled": True, "confirmAboveCost": 1.00},
            },
            "quality": {
                "build": {"required": True},
                "tests": {"required": True, "minCoverage": 80},
                "lint": {"required": True},
            },
            "observability": {
                "logging": {"level": "info", "format": "json"},
                "tracing": {
                    "enabled": True,
                    "endpoint": "http://jaeger-collector:14268/api/traces",
                },
            },
        }

    def test_keys_of_the_applications_own_are_kept(self) -> None:
        own = {"plugins": {"enabled": ["a"]}, "routing": {"retries": 3}}
        changed = record_stack("dev", changes={"ado:config": own})
        document = yaml.safe_load(changed.get("ConfigMap", "ado-config")["data"]["config.yaml"])
        assert document["plugins"] == {"enabled": ["a"]}
        assert document["routing"]["retries"] == 3
        assert document["routing"]["strategy"] == "subscription-first"

    def test_the_readers_annotation_is_the_hash_of_the_data(self, stack: Recording) -> None:
        hashes = {
            checksums(stack, reader)["checksum/config"]
            for reader in (GATEWAY, ORCHESTRATOR, "ado-worker")
        }
        (one,) = hashes
        assert len(bytes.fromhex(one)) == hashlib.sha256().digest_size
