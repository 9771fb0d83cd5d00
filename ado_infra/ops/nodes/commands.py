"""`ado-ops drain`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from ado_infra.ops import NAME, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.lease import alone
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.nodes.draining import Draining
from ado_infra.ops.nodes.node import Node
from ado_infra.ops.options import Context, DryRun, In, Stack, plan, say
from ado_infra.ops.postgres import backups
from ado_infra.ops.postgres.pair import pod_name
from ado_infra.ops.redis import commands as redis
from ado_infra.ops.redis.cluster import NAME as REDIS
from ado_infra.ops.target import Target


def drain(
    node: Annotated[str, typer.Argument(help="As `kubectl get nodes` names it.")],
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    accept_outage: Annotated[
        bool,
        typer.Option("--accept-outage", help="Also where nobody can take a store's place."),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Let pods come to the node again.")] = False,
) -> None:
    """Take the platform's pods off a node, the primary first; pods of other namespaces stay."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    platform = target.reach(*(rights.UNDRAIN if undo else rights.DRAIN))
    rights.require_nodes(platform.api)
    found = Node(platform, node)
    found.read()
    if undo:
        _undo(platform, found, dry_run=dry_run)
        return
    _see_no_restore(platform)
    draining = _draining(target, platform, found, accept_outage=accept_outage)
    if dry_run:
        plan(*draining.steps())
        return
    with alone(platform, say):
        draining.drain(say)
    if waiting := found.waiting():
        say(f"Without a node: {', '.join(waiting)}; what has its volume on {node} waits for it.")
    say(
        f"No pod of {platform.name} is on {node}, and none comes until `{NAME} drain {node} "
        f"--undo`. Those of other namespaces were not touched: `kubectl drain {node}`."
    )


def _see_no_restore(platform: Namespace) -> None:
    """Raises OpsError while one goes on: its pod has one try, wherever it is."""
    if command := backups.going_on(platform):
        raise OpsError(
            f"A restore goes on, which an eviction would end half-way: `{NAME} postgres {command}` "
            "waits for its end. Nothing was touched."
        )


def _draining(target: Target, platform: Namespace, node: Node, *, accept_outage: bool) -> Draining:
    has_redis = platform.stateful_set(REDIS) is not None or not target.is_external("redis")
    return Draining(
        node=node,
        platform=platform,
        postgres=not target.is_external("postgres"),
        redis=partial(redis.seen, target, platform) if has_redis else None,
        accept_outage=accept_outage,
    )


def _undo(platform: Namespace, node: Node, *, dry_run: bool) -> None:
    moved = node.moved()
    if dry_run:
        plan(*([] if node.takes_pods() and moved is None else [f"uncordon {node.name}"]))
        return
    with alone(platform, say):
        node.cordon(cordoned=False)
        if moved is not None:
            node.note_moved(None)
    if moved is not None:
        say(
            f"A drain was cut off while it moved the primary away from {pod_name(moved)}: "
            f"`{NAME} postgres status` says what is left to do."
        )
    say(f"Pods may come to {node.name} again.")
