"""`ado-ops redis …`."""

from __future__ import annotations

import typer

from ado_infra.ops.errors import OpsError
from ado_infra.ops.options import Context, In, Stack, show
from ado_infra.ops.redis import report
from ado_infra.ops.redis.cluster import MASTERS, NAME, Cluster
from ado_infra.ops.redis.nodes import look
from ado_infra.ops.target import NAMESPACE, Target

app = typer.Typer(help="Redis: whether its cluster is whole.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """A command alone would be run without its name."""


@app.command()
def status(stack: Stack, context: Context = None, namespace: In = NAMESPACE) -> None:
    """Show every node and what to do about it; exit code 3 if there is something to do."""
    target = Target(stack=stack, context=context, namespace=namespace)
    here = target.reach()
    nodes = here.stateful_set(NAME)
    if nodes is None:
        print(_instead(target))
        return
    pods: int = nodes.spec.replicas
    members = [look(here, f"{NAME}-{ordinal}") for ordinal in range(pods)]
    cluster = Cluster(members, replicas=pods // MASTERS - 1)
    show(report.table(cluster), list(report.findings(cluster)))


def _instead(target: Target) -> str:
    """What there is where no node is.

    Raises OpsError when there should be some.
    """
    if target.is_external("redis"):
        return "Redis is outside the platform (ado:redis.mode is external): ask who runs it."
    raise OpsError(
        f"There is no StatefulSet {NAME} in namespace {target.namespace}: Redis is not deployed "
        "there; `pulumi up --refresh` makes it."
    )
