"""What the program leans on in the official Kubernetes provider, of whatever version it is."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, cast

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgsDict, StatefulSet
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import (
    ConfigMap,
    ContainerArgsDict,
    Namespace,
    Pod,
    PodSpecArgsDict,
    PodTemplateSpecArgsDict,
    Secret,
    Service,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs, ObjectMetaArgsDict
from pulumi_random import RandomPassword

from ado_infra.kit.published import publish_config
from sandbox.build.images import PAUSE
from sandbox.paths import Sandbox
from tests.cluster.engine import Engine, kubectl_in

NAMESPACE = "provider-test"
CANARY = "c4n@ry:/%+'\" value"
SHORT = pulumi.CustomTimeouts(create="5s", update="5s", delete="60s")
NOBODY_HAS_IT = "registry.invalid/none:1"
MUTABLE = {"kubernetes:enableConfigMapMutable": True, "kubernetes:enableSecretMutable": True}


@pytest.fixture(scope="module", autouse=True)
def kubectl(cluster: Sandbox) -> Iterator[Any]:
    """`kubectl` in a namespace of the tests' own that Pod Security guards; JSON is parsed."""
    with kubectl_in(cluster, NAMESPACE) as run:
        run("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield run


def named(name: str, **annotations: str) -> ObjectMetaArgsDict:
    return {"name": name, "namespace": NAMESPACE, "annotations": annotations}


def pod(*command: str, image: str = PAUSE, **spec: Any) -> PodSpecArgsDict:
    container: ContainerArgsDict = {"name": "main", "image": image, "image_pull_policy": "Never"}
    container["security_context"] = {
        "allow_privilege_escalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    if command:
        container["command"] = list(command)
    security = {"run_as_non_root": True, "seccomp_profile": {"type": "RuntimeDefault"}}
    fast = {"termination_grace_period_seconds": 0}
    whole = {"containers": [container], "security_context": security, **fast, **spec}
    return cast("PodSpecArgsDict", whole)


def pods(app: str, *command: str, **spec: Any) -> PodTemplateSpecArgsDict:
    return {"metadata": {"labels": {"app": app}}, "spec": pod(*command, **spec)}


def config_map(**data: str) -> None:
    ConfigMap("settings", metadata=named("settings"), data=data)


def web(image: str = PAUSE, replicas: int = 1) -> None:
    """A Deployment that has a short time to become Ready."""
    Deployment(
        "web",
        metadata=named("web"),
        spec={
            "replicas": replicas,
            "selector": {"match_labels": {"app": "web"}},
            "template": pods("web", image=image),
        },
        opts=pulumi.ResourceOptions(custom_timeouts=SHORT),
    )


def unwatched(version: str, replicas: int | None = None, **options: Any) -> None:
    """A Deployment that nobody waits for, with something that rolls it."""
    spec: DeploymentSpecArgsDict = {
        "selector": {"match_labels": {"app": "web"}},
        "template": pods("web", image=NOBODY_HAS_IT, hostname=version),
    }
    if replicas is not None:
        spec["replicas"] = replicas
    metadata = named("web", **{"pulumi.com/skipAwait": "true"})
    Deployment("web", metadata=metadata, spec=spec, opts=pulumi.ResourceOptions(**options))


def database(**spec: Any) -> None:
    StatefulSet(
        "db",
        metadata=named("db"),
        spec={
            "replicas": 2,
            "service_name": "db",
            "selector": {"match_labels": {"app": "db"}},
            "template": pods("db", **spec),
        },
        opts=pulumi.ResourceOptions(custom_timeouts=SHORT if spec else None),
    )


def job(*command: str) -> None:
    Job(
        "job",
        metadata=named("job"),
        spec={"backoff_limit": 0, "template": pods("job", *command, restart_policy="Never")},
    )


def test_up_is_done_when_all_of_it_runs_and_a_second_changes_nothing_and_warns_nobody(
    engine: Engine, kubectl: Any
) -> None:
    def program() -> None:
        config_map(a="1")
        web(replicas=2)
        database()
        job("/pause", "-V")

    planned, first = engine.preview(program), engine.up(program)
    assert (first.error, first.changes) == ("", {"create": 4})
    assert planned.changes == first.changes
    statuses = {
        kind: kubectl("get", kind, "-o", "json")["items"][0]["status"]
        for kind in ("deployments", "statefulsets", "jobs")
    }
    assert statuses["deployments"]["availableReplicas"] == 2
    assert statuses["statefulsets"]["readyReplicas"] == 2
    assert statuses["jobs"]["succeeded"] == 1
    second = engine.up(program)
    assert (second.error, second.changes) == ("", {})
    assert [*planned.diagnostics, *first.diagnostics, *second.diagnostics] == []


def test_what_does_not_run_in_time_is_named_with_what_it_lacks_kept_and_can_be_destroyed(
    engine: Engine, kubectl: Any
) -> None:
    def program() -> None:
        web(NOBODY_HAS_IT)
        database(node_selector={"no-such": "label"})
        job("/pause", "--no-such-option")

    lacking = {
        "web": "ErrImageNeverPull",
        "db": "0 out of 2 replicas",
        "job": "BackoffLimitExceeded",
    }
    failures = engine.up(program, continue_on_error=True).failures
    assert failures.keys() == lacking.keys()
    assert [name for name, what in lacking.items() if what not in failures[name]] == []

    assert lacking.keys() <= engine.state().keys()
    assert engine.destroy().error == ""
    kinds = "deployments,statefulsets,jobs"
    assert kubectl("get", kinds, "-o", "json")["items"] == []


def test_a_rollout_that_hangs_says_why_and_the_next_up_mends_it(
    engine: Engine, kubectl: Any
) -> None:
    assert engine.up(web).error == ""
    hanging = engine.up(lambda: web(NOBODY_HAS_IT))
    assert "ErrImageNeverPull" in hanging.failures["web"]
    mended = engine.up(web)
    assert (mended.error, mended.steps) == ("", {"web": "update"})
    assert kubectl("get", "deployment", "web", "-o", "json")["status"]["updatedReplicas"] == 1


def test_a_replaced_object_of_a_fixed_name_is_deleted_first(engine: Engine, kubectl: Any) -> None:
    engine.up(lambda: config_map(a="1"))
    planned = engine.preview(lambda: config_map(a="2"))
    assert (planned.steps, planned.diffs) == ({"settings": "replace"}, {"settings": ["data.a"]})
    replaced = engine.up(lambda: config_map(a="2"))
    assert (replaced.error, replaced.replacing) == ("", {"settings"})
    assert kubectl("get", "cm", "settings", "-o", "json")["data"] == {"a": "2"}


def test_a_provider_that_would_replace_is_told_so_in_previews_too(engine: Engine) -> None:
    def program(*, flags: bool | None = None) -> None:
        own = Provider("own", enable_config_map_mutable=flags, enable_secret_mutable=flags)
        metadata = ObjectMetaArgs(name="settings", namespace=NAMESPACE)
        publish_config("settings", metadata, {"a": "1"}, pulumi.ResourceOptions(provider=own))

    for run in (engine.preview, engine.up, engine.preview):
        (told,) = run(program).diagnostics
        assert "changes no ConfigMap or Secret in place" in told
        assert run(lambda: program(flags=True)).diagnostics == []


def test_a_field_of_another_manager_stays(engine: Engine, kubectl: Any) -> None:
    engine.set_config(MUTABLE)
    engine.up(lambda: config_map(a="1", b="2"))
    theirs = ("--field-manager=controller", "--type=merge", "-p", '{"data": {"theirs": "3"}}')
    kubectl("patch", "cm", "settings", *theirs)
    assert engine.up(lambda: config_map(a="1")).steps == {"settings": "update"}
    assert kubectl("get", "cm", "settings", "-o", "json")["data"] == {"a": "1", "theirs": "3"}


@pytest.mark.parametrize(
    "options", [{}, {"replicas": 2, "ignore_changes": ["spec.replicas"]}], ids=["absent", "ignored"]
)
def test_what_an_autoscaler_set_is_never_touched(
    engine: Engine, kubectl: Any, options: dict[str, Any]
) -> None:
    engine.up(lambda: unwatched("one", **options))
    kubectl("scale", "deployment/web", "--replicas=5")
    rolled = engine.up(lambda: unwatched("two", **options))
    assert (rolled.error, rolled.diffs) == ("", {"web": ["spec.template.spec.hostname"]})
    spec = kubectl("get", "deployment", "web", "-o", "json")["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["hostname"]) == (5, "two")


def test_a_conflict_names_the_field_and_its_manager(engine: Engine, kubectl: Any) -> None:
    engine.up(lambda: unwatched("one", replicas=2))
    kubectl("scale", "deployment/web", "--replicas=5")
    conflict = engine.up(lambda: unwatched("one", replicas=3)).failures["web"]
    assert ".spec.replicas" in conflict
    assert '"kubectl"' in conflict
    assert kubectl("get", "deployment", "web", "-o", "json")["spec"]["replicas"] == 5


def test_a_refused_object_is_named_with_its_reason(engine: Engine) -> None:
    def program() -> None:
        Service("it", metadata=named("it"), spec={"ports": [{"port": 0}]})

    for refused in (engine.preview(program), engine.up(program)):
        assert "spec.ports[0].port" in refused.failures["it"]
        assert "Traceback" not in refused.error


def test_a_pod_that_pod_security_refuses_is_named_with_its_reason(engine: Engine) -> None:
    refused = engine.up(
        lambda: Pod("it", metadata=named("it"), spec=pod(host_network=True)) and None
    )
    assert 'violates PodSecurity "restricted:latest": host namespaces' in refused.failures["it"]


def test_secrets_are_in_no_state_history_or_output(engine: Engine, kubectl: Any) -> None:
    def program(text: str = CANARY) -> None:
        made = RandomPassword("password", length=20).result
        given = {"given": pulumi.Output.secret(text), "made": made}
        Secret("secret", metadata=named("secret"), string_data=given)

    engine.set_config(MUTABLE)
    runs = [engine.preview(program), engine.up(program), engine.up(lambda: program(f"{CANARY}2"))]
    assert [run.error for run in runs] == ["", "", ""]
    data = kubectl("get", "secret", "secret", "-o", "json")["data"]
    given, made = (base64.b64decode(data[key]).decode() for key in ("given", "made"))
    assert (given, len(made)) == (f"{CANARY}2", 20)
    seen = engine.stored_text() + "".join(
        run.output + "".join(run.diagnostics) + "".join(run.statuses) for run in runs
    )
    for value in (CANARY, made):
        forms = {value, json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()}
        assert not [form for form in forms if form in seen]


def test_drift_shows_after_a_refresh_and_the_next_up_mends_it(engine: Engine, kubectl: Any) -> None:
    def program() -> None:
        config_map(a="1")
        unwatched("one")

    engine.set_config(MUTABLE)
    engine.up(program)
    assert engine.refresh(program).error == ""
    assert engine.preview(program).changes == {}

    kubectl("patch", "cm", "settings", "--type=merge", "-p", '{"data": {"a": "9"}}')
    kubectl("delete", "deployment", "web")
    engine.refresh(program)
    assert engine.up(program).steps == {"settings": "update", "web": "create"}
    assert kubectl("get", "cm", "settings", "-o", "json")["data"] == {"a": "1"}


def test_a_destroyed_stack_leaves_nothing(engine: Engine, kubectl: Any) -> None:
    def program() -> None:
        made = Namespace("ns", metadata={"name": f"{NAMESPACE}-own"})
        ConfigMap("settings", metadata={"name": "settings", "namespace": made.metadata.name})

    assert engine.up(program).error == ""
    assert engine.destroy().error == ""
    listed = kubectl("get", "namespaces", "-o", "json")["items"]
    assert f"{NAMESPACE}-own" not in {item["metadata"]["name"] for item in listed}
    assert engine.state().keys() <= {"test-test"}
