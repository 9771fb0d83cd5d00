"""Why a stack is not deployed here, in words that help here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox import mishaps
from sandbox.errors import NotReadyError, SandboxError
from sandbox.paths import CHECKOUT, Sandbox

HOW_TO_LIFT = """\
The stack is protected: nothing was deleted. To take it down with its data, lift the protection.
Here: in Pulumi.{stack}.yaml remove `ado:profile` if it is production, set `ado:protectData: false`,
then `make up STACK={stack}` and `make destroy STACK={stack}`; or `make down` for the whole sandbox.
With plain Pulumi the same in commands:
  1. pulumi config rm profile   (of a production stack)
  2. pulumi config set ado:protectData false
  3. pulumi up
  4. pulumi destroy"""
HERE = (
    (("--secret",), "`.venv/bin/python -m sandbox secret KEY --stack {stack}`"),
    (("pulumi config",), "edit Pulumi.{stack}.yaml"),
    (("pulumi refresh", "pulumi up"), "`make up STACK={stack}`"),
    (("kubectl ",), "`.venv/bin/python -m sandbox kubectl`"),
)
"""Commands that errors advise, and what does the same here: nothing of theirs need be installed."""
ANSWER_DEADLINE = 60.0
"""Seconds for a question to the API server, with the imports of who asks."""
ROTATED = """\
ado-ops are the operator's commands: `ops postgres rotate` has changed this password, and the stack
does not know it. Tell the stack, as docs/data.md, Passwords, says. To take the Secrets over by
force would lock the applications out: the database would not know what they have."""
GIVES_WAY = """\
{manager} is a run of this stack that was killed, or another stack with the same names. A killed one
gives way, once, to `PULUMI_K8S_ENABLE_PATCH_FORCE=true make up STACK={stack}`."""
_KILLED = re.compile(r'conflicts? with "(pulumi-kubernetes-\w+)"')
"""Each object has a writer of its own, whose name the state keeps; a killed run's is forgotten."""


def refuse_beside(others: set[str], stack: str) -> None:
    """Raises SandboxError when other stacks are deployed: both would own the same namespace."""
    if others:
        other = min(others)
        raise SandboxError(
            f"Stack {other} is deployed here already, and both use one namespace. First "
            f"`make destroy STACK={other}`, or `make down`; then `make up STACK={stack}`."
        )


def refuse_another_primary(sandbox: Sandbox, stack: str, project: Path) -> None:
    """Asks the operator's command what it advises to ask before every deployment.

    Raises SandboxError with its answer when it refuses.
    """
    command = ["-m", "ado_infra.ops", "postgres", "status", "--check", "--stack", stack]
    try:
        done = subprocess.run(
            [sys.executable, *command, "--context", sandbox.context],
            cwd=project,
            env=os.environ | {"KUBECONFIG": str(sandbox.kubeconfig), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_DEADLINE,
        )
    except subprocess.TimeoutExpired:
        raise NotReadyError(
            f"Which PostgreSQL is the primary could not be asked within {ANSWER_DEADLINE:.0f} s: "
            "the API server does not answer; `make up` repairs it."
        ) from None
    if done.returncode != 0:
        raise refusal([done.stderr.strip()], stack)


def failure(errors: Sequence[str], end: str, stack: str) -> SandboxError:
    """The errors, how they end, and what the commands that they advise are here."""
    advice = []
    for commands, here in HERE:
        if named := [f"`{c.strip()}`" for c in commands if any(c in error for error in errors)]:
            advice.append(f"instead of {' and '.join(named)}, {here.format(stack=stack)}")
    told = [*mishaps.told(errors), end, *([f"Here, {'; '.join(advice)}."] if advice else [])]
    if any('"ado-ops"' in error for error in errors):
        told.append(ROTATED)
    elif killed := next(filter(None, map(_KILLED.search, errors)), None):
        told.append(GIVES_WAY.format(manager=killed[1], stack=stack))
    return SandboxError("\n".join(told))


def refusal(errors: Sequence[str], stack: str) -> SandboxError:
    """The same for what was refused before it began."""
    return failure(errors, f"Stack {stack}: nothing was changed.", stack)
