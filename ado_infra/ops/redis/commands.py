"""`ado-ops redis …`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import typer

from ado_infra.ops import rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.lease import alone
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.options import (
    Check,
    Context,
    DryRun,
    In,
    Json,
    Stack,
    finish,
    plan,
    say,
    say_json,
    show,
)
from ado_infra.ops.redis import repair, report
from ado_infra.ops.redis.cluster import MASTERS, NAME, Cluster, spans
from ado_infra.ops.redis.nodes import Member, Step, look
from ado_infra.ops.redis.telling import carry_out
from ado_infra.ops.target import Target

app = typer.Typer(
    help="Redis: whether its cluster is whole, and what makes it so.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_EXTERNAL: Final = "Redis is outside the platform (ado:redis.mode is external): ask who runs it."
Pod = Annotated[str, typer.Argument(help="redis-0 to redis-2, or to redis-5 with replicas.")]


@app.command()
def status(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    as_json: Json = False,
    check: Check = False,
) -> None:
    """Show every node and what to do about it; exit code 3 if there is something to do."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    platform = target.reach(*rights.REDIS_LOOK)
    if platform.stateful_set(NAME) is None and target.is_external("redis"):
        say_json((), {"external": True}) if as_json else say(_EXTERNAL)
        return
    cluster = seen(target, platform)
    findings = list(report.findings(cluster))
    show(report.table(cluster), findings, report.data(cluster), as_json=as_json, check=check)


@app.command()
def failover(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="Also without its master, whose last writes are lost."),
    ] = False,
) -> None:
    """Make a replica the master of its keys, in exchange with the master where that answers."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    _do(target, partial(repair.failover, name=pod, accept_loss=accept_loss), pod, dry_run=dry_run)


@app.command()
def replace(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Give up the keys that only the former node had.")
    ] = False,
) -> None:
    """Give a pod that lost its volume, or its nodes.conf, the place of the node that it was."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    _do(target, partial(repair.replace, name=pod, accept_loss=accept_loss), pod, dry_run=dry_run)


@app.command()
def heal(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Join the nodes into one cluster as far as that loses no key; exit code 3 if more is to do."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    if cluster := _do(target, repair.heal, dry_run=dry_run):
        finish(list(report.findings(cluster)))


def _do(
    target: Target, steps: Callable[[Cluster], list[Step]], *pods: str, dry_run: bool
) -> Cluster | None:
    """Takes the steps, and says what the pods are then; None when that was only to be said."""
    platform = target.reach(*rights.REDIS)
    if dry_run:
        plan(*map(str, steps(seen(target, platform))))
        return None
    with alone(platform, say):
        cluster = carry_out(platform, lambda: seen(target, platform), steps, pods, say)
    for pod in pods:
        say(_described(cluster, repair.pod_of(cluster, pod)))
    return cluster


def _described(cluster: Cluster, member: Member) -> str:
    if member.own and member.own.master:
        return f"{member.name} is a replica of {cluster.name_of(member.own.master)}."
    slots = f"the master of the slots {spans(member.slots)}" if member.slots else "without slots"
    return f"{member.name} is {slots}."


def seen(target: Target, platform: Namespace) -> Cluster:
    """All pods as they are now.

    Raises OpsError when there are none.
    """
    nodes = platform.stateful_set(NAME)
    if nodes is None and target.is_external("redis"):
        raise OpsError(_EXTERNAL)
    if nodes is None:
        raise OpsError(
            f"There is no StatefulSet {NAME} in namespace {target.namespace}: Redis is not "
            "deployed there; `pulumi up --refresh` makes it."
        )
    pods: int = nodes.spec.replicas
    members = [look(platform, f"{NAME}-{ordinal}") for ordinal in range(pods)]
    return Cluster(members, replicas=pods // MASTERS - 1)
