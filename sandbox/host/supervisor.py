"""The supervisor: one process per sandbox that keeps its programs running.

Each program is a direct child that the kernel kills when the supervisor dies, however that
happens; only pods and containerd's shims outlive it, found again by their control group.
SIGHUP: read the list of programs again. SIGTERM: stop all, dependents first.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from sandbox.host import cgroups, probes, programs
from sandbox.host.programs import Program, ProgramStatus, State
from sandbox.paths import Sandbox, netns_path

PROBE_INTERVAL = 0.1
FIRST_BACKOFF, LAST_BACKOFF = 0.2, 10.0
LONG_ENOUGH = 30.0
"""Seconds after which a program that died counts as having worked: the backoff starts anew."""
STOP_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL; the API server may take a minute over open watches."""
LOG_LIMIT = 20 * 1024 * 1024


class Child:
    """One program and what became of it."""

    def __init__(self, program: Program, supervisor: Supervisor) -> None:
        self.program = program
        self.state = State.WAITING
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None
        self.stopped = asyncio.Event()
        self._supervisor = supervisor
        self._task = asyncio.create_task(self._keep())

    def status(self) -> ProgramStatus:
        """What others may know of it."""
        pid = self.process.pid if self.process and self.process.returncode is None else None
        return ProgramStatus(self.program.name, self.state, pid, self.restarts)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after a while."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self.process and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), STOP_GRACE)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        self._set(State.STOPPED)
        self.stopped.set()

    async def _keep(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            await self._supervisor.ready(self.program.after)
            started = time.monotonic()
            how = await self._run()
            if time.monotonic() - started > LONG_ENOUGH:
                backoff = FIRST_BACKOFF
            self.restarts += 1
            log(f"{self.program.name}: {how}, starting it again in {backoff:.1f} s")
            self._set(State.RESTARTING)
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LAST_BACKOFF)

    async def _run(self) -> str:
        """Run the program to its end and tell how it ended."""
        try:
            self.process = await self._start()
        except OSError as error:  # no space for its log, no process to be had, ...
            return f"cannot start: {error}"
        self._set(State.STARTING)
        probe = asyncio.create_task(self._probe())
        try:
            code = await self.process.wait()
        finally:
            probe.cancel()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    async def _start(self) -> asyncio.subprocess.Process:
        program, sandbox = self.program, self._supervisor.sandbox
        command = ["setpriv", "--pdeathsig", "KILL"]
        if program.namespace:
            # not `ip netns exec`: it adds a mount namespace, and containers would not see the
            # volumes that the kubelet mounts
            command += ["nsenter", f"--net={netns_path(program.namespace)}"]
        with _open_log(programs.log_path(sandbox, program.name)) as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                *program.command,
                env=os.environ | program.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        cgroups.join(f"{sandbox.cgroup}/{program.cgroup}", process.pid)
        return process

    async def _probe(self) -> None:
        url = self.program.ready
        while url and not await asyncio.to_thread(probes.answers, url, self.program.namespace):
            await asyncio.sleep(PROBE_INTERVAL)
        log(f"{self.program.name}: ready")
        self._set(State.READY)

    def _set(self, state: State) -> None:
        self.state = state
        self._supervisor.changed(self.program.name, state)


class Supervisor:
    """Keeps the listed programs running until it is told to stop."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._children: dict[str, Child] = {}
        self._followed = ""
        self._ready: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._reload = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        stop = asyncio.create_task(self._stop.wait())
        self._reload.set()
        while not stop.done():
            if self._reload.is_set():
                self._reload.clear()
                await self._follow_list()
            reload = asyncio.create_task(self._reload.wait())
            await asyncio.wait({stop, reload}, return_when=asyncio.FIRST_COMPLETED)
            reload.cancel()
        log("stopping")
        await self._stop_children(self._children.values())
        log("stopped")

    async def ready(self, names: Iterable[str]) -> None:
        """Return when all the named programs are ready."""
        for name in names:
            await self._ready[name].wait()

    def changed(self, name: str, state: State) -> None:
        """A program's state changed: tell those that wait for it and those that look."""
        if state is State.READY:
            self._ready[name].set()
        else:
            self._ready[name].clear()
        self._write_status()

    def _write_status(self) -> None:
        statuses = [child.status() for child in self._children.values()]
        programs.write_status(self.sandbox, self._followed, statuses)

    async def _follow_list(self) -> None:
        followed = programs.list_version(self.sandbox)
        wanted = {program.name: program for program in programs.read_list(self.sandbox)}
        outdated = [c for n, c in self._children.items() if wanted.get(n) != c.program]
        await self._stop_children(outdated)
        kept = {n: c for n, c in self._children.items() if c not in outdated}
        self._children = {n: kept.get(n) or Child(p, self) for n, p in wanted.items()}
        self._followed = followed
        self._write_status()

    async def _stop_children(self, children: Iterable[Child]) -> None:
        stopping = list(children)

        async def stop(child: Child) -> None:
            dependents = [c for c in stopping if child.program.name in c.program.after]
            await asyncio.gather(*(dependent.stopped.wait() for dependent in dependents))
            await child.stop()

        await asyncio.gather(*(stop(child) for child in stopping))


def log(message: str) -> None:
    """One line with the time; standard output is the supervisor's log."""
    print(time.strftime("%Y-%m-%d %H:%M:%S"), message, flush=True)


def _open_log(path: Path) -> IO[bytes]:
    """Append; a long log is set aside first, replacing the one set aside before."""
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")


def main(name: str) -> None:
    """Run the supervisor of the named sandbox in the background, in a session of its own.

    Returns when it holds its lock; exit code 1 when it ended before that.
    """
    answer, tell = os.pipe()
    if os.fork():
        os.close(tell)
        sys.exit(0 if os.read(answer, 1) else 1)
    os.setsid()  # Ctrl-C in the user's terminal is not meant for it
    sandbox = Sandbox(name)
    # First of all, so that everything that ever runs is found again.
    cgroups.join(f"{sandbox.cgroup}/supervisor", os.getpid())
    # It would end a supervisor that does not listen yet, and is about to read the list anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with programs.lock_path(sandbox).open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        log(f"supervisor of sandbox {name}, pid {os.getpid()}")
        os.write(tell, b"!")
        os.close(tell)
        asyncio.run(Supervisor(sandbox).run())


if __name__ == "__main__":
    main(sys.argv[1])
