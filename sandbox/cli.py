"""The command line: `python -m sandbox up|down|status|kubeconfig|kubectl|logs`."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sandbox import cluster, errors, kubectl, machine, network, programs
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox
from sandbox.programs import State
from sandbox.record import link_url

NOT_RUNNING = 3
"""Exit code of `status`, as init scripts have it."""

app = typer.Typer(
    help="A real Kubernetes cluster on this machine, in namespaces of its own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Name = Annotated[str, typer.Option("--name", help="Which sandbox; several can run side by side.")]


@app.command()
def up(
    name: Name = "default",
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=network.MAXIMUM_NODES,
            help=f"How many nodes; {cluster.DEFAULT_NODES} in a new sandbox. More than there are "
            "adds some.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start the sandbox, or repair it; nothing deployed to it is lost."""
    sandbox, console = Sandbox(name), Console()
    started = time.monotonic()
    try:
        cluster.up(sandbox, nodes, console)
    except KeyboardInterrupt:
        console.print(
            f"Interrupted. `{_command('up', name)}` goes on from here, "
            f"`{_command('down', name)}` removes what there is.",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(130) from None
    console.print(
        f"Sandbox {name} is up ({time.monotonic() - started:.1f} s). "
        f"export KUBECONFIG={sandbox.kubeconfig}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def down(name: Name = "default") -> None:
    """Remove the sandbox with its cluster, its data and every trace of it."""
    console = Console()
    if not cluster.down(Sandbox(name), console):
        console.print(f"There is no sandbox {name}.")


@app.command()
def status(
    name: Name = "default",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what runs; exit code 0 if all does, 3 if not."""
    seen = cluster.status(Sandbox(name))
    if as_json:
        typer.echo(json.dumps(asdict(seen), default=str, indent=2))
    else:
        _show(seen)
    raise typer.Exit(0 if seen.running else NOT_RUNNING)


@app.command()
def kubeconfig(name: Name = "default") -> None:
    """Print the path of the administrator's kubeconfig."""
    typer.echo(_with_kubeconfig(name).kubeconfig)


# Every option but `--name` in front is kubectl's.
@app.command(
    name="kubectl",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
def run_kubectl(arguments: list[str], name: Name = "default") -> None:
    """Run kubectl on the sandbox, as its administrator: `kubectl get pods -A`."""
    kubectl.become(_with_kubeconfig(name), arguments)


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
    raise typer.Exit(subprocess.run(tail, check=False).returncode)


def main() -> None:
    """Run the command line."""
    errors.run(lambda: app(prog_name="python -m sandbox"))


def _command(command: str, name: str) -> str:
    option = "" if name == "default" else f" --name {name}"
    return f".venv/bin/python -m sandbox {command}{option}"


def _with_kubeconfig(name: str) -> Sandbox:
    machine.require_root()
    sandbox = Sandbox(name)
    if not sandbox.kubeconfig.exists():
        raise SandboxError(f"Sandbox {name} has no kubeconfig; start it: {_command('up', name)}")
    return sandbox


def _show(seen: cluster.Status) -> None:
    console = Console()
    if not seen.exists:
        console.print(f"There is no sandbox {seen.name}.")
        return
    console.print(
        f"Sandbox {seen.name} {'runs' if seen.running else 'does not run as it should'}; "
        f"API server {seen.api}",
        highlight=False,
    )
    for name, port in seen.links.items():
        console.print(f"  {name}: {link_url(name, port)}", highlight=False)
    table = Table("Node", "Ready", box=None)
    for node in seen.nodes:
        table.add_row(node.name, "yes" if node.ready else "[red]no[/red]")
    console.print(table)
    table = Table("Program", "State", "PID", "Restarts", box=None)
    for program in seen.programs:
        colour = "green" if program.state is State.READY else "red"
        pid = str(program.pid or "")
        state = f"[{colour}]{program.state}[/{colour}]"
        table.add_row(program.name, state, pid, str(program.restarts))
    console.print(table)
