"""Each command asks for exactly the rights that it uses; who lacks one is told which."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes import client
from kubernetes.client.rest import RESTResponse
from pydantic import ValidationError
from typer.testing import CliRunner
from urllib3 import HTTPResponse

from ado_infra.ops import cli, model_key, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.nodes.node import Node
from ado_infra.ops.platform import drift, pausing
from ado_infra.ops.postgres import commands, pair, writers
from ado_infra.ops.rights import Right
from ado_infra.ops.target import Target
from tests.support.operated import BACKUP, Platform, WorkerPools
from tests.support.operated_pair import PRIMARY, STANDBY

POD = SimpleNamespace(metadata=SimpleNamespace(name="x", uid="0", resource_version="1"))
JOB = SimpleNamespace(metadata=SimpleNamespace(uid="0"))
SELECTOR = SimpleNamespace(match_labels={"a": "b"})
DEPLOYMENT = SimpleNamespace(spec=SimpleNamespace(selector=SELECTOR))
METHODS: dict[str, tuple[Callable[[Namespace], object], set[str]]] = {
    "pod": (lambda n: n.pod("x"), {"get pods"}),
    "poke": (lambda n: n.poke("x"), {"patch pods"}),
    "delete_pod": (lambda n: n.delete_pod(POD), {"delete pods"}),
    "pods_of": (lambda n: n.pods_of(JOB), {"list pods"}),
    "pods_of_deployment": (lambda n: n.pods_of_deployment(DEPLOYMENT), {"list pods"}),
    "log": (lambda n: n.log("x", "y"), {"get pods/log"}),
    "first_said": (lambda n: n.first_said("x"), {"get pods/log"}),
    "config_map": (lambda n: n.config_map("x"), {"get configmaps"}),
    "patch_config_map": (lambda n: n.patch_config_map("x", {}), {"patch configmaps"}),
    "service": (lambda n: n.service("x"), {"get services"}),
    "patch_selector": (lambda n: n.patch_selector("x", {}), {"patch services"}),
    "secret": (lambda n: n.secret("x", "y"), {"get secrets"}),
    "secret_changed": (lambda n: n.secret_changed("x"), {"get secrets"}),
    "patch_secret": (lambda n: n.patch_secret("x", {}, version="1"), {"patch secrets"}),
    "stateful_set": (lambda n: n.stateful_set("x"), {"get statefulsets"}),
    "deployments": (lambda n: n.deployments(), {"list deployments"}),
    "restart": (lambda n: n.restart("x", "y"), {"patch deployments"}),
    "annotate_pods": (lambda n: n.annotate_pods("x", "y", "z"), {"patch deployments"}),
    "annotate_deployment": (
        lambda n: n.annotate_deployment("x", "y", "z"),
        {"patch deployments"},
    ),
    "scale": (lambda n: n.scale("x", 1), {"patch deployments/scale"}),
    "cron_job": (lambda n: n.cron_job("x"), {"get cronjobs"}),
    "jobs": (lambda n: n.jobs(), {"list jobs"}),
    "create_job": (lambda n: n.create_job({}), {"create jobs"}),
    "delete_job": (lambda n: n.delete_job("x"), {"delete jobs"}),
}
"""What the methods of Namespace ask of the API server."""
USES = {name: asked for name, (_, asked) in METHODS.items()}
# What waits, goes on after an answer, or is a websocket is not tried here.
USES["looks_at"] = {"list pods", "watch pods"}
USES["disown_scale"] = {"get deployments", "patch deployments"}
USES["run"] = {"get pods/exec", "create pods/exec"}
NOTHING = {"plain", "lacking", "node_answers", "lost_contact"}
"""Those that need nothing in the platform's namespace."""
LEASE = {f"{verb} leases" for verb in ("get", "create", "update", "delete")}


def _named(needed: Sequence[Right]) -> set[str]:
    return {f"{verb} {right.resource}" for right in needed for verb in right.verbs}


class Recorder(client.ApiClient):
    """Notes what is asked; every object is there, and is empty."""

    def __init__(self) -> None:
        settings = client.Configuration(host="http://nowhere")
        settings.client_side_validation = False
        super().__init__(settings)
        self.asked: set[str] = set()

    def call_api(self, *arguments: Any, **_: Any) -> Any:
        method, url = arguments[:2]
        path = urlsplit(url).path
        _, _, inside = path.partition("/namespaces/ado-system/")
        inside = inside or path.removeprefix("/api/v1/")  # what is of no namespace
        kind, name, part = [*inside.split("/"), "", ""][:3]
        reads = "get" if name else "list"
        verb = {"GET": reads, "POST": "create"}.get(method, method.lower())
        self.asked.add(f"{verb} {kind}{'/' if part else ''}{part}")
        found = b'{"metadata": {}, "items": []}'
        return RESTResponse(HTTPResponse(found, {"content-type": "application/json"}, status=200))


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_asks_of_the_api_server_is_as_noted_here(name: str) -> None:
    api = Recorder()
    call, asked = METHODS[name]
    with suppress(OpsError, ValidationError):  # what is empty has no key, and no spec
        call(Namespace(api, "ado-system"))
    assert api.asked == asked


@pytest.mark.parametrize("name", [*METHODS, "disown_scale", "run"])
def test_who_may_change_nothing_any_more_is_asked_before_each_change(name: str) -> None:
    api = Recorder()
    namespace = Namespace(api, "ado-system")

    def taken_over() -> None:
        raise InterruptedError

    namespace.before_change = taken_over
    calls = {name: call for name, (call, _) in METHODS.items()}
    calls["disown_scale"] = lambda n: n.disown_scale("x")
    calls["run"] = lambda n: n.run("x", ["rm"], changes=True)
    reads = all(asked.startswith(("get ", "list ")) for asked in USES[name])
    with suppress(OpsError, ValidationError) if reads else pytest.raises(InterruptedError):
        calls[name](namespace)
    assert reads or not api.asked


def test_every_method_is_noted() -> None:
    methods = {name for name, _ in inspect.getmembers(Namespace, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} == USES.keys() | NOTHING


class Noting:
    """A platform, and which rights were used on it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.used |= USES.get(name, set())
        return getattr(self._platform, name)


FORMER = replace(STANDBY, server=None, disk="primary", streaming=False)


def _stopped(platform: Platform) -> None:
    writers.stop(platform, lambda _: None)  # pyright: ignore[reportArgumentType]


def _paused(platform: Platform) -> None:
    pausing.stop(platform, lambda _: None)  # pyright: ignore[reportArgumentType]


def _cut_off(platform: Platform) -> None:
    """A restore, and a rotation."""
    _stopped(platform)
    platform.changed_at = 1


def _listed(platform: Platform) -> None:
    """A list whose Job is there still."""
    platform.create_job({"metadata": {"name": "postgresql-backups", "annotations": LISTS}})
    platform.jobs()


LISTS = {"ado.ops/asked": "list"}
COMMANDS: dict[str, tuple[tuple[pair.Member, pair.Member], Callable[[Platform], object]]] = {
    "status": ((PRIMARY, STANDBY), _cut_off),
    "promote 1": ((PRIMARY, STANDBY), _listed),
    "rejoin 1": ((PRIMARY, FORMER), lambda p: p.settle()),
    "fence 1": ((PRIMARY, STANDBY), lambda _: None),
    "unfence 1": ((PRIMARY, STANDBY), lambda p: p.data.update(fenced="1")),
    "rotate": ((PRIMARY, STANDBY), lambda _: None),
    "backup": ((PRIMARY, STANDBY), lambda _: None),
    "restore --list": ((PRIMARY, STANDBY), _listed),
    f"restore {BACKUP}": ((PRIMARY, STANDBY), _listed),
    "start-writers": ((PRIMARY, STANDBY), _stopped),
    "pause": ((PRIMARY, STANDBY), lambda _: None),
    "resume": ((PRIMARY, STANDBY), _paused),
    "rotate-model-key gpu --stdin": ((PRIMARY, STANDBY), lambda _: None),
}
OF_THE_PLATFORM = {"pause", "resume", "rotate-model-key gpu --stdin"}


@pytest.mark.parametrize("typed", COMMANDS)
def test_a_command_asks_for_exactly_what_it_uses(
    typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, made = COMMANDS[typed]
    platform = WorkerPools(*members) if "model" in typed else Platform(*members)
    made(platform)
    noting, asked = Noting(platform), set[str]()

    def reach(_: Target, *needed: Right) -> Noting:
        asked.update(_named(needed))
        return noting

    def alone(*_: object) -> Any:
        noting.used |= LEASE
        return nullcontext()

    def lacking(needed: Sequence[Right]) -> list[str]:
        asked.update(_named(needed))
        return []

    monkeypatch.setattr(Target, "reach", reach)
    monkeypatch.setattr(Target, "settings", lambda _: {})
    monkeypatch.setattr(Target, "kubectl", "kubectl")
    monkeypatch.setattr(commands, "alone", alone)
    monkeypatch.setattr(pausing, "alone", alone)
    monkeypatch.setattr(model_key, "alone", alone)
    monkeypatch.setattr(platform, "lacking", lacking, raising=False)
    room = [] if typed in OF_THE_PLATFORM else ["postgres"]
    done = CliRunner().invoke(cli.app, [*room, *typed.split(), "--stack", "dev"], input="k")
    assert done.exit_code in {0, 3}, done.exception
    assert noting.used == asked


NODE: dict[str, tuple[Callable[[Node], object], set[str]]] = {
    "read": (lambda n: n.read(), {"get nodes"}),
    "takes_pods": (lambda n: n.takes_pods(), {"get nodes"}),
    "moved": (lambda n: n.moved(), {"get nodes"}),
    "note_moved": (lambda n: n.note_moved(0), {"patch nodes"}),
    "cordon": (lambda n: n.cordon(cordoned=True), {"patch nodes"}),
    "pods": (lambda n: n.pods(), {"list pods"}),
    "waiting": (lambda n: n.waiting(), {"list pods"}),
    "evict": (lambda n: n.evict(POD), {"create pods/eviction"}),
}
"""What the methods of Node ask of the API server."""


@pytest.mark.parametrize("name", NODE)
def test_what_is_done_with_a_node_is_among_the_rights_of_drain(name: str) -> None:
    api = Recorder()
    call, asked = NODE[name]
    with suppress(AttributeError):  # what is empty has no spec
        call(Node(Namespace(api, "ado-system"), "n1"))
    assert api.asked == asked
    assert asked <= _named((*rights.DRAIN, *rights.NODES))


def test_every_method_of_a_node_is_noted() -> None:
    methods = {name for name, _ in inspect.getmembers(Node, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} == NODE.keys()


def test_drain_asks_for_what_it_does_through_others() -> None:
    others = (*rights.PROMOTE, *rights.REJOIN, *rights.REDIS)
    assert _named(others) <= _named(rights.DRAIN)
    assert {"get statefulsets"} <= _named(rights.DRAIN)


def _plural(kind: str) -> str:
    """How paths name it."""
    name = kind.lower()
    if name.endswith("y"):
        return name.removesuffix("y") + "ies"
    return name + ("es" if name.endswith("s") else "s")


def test_drift_asks_for_the_kinds_that_it_lists() -> None:
    listed = {
        (api_version.rpartition("/")[0], _plural(kind))
        for api_version, kinds in drift.KINDS.items()
        for kind in kinds
    }
    assert {(right.group, right.resource) for right in rights.DRIFT} == listed


def test_the_role_has_every_right_that_any_command_asks_for() -> None:
    given = _named(rights.ALL)
    for name, value in vars(rights).items():
        if name.isupper() and isinstance(value, tuple) and name != "NODES":
            assert _named(value) <= given, name


def test_what_no_role_can_give_is_asked_for_without_a_namespace_and_printed_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str | None, str | None]] = []

    def review(_: object, body: client.V1SelfSubjectAccessReview) -> SimpleNamespace:
        of = body.spec.resource_attributes
        assert of is not None
        asked.append((of.namespace, of.resource))
        return SimpleNamespace(status=SimpleNamespace(allowed=of.verb != "patch"))

    api = "kubernetes.client.AuthorizationV1Api.create_self_subject_access_review"
    monkeypatch.setattr(api, review)
    with pytest.raises(OpsError, match=r"You may not patch nodes\. .*`ado-ops role --nodes`"):
        rights.require_nodes(client.ApiClient())
    assert asked == [(None, "nodes")] * 2
    plain, both = (
        list(yaml.safe_load_all(CliRunner().invoke(cli.app, ["role", *options]).stdout))
        for options in ((), ("--nodes",))
    )
    assert [each["kind"] for each in plain] == ["Role"]
    assert [each["kind"] for each in both] == ["Role", "ClusterRole"]
    assert "namespace" not in both[1]["metadata"]
    assert both[1]["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}
    ]
