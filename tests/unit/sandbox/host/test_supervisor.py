"""The supervisor with small programs in the place of a cluster's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

import pytest

from sandbox.errors import SandboxError
from sandbox.files import write
from sandbox.host import programs, supervisor
from sandbox.host.programs import Program, ProgramStatus, State
from sandbox.host.supervisor import Supervisor
from sandbox.paths import Sandbox
from tests.support.recording import ROOT

SLEEPER = ("sleep", "1d")


def listed(sandbox: Sandbox, *wanted: Program) -> None:
    write(programs.list_path(sandbox), json.dumps([asdict(program) for program in wanted]))


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


@asynccontextmanager
async def supervising(sandbox: Sandbox) -> AsyncGenerator[None]:
    """A supervisor in this process; told to stop at the end by the signal it would get."""
    running = asyncio.create_task(Supervisor(sandbox).run())
    try:
        yield
    finally:
        await asyncio.sleep(0)  # it has set up its signal handlers
        os.kill(os.getpid(), signal.SIGTERM)
        await running


async def seen(
    sandbox: Sandbox, condition: Callable[[dict[str, ProgramStatus]], bool]
) -> dict[str, ProgramStatus]:
    """What the supervisor tells, once the condition holds for it."""
    while True:
        try:
            document = json.loads(programs.status_path(sandbox).read_text())
        except FileNotFoundError:
            document = {"programs": []}
        states = {entry["name"]: ProgramStatus(**entry) for entry in document["programs"]}
        if states and condition(states):
            return states
        await asyncio.sleep(0.01)


def all_ready(states: dict[str, ProgramStatus]) -> bool:
    return all(status.state == State.READY for status in states.values())


def test_a_program_that_dies_is_started_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF", 0.01)
    listed(sandbox, Program("sleeper", SLEEPER, "any"))

    async def scenario() -> None:
        async with supervising(sandbox):
            first = (await seen(sandbox, all_ready))["sleeper"]
            assert first.pid
            os.kill(first.pid, signal.SIGKILL)
            again = await seen(
                sandbox, lambda states: all_ready(states) and states["sleeper"].restarts == 1
            )
            assert again["sleeper"].pid != first.pid

    run(scenario)


def test_a_program_has_its_own_variables_beside_the_supervisors(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMON", "kept")
    told = ("sh", "-c", 'echo "$COMMON $OWN"; exec sleep 1d')
    listed(sandbox, Program("told", told, "any", environment={"OWN": "given"}))

    async def scenario() -> None:
        async with supervising(sandbox):
            await seen(sandbox, all_ready)
            while programs.log_path(sandbox, "told").read_text() != "kept given\n":
                await asyncio.sleep(0.01)

    run(scenario)


def test_a_program_starts_when_those_before_it_are_ready_and_stops_before_them(
    sandbox: Sandbox,
) -> None:
    """Each writes into one file when it starts, and when it is told to stop."""
    story = sandbox.state / "story"
    story.touch()

    def telling(name: str) -> tuple[str, ...]:
        program = (
            "import pathlib, signal, sys\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
            "story = pathlib.Path(sys.argv[1]).open('a', buffering=1)\n"
            "story.write(f'{sys.argv[2]} starts\\n')\n"
            "signal.sigwait({signal.SIGTERM})\n"
            "story.write(f'{sys.argv[2]} stops\\n')\n"
        )
        return (sys.executable, "-c", program, str(story), name)

    socket = sandbox.runtime / "first.sock"
    listen = (
        "import signal, socket, sys\n"
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.bind(sys.argv[3])\n"
        "server.listen()\n"
    )
    first = telling("first")
    listed(
        sandbox,
        Program("second", telling("second"), "any", after=("first",)),
        Program(
            "first",
            (*first[:2], listen + first[2], *first[3:], str(socket)),
            "any",
            ready=f"unix://{socket}",
        ),
    )

    async def scenario() -> None:
        async with supervising(sandbox):
            await seen(sandbox, all_ready)
            while len(story.read_text().splitlines()) < 2:
                await asyncio.sleep(0.01)

    run(scenario)
    assert story.read_text().splitlines() == [
        "first starts",
        "second starts",
        "second stops",
        "first stops",
    ]


def test_a_changed_list_touches_only_the_programs_that_changed(sandbox: Sandbox) -> None:
    kept, changed, gone = (Program(name, SLEEPER, "any") for name in ("kept", "changed", "gone"))
    listed(sandbox, kept, changed, gone)

    async def scenario() -> None:
        async with supervising(sandbox):
            before = await seen(sandbox, all_ready)
            listed(
                sandbox, kept, replace(changed, configuration="other"), Program("new", SLEEPER, "x")
            )
            os.kill(os.getpid(), signal.SIGHUP)
            after = await seen(sandbox, lambda states: "new" in states and all_ready(states))
            assert set(after) == {"kept", "changed", "new"}
            assert after["kept"] == before["kept"]
            assert after["changed"].pid != before["changed"].pid
            assert before["gone"].pid
            with pytest.raises(ProcessLookupError):
                os.kill(before["gone"].pid, 0)

    run(scenario)


def test_a_program_that_ignores_sigterm_is_killed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_GRACE", 0.1)
    ignoring = ("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    listed(sandbox, Program("stubborn", ignoring, "any"))
    pids: list[int | None] = []

    async def scenario() -> None:
        async with supervising(sandbox):
            pids.append((await seen(sandbox, all_ready))["stubborn"].pid)

    run(scenario)
    assert pids[0]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_waiting_names_the_program_to_blame_and_its_last_words(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [
        ProgramStatus("etcd", State.READY, 1, 0),
        ProgramStatus("kube-scheduler", State.WAITING, None, 0),
        ProgramStatus("kube-apiserver", State.RESTARTING, None, 3),
    ]
    monkeypatch.setattr(programs, "supervisor_pid", lambda _: 1)
    monkeypatch.setattr(programs, "read_status", lambda _: states)
    programs.log_path(sandbox, "kube-apiserver").write_text("begin\nunknown flag: --typo\n")
    names = [state.name for state in states]
    with pytest.raises(SandboxError) as raised:
        programs.wait_ready(sandbox, names, 0, lambda _: None)
    message = str(raised.value)
    assert "Not ready: kube-scheduler, kube-apiserver." in message
    assert "kube-apiserver is restarting, restarted 3 times" in message
    assert "unknown flag: --typo" in message


def test_the_supervisors_lock_and_not_a_pid_file_says_that_it_lives(sandbox: Sandbox) -> None:
    assert programs.supervisor_pid(sandbox) is None
    programs.lock_path(sandbox).touch()  # as a supervisor that was killed leaves it
    assert programs.supervisor_pid(sandbox) is None


def test_the_status_of_a_list_that_changed_meanwhile_counts_for_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "supervisor_pid", lambda _: 1)
    monkeypatch.setattr(programs, "is_outdated", lambda _: False)
    listed(sandbox, Program("etcd", SLEEPER, "any"))
    status = ProgramStatus("etcd", State.READY, 1, 0)
    programs.write_status(sandbox, programs.list_version(sandbox), [status])
    assert programs.read_status(sandbox) == [status]
    listed(sandbox, Program("etcd", ("sleep", "2d"), "any"))
    assert programs.read_status(sandbox) == []


def test_the_status_of_a_supervisor_with_other_code_counts_for_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "supervisor_pid", lambda _: 1)
    programs.status_path(sandbox).write_text('["of another form"]')
    assert programs.read_status(sandbox) == []


def test_a_supervisor_at_work_is_asked_and_answers(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "supervisor_pid", lambda _: os.getpid())
    monkeypatch.setattr(programs, "is_outdated", lambda _: False)
    listed(sandbox, Program("sleeper", SLEEPER, "any"))

    async def scenario() -> None:
        async with supervising(sandbox):
            before = await seen(sandbox, all_ready)
            assert await asyncio.to_thread(programs.is_supervised, sandbox)
            assert await seen(sandbox, all_ready) == before

    run(scenario)


HOLDER = """
import fcntl, pathlib, signal, sys, time
from sandbox import paths
from sandbox.host import programs

lives, state, runtime = sys.argv[1:]
paths.STATE_ROOT, paths.RUNTIME_ROOT = pathlib.Path(state), pathlib.Path(runtime)
sandbox = paths.Sandbox("unit")
status = [programs.ProgramStatus("etcd", programs.State.READY, 1, 0)]
programs.write_status(sandbox, programs.list_version(sandbox), status)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with programs.lock_path(sandbox).open("a") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print("locked", flush=True)
    time.sleep(float(lives))
"""


@pytest.mark.parametrize(("lives", "deadline"), [(20, 0.3), (0.3, 20)], ids=["hangs", "dies"])
def test_one_that_holds_its_lock_and_does_not_answer_is_none(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, lives: float, deadline: float
) -> None:
    """Its status says that all is ready; one that was killed is such for a moment."""
    monkeypatch.setattr(programs, "ANSWER_DEADLINE", deadline)
    monkeypatch.setattr(programs, "is_outdated", lambda _: False)
    listed(sandbox, Program("etcd", SLEEPER, "any"))
    roots = [str(sandbox.state.parent), str(sandbox.runtime.parent)]
    command = [sys.executable, "-c", HOLDER, str(lives), *roots]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"locked\n"
            assert programs.read_status(sandbox)
            assert not programs.is_supervised(sandbox)
        finally:
            holder.kill()
