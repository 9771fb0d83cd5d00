"""`drift`: what is not as it is written is named, and nothing else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client
from typer.testing import CliRunner, Result

from ado_infra.ops import cli
from ado_infra.ops.living import LivingObjects
from ado_infra.ops.platform import drift
from ado_infra.ops.platform.drift import Found, Key
from ado_infra.ops.target import Target
from ado_infra.render.objects import RenderedObject
from ado_infra.render.rendering import render
from tests.support.recording import ROOT

NAMESPACE = "ado-system"
OWNER = {"kind": "CronJob", "name": "postgresql-backup"}


@cache
def _written() -> tuple[RenderedObject, ...]:
    return tuple(render(ROOT, "dev").objects)


class Living:
    """A cluster that has all of it, as an API server keeps it right after an `up`."""

    def __init__(self) -> None:
        self.objects: dict[Key, Any] = {}
        for each in _written():
            manifest = copy.deepcopy(dict(each.manifest))
            metadata = manifest["metadata"]
            self.objects[manifest["kind"], metadata.get("namespace", ""), metadata["name"]] = _kept(
                manifest
            )

    def get(self, kind: str, name: str) -> Any:
        """One of them, to be changed."""
        return self.objects[kind, "" if kind == "Namespace" else NAMESPACE, name]

    def add(self, kind: str, name: str, **metadata: Any) -> None:
        """Another one, labelled as one of this installation's."""
        labels = self.get("Deployment", "ado-worker")["metadata"]["labels"]
        made = {"metadata": {"name": name, "labels": labels, **metadata}}
        self.objects[kind, NAMESPACE, name] = made

    def read(self, api_version: str, kind: str, identifier: str) -> Any:
        assert api_version
        namespace, _, name = identifier.rpartition("/")
        return self.objects.get((kind, namespace, name))

    def listed(self, api_version: str, kind: str, namespace: str, selector: str) -> list[Any]:
        assert api_version
        assert selector == (
            "app.kubernetes.io/instance in (ado),app.kubernetes.io/managed-by=pulumi"
        )
        return [o for (k, n, _), o in self.objects.items() if (k, n) == (kind, namespace)]


def _kept(manifest: dict[str, Any]) -> dict[str, Any]:
    """With defaults, with other values where only the cluster knows them, without what is empty."""
    manifest["metadata"] |= {"uid": "1", "resourceVersion": "2", "generation": 3}
    manifest["status"] = {"observedGeneration": 3}
    kind, spec = manifest["kind"], manifest.get("spec", {})
    if kind == "Secret":
        manifest["data"] = dict.fromkeys(manifest.get("data", ()), "bGl2aW5n")
    if kind == "Service":
        spec |= {"sessionAffinity": "None", "ipFamilies": ["IPv4"]}
        if manifest["metadata"]["name"] in {"postgresql", "postgresql-ro"}:
            spec["selector"] = {"led": "elsewhere"}
        for port in spec["ports"]:
            port["protocol"] = "TCP"
    if kind == "ConfigMap" and manifest["metadata"]["name"] == "postgresql-state":
        manifest["data"] = {"primary": "1"}
    if kind in {"Deployment", "StatefulSet"}:
        spec.setdefault("replicas", 4)
        spec["revisionHistoryLimit"] = 10
        _defaulted(spec["template"])
    if kind == "Job":
        spec["template"]["spec"] = {"of": "an earlier version"}
    return _without_empty(manifest)


def _defaulted(template: dict[str, Any]) -> None:
    annotations = template["metadata"].get("annotations", {})
    pod = template["spec"]
    pod |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    secret = {volume["name"] for volume in pod.get("volumes", ()) if "configMap" not in volume}
    for container in pod["containers"]:
        container["terminationMessagePath"] = "/dev/termination-log"
        secret |= {v["name"] for v in container["env"] if "valueFrom" in v}
        container["resources"]["limits"]["cpu"] = _other(container["resources"]["limits"]["cpu"])
    for key in annotations:
        if key.removeprefix("checksum/") in secret:
            annotations[key] = "of the real value"


def _other(cpu: str) -> str:
    """The same amount, written in another way."""
    return f"{int(cpu) * 1000}m" if cpu.isdecimal() else cpu


def _without_empty(value: Any) -> Any:
    """As JSON of Go leaves out what is empty text."""
    if isinstance(value, dict):
        return {key: _without_empty(each) for key, each in value.items() if each != ""}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value


def _compared(living: Living) -> Found:
    return drift.compare(_written(), living)  # pyright: ignore[reportArgumentType]


def _container(living: Living, name: str) -> Any:
    return living.get("Deployment", name)["spec"]["template"]["spec"]["containers"][0]


def test_right_after_an_up_there_is_none() -> None:
    found = _compared(Living())
    assert found.lines() == []
    assert found.objects == len(_written()) > 30


def _paused(living: Living) -> None:
    deployment = living.get("Deployment", "ado-orchestrator")
    deployment["metadata"]["annotations"] = {"ado.ops/paused": "true", "ado.ops/replicas": "2"}
    deployment["spec"]["replicas"] = 0


CHANGES: dict[str, tuple[Callable[[Living], object], str]] = {
    "deleted": (
        lambda c: c.objects.pop(("Deployment", NAMESPACE, "ado-dashboard")),
        "missing: Deployment ado-dashboard",
    ),
    "image": (
        lambda c: _container(c, "ado-worker").update(image="ado/other:1"),
        "ado-worker: spec.template.spec.containers[worker].image: wanted ado/worker:",
    ),
    "amount": (
        lambda c: _container(c, "ado-dashboard")["resources"]["limits"].update(memory="1Ti"),
        "spec.template.spec.containers[dashboard].resources.limits.memory: wanted ",
    ),
    "number of pods": (
        lambda c: c.get("Deployment", "ado-dashboard")["spec"].update(replicas=9),
        "changed: Deployment ado-dashboard: spec.replicas: wanted 1, found 9",
    ),
    "paused": (_paused, "found paused, `resume` gives it 2 pods"),
    "variable more": (
        lambda c: _container(c, "ado-worker")["env"].append({"name": "X", "value": "hunter2"}),
        "containers[worker].env[X]: wanted (absent), found (present)",
    ),
    "variable less": (
        lambda c: _container(c, "ado-worker")["env"].pop(0),
        "found (absent)",
    ),
    "key more": (
        lambda c: c.get("ConfigMap", "ado-config")["data"].update(more="hunter2"),
        "changed: ConfigMap ado-config: data.more: wanted (absent), found (present)",
    ),
    "line": (
        lambda c: c.get("ConfigMap", "redis-config")["data"].update(
            {"start.sh": c.get("ConfigMap", "redis-config")["data"]["start.sh"] + "exit 1\n"}
        ),
        "found exit 1",
    ),
    "secret's key": (
        lambda c: c.get("Secret", "redis")["data"].update({"other": "aHVudGVyMg=="}),
        "changed: Secret redis: data.other: wanted (absent), found (present)",
    ),
    "secret's key less": (
        lambda c: c.get("Secret", "redis")["data"].pop("password"),
        "changed: Secret redis: data.password: wanted (present), found (absent)",
    ),
    "label": (
        lambda c: c.get("Service", "redis")["metadata"]["labels"].pop("app.kubernetes.io/name"),
        "changed: Service redis: metadata.labels.app.kubernetes.io/name: wanted ado",
    ),
    "selector": (
        lambda c: c.get("Service", "redis")["spec"]["selector"].update(version="1"),
        "changed: Service redis: spec.selector.version: wanted (absent)",
    ),
    "bound": (
        lambda c: c.get("HorizontalPodAutoscaler", "ado-worker-hpa")["spec"].update(maxReplicas=99),
        "spec.maxReplicas: wanted ",
    ),
    "extra": (lambda c: c.add("Ingress", "by-hand"), "extra: Ingress by-hand"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_one_line_that_names_it(change: str) -> None:
    made, said = CHANGES[change]
    living = Living()
    made(living)
    (line,) = _compared(living).lines()
    assert said in line
    assert "hunter2" not in line
    assert len(line) < 300


def test_what_a_controller_makes_by_itself_is_none() -> None:
    living = Living()
    living.add("Job", "postgresql-backup-29", ownerReferences=[OWNER])
    assert _compared(living).lines() == []


class TestCommand:
    """The command, with the cluster above."""

    @pytest.fixture(autouse=True)
    def here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.living = Living()
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(Target, "reach", lambda *_: SimpleNamespace(api=None))
        monkeypatch.setattr(drift, "LivingObjects", lambda _: self.living)
        monkeypatch.setattr(drift, "_render", lambda _: _written())

    @staticmethod
    def _run(*options: str) -> Result:
        return CliRunner().invoke(cli.app, ["drift", "--stack", "dev", *options])

    def test_none_is_said_and_is_exit_code_0(self) -> None:
        done = self._run()
        assert done.exit_code == 0
        assert (
            done.stdout == f"No drift: all {len(_written())} objects are as the stack is written.\n"
        )
        printed = self._run("--json")
        assert printed.exit_code == 0
        assert json.loads(printed.stdout) == {
            "objects": len(_written()),
            "missing": [],
            "changed": [],
            "extra": [],
        }

    def test_some_is_listed_and_is_exit_code_3(self) -> None:
        for name in ("deleted", "number of pods", "extra"):
            made, _ = CHANGES[name]
            if name != "number of pods":
                made(self.living)
        self.living.get("Service", "redis")["spec"]["type"] = "NodePort"
        done = self._run()
        assert done.exit_code == 3
        assert "1 are missing and 1 changed, 1 are there" in done.stdout
        assert "- missing: Deployment ado-dashboard\n- changed: Service redis" in done.stdout
        printed = self._run("--json")
        assert printed.exit_code == 3
        found = json.loads(printed.stdout)
        named = {"namespace": NAMESPACE}
        assert found["missing"] == [{"kind": "Deployment", "name": "ado-dashboard", **named}]
        assert found["extra"] == [{"kind": "Ingress", "name": "by-hand", **named}]
        (changed,) = found["changed"]
        values = {"path": "spec.type", "wanted": "ClusterIP", "found": "NodePort"}
        assert changed == {"kind": "Service", "name": "redis", **named, **values}


def test_settings_that_are_refused_are_a_message(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["drift", "--stack", "dev"])
    assert "Pulumi.yaml" in str(done.exception)


def test_a_kind_that_the_cluster_has_not_has_no_objects_and_a_refusal_names_what() -> None:
    answers = {
        "/api/v1": (200, {"resources": [{"kind": "Secret", "name": "secrets"}]}),
        "/api/v1/namespaces/a/secrets?labelSelector=b+in+%28c%29": (200, {"items": [{"x": 1}]}),
        "/api/v1/namespaces/a/secrets/d": (403, {}),
    }

    def call_api(path: str) -> SimpleNamespace:
        status, found = answers.get(path, (404, {}))
        data = json.dumps(found)
        return SimpleNamespace(read=lambda: None, status=status, data=data, reason="Forbidden")

    api: Any = SimpleNamespace(param_serialize=lambda _, path, **__: (path,), call_api=call_api)
    living = LivingObjects(api)
    assert living.listed("v1", "Secret", "a", "b in (c)") == [{"x": 1}]
    assert living.listed("of.nobody/v1", "Thing", "a", "b") == []
    with pytest.raises(client.ApiException, match="secrets/d"):
        living.read("v1", "Secret", "a/d")
