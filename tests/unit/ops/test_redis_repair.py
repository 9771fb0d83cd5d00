"""The operator's changes of the Redis cluster: failover, a replaced node, nodes that are joined."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ado_infra.ops.cli import app
from ado_infra.ops.errors import OpsError
from ado_infra.ops.redis import commands, telling
from ado_infra.ops.redis.nodes import Step, tell
from ado_infra.ops.target import Target
from tests.support.redis_nodes import Nodes

COMMAND = re.compile(r"`ado-ops redis ([^`]+)`")
Change = Callable[[Nodes], object]
Ado = Callable[..., Result]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "alone", lambda *_: nullcontext())
    monkeypatch.setattr(telling, "POLL", 0)
    monkeypatch.setattr(telling, "ROUND", 0)
    monkeypatch.setattr(telling, "PATIENCE", 5)


@pytest.fixture
def ado(monkeypatch: pytest.MonkeyPatch) -> Ado:
    """Runs `ado-ops redis …` on nodes."""

    def run(nodes: Nodes, *words: str) -> Result:
        monkeypatch.setattr(Target, "reach", lambda *_: nodes)
        monkeypatch.setattr(Target, "settings", lambda _: {})
        return CliRunner().invoke(app, ["redis", *words, "--stack", "dev"])

    return run


def _well(ado: Ado, nodes: Nodes) -> None:
    status = ado(nodes, "status")
    assert (status.exit_code, status.output.count("\n- ")) == (0, 0), status.output


def _six(*taken_over: str) -> Nodes:
    nodes = Nodes(6)
    for name in taken_over:
        nodes.take_over(name)
    return nodes


def _stopped(nodes: Nodes, *names: str) -> Nodes:
    for name in names:
        nodes.stop(name)
    return nodes


def _lost(nodes: Nodes, name: str, *, volume: bool, heir: str = "") -> Nodes:
    keys = nodes.node(name).keys
    if heir:
        nodes.stop(name)
        nodes.take_over(heir)
        nodes.come_back(name, keys if not volume else frozenset())
    else:
        nodes.lose(name, volume=volume)
    return nodes


def _given_up(nodes: Nodes) -> Nodes:
    """The replicas were taken away."""
    for name in ("redis-3", "redis-4", "redis-5"):
        nodes.stop(name)
        del nodes.nodes[name]
    return nodes


def _forgotten(nodes: Nodes, name: str) -> Nodes:
    """Nobody knows a node any more, which knows nobody."""
    gone = nodes.node(name)
    gone.view = {gone.id: gone.own}
    for other in nodes.nodes.values():
        if other and other is not gone:
            del other.view[gone.id]
    return nodes


STATES: dict[str, tuple[Callable[[], Nodes], bool]] = {
    "lost volume": (lambda: _lost(Nodes(3), "redis-1", volume=True), True),
    "lost nodes.conf": (lambda: _lost(Nodes(3), "redis-1", volume=False), False),
    "lost volume, taken over": (
        lambda: _lost(Nodes(6), "redis-1", volume=True, heir="redis-4"),
        False,
    ),
    "lost nodes.conf, taken over": (
        lambda: _lost(Nodes(6), "redis-1", volume=False, heir="redis-4"),
        False,
    ),
    "lost volume, not taken over": (lambda: _lost(Nodes(6), "redis-1", volume=True), False),
    "lost nodes.conf, not taken over": (lambda: _lost(Nodes(6), "redis-1", volume=False), False),
    "lost volume of a replica": (lambda: _lost(Nodes(6), "redis-4", volume=True), False),
    "lost nodes.conf of a replica": (lambda: _lost(Nodes(6), "redis-4", volume=False), False),
    "replicas given up": (lambda: _given_up(Nodes(6)), False),
    "forgotten master": (lambda: _forgotten(Nodes(3), "redis-1"), False),
    "forgotten replica's master": (lambda: _forgotten(Nodes(6), "redis-2"), False),
}
"""What can be wrong → how it comes about, and whether keys are lost with it."""


@pytest.mark.parametrize("state", STATES)
def test_what_status_says_mends_it(state: str, ado: Ado) -> None:
    build, loses = STATES[state]
    nodes = build()
    before = Nodes(3).keys()
    for _ in range(4):
        status = ado(nodes, "status")
        if status.exit_code == 0:
            break
        found = COMMAND.search(status.output.replace("\n", " "))
        assert found, status.output
        done = ado(nodes, *found[1].split())
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    _well(ado, nodes)
    assert (nodes.keys() == before) is not loses


@pytest.mark.parametrize("state", STATES)
def test_healing_alone_loses_no_key(state: str, ado: Ado) -> None:
    nodes = STATES[state][0]()
    before = {name: node.keys for name, node in nodes.nodes.items() if node}
    served = nodes.keys()
    ado(nodes, "heal")
    assert served <= nodes.keys()
    assert not [line for line in nodes.told if "flushall" in line or "reset" in line]
    assert {n: node.keys for n, node in nodes.nodes.items() if node and before.get(n)} == {
        name: keys for name, keys in before.items() if keys
    }


def _straight(state: str, ado: Ado, *command: str) -> Nodes:
    nodes = STATES[state][0]()
    done = ado(nodes, *command)
    assert done.exit_code == 0, done.output + str(done.exception)
    return nodes


CUTS = [
    ("lost volume", ("replace", "redis-1", "--accept-loss")),
    ("lost nodes.conf", ("replace", "redis-1")),
    ("lost volume, taken over", ("replace", "redis-1")),
    ("lost nodes.conf, taken over", ("replace", "redis-1", "--accept-loss")),
    ("lost nodes.conf, not taken over", ("replace", "redis-1")),
    ("replicas given up", ("heal",)),
]


@pytest.mark.parametrize(("state", "command"), CUTS, ids=[state for state, _ in CUTS])
def test_cut_off_after_any_step_the_same_command_goes_on(
    state: str, command: tuple[str, ...], ado: Ado
) -> None:
    straight = _straight(state, ado, *command)
    assert straight.told
    forgets = ["forget" in line for line in straight.told]
    for told in range(len(forgets)):
        if told > 1 and all(forgets[told - 1 : told + 1]):
            continue  # one node more that forgets
        nodes = STATES[state][0]()
        nodes.cut_after = told
        assert ado(nodes, *command).exit_code != 0
        nodes.cut_after = None
        again = ado(nodes, *command)
        assert again.exit_code == 0, f"after {nodes.told}: {again.output} {again.exception}"
        assert nodes.keys() == straight.keys(), nodes.told
        _well(ado, nodes)


@pytest.mark.parametrize(("state", "command"), CUTS, ids=[state for state, _ in CUTS])
def test_a_dry_run_says_the_steps_and_takes_none(
    state: str, command: tuple[str, ...], ado: Ado
) -> None:
    nodes = STATES[state][0]()
    done = ado(nodes, *command, "--dry-run")
    assert nodes.told == []
    first = _straight(state, ado, *command).told[0].partition(": ")
    assert done.output.startswith(f"1. {first[0]}: redis-cli {first[2]}"[:60])


def _refusal(done: Result) -> str:
    assert isinstance(done.exception, OpsError), done.output
    return str(done.exception)


class TestFailover:
    def test_a_replica_and_its_master_exchange_their_roles(self, ado: Ado) -> None:
        nodes = Nodes(6)
        before = nodes.keys()
        done = ado(nodes, "failover", "redis-4")
        assert nodes.told == ["redis-4: cluster failover"]
        assert done.output.endswith("redis-4 is the master of the slots 5461-10921.\n")
        assert nodes.node("redis-1").own.master == nodes.node("redis-4").id
        assert nodes.keys() == before

    def test_run_again_it_changes_nothing(self, ado: Ado) -> None:
        nodes = _six("redis-4")
        assert ado(nodes, "failover", "redis-4").exit_code == 0
        assert nodes.told == []

    def test_without_its_master_somebody_must_say_what_may_be_lost(self, ado: Ado) -> None:
        nodes = _stopped(Nodes(6), "redis-1")
        said = _refusal(ado(nodes, "failover", "redis-4"))
        assert "redis-1, the master of redis-4, is not reached: there is no such pod" in said
        assert "--accept-loss" in said
        assert nodes.told == []
        assert ado(nodes, "failover", "redis-4", "--accept-loss").exit_code == 0
        assert nodes.told == ["redis-4: cluster failover takeover"]
        assert len(nodes.keys()) == len(Nodes(3).keys())

    @pytest.mark.parametrize(
        ("nodes", "pod", "why"),
        [
            (lambda: Nodes(3), "redis-7", "redis-7 is no pod of Redis (there are: redis-0, "),
            (lambda: _stopped(Nodes(6), "redis-4"), "redis-4", "redis-4 cannot take over: there"),
            (
                lambda: _lost(Nodes(3), "redis-1", volume=True),
                "redis-1",
                "redis-1 has no slots and follows nobody",
            ),
        ],
    )
    def test_who_cannot_take_over_is_told_why(
        self, nodes: Callable[[], Nodes], pod: str, why: str, ado: Ado
    ) -> None:
        assert why in _refusal(ado(nodes(), "failover", pod, "--accept-loss"))


class TestReplace:
    def test_a_node_that_lost_its_nodes_conf_has_its_slots_before_it_is_met(self, ado: Ado) -> None:
        nodes = _straight("lost nodes.conf", ado, "replace", "redis-1")
        words = [line.split()[2] for line in nodes.told]
        order = ["forget", "forget", "set-config-epoch", "addslotsrange", "meet"]
        assert words == order
        assert nodes.keys() == Nodes(3).keys()

    def test_in_place_it_is_left_alone(self, ado: Ado) -> None:
        nodes = Nodes(6)
        for name in nodes.nodes:
            assert ado(nodes, "replace", name, "--accept-loss").exit_code == 0
        assert nodes.told == []

    @pytest.mark.parametrize(
        ("state", "why"),
        [
            (
                "lost volume",
                "redis-1 is empty, and nobody else has the keys of the slots 5461-10921",
            ),
            ("lost nodes.conf, taken over", "redis-1 has 56 keys in slots that others serve"),
            ("lost volume, not taken over", "`ado-ops redis failover redis-4 --accept-loss`"),
        ],
    )
    def test_what_would_be_lost_is_said_before_anything_is_touched(
        self, state: str, why: str, ado: Ado
    ) -> None:
        nodes = STATES[state][0]()
        said = _refusal(ado(nodes, "replace", "redis-1"))
        assert why in said
        assert said.endswith("Nothing was touched.")
        assert nodes.told == []

    def test_slots_are_given_to_nobody_while_a_replica_has_their_keys(self, ado: Ado) -> None:
        nodes = STATES["lost volume, not taken over"][0]()
        assert "failover redis-4" in _refusal(ado(nodes, "replace", "redis-1", "--accept-loss"))
        assert nodes.told == []

    def test_nothing_is_done_while_a_pod_does_not_answer(self, ado: Ado) -> None:
        nodes = _stopped(STATES["lost nodes.conf"][0](), "redis-0")
        said = _refusal(ado(nodes, "replace", "redis-1"))
        assert said.startswith("redis-0 has to answer first: there is no such pod")
        assert nodes.told == []


def test_healing_makes_a_cluster_of_nodes_that_never_met(ado: Ado) -> None:
    nodes = Nodes(6)
    for name in nodes.nodes:
        nodes.begin(name, frozenset())
    assert ado(nodes, "heal").exit_code == 0
    _well(ado, nodes)


def test_what_healing_leaves_to_somebody_is_an_exit_code(ado: Ado) -> None:
    nodes = STATES["lost volume"][0]()
    done = ado(nodes, "heal")
    assert done.exit_code == 3
    assert "`ado-ops redis replace redis-1 --accept-loss`" in done.output
    assert nodes.told == []


def test_a_node_is_told_with_its_own_password_and_its_refusal_is_passed_on(tmp_path: Path) -> None:
    """The script in a real shell, with as many words as slots with holes make."""
    words = f"cluster addslotsrange {' '.join(f'{n} {n}' for n in range(0, 9000, 2))}"
    (tmp_path / "password").write_text("it's \\ own")
    client = tmp_path / "redis-cli"
    client.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$REDISCLI_AUTH" "$*" >"$RUN/asked"\n'
        '[ "$2" = cluster ] || { echo "ERR unknown" >&2; exit 1; }\n'
    )
    client.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.defpath}", "RUN": str(tmp_path)}

    class Shell:
        def run(self, pod: str, command: tuple[str, ...], given: str, *, changes: bool) -> str:
            assert changes
            done = subprocess.run(
                command,
                env=environment,
                input=f"{given}\n",
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise OpsError(f"{pod}: {done.stderr.strip()}")
            return done.stdout

    tell(Shell(), Step("redis-1", words))  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "asked").read_text() == f"it's \\ own\n-e {words}\n"
    with pytest.raises(OpsError, match="redis-1: ERR unknown"):
        tell(Shell(), Step("redis-1", "flush"))  # pyright: ignore[reportArgumentType]


def test_a_command_that_does_not_fit_is_shown_by_its_beginning() -> None:
    step = Step("redis-1", f"cluster addslotsrange {'1 1 ' * 99}")
    assert str(step).startswith("redis-1: redis-cli cluster addslotsrange 1 1")
    assert (len(str(step)) <= 100, str(step)[-1]) == (True, "…")
