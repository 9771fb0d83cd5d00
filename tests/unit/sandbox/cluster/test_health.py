"""How a cluster is said to be, whatever of it is missing, hangs or is being changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ado_infra.ops.platform.tiers import Platform
from sandbox import cli, files
from sandbox.build import downloads, gobuild, tools
from sandbox.cluster import cluster, health, kubectl, record
from sandbox.cluster.record import Link, Record
from sandbox.deploy import deployed, stack
from sandbox.errors import NotReadyError, SandboxError
from sandbox.host import machine, programs
from sandbox.host.programs import Program, ProgramStatus, State
from sandbox.paths import Sandbox
from tests.unit.ops.test_platform_status import sight, whole
from tests.unit.sandbox.health import running


def node(name: str, ready: str = "True", message: str = "") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "message": message}]
    return {"metadata": {"name": name}, "status": {"conditions": conditions}}


@pytest.fixture
def there(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox of two nodes, both ready, as is its one program."""
    links = {record.API: Link(1, ""), "web-ws": Link(2, "")}
    record.save(sandbox, Record(nodes=2, links=links))
    monkeypatch.setattr(machine, "require_root", lambda: None)
    monkeypatch.setattr(programs, "supervisor_pid", lambda _: 1)
    monkeypatch.setattr(programs, "is_outdated", lambda _: False)
    known(sandbox, State.READY)
    answering(monkeypatch, node("n1"), node("n2"))
    return sandbox


def known(sandbox: Sandbox, state: State) -> None:
    """What the supervisor says of its program."""
    kubelet = Program("n1-kubelet", ("kubelet",), "any")
    files.write(programs.list_path(sandbox), json.dumps([asdict(kubelet)]))
    status = ProgramStatus("n1-kubelet", state, 7, 0)
    programs.write_status(sandbox, programs.list_version(sandbox), [status])


def answering(monkeypatch: pytest.MonkeyPatch, *nodes: dict[str, Any]) -> None:
    listed = json.dumps({"items": nodes})
    monkeypatch.setattr(kubectl, "run", lambda *_, **__: listed)


def refusing(monkeypatch: pytest.MonkeyPatch, error: SandboxError) -> None:
    def run(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(kubectl, "run", run)


def test_where_all_is_there_nothing_is_missing(there: Sandbox) -> None:
    seen = health.require_api(there, "`up`")
    assert seen.running
    assert not seen.missing
    assert seen.links == {"web-ws": "ws://127.0.0.1:2"}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([node("n2")], "Node n1 is not there"),
        (
            [node("n1", "Unknown", "Kubelet stopped posting node status."), node("n2")],
            "Node n1 is not Ready (Kubelet stopped posting node status)",
        ),
        (
            [{"metadata": {"name": "n1"}, "status": {}}],
            "Node n2 is not there; Node n1 is not Ready (it has said nothing yet)",
        ),
    ],
)
def test_a_node_that_is_away_is_named_and_the_rest_can_be_asked(
    there: Sandbox, monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, Any]], said: str
) -> None:
    answering(monkeypatch, *nodes)
    seen = health.require_api(there, "`up`")
    assert seen.trouble("It") == f"Sandbox {there.name}: {said}. It repairs it."
    assert not seen.running


def test_a_program_that_is_not_ready_is_named(there: Sandbox) -> None:
    known(there, State.RESTARTING)
    assert health.require_api(there, "`up`").missing == ["n1-kubelet is restarting"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (kubectl.TimedOutError(), "The API server does not answer within 10 s"),
        (SandboxError(), "The API server cannot be reached"),
    ],
)
def test_an_api_server_that_does_not_answer_is_named(
    there: Sandbox, monkeypatch: pytest.MonkeyPatch, error: SandboxError, said: str
) -> None:
    refusing(monkeypatch, error)
    with pytest.raises(NotReadyError, match=said) as refused:
        health.require_api(there, "`up`")
    assert refused.value.exit_code == 3


def test_a_kubectl_that_is_missing_is_not_taken_for_a_silent_api_server(
    there: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, kubectl.MissingError("no kubectl"))
    with pytest.raises(kubectl.MissingError):
        health.look(there)


def test_kubectl_is_ended_when_it_takes_too_long(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubectl, "_program", lambda: "sleep")
    with pytest.raises(kubectl.TimedOutError, match=r"kubectl 10 did not end within 0 s"):
        kubectl.run(sandbox, "10", deadline=0.1)


def test_what_was_stopped_does_not_run(there: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "supervisor_pid", lambda _: None)
    refusing(monkeypatch, SandboxError())
    with pytest.raises(SandboxError, match="Sandbox unit does not run; `up` starts it") as refused:
        health.require_api(there, "`up`")
    assert refused.value.exit_code == 1


def test_what_is_lost_is_started_again_by_up_and_nothing_else(
    there: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarted: list[dict[str, int]] = []
    monkeypatch.setattr(programs, "restart", lambda _, running: restarted.append(running))
    before = {"kube-apiserver": 1, "n1-kubelet": 2, "n2-kubelet": 3}
    answering(monkeypatch, node("n1", "False"))
    cluster._restart_lost(there, ["n1", "n2", "n3"], before)  # n3 is new
    assert restarted == [{"n1-kubelet": 2, "n2-kubelet": 3}]
    cluster._restart_lost(there, ["n1", "n2"], {})  # nothing ran: they are starting
    assert len(restarted) == 1


def test_an_api_server_that_hangs_is_started_again_by_up(
    there: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restart(_: Sandbox, running: dict[str, int]) -> None:
        if running:
            assert running == {"kube-apiserver": 1}
            answering(monkeypatch, node("n1"), node("n2"))

    monkeypatch.setattr(programs, "restart", restart)
    monkeypatch.setattr(programs, "wait_ready", lambda *_: None)
    refusing(monkeypatch, kubectl.TimedOutError())
    cluster._restart_lost(there, ["n1", "n2"], {"kube-apiserver": 1})


def test_a_program_is_ended_only_while_it_is_the_one_that_was_meant(
    there: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []

    def kill(pid: int, how: signal.Signals) -> None:
        assert how is signal.SIGKILL
        ended.append(pid)
        known(there, State.RESTARTING)
        monkeypatch.setattr(programs, "read_status", lambda _: [])

    monkeypatch.setattr(os, "kill", kill)
    programs.restart(there, {"n1-kubelet": 6, "other": 7})
    assert ended == []
    programs.restart(there, {"n1-kubelet": 7})
    assert ended == [7]


def state(sandbox: Sandbox, name: str, *resources: dict[str, Any], **more: Any) -> None:
    """What the engine keeps of a stack."""
    path = sandbox.pulumi / "state" / ".pulumi" / "stacks" / "ado" / f"{name}.json"
    latest = {"resources": resources, **more} if resources else None
    files.write(path, json.dumps({"version": 3, "checkpoint": {"latest": latest}}))


def resource(kind: str, name: str) -> dict[str, Any]:
    return {"type": f"kubernetes:{kind}", "outputs": {"metadata": {"name": name}}}


OF_DEV = (
    {"type": "pulumi:pulumi:Stack", "outputs": {"namespace": "ado-system"}},
    resource("core/v1:Namespace", "ado-system"),
    resource("apps/v1:Deployment", "ado-gateway"),
    resource("core/v1:Service", "ado-gateway"),
    resource("apps/v1:StatefulSet", "redis"),
)


def test_what_is_deployed_is_read_from_the_engines_state(sandbox: Sandbox) -> None:
    assert deployed.read(sandbox, "dev") == deployed.Deployed()
    assert deployed.stacks(sandbox) == set()
    state(sandbox, "dev", *OF_DEV, pending_operations=[{"type": "creating"}])
    state(sandbox, "prod")  # destroyed
    found = deployed.read(sandbox, "dev")
    assert found.namespace == "ado-system"
    assert found.workloads == {"ado-gateway", "redis"}
    assert found.outputs == {"namespace": "ado-system"}
    assert found.interrupted
    assert deployed.read(sandbox, "prod") == deployed.Deployed()
    assert deployed.stacks(sandbox) == {"dev"}


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform that runs, on a cluster that does."""
    found = whole()
    monkeypatch.setattr(health, "require_api", lambda *_: running())
    monkeypatch.setattr(stack.Stack, "_look", lambda *_: (sight(found), set[str]()))
    return found


def status(sandbox: Sandbox, *options: str) -> Any:
    return CliRunner().invoke(cli.app, ["status", "--name", sandbox.name, *options])


def test_status_says_what_of_the_cluster_is_missing_and_is_not_content(
    there: Sandbox, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert platform.settled
    state(there, "dev", *OF_DEV)
    files.write(deployed.last_up(there, "dev"), deployed.digest(there, "dev"))
    assert status(there).exit_code == 0
    monkeypatch.setattr(health, "require_api", lambda *_: running("Node n1 is not there"))
    seen = status(there)
    assert seen.exit_code == 3
    assert "Sandbox unit: Node n1 is not there. " in seen.output
    assert "up --stack dev --name unit` repairs it." in seen.output
    read = json.loads(status(there, "--json").stdout)
    assert (read["ready"], read["clusterMissing"]) == (False, ["Node n1 is not there"])


@pytest.mark.parametrize("of", [(), ("--cluster",)])
def test_status_of_another_version_than_is_here_says_what_is_missing_and_builds_nothing(
    there: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kubectl, "run", lambda *_, **__: kubectl._program())
    made: list[object] = []
    monkeypatch.setattr(gobuild, "build", lambda *given: made.append(given))
    monkeypatch.setattr(downloads, "fetch", lambda *given: made.append(given))
    said = str(status(there, *of).exception)
    assert said.startswith(f"kubectl {tools.KUBERNETES.version} is not on this machine yet")
    assert not made


@pytest.mark.parametrize(
    "lock",
    [lambda there: stack.Stack("dev", there, Path(), Console())._lock(), cluster.lock_path],
    ids=["of the stack", "of the cluster"],
)
def test_status_says_which_command_is_at_it_and_does_not_wait_for_it(
    there: Sandbox,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    lock: Callable[[Sandbox], Path],
) -> None:
    assert platform
    monkeypatch.setattr(cluster, "RUNTIME_ROOT", there.runtime.parent)
    state(there, "dev", *OF_DEV)
    with files.locked(lock(there)):
        assert f"(pid {os.getpid()})" in status(there).stdout.splitlines()[0]
    assert "Under way" not in status(there).stdout


def test_status_of_another_stack_says_which_is_deployed(there: Sandbox, platform: Platform) -> None:
    assert platform
    state(there, "dev", *OF_DEV)
    refused = status(there, "--stack", "prod").exception
    assert "Stack prod is not deployed here (dev is)" in str(refused)


def test_who_only_asks_keeps_nobody_out_of_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert files.holder(path) == ""
    with files.locked(path):
        pass
    assert files.holder(path) == ""
    taking = ["flock", "--nonblock", str(path), "true"]
    assert subprocess.run(taking, check=False).returncode == 0
