"""Taking steps in the cluster until none is left, and everybody sees what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import POLL, Namespace, Say
from ado_infra.ops.redis.cluster import Cluster
from ado_infra.ops.redis.nodes import Step, tell

PATIENCE: Final = 90.0
"""Seconds for all that is to be done, without those in which data is read or copied."""
ROUND: Final = 10.0
"""Seconds for what was told to show before it is told again."""


def carry_out(
    namespace: Namespace,
    look: Callable[[], Cluster],
    plan: Callable[[Cluster], list[Step]],
    pods: Collection[str],
    say: Say,
) -> Cluster:
    """Tells the nodes what `plan` says and looks again, until it says nothing.

    Ends when everybody sees these pods as they are, and those that are replicas receive.

    Returns the cluster as it is then.

    Raises the OpsError of `plan` when that is its first answer, and another one when it takes too
    long.
    """
    cluster = look()
    steps, told, said = plan(cluster), dict[Step, float](), set[str]()
    deadline = time.monotonic() + PATIENCE
    why = ""

    def say_once(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    while steps or (why := why or _unseen(cluster, pods)):
        if time.monotonic() > deadline:
            raise OpsError(f"Not done within {PATIENCE:.0f} s: {why}. The same command goes on.")
        if steps:
            why = _tell(namespace, steps, told, say_once)
        else:
            say_once(f"waiting at most {PATIENCE:.0f} s, longer while data is copied: {why}")
        time.sleep(POLL)
        cluster = look()
        if any(member.copies for member in cluster.members):
            deadline = time.monotonic() + PATIENCE
        try:
            steps, why = plan(cluster), ""
        except OpsError as refused:  # one that does not answer for a moment, for example
            steps, why = [], str(refused)
    return cluster


def _tell(
    namespace: Namespace, steps: list[Step], told: dict[Step, float], say: Callable[[str], None]
) -> str:
    """Tells what was not told just now, in this order; returns what the nodes still have to do."""
    for step in steps:
        if time.monotonic() < told.get(step, -ROUND) + ROUND:
            continue
        say(str(step))
        try:
            tell(namespace, step)
        except OpsError as refused:  # what comes after it may rest on it
            return str(refused)
        told[step] = time.monotonic()
    return f"still to be done: {steps[0]}"


def _unseen(cluster: Cluster, pods: Collection[str]) -> str:
    for member in cluster.nodes.values():
        if others := [other.name for other in cluster.misseen(member) if other.name in pods]:
            return f"{member.name} does not see {', '.join(others)} as they are"
    for member in cluster.nodes.values():
        follows = member.own and member.own.master in cluster.nodes
        if member.name in pods and follows and member.info.get("master_link_status") != "up":
            return f"{member.name} does not receive yet"
    return ""
