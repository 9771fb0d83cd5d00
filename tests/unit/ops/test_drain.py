"""`drain`: what hands over before a node is cordoned, who is evicted, and where it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client
from typer.testing import CliRunner, Result

from ado_infra.ops import cli, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.nodes import commands, draining, node
from ado_infra.ops.nodes.draining import Draining
from ado_infra.ops.nodes.node import Node
from ado_infra.ops.redis import commands as redis
from ado_infra.ops.redis import telling
from ado_infra.ops.target import Target
from tests.support.operated_pair import PRIMARY, STANDBY, Cluster, Killed
from tests.support.redis_nodes import Nodes

DRAINED = "n1"
"""Where PRIMARY is."""


class Host:
    """The node, with pods that go when they may; its changes are calls of the cluster's."""

    def __init__(self, cluster: Cluster | None = None, name: str = DRAINED) -> None:
        self.name = name
        self.cluster = cluster or Cluster()
        self.cordoned = False
        self.note: int | None = None
        self.there = {"ado-worker-a": 7200, "postgresql-0": 60}
        """Pod → seconds that it is given to end."""
        self.ending: set[str] = set()
        self.budgets: dict[str, int] = {}
        """Pod → how often its disruption budget refuses yet."""
        self.never_end: set[str] = set()
        self.asked: list[str] = []

    def read(self) -> Any:
        return SimpleNamespace(metadata=SimpleNamespace(name=self.name))

    def takes_pods(self) -> bool:
        return not self.cordoned

    def cordon(self, *, cordoned: bool) -> None:
        self.cluster.change(f"cordon {cordoned}")
        self.cordoned = cordoned

    def moved(self) -> int | None:
        return self.note

    def note_moved(self, ordinal: int | None) -> None:
        self.cluster.call()
        self.note = ordinal

    def pods(self) -> list[Any]:
        """Whoever was told to go has gone by the look after the next."""
        found = [self._pod(name) for name in sorted(self.there)]
        for name in self.ending - self.never_end:
            self.there.pop(name, None)
        return found

    def _pod(self, name: str) -> Any:
        ends = name in self.ending
        metadata = SimpleNamespace(
            name=name,
            uid=name,
            deletion_timestamp="now" if ends else None,
            deletion_grace_period_seconds=self.there[name] if ends else None,
        )
        spec = SimpleNamespace(termination_grace_period_seconds=self.there[name])
        return SimpleNamespace(metadata=metadata, spec=spec)

    def waiting(self) -> list[str]:
        return ["postgresql-0"]

    def evict(self, pod: Any) -> str:
        assert self.cordoned
        name = pod.metadata.name
        self.asked.append(name)
        if self.budgets.get(name, 0) > 0:
            self.budgets[name] -= 1
            return "The disruption budget ado-worker-pdb needs 2 healthy pods and has 2 currently"
        self.cluster.change(f"evict {name}")
        self.ending.add(name)
        return ""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (draining, telling):
        monkeypatch.setattr(module, "POLL", 0)
    monkeypatch.setattr("ado_infra.ops.namespace.POLL", 0)
    monkeypatch.setattr(draining, "_AGAIN", 0)
    monkeypatch.setattr(telling, "ROUND", 0)


def _draining(host: Host, **changed: Any) -> Draining:
    made: dict[str, Any] = {"node": host, "platform": host.cluster, "postgres": True, "redis": None}
    return Draining(**(made | changed))


def _drain(host: Host, **changed: Any) -> list[str]:
    said: list[str] = []
    _draining(host, **changed).drain(said.append)
    return said


def test_the_primary_has_moved_and_its_former_pod_follows_before_the_node_is_cordoned() -> None:
    host = Host()
    said = _drain(host)
    cluster = host.cluster
    assert cluster.primaries() == [1]
    assert cluster.members[0].streaming
    assert "fenced" not in cluster.data
    assert cluster.changes[-3:] == ["cordon True", "evict ado-worker-a", "evict postgresql-0"]
    assert host.there == {}
    assert host.note is None
    assert "ado-worker-a ends; it has at most 7200 s" in said
    assert said[-1].endswith("has gone")


def test_a_node_without_the_primary_is_cordoned_and_emptied() -> None:
    host = Host(name="n2")
    _drain(host)
    assert host.cluster.changes == ["cordon True", "evict ado-worker-a", "evict postgresql-0"]


def test_killed_after_any_of_its_calls_the_same_command_goes_on() -> None:
    straight = Host()
    _drain(straight)
    for made in range(straight.cluster.calls):
        host = Host()
        host.cluster.interrupt_after = made
        with pytest.raises(Killed):
            _drain(host)
        host.cluster.interrupt_after = None
        host.cluster.time_passes()  # what went on in a pod has ended
        _drain(host)
        assert host.cluster.primaries() == [1], made
        assert host.cluster.data == straight.cluster.data, made
        assert host.cluster.services == straight.cluster.services, made
        assert host.cluster.members == straight.cluster.members, made
        assert (host.there, host.cordoned, host.note) == ({}, True, None), made


def test_again_it_changes_nothing() -> None:
    host = Host()
    _drain(host)
    calls = host.cluster.calls
    assert _drain(host) == []
    assert host.cluster.calls == calls


STUCK: dict[str, tuple[Callable[[], Host], str]] = {
    "lags": (
        lambda: Host(Cluster(PRIMARY, replace(STANDBY, streaming=False))),
        "postgresql-1 does not follow; see `ado-ops postgres status`",
    ),
    "is there too": (
        lambda: Host(Cluster(PRIMARY, replace(STANDBY, node=DRAINED))),
        "postgresql-1 is on n1 too",
    ),
    "is gone": (
        lambda: Host(Cluster(PRIMARY, replace(STANDBY, server=None, trouble="no node"))),
        "postgresql-1 cannot become the primary: no node",
    ),
}


@pytest.mark.parametrize("state", STUCK)
def test_where_nobody_can_take_the_primarys_place_it_is_left_unless_told(state: str) -> None:
    made, why = STUCK[state]
    host = made()
    for command in (_drain, lambda h: _draining(h).steps()):
        with pytest.raises(OpsError, match=r"Nothing was touched") as refused:
            command(host)
        assert why in str(refused.value)
        assert "--accept-outage" in str(refused.value)
    assert host.cluster.changes == []
    _drain(host, accept_outage=True)
    assert host.cluster.primaries() == [0]
    assert host.there == {}


def test_a_node_that_was_cordoned_before_is_not_promoted_away_from() -> None:
    host = Host()
    host.cordoned = True
    with pytest.raises(OpsError, match=r"kubectl uncordon n1"):
        _drain(host)
    assert host.cluster.changes == []


def test_a_pod_that_its_budget_keeps_is_asked_again_and_the_budget_named_once() -> None:
    host = Host(name="n2")
    host.budgets["ado-worker-a"] = 3
    said = _drain(host)
    assert host.asked.count("ado-worker-a") == 4
    (line,) = (line for line in said if "may not go" in line)
    assert line.startswith("ado-worker-a may not go yet: The disruption budget ado-worker-pdb")


@pytest.mark.parametrize("kept", [True, False], ids=["budget", "late"])
def test_a_pod_that_does_not_go_is_named_with_the_reason(
    kept: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "PATIENCE", 0)
    monkeypatch.setattr(draining, "_MARGIN", 0)
    host = Host(name="n2")
    host.there = {"ado-worker-a": 0}
    if kept:
        host.budgets["ado-worker-a"] = 10**9
    else:
        host.never_end.add("ado-worker-a")
    with pytest.raises(OpsError, match=r"The same command goes on") as told:
        _drain(host)
    assert ("ado-worker-pdb" if kept else "has not ended in time") in str(told.value)
    assert "n1" not in str(told.value)


def test_a_long_grace_period_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += 100
        if now[0] >= 7000:
            host.never_end.clear()

    monkeypatch.setattr(draining, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    host = Host(name="n2")
    host.never_end.add("ado-worker-a")
    _drain(host)
    assert now[0] >= 7000


def _redis(nodes: Nodes, host: Host) -> dict[str, Any]:
    target: Any = SimpleNamespace(is_external=lambda _: False, namespace="ado-system")
    host.there = {}
    return {
        "platform": nodes,
        "postgres": False,
        "redis": lambda: redis.seen(target, nodes),  # pyright: ignore[reportArgumentType]
    }


def test_a_master_hands_over_to_its_replica_elsewhere_without_a_loss() -> None:
    nodes, host = Nodes(6), Host(name="node-of-redis-1")
    keys = nodes.keys()
    said = _drain(host, **_redis(nodes, host))
    assert nodes.told == ["redis-4: cluster failover"]
    assert "redis-4 is the master in the place of redis-1" in said
    assert nodes.keys() == keys
    assert _drain(host, **_redis(nodes, host)) == []


def test_interrupted_before_it_heard_the_same_command_hands_over() -> None:
    nodes, host = Nodes(6), Host(name="node-of-redis-1")
    nodes.cut_after = 0
    with pytest.raises(KeyboardInterrupt):
        _drain(host, **_redis(nodes, host))
    assert not host.cordoned
    nodes.cut_after = None
    _drain(host, **_redis(nodes, host))
    assert nodes.told == ["redis-4: cluster failover"]
    assert host.cordoned


def test_a_master_without_a_replica_is_said_to_be_away_meanwhile() -> None:
    nodes, host = Nodes(3), Host(name="node-of-redis-1")
    said = _drain(host, **_redis(nodes, host))
    assert said[0] == ("redis-1 has nobody to hand over to: its keys are away until it is back")
    assert nodes.told == []
    assert host.cordoned


def test_a_replica_that_lags_keeps_its_master_where_it_is_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OpsError("redis-4 does not have all that its master redis-1 has.")

    monkeypatch.setattr(draining.repair, "failover", refuse)
    nodes, host = Nodes(6), Host(name="node-of-redis-1")
    with pytest.raises(OpsError, match=r"redis-1 cannot hand over: redis-4 .*--accept-outage"):
        _drain(host, **_redis(nodes, host))
    assert not host.cordoned
    _drain(host, accept_outage=True, **_redis(nodes, host))
    assert host.cordoned


class TestCommand:
    """The command, with the node above."""

    @pytest.fixture(autouse=True)
    def here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = Host()
        made = lambda *_: self.host  # noqa: E731
        monkeypatch.setattr(commands, "Node", made)
        monkeypatch.setattr(commands, "alone", lambda *_: nullcontext())
        monkeypatch.setattr(rights, "require_nodes", lambda _: None)
        self.restoring: str | None = None
        monkeypatch.setattr(commands.backups, "going_on", lambda _: self.restoring)
        monkeypatch.setattr(Target, "reach", lambda *_: self.host.cluster)
        monkeypatch.setattr(Target, "is_external", lambda _, store: store == "redis")
        monkeypatch.setattr(Cluster, "stateful_set", lambda *_: None, raising=False)

    def _run(self, *options: str) -> Result:
        return CliRunner().invoke(cli.app, ["drain", DRAINED, "--stack", "dev", *options])

    def test_a_dry_run_says_all_of_it_and_changes_nothing(self) -> None:
        first, *others = self._run("--dry-run").stdout.splitlines()
        assert first.startswith("1. make postgresql-1 the primary in the place of postgresql-0:")
        assert others == [
            "2. make postgresql-0 its standby",
            "3. cordon n1",
            "4. evict ado-worker-a, which has at most 7200 s to end",
            "5. evict postgresql-0, which has at most 60 s to end",
        ]
        assert self.host.cluster.calls == 0

    def test_it_says_what_it_left_and_what_comes_afterwards(self) -> None:
        done = self._run()
        assert done.exit_code == 0
        assert "Without a node: postgresql-0" in done.stdout
        assert "other namespaces were not touched" in done.stdout
        assert "`ado-ops drain n1 --undo`" in done.stdout

    @pytest.mark.parametrize("options", [(), ("--dry-run",), ("--accept-outage",)])
    def test_a_restore_that_goes_on_is_not_evicted(self, options: tuple[str, ...]) -> None:
        self.restoring = "restore x"
        refused = self._run(*options)
        assert "`ado-ops postgres restore x` waits for its end" in str(refused.exception)
        assert self.host.cluster.calls == 0

    def test_undone_pods_come_again(self) -> None:
        self._run()
        assert self._run("--undo", "--dry-run").stdout == "1. uncordon n1\n"
        assert self.host.cordoned
        assert self._run("--undo").stdout == "Pods may come to n1 again.\n"
        assert not self.host.cordoned
        assert "nothing to do" in self._run("--undo", "--dry-run").stdout

    def test_undone_half_way_through_a_promotion_that_is_said(self) -> None:
        self.host.note = 0
        done = self._run("--undo")
        assert "away from postgresql-0: `ado-ops postgres status`" in done.stdout
        assert self.host.note is None


class TestNode:
    """What the API server is told, and what it says."""

    @pytest.fixture(autouse=True)
    def here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.refusal: client.ApiException | None = None

        def answer(method: str) -> Callable[..., Any]:
            def call(_: object, *arguments: Any, **options: Any) -> Any:
                self.asked.append((method, arguments or options))
                if self.refusal:
                    raise self.refusal
                return SimpleNamespace(items=[])

            return call

        for method in ("read_node", "patch_node", "create_namespaced_pod_eviction"):
            monkeypatch.setattr(client.CoreV1Api, method, answer(method))
        platform = Namespace(client.ApiClient(), "ado-system")
        self.node = Node(platform, "n1")

    def _evict(self, status: int = 201, body: dict[str, Any] | None = None) -> str:
        if status > 201:
            self.refusal = client.ApiException(status=status, reason="Reason")
            self.refusal.body = json.dumps(body) if body is not None else None
        pod = SimpleNamespace(metadata=SimpleNamespace(name="redis-1", uid="7"))
        return self.node.evict(pod)

    def test_this_very_pod_is_asked_to_go(self) -> None:
        assert self._evict() == ""
        ((_, (name, namespace, eviction)),) = self.asked
        assert (name, namespace, eviction.metadata.name) == ("redis-1", "ado-system", "redis-1")
        assert eviction.delete_options.preconditions.uid == "7"

    def test_a_budget_that_refuses_is_named_as_the_api_server_does(self) -> None:
        cause = {
            "reason": "DisruptionBudget",
            "message": "The disruption budget redis-pdb needs 3.",
        }
        body = {"message": "Cannot evict pod", "details": {"causes": [cause]}}
        assert self._evict(429, body) == "The disruption budget redis-pdb needs 3"

    @pytest.mark.parametrize(
        ("status", "body", "why"),
        [
            (404, None, ""),
            (409, None, ""),
            (429, None, "Reason"),
            (429, {}, "Reason"),
            (500, {"message": "two budgets match"}, "two budgets match"),
        ],
    )
    def test_what_else_it_says_is_told(
        self, status: int, body: dict[str, Any] | None, why: str
    ) -> None:
        assert self._evict(status, body) == why

    def test_whoever_may_not_evict_hears_that(self) -> None:
        with pytest.raises(client.ApiException):
            self._evict(403)

    def test_a_node_that_is_not_there_is_a_message(self) -> None:
        self.refusal = client.ApiException(status=404)
        with pytest.raises(OpsError, match=r"There is no node n1 .*`kubectl get nodes`"):
            self.node.read()

    def test_the_note_is_one_of_this_platform(self) -> None:
        self.node.note_moved(1)
        self.node.note_moved(None)
        key = f"{node.MOVED}/ado-system"
        assert [body["metadata"]["annotations"] for _, (_, body) in self.asked] == [
            {key: "1"},
            {key: None},
        ]
