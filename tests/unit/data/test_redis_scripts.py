"""Redis's scripts in a real shell, with a made-up cluster behind the commands they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

FILES = Path(str(resources.files("ado_infra.data.redis"))) / "files"
PASSWORD = 'it\'s "a" \\ password'
NETWORK = "10.0.0."
"""What every address begins with."""
SHARES = ((0, 5460), (5461, 10921), (10922, 16383))
NOTHING_TO_DO = "create.sh: the cluster is whole; nothing to do\n"
SLOTS_ARE_MISSING = "waiting until every node sees all slots served"
FAKE = """#!/bin/sh
printf '%s\\n' "${REDISCLI_AUTH-}" "${0##*/} $*" >"$WORK/asked"
{
	read -r code
	while IFS= read -r line; do printf '%s\\n' "$line"; done
} <"$WORK/answer"
exit "$code"
"""
"""Any command: what it is asked goes to the test, and from there come its exit code and output."""


@dataclass
class Node:
    """A node by its name, which is its id too; those of a group know each other."""

    group: int
    slots: tuple[int, int] | None = None
    master: str = "-"
    keys: int = 0
    ping: str = "PONG"
    away: bool = False
    listed: str = ""
    """The address at which others know it, where that is not its own."""
    forgotten: int = 0
    """How often it must meet others until they know it; for a minute they hear nothing of it."""
    flag: str = ""
    link: str = "connected"
    ends: bool = False
    """Whether it was told to end, and says so."""
    back_after: int | None = None
    """Seconds after which one that ends has started anew."""
    copies_from: str = ""
    """Where a replica looks for its master, where that is not its master's address."""


@dataclass
class World:
    """Everything that the scripts can ask or tell; `patience`: how often they may sleep."""

    nodes: dict[str, Node]
    own: str = ""
    addresses: str = ""
    patience: int = 2
    clock: int = 1000
    told: list[str] = field(default_factory=list)
    cut_after: int | None = None
    """How many things can be told before whoever tells is cut off."""
    unanswered: dict[str, int] = field(default_factory=dict)
    """Node and question → which time that it is asked there is no answer, counted from one."""

    def answer(self, password: str, command: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        program, *words = command.split()
        match program:
            case "sleep":
                self.patience -= 1
                self._pass(int(words[0]))
                return (0 if self.patience >= 0 else 9), ""
            case "date":
                return 0, f"{self.clock}\n"
            case "getent":
                return (0 if self.addresses else 2), self.addresses
            case _:
                return self._redis_cli(password, words)

    def _pass(self, seconds: int) -> None:
        self.clock += seconds
        for node in self.nodes.values():
            if node.back_after is not None and self.clock >= 1000 + node.back_after:
                node.ends = node.away = False

    def _redis_cli(self, password: str, words: list[str]) -> tuple[int, str]:
        name = self.own
        if words[0] == "-h":
            host, words = words[1], words[2:]
            name = _name(host)
        node = self.nodes.get(name)
        if node is None or node.away:
            return 1, "Could not connect\n"
        if password != PASSWORD:
            return 0, "NOAUTH Authentication required.\n"
        if words[0] == "-e":
            return self._tell(name, words[2:])
        if (question := f"{name} {' '.join(words)}") in self.unanswered:
            self.unanswered[question] -= 1
            if self.unanswered[question] == 0:
                return 124, ""
        answers: dict[str, Callable[[], str]] = {
            "ping": lambda: f"{node.ping}\n",
            "dbsize": lambda: f"{node.keys}\n",
            "info replication": lambda: self._replication(node),
            "cluster info": lambda: self._info(node),
            "cluster nodes": lambda: self._seen(name),
            "config get cluster-replica-no-failover": lambda: (
                f"cluster-replica-no-failover\n{'yes' if node.ends else 'no'}\n"
            ),
        }
        asked = " ".join(words)
        if asked == "config set cluster-replica-no-failover yes":
            assert name == self.own
            node.ends = True
            return 0, "OK\n"
        return (0, answers[asked]()) if asked in answers else self._tell(name, words[1:])

    def _group(self, node: Node) -> dict[str, Node]:
        return {name: other for name, other in self.nodes.items() if other.group == node.group}

    def _info(self, node: Node) -> str:
        group = self._group(node).values()
        assigned, served = (
            sum(
                n.slots[1] - n.slots[0] + 1 for n in group if n.slots and not (reachable and n.away)
            )
            for reachable in (False, True)
        )
        return (
            f"cluster_state:{'ok' if served else 'fail'}\r\n"
            f"cluster_slots_assigned:{assigned}\r\ncluster_slots_ok:{served}\r\n"
        )

    def _replication(self, node: Node) -> str:
        if node.master == "-":
            return "role:master\r\n"
        host = node.copies_from or _address(node.master)
        return f"role:slave\r\nmaster_host:{host}\r\nmaster_link_status:up\r\n"

    def _seen(self, name: str) -> str:
        lines: list[str] = []
        for other, node in self._group(self.nodes[name]).items():
            if node.forgotten and not self.nodes[name].forgotten:
                continue
            flags = ["master" if node.master == "-" else "slave"]
            flags = ["myself", *flags] if other == name else flags
            flags += ["fail"] if node.away else []
            flags += [node.flag] if node.flag else []
            address = f"{node.listed or _address(other)}:6379@16379"
            if node.flag == "noaddr":
                address = ":0@0"
            address += f",{other}.redis-headless"
            slots = "{}-{}".format(*node.slots) if node.slots else ""
            words = (other, address, ",".join(flags), node.master, "0 0 1", node.link, slots)
            lines.append(" ".join(words).rstrip())
        return "\n".join([*lines, ""])

    def _tell(self, name: str, change: list[str]) -> tuple[int, str]:
        if self.cut_after == len(self.told):
            return 137, ""
        node = self.nodes[name]
        self.told.append(f"{name} {' '.join(change)}")
        match change:
            case ["meet", address, "6379"]:
                met = self.nodes[_name(address)].group
                node.forgotten = max(0, node.forgotten - 1)
                for member in self._group(node).values():
                    member.group = met
            case ["addslotsrange", first, last]:
                taken = [n.slots for n in self._group(node).values()]
                assert node.slots is None
                assert (int(first), int(last)) not in taken
                node.slots = int(first), int(last)
            case ["replicate", master]:
                assert node.slots is None
                assert node.keys == 0 or node.master == master
                node.copies_from = ""
                node.master, node.keys = master, self._group(node)[master].keys
            case ["failover"]:
                former = self.nodes[node.master]
                node.slots, former.slots = former.slots, None
                node.master, former.master = "-", name
            case _:
                raise AssertionError(f"{name} is told to {change}")
        return 0, "OK\n"


def _address(name: str) -> str:
    """That of redis-N ends in N; any other node is called as its address is."""
    number = name.removeprefix("redis-")
    return name if number == name else f"{NETWORK}{number}"


def _name(host: str) -> str:
    number = host.removeprefix(NETWORK)
    return host.partition(".")[0] if number == host else f"redis-{number}"


@dataclass
class Done:
    """How a script ended."""

    code: int
    output: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script of Redis's in a world."""
    asked, answer, programs = tmp_path / "asked", tmp_path / "answer", tmp_path / "bin"
    for pipe in (asked, answer):
        os.mkfifo(pipe)
    programs.mkdir()
    for name in ("redis-cli", "getent", "sleep", "date"):
        (programs / name).write_text(FAKE)
        (programs / name).chmod(0o755)
    (tmp_path / "password").write_text(PASSWORD)
    environment = {
        "PATH": f"{programs}:{os.defpath}",
        "WORK": str(tmp_path),
        "SECRETS": str(tmp_path),
        "RUN": str(tmp_path),
        "HEADLESS_SERVICE": "redis-headless",
    }

    def serve(world: World, failed: list[BaseException]) -> None:
        while "end" not in (question := asked.read_text().splitlines()):
            try:
                code, text = world.answer(*question)
            except BaseException as error:  # noqa: BLE001 - the test's, which waits for the script
                failed.append(error)
                code, text = 99, ""
            answer.write_text(f"{code}\n{text}")

    def run_in(world: World, script: str, *arguments: str) -> Done:
        failed: list[BaseException] = []
        server = threading.Thread(target=serve, args=(world, failed), daemon=True)
        server.start()
        ended = subprocess.run(
            ["sh", str(FILES / script), *arguments],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=30,
        )
        asked.write_text("end")
        server.join(timeout=5)
        assert failed == [], ended.stdout
        return Done(ended.returncode, ended.stdout)

    return run_in


def _fresh(pods: int) -> dict[str, Node]:
    return {f"redis-{n}": Node(group=n) for n in range(pods)}


def _cluster(pods: int, keys: int = 7) -> dict[str, Node]:
    """As create.sh leaves it, with keys in it."""
    nodes = {f"redis-{n}": Node(group=0, slots=SHARES[n], keys=keys) for n in range(3)}
    for n in range(3, pods):
        nodes[f"redis-{n}"] = Node(group=0, master=f"redis-{n - 3}", keys=keys)
    return nodes


def _masters(world: World) -> list[str]:
    return [node.master for node in world.nodes.values()]


def _slots(world: World) -> list[tuple[int, int] | None]:
    return [node.slots for node in world.nodes.values()]


class TestHandOver:
    def test_a_masters_replica_takes_over_before_it_ends(self, run: Run) -> None:
        world = World(_cluster(6), own="redis-1")
        assert run(world, "hand_over.sh").code == 0
        assert world.told == ["redis-4 failover"]
        assert _masters(world) == ["-", "redis-4", "-", "redis-0", "-", "redis-2"]

    def test_fewer_replicas_leave_every_slot_with_a_node_that_stays(self, run: Run) -> None:
        nodes = _cluster(6)
        for stays, goes in (("redis-0", "redis-3"), ("redis-1", "redis-4"), ("redis-2", "redis-5")):
            nodes[goes] = Node(group=0, slots=nodes[stays].slots, keys=7)
            nodes[stays] = Node(group=0, master=goes, keys=7)
        for goes in ("redis-5", "redis-4", "redis-3"):  # as a StatefulSet takes them away
            assert run(World(nodes, own=goes), "hand_over.sh").code == 0
            nodes[goes].away = True
        assert [nodes[f"redis-{n}"].slots for n in range(3)] == [*SHARES]

    @pytest.mark.parametrize(
        ("own", "replica"),
        [
            ("redis-4", {}),  # a replica
            ("redis-1", {"away": True}),
            ("redis-1", {"flag": "noaddr"}),
            ("redis-1", {"flag": "fail?"}),
        ],
    )
    def test_where_nobody_can_take_over_it_ends_at_once(
        self, own: str, replica: dict[str, Any], run: Run
    ) -> None:
        nodes = _cluster(6)
        for name, value in replica.items():
            setattr(nodes["redis-4"], name, value)
        world = World(nodes, own=own)
        assert run(world, "hand_over.sh").code == 0
        assert world.told == []
        assert world.clock <= 1002  # a replica makes certain that nobody has just chosen it

    def test_a_master_without_replicas_ends_at_once(self, run: Run) -> None:
        world = World(_cluster(3), own="redis-1")
        assert run(world, "hand_over.sh").code == 0
        assert (world.told, world.clock) == ([], 1000)

    def _reversed(self, **replica: Any) -> dict[str, Node]:
        """Pod 5 is the master, and goes for good; pod 2 is told to end, too, and comes back."""
        nodes = _cluster(6)
        nodes["redis-5"] = Node(group=0, slots=SHARES[2], keys=7)
        nodes["redis-2"] = Node(group=0, master="redis-5", keys=7, ends=True, **replica)
        return nodes

    @pytest.mark.parametrize("replica", [{}, {"away": True}])
    def test_one_that_goes_for_good_waits_for_its_replica_that_starts_anew(
        self, replica: dict[str, Any], run: Run
    ) -> None:
        nodes = self._reversed(back_after=20)
        world = World(nodes, own="redis-5", patience=99)
        former = world.answer

        def answer(password: str, command: str) -> tuple[int, str]:
            if "sleep" in command and world.clock == 1000:  # seen, and then its server ended
                nodes["redis-2"].away = "away" in replica
            return former(password, command)

        world.answer = answer
        assert run(world, "hand_over.sh").code == 0
        assert world.told == ["redis-2 failover"]
        assert nodes["redis-2"].slots == SHARES[2]

    def test_it_does_not_wait_longer_than_it_has(self, run: Run) -> None:
        world = World(self._reversed(), own="redis-5", patience=99)
        assert run(world, "hand_over.sh").code == 0
        assert world.told == []
        assert 1030 <= world.clock <= 1045

    def test_nobody_hands_over_to_one_that_was_told_to_end(self, run: Run) -> None:
        nodes = _cluster(6)
        nodes["redis-5"].ends = True
        world = World(nodes, own="redis-2", patience=99)
        assert run(world, "hand_over.sh").code == 0
        assert world.told == []

    def test_one_that_ends_and_was_chosen_just_before_hands_over_again(self, run: Run) -> None:
        nodes = _cluster(6)
        world = World(nodes, own="redis-5", patience=99)
        former = world.answer

        def answer(password: str, command: str) -> tuple[int, str]:
            if "sleep" in command and nodes["redis-5"].master != "-":
                nodes["redis-5"].slots, nodes["redis-5"].master = nodes["redis-2"].slots, "-"
                nodes["redis-2"].slots, nodes["redis-2"].master = None, "redis-5"
            return former(password, command)

        world.answer = answer
        assert run(world, "hand_over.sh").code == 0
        assert world.told == ["redis-2 failover"]
        assert nodes["redis-2"].slots == SHARES[2]


class TestCreate:
    def test_empty_nodes_become_a_cluster_of_masters(self, run: Run) -> None:
        world = World(_fresh(3))
        assert run(world, "create.sh", "3", "0").code == 0
        assert _slots(world) == [*SHARES]
        assert len({node.group for node in world.nodes.values()}) == 1

    def test_with_replicas_each_master_gets_one(self, run: Run) -> None:
        world = World(_fresh(6))
        assert run(world, "create.sh", "3", "1").code == 0
        assert _slots(world) == [*SHARES, None, None, None]
        assert _masters(world) == ["-", "-", "-", "redis-0", "redis-1", "redis-2"]

    @pytest.mark.parametrize("told", range(5))
    def test_cut_off_anywhere_it_ends_the_same_when_run_again(self, told: int, run: Run) -> None:
        world = World(_fresh(3), cut_after=told)
        assert run(world, "create.sh", "3", "0").code != 0
        assert len(world.told) == told
        world.cut_after = None
        assert run(world, "create.sh", "3", "0").code == 0
        assert len(world.told) == 5
        assert _slots(world) == [*SHARES]

    @pytest.mark.parametrize("node", ["redis-0", "redis-1", "redis-5"])
    def test_a_node_that_once_did_not_answer_is_not_passed_over_for_good(
        self, node: str, run: Run
    ) -> None:
        for time in (1, 2, 3):
            world = World(_fresh(6), patience=6, unanswered={f"{node} dbsize": time})
            assert run(world, "create.sh", "3", "1").code == 0
            assert _slots(world) == [*SHARES, None, None, None]
            assert sorted(_masters(world)) == ["-", "-", "-", "redis-0", "redis-1", "redis-2"]

    def test_it_goes_on_when_a_node_does_not_describe_itself_once(self, run: Run) -> None:
        for time in range(1, 12):
            world = World(_fresh(6), patience=6, unanswered={"redis-4 cluster nodes": time})
            assert run(world, "create.sh", "3", "1").code == 0, time
            assert _slots(world) == [*SHARES, None, None, None]

    def test_cut_off_among_the_replicas_it_ends_the_same_when_run_again(self, run: Run) -> None:
        nodes = _cluster(6, keys=0)
        nodes["redis-4"].master = "-"
        nodes["redis-5"].master = "-"
        world = World(nodes)
        assert run(world, "create.sh", "3", "1").code == 0
        assert _slots(world) == [*SHARES, None, None, None]
        assert _masters(world) == ["-", "-", "-", "redis-0", "redis-1", "redis-2"]

    @pytest.mark.parametrize(("pods", "replicas"), [(3, "0"), (6, "1")])
    def test_a_whole_cluster_is_left_alone(self, pods: int, replicas: str, run: Run) -> None:
        world = World(_cluster(pods))
        assert run(world, "create.sh", "3", replicas) == Done(0, NOTHING_TO_DO)
        assert world.told == []

    @pytest.mark.parametrize("keys", [0, 7])
    def test_roles_that_a_failover_exchanged_are_left_alone(self, keys: int, run: Run) -> None:
        nodes = _cluster(6, keys)
        nodes["redis-0"] = Node(group=0, master="redis-3", keys=keys)
        nodes["redis-3"] = Node(group=0, slots=SHARES[0], keys=keys)
        world = World(nodes)
        assert run(world, "create.sh", "3", "1") == Done(0, NOTHING_TO_DO)
        assert world.told == []

    def test_new_nodes_become_replicas_and_the_old_are_told_nothing(self, run: Run) -> None:
        world = World(_cluster(3) | {f"redis-{n}": Node(group=n) for n in (3, 4, 5)})
        assert run(world, "create.sh", "3", "1").code == 0
        assert {line.split()[0] for line in world.told} == {"redis-3", "redis-4", "redis-5"}
        assert _masters(world) == ["-", "-", "-", "redis-0", "redis-1", "redis-2"]
        assert _slots(world) == [*SHARES, None, None, None]

    def test_a_lost_node_comes_back_as_a_replica_of_whoever_has_none(self, run: Run) -> None:
        nodes = _cluster(6)
        nodes["redis-4"] = Node(group=0, slots=SHARES[1], keys=7)
        nodes["redis-1"] = Node(group=1)
        nodes["gone"] = Node(group=0, away=True)
        world = World(nodes)
        assert run(world, "create.sh", "3", "1").code == 0
        assert world.nodes["redis-1"].master == "redis-4"
        assert len(world.told) == 2

    def test_replicas_that_were_taken_away_are_not_missed(self, run: Run) -> None:
        nodes = _cluster(6)
        for n in (3, 4, 5):
            nodes[f"redis-{n}"].away = True
        assert run(World(nodes), "create.sh", "3", "0") == Done(0, NOTHING_TO_DO)

    def test_replicas_that_were_forgotten_are_introduced_again(self, run: Run) -> None:
        nodes = _cluster(6)
        for n in (3, 4, 5):
            nodes[f"redis-{n}"].forgotten = 2
        world = World(nodes)
        assert run(world, "create.sh", "3", "1").code == 0
        assert world.told == [f"redis-{n} meet 10.0.0.0 6379" for n in (3, 4, 5)] * 2
        assert _masters(world) == ["-", "-", "-", "redis-0", "redis-1", "redis-2"]

    @pytest.mark.parametrize("outsider", ["redis-0", "redis-3"])
    def test_a_master_that_was_forgotten_with_its_slots_is_not(
        self, outsider: str, run: Run
    ) -> None:
        nodes = _cluster(6)
        nodes["redis-3"] = Node(group=0, slots=SHARES[0], keys=7)
        nodes[outsider].forgotten = 1
        world = World(nodes)
        ended = run(world, "create.sh", "3", "1")
        assert (ended.code, world.told) == (9, [])
        assert "waiting until every node reaches the others; not yet: redis-" in ended.output

    @pytest.mark.parametrize("keys", [0, 7])
    def test_slots_of_a_lost_node_are_not_given_to_another(self, keys: int, run: Run) -> None:
        nodes = _cluster(3, keys)
        nodes["gone"] = Node(group=0, slots=SHARES[1], away=True)
        nodes["redis-1"] = Node(group=1)
        world = World(nodes)
        ended = run(world, "create.sh", "3", "0")
        assert (ended.code, world.told) == (9, ["redis-1 meet 10.0.0.0 6379"])
        assert SLOTS_ARE_MISSING in ended.output

    def test_where_there_are_keys_no_slots_are_given_out(self, run: Run) -> None:
        nodes = _fresh(3)
        nodes["redis-0"] = Node(group=0, slots=SHARES[0], keys=1)
        world = World(nodes)
        ended = run(world, "create.sh", "3", "0")
        assert ended.code == 9
        assert SLOTS_ARE_MISSING in ended.output
        assert _slots(world) == [SHARES[0], None, None]

    def test_a_node_that_has_keys_and_no_slots_is_told_nothing(self, run: Run) -> None:
        nodes = _cluster(3) | {f"redis-{n}": Node(group=n) for n in (3, 4, 5)}
        nodes["redis-4"].keys = 1
        world = World(nodes)
        assert run(world, "create.sh", "3", "1").code == 9
        assert not [line for line in world.told if line.startswith("redis-4 ")]

    @pytest.mark.parametrize(
        "node", [Node(group=2, away=True), Node(group=2, ping="LOADING Redis is loading")]
    )
    def test_nothing_is_done_before_every_node_answers(self, node: Node, run: Run) -> None:
        world = World(_fresh(3) | {"redis-2": node})
        ended = run(world, "create.sh", "3", "0")
        assert (ended.code, world.told) == (9, [])
        assert "waiting until every node answers" in ended.output


class TestMeet:
    ADDRESSES = "10.0.0.0 redis-headless\n10.0.0.1 redis-headless\n10.0.0.2 redis-headless\n"

    def test_who_misses_nobody_is_introduced_to_nobody(self, run: Run) -> None:
        world = World(_cluster(3), own="redis-0", addresses=self.ADDRESSES)
        assert run(world, "meet.sh") == Done(0, "")
        assert world.told == []

    @pytest.mark.parametrize(
        "missed",
        [
            Node(group=0, listed="10.0.0.9", flag="fail?"),
            Node(group=0, listed="10.0.0.9", flag="fail"),
            Node(group=0, listed="10.0.0.9", link="disconnected"),
            Node(group=0, flag="noaddr"),
        ],
    )
    def test_a_node_that_is_missed_is_met_where_it_is_now(self, missed: Node, run: Run) -> None:
        world = World(_cluster(2) | {"redis-2": missed}, own="redis-0", addresses=self.ADDRESSES)
        assert run(world, "meet.sh") == Done(0, "")
        assert world.told == ["redis-0 meet 10.0.0.2 6379"]

    def test_where_a_node_is_known_nobody_is_met(self, run: Run) -> None:
        """Redis dials there by itself; to meet it again would replace the link to it."""
        nodes = _cluster(3)
        nodes["redis-2"].flag = "fail"
        world = World(nodes, own="redis-0", addresses=self.ADDRESSES)
        assert run(world, "meet.sh") == Done(0, "")
        assert world.told == []

    @pytest.mark.parametrize(
        ("known", "new"), [("redis-10", "redis-1"), ("fd00::5:1", "fd00::5"), ("fd00::5", "d00::5")]
    )
    def test_an_address_is_not_taken_for_a_longer_one(self, known: str, new: str, run: Run) -> None:
        nodes = {"redis-0": Node(0), known: Node(0, flag="fail"), new: Node(1)}
        addresses = f"{_address(known)} redis-headless\n{_address(new)} redis-headless\n"
        world = World(nodes, own="redis-0", addresses=addresses)
        assert run(world, "meet.sh") == Done(0, "")
        assert world.told == [f"redis-0 meet {_address(new)} 6379"]

    @pytest.mark.parametrize(
        "answer", ["WRONGPASS invalid username-password pair", "LOADING Redis is loading"]
    )
    def test_nobody_is_introduced_to_a_stranger(self, answer: str, run: Run) -> None:
        nodes = _cluster(3)
        nodes["redis-1"].away = True
        nodes["redis-2"] = Node(group=2, ping=answer)
        world = World(nodes, own="redis-0", addresses=self.ADDRESSES)
        assert run(world, "meet.sh") == Done(0, "")
        assert world.told == []

    def test_a_node_that_has_keys_and_knows_nobody_is_not_made_to_delete_them(
        self, run: Run
    ) -> None:
        nodes = _cluster(3)
        gone = Node(group=0, listed="10.0.0.9", flag="fail")
        world = World(
            {**nodes, "redis-2": Node(group=7, slots=SHARES[2], keys=7), "10.0.0.9": gone},
            own="redis-0",
            addresses=self.ADDRESSES,
        )
        said = "meet.sh: the node at 10.0.0.2 has keys and knows nobody: it is not introduced"
        assert said in run(world, "meet.sh").output
        assert world.told == []

    def test_without_names_or_a_server_it_ends_and_is_run_again(self, run: Run) -> None:
        nodes = _cluster(3)
        nodes["redis-1"].away = True
        for world in (World(nodes, own="redis-0"), World({}, own="redis-0")):
            assert run(world, "meet.sh") == Done(0, "")
            assert world.told == []


class TestFollow:
    def _world(self, copies_from: str) -> World:
        replica = Node(0, master="redis-0", keys=1, copies_from=copies_from)
        return World(_cluster(3) | {"redis-3": replica}, own="redis-3")

    @pytest.mark.parametrize("old", ["10.0.0.9", "10.0.0.01", "10.0.0"])
    def test_a_replica_that_copies_from_an_old_address_is_told_its_master_again(
        self, old: str, run: Run
    ) -> None:
        world = self._world(old)
        said = f"follow.sh: the master is no longer at {old}, but at 10.0.0.0: OK\n"
        assert run(world, "follow.sh") == Done(0, said)
        assert world.told == ["redis-3 replicate redis-0"]
        assert run(world, "follow.sh") == Done(0, "")

    @pytest.mark.parametrize(("master", "old"), [("fd00::5", "d00::5"), ("d00::5", "fd00::5")])
    def test_an_address_is_not_taken_for_a_longer_one(
        self, master: str, old: str, run: Run
    ) -> None:
        nodes = {master: Node(0), "redis-3": Node(0, master=master, copies_from=old)}
        world = World(nodes, own="redis-3")
        said = f"follow.sh: the master is no longer at {old}, but at {master}: OK\n"
        assert run(world, "follow.sh") == Done(0, said)
        assert run(world, "follow.sh") == Done(0, "")

    def test_a_replica_that_copies_from_its_master_is_told_nothing(self, run: Run) -> None:
        world = self._world("")
        assert run(world, "follow.sh") == Done(0, "")
        assert world.told == []

    def test_a_master_whose_address_nobody_knows_is_not_followed(self, run: Run) -> None:
        world = self._world("10.0.0.9")
        world.nodes["redis-0"].flag = "noaddr"
        assert run(world, "follow.sh") == Done(0, "")
        assert world.told == []

    def test_a_master_follows_nobody(self, run: Run) -> None:
        world = self._world("10.0.0.9")
        world.own = "redis-0"
        assert run(world, "follow.sh") == Done(0, "")
        assert world.told == []

    def test_without_a_server_it_ends_and_is_run_again(self, run: Run) -> None:
        assert run(World({}, own="redis-3"), "follow.sh") == Done(0, "")


class TestIpv6:
    """Redis writes addresses of IPv6 without brackets, with the port behind one colon more."""

    @pytest.fixture(autouse=True)
    def network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(f"{__name__}.NETWORK", "fd00:0:0:6379::")

    def test_nodes_are_joined(self, run: Run) -> None:
        world = World(_fresh(6))
        assert run(world, "create.sh", "3", "1").code == 0
        assert world.told[0] == "redis-1 meet fd00:0:0:6379::0 6379"
        assert _slots(world) == [*SHARES, None, None, None]
        assert _masters(world) == ["-", "-", "-", "redis-0", "redis-1", "redis-2"]
        assert run(world, "create.sh", "3", "1") == Done(0, NOTHING_TO_DO)

    def test_a_node_that_is_missed_is_met_where_it_is_now(self, run: Run) -> None:
        missed = Node(group=0, listed="fd00:0:0:6379::9", flag="fail")
        addresses = "".join(f"fd00:0:0:6379::{n}  redis-headless\n" for n in range(3))
        world = World(_cluster(2) | {"redis-2": missed}, own="redis-0", addresses=addresses)
        assert run(world, "meet.sh") == Done(0, "")
        assert world.told == ["redis-0 meet fd00:0:0:6379::2 6379"]

    def test_a_replica_follows_its_master_to_its_address(self, run: Run) -> None:
        replica = Node(0, master="redis-0", keys=1, copies_from="fd00:0:0:6379::9")
        world = World(_cluster(3) | {"redis-3": replica}, own="redis-3")
        assert "but at fd00:0:0:6379::0: OK" in run(world, "follow.sh").output
        assert run(world, "follow.sh") == Done(0, "")

    def test_a_master_hands_over(self, run: Run) -> None:
        world = World(_cluster(6), own="redis-1")
        assert run(world, "hand_over.sh").code == 0
        assert world.told == ["redis-4 failover"]


@pytest.mark.parametrize(
    ("answer", "is_so"),
    [
        ("PONG", {"ready", "alive"}),
        ("LOADING Redis is loading the dataset in memory", {"alive"}),
        ("BUSY Redis is busy running a script.", {"alive"}),
        ("MISCONF Errors writing to the AOF file", {"alive"}),
        ("ERR max number of clients reached", set[str]()),
    ],
)
def test_a_node_is_ready_when_it_answers_and_alive_while_it_will(
    answer: str, is_so: set[str], run: Run
) -> None:
    world = World({"redis-0": Node(group=0, ping=answer)}, own="redis-0")
    for what in ("ready", "alive"):
        expected = Done(0, "") if what in is_so else Done(1, f"{answer}\n")
        assert run(world, "ask.sh", what) == expected


def test_a_node_is_started_with_its_password_and_address_and_looks_for_the_others(
    tmp_path: Path,
) -> None:
    programs = {
        "redis-server": 'until [ -e "$WORK/done" ]; do :; done; cp "$1" "$WORK/started"',
        "redis-cli": 'echo "$REDISCLI_AUTH: $*" >>"$WORK/looked"',
        # Once: then the loop that looks for peers and master ends.
        "sleep": 'mkdir "$WORK/slept" || { : >"$WORK/done" && exit 1; }',
    }
    binaries, config = tmp_path / "bin", tmp_path / "config"
    binaries.mkdir()
    for name, does in programs.items():
        (binaries / name).write_text(f"#!/bin/sh\n{does}\n")
        (binaries / name).chmod(0o755)
    shutil.copytree(FILES, config)
    (tmp_path / "password").write_text(PASSWORD)
    (run := tmp_path / "run").mkdir()
    environment = {
        "PATH": f"{binaries}:{os.defpath}",
        "WORK": str(tmp_path),
        "CONFIG": str(config),
        "SECRETS": str(tmp_path),
        "RUN": str(run),
        "HEADLESS_SERVICE": "redis-headless",
        "POD_IP": "10.0.0.7",
        "POD_NAME": "redis-1",
    }
    subprocess.run(["sh", config / "start.sh"], env=environment, check=True, timeout=30)
    looked = (tmp_path / "looked").read_text().splitlines()
    assert looked == [f"{PASSWORD}: {asked}" for asked in ("cluster nodes", "info replication")]
    own = (tmp_path / "started").read_text().removeprefix((FILES / "redis.conf").read_text())
    quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    assert own.splitlines() == [
        f'requirepass "{quoted}"',
        f'masterauth "{quoted}"',
        "cluster-announce-ip 10.0.0.7",
        "cluster-announce-hostname redis-1.redis-headless",
    ]
    assert {path.stat().st_mode & 0o777 for path in run.iterdir()} == {0o600}


@pytest.mark.parametrize("script", ["ask.sh", "create.sh", "follow.sh", "hand_over.sh", "meet.sh"])
def test_no_question_waits_for_ever(script: str) -> None:
    lines = [line for line in (FILES / script).read_text().splitlines() if line[:1] != "#"]
    asks = [line for line in lines if re.search(r"\b(redis-cli|getent) ", line)]
    assert asks
    assert [line for line in asks if not re.search(r"timeout \d (redis-cli|getent) ", line)] == []
