"""How a sandbox's cluster is: its programs, its nodes, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.cluster import kubectl, record
from sandbox.cluster import node as members
from sandbox.cluster.record import link_url
from sandbox.errors import NotReadyError, SandboxError
from sandbox.host import machine, programs
from sandbox.host.programs import ProgramStatus, State
from sandbox.paths import Sandbox

PATIENCE = 10.0
"""Seconds that the API server has for an answer; it needs some milliseconds."""


@dataclass(frozen=True)
class NodeStatus:
    """A node as the API server sees it."""

    name: str
    ready: bool
    reason: str = ""
    """Why it is not, in the words of who says so."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What runs and what does not."""

    name: str
    exists: bool
    supervised: bool
    """Whether its programs are being kept running."""
    answering: bool
    """Whether the API server answers, and so whether the nodes are known."""
    missing: Sequence[str]
    """What there should be and is not, in words."""
    api: str | None
    kubeconfig: Path
    links: dict[str, str]
    """Published Services: name → URL."""
    nodes: Sequence[NodeStatus]
    programs: Sequence[ProgramStatus]

    @property
    def running(self) -> bool:
        """Every program is ready, and so is every node."""
        return self.exists and not self.missing

    def trouble(self, remedy: str) -> str:
        """What is missing, and which command repairs it, in one line."""
        return f"Sandbox {self.name}: {'; '.join(self.missing)}. {remedy} repairs it."


def look(sandbox: Sandbox) -> Status:
    """How the cluster is; at most PATIENCE seconds go by, whatever hangs.

    Raises SandboxError where there is no kubectl to ask it with.
    """
    machine.require_root()
    kept = record.load(sandbox)
    ports = {name: link.port for name, link in kept.links.items()} if kept else {}
    api = ports.pop(record.API, None)
    running = programs.read_status(sandbox)
    supervised = programs.supervisor_pid(sandbox) is not None
    seen, silence = _nodes_or_why_not(sandbox) if api else ([], "")
    missing = [] if supervised or not kept else ["No supervisor keeps its programs running"]
    missing += [f"{p.name} is {p.state}" for p in running if p.state is not State.READY]
    if silence:
        missing.append(silence)
    elif kept:
        missing += _missing_nodes(seen, members.names(kept.nodes))
    return Status(
        name=sandbox.name,
        exists=kept is not None,
        supervised=supervised,
        answering=api is not None and not silence,
        missing=missing,
        api=f"https://127.0.0.1:{api}" if api else None,
        kubeconfig=sandbox.kubeconfig,
        links={name: link_url(name, port) for name, port in ports.items()},
        nodes=seen,
        programs=running,
    )


def require_api(sandbox: Sandbox, remedy: str) -> Status:
    """How the cluster is, whose API server answers; other things may be missing.

    `remedy` is the command that starts and repairs it.

    Raises SandboxError when the sandbox does not run; NotReadyError when only its API server does
    not answer.
    """
    seen = look(sandbox)
    if not seen.exists or not (seen.supervised or seen.answering):
        raise SandboxError(f"Sandbox {sandbox.name} does not run; {remedy} starts it.")
    if not seen.answering:
        raise NotReadyError(seen.trouble(remedy))
    return seen


def nodes(sandbox: Sandbox, deadline: float = PATIENCE) -> list[NodeStatus]:
    """The nodes that the API server knows.

    Raises SandboxError when it cannot be reached, TimedOutError when it does not answer in time.
    """
    answer = kubectl.run(sandbox, "get", "--raw=/api/v1/nodes", deadline=deadline)
    return [_node(item["metadata"]["name"], item["status"]) for item in json.loads(answer)["items"]]


def _node(name: str, status: dict[str, list[dict[str, str]]]) -> NodeStatus:
    conditions = {c["type"]: c for c in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    return NodeStatus(name, ready.get("status") == "True", ready.get("message", ""))


def _nodes_or_why_not(sandbox: Sandbox) -> tuple[list[NodeStatus], str]:
    try:
        return nodes(sandbox), ""
    except kubectl.TimedOutError:
        return [], f"The API server does not answer within {PATIENCE:.0f} s"
    except kubectl.MissingError:
        raise
    except SandboxError:
        return [], "The API server cannot be reached"


def _missing_nodes(seen: Sequence[NodeStatus], wanted: Sequence[str]) -> list[str]:
    absent = sorted(set(wanted) - {node.name for node in seen})
    return [f"Node {name} is not there" for name in absent] + [
        f"Node {node.name} is not Ready ({node.reason.rstrip('.') or 'it has said nothing yet'})"
        for node in seen
        if not node.ready
    ]
