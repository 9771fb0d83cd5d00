"""`pause` and `resume`: who writes stops, and is as it was afterwards."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ado_infra.ops import cli
from ado_infra.ops.errors import OpsError
from ado_infra.ops.platform import pausing
from ado_infra.ops.postgres import backups, writers
from ado_infra.ops.target import Target
from tests.support.operated import BACKUP, Platform, reader
from tests.support.operated_pair import Killed

PODS = {"ado-api-gateway": 2, "ado-dashboard": 3, "ado-orchestrator": 1, "ado-worker": 7}
WRITING = {**PODS, "ado-api-gateway": 0, "ado-orchestrator": 0, "ado-worker": 0}
"""How many pods each has while the platform is paused; the dashboard writes nowhere."""


def _platform() -> Platform:
    platform = Platform()
    made = {name: reader(name, count) for name, count in PODS.items()}
    made["ado-dashboard"] = reader("ado-dashboard", 3, reads=False)
    (variable,) = made["ado-worker"]["spec"]["template"]["spec"]["containers"][0]["env"]
    variable["valueFrom"]["secretKeyRef"]["key"] = "redis-url"
    for name, each in made.items():
        each["metadata"]["labels"] = {"app.kubernetes.io/component": name.removeprefix("ado-")}
    platform.readers = made
    platform.restarted_at = dict.fromkeys(made, 0)
    return platform


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ado_infra.ops.namespace.POLL", 0)
    monkeypatch.setattr(pausing, "alone", lambda *_: nullcontext())


def _run(monkeypatch: pytest.MonkeyPatch, platform: Platform, *typed: str) -> Result:
    monkeypatch.setattr(Target, "reach", lambda *_: platform)
    return CliRunner().invoke(cli.app, [*typed, "--stack", "dev"])


def _stop(platform: Platform) -> None:
    pausing.stop(platform, lambda _: None)  # pyright: ignore[reportArgumentType]


def _start(platform: Platform) -> list[str]:
    return pausing.start(platform, lambda _: None)  # pyright: ignore[reportArgumentType]


def _scaled(platform: Platform) -> list[str]:
    return [change for change in platform.changes if change.endswith(" pods")]


def test_whoever_writes_stops_the_orchestrator_last_and_all_is_as_before_afterwards() -> None:
    platform = _platform()
    before = json.loads(json.dumps(platform.readers))
    _stop(platform)
    assert platform.replicas() == WRITING
    assert _scaled(platform)[-1] == "ado-orchestrator: 0 pods"
    assert _start(platform) == ["ado-api-gateway", "ado-orchestrator", "ado-worker"]
    for each in before.values():
        each["metadata"].setdefault("annotations", {})
    for each in platform.readers.values():
        each["metadata"].setdefault("annotations", {})
    assert platform.readers == before


def test_again_it_changes_nothing() -> None:
    platform = _platform()
    for command in (_stop, _start):
        command(platform)
        calls = platform.calls
        command(platform)
        assert platform.calls == calls


@pytest.mark.parametrize("command", [_stop, _start], ids=["pause", "resume"])
def test_killed_after_any_of_its_calls_the_same_command_goes_on(command: Any) -> None:
    def begun() -> Platform:
        platform = _platform()
        if command is _start:
            _stop(platform)
        return platform

    straight = begun()
    before = straight.calls
    command(straight)
    for made in range(straight.calls - before):
        platform = begun()
        platform.interrupt_after = platform.calls + made
        with pytest.raises(Killed):
            command(platform)
        platform.interrupt_after = None
        command(platform)
        assert platform.readers == straight.readers, made
    assert straight.replicas() == (PODS if command is _start else WRITING)


def test_a_pause_that_was_cut_off_anywhere_is_ended_by_resume() -> None:
    straight = _platform()
    _stop(straight)
    for made in range(straight.calls):
        platform = _platform()
        platform.interrupt_after = made
        with pytest.raises(Killed):
            _stop(platform)
        platform.interrupt_after = None
        _start(platform)
        assert platform.replicas() == PODS, made
        assert not any(e["metadata"].get("annotations") for e in platform.readers.values()), made


def _without_dashboard() -> Platform:
    """The fake's restore wants that nobody runs."""
    platform = _platform()
    del platform.readers["ado-dashboard"]
    return platform


def test_a_restore_meanwhile_starts_nobody() -> None:
    platform = _without_dashboard()
    _stop(platform)
    backups.restore(platform, BACKUP, lambda _: None)  # pyright: ignore[reportArgumentType]
    writers.start(platform, lambda _: None)  # pyright: ignore[reportArgumentType]
    assert set(platform.replicas().values()) == {0}
    assert list(backups.cut_off(platform)) == []  # pyright: ignore[reportArgumentType]
    _start(platform)
    assert platform.replicas() == {k: n for k, n in PODS.items() if k != "ado-dashboard"}


def test_nobody_is_started_while_a_restore_goes_on() -> None:
    platform = _without_dashboard()
    _stop(platform)
    metadata = {"name": "postgresql-restore", "annotations": {"ado.ops/asked": "restore x"}}
    platform.create_job({"metadata": metadata})
    with pytest.raises(OpsError, match="`ado-ops postgres restore x` waits for its end"):
        _start(platform)
    assert set(platform.replicas().values()) == {0}


def test_where_nobody_writes_there_is_nothing_to_pause() -> None:
    platform = _platform()
    platform.readers = {"ado-dashboard": platform.readers["ado-dashboard"]}
    with pytest.raises(OpsError, match=r"namespace ado-system .*right namespace"):
        _stop(platform)


def test_pods_that_do_not_end_are_named_with_how_long_they_were_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = _platform()
    pod = platform.readers["ado-worker"]["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 7200
    waited: list[float] = []

    def wait(condition: Any, seconds: float) -> bool:
        waited.append(seconds)
        return bool(condition())

    monkeypatch.setattr(writers, "wait_until", wait)
    monkeypatch.setattr(platform, "pods_of_deployment", lambda _: [None])
    said: list[str] = []
    with pytest.raises(OpsError, match="Still running: ado-api-gateway, ado-worker"):
        pausing.stop(platform, said.append)  # pyright: ignore[reportArgumentType]
    assert waited == [7260]
    assert any("at most 7260 s" in line for line in said)


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = _platform()
    done = _run(monkeypatch, platform, "pause", "--dry-run")
    lines = done.stdout.splitlines()
    assert [line.split(" has (")[0].split()[-1] for line in lines] == [
        "ado-api-gateway",
        "ado-worker",
        "ado-orchestrator",
    ]
    assert "has (7)" in lines[1]
    assert platform.changes == []
    _stop(platform)
    changed = list(platform.changes)
    assert "nothing to do" in _run(monkeypatch, platform, "pause", "--dry-run").stdout
    assert (
        "have ado-worker keep 7 pods again"
        in _run(monkeypatch, platform, "resume", "--dry-run").stdout
    )
    assert platform.changes == changed


def test_the_commands_say_how_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = _platform()
    assert "Nothing is paused." in _run(monkeypatch, platform, "resume").stdout
    assert "`ado-ops resume`" in _run(monkeypatch, platform, "pause").stdout
    done = _run(monkeypatch, platform, "resume")
    assert done.stdout.endswith("Started: ado-api-gateway, ado-orchestrator, ado-worker.\n")
