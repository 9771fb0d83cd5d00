"""What the supervisor keeps running, and how others tell it and ask it.

The list of programs is a file, as is the supervisor's view of them; SIGHUP makes it read the
list again. It holds a lock as long as it lives, so a stale pid can never be taken for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.files import write
from sandbox.host import cgroups
from sandbox.paths import Sandbox


@dataclass(frozen=True)
class Program:
    """One long-running program."""

    name: str
    command: tuple[str, ...]
    """No secrets in it: argument lists can be read by everybody on the machine."""
    cgroup: str
    """Below the sandbox's own."""
    namespace: str | None = None
    """Network namespace to run in; None is the machine's own."""
    ready: str | None = None
    """`https://HOST:PORT/PATH`, `http://...`, `tcp://HOST:PORT` or `unix:///PATH` that answers,
    within the namespace, once the program does its work; None: as soon as it runs."""
    after: tuple[str, ...] = ()
    """Programs that must be ready before this one starts; it is stopped before they are."""
    configuration: str = ""
    """`digest` of the files it reads when it starts: with others it is started again."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables beside the supervisor's own; they may be secret: only root can read the list."""


class State(StrEnum):
    """What a program is doing."""

    WAITING = "waiting"  # for those in `after`
    STARTING = "starting"  # runs, but is not ready
    READY = "ready"
    RESTARTING = "restarting"  # died, will be started again
    STOPPED = "stopped"


@dataclass(frozen=True)
class ProgramStatus:
    """The supervisor's view of one program."""

    name: str
    state: State
    pid: int | None
    restarts: int


def digest(*contents: str) -> str:
    """What tells one configuration from another."""
    return hashlib.sha256("\0".join(contents).encode()).hexdigest()[:16]


def lock_path(sandbox: Sandbox) -> Path:
    """Locked by the supervisor while it lives."""
    return sandbox.runtime / "supervisor.lock"


def list_path(sandbox: Sandbox) -> Path:
    """The programs to run; in the state directory, so that it survives a reboot."""
    return sandbox.state / "programs.json"


def status_path(sandbox: Sandbox) -> Path:
    """What the supervisor last knew."""
    return sandbox.runtime / "status.json"


def log_path(sandbox: Sandbox, program: str) -> Path:
    """What a program, or `supervisor`, printed."""
    return sandbox.logs / f"{program}.log"


def supervisor_pid(sandbox: Sandbox) -> int | None:
    """The supervisor's process; None when there is none."""
    try:
        with lock_path(sandbox).open() as handle:
            # struct flock: asks the kernel who holds the lock without taking it
            question = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
            answer = fcntl.fcntl(handle, fcntl.F_GETLK, question)
    except FileNotFoundError:
        return None
    kind, _, _, _, pid = struct.unpack("hhqqi", answer)
    return None if kind == fcntl.F_UNLCK else int(pid)


def read_list(sandbox: Sandbox) -> list[Program]:
    """The programs that should run; empty when nothing was ever started."""
    try:
        listed = json.loads(list_path(sandbox).read_text())
    except FileNotFoundError:
        return []
    return [
        Program(**entry | {key: tuple(entry[key]) for key in ("command", "after")})
        for entry in listed
    ]


def read_status(sandbox: Sandbox) -> list[ProgramStatus]:
    """What each program does, in the order of the list; empty without a supervisor.

    Empty too while the supervisor has not taken in a list that just changed or was touched, and
    when it runs other code than this, whose status may have another form.
    """
    if supervisor_pid(sandbox) is None or is_outdated(sandbox):
        return []
    try:
        seen = json.loads(status_path(sandbox).read_text())
        if seen["list"] != list_version(sandbox):
            return []
    except FileNotFoundError:
        return []
    return [ProgramStatus(**e | {"state": State(e["state"])}) for e in seen["programs"]]


def list_version(sandbox: Sandbox) -> str:
    """Another after each writing of the list, and after each touch by who waits for an answer."""
    path = list_path(sandbox)
    return digest(path.read_text(), str(path.stat().st_mtime_ns))


def write_status(sandbox: Sandbox, followed: str, statuses: Iterable[ProgramStatus]) -> None:
    """For the supervisor: `followed` is the version of the list it has taken in."""
    document = {"list": followed, "programs": [asdict(status) for status in statuses]}
    write(status_path(sandbox), json.dumps(document))


def apply(sandbox: Sandbox, wanted: Sequence[Program]) -> None:
    """Make these, and only these, the programs that run: start, stop or restart the difference."""
    changed = read_list(sandbox) != list(wanted)
    if changed:
        write(list_path(sandbox), json.dumps([asdict(p) for p in wanted], indent=1))
    if supervisor_pid(sandbox) is None:
        _start_supervisor(sandbox)
    elif changed:
        _tell_supervisor(sandbox)


def _tell_supervisor(sandbox: Sandbox) -> None:
    """Have it read its list."""
    if pid := supervisor_pid(sandbox):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)


ANSWER_DEADLINE = 20.0
"""Seconds; stopping three programs that wait for each other may take it fifteen."""


def restart(sandbox: Sandbox, running: Mapping[str, int]) -> None:
    """End these programs, name → pid, also those that hang; the supervisor starts them again.

    Returns when it has noticed. One that has another pid meanwhile is left alone.
    """

    def left() -> list[int]:
        return [s.pid for s in read_status(sandbox) if s.pid and s.pid == running.get(s.name)]

    for pid in left():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + ANSWER_DEADLINE
    while left() and time.monotonic() < end:
        time.sleep(0.02)


RESTARTS_TO_GIVE_UP = 5
"""A program that dies so often while it is waited for will not come up by waiting longer."""


def wait_ready(
    sandbox: Sandbox, names: Iterable[str], deadline: float, report: Callable[[str], None]
) -> None:
    """Return when all the named programs are ready.

    Raises SandboxError after `deadline` seconds, or at once when the supervisor is gone, naming
    what is missing and the last lines it printed.
    """
    wanted = list(names)
    end = time.monotonic() + deadline
    before = {seen.name: seen.restarts for seen in read_status(sandbox)}
    while True:
        states = {seen.name: seen for seen in read_status(sandbox)}
        missing = [n for n in wanted if n not in states or states[n].state is not State.READY]
        if not missing:
            return
        report("waiting for " + ", ".join(missing))
        if supervisor_pid(sandbox) is None:
            raise SandboxError(_last_words(sandbox, "supervisor", "ended"))
        # Those that wait for others are not to blame.
        active = [states[n] for n in missing if n in states and states[n].state != State.WAITING]
        dying = [s for s in active if s.restarts - before.get(s.name, 0) >= RESTARTS_TO_GIVE_UP]
        if dying or time.monotonic() > end:
            raise SandboxError(_not_ready(sandbox, missing, (dying or active)[:1]))
        time.sleep(0.05)


def _not_ready(sandbox: Sandbox, missing: Sequence[str], blamed: Sequence[ProgramStatus]) -> str:
    message = f"Not ready: {', '.join(missing)}.\n"
    if not blamed:
        return message + _last_words(sandbox, "supervisor", "started none of them")
    fate = f"is {blamed[0].state}, restarted {blamed[0].restarts} times"
    return message + _last_words(sandbox, blamed[0].name, fate)


def is_supervised(sandbox: Sandbox) -> bool:
    """Whether a supervisor of this code takes in its list when it is told to.

    It is asked, because one that was killed this moment holds its lock until it is dead, and its
    status says that everything is ready. One that hangs gets ANSWER_DEADLINE.
    """
    if supervisor_pid(sandbox) is None or is_outdated(sandbox):
        return False
    now = time.time_ns()
    try:
        os.utime(list_path(sandbox), ns=(now, now))
    except FileNotFoundError:
        return False
    _tell_supervisor(sandbox)
    end = time.monotonic() + ANSWER_DEADLINE
    while supervisor_pid(sandbox) and time.monotonic() < end:
        if read_status(sandbox):
            return True
        time.sleep(0.005)
    return False


def stop_leftovers(sandbox: Sandbox) -> None:
    """End the supervisor, if there still is one, and the programs that outlived it.

    Pods and the shims that hold them go on: the next containerd finds them again.
    """
    cgroups.kill(f"{sandbox.cgroup}/supervisor")
    for program in read_list(sandbox):
        cgroups.kill(f"{sandbox.cgroup}/{program.cgroup}", spare=_is_shim)


def _code_path(sandbox: Sandbox) -> Path:
    return sandbox.runtime / "supervisor-code"


def is_outdated(sandbox: Sandbox) -> bool:
    """Whether the supervisor that was started last runs other code than this."""
    mark = _code_path(sandbox)
    return not (mark.exists() and mark.read_text() == _code())


def _code() -> str:
    """Tells one version of the supervisor from another."""
    directory = Path(__file__).parent
    return digest(*((directory / n).read_text() for n in ("programs.py", "supervisor.py")))


def _is_shim(pid: int) -> bool:
    return cgroups.command_name(pid).startswith("containerd-shim")


def _last_words(sandbox: Sandbox, name: str, fate: str) -> str:
    path = log_path(sandbox, name)
    lines = path.read_text(errors="replace").splitlines()[-15:] if path.exists() else []
    return f"{name} {fate}. Last lines of {path}:\n" + "\n".join(f"  {li[:400]}" for li in lines)


def _start_supervisor(sandbox: Sandbox) -> None:
    """Start the supervisor in the background; return when it holds its lock."""
    package_root = str(Path(__file__).parents[2])
    # The rest of the user's environment is nobody's business in the sandbox.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": package_root,
        "PYTHONUNBUFFERED": "1",
        "HOME": "/",
        "LANG": "C.UTF-8",
    }
    write(_code_path(sandbox), _code())
    with log_path(sandbox, "supervisor").open("ab") as log:
        started = subprocess.run(
            [sys.executable, "-m", "sandbox.host.supervisor", sandbox.name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            check=False,
        )
    if started.returncode != 0:
        raise SandboxError(_last_words(sandbox, "supervisor", "did not start"))
