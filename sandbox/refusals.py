"""Why a stack is not deployed here, in words that help here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sandbox import mishaps
from sandbox.errors import SandboxError

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
ROTATED = """\
ado-ops are the operator's commands: `ado-ops postgres rotate` has changed this password, and the
stack does not know it. Tell the stack, as docs/data-runbooks.md, Passwords, says. To take the
Secrets over by force would lock the applications out: the database would not know what they
have."""
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
