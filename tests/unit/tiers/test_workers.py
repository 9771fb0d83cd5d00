"""Worker pools: scaling, draining, and several of them beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pulumi
import pytest

from ado_infra.data.endpoints import ObjectStorageEndpoint, RedisEndpoint
from ado_infra.kit.sources import ConfigFile, SecretDirectory, SecretKey
from ado_infra.settings import WorkerPoolSettings
from ado_infra.site import Site
from ado_infra.tiers.workers import WorkerPool, WorkerPoolArgs
from tests.support.manifests import (
    changes,
    container,
    directories,
    environment,
    pod,
    ports,
    service_ports,
)
from tests.support.recording import SECRETS, Recording, record, record_stack

WORKER = "ado-worker"
WITHOUT_MODELS = {key: value for key, value in SECRETS.items() if "ApiKey" not in key}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
}
DISK = ({"ephemeral-storage": "1Gi"}, {"ephemeral-storage": "11Gi"})
"""What is promised and the most of a node's disk."""
Recorded = Callable[[str], Recording]


def _settings(**given: Any) -> WorkerPoolSettings:
    return WorkerPoolSettings.model_validate({"image": {"tag": "1.0"}, **given})


def _pool(pool: str = "default", *, only: bool = True, **given: Any) -> Recording:
    args = WorkerPoolArgs(
        site=Site("ado", namespace="ado-system"),
        pool=pool,
        settings=_settings(**given),
        only=only,
        controller_url="http://orchestrator:1",
        config_file=ConfigFile(config_map="c", key="k", path="/etc/ado/config.yaml", digest="d"),
        credentials=SecretDirectory(secret="s", path="/etc/ado/credentials", digest="d"),
        redis=RedisEndpoint(url=SecretKey(secret="s", key="redis", digest="d"), nodes="redis-0:1"),
        object_storage=ObjectStorageEndpoint(
            endpoint="https://s3", region="r", checkpoints="c", artifacts="a", credentials={}
        ),
    )
    return record(lambda: WorkerPool("pool", args) and None)


def _queue(*, selector: dict[str, Any] | None = None) -> dict[str, Any]:
    metric = {"name": "ado_task_queue_length", **({"selector": selector} if selector else {})}
    target = {"type": "AverageValue", "averageValue": "10"}
    return {"type": "External", "external": {"metric": metric, "target": target}}


def _scaling(recording: Recording, workload: str = WORKER) -> dict[str, Any]:
    return dict(recording.get("HorizontalPodAutoscaler", f"{workload}-hpa")["spec"])


class TestScaling:
    @pytest.mark.parametrize(("name", "bounds"), [("dev", (1, 3)), ("prod", (3, 50))])
    def test_it_follows_the_queue_and_the_load_at_the_designs_pace(
        self, name: str, bounds: tuple[int, int], recorded: Recorded
    ) -> None:
        def pace(window: int, pods: int) -> dict[str, Any]:
            policies = [{"type": "Pods", "value": pods, "periodSeconds": 60}]
            return {"stabilizationWindowSeconds": window, "policies": policies}

        assert _scaling(recorded(name)) == {
            "minReplicas": bounds[0],
            "maxReplicas": bounds[1],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKER},
            "metrics": [_queue(), CPU],
            "behavior": {"scaleUp": pace(60, 5), "scaleDown": pace(300, 2)},
        }

    def test_its_pace_and_target_are_settings(self) -> None:
        spec = _scaling(
            _pool(
                scaling={
                    "queueLength": 4,
                    "cpuUtilization": 50,
                    "scaleUp": {"window": 0, "pods": 9, "period": 15},
                }
            )
        )
        queue, cpu = spec["metrics"]
        assert queue["external"]["target"]["averageValue"] == "4"
        assert cpu["resource"]["target"]["averageUtilization"] == 50
        assert spec["behavior"]["scaleUp"] == {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Pods", "value": 9, "periodSeconds": 15}],
        }

    @pytest.mark.parametrize(
        ("only", "labels", "selector"),
        [
            (True, {}, None),
            (False, {}, {"matchLabels": {"queue": "gpu"}}),
            (False, {"labels": {"topic": "gpu"}}, {"matchLabels": {"topic": "gpu"}}),
            (True, {"labels": {"topic": "gpu"}}, {"matchLabels": {"topic": "gpu"}}),
            (False, {"labels": {}}, None),
        ],
    )
    def test_the_queue_metric_may_have_another_name_and_other_labels(
        self, labels: dict[str, Any], selector: dict[str, Any] | None, *, only: bool
    ) -> None:
        metric = {"name": "s0-prometheus", **labels}
        pool = _pool("gpu", only=only, scaling={"queueMetric": metric})
        queue, _ = _scaling(pool, "ado-worker-gpu")["metrics"]
        told = {"selector": selector} if selector else {}
        assert queue["external"]["metric"] == {"name": "s0-prometheus", **told}

    def test_a_window_shorter_than_a_task_is_warned_of(self) -> None:
        (warning,) = _pool(pool="gpu", longestTask=400).warnings
        assert warning.startswith(
            "Pool gpu: scaling.scaleDown.window 300 is shorter than longestTask 400"
        )

    def test_a_window_as_long_as_a_task_is_not(self) -> None:
        assert _pool(longestTask=300).warnings == []


class TestNames:
    @pytest.mark.parametrize("pool", ["GPU", "gpu_1", "", "g" * 41])
    def test_a_pool_of_an_impossible_name_is_refused(self, pool: str) -> None:
        with pytest.raises(pulumi.RunError, match=r"^WorkerPoolArgs\.pool = '.*' at most 40"):
            _pool(pool=pool)

    @pytest.mark.parametrize(
        ("instance", "namespace"), [("Gpu Pool", "agents"), ("gpu", "Agents!")]
    )
    def test_a_site_of_an_impossible_name_is_refused(self, instance: str, namespace: str) -> None:
        with pytest.raises(pulumi.RunError, match=r"^Site\.\w+ = '.*' is no (name|label)"):
            Site(instance, namespace=namespace)

    def test_a_digest_key_of_another_form_is_refused_and_not_shown(self) -> None:
        with pytest.raises(
            pulumi.RunError, match=r"^Site\.digest_key is no text of hex"
        ) as refused:
            Site("gpu", namespace="agents", digest_key="canary")
        assert "canary" not in str(refused.value)

    def test_a_url_in_plain_text_is_refused(self) -> None:
        with pytest.raises(pulumi.RunError, match=r"^RedisEndpoint\.url is no SecretKey"):
            RedisEndpoint(url="redis://x")  # pyright: ignore[reportArgumentType]


class TestPods:
    @pytest.mark.parametrize(
        ("name", "requests", "limits"),
        [
            ("dev", ("100m", "256Mi"), ("1", "1Gi")),
            ("prod", ("1", "2Gi"), ("4", "8Gi")),
        ],
    )
    def test_they_are_promised_and_limited_as_the_design_says(
        self, name: str, requests: tuple[str, str], limits: tuple[str, str], recorded: Recorded
    ) -> None:
        assert container(recorded(name), WORKER)["resources"] == {
            "requests": {"cpu": requests[0], "memory": requests[1], **DISK[0]},
            "limits": {"cpu": limits[0], "memory": limits[1], **DISK[1]},
        }

    @pytest.mark.parametrize(("name", "prefix"), [("dev", "ado-dev"), ("prod", "ado")])
    def test_they_are_told_who_they_are_and_where_the_rest_is(
        self, name: str, prefix: str, recorded: Recorded
    ) -> None:
        assert environment(recorded(name), WORKER) == {
            "ADO_CONFIG_FILE": "/etc/ado/config.yaml",
            "CONTROLLER_URL": "http://ado-orchestrator:3000",
            "HOME": "/workspace",
            "SHUTDOWN_TIMEOUT_SECONDS": "270",
            "WORKER_ID": "Pod metadata.name",
            "WORKER_QUEUE": "default",
            "REDIS_URL": "Secret ado-secrets/redis-url",
            "REDIS_CLUSTER_NODES": ",".join(f"redis-{n}.redis-headless:6379" for n in range(3)),
            "AWS_ACCESS_KEY_ID": "Secret ado-object-storage/access-key",
            "AWS_SECRET_ACCESS_KEY": "Secret ado-object-storage/secret-key",
            "S3_ENDPOINT": "https://s3.us-east-1.amazonaws.com",
            "S3_REGION": "us-east-1",
            "S3_BUCKET_CHECKPOINTS": f"{prefix}-checkpoints",
            "S3_BUCKET_ARTIFACTS": f"{prefix}-artifacts",
        }

    def test_they_work_in_a_directory_of_their_own_and_read_credentials(
        self, stack: Recording
    ) -> None:
        assert directories(stack, WORKER) == {
            "/tmp": "empty 1Gi",  # noqa: S108 - the pod's own
            "/workspace": "empty 10Gi",
            "/etc/ado/config.yaml": "ConfigMap ado-config/config.yaml, read-only",
            "/etc/ado/credentials": "Secret ado-agent-credentials, read-only",
        }
        (volume,) = [v for v in pod(stack, WORKER)["volumes"] if v["name"] == "agent-credentials"]
        assert volume["secret"]["defaultMode"] == 0o440

    def test_they_serve_metrics_and_probes_on_one_port(self, stack: Recording) -> None:
        assert ports(stack, WORKER) == {"metrics": 9090}
        asked = container(stack, WORKER)
        for probe, path in (("readinessProbe", "/health/ready"), ("livenessProbe", "/health/live")):
            assert asked[probe]["httpGet"] == {"path": path, "port": "metrics"}
            assert asked[probe]["timeoutSeconds"] == 5
        assert service_ports(stack, WORKER) == {"metrics": (9090, "metrics")}
        assert stack.get("Service", WORKER)["spec"]["clusterIP"] == "None"


def _ending(recording: Recording) -> dict[str, int]:
    return {
        "shutdown": int(environment(recording, WORKER)["SHUTDOWN_TIMEOUT_SECONDS"]),
        "preStop": container(recording, WORKER)["lifecycle"]["preStop"]["sleep"]["seconds"],
        "grace": pod(recording, WORKER)["terminationGracePeriodSeconds"],
    }


class TestDrain:
    def test_a_worker_gets_the_time_that_its_longest_task_needs(self, stack: Recording) -> None:
        assert _ending(stack) == {"shutdown": 270, "preStop": 5, "grace": 300}

    @pytest.mark.parametrize(
        ("given", "ending"),
        [
            ({"longestTask": 3600}, {"shutdown": 3630, "preStop": 5, "grace": 3660}),
            ({"drain": {"preStop": 20}}, {"shutdown": 270, "preStop": 20, "grace": 315}),
            ({"drain": {"shutdownTimeout": 240}}, {"shutdown": 240, "preStop": 5, "grace": 270}),
            ({"drain": {"gracePeriod": 276}}, {"shutdown": 270, "preStop": 5, "grace": 276}),
        ],
    )
    def test_what_is_not_given_follows_from_what_is(
        self, given: dict[str, Any], ending: dict[str, int]
    ) -> None:
        assert _ending(_pool(**given)) == ending

    @pytest.mark.parametrize(
        ("drain", "message"),
        [
            ({"shutdownTimeout": 239}, "shutdownTimeout 239 is shorter than longestTask 240"),
            ({"gracePeriod": 275}, "gracePeriod 275 must exceed shutdownTimeout 270 plus preStop"),
            ({"shutdownTimeout": 300, "gracePeriod": 300}, "gracePeriod 300 must exceed"),
        ],
    )
    def test_numbers_that_would_cut_tasks_off_are_refused(
        self, drain: dict[str, int], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            _settings(drain=drain)


class TestModelGateway:
    """A pool that asks models by way of a gateway has no provider's key."""

    GATEWAY: ClassVar[dict[str, Any]] = {
        "url": "http://litellm.models:4000",
        "keySecret": "gateway-of-default",
    }

    def test_it_has_the_gateways_address_and_one_key_of_its_own(self) -> None:
        recording = _pool(modelGateway=self.GATEWAY)
        (volume,) = (v for v in pod(recording, WORKER)["volumes"] if v["name"] == "model-gateway")
        (source,) = volume["projected"]["sources"]
        item = {"key": "key", "path": "key"}
        assert source["secret"] == {"name": "gateway-of-default", "items": [item]}
        told = environment(recording, WORKER)
        assert {name: told[name] for name in told if "_URL" in name and "REDIS" not in name} == {
            "ANTHROPIC_BASE_URL": "http://litellm.models:4000",
            "CONTROLLER_URL": "http://orchestrator:1",
            "GOOGLE_GEMINI_BASE_URL": "http://litellm.models:4000",
            "MODEL_GATEWAY_URL": "http://litellm.models:4000",
        }
        assert told["MODEL_GATEWAY_KEY_FILE"] == "/etc/ado/model-gateway/key"

    def test_its_pods_name_no_secret_with_a_providers_key(self) -> None:
        recording = _pool(modelGateway=self.GATEWAY)
        assert "agent-credentials" not in str(pod(recording, WORKER))

    def test_another_pool_keeps_what_it_had(self) -> None:
        gpu = {"image": {"tag": "2.0"}, "modelGateway": self.GATEWAY}
        stack = record_stack("dev", changes={"ado:workerPools": {"gpu": gpu}})
        assert "ado-agent-credentials" in str(pod(stack, WORKER))
        assert "ado-agent-credentials" not in str(pod(stack, "ado-worker-gpu"))

    def test_it_reaches_the_gateway_and_no_public_address(self) -> None:
        changes = {
            "ado:workerPools": {"default": {"modelGateway": self.GATEWAY}},
            "ado:networkPolicies": {"egress": {"objectStorage": [{"cidr": "10.20.0.0/24"}]}},
        }
        stack = record_stack("dev", changes=changes, secrets=WITHOUT_MODELS)
        egress = stack.get("NetworkPolicy", f"{WORKER}-netpol")["spec"]["egress"]
        of_models = [rule for rule in egress if {"port": 4000, "protocol": "TCP"} in rule["ports"]]
        assert any("models" in str(rule["to"]) for rule in of_models)
        to_all = [r for r in egress if "0.0.0.0/0" in str(r.get("to"))]
        assert not [rule for rule in to_all if {"port": 443, "protocol": "TCP"} in rule["ports"]]

    def test_production_demands_no_providers_key_where_every_pool_has_one(self) -> None:
        pools = {"ado:workerPools": {"default": {"modelGateway": self.GATEWAY}}}
        record_stack("prod", changes=pools, secrets=WITHOUT_MODELS)
        with pytest.raises(pulumi.RunError, match="anthropicApiKey"):
            record_stack("prod", secrets=WITHOUT_MODELS)

    def test_a_providers_key_that_nobody_reads_is_told(self) -> None:
        pools = {"ado:workerPools": {"default": {"modelGateway": self.GATEWAY}}}
        with pytest.raises(pulumi.RunError, match="every pool of ado:workerPools has a modelGat"):
            record_stack("prod", changes=pools, secrets=SECRETS)


class TestSeveralPools:
    @pytest.fixture
    def changed(self) -> Recording:
        gpu = {
            "image": {"tag": "2.0"},
            "scaling": {"minReplicas": 1, "maxReplicas": 2},
            "disruption": {"maxUnavailable": 1},
            "workspace": "50Gi",
        }
        return record_stack("dev", changes={"ado:workerPools": {"gpu": gpu}})

    def test_another_pool_has_objects_of_its_own(self, dev: Recording, changed: Recording) -> None:
        assert changed.keys() - dev.keys() == {
            ("Deployment", "ado-worker-gpu"),
            ("Service", "ado-worker-gpu"),
            ("HorizontalPodAutoscaler", "ado-worker-gpu-hpa"),
            ("PodDisruptionBudget", "ado-worker-gpu-pdb"),
            ("NetworkPolicy", "ado-worker-gpu-netpol"),
            ("ServiceAccount", "ado-worker-gpu"),
        }
        assert dev.keys() < changed.keys()
        assert container(changed, "ado-worker-gpu")["image"] == "ado/worker:2.0"
        assert directories(changed, "ado-worker-gpu")["/workspace"] == "empty 50Gi"
        assert environment(changed, "ado-worker-gpu")["WORKER_QUEUE"] == "gpu"

    def test_each_follows_its_own_queue_and_is_selected_alone(self, changed: Recording) -> None:
        for workload, queue in ((WORKER, "default"), ("ado-worker-gpu", "gpu")):
            spec = _scaling(changed, workload)
            assert spec["metrics"] == [_queue(selector={"matchLabels": {"queue": queue}}), CPU]
            assert spec["scaleTargetRef"]["name"] == workload
            assert changed.get("Service", workload)["spec"]["selector"] == {"app": workload}
            budget = changed.get("PodDisruptionBudget", f"{workload}-pdb")["spec"]["selector"]
            assert budget == {"matchLabels": {"app": workload}}

    def test_another_pool_rolls_no_pod_of_the_first(
        self, dev: Recording, changed: Recording
    ) -> None:
        known = dev.keys()
        common = Recording([r for r in changed.resources if r.key in known])
        queue = {"spec.metrics[0].external.metric.selector"}
        assert changes(dev, common) == {
            ("HorizontalPodAutoscaler", "ado-worker-hpa"): queue,
            ("ConfigMap", "ado-dashboard-grafana"): {"data.ado.json"},  # names the queues
            ("NetworkPolicy", "ado-orchestrator-netpol"): {"spec.ingress"},
            ("NetworkPolicy", "redis-netpol"): {"spec.ingress"},
        }

    def test_a_pool_of_another_name_alone_needs_no_selector(self) -> None:
        recording = _pool(pool="gpu")
        assert _scaling(recording, "ado-worker-gpu")["metrics"] == [_queue(), CPU]
        assert environment(recording, "ado-worker-gpu")["WORKER_QUEUE"] == "gpu"
