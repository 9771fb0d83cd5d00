"""What is said of a running platform, from objects as the API server gives them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kubernetes import client
from kubernetes.client.rest import RESTResponse
from rich.console import Console
from typer.testing import CliRunner, Result
from urllib3 import HTTPResponse

from ado_infra.ops import cli, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.platform import commands, connections, reading, report, scaling, tiers
from ado_infra.ops.platform.objects import Model, Objects
from ado_infra.ops.platform.reading import Sight, look
from ado_infra.ops.target import Target
from tests.unit.ops.test_rights import Recorder

Fields = Mapping[str, Any]
TIMES = "\N{MULTIPLICATION SIGN}"


def model(kind: str, **fields: Any) -> Model:
    """An object as the client gives it, from what `kubectl get -o json` shows."""
    return client.ApiClient().deserialize(json.dumps(fields), kind, "application/json")


def metadata(name: str, **labels: str) -> dict[str, Any]:
    component = {"app.kubernetes.io/component": name.removeprefix("ado-")}
    where = {"namespace": "ado-system", "generation": 2, "uid": f"uid-of-{name}"}
    return {"name": name, "labels": component | labels, **where}


def template(name: str, env: Fields | None = None) -> dict[str, Any]:
    variables = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": "ado-secrets", "key": key.lower()}}}
        if value is None
        else {"name": key, "value": value}
        for key, value in (env or {}).items()
    ]
    labels = {"app": name, "app.kubernetes.io/version": "1.4.2"}
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "env": variables}]},
    }


def deployment(name: str, wanted: int, env: Fields | None = None, **state: Any) -> Model:
    found = {"observedGeneration": 2, "replicas": wanted, "updatedReplicas": wanted}
    selector = {"matchLabels": {"app": name}}
    spec = {"replicas": wanted, "selector": selector, "template": template(name, env)}
    return model(
        "V1Deployment",
        metadata=metadata(name),
        spec=spec,
        status={**found, "readyReplicas": wanted, **state},
    )


def stateful_set(name: str, wanted: int, **state: Any) -> Model:
    found = {"observedGeneration": 2, "replicas": wanted, "updatedReplicas": wanted}
    spec = {
        "replicas": wanted,
        "serviceName": f"{name}-headless",
        "selector": {"matchLabels": {"app": name}},
        "template": template(name),
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {"resources": {"requests": {"storage": "20Gi"}}},
            }
        ],
    }
    return model(
        "V1StatefulSet",
        metadata=metadata(name),
        spec=spec,
        status={**found, "readyReplicas": wanted, **state},
    )


def pod(
    name: str, app: str = "ado-worker", *, container: Fields | None = None, **state: Any
) -> Model:
    statuses = [
        {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 0, **container}
        for container in ([container] if container else [])
    ]
    return model(
        "V1Pod",
        metadata=metadata(name, app=app),
        spec={"containers": [{"name": "c"}]},
        status={"phase": "Pending", "containerStatuses": statuses, **state},
    )


def waiting(reason: str, message: str = "", last: Fields | None = None) -> dict[str, Any]:
    state = {"state": {"waiting": {"reason": reason, "message": message}}}
    return {**state, "lastState": {"terminated": last}} if last else state


def warning(about: str, message: str, when: str) -> Model:
    return model(
        "CoreV1Event",
        metadata={"name": f"{about}.{when}"},
        involvedObject={"uid": f"uid-of-{about}"},
        message=message,
        lastTimestamp=when,
    )


def job(name: str, *, conditions: list[Fields], **state: Any) -> Model:
    spec = {"selector": {"matchLabels": {"job": name}}, "template": template(name)}
    return model(
        "V1Job", metadata=metadata(name), spec=spec, status={"conditions": conditions, **state}
    )


def service(name: str, selector: Fields, *ports: int, **labels: str) -> Model:
    listed = [{"name": "metrics" if port == 9090 else "main", "port": port} for port in ports]
    spec = {"selector": selector, "ports": listed}
    return model("V1Service", metadata=metadata(name, **labels), spec=spec)


def autoscaler(current: list[Fields] | None, selector: Fields | None = None) -> Model:
    target = {"type": "AverageValue", "averageValue": "10"}
    queue = {"name": "ado_task_queue_length", "selector": selector}
    percent = {"type": "Utilization", "averageUtilization": 70}
    active = {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}
    return model(
        "V2HorizontalPodAutoscaler",
        metadata=metadata("ado-worker-hpa"),
        spec={
            "scaleTargetRef": {"kind": "Deployment", "name": "ado-worker"},
            "minReplicas": 3,
            "maxReplicas": 50,
            "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": percent}},
                {"type": "External", "external": {"metric": queue, "target": target}},
            ],
        },
        status={
            "currentMetrics": current,
            "desiredReplicas": 3,
            "conditions": [active] if current is not None else None,
        },
    )


CPU_ALONE: list[Fields] = [
    {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 3}}},
    {"type": ""},  # what the controller leaves where it could read nothing
]


def test_the_cpu_of_one_container_is_shown_as_that_of_a_pod() -> None:
    percent = {"type": "Utilization", "averageUtilization": 70}
    source = {"name": "cpu", "container": "worker"}
    current = {**source, "current": {"averageUtilization": 3}}
    found = scaling.autoscaler(
        model(
            "V2HorizontalPodAutoscaler",
            metadata=metadata("ado-worker-hpa"),
            spec={
                "scaleTargetRef": {"kind": "Deployment", "name": "ado-worker"},
                "minReplicas": 1,
                "maxReplicas": 2,
                "metrics": [
                    {
                        "type": "ContainerResource",
                        "containerResource": {**source, "target": percent},
                    }
                ],
            },
            status={
                "desiredReplicas": 1,
                "currentMetrics": [{"type": "ContainerResource", "containerResource": current}],
            },
        )
    )
    assert str(found) == "cpu 3%/70%; 1 to 2"


def reason(**seen: Any) -> str:
    (tier,) = tiers.tiers(Objects(**seen))
    assert not tier.settled
    return tier.reason


def test_a_deployment_is_settled_when_only_new_and_ready_pods_are_left() -> None:
    assert tiers.tiers(Objects(deployments=[deployment("ado-worker", 2)]))[0].settled
    states: list[dict[str, Any]] = [
        {"observedGeneration": 1},
        {"updatedReplicas": 1},
        {"readyReplicas": 1},
        {"replicas": 3},
    ]
    for state in states:
        assert reason(deployments=[deployment("ado-worker", 2, **state)])


def test_a_stateful_set_is_settled_when_its_pods_are_ready_and_of_the_newest_revision() -> None:
    rolling = {"currentRevision": "a", "updateRevision": "b"}
    rolled = {"currentRevision": "b", "updateRevision": "b", "updatedReplicas": 0}
    assert tiers.tiers(Objects(stateful_sets=[stateful_set("redis", 3)]))[0].settled
    assert tiers.tiers(Objects(stateful_sets=[stateful_set("redis", 3, **rolled)]))[0].settled
    assert reason(stateful_sets=[stateful_set("redis", 3, **rolling, updatedReplicas=1)]) == (
        "3 of 3 pods Ready, 1 of the newest template"
    )
    assert reason(stateful_sets=[stateful_set("redis", 3, readyReplicas=2)]) == "2 of 3 pods Ready"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            pod(
                "w-1",
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient cpu.",
                    }
                ],
            ),
            "w-1: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.",
        ),
        (
            pod("w-1", container=waiting("ImagePullBackOff", "Back-off pulling image i:1")),
            "w-1: ImagePullBackOff: Back-off pulling image i:1",
        ),
        (
            pod(
                "w-1",
                container=waiting(
                    "CrashLoopBackOff",
                    "back-off 5m0s",
                    {"exitCode": 1, "reason": "Error", "message": "no\ndatabase"},
                ),
            ),
            "w-1: CrashLoopBackOff: exit code 1 (Error): no database",
        ),
        (
            pod(
                "w-1",
                container={
                    "state": {"running": {}},
                    "restartCount": 2,
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                },
            ),
            "w-1: restarted 2 times, not Ready yet; before: exit code 137 (OOMKilled)",
        ),
        (
            pod("w-1", container={"state": {"running": {}}, "started": True}),
            "w-1: its readiness probe fails",
        ),
        (pod("w-1", container=waiting("ContainerCreating")), "w-1: is starting"),
        (
            pod("w-1", phase="Failed", reason="Evicted", message="The node was low on memory."),
            "w-1: Evicted: The node was low on memory.",
        ),
    ],
)
def test_a_tier_says_what_its_pods_lack(found: Model, said: str) -> None:
    lacking = deployment("ado-worker", 1, readyReplicas=0)
    assert reason(deployments=[lacking], pods=[found]) == f"0 of 1 pods Ready. {said}"


def test_pods_with_the_same_trouble_are_named_together() -> None:
    running = {"state": {"running": {}}, "started": True}
    pods = [pod(f"w-{number}", container=running) for number in range(1, 6)]
    others = [pod("d-1", "ado-dashboard", container=running)]
    said = reason(deployments=[deployment("ado-worker", 5, readyReplicas=0)], pods=pods + others)
    assert said == "0 of 5 pods Ready. w-1, w-2, w-3 and 2 more: its readiness probe fails"


def test_the_latest_warning_tells_what_a_state_does_not() -> None:
    found = pod("w-1", container={"state": {"running": {}}, "started": True})
    events = [
        warning("w-1", "HTTP 503", "2026-03-01T12:00:02Z"),
        warning("w-1", "connection refused", "2026-03-01T12:00:01Z"),
    ]
    lacking = [deployment("ado-worker", 1, readyReplicas=0)]
    assert reason(deployments=lacking, pods=[found], warnings=events).endswith("fails: HTTP 503")
    refused = warning("redis", "create Pod redis-0: forbidden", "2026-03-01T12:00:01Z")
    bare = [stateful_set("redis", 3, readyReplicas=0)]
    assert "redis-0: forbidden" in reason(stateful_sets=bare, warnings=[refused])


def test_a_job_is_settled_when_it_is_complete() -> None:
    complete = job(
        "ado-migrations", conditions=[{"type": "Complete", "status": "True"}], succeeded=1
    )
    assert tiers.tiers(Objects(jobs=[complete]))[0].settled
    assert reason(jobs=[job("ado-migrations", conditions=[], failed=2)]) == (
        "not complete, 2 pods failed so far"
    )


def test_a_run_of_a_cron_job_is_nothing_to_wait_for() -> None:
    run = job("postgresql-backup-29", conditions=[{"type": "Failed", "status": "True"}])
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "postgresql-backup", "uid": "1"}
    run.metadata.owner_references = [owner]
    assert tiers.tiers(Objects(jobs=[run])) == []


FAILED = job(
    "ado-migrations",
    conditions=[
        {
            "type": "Failed",
            "status": "True",
            "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit",
        }
    ],
)


def test_a_failed_job_says_why() -> None:
    dead = pod("m-1", phase="Failed", container={"state": {"terminated": {"exitCode": 3}}})
    dead.metadata.labels["job"] = "ado-migrations"
    said = reason(jobs=[FAILED], pods=[dead])
    assert said.startswith("failed: BackoffLimitExceeded: Job has reached the specified")
    assert "m-1: exit code 3" in said


def test_an_autoscaler_shows_what_it_sees_of_every_metric() -> None:
    queue = {"metric": {"name": "ado_task_queue_length"}, "current": {"averageValue": "2500m"}}
    current = [CPU_ALONE[0], {"type": "External", "external": queue}]
    seen = Objects(deployments=[deployment("ado-worker", 3)], autoscalers=[autoscaler(current)])
    scaler = tiers.tiers(seen)[0].autoscaler
    assert scaler
    assert str(scaler) == "cpu 3%/70%, ado_task_queue_length 2.5/10; 3 to 50"
    assert not scaler.unserved


def test_a_pool_says_which_queue_it_follows() -> None:
    scaled = autoscaler(CPU_ALONE, {"matchLabels": {"queue": "gpu"}})
    seen = Objects(deployments=[deployment("ado-worker", 3)], autoscalers=[scaled])
    assert "ado_task_queue_length[gpu] ?/10" in str(tiers.tiers(seen)[0].autoscaler)


def test_a_metric_that_nobody_serves_is_no_error() -> None:
    seen = Objects(deployments=[deployment("ado-worker", 3)], autoscalers=[autoscaler(CPU_ALONE)])
    (tier,) = tiers.tiers(seen)
    assert tier.settled
    assert tier.autoscaler
    assert tier.autoscaler.unserved == ("ado_task_queue_length",)


def test_a_new_autoscaler_has_not_asked_yet() -> None:
    seen = Objects(deployments=[deployment("ado-worker", 3)], autoscalers=[autoscaler(None)])
    (tier,) = tiers.tiers(seen)
    assert tier.autoscaler
    assert not tier.autoscaler.unserved


def test_a_new_deployment_is_wanted_at_its_autoscalers_minimum() -> None:
    seen = {"deployments": [deployment("ado-worker", 1)], "autoscalers": [autoscaler(None)]}
    assert reason(**seen) == "1 of 3 pods Ready, 1 of the newest template"


@pytest.fixture
def platform() -> tiers.Platform:
    return whole()


def whole() -> tiers.Platform:
    """A platform with one of everything."""
    variables = {
        "DATABASE_URL": None,
        "ANTHROPIC_API_KEY": None,
        "CONTROLLER_URL": "http://ado-gateway.ado-system.svc:80",
        "S3_ENDPOINT": "https://redis.example.com:9000",
        "ADO_CONFIG_FILE": "/etc/ado/config.yaml",
    }
    one = {"app": "postgresql", "statefulset.kubernetes.io/pod-name": "postgresql-0"}
    path = {
        "path": "/api",
        "pathType": "Prefix",
        "backend": {"service": {"name": "ado-gateway", "port": {"number": 80}}},
    }
    rule = {"host": "ado.localhost", "http": {"paths": [path]}}
    claim = {
        "metadata": metadata("data-postgresql-0"),
        "spec": {"resources": {"requests": {"storage": "20Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "20Gi"}},
    }
    monitor = {
        "metadata": {"name": "ado-metrics"},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": "ado"}},
            "endpoints": [{"port": "metrics", "interval": "30s"}],
        },
    }
    named = {"app.kubernetes.io/name": "ado"}
    seen = Objects(
        deployments=[deployment("ado-gateway", 1), deployment("ado-worker", 3, variables)],
        stateful_sets=[stateful_set("postgresql", 2), stateful_set("redis", 3)],
        autoscalers=[autoscaler(CPU_ALONE)],
        services=[
            service("ado-gateway", {"app": "ado-gateway"}, 80, 9090, **named),
            service("postgresql", one, 5432, **named),
            service("postgresql-headless", {"app": "postgresql"}, 5432),
            service("redis", {"app": "redis"}, 6379),
        ],
        claims=[model("V1PersistentVolumeClaim", **claim)],
        ingresses=[
            model("V1Ingress", metadata=metadata("ado-ingress"), spec={"rules": [rule]}),
        ],
        monitors=[monitor],
    )
    return tiers.platform("ado-system", seen)


def test_endpoints_are_the_services_without_those_that_only_name_pods(
    platform: tiers.Platform,
) -> None:
    services = {tier.name: tier.services for tier in platform.tiers}
    assert services["ado-gateway"] == {"ado-gateway": (80, 9090)}
    assert services["postgresql"] == {"postgresql": (5432,)}


def test_claims_are_counted_also_the_missing_ones(platform: tiers.Platform) -> None:
    claims = {tier.name: [str(claim) for claim in tier.claims] for tier in platform.tiers}
    assert claims["postgresql"] == [f"1 {TIMES} 20Gi Bound", f"1 {TIMES} 20Gi missing"]


@pytest.mark.parametrize(
    ("data", "ready", "said"),
    [
        ({"initialised": "true"}, 2, ""),
        (None, 2, ""),
        (
            {"primary": "1", "fenced": "0"},
            1,
            "postgresql-0 is fenced, postgresql-1 is the primary, not every pod is Ready",
        ),
        ({"primary": "1"}, 2, "postgresql-1 is the primary"),
    ],
)
def test_what_is_unusual_about_postgresql_is_said(
    data: Fields | None, ready: int, said: str
) -> None:
    seen = Objects(
        stateful_sets=[stateful_set("postgresql", 2, readyReplicas=ready)],
        config_maps=[model("V1ConfigMap", metadata=metadata("postgresql-state"), data=data)],
    )
    assert tiers.platform("ado-system", seen).postgresql == said


def test_a_fenced_pod_is_not_waited_for() -> None:
    record = metadata("postgresql-state")
    seen = Objects(
        stateful_sets=[stateful_set("postgresql", 2, readyReplicas=1)],
        config_maps=[model("V1ConfigMap", metadata=record, data={"fenced": "1"})],
    )
    (tier,) = tiers.tiers(seen)
    assert tier.failed
    assert "postgresql-1 fenced" in tier.reason


def test_without_a_postgresql_nothing_is_said_of_it() -> None:
    assert tiers.platform("ado-system", Objects()).postgresql == ""


def test_who_talks_to_whom_is_what_the_pods_are_given(platform: tiers.Platform) -> None:
    needs = {
        need.variable: (need.target, need.inside)
        for tier in platform.tiers
        for need in tier.needs
        if tier.name == "ado-worker"
    }
    assert needs == {
        "DATABASE_URL": ("postgresql", True),
        "CONTROLLER_URL": ("ado-gateway", True),
        # Its first label is a Service's name, and still it is another host.
        "S3_ENDPOINT": ("redis.example.com", False),
    }
    assert [(route.path, route.target) for route in platform.routes] == [("/api", "ado-gateway")]
    assert [monitor.targets for monitor in platform.monitors] == [("ado-gateway",)]


def test_a_url_around_a_password_leads_to_its_store_and_a_proxy_nowhere() -> None:
    reference = {"secretKeyRef": {"name": "kept", "key": "password"}}
    told = [
        {"name": "DATABASE_PASSWORD", "valueFrom": reference},
        {"name": "DATABASE_URL", "value": "postgresql://ado:$(DATABASE_PASSWORD)@postgresql:5432"},
        {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"},
        {"name": "http_proxy", "value": "http://proxy.example.com:3128"},
    ]
    pod = {"spec": {"containers": [{"name": "one", "env": told}]}}
    worker = model(
        "V1Deployment",
        metadata={"name": "ado-worker", "namespace": "ado-system"},
        spec={"selector": {}, "template": pod},
    )
    found = connections.needs(worker, {"postgresql": "postgresql"})
    assert [(need.variable, need.target, need.inside) for need in found] == [
        ("DATABASE_URL", "postgresql", True)
    ]


def test_a_service_without_a_workload_tells_of_a_missing_one() -> None:
    lost = service("ado-dashboard", {"app": "ado-dashboard"}, 80)
    outside = service("elsewhere", {}, 80)
    seen = Objects(deployments=[deployment("ado-worker", 1)], services=[lost, outside])
    assert tiers.platform("ado-system", seen).orphans == ["ado-dashboard"]


def sight(platform: tiers.Platform, *unseen: str, complete: bool = True) -> Sight:
    return Sight(platform=platform, unseen=unseen, complete=complete)


def shown(seen: Sight) -> str:
    with io.StringIO() as text:
        report.show(Console(file=text, width=100), seen)
        return text.getvalue()


def test_the_table_fits_and_has_no_empty_column(platform: tiers.Platform) -> None:
    printed = shown(sight(platform))
    table = printed.partition("Ingress")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert "ado-gateway:80,9090" in printed
    assert "3 to 50, cpu 3%/70%" in printed
    assert "ado-worker: nobody serves ado_task_queue_length" in printed
    assert "ado.localhost" in printed
    assert "Claims" in printed
    bare = tiers.Platform(namespace="n", tiers=platform.tiers[:1], routes=(), monitors=())
    assert "Claims" not in shown(sight(bare))
    assert "Autoscaler" not in shown(sight(bare))


def test_what_is_wrong_is_said_and_what_was_not_seen(platform: tiers.Platform) -> None:
    assert report.findings(sight(platform)) == []
    failed = tiers.platform("n", Objects(jobs=[FAILED], services=[service("s", {"app": "x"}, 1)]))
    assert len(report.findings(sight(failed))) == 2
    assert "Job ado-migrations: failed" in shown(sight(failed))
    assert "Service s leads to no workload" in shown(sight(failed))
    printed = shown(sight(platform, "Ingresses", "volume claims"))
    assert "may not read it: Ingresses, volume claims" in printed.replace("\n", " ")
    empty = tiers.platform("n", Objects())
    assert report.findings(sight(empty)) == ["Nothing of a platform runs in namespace n"]
    assert report.findings(sight(empty, complete=False)) == [
        "Whether all of it is Ready cannot be told"
    ]


def test_programs_read_the_same(platform: tiers.Platform) -> None:
    seen = json.loads(json.dumps(report.data(sight(platform, "pods"))))
    assert seen["unseen"] == ["pods"]
    worker = seen["tiers"][1]
    assert worker["autoscaler"]["metrics"][0] == {
        "name": "cpu",
        "selector": {},
        "current": "3%",
        "target": "70%",
        "served": True,
    }
    assert worker["needs"][0] == {
        "variable": "DATABASE_URL",
        "target": "postgresql",
        "inside": True,
    }


class Server(Recorder):
    """An API server with some objects, which lets some kinds be read by nobody."""

    def __init__(self, refused: Sequence[str] = (), **found: Sequence[Model]) -> None:
        super().__init__()
        self.refused = refused
        self.found = {
            kind: self.sanitize_for_serialization(list(items)) for kind, items in found.items()
        }

    def call_api(self, *arguments: Any, **options: Any) -> Any:
        answer = super().call_api(*arguments, **options)
        kind = urlsplit(arguments[1]).path.rpartition("/")[2]
        status, body = 200, {"metadata": {}, "items": self.found.get(kind, [])}
        if kind in self.refused or (kind == "servicemonitors" and not self.found):
            status = 403 if kind in self.refused else 404
        elif kind not in self.found:
            return answer
        text = json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        return RESTResponse(HTTPResponse(text, headers, status=status))


def test_a_whole_platform_is_read_with_the_rights_that_the_role_gives() -> None:
    api = Recorder()
    look(Namespace(api, "ado-system"))
    noted = {f"{verb} {r.resource}" for r in rights.SEE_PLATFORM for verb in r.verbs}
    assert api.asked == noted


def test_what_may_not_be_read_is_named_and_the_rest_is_there() -> None:
    running = [deployment("ado-worker", 1)]
    services = [service("ado-dashboard", {"app": "ado-dashboard"}, 80)]
    refused = ("ingresses", "events", "servicemonitors")
    seen = look(Namespace(Server(refused, deployments=running, services=services), "ado-system"))
    assert seen.complete
    assert set(seen.unseen) == {"Ingresses", "warnings among the events", "ServiceMonitors"}
    assert [tier.name for tier in seen.platform.tiers] == ["ado-worker"]
    assert seen.platform.orphans == ["ado-dashboard"]
    less = Server(("deployments",), services=services)
    seen = look(Namespace(less, "ado-system"))
    assert not seen.complete
    assert seen.platform.orphans == ()  # the Deployment may be there


def test_a_cluster_without_service_monitors_lacks_nothing() -> None:
    assert look(Namespace(Server(), "ado-system")).unseen == ()


@pytest.mark.parametrize(
    ("component", "said", "version"),
    [
        ("postgresql", "postgres (PostgreSQL) 18.1 (Debian 18.1-1.pgdg12+2)\n", "18.1"),
        ("redis", "Redis server v=8.2.1 sha=00000000:1 malloc=jemalloc-5.3.0 bits=64\n", "8.2.1"),
        ("redis", None, "?"),  # an image without that program
        ("worker", "7.7.7", "1.4.2"),
    ],
)
@pytest.mark.parametrize("allowed", [True, False])
def test_a_server_says_itself_which_version_it_is(
    component: str,
    said: str | None,
    version: str,
    allowed: bool,  # noqa: FBT001 - pytest's
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(_: Namespace, pod: str, command: Sequence[str], **__: Any) -> str:
        assert pod == f"{component}-0"
        assert command[-1] == "--version"
        if said is None:
            raise OpsError("no such program")
        return said

    def lacking(_: Namespace, needed: Sequence[rights.Right]) -> list[str]:
        assert needed == rights.SEE_VERSIONS
        return [] if allowed else ["create pods/exec"]

    monkeypatch.setattr(Namespace, "run", run)
    monkeypatch.setattr(Namespace, "lacking", lacking)
    ready = pod(f"{component}-0", component, conditions=[{"type": "Ready", "status": "True"}])
    monkeypatch.setattr(reading, "Namespace", lambda *_: Namespace(api, "ado-system"))
    api = Server(statefulsets=[stateful_set(component, 1)], pods=[ready])
    seen = look(Namespace(api, "ado-system"))
    (tier,) = seen.platform.tiers
    store = component != "worker"
    assert tier.version == (version if allowed or not store else "1.4.2")
    assert ("the versions that really run" in seen.unseen) == (store and not allowed)


class TestCommands:
    """`ado-ops status` and `ado-ops picture`."""

    @pytest.fixture(autouse=True)
    def reached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Target, "reach", lambda _: None)
        monkeypatch.setattr(Target, "cluster", "far away")

    @staticmethod
    def _run(seen: Sight, monkeypatch: pytest.MonkeyPatch, *typed: str) -> Result:
        monkeypatch.setattr(commands, "look", lambda _: seen)
        return CliRunner().invoke(cli.app, [*typed, "--stack", "dev"])

    def test_the_exit_code_tells_whether_all_is_ready(
        self, platform: tiers.Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrong = tiers.platform("n", Objects(jobs=[FAILED]))
        for seen, options, code in (
            (platform, (), 0),
            (platform, ("--check",), 0),
            (platform, ("--json",), 0),
            (wrong, (), 3),
            (wrong, ("--json",), 3),
            (wrong, ("--check",), 1),
            (wrong, ("--check", "--json"), 1),
        ):
            done = self._run(sight(seen), monkeypatch, "status", *options)
            assert done.exit_code == code, done.output
            if "--json" in options:
                told = json.loads(done.stdout)
                assert told["ready"] is (code == 0)
                assert bool(told["findings"]) is (code != 0)
                assert told["context"] == "far away"
            elif "--check" in options:
                assert done.stdout.startswith("- Job ado-migrations" if code else "")
                assert "Tier" not in done.stdout

    def test_who_can_tell_more_of_postgresql_is_named(
        self, platform: tiers.Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fenced = replace(platform, postgresql="postgresql-0 is fenced")
        done = self._run(sight(fenced), monkeypatch, "status")
        assert "PostgreSQL: postgresql-0 is fenced: `ado-ops postgres status" in done.stdout

    def test_a_picture_is_drawn_of_what_was_seen(
        self, platform: tiers.Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = self._run(sight(platform, "Ingresses"), monkeypatch, "picture")
        assert done.exit_code == 0
        assert "may not read it: Ingresses" in done.stdout
        assert "stack dev" in (tmp_path / "platform.svg").read_text()

    def test_what_cannot_be_drawn_is_one_line(
        self, platform: tiers.Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        where = ("picture", "--output", str(tmp_path))
        refused = self._run(sight(platform), monkeypatch, *where)
        assert "cannot be written: Is a directory" in str(refused.exception)
        nothing = tiers.platform("n", Objects())
        refused = self._run(sight(nothing, "pods"), monkeypatch, *where)
        assert "Nothing of a platform runs in namespace n" in str(refused.exception)
        assert "may not read it: pods" in str(refused.exception)
