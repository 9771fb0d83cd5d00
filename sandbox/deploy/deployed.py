"""What of a stack is deployed in a sandbox, as the engine's state says.

The engine replaces that file whole, so it is read without the engine and without its lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.paths import Sandbox


@dataclass(frozen=True)
class Deployed:
    """The state of one stack; its secrets are encrypted."""

    resources: Sequence[Mapping[str, Any]] = ()
    interrupted: bool = False
    """Whether a run was killed in the middle of something."""

    @property
    def namespace(self) -> str | None:
        """The platform's namespace, also of a deployment that failed; None before any."""
        made = [r for r in self.resources if r["type"] == "kubernetes:core/v1:Namespace"]
        return _name(made[-1]) if made else None

    @property
    def workloads(self) -> set[str]:
        """Names of the Deployments and StatefulSets that were deployed."""
        return {_name(r) for r in self.resources if r["type"].startswith("kubernetes:apps/")}

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The stack's exports."""
        stacks = (r for r in self.resources if r["type"] == "pulumi:pulumi:Stack")
        return next((stack.get("outputs", {}) for stack in stacks), {})


def read(sandbox: Sandbox, stack: str) -> Deployed:
    """What of this stack is deployed; nothing of one that never was."""
    for file in states(sandbox, stack):
        latest = json.loads(file.read_text())["checkpoint"].get("latest") or {}
        resources = latest.get("resources") or ()
        return Deployed(resources, interrupted=bool(latest.get("pending_operations")))
    return Deployed()


def stacks(sandbox: Sandbox) -> set[str]:
    """Every stack of which something is deployed."""
    named = {file.stem for file in states(sandbox)}
    return {stack for stack in named if read(sandbox, stack).resources}


def states(sandbox: Sandbox, stack: str = "*") -> list[Path]:
    """The file that the engine keeps a stack's state in, or that of every stack."""
    # A folder for each project, of which there is one.
    return sorted((sandbox.pulumi / "state" / ".pulumi" / "stacks").glob(f"*/{stack}.json"))


def digest(sandbox: Sandbox, stack: str = "*") -> str:
    """What tells one state of a stack, or of all of them, from another."""
    read_so_far = hashlib.sha256()
    for file in states(sandbox, stack):
        read_so_far.update(file.read_bytes())
    return read_so_far.hexdigest()


def has_ended(sandbox: Sandbox, stack: str) -> bool:
    """Whether the last `up` of a stack ended well: what is deployed is all that was asked for."""
    noted = last_up(sandbox, stack)
    return noted.exists() and noted.read_text().endswith(digest(sandbox, stack))


def last_up(sandbox: Sandbox, stack: str) -> Path:
    """Where it is noted what an `up` that ended well was asked for, and the state after it."""
    return sandbox.pulumi / f"last-up-{stack}"


def used_versions(sandbox: Sandbox) -> str:
    """What the last run of the engine in a sandbox ran with; empty before any."""
    path = versions(sandbox)
    return path.read_text() if path.exists() else ""


def versions(sandbox: Sandbox) -> Path:
    """Where the engine's and the plugins' versions are noted."""
    return sandbox.pulumi / "versions"


def _name(resource: Mapping[str, Any]) -> str:
    return str(resource["outputs"]["metadata"]["name"])
