"""`ado-ops postgres …`."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated, Final

import typer

from ado_infra.ops import rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.lease import alone
from ado_infra.ops.options import (
    Check,
    Context,
    DryRun,
    In,
    Json,
    Stack,
    plan,
    say,
    say_json,
    show,
)
from ado_infra.ops.postgres import (
    backups,
    fencing,
    pair,
    promotion,
    rejoining,
    rotation,
    writers,
)
from ado_infra.ops.postgres.status import examine
from ado_infra.ops.target import Target

app = typer.Typer(
    help="PostgreSQL: who is the primary, how the other one becomes it; backup and restore.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_EXTERNAL: Final = (
    "PostgreSQL is outside the platform (ado:postgres.mode is external): ask who runs it."
)
Pod = Annotated[str, typer.Argument(help="postgresql-0 or postgresql-1.")]
NodeIsOff = Annotated[
    bool, typer.Option("--node-is-off", help="A node that does not answer is off for certain.")
]


@app.command()
def status(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    as_json: Json = False,
    check: Check = False,
) -> None:
    """Show both pods and what to do about them; exit code 3 if there is something to do."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    if target.is_external("postgres"):
        say_json((), {"external": True}) if as_json else say(_EXTERNAL)
        return
    seen = examine(target.reach(*rights.LOOK))
    show(seen.table, seen.findings, seen.data, as_json=as_json, check=check)


@app.command()
def promote(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    node_is_off: NodeIsOff = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Give up what the standby has not received.")
    ] = False,
) -> None:
    """Make the standby the primary; the old one is fenced first."""
    target, ordinal = (
        Target(stack=stack, context=context, given_namespace=namespace),
        pair.ordinal_of(pod),
    )
    platform = target.reach(*rights.PROMOTE)
    if dry_run:
        promotion.candidate(platform, ordinal)
        plan(*promotion.steps(ordinal))
        return
    with alone(platform, say):
        done = promotion.promote(
            platform, ordinal, say, node_is_off=node_is_off, accept_loss=accept_loss
        )
    if not done.seconds:
        say(f"{done.primary} is the primary already; `ado-ops postgres status` tells the rest.")
        return
    lost = "unknown" if done.lost is None else f"{done.lost} bytes"
    say(f"{done.primary} is the primary. Lost (RPO): {lost}; took (RTO): {done.seconds:.1f} s.")
    other = pair.pod_name(1 - ordinal)
    say(f"The other one is fenced; it follows after `ado-ops postgres rejoin {other}`.")


@app.command()
def rejoin(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    reclone: Annotated[
        bool, typer.Option("--reclone", help="Empty its volume, and copy everything.")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Give up what it has and the primary lacks.")
    ] = False,
) -> None:
    """Make a former primary follow the new one; what it alone has is given up."""
    target, ordinal = (
        Target(stack=stack, context=context, given_namespace=namespace),
        pair.ordinal_of(pod),
    )
    platform = target.reach(*rights.REJOIN)
    if dry_run:
        way = "empty its volume, so that it copies everything" if reclone else "rewind its volume"
        plan(f"fence {pair.pod_name(ordinal)}, which stops its server", way, "unfence it")
        return
    with alone(platform, say):
        changed = rejoining.rejoin(platform, ordinal, say, reclone=reclone, accept_loss=accept_loss)
    say(f"{pair.pod_name(ordinal)} follows{'' if changed else ' already'}.")


@app.command()
def fence(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    node_is_off: NodeIsOff = False,
) -> None:
    """Stop the server of a pod, and let none start there."""
    target, ordinal = (
        Target(stack=stack, context=context, given_namespace=namespace),
        pair.ordinal_of(pod),
    )
    platform = target.reach(*rights.FENCE)
    if dry_run:
        primary = pair.read_record(platform).primary == ordinal
        end = ": nobody can write from then on" if primary else ""
        plan(f"set the flag in {pair.RECORD}", f"delete {pair.pod_name(ordinal)}, see it end{end}")
        return
    with alone(platform, say):
        fencing.fence(platform, ordinal, say, node_is_off=node_is_off)
    say(f"{pair.pod_name(ordinal)} is fenced; no server runs there.")


@app.command()
def unfence(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Let the server of a pod start again, as what the record says."""
    target, ordinal = (
        Target(stack=stack, context=context, given_namespace=namespace),
        pair.ordinal_of(pod),
    )
    platform = target.reach(*rights.UNFENCE)
    if dry_run:
        plan(f"take the flag of {pair.pod_name(ordinal)} out of {pair.RECORD}")
        return
    with alone(platform, say):
        fencing.unfence(platform, ordinal, say)
    say(f"{pair.pod_name(ordinal)} may start its server.")


@app.command()
def rotate(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Take the password from standard input: the stack's own."),
    ] = False,
) -> None:
    """Give the applications' role a new password, and everybody who reads it.

    Where the password is in a Secret of your own, change it there first: this makes them follow.
    """
    password = rotation.accepted(_standard_input()) if stdin else None
    target = Target(stack=stack, context=context, given_namespace=namespace)
    platform = target.reach(*rights.ROTATE)
    if dry_run:
        found = platform.deployments()
        rolled = f"roll {', '.join(rotation.readers(found))}, wait until Ready"
        secrets = () if rotation.elsewhere(found) else ("change its Secrets",)
        plan("change role ado", *secrets, rolled)
        return
    with alone(platform, say):
        seconds = rotation.rotate(platform, say, password)
    say(f"Done; connections with the former password were refused for at most {seconds:.1f} s.")
    if stdin or rotation.elsewhere(platform.deployments()):
        return  # who keeps it has it
    say(
        "Tell the stack; until then a `pulumi up` that would undo it is refused. The next one "
        "restarts both pods and rolls the readers once more:"
    )
    say(
        f"  {target.kubectl} get secret {pair.NAME} -o jsonpath='{{.data.password}}' "
        f"| base64 -d | pulumi config set --stack {stack} --secret ado:databasePassword"
    )


@app.command(name="backup")
def back_up(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Make a backup now, beside those of the schedule."""
    platform = Target(stack=stack, context=context, given_namespace=namespace).reach(
        *rights.BACK_UP
    )
    if dry_run:
        backups.required(platform)
        plan(f"make a Job from CronJob {backups.CRON}, and wait until it has ended")
        return
    with alone(platform, say):
        say(backups.back_up(platform, say))


@app.command()
def restore(
    stack: Stack,
    name: Annotated[str | None, typer.Argument(help="Which backup; --list shows them.")] = None,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    listed: Annotated[bool, typer.Option("--list", help="Show which there are.")] = False,
    prefix: Annotated[
        str | None,
        typer.Option("--from", help="Of another stack: its prefix in the same bucket."),
    ] = None,
    into_non_empty: Annotated[
        bool,
        typer.Option("--into-non-empty", help="Replace what the backup has too; leave the rest."),
    ] = False,
) -> None:
    """Restore a backup into the empty database ado of the primary."""
    if name is None and not listed:
        raise OpsError(
            "Name a backup: `ado-ops postgres restore --list` shows those that there are."
        )
    target = Target(stack=stack, context=context, given_namespace=namespace)
    platform = target.reach(*(rights.LIST if listed else rights.RESTORE))
    if name is None or listed:
        say("\n".join(backups.names(platform, say, prefix=prefix)) or "There is no backup.")
    elif dry_run:
        backups.required(platform)
        backups.refuse(platform, into_non_empty=into_non_empty)
        plan(*backups.steps(name, prefix=prefix, into_non_empty=into_non_empty))
    else:
        with alone(platform, say):
            done = backups.restore(
                platform, name, say, prefix=prefix, into_non_empty=into_non_empty
            )
            say(done)


@app.command()
def start_writers(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Start whom a restore that was cut off has left stopped."""
    platform = Target(stack=stack, context=context, given_namespace=namespace).reach(
        *rights.START_WRITERS
    )
    if dry_run:
        plan("start as many pods as there were of whoever is stopped")
        return
    with alone(platform, say):
        if command := backups.going_on(platform):
            raise OpsError(
                "They are stopped for a restore that goes on: "
                f"`ado-ops postgres {command}` waits for it."
            )
        writers.start(platform, say)


def _standard_input() -> str:
    if sys.stdin.isatty():
        return getpass("Password: ")
    return sys.stdin.buffer.read().decode(errors="replace")
