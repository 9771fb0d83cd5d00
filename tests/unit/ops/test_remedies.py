"""Whatever `status` says is to be done about PostgreSQL mends it, and a command that dies goes on.

The commands are taken from the printed lines, and run as an operator types them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ado_infra.ops import cli
from ado_infra.ops.postgres import (
    backups,
    commands,
    fencing,
    pair,
    promotion,
    rejoining,
    report,
    rotation,
    status,
    writers,
)
from ado_infra.ops.target import Target
from tests.support.operated import WRITERS, Platform
from tests.support.operated_pair import AHEAD, PRIMARY, STANDBY, Killed, wait, waits
from tests.support.recording import ROOT

BACKUP = "20260102T030000Z"
FORMER = replace(STANDBY, server=None, disk="primary", streaming=False)
"""Was the primary, and its server ended."""
STOPPED = replace(PRIMARY, server=None)
EMPTY = {"disk": "empty", "system": None, "timeline": None, "end": None}
AWAY = {"server": None, "disk": None, "streaming": False, "end": None, "trouble": "it is away"}
RUNBOOKS = (ROOT / "docs" / "data-runbooks.md").read_text()
COMMANDS = (
    *("promote", "rejoin", "fence", "unfence", "rotate"),
    *("backup", "restore", "start-writers"),
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is at work, and the pods do at once whatever they do."""
    monkeypatch.setattr(commands, "alone", lambda *_: nullcontext())
    monkeypatch.setattr("ado_infra.ops.namespace.POLL", 0)
    for module, names in {
        fencing: ("_RESTART", "_SUCCESSOR"),
        promotion: ("_REPLAY",),
        rejoining: ("SEEN", "FOLLOW"),
        rotation: ("ROLLOUT",),
        writers: ("_END",),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, 0)


@dataclass
class Operator:
    """Types commands."""

    platform: Platform

    def run(self, *arguments: str) -> Any:
        """The outcome of `ado-ops postgres …`."""
        command = ["postgres", *arguments, "--stack", "dev"]
        return CliRunner().invoke(cli.app, command)

    def status(self) -> list[str]:
        """What it says is to be done."""
        done = self.run("status")
        found = [line[2:] for line in done.stdout.splitlines() if line.startswith("- ")]
        assert done.exit_code == (3 if found else 0), done.exception
        return found

    def follow(self, line: str) -> bool:
        """Does what a line says first; whether it names a command."""
        for text in re.findall(r"`([^`]+)`", line):
            typed = text.removeprefix("ado-ops postgres ")
            whole = typed != text
            if typed == "pulumi up --refresh":
                self.platform.up_with_refresh()
                return True
            if typed == "ado-ops role --namespace ado-system":
                self.applies_role()
                return True
            if claim := re.fullmatch(r"kubectl -n ado-system delete pvc (\S+) --wait=false", typed):
                self.platform.delete_claim(claim[1])
                continue  # which ends with its pod
            if deleted := re.fullmatch(r"kubectl -n ado-system delete pod (\S+)", typed):
                self.platform.delete_pod(self.platform.pod(deleted[1]))
                return True
            if typed.split()[0] in COMMANDS and (" " in typed or typed in NO_ARGUMENT):
                assert whole, f"cannot be pasted: {text}"
                if "Once it is back" in line:
                    self.platform.time_passes()
                done = self.run(*typed.split())
                assert done.exit_code == 0, (line, done.stdout, done.exception)
                return True
        return False

    def applies_role(self) -> None:
        """What who administers the cluster does with the printed Role."""
        printed = CliRunner().invoke(cli.app, ["role", "--namespace", "ado-system"]).stdout
        self.platform.forbidden -= {
            f"{verb} {resource}"
            for rule in yaml.safe_load(printed)["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }


NO_ARGUMENT = {"rotate", "backup", "start-writers"}


def _operator(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Operator:
    monkeypatch.setattr(Target, "reach", lambda *_: platform)
    monkeypatch.setattr(Target, "settings", lambda _: {})
    monkeypatch.setattr(Target, "kubectl", "kubectl")
    return Operator(platform)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A state, and what it is mended by.

    Attributes:
        state: The pods.
        made: What else is the matter.
        says: Of which line this is the row.
        waits: Whether nothing is to be typed, as it goes on by itself.
        page: The heading of the runbook, where no command can tell what is right.
        walked: The cluster test that does what that page says.
    """

    says: str
    state: tuple[pair.Member, pair.Member] = (PRIMARY, STANDBY)
    made: Callable[[Platform], object] = lambda _: None
    waits: bool = False
    page: str | None = None
    walked: str | None = None


def _fenced(*ordinals: int) -> Callable[[Platform], object]:
    return lambda platform: platform.data.update(fenced=" ".join(map(str, ordinals)))


def _said(member: pair.Member, about: str, **changes: Any) -> pair.Member:
    """A pod that waits, as its script says it."""
    changed = {"server": None, "streaming": False, "waiting": wait(member.ordinal, about)}
    return replace(member, **(changed | changes))


def _cut(*changes: str) -> Callable[[Platform], object]:
    """What a rotation has done that ended after these."""

    def made(platform: Platform) -> None:
        new = "another"
        if "role" in changes:
            platform.secrets["verifier"] = rotation.scram(new)
        if "password" in changes:
            platform.secrets["password"] = new
        if "url" in changes:
            platform.secrets["database-url"] = "postgresql://ado:another@postgresql:5432/ado"
            platform.changed_at = platform.calls + 1
            platform.calls += 1

    return made


def _stopped(platform: Platform) -> None:
    writers.stop(platform, lambda _: None)  # pyright: ignore[reportArgumentType]


def _restoring(platform: Platform) -> None:
    platform.interrupt_after = (
        platform.calls + 7
    )  # the list, two writers noted and stopped, and the Job
    with pytest.raises(Killed):
        Operator(platform).run("restore", BACKUP)
    platform.interrupt_after = None


def _first_install(platform: Platform, *, unheard: bool = False) -> None:
    """No record yet, and a Job that will write it."""
    platform.data.clear()
    platform.has_job = True
    if unheard:
        platform.pods.unheard.add(1)


INCIDENTS = "tests/soak/test_postgres_incidents.py::"
TABLE = (
    Row(
        says="does not say that there is a database",
        made=lambda p: p.data.clear(),
        page="Lost record",
        walked=INCIDENTS + "test_a_deleted_record_is_made_anew_and_written_down",
    ),
    # The silent loss: with the record went the volume of pod 0, which nobody makes a database of.
    Row(
        says="postgresql-1 has data and postgresql-0 has none",
        state=(
            _said(PRIMARY, "no data either", **EMPTY),
            _said(STANDBY, "this volume was in use"),
        ),
        made=lambda p: p.data.clear(),
    ),
    Row(
        says="postgresql-1 has data and postgresql-0 has none",
        state=(_said(PRIMARY, "has some", **EMPTY), replace(STANDBY, streaming=False)),
        made=lambda p: p.data.clear(),
    ),
    Row(
        says="postgresql-0 has no data and is fenced",
        state=(replace(STOPPED, **EMPTY), replace(STANDBY, server=None, streaming=False, **EMPTY)),
        made=lambda p: p.data.update({"initialised": "", "fenced": "0"}),
        page="Both volumes are lost",
        walked="tests/cluster/test_backup.py::test_both_volumes_lost_a_backup_brings_everything_back",
    ),
    Row(
        says="nobody can tell what postgresql-1 has",
        state=(_said(PRIMARY, "no data either", **EMPTY), replace(STANDBY, **AWAY)),
        made=lambda p: p.data.clear(),
        page="Lost record",
    ),
    # Of a first install: the moments until there is a database, and what it may wait for.
    Row(
        says="postgresql-0 makes one once postgresql-1 has told it",
        state=(_said(PRIMARY, "no data either", **EMPTY), _said(STANDBY, "a primary at", **EMPTY)),
        made=lambda p: _first_install(p, unheard=True),
        waits=True,
    ),
    Row(
        says="and postgresql-0 makes one; wait",
        state=(replace(STOPPED, **EMPTY), _said(STANDBY, "a primary at", **EMPTY)),
        made=_first_install,
        waits=True,
    ),
    Row(
        says="postgresql-0 starts with a new database",
        state=(replace(STOPPED, fresh=True), _said(STANDBY, "a primary at", **EMPTY)),
        made=_first_install,
        waits=True,
    ),
    Row(
        says="which postgresql-state does not name yet",
        state=(replace(PRIMARY, fresh=True), STANDBY),
        made=_first_install,
        waits=True,
    ),
    Row(
        says="is still as an earlier `pulumi up` made it",
        state=(
            replace(PRIMARY, revision="old", **AWAY),
            _said(replace(STANDBY, ready=False, revision="new"), "a primary at", **EMPTY),
        ),
        made=_first_install,
    ),
    # Half a database and nothing: neither `promote` nor `rejoin` has anything to go by.
    Row(
        says="and postgresql-1 has half of one",
        state=(
            _said(PRIMARY, "no data either", **EMPTY),
            _said(STANDBY, "a rejoin that was cut", disk="half"),
        ),
        made=_first_install,
    ),
    Row(
        says="and postgresql-0 has half of one",
        state=(
            _said(PRIMARY, "which no server starts with", disk="half"),
            _said(STANDBY, "a primary at", **EMPTY),
        ),
        made=_first_install,
    ),
    Row(
        says="and postgresql-1 has half of one",
        state=(
            _said(PRIMARY, "the primary's volume is empty", **EMPTY),
            _said(STANDBY, "a rejoin that was cut", disk="half"),
        ),
        page="Half a database",
    ),
    Row(  # the record names pod 0, whose volume no rejoin may empty
        says="The primary postgresql-0 waits: half a database",
        state=(
            _said(PRIMARY, "which no server starts with", disk="half", end=None),
            replace(STANDBY, streaming=False),
        ),
    ),
    Row(  # the same without a record
        says="postgresql-1 has data and postgresql-0 has none",
        state=(
            _said(PRIMARY, "which no server starts with", disk="half", end=None),
            replace(STANDBY, streaming=False),
        ),
        made=lambda p: p.data.clear(),
    ),
    Row(says="cannot be promoted yet", state=(PRIMARY, replace(STANDBY, blocked=True))),
    Row(says="is fenced and serves nobody", state=(STOPPED, STANDBY), made=_fenced(0)),
    Row(
        says="which was rolled back",
        state=(_said(PRIMARY, "which was rolled back"), AHEAD),
    ),
    Row(says="is not promoted yet", state=(replace(PRIMARY, server="standby"), STANDBY)),
    Row(
        says="When it does not come back: `ado-ops postgres promote postgresql-1`",
        state=(STOPPED, replace(STANDBY, streaming=False)),
    ),
    # Who is not seen may serve: nobody says that it does not.
    Row(
        says="is not seen to serve (it is away). When it does not come back",
        state=(replace(PRIMARY, trouble="it is away"), STANDBY),
        made=lambda p: p.pods.hung.add(0),
    ),
    Row(
        says="its node n1 does not answer. When that machine is switched off for certain",
        made=lambda p: p.nodes_off.add("n1"),
    ),
    Row(
        says="`ado-ops postgres unfence postgresql-0` lets it serve on",
        made=lambda p: (_fenced(0)(p), p.nodes_off.add("n1")),
    ),
    Row(
        says="waits for its end and goes on",
        state=(replace(PRIMARY, trouble="it is away"), STANDBY),
        made=lambda p: (_fenced(0)(p), p.pods.hung.add(0)),
    ),
    Row(
        says="lets it serve again once it is back",
        state=(replace(PRIMARY, trouble="it is away"), replace(STANDBY, **AWAY)),
        made=_fenced(0),
        page="A pod is not Ready",
    ),
    Row(
        says="The standby postgresql-1 is not seen: its node n2 does not answer",
        made=lambda p: p.nodes_off.add("n2"),
        page="A node does not answer",
    ),
    Row(
        says="Both volumes are empty",
        state=(
            _said(PRIMARY, "the primary's volume is empty", disk="empty"),
            _said(STANDBY, "a primary at", disk="empty"),
        ),
        page="Both volumes are lost",
        walked="tests/cluster/test_backup.py::test_both_volumes_lost_a_backup_brings_everything_back",
    ),
    Row(
        says="The primary postgresql-0 waits: the primary's volume is empty",
        state=(
            _said(PRIMARY, "the primary's volume is empty", disk="empty", end=None),
            replace(STANDBY, streaming=False),
        ),
    ),
    Row(
        says="cannot take over",
        state=(replace(PRIMARY, **AWAY), replace(STANDBY, **AWAY)),
        page="A pod is not Ready",
    ),
    Row(
        says="Both pods are primary!",
        state=(PRIMARY, replace(STANDBY, server="primary", disk="primary", streaming=False)),
    ),
    Row(
        says="A `rejoin` is at work",
        state=(PRIMARY, replace(FORMER, fenced=True, disk="half", rejoining=True)),
        made=lambda p: (_fenced(1)(p), p.working.update({1: "rewind"})),
        waits=True,
    ),
    Row(
        says="copies postgresql-0",
        state=(PRIMARY, replace(STANDBY, server=None, disk="empty", copying=True, streaming=False)),
        waits=True,
    ),
    Row(
        says="postgresql-1 has half a database",
        state=(PRIMARY, _said(FORMER, "a rejoin that was cut", disk="half")),
    ),
    Row(
        says="postgresql-1 has half a database",
        state=(PRIMARY, replace(FORMER, fenced=True, disk="half")),
        made=_fenced(1),
    ),
    Row(
        says="different databases",
        state=(PRIMARY, _said(STANDBY, "another database", system="8")),
    ),
    Row(
        says="Once it is back: `ado-ops postgres rejoin postgresql-1`",
        state=(PRIMARY, replace(STANDBY, **AWAY)),
        made=lambda p: (_fenced(1)(p), _back_by_itself(p, 1)),
        waits=True,
    ),
    Row(
        says="is fenced: `ado-ops postgres rejoin postgresql-1`",
        state=(PRIMARY, FORMER),
        made=_fenced(1),
    ),
    Row(says="is fenced: `ado-ops postgres unfence postgresql-1`", made=_fenced(1)),
    Row(
        says="postgresql-1 waits: a copy of",
        state=(replace(PRIMARY, slot="lost"), _said(STANDBY, "deletes what is here first")),
        made=lambda p: p.pods.crowded.add(1),
    ),
    Row(
        says="Growing a volume",
        state=(PRIMARY, _said(STANDBY, "are lacking, see", disk="empty", system=None)),
        made=lambda p: p.pods.small.add(1),
        page="Growing a volume",
        walked=INCIDENTS + "test_a_copy_that_does_not_fit_is_not_begun_and_says_what_makes_room",
    ),
    Row(
        says="is not behind it",
        state=(replace(PRIMARY, slot="lost"), _said(STANDBY, "is not behind", end=1001)),
    ),
    Row(
        says="The volume of postgresql-1 has only 255 MiB free",
        state=(PRIMARY, replace(STANDBY, room=255)),
        page="Growing a volume",
    ),
    Row(
        says="The primary postgresql-0 waits: the volume is full",
        state=(_said(PRIMARY, "the volume is full", room=3), STANDBY),
        page="Growing a volume",
    ),
    Row(
        says="is on a later timeline",
        state=(PRIMARY, replace(STANDBY, timeline=3, streaming=False)),
    ),
    Row(
        says="The standby postgresql-1 is not seen (it is away)",
        state=(PRIMARY, replace(STANDBY, **AWAY)),
        page="A pod is not Ready",
    ),
    Row(
        says="The standby postgresql-1 runs no server (its volume is primary)",
        state=(PRIMARY, _said(FORMER, "this was the primary")),
    ),
    Row(says="receives nothing", state=(PRIMARY, replace(STANDBY, streaming=False))),
    Row(  # a copy is made while what it has stays
        says="receives nothing",
        state=(replace(PRIMARY, slot="lost"), replace(STANDBY, streaming=False)),
    ),
    Row(
        says="lacks WAL that postgresql-0 has given up",
        state=(replace(PRIMARY, slot="lost"), _said(FORMER, "this was the primary")),
    ),
    Row(  # its volume is older than its slot
        says="has given up: `ado-ops postgres rejoin postgresql-1 --reclone`",
        state=(replace(PRIMARY, oldest=900), replace(STANDBY, streaming=False, end=800)),
    ),
    Row(says="bytes behind", state=(replace(PRIMARY, end=2**30), STANDBY), waits=True),
    Row(says="There is no Service postgresql-ro", made=lambda p: p.services.pop("postgresql-ro")),
    Row(says="Service postgresql does not", made=lambda p: p.services["postgresql"].clear()),
    Row(says="Nobody can tell whether role", made=lambda p: p.secrets.pop("password")),
    Row(says="that role ado is refused with", made=_cut("role")),
    Row(says="has another password than", made=_cut("role", "password")),
    Row(says="Started before the password was changed", made=_cut("role", "password", "url")),
    Row(says="no good backup yet", made=lambda p: setattr(p, "last_backup", None)),
    Row(
        says="Two backups were due",
        made=lambda p: setattr(p, "last_backup", datetime.now(UTC) - timedelta(days=9)),
    ),
    Row(says="Stopped by a restore that was cut off", made=_stopped),
    Row(says="A restore goes on", made=_restoring),
    Row(says="You may not list deployments", made=lambda p: p.forbidden.add("list deployments")),
)


def _back_by_itself(platform: Platform, ordinal: int) -> None:
    """As time passes it comes back."""
    former = platform.time_passes

    def passes() -> None:
        back = {"trouble": None, "disk": "standby", "end": 1000}
        platform.members[ordinal] = replace(platform.members[ordinal], **back)
        former()

    platform.time_passes = passes


@pytest.fixture(params=TABLE, ids=lambda row: row.says)
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    return found


def test_what_status_says_is_to_be_done_mends_it(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform(*row.state)
    operator = _operator(platform, monkeypatch)
    row.made(platform)
    found = operator.status()
    (line,) = [each for each in found if row.says in each]
    if row.page:
        assert f"\n### {row.page}\n" in RUNBOOKS
        assert row.page in line
        assert row.walked is None or _is_a_test(row.walked)
        return
    if row.waits:
        platform.time_passes()
    else:
        assert operator.follow(line), f"nothing to type: {line}"
    assert line not in operator.status()
    for _ in range(4):  # and what is said then leads on
        if not (found := operator.status()):
            return
        if not operator.follow(found[0]):
            platform.time_passes()
    raise AssertionError(found)


def _is_a_test(name: str) -> bool:
    path, _, test = name.partition("::")
    return f"\ndef {test}(" in (ROOT / path).read_text()


def _patterns(function: FunctionType) -> Iterator[str]:
    """What a function may say, as regular expressions, with what it has said for it."""
    module = ast.parse(Path(function.__code__.co_filename).read_text())
    (definition,) = [
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__
    ]
    for node in ast.walk(definition):
        if isinstance(node, ast.YieldFrom):
            for called in ast.walk(node.value):
                if isinstance(called, ast.Call) and isinstance(called.func, ast.Name):
                    yield from _patterns(function.__globals__[called.func.id])
        elif isinstance(node, ast.Yield | ast.Return) and node.value is not None:
            if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
                yield from _patterns(function.__globals__[node.value.func.id])
            else:
                yield _pattern(node.value)


def _pattern(text: ast.expr) -> str:
    if isinstance(text, ast.Constant):
        return re.escape(str(text.value))
    assert isinstance(text, ast.JoinedStr), f"not seen through: {ast.unparse(text)}"
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*"
        for part in text.values
    )


def test_the_table_has_a_row_for_everything_that_status_can_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    for each in TABLE:
        platform = Platform(*each.state)
        operator = _operator(platform, monkeypatch)
        each.made(platform)
        said += [line for line in operator.status() if each.says in line]
    modules: tuple[tuple[ModuleType, str], ...] = (
        *((report, "findings"), (rotation, "findings")),
        *((backups, "findings"), (backups, "cut_off"), (status, "unseen")),
    )
    for module, name in modules:
        for pattern in _patterns(getattr(module, name)):
            assert any(re.fullmatch(pattern, line) for line in said), pattern


def test_every_command_that_the_start_script_says_has_a_row() -> None:
    typed = {
        command
        for ordinal in (0, 1)
        for text in waits(ordinal)
        for command in re.findall(r"`ado-ops postgres ([^`]*)`", text)
        if "is fenced" not in text
    }
    shown = {
        command
        for each in TABLE
        for member in each.state
        for command in re.findall(r"`ado-ops postgres ([^`]*)`", member.waiting or "")
    }
    assert {re.sub(r"-\d", "", c) for c in typed} == {re.sub(r"-\d", "", c) for c in shown}


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is run, from which state."""

    typed: str
    state: tuple[pair.Member, pair.Member] = (PRIMARY, STANDBY)
    made: Callable[[Platform], object] = lambda _: None


PROMOTED = (
    replace(FORMER, ordinal=0, node="n1", fenced=True),
    replace(PRIMARY, ordinal=1, node="n2", timeline=2),
)


def _led_by_one(platform: Platform) -> None:
    platform.data |= {"primary": "1", "fenced": "0"}
    for ordinal, service in enumerate(("postgresql-ro", "postgresql")):
        platform.services[service] = {pair.POD_LABEL: f"postgresql-{ordinal}"}


INTERRUPTED = (
    Command(typed="promote postgresql-1"),
    Command(typed="rejoin postgresql-0", state=PROMOTED, made=_led_by_one),
    Command(typed="rejoin postgresql-1", state=(PRIMARY, replace(STANDBY, streaming=False))),
    Command(typed="rejoin postgresql-1 --reclone"),
    Command(
        typed="promote postgresql-1 --accept-loss",
        state=(_said(PRIMARY, "no data either", **EMPTY), _said(STANDBY, "this volume was in use")),
        made=lambda p: p.data.clear(),
    ),
    Command(typed="fence postgresql-1"),
    Command(typed="fence postgresql-0"),
    Command(typed="unfence postgresql-1", made=lambda p: (_fenced(1)(p), p.replaced(1))),
    Command(typed="rotate"),
    Command(typed="backup"),
    Command(typed=f"restore {BACKUP}"),
    Command(typed=f"restore {BACKUP} --into-non-empty", made=lambda p: p.rows.add("newer")),
    Command(typed="start-writers", made=_stopped),
)


def _begun(command: Command, monkeypatch: pytest.MonkeyPatch) -> Operator:
    platform = Platform(*command.state)
    operator = _operator(platform, monkeypatch)
    command.made(platform)
    platform.settle()
    return operator


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("command", INTERRUPTED, ids=lambda command: command.typed)
def test_killed_after_any_of_its_calls_it_is_told_of_and_the_same_command_goes_on(
    command: Command,
    later: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = command.typed.split()
    operator = _begun(command, monkeypatch)
    straight, before = operator.platform, operator.platform.calls
    assert operator.run(*typed).exit_code == 0
    in_the_end, calls = operator.status(), straight.calls - before
    assert calls
    for made in range(calls):
        operator = _begun(command, monkeypatch)
        platform = operator.platform
        platform.interrupt_after = platform.calls + made
        with pytest.raises(Killed):
            operator.run(*typed)
        platform.interrupt_after = None
        if later:
            platform.time_passes()
        told = operator.status()
        assert told or _healthy(platform), platform.changes
        done = operator.run(*typed)
        if any("`rejoin` is at work" in line for line in told):
            assert "rejoin is at work" in str(done.exception)
            platform.time_passes()
            done = operator.run(*typed)
        assert done.exit_code == 0, (platform.changes, done.exception)
        assert operator.status() == in_the_end, platform.changes
        assert (platform.replicas(), platform.rows) == (straight.replicas(), straight.rows)


def _healthy(platform: Platform) -> bool:
    leader = platform.members[int(platform.data.get("primary", "0"))]
    follows = platform.members[1 - leader.ordinal].streaming
    return (
        (leader.server == "primary" and follows and not platform.data.get("fenced"))
        and platform.lets_in(platform.secrets["password"])
        and platform.replicas() == WRITERS
    )


def test_where_all_is_well_that_is_said_and_to_people_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = _operator(Platform(), monkeypatch)
    assert operator.run("status").stdout.endswith("\nAll is well: there is nothing to do.\n")
    assert "All is well" not in operator.run("status", "--json").stdout
    assert operator.run("status", "--check").stdout == ""


def test_a_platform_without_a_backup_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform()
    monkeypatch.setattr(platform, "cron_job", lambda _: None)
    assert "No backup is set up" in _operator(platform, monkeypatch).run("status").stdout


def test_the_node_that_is_silent_is_named_and_the_pod_on_it_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = Platform()
    platform.nodes_off.add("n1")
    operator, asked = _operator(platform, monkeypatch), list[str]()
    run = platform.run

    def noted(pod: str, *arguments: Any, **options: Any) -> str:
        asked.append(pod)
        return run(pod, *arguments, **options)

    monkeypatch.setattr(platform, "run", noted)
    refused = operator.run("promote", "postgresql-1")
    told = operator.run("status").stdout
    assert "n1 (silent)" in told
    assert "serves nobody" not in told
    (typed,) = set(re.findall(r"`ado-ops postgres (promote [^`]*)`", told))
    assert f"`ado-ops postgres {typed}` goes on" in str(refused.exception)
    assert operator.run(*typed.split()).exit_code == 0
    assert set(asked) == {"postgresql-1"}


def test_only_a_rejoin_whose_work_in_the_pod_was_cut_off_asks_for_a_new_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "only a `rejoin` whose work in the\npod was cut off asks for `--reclone`" in RUNBOOKS
    platform = Platform(*PROMOTED)
    operator = _operator(platform, monkeypatch)
    _led_by_one(platform)
    platform.settle()
    platform.interrupt_after = (
        platform.calls + 3
    )  # the pod is deleted and poked, and its work has begun
    with pytest.raises(Killed):
        operator.run("rejoin", "postgresql-0")
    assert platform.working == {0: "rewind"}
    platform.interrupt_after = None
    platform.replaced(0)  # with the work in it
    platform.settle()
    (line,) = operator.status()
    assert "half a database, as a rejoin that was cut off leaves it" in line
    assert "`ado-ops postgres rejoin postgresql-0 --reclone`" in line
    refused = operator.run("rejoin", "postgresql-0")
    assert "--reclone" in str(refused.exception)
    assert operator.follow(line)
    assert operator.status() == []


def test_writers_are_not_started_while_a_restore_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform()
    operator = _operator(platform, monkeypatch)
    _restoring(platform)
    refused = operator.run("start-writers")
    assert f"`ado-ops postgres restore {BACKUP}` waits for it" in str(refused.exception)
    assert set(platform.replicas().values()) == {0}


def test_half_a_database_beside_nothing_is_emptied_and_both_volumes_are_lost_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = (
        _said(PRIMARY, "the primary's volume is empty", **EMPTY),
        _said(STANDBY, "a rejoin that was cut", disk="half"),
    )
    platform = Platform(*bare)
    operator = _operator(platform, monkeypatch)
    for refused in (("promote", "postgresql-1", "--accept-loss"), ("rejoin", "postgresql-1")):
        assert operator.run(*refused).exit_code == 1
    (line,) = operator.status()
    assert operator.follow(line)
    assert operator.status() == [
        "Both volumes are empty (docs/data-runbooks.md, Both volumes are lost)."
    ]


def test_who_may_not_see_the_stateful_set_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform()
    platform.forbidden.add("get statefulsets")
    (line,) = _operator(platform, monkeypatch).status()
    assert line.startswith("Not looked at: whether each pod is as the stack has it.")


@pytest.mark.parametrize(
    "changes",
    [
        {"server": "primary"},  # it serves, and is replaced once the other is Ready
        {"revision": "new"},
        {"revision": None},
    ],
)
def test_only_a_pod_that_kubernetes_never_replaces_is_called_so(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(STOPPED, revision="old")
    last = replace(STANDBY, server=None, ready=False, streaming=False, revision="new")
    left = _operator(Platform(first, last), monkeypatch).status()
    assert any("`kubectl -n ado-system delete pod postgresql-0`" in line for line in left)
    found = _operator(Platform(replace(first, **changes), last), monkeypatch).status()
    assert not any("delete pod" in line for line in found)


@pytest.mark.parametrize(
    ("options", "code"), [((), 3), (("--json",), 3), (("--check",), 1), (("--check", "--json"), 1)]
)
def test_programs_are_told_the_same_and_by_the_exit_code(
    options: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = Platform(PRIMARY, STANDBY)
    _fenced(1)(platform)
    _operator(platform, monkeypatch)
    done = CliRunner().invoke(cli.app, ["postgres", "status", "--stack", "dev", *options])
    assert done.exit_code == code
    if "--json" not in options:
        assert "- postgresql-1 is fenced" in done.stdout
        assert ("timeline" in done.stdout) is (not options)
        return
    told = json.loads(done.stdout)
    assert (told["ready"], told["external"]) == (False, False)
    assert "postgresql-1 is fenced" in told["findings"][0]
    assert [pod["recorded"] for pod in told["pods"]] == ["primary", "standby"]
    assert [pod["fenced"] for pod in told["pods"]] == [False, True]
    assert told["backup"]["schedule"] == "0 3 * * *"
    assert told["backup"]["last"].startswith("20")
