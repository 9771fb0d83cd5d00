"""The command line: `ado-ops postgres status` and so on."""

from __future__ import annotations

import logging
import shlex
import sys
from getpass import getpass
from typing import Annotated, NoReturn

import typer
import yaml
from kubernetes import client
from rich.console import Console
from urllib3.exceptions import HTTPError

from ado_infra.ops import adoption, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.lease import alone
from ado_infra.ops.options import Context, DryRun, In, Stack, plan, say, show
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
from ado_infra.ops.redis import commands as redis
from ado_infra.ops.target import NAMESPACE, Target

app = typer.Typer(
    help="What an operator does with a platform that runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
postgres = typer.Typer(
    help="PostgreSQL: who is the primary, how the other one becomes it; backup and restore.",
    no_args_is_help=True,
)
app.add_typer(postgres, name="postgres")
app.add_typer(redis.app, name="redis")
app.command()(adoption.adopt)

Pod = Annotated[str, typer.Argument(help="postgresql-0 or postgresql-1.")]
NodeIsOff = Annotated[
    bool, typer.Option("--node-is-off", help="A node that does not answer is off for certain.")
]


@postgres.command()
def status(stack: Stack, context: Context = None, namespace: In = NAMESPACE) -> None:
    """Show both pods and what to do about them; exit code 3 if there is something to do."""
    target = Target(stack=stack, context=context, namespace=namespace)
    here = target.reach()
    if target.is_external("postgres"):
        say("PostgreSQL is outside the platform (ado:postgres.mode is external): ask who runs it.")
        return
    show(*examine(here))


@postgres.command()
def promote(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = NAMESPACE,
    *,
    dry_run: DryRun = False,
    node_is_off: NodeIsOff = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Give up what the standby has not received.")
    ] = False,
) -> None:
    """Make the standby the primary; the old one is fenced first."""
    where = Target(stack=stack, context=context, namespace=namespace)
    target, here = pair.ordinal_of(pod), where.reach(*rights.SERVER)
    if dry_run:
        promotion.candidate(here, target)
        plan(*promotion.steps(target))
        return
    with alone(here.api, here.name, say):
        done = promotion.promote(
            here, target, say, node_is_off=node_is_off, accept_loss=accept_loss
        )
    if not done.seconds:
        say(f"{done.primary} is the primary already; `status` tells the rest.")
        return
    lost = "unknown" if done.lost is None else f"{done.lost} bytes"
    say(f"{done.primary} is the primary. Lost (RPO): {lost}; took (RTO): {done.seconds:.1f} s.")
    say(f"The other one is fenced; it follows after `rejoin {pair.pod_name(1 - target)}`.")


@postgres.command()
def rejoin(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = NAMESPACE,
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
    where, ordinal = Target(stack=stack, context=context, namespace=namespace), pair.ordinal_of(pod)
    here = where.reach(*rights.SERVER)
    if dry_run:
        way = "empty its volume, so that it copies everything" if reclone else "rewind its volume"
        plan(f"fence {pair.pod_name(ordinal)}, which stops its server", way, "unfence it")
        return
    with alone(here.api, here.name, say):
        changed = rejoining.rejoin(here, ordinal, say, reclone=reclone, accept_loss=accept_loss)
    say(f"{pair.pod_name(ordinal)} follows{'' if changed else ' already'}.")


@postgres.command()
def fence(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = NAMESPACE,
    *,
    dry_run: DryRun = False,
    node_is_off: NodeIsOff = False,
) -> None:
    """Stop the server of a pod, and let none start there."""
    where, ordinal = Target(stack=stack, context=context, namespace=namespace), pair.ordinal_of(pod)
    here = where.reach(*rights.SERVER)
    if dry_run:
        primary = pair.read_record(here).primary == ordinal
        end = ": nobody can write from then on" if primary else ""
        plan(f"set the flag in {pair.RECORD}", f"delete {pair.pod_name(ordinal)}, see it end{end}")
        return
    with alone(here.api, here.name, say):
        fencing.fence(here, ordinal, say, node_is_off=node_is_off)
    say(f"{pair.pod_name(ordinal)} is fenced; no server runs there.")


@postgres.command()
def unfence(
    pod: Pod,
    stack: Stack,
    context: Context = None,
    namespace: In = NAMESPACE,
    *,
    dry_run: DryRun = False,
) -> None:
    """Let the server of a pod start again, as what the record says."""
    where, ordinal = Target(stack=stack, context=context, namespace=namespace), pair.ordinal_of(pod)
    here = where.reach(*rights.SERVER)
    if dry_run:
        plan(f"take the flag of {pair.pod_name(ordinal)} out of {pair.RECORD}")
        return
    with alone(here.api, here.name, say):
        fencing.unfence(here, ordinal, say)
    say(f"{pair.pod_name(ordinal)} may start its server.")


@postgres.command()
def rotate(
    stack: Stack,
    context: Context = None,
    namespace: In = NAMESPACE,
    *,
    dry_run: DryRun = False,
    stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Take the password from standard input: the stack's own."),
    ] = False,
) -> None:
    """Give the applications' role a new password, and everybody who reads it."""
    password = rotation.accepted(_standard_input()) if stdin else None
    target = Target(stack=stack, context=context, namespace=namespace)
    here = target.reach(*rights.PASSWORD)
    if dry_run:
        rolled = ", ".join(rotation.readers(here.deployments()))
        plan("change role ado", "change its Secrets", f"roll {rolled}, wait until Ready")
        return
    with alone(here.api, here.name, say):
        seconds = rotation.rotate(here, say, password)
    say(f"Done; connections with the former password were refused for at most {seconds:.1f} s.")
    if stdin:
        return  # the stack has it
    say(
        "Tell the stack; until then a `pulumi up` that would undo it is refused. The next one "
        "restarts both pods and rolls the readers once more:"
    )
    kubectl = f"kubectl --context {shlex.quote(target.cluster)} -n {namespace}"
    say(
        f"  {kubectl} get secret {pair.NAME} -o jsonpath='{{.data.password}}' "
        f"| base64 -d | pulumi config set --stack {stack} --secret databasePassword"
    )


@postgres.command(name="backup")
def back_up(
    stack: Stack,
    context: Context = None,
    namespace: In = NAMESPACE,
    *,
    dry_run: DryRun = False,
) -> None:
    """Make a backup now, beside those of the schedule."""
    here = Target(stack=stack, context=context, namespace=namespace).reach(*rights.BACKUP)
    if dry_run:
        backups.required(here)
        plan(f"make a Job from CronJob {backups.CRON}, and wait until it has ended")
        return
    with alone(here.api, here.name, say):
        say(backups.back_up(here, say))


@postgres.command()
def restore(
    stack: Stack,
    name: Annotated[str | None, typer.Argument(help="Which backup; --list shows them.")] = None,
    context: Context = None,
    namespace: In = NAMESPACE,
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
    here = Target(stack=stack, context=context, namespace=namespace).reach(*rights.BACKUP)
    if listed:
        say("\n".join(backups.names(here, say, prefix=prefix)) or "There is no backup.")
    elif name is None:
        raise OpsError("Name a backup: `restore --list` shows those that there are.")
    elif dry_run:
        backups.required(here)
        plan(*backups.steps(name, prefix=prefix, into_non_empty=into_non_empty))
    else:
        with alone(here.api, here.name, say):
            done = backups.restore(here, name, say, prefix=prefix, into_non_empty=into_non_empty)
            say(done)


@postgres.command()
def start_writers(
    stack: Stack,
    context: Context = None,
    namespace: In = NAMESPACE,
    *,
    dry_run: DryRun = False,
) -> None:
    """Start whom a restore that was cut off has left stopped."""
    here = Target(stack=stack, context=context, namespace=namespace).reach(*rights.BACKUP)
    if dry_run:
        plan("start as many pods as there were of whoever is stopped")
        return
    with alone(here.api, here.name, say):
        if command := backups.going_on(here):
            raise OpsError(
                f"They are stopped for a restore that goes on: `{command}` waits for it."
            )
        writers.start(here, say)


@app.command()
def role(namespace: In = NAMESPACE) -> None:
    """Print a Role with all the rights that these commands need, for `kubectl apply -f -`."""
    say(yaml.safe_dump(rights.role(namespace), sort_keys=False).rstrip())


def main() -> None:
    """Run the command line; an operator's mistake is a message and exit code 1."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each try again is no news
    try:
        app(prog_name="ado-ops")
    except OpsError as error:
        _refuse(str(error))
    except client.ApiException as refused:
        _refuse(f"The API server refuses: {refused.status} {refused.reason}")
    except HTTPError as unreachable:
        _refuse(f"The API server does not answer: {unreachable}")
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)


def _refuse(message: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(message, style="red", markup=False, highlight=False)
    sys.exit(1)


def _standard_input() -> str:
    if sys.stdin.isatty():
        return getpass("Password: ")
    return sys.stdin.buffer.read().decode(errors="replace")
