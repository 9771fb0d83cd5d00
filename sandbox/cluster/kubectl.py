"""kubectl against a sandbox: with its kubeconfig and no other, and traces only in its state."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import NoReturn

from sandbox.build import tools
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox

DEADLINE = 300.0
"""Seconds; every wait that is asked of kubectl is shorter."""


class TimedOutError(SandboxError):
    """kubectl was ended because it took too long."""


class MissingError(SandboxError):
    """There is no kubectl yet; who only asks about a sandbox does not wait until one is built."""


def run(
    sandbox: Sandbox, *arguments: str, standard_input: str = "", deadline: float = DEADLINE
) -> str:
    """Run kubectl and return what it printed.

    Raises SandboxError with kubectl's own words when it fails, TimedOutError when it takes longer
    than `deadline` seconds, and MissingError.
    """
    done = attempt(sandbox, *arguments, standard_input=standard_input, deadline=deadline)
    if done.returncode != 0:
        raise SandboxError(f"kubectl {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
    return done.stdout


def attempt(
    sandbox: Sandbox, *arguments: str, standard_input: str = "", deadline: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    """Run kubectl, which may fail.

    Raises TimedOutError when it takes longer than `deadline` seconds, and MissingError.
    """
    try:
        return subprocess.run(
            [_program(), *arguments],
            input=standard_input,
            env=os.environ | environment(sandbox),
            capture_output=True,
            text=True,
            check=False,
            timeout=deadline,
        )
    except subprocess.TimeoutExpired:
        command = " ".join(arguments[:2])
        raise TimedOutError(f"kubectl {command} did not end within {deadline:.0f} s.") from None


def become(sandbox: Sandbox, arguments: Sequence[str]) -> NoReturn:
    """End this program and be kubectl instead, with its terminal and signals."""
    program = _program()
    os.execve(program, [program, *arguments], os.environ | environment(sandbox))  # noqa: S606 - no shell


def _program() -> str:
    program = tools.find(tools.KUBERNETES, "kubectl")
    if program is None:
        from sandbox.build import downloads  # noqa: PLC0415 - loads an HTTP client

        does = "downloads or builds" if downloads.enabled() else "builds"
        raise MissingError(
            f"kubectl {tools.KUBERNETES.version} is not on this machine yet; "
            f"`.venv/bin/python -m sandbox prepare` {does} it."
        )
    return str(program)


def environment(sandbox: Sandbox) -> dict[str, str]:
    """The variables by which kubectl knows this sandbox, and no other cluster."""
    return {
        "KUBECONFIG": str(sandbox.kubeconfig),
        "KUBECACHEDIR": str(sandbox.state / "kubectl-cache"),
    }
