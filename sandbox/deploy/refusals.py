"""Why a stack is not deployed here, in words that help here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sandbox.deploy import mishaps
from sandbox.errors import SandboxError
from sandbox.paths import Called

_HOW_TO_LIFT = """\
The stack is protected: nothing was deleted. To take it down with its data, lift the protection.
Here: in Pulumi.{stack}.yaml remove `ado:profile` if it is production, set `ado:protectData: false`,
then `{up}` and `{destroy}`; or `{down}` for the whole sandbox.
With plain Pulumi the same in commands:
  1. pulumi config rm profile   (of a production stack)
  2. pulumi config set ado:protectData false
  3. pulumi up
  4. pulumi destroy"""
_HERE = (
    (("--secret",), "`{secret}`"),
    (("pulumi config",), "edit Pulumi.{stack}.yaml"),
    (("pulumi refresh", "pulumi up"), "`{up}`"),
    (("kubectl ",), "`{kubectl}`"),
)
"""Commands that errors advise, and what does the same here: nothing of theirs need be installed."""
ROTATED = """\
ado-ops are the operator's commands: `ado-ops postgres rotate` has changed this password, and the
stack does not know it. Tell the stack, as docs/data-runbooks.md, Passwords, says. To take the
Secrets over by force would lock the applications out: the database would not know what they
have."""
_GIVES_WAY = """\
{manager} is a run of this stack that was killed, or another stack with the same names. A killed one
gives way, once, to `PULUMI_K8S_ENABLE_PATCH_FORCE=true {up}`."""
_KILLED = re.compile(r'conflicts? with "(pulumi-kubernetes-\w+)"')
"""Each object has a writer of its own, whose name the state keeps; a killed run's is forgotten."""


def protected(called: Called) -> SandboxError:
    """Why nothing was deleted, and how it can be."""
    return SandboxError(_HOW_TO_LIFT.format_map(_words(called)))


def refuse_beside(others: set[str], called: Called) -> None:
    """Raises SandboxError when other stacks are deployed: both would own the same namespace."""
    if others:
        other = min(others)
        destroy, here = replace(called, stack=other).command("destroy"), _words(called)
        raise SandboxError(
            f"Stack {other} is deployed here already, and both use one namespace. First "
            f"`{destroy}`, or `{here['down']}`; then `{here['up']}`."
        )


def failure(errors: Sequence[str], end: str, called: Called) -> SandboxError:
    """The errors, how they end, and what the commands that they advise are here."""
    advice = []
    for commands, here in _HERE:
        if named := [f"`{c.strip()}`" for c in commands if any(c in error for error in errors)]:
            advice.append(f"instead of {' and '.join(named)}, {here.format_map(_words(called))}")
    told = [*mishaps.told(errors), end, *([f"Here, {'; '.join(advice)}."] if advice else [])]
    if any('"ado-ops"' in error for error in errors):
        told.append(ROTATED)
    elif killed := next(filter(None, map(_KILLED.search, errors)), None):
        told.append(_GIVES_WAY.format(manager=killed[1], up=called.command("up")))
    return SandboxError("\n".join(told))


def _words(called: Called) -> Mapping[str, str]:
    """What texts here name: the stack, and commands that act where this one did."""
    return {
        "stack": called.stack,
        "up": called.command("up"),
        "destroy": called.command("destroy"),
        "secret": called.command("secret KEY"),
        "kubectl": called.sandbox.command("kubectl"),
        "down": called.sandbox.command("down"),
    }
