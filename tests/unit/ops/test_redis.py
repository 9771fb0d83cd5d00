"""The operator's look at Redis, on texts as Redis 8.0.2 printed them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ado_infra.ops.cli import app
from ado_infra.ops.errors import OpsError
from ado_infra.ops.redis import report
from ado_infra.ops.redis.cluster import Cluster, spans
from ado_infra.ops.redis.nodes import Member, look, parse_info, parse_nodes
from ado_infra.ops.target import Target

SIX = """\
eb52484fda76cb88eda29834b533dd8116872e0a 10.0.0.10:6379@16379,redis-0.redis-headless master - 0 1795600486000 0 connected 0-5460
5f41d43d8da4a0af89ac73b3ae14f1e7f6528a85 10.0.0.11:6379@16379,redis-1.redis-headless master - 0 1795600488396 1 connected 5461-10922
3c69582a9db88c04a9ab90f7eead852920c84709 10.0.0.12:6379@16379,redis-2.redis-headless master - 0 1795600488000 5 connected 10923-16383
4bf1f3d7afb6d0ff2c9b0f571ce5cc6c211a59a6 10.0.0.13:6379@16379,redis-3.redis-headless slave eb52484fda76cb88eda29834b533dd8116872e0a 0 1795600489000 0 connected
2484ab0520eac65251f382aae5567d40c441b3e4 10.0.0.14:6379@16379,redis-4.redis-headless slave 5f41d43d8da4a0af89ac73b3ae14f1e7f6528a85 0 1795600489424 1 connected
5bd4164a2e14c52d72907498c9bec3226ad90514 10.0.0.15:6379@16379,redis-5.redis-headless slave 3c69582a9db88c04a9ab90f7eead852920c84709 0 1795600487593 5 connected
"""  # noqa: E501 - as it is printed
THREE = "".join(SIX.splitlines(keepends=True)[:3])
OLD = "eb52484fda76cb88eda29834b533dd8116872e0a"
NEW = "91a9b13724808c48c11eabd55f11909c73f2cea6"
# redis-0 came back with an empty volume, and the others were introduced to it.
GHOST = f"{OLD} :0@0,redis-0.redis-headless master,fail,noaddr - 1795600509559 1795600507633 0 disconnected"  # noqa: E501
EMPTY = f"{NEW} 10.0.0.10:6379@16379,redis-0.redis-headless master - 0 1795600765030 0 connected\n"
INFO = """\
# Persistence\r
loading:0\r
aof_enabled:1\r
aof_last_write_status:ok\r
\r
# Memory\r
used_memory:2249168\r
maxmemory:644245094\r
maxmemory_policy:noeviction\r
\r
# Keyspace\r
db0:keys=9,expires=0,avg_ttl=0,subexpiry=0\r
cluster_state:ok\r
cluster_slots_assigned:16384\r
cluster_slots_ok:16384\r
"""
MASTER = """\
# Replication\r
role:master\r
connected_slaves:1\r
slave0:ip=10.0.0.13,port=6379,state=online,offset=322,lag=1\r
master_repl_offset:322\r
"""
REPLICA = """\
# Replication\r
role:slave\r
master_host:10.0.0.10\r
master_port:6379\r
master_link_status:up\r
master_sync_in_progress:0\r
slave_repl_offset:300\r
"""
LOADING = "loading:1\r\nLOADING Redis is loading the dataset in memory\n" * 2
LOG = "14374:M 25 Nov 2026 09:55:07.628 # !!! Warning: short read while loading the AOF file appendonly.aof.1.incr.aof!!!\n"  # noqa: E501


def _said(name: str, view: str) -> str:
    """What a pod prints, which sees the nodes so."""
    lines = view.splitlines()
    own = next(i for i, line in reversed([*enumerate(lines)]) if f",{name}." in line)
    words = lines[own].split(" ")
    words[2] = f"myself,{words[2]}"
    lines[own] = " ".join(words)
    return INFO + (REPLICA if "slave" in words[2] else MASTER) + "\n".join(lines)


def _member(ordinal: int, view: str, **info: str) -> Member:
    name = f"redis-{ordinal}"
    said = _said(name, view)
    return Member(
        name=name,
        phase="Running",
        ready=True,
        node=f"n{ordinal}",
        info=parse_info(said) | info,
        peers=parse_nodes(said),
    )


def _members(view: str) -> list[Member]:
    return [_member(ordinal, view) for ordinal in range(len(view.splitlines()))]


def _silent(ordinal: int) -> Member:
    return Member(name=f"redis-{ordinal}", trouble="there is no such pod")


def _findings(members: Sequence[Member]) -> list[str]:
    return list(report.findings(Cluster(members, replicas=len(members) // 3 - 1)))


class TestParsing:
    def test_a_line_of_a_node_is_taken_apart(self) -> None:
        own, *_, last = parse_nodes(_said("redis-0", SIX))
        assert own.flags == {"myself", "master"}
        assert (own.pod, own.master, own.slots) == ("redis-0", "", (range(5461),))
        assert (last.pod, last.master[:4], last.slots, last.reached) == (
            "redis-5",
            "3c69",
            (),
            True,
        )

    @pytest.mark.parametrize(
        ("slots", "found"),
        [
            ("7", (range(7, 8),)),
            ("0-2 5", (range(3), range(5, 6))),
            ("0-2 [3->-eb52484fda76cb88eda29834b533dd8116872e0a]", (range(3),)),
        ],
    )
    def test_slots_are_ranges_and_those_on_their_way_are_no_ones(
        self, slots: str, found: tuple[range, ...]
    ) -> None:
        (peer,) = parse_nodes(f"{EMPTY.strip()} {slots}\n")
        assert peer.slots == found

    def test_one_that_lost_its_address_is_not_reached(self) -> None:
        (peer,) = parse_nodes(GHOST)
        assert (peer.pod, peer.reached) == ("redis-0", False)

    def test_lines_of_info_are_found_between_others(self) -> None:
        info = parse_info(_said("redis-3", SIX))
        assert info["master_link_status"] == "up"
        assert not [key for key in info if " " in key or key.startswith("#")]

    def test_while_it_loads_a_node_says_nothing_else(self) -> None:
        assert parse_info(LOADING) == {"loading": "1"}
        assert parse_nodes(LOADING) == ()

    def test_slots_are_said_in_words(self) -> None:
        assert spans([*range(5461), 9000, 9001, 7000]) == "0-5460, 7000, 9000-9001"


class TestFindings:
    @pytest.mark.parametrize("view", [THREE, SIX], ids=["masters", "replicas"])
    def test_of_a_whole_cluster_there_is_nothing_to_say(self, view: str) -> None:
        members = _members(view)
        assert _findings(members) == []
        said = report.summary(Cluster(members, replicas=0))
        count = len(members)
        known = f"{count} nodes known in {count} pods, all agree."
        assert said == f"Whole: state ok, 16384 of 16384 slots served, {known}"

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ({"used_memory": "600000000"}, ["redis-0 uses 93% of its memory", "limits.memory"]),
            ({"aof_last_write_status": "err"}, ["could not write its log", "Growing a volume"]),
        ],
    )
    def test_a_node_in_need_is_named(self, change: dict[str, str], found: list[str]) -> None:
        (line,) = _findings([_member(0, THREE, **change), *_members(THREE)[1:]])
        assert all(part in line for part in found)

    @pytest.mark.parametrize(
        "harmless",
        [
            {"used_memory": "600000000", "maxmemory_policy": "allkeys-lru"},
            {"used_memory": "600000000", "maxmemory": "0"},
        ],
    )
    def test_memory_that_makes_room_for_itself_is_no_need(self, harmless: dict[str, str]) -> None:
        assert _findings([_member(0, THREE, **harmless), *_members(THREE)[1:]]) == []

    def test_one_that_loads_its_data_takes_its_keys_away(self) -> None:
        loads = Member(name="redis-0", phase="Running", info=parse_info(LOADING))
        found = "\n".join(_findings([loads, *_members(THREE)[1:]]))
        assert "redis-0 loads its data" in found
        assert "The keys of the slots 0-5460 are away until redis-0 is back" in found

    def test_a_pod_that_is_away_takes_its_keys_away(self) -> None:
        members = [_silent(0), *_members(THREE)[1:]]
        assert len(_findings(members)) == 2
        cluster = Cluster(members, replicas=0)
        assert report.summary(cluster).startswith("Not whole: state ok and unknown, 10923 of 16384")

    def test_a_replica_that_waits_for_its_master_is_named(self) -> None:
        found = "\n".join(_findings([_silent(0), *_members(SIX)[1:]]))
        assert "redis-3 has not taken over from redis-0" in found
        assert "`ado-ops redis failover redis-3 --accept-loss`" in found

    def test_a_lost_volume_is_named_with_the_keys_of_it(self) -> None:
        lines = THREE.splitlines(keepends=True)[1:]
        others = "".join([f"{GHOST} 0-5460\n", EMPTY, *lines])
        empty = _member(0, "".join([EMPTY, *lines]), db0="")
        members = [empty, *(_member(n, others) for n in (1, 2))]
        (line,) = _findings(members)
        assert line.startswith("redis-0 has lost its volume, with the keys of the slots 0-5460")
        assert OLD in line
        assert "`ado-ops redis replace redis-0 --accept-loss`" in line

    def test_a_lost_volume_whose_replica_took_over_has_lost_no_key(self) -> None:
        former = f"slave {OLD} 0 1795600489000 0 connected"
        lines = SIX.replace(former, "master - 0 1795600765000 6 connected 0-5460")
        rest = lines.splitlines(keepends=True)[1:]
        others = "".join([f"{GHOST}\n", EMPTY, *rest])
        empty = _member(0, "".join([EMPTY, *rest]), db0="")
        members = [empty, *(_member(n, others) for n in range(1, 6))]
        lost, alone = _findings(members)
        assert lost.startswith("redis-0 has lost its volume; the others still know it as node eb52")
        assert alone.startswith("redis-3 has no replica that answers")
        assert "`ado-ops redis replace redis-0`" in lost
        assert "`ado-ops redis heal`" in alone

    def test_a_node_in_no_pod_is_to_be_forgotten(self) -> None:
        ghost = SIX.splitlines()[3].replace(" slave ", " slave,fail ")
        (line,) = _findings([_member(n, f"{THREE}{ghost}\n") for n in range(3)])
        assert line.startswith("Node 4bf1f3d7afb6d0ff2c9b0f571ce5cc6c211a59a6 is in no pod")
        assert "`ado-ops redis heal` lets every node forget it" in line

    @pytest.mark.parametrize(
        "view",
        [
            THREE.replace(" master - 0 1795600488396", " master,fail? - 1 1795600488396"),
            THREE.replace("1 connected", "1 disconnected"),
            THREE.replace("5461-10922", "5461-10921"),
            "".join(THREE.splitlines(keepends=True)[::2]),
        ],
        ids=["failing", "disconnected", "other slots", "unknown"],
    )
    def test_nodes_that_do_not_see_each_other_as_they_are_are_named(self, view: str) -> None:
        (line,) = _findings([_member(0, view), *_members(THREE)[1:]])
        assert line.startswith("redis-0 does not see redis-1 as they are")

    def test_slots_that_nobody_has_are_named(self) -> None:
        (line,) = _findings(_members(THREE.replace("0-5460", "0-5000")))
        assert "Nobody has the slots 5001-5460" in line

    def test_a_node_whose_keys_went_with_its_pod_is_not_to_be_forgotten(self) -> None:
        ghost = (
            SIX.splitlines()[0].replace(" master ", " master,fail ").replace("redis-0", "redis-3")
        )
        rest = "".join(THREE.splitlines(keepends=True)[1:])
        (line,) = _findings([_member(n, f"{EMPTY}{rest}{ghost}\n", db0="") for n in range(3)])[:1]
        assert "nobody else has the keys of the slots 0-5460" in line
        assert "replicasPerMaster" in line

    def test_what_one_node_knows_of_one_that_is_gone_is_enough(self) -> None:
        """Who has heard of it from others knows neither its name nor its slots."""
        rest = "".join(THREE.splitlines(keepends=True)[1:])
        told = f"{OLD} 10.0.0.10:6379@16379 master,fail - 1 1 1 disconnected\n"
        views = [f"{GHOST} 0-5460\n", told, told]
        members = [_member(n, f"{view}{EMPTY}{rest}", db0="") for n, view in enumerate(views)]
        (gone,) = Cluster(members[::-1], replicas=0).gone.values()
        assert (gone.pod, len(gone.all_slots)) == ("redis-0", 5461)

    def test_a_node_that_has_nothing_is_joined(self) -> None:
        view = SIX.replace(f"slave {OLD}", "master -")
        members = [_member(n, view, **({"db0": ""} if n == 3 else {})) for n in range(6)]
        found = _findings(members)
        assert "redis-0 has no replica that answers" in found[0]
        assert found[1].startswith("redis-3 has no slots and follows nobody: `ado-ops redis heal`")

    def test_nodes_that_never_met_are_one_finding(self) -> None:
        lines = [line.partition(" connected")[0] + " connected" for line in THREE.splitlines()]
        (line,) = _findings([_member(n, f"{lines[n]}\n") for n in range(3)])
        assert line.startswith("There is no cluster yet")

    def test_a_pair_on_one_host_is_named(self) -> None:
        members = _members(SIX)
        members[3] = replace(members[3], node="n0")
        (line,) = _findings(members)
        assert line.startswith("redis-0 and its replica redis-3 are both on n0")
        assert "delete pod redis-3" in line

    def test_a_replica_that_receives_nothing_is_named(self) -> None:
        down = _member(3, SIX, master_link_status="down")
        (line,) = _findings([*_members(SIX)[:3], down, *_members(SIX)[4:]])
        assert line.startswith("redis-3 receives nothing from redis-0")


class Pods:
    """A namespace, as far as the command sees it."""

    silent_nodes: tuple[str, ...] = ()

    def __init__(self, *names: str) -> None:
        self.names = names

    def stateful_set(self, name: str) -> Any:
        assert name == "redis"
        return SimpleNamespace(spec=SimpleNamespace(replicas=3)) if self.names else None

    def lost_contact(self, node: str) -> bool:
        return node in self.silent_nodes

    def pod(self, name: str) -> Any:
        if name not in self.names:
            return None
        ready = SimpleNamespace(type="Ready", status="True")
        return SimpleNamespace(
            metadata=SimpleNamespace(deletion_timestamp=None),
            status=SimpleNamespace(phase="Running", conditions=[ready]),
            spec=SimpleNamespace(node_name="n1"),
        )

    def run(self, pod: str, command: tuple[str, ...]) -> str:
        assert "password" in command[-1]
        if pod == "redis-2":
            raise OpsError("redis-2: NOAUTH Authentication required.")
        return _said(pod, THREE)

    def first_said(self, pod: str) -> str:
        return LOG if pod == "redis-0" else ""


def _look(name: str) -> Member:
    return look(Pods("redis-0", "redis-1", "redis-2"), name)  # pyright: ignore[reportArgumentType]


def test_half_a_command_at_the_end_of_the_log_is_seen_in_what_the_server_said() -> None:
    assert (_look("redis-0").cut, _look("redis-1").cut) == (True, False)
    assert _look("redis-0").keys == 9


def test_one_that_does_not_let_the_command_in_says_why() -> None:
    assert _look("redis-2").trouble == "redis-2: NOAUTH Authentication required."
    assert _look("redis-7").trouble == "there is no such pod"


def _status(
    monkeypatch: pytest.MonkeyPatch, *names: str, options: tuple[str, ...] = (), **settings: object
) -> Result:
    monkeypatch.setattr(Target, "reach", lambda *_: Pods(*names))
    monkeypatch.setattr(Target, "settings", lambda _: {"ado:redis": settings})
    return CliRunner().invoke(app, ["redis", "status", "--stack", "dev", *options])


def test_what_is_wrong_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch, "redis-0", "redis-1")
    assert done.exit_code == 3
    assert "ok, tail cut at start" in done.output
    assert "redis-2 tells nothing (there is no such pod)" in done.output


def test_programs_are_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch, "redis-0", "redis-1", options=("--json",))
    assert done.exit_code == 3
    told = json.loads(done.stdout)
    assert (told["ready"], told["external"]) == (False, False)
    assert "redis-2 tells nothing (there is no such pod)" in told["findings"][0]
    first, _, lost = told["pods"]
    assert (first["name"], first["node"], first["keys"]) == ("redis-0", "n1", 9)
    assert (lost["phase"], lost["keys"], lost["master"]) == ("absent", None, None)
    outside = _status(monkeypatch, options=("--json",), mode="external")
    assert json.loads(outside.stdout) == {"ready": True, "findings": [], "external": True}


def test_a_pod_of_a_node_that_is_silent_is_not_asked_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*_: object, **__: object) -> str:
        raise AssertionError

    monkeypatch.setattr(Pods, "run", asked)
    monkeypatch.setattr(Pods, "silent_nodes", ("n1",))
    done = _status(monkeypatch, "redis-0", "redis-1", "redis-2")
    assert done.exit_code == 3
    assert "redis-0 tells nothing (its node n1 does not answer)" in done.output


def test_a_check_prints_what_is_wrong_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch, "redis-0", "redis-1", options=("--check",))
    assert done.exit_code == 1
    assert all(line.startswith("- ") for line in done.stdout.splitlines())


def test_a_redis_outside_the_platform_is_said_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch, mode="external")
    assert done.exit_code == 0
    assert "outside the platform" in done.output


def test_a_redis_that_is_not_deployed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch)
    assert isinstance(done.exception, OpsError)
    assert "`pulumi up --refresh` makes it" in str(done.exception)
