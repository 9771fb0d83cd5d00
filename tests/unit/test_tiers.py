"""Each tier against the numbers of the design."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml

from ado_infra.data.endpoints import DatabaseEndpoint, RedisEndpoint
from ado_infra.kit.sources import ConfigFile, SecretKey
from ado_infra.settings import AntiAffinity, GatewaySettings, ImageSettings, ImageVersion
from ado_infra.tiers.common import Placement
from ado_infra.tiers.gateway import ApiGateway, ApiGatewayArgs
from tests.unit.recording import Recording, record, record_stack

DIGEST = "sha256:" + "0123456789ab" + "c" * 52


def _gateway(settings: GatewaySettings | None = None, **stores: Any) -> Recording:
    placement = Placement(
        namespace="ado-system",
        instance="ado",
        images=ImageSettings(registry="registry.example.com:5000/team", pull_secret="pull"),
    )
    config_file = ConfigFile(
        config_map="ado-config", key="config.yaml", path="/etc/ado/config.yaml", digest="abc"
    )
    settings = settings or GatewaySettings(image=ImageVersion(tag="1.4.2"))
    args = ApiGatewayArgs(placement=placement, settings=settings, config_file=config_file, **stores)
    return record(lambda: ApiGateway("gateway", args) and None)


def _pod(recording: Recording, name: str = "ado-api-gateway") -> dict[str, Any]:
    template: dict[str, Any] = recording.get("Deployment", name)["spec"]["template"]
    return template


def _container(recording: Recording, name: str = "ado-api-gateway") -> dict[str, Any]:
    (container,) = _pod(recording, name)["spec"]["containers"]
    return dict(container)


class TestGateway:
    def test_production_has_the_designs_numbers(self, prod: Recording) -> None:
        container = _container(prod)
        assert container["image"] == "ado/api-gateway:0.1.0"
        assert container["resources"] == {
            "requests": {"cpu": "500m", "memory": "512Mi"},
            "limits": {"cpu": "2", "memory": "2Gi"},
        }
        assert {p["name"]: p["containerPort"] for p in container["ports"]} == {
            "http": 3000,
            "ws": 3001,
            "metrics": 9090,
        }
        assert container["readinessProbe"] == {
            "httpGet": {"path": "/health/ready", "port": "http"},
            "initialDelaySeconds": 5,
            "periodSeconds": 5,
            "timeoutSeconds": 5,
        }
        assert container["livenessProbe"] == {
            "httpGet": {"path": "/health/live", "port": "http"},
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
        }

    @pytest.mark.parametrize(("name", "bounds"), [("dev", (1, 2)), ("prod", (2, 5))])
    def test_it_scales_on_cpu_within_its_bounds(
        self, name: str, bounds: tuple[int, int], request: pytest.FixtureRequest
    ) -> None:
        stack: Recording = request.getfixturevalue(name)
        spec = stack.get("HorizontalPodAutoscaler", "ado-api-gateway-hpa")["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == bounds
        assert spec["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "ado-api-gateway",
        }
        target = {"type": "Utilization", "averageUtilization": 70}
        assert spec["metrics"] == [
            {"type": "Resource", "resource": {"name": "cpu", "target": target}}
        ]

    def test_its_service_leads_to_http_and_websocket(self, stack: Recording) -> None:
        spec = stack.get("Service", "ado-api-gateway")["spec"]
        assert {(p["name"], p["port"], p["targetPort"]) for p in spec["ports"]} == {
            ("http", 80, "http"),
            ("ws", 81, "ws"),
            ("metrics", 9090, "metrics"),
        }

    @pytest.mark.parametrize(
        ("name", "rule"), [("dev", {"maxUnavailable": 1}), ("prod", {"minAvailable": 1})]
    )
    def test_its_disruption_budget_lets_a_drain_pass(
        self, name: str, rule: dict[str, int], request: pytest.FixtureRequest
    ) -> None:
        stack: Recording = request.getfixturevalue(name)
        spec = stack.get("PodDisruptionBudget", "ado-api-gateway-pdb")["spec"]
        assert spec == {
            **rule,
            "selector": {"matchLabels": {"app": "ado-api-gateway"}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }

    def test_it_reads_its_configuration_from_a_file_it_is_told_of(self, stack: Recording) -> None:
        container, pod = _container(stack), _pod(stack)
        assert {"name": "ADO_CONFIG_FILE", "value": "/etc/ado/config.yaml"} in container["env"]
        (mount,) = [m for m in container["volumeMounts"] if m["mountPath"].startswith("/etc/ado")]
        assert mount == {
            "name": "config",
            "mountPath": "/etc/ado/config.yaml",
            "subPath": "config.yaml",
            "readOnly": True,
        }
        (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == "config"]
        assert volume["configMap"]["name"] == "ado-config"

    def test_without_stores_it_is_told_of_none(self) -> None:
        names = {variable["name"] for variable in _container(_gateway())["env"]}
        assert names == {"ADO_CONFIG_FILE"}

    def test_stores_reach_it_as_references_and_roll_it(self) -> None:
        database = DatabaseEndpoint(
            url=SecretKey(secret="ado-secrets", key="database-url", digest="d1")
        )
        redis = RedisEndpoint(
            url=SecretKey(secret="ado-secrets", key="redis-url", digest="d2"),
            nodes="redis-0.redis-headless:6379",
        )
        recording = _gateway(database=database, redis=redis)
        variables = {variable["name"]: variable for variable in _container(recording)["env"]}
        for name, key in (("DATABASE_URL", "database-url"), ("REDIS_URL", "redis-url")):
            reference = {"secretKeyRef": {"name": "ado-secrets", "key": key}}
            assert variables[name] == {"name": name, "valueFrom": reference}
        assert variables["REDIS_CLUSTER_NODES"]["value"] == "redis-0.redis-headless:6379"
        assert _pod(recording)["metadata"]["annotations"] == {
            "checksum/DATABASE_URL": "d1",
            "checksum/REDIS_URL": "d2",
            "checksum/config": "abc",
        }

    def test_a_private_registry_and_its_pull_secret_are_used(self) -> None:
        recording = _gateway()
        assert _container(recording)["image"] == "registry.example.com:5000/team/api-gateway:1.4.2"
        assert _pod(recording)["spec"]["imagePullSecrets"] == [{"name": "pull"}]

    def test_a_digest_names_the_image_and_its_version_label(self) -> None:
        recording = _gateway(GatewaySettings(image=ImageVersion(digest=DIGEST)))
        assert _container(recording)["image"].endswith(f"/api-gateway@{DIGEST}")
        label = _pod(recording)["metadata"]["labels"]["app.kubernetes.io/version"]
        assert label == "0123456789ab"

    def test_required_anti_affinity_never_surges(self) -> None:
        settings = GatewaySettings(image=ImageVersion(tag="1"), anti_affinity=AntiAffinity.REQUIRED)
        spec = _gateway(settings).get("Deployment", "ado-api-gateway")["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
        (term,) = spec["template"]["spec"]["affinity"]["podAntiAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        assert term == {
            "labelSelector": {"matchLabels": {"app": "ado-api-gateway"}},
            "topologyKey": "kubernetes.io/hostname",
        }

    def test_preferred_anti_affinity_never_goes_below_its_number(self, prod: Recording) -> None:
        spec = prod.get("Deployment", "ado-api-gateway")["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        affinity = spec["template"]["spec"]["affinity"]["podAntiAffinity"]
        assert list(affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"]

    def test_health_paths_are_settings(self) -> None:
        changed = record_stack(
            "dev", changes={"ado:gateway": {"health": {"ready": "/r", "live": "/l"}}}
        )
        container = _container(changed)
        assert container["readinessProbe"]["httpGet"]["path"] == "/r"
        assert container["livenessProbe"]["httpGet"]["path"] == "/l"


class TestDashboard:
    @pytest.mark.parametrize(
        ("name", "replicas", "requests"),
        [
            ("dev", 1, {"cpu": "50m", "memory": "64Mi"}),
            ("prod", 2, {"cpu": "100m", "memory": "128Mi"}),
        ],
    )
    def test_each_stack_has_the_designs_numbers(
        self, name: str, replicas: int, requests: dict[str, str], request: pytest.FixtureRequest
    ) -> None:
        stack: Recording = request.getfixturevalue(name)
        assert stack.get("Deployment", "ado-dashboard")["spec"]["replicas"] == replicas
        container = _container(stack, "ado-dashboard")
        limits = {"cpu": "500m", "memory": "512Mi"}
        assert container["resources"] == {"requests": requests, "limits": limits}

    def test_its_service_leads_to_port_80(self, stack: Recording) -> None:
        ports = stack.get("Service", "ado-dashboard")["spec"]["ports"]
        assert {(p["name"], p["port"]) for p in ports} == {("http", 80), ("metrics", 9090)}

    def test_it_reads_neither_configuration_nor_secrets(self, stack: Recording) -> None:
        assert _container(stack, "ado-dashboard").get("env", []) == []
        assert not _pod(stack, "ado-dashboard")["metadata"].get("annotations")


class TestConfiguration:
    def test_the_file_is_the_designs(self, prod: Recording) -> None:
        text = prod.get("ConfigMap", "ado-config")["data"]["config.yaml"]
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

    def test_the_readers_annotation_is_the_hash_of_the_data(self, dev: Recording) -> None:
        annotation = _pod(dev)["metadata"]["annotations"]["checksum/config"]
        assert len(bytes.fromhex(annotation)) == hashlib.sha256().digest_size

    def test_credentials_that_were_not_given_are_left_out(self) -> None:
        secret = record_stack("dev", secrets={"ado:googleApiKey": "AIza"}).get(
            "Secret", "ado-agent-credentials"
        )
        assert secret["data"] == {"google-api-key": "QUl6YQ=="}
        assert "stringData" not in secret


def test_a_tiers_children_are_named_after_it() -> None:
    recording = _gateway()
    assert all(resource.name.startswith("gateway") for resource in recording.resources)
