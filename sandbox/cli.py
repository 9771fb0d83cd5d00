"""The command line: `python -m sandbox COMMAND`.

Each command imports what it needs: those that only print a path or become kubectl start at once.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.errors import NotReadyError, SandboxError
from sandbox.host.network import MAXIMUM_NODES
from sandbox.paths import CHECKOUT, Called, Sandbox

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.deploy.stack import Stack

WIDTH = 120
"""Columns of tables where no terminal says how many it has."""
NOT_READY = NotReadyError.exit_code

app = typer.Typer(
    help="The platform of this checkout on a real Kubernetes cluster, on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Name = Annotated[str, typer.Option("--name", help="Which sandbox; several can run side by side.")]
StackName = Annotated[str, typer.Option("--stack", help="Which Pulumi.<stack>.yaml.")]
Project = Annotated[Path, typer.Option("--project", help="The checkout with the program.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def up(stack: StackName = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Start the sandbox when needed, deploy the stack, wait until it is Ready, print its links."""
    _stack(stack, name, project).up()


@app.command()
def preview(
    stack: StackName = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    *,
    diff: Annotated[bool, typer.Option("--diff", help="In every detail.")] = False,
) -> None:
    """Show what `up` would change; change nothing."""
    typer.echo(_stack(stack, name, project).preview(diff=diff))


@app.command()
def status(
    stack: StackName = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    *,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Of the cluster alone: its nodes and its programs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show every tier, and what of the cluster is missing; exit code 3 if not all is Ready."""
    if cluster:
        from sandbox.cluster import health
        from sandbox.deploy import status as shown

        seen = health.look(Sandbox(name))
        if as_json:
            typer.echo(shown.cluster_as_json(seen))
        else:
            shown.show_cluster(_console(), seen)
        ready = seen.running
    else:
        ready = _stack(stack, name, project, quiet=as_json).status(as_json=as_json)
    raise typer.Exit(0 if ready else NOT_READY)


@app.command()
def picture(
    stack: StackName = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    output: Annotated[Path, typer.Option("--output", help="Where the SVG goes.")] = (
        CHECKOUT / "build" / "platform.svg"
    ),
) -> None:
    """Draw the platform as it runs: every tier, its state, and who talks to whom."""
    _stack(stack, name, project).picture(output)
    typer.echo(f"Drawn: {output}")


@app.command()
def destroy(stack: StackName = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Delete what the stack made; a protected stack is left whole."""
    if _stack(stack, name, project).destroy():
        down = Sandbox(name).command("down")
        typer.echo(f"Stack {stack} is gone; the sandbox still runs (`{down}` removes it).")
    else:
        typer.echo(f"Stack {stack} is not deployed here; there is nothing to delete.")


@app.command()
def secret(
    key: Annotated[str, typer.Argument(help="As in the stack's config: databasePassword.")],
    stack: StackName = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Keep it no longer.")] = False,
) -> None:
    """Keep a secret for the stack in this sandbox; its value comes from standard input."""
    from sandbox.deploy import stack_files

    called = Called(Sandbox(name), stack, project)
    _with_kubeconfig(called)
    path = stack_files.secret_path(key)  # a slip is said before the value is asked for
    _stack(stack, name, project).keep_secret(path, None if forget else _given(key))
    done = "no longer kept" if forget else "kept in this sandbox"
    typer.echo(f"{key} of stack {stack} is {done}; `{called.command('up')}` makes use of that.")


@app.command()
def prepare() -> None:
    """Install and compile the programs that the other commands run; they would do it too."""
    from sandbox.cluster import cluster
    from sandbox.host import machine

    machine.require_root()
    cluster.prepare(_console())


@app.command()
def start(
    name: Name = "default",
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAXIMUM_NODES,
            help="How many nodes; three in a new sandbox. More than there are adds some.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start or repair the sandbox's cluster alone; nothing deployed to it is lost."""
    from sandbox.cluster import cluster

    sandbox, console, started = Sandbox(name), _console(), time.monotonic()
    cluster.up(sandbox, nodes, console)
    console.print(
        f"Sandbox {name} runs ({time.monotonic() - started:.1f} s). "
        f"export KUBECONFIG={sandbox.kubeconfig}"
    )


@app.command()
def down(name: Name = "default") -> None:
    """Remove the sandbox with its cluster, its data and every trace of it."""
    from sandbox.cluster import cluster

    if not cluster.down(Sandbox(name), _console()):
        typer.echo(f"There is no sandbox {name}.")


@app.command()
def kubeconfig(name: Name = "default") -> None:
    """Print the path of the administrator's kubeconfig."""
    typer.echo(_with_kubeconfig(Called(Sandbox(name), "dev")).kubeconfig)


# Every option but `--name` in front is kubectl's.
@app.command(
    name="kubectl",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
def run_kubectl(arguments: list[str], name: Name = "default") -> None:
    """Run kubectl on the sandbox, as its administrator: `kubectl get pods -A`."""
    from sandbox.cluster import kubectl

    kubectl.become(_with_kubeconfig(Called(Sandbox(name), "dev")), arguments)


@app.command()
def logs(
    program: Annotated[
        str | None, typer.Argument(help="Which program's; without it they are listed.")
    ] = None,
    name: Name = "default",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 100,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing.")] = False,
) -> None:
    """Print what one of the sandbox's programs said."""
    from sandbox.host import machine, programs

    machine.require_root()
    sandbox = Sandbox(name)
    known = sorted(path.stem for path in sandbox.logs.glob("*.log"))
    if program is None:
        typer.echo("\n".join(known) or f"Sandbox {name} has no logs.")
        return
    if program not in known:
        raise SandboxError(f"No log of {program!r}. There are: {', '.join(known) or 'none'}.")
    path = programs.log_path(sandbox, program)
    tail = ["tail", f"--lines={lines}", *(["--follow=name"] if follow else []), str(path)]
    os.execvp(tail[0], tail)  # noqa: S606 - no shell; Ctrl-C is the usual end of following


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True, stderr=stderr)
    if not console.is_terminal:
        console.width = WIDTH
    return console


def _stack(stack: str, name: str, project: Path, *, quiet: bool = False) -> Stack:
    """`quiet`: standard output is left to the answer."""
    from sandbox.deploy.stack import Stack

    return Stack(stack, Sandbox(name), project, _console(stderr=quiet))


def _with_kubeconfig(called: Called) -> Sandbox:
    from sandbox.host import machine

    machine.require_root()
    sandbox = called.sandbox
    if not sandbox.kubeconfig.exists():
        raise SandboxError(
            f"There is no sandbox {sandbox.name}; `{called.command('up')}` starts it."
        )
    return sandbox


def _given(key: str) -> str:
    """A value that is piped in, or typed and not shown."""
    from getpass import getpass

    value = getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    if not value:
        raise SandboxError(f"Standard input is empty; it should be the value of {key}.")
    return value
