"""Ctrl-C ends a command line in one line, and everything that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.recording import ROOT

LINE = "Interrupted; the same command goes on from here.\n"
PROGRAM = """
import subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor
import typer
from sandbox import errors, interrupt
interrupt.PATIENCE = 0.5
app = typer.Typer(pretty_exceptions_enable=False)
child = sys.argv.pop()
@app.command()
def command():
    {statement}
errors.run(app)
"""
WAYS = {
    "run": "subprocess.run(['sh', '-c', child])",
    "captured": "subprocess.run(['sh', '-c', child], capture_output=True)",
    "in a thread": (
        "with ThreadPoolExecutor() as pool: pool.submit(subprocess.run, ['sh', '-c', child])"
    ),
    "with complaints": (
        "import logging, warnings\n"
        "    try: subprocess.run(['sh', '-c', child])\n"
        "    finally: logging.error('x'); warnings.warn('x')"
    ),
    "read by a thread that nobody joins": (
        "p = subprocess.Popen(['sh', '-c', child], stdout=-1)\n"
        "    threading.Thread(target=p.stdout.read).start(); p.wait()"
    ),
}
CHILDREN = {
    "with a child of its own": "sleep 1d & echo > {mark}; wait",
    "that does not listen": "trap '' INT; echo > {mark}; while :; do sleep 1d; done",
    "in a group of its own": "bash -mc 'sleep 1d & echo > {mark}; wait' 2> /dev/null",
}


def _interrupted(statement: str, child: str, mark: Path, *prefix: str) -> subprocess.Popen[str]:
    """The command after SIGINT to it alone, with what it prints in pipes."""
    running = subprocess.Popen(
        [*prefix, sys.executable, "-c", PROGRAM.format(statement=statement), child],
        cwd=ROOT,
        env=os.environ | {"MARK": str(mark)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not mark.exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    return running


def _alive(mark: Path) -> list[str]:
    """The command lines of those that run and know the mark."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={mark}\0" in (process / "environ").read_text():
                found.append((process / "cmdline").read_text())
        except OSError:  # ended in between, or another user's
            continue
    return [command for command in found if command]


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        *((way, "with a child of its own") for way in WAYS if way != "captured"),
        *(("captured", kind) for kind in CHILDREN),
    ],
)
def test_one_line_is_said_and_nothing_that_was_started_goes_on(
    tmp_path: Path, way: str, kind: str
) -> None:
    mark = tmp_path / "mark"
    running = _interrupted(WAYS[way], CHILDREN[kind].format(mark=mark), mark)
    assert running.communicate(timeout=20) == ("", LINE)
    assert running.returncode == 130
    assert _alive(mark) == []


def test_a_command_in_the_background_of_a_shell_answers_too(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    ignoring = ["env", "--ignore-signal=INT"]
    running = _interrupted(WAYS["run"], f"echo > {mark}; sleep 1d", mark, *ignoring)
    assert running.communicate(timeout=20) == ("", LINE)
    assert running.returncode == 130


def test_what_has_a_session_of_its_own_goes_on(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    child = f"setsid sh -c 'echo $$ > {mark}; exec sleep 1d' > /dev/null 2>&1 & wait; sleep 1d"
    running = _interrupted(WAYS["run"], child, mark)
    assert running.communicate(timeout=20) == ("", LINE)
    daemon = int(mark.read_text())
    os.kill(daemon, signal.SIGKILL)  # raises when there is none


def test_what_ends_by_itself_is_given_the_time(tmp_path: Path) -> None:
    mark, done = tmp_path / "mark", tmp_path / "done"
    slowly = (
        f"trap 'sleep 0.2; echo > {done}; exit' INT; echo > {mark}; while :; do sleep 0.01; done"
    )
    running = _interrupted(WAYS["in a thread"], slowly, mark)
    assert running.communicate(timeout=20) == ("", LINE)
    assert done.exists()


def test_a_thread_that_would_start_a_program_afterwards_does_not_hold_it_up(tmp_path: Path) -> None:
    mark, waiting = tmp_path / "mark", tmp_path / "waiting"
    late = (
        "import time, pathlib\n"
        "    def work():\n"
        f"        pathlib.Path({str(waiting)!r}).touch()\n"
        "        time.sleep(2)\n"
        "        subprocess.run(['sh', '-c', child])\n"
        "    with ThreadPoolExecutor() as pool: pool.submit(work)"
    )
    running = _interrupted(late, f"echo > {mark}; sleep 1d", waiting)
    assert running.communicate(timeout=20) == ("", LINE)
    assert running.returncode == 130
    assert _alive(waiting) == []
