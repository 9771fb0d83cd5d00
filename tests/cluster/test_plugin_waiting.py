"""The offline kubernetes plugin waits for real pods, and says what is missing when none come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import pulumi
import pytest
from pulumi_kubernetes.apps.v1 import Deployment, StatefulSet
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import (
    ContainerArgsDict,
    PersistentVolumeClaim,
    PersistentVolumeClaimArgsDict,
    PodSecurityContextArgsDict,
    PodSpecArgsDict,
    PodTemplateSpecArgsDict,
    Service,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict
from pulumi_kubernetes.networking.v1 import Ingress, IngressServiceBackendArgsDict

from sandbox.images import PAUSE
from sandbox.paths import Sandbox
from tests.cluster.engine import Engine, kubectl_in

NAMESPACE = "plugin-waiting"
SHORT = pulumi.CustomTimeouts(create="4s", update="4s", delete="60s")


@pytest.fixture(scope="module", autouse=True)
def kubectl(cluster: Sandbox) -> Iterator[Any]:
    """`kubectl` in a namespace of the tests' own; JSON answers parsed."""
    with kubectl_in(cluster, NAMESPACE) as run:
        yield run


def named(name: str) -> ObjectMetaArgsDict:
    return {"name": name, "namespace": NAMESPACE}


def pods(app: str, *command: str, image: str = PAUSE, **spec: Any) -> PodTemplateSpecArgsDict:
    container: ContainerArgsDict = {"name": "main", "image": image, "image_pull_policy": "Never"}
    container["security_context"] = {
        "allow_privilege_escalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    if command:
        container["command"] = list(command)
    hardened: PodSecurityContextArgsDict = {
        "run_as_non_root": True,
        "seccomp_profile": {"type": "RuntimeDefault"},
    }
    pod = {
        "containers": [container],
        "security_context": hardened,
        "termination_grace_period_seconds": 0,
        **spec,
    }
    return {"metadata": {"labels": {"app": app}}, "spec": cast("PodSpecArgsDict", pod)}


def web(
    image: str = PAUSE, replicas: int = 2, timeouts: pulumi.CustomTimeouts | None = None
) -> None:
    Deployment(
        "web",
        metadata=named("web"),
        spec={
            "replicas": replicas,
            "selector": {"match_labels": {"app": "web"}},
            "template": pods("web", image=image),
        },
        opts=pulumi.ResourceOptions(custom_timeouts=timeouts),
    )


def test_a_deployment_is_done_when_its_pods_are_available(engine: Engine, kubectl: Any) -> None:
    def program() -> None:
        web()
        Service(
            "web",
            metadata=named("web"),
            spec={"selector": {"app": "web"}, "ports": [{"port": 80}]},
        )

    created = engine.up(program)
    assert (created.error, created.diagnostics) == ("", [])
    assert any("Pods available)" in line for line in created.statuses)
    status = kubectl("get", "deployment", "web", "-o", "json")["status"]
    assert (status["availableReplicas"], status["updatedReplicas"]) == (2, 2)
    assert engine.up(program).changes == {}

    scaled = engine.up(lambda: web(replicas=3))
    assert scaled.error == ""
    assert kubectl("get", "deployment", "web", "-o", "json")["status"]["availableReplicas"] == 3


def test_a_rollout_that_hangs_says_why_and_the_next_up_mends_it(
    engine: Engine, kubectl: Any
) -> None:
    assert engine.up(web).error == ""
    stuck = engine.up(lambda: web("registry.invalid/none:1", timeouts=SHORT))
    assert f"After 4 s, Deployment {NAMESPACE}/web is not ready" in stuck.error
    assert "container main: ErrImageNeverPull" in stuck.error
    assert engine.state()["web"]["initErrors"]
    mended = engine.up(web)
    assert (mended.error, mended.steps) == ("", {"web": "update"})
    assert "initErrors" not in engine.state()["web"]
    assert kubectl("get", "deployment", "web", "-o", "json")["status"]["availableReplicas"] == 2


def test_what_never_became_ready_is_kept_and_can_be_destroyed(engine: Engine, kubectl: Any) -> None:
    def program() -> None:
        web("registry.invalid/none:1", timeouts=SHORT)

    assert "ErrImageNeverPull" in engine.up(program).error
    assert engine.state()["web"]["id"] == f"{NAMESPACE}/web"
    assert engine.destroy().error == ""
    assert kubectl("get", "deployments", "-o", "json")["items"] == []


def test_a_pod_that_cannot_be_scheduled_is_told(engine: Engine) -> None:
    def program() -> None:
        Deployment(
            "web",
            metadata=named("web"),
            spec={
                "selector": {"match_labels": {"app": "web"}},
                "template": pods("web", node_selector={"no-such": "label"}),
            },
            opts=pulumi.ResourceOptions(custom_timeouts=SHORT),
        )

    assert "is not scheduled: 0/" in engine.up(program).error


def test_a_stateful_set_is_done_when_every_pod_is_ready_on_its_volume(
    engine: Engine, kubectl: Any
) -> None:
    def program() -> None:
        Service("db", metadata=named("db"), spec={"cluster_ip": "None", "selector": {"app": "db"}})
        claim: PersistentVolumeClaimArgsDict = {
            "metadata": {"name": "data"},
            "spec": {
                "access_modes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
        }
        StatefulSet(
            "db",
            metadata=named("db"),
            spec={
                "replicas": 2,
                "service_name": "db",
                "selector": {"match_labels": {"app": "db"}},
                "template": pods("db"),
                "volume_claim_templates": [claim],
            },
        )

    assert engine.up(program).error == ""
    assert kubectl("get", "statefulset", "db", "-o", "json")["status"]["readyReplicas"] == 2
    assert engine.up(program).changes == {}
    engine.destroy()
    kubectl("delete", "pvc", "--all")


def job(*command: str) -> None:
    Job(
        "job",
        metadata=named("job"),
        spec={"backoff_limit": 0, "template": pods("job", *command, restart_policy="Never")},
    )


def test_a_job_is_done_when_it_completed(engine: Engine, kubectl: Any) -> None:
    assert engine.up(lambda: job("/pause", "-V")).error == ""
    assert kubectl("get", "job", "job", "-o", "json")["status"]["succeeded"] == 1


def test_a_failed_job_is_told_at_once(engine: Engine) -> None:
    started = time.monotonic()
    failed = engine.up(lambda: job("/pause", "--no-such-option"))
    assert "the Job failed (BackoffLimitExceeded" in failed.error
    assert time.monotonic() - started < 60


def test_a_service_without_pods_and_an_ingress_without_address_are_told(engine: Engine) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(custom_timeouts=SHORT)
        Service(
            "alone",
            metadata=named("alone"),
            spec={"selector": {"app": "nobody"}, "ports": [{"port": 80}]},
            opts=options,
        )
        service: IngressServiceBackendArgsDict = {"name": "alone", "port": {"number": 80}}
        Ingress(
            "edge",
            metadata=named("edge"),
            spec={"default_backend": {"service": service}},
            opts=options,
        )

    told = engine.up(program).error
    assert f"After 4 s, Service {NAMESPACE}/alone is not ready: Finding Pods" in told
    assert f"After 4 s, Ingress {NAMESPACE}/edge is not ready" in told
    assert "Waiting for an address for the Ingress" in told


def test_a_claim_that_waits_for_its_first_pod_is_not_waited_for(engine: Engine) -> None:
    def program() -> None:
        PersistentVolumeClaim(
            "claim",
            metadata=named("claim"),
            spec={
                "access_modes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
            opts=pulumi.ResourceOptions(custom_timeouts=SHORT),
        )

    assert engine.up(program).error == ""


def test_pods_refused_by_pod_security_are_told(engine: Engine, kubectl: Any) -> None:
    def program() -> None:
        Deployment(
            "web",
            metadata=named("web"),
            spec={
                "selector": {"match_labels": {"app": "web"}},
                "template": pods("web", host_network=True),
            },
            opts=pulumi.ResourceOptions(custom_timeouts=SHORT),
        )

    enforce = "pod-security.kubernetes.io/enforce"
    kubectl("label", "namespace", NAMESPACE, f"{enforce}=restricted")
    try:
        refused = engine.up(program)
    finally:
        kubectl("label", "namespace", NAMESPACE, f"{enforce}-")
    assert 'violates PodSecurity "restricted:latest": host namespaces' in refused.error
    assert any("would violate PodSecurity" in line for line in refused.diagnostics)
