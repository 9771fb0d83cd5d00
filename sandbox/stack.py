"""`python -m sandbox.stack COMMAND`: a stack of this checkout, in a sandbox.

What the `make` targets call; `secret` has none. Knows the program only as a user does: by its stack
files, by what the engine plans, and by what runs in the cluster afterwards.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any

import typer
from kubernetes import client
from rich.console import Console

from sandbox import (
    cluster,
    errors,
    files,
    images,
    machine,
    object_storage,
    picture,
    rollout,
    stack_files,
    tools,
)
from sandbox import status as shown
from sandbox.capacity import nodes_needed
from sandbox.display import Display
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.outcome import Outcome
from sandbox.paths import CHECKOUT, Sandbox
from sandbox.planned import containers
from sandbox.progress import step
from sandbox.record import link_url
from sandbox.refusals import HOW_TO_LIFT, failure, refusal, refuse_another_primary, refuse_beside
from sandbox.tiers import Platform

PICTURE = CHECKOUT / "build" / "platform.svg"
WIDTH = 120
"""Columns of tables where no terminal says how many it has."""
NOT_READY = 3
"""Exit code of `status` when something is not Ready."""

app = typer.Typer(
    help="A stack of this checkout, in a sandbox.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Stack = Annotated[str, typer.Option("--stack", help="Which Pulumi.<stack>.yaml.")]
Name = Annotated[str, typer.Option("--name", help="Which sandbox.")]
Project = Annotated[Path, typer.Option("--project", help="The checkout with the program.")]


@app.command()
def prepare() -> None:
    """Install and compile the programs that the other commands run; they would do it too."""
    console = _console()
    machine.require_root()
    cluster.prepare(console)
    with step(console, "Engine") as report:
        tools.ensure([tools.PULUMI], report)


@app.command()
def up(stack: Stack = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Start the sandbox when needed, deploy the stack, wait until it is Ready, print its links."""
    console, sandbox, started = _console(), Sandbox(name), time.monotonic()
    stack_files.find(project, stack)  # a slip is said before anything is built or started
    cluster.up(sandbox, None, console)
    with _engine(sandbox, stack, project, console) as engine:
        refuse_beside(engine.other_deployed_stacks(), stack)
        refuse_another_primary(sandbox, stack, project)
        with step(console, f"Planning stack {stack}"):
            engine.mend()
            plan = _checked(engine.preview(), stack)
        provide(sandbox, plan, console)
        _deploy(engine, stack, console)
        outputs = engine.outputs()
    with rollout.api(sandbox) as connection:
        with step(console, "Waiting until every tier is Ready"):
            rollout.wait_until_ready(connection, outputs["namespace"])
        platform = rollout.platform(sandbox, connection, outputs["namespace"])
        shown.show(console, platform, (), publish(sandbox, connection, outputs))
    console.print(f"Stack {stack} is up ({time.monotonic() - started:.1f} s).")


@app.command()
def preview(
    stack: Stack = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    *,
    diff: Annotated[bool, typer.Option("--diff", help="In every detail.")] = False,
) -> None:
    """Show what `up` would change; change nothing."""
    console, sandbox = _console(), _running(name)
    stack_files.find(project, stack)
    refuse_another_primary(sandbox, stack, project)
    with (
        _engine(sandbox, stack, project, console) as engine,
        Display(console, planned=True) as display,
    ):
        plan = _checked(engine.preview(None if diff else display.see), stack)
    if diff:
        typer.echo(plan.text)
    else:
        console.print(_summary(plan, nothing="Nothing would change", otherwise="Planned"))


@app.command()
def status(
    stack: Stack = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every tier: pods, version, endpoints, autoscaler; exit code 0 if all are Ready."""
    console, sandbox = _console(stderr=as_json), _running(name)
    platform, missing = _seen(sandbox, stack, project, console)
    links = {link: link_url(link, port) for link, port in cluster.status(sandbox).links.items()}
    if as_json:
        typer.echo(shown.as_json(platform, missing, links))
    else:
        shown.show(console, platform, missing, links)
        if platform.postgresql:
            ask = f"-m ado_infra.ops postgres status --stack {stack}"
            python = f"KUBECONFIG={sandbox.kubeconfig} .venv/bin/python"
            console.print(f"PostgreSQL: {platform.postgresql}: {python} {ask}")
    raise typer.Exit(0 if platform.settled and not missing else NOT_READY)


@app.command(name="picture")
def draw(
    stack: Stack = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    output: Annotated[Path, typer.Option("--output", help="Where the SVG goes.")] = PICTURE,
) -> None:
    """Draw the platform as it runs: every tier, its state, and who talks to whom."""
    console, sandbox = _console(), _running(name)
    platform, _ = _seen(sandbox, stack, project, console)
    if not platform.tiers:
        raise SandboxError(f"Nothing of stack {stack} runs here; `make up STACK={stack}` mends it.")
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    files.write(output, picture.svg(platform, f"ADO platform, stack {stack}", now), mode=0o644)
    console.print(f"Drawn: {output}")


@app.command()
def destroy(stack: Stack = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Delete what the stack made; a protected stack is left whole."""
    console, sandbox = _console(), _running(name)
    with _engine(sandbox, stack, project, console) as engine, Display(console) as display:
        if not engine.resources():
            console.print(f"Stack {stack} is not deployed here; there is nothing to delete.")
            return
        outcome = engine.destroy(display.see)
    if any("protect" in error for error in outcome.errors):
        raise SandboxError(HOW_TO_LIFT.format(stack=stack))
    if not outcome.succeeded:
        raise failure(outcome.errors, f"Stack {stack} is not gone; see above.", stack)
    cluster.withdraw(sandbox, console)
    console.print(f"Stack {stack} is gone; the sandbox still runs (`make down` removes it).")


@app.command()
def secret(
    key: Annotated[str, typer.Argument(help="As in the stack's config: databasePassword.")],
    stack: Stack = "dev",
    name: Name = "default",
    project: Project = CHECKOUT,
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Keep it no longer.")] = False,
) -> None:
    """Keep a secret for the stack in this sandbox; its value comes from standard input."""
    path, console, sandbox = stack_files.secret_path(key), _console(), _running(name)
    value = "" if forget else _given(key)
    with _engine(sandbox, stack, project, console) as engine:
        if forget:
            engine.forget_secret(path)
        else:
            engine.set_secret(path, value)
    done = "no longer kept" if forget else "kept in this sandbox"
    console.print(f"{key} of stack {stack} is {done}; `make up STACK={stack}` makes use of that.")


def main() -> None:
    """Run the command line."""
    errors.run(lambda: app(prog_name="python -m sandbox.stack"))


def _console(*, stderr: bool = False) -> Console:
    console = Console(highlight=False, soft_wrap=True, stderr=stderr)
    if not console.is_terminal:
        console.width = WIDTH
    return console


def _running(name: str) -> Sandbox:
    sandbox = Sandbox(name)
    if not cluster.status(sandbox).running:
        raise SandboxError(f"Sandbox {name} does not run; `make up` starts it.")
    return sandbox


def _given(key: str) -> str:
    """A value that is piped in, or typed and not shown."""
    value = getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    if not value:
        raise SandboxError(f"Standard input is empty; it should be the value of {key}.")
    return value


@contextmanager
def _engine(sandbox: Sandbox, stack: str, project: Path, console: Console) -> Generator[Engine]:
    with step(console, "Preparing the engine") as report:
        engine = Engine(sandbox, project.resolve(), stack, report)
    if engine.stand_in_secrets:
        keys = ", ".join(engine.stand_in_secrets)
        console.print(f"The sandbox puts in secrets of its own, which open nothing: {keys}")
    if engine.given_object_storage:
        console.print("The sandbox's own object storage takes the place of the stack's.")
    yield engine


def _seen(
    sandbox: Sandbox, stack: str, project: Path, console: Console
) -> tuple[Platform, set[str]]:
    """What runs of a stack, and the workloads that were deployed and are not there.

    Raises SandboxError when it is not deployed.
    """
    with _engine(sandbox, stack, project, console) as engine:
        namespace, deployed = engine.namespace(), engine.workloads()
    if namespace is None:
        raise SandboxError(f"Stack {stack} is not deployed here; `make up STACK={stack}` does it.")
    with rollout.api(sandbox) as connection:
        platform = rollout.platform(sandbox, connection, namespace)
    return platform, deployed - {tier.name for tier in platform.tiers}


def _checked(outcome: Outcome, stack: str) -> Outcome:
    if not outcome.succeeded:
        raise refusal(outcome.errors, stack)
    return outcome


def provide(sandbox: Sandbox, plan: Outcome, console: Console) -> None:
    """Nodes for the planned pods, an image under every reference they name, their buckets."""
    planned = list(plan.objects.values())
    needed = nodes_needed(planned)
    if needed > len(cluster.containerd_sockets(sandbox)):
        cluster.up(sandbox, needed, console)
    with step(console, "Loading images") as report:
        references = sorted({c["image"] for inputs in planned for c in containers(inputs)})
        images.provide(cluster.containerd_sockets(sandbox), references, report)
    object_storage.make_buckets(sandbox, planned)


def _deploy(engine: Engine, stack: str, console: Console) -> None:
    # Also when nothing is to be changed in the cluster: what is protected may have changed.
    with Display(console) as display:
        outcome = engine.up(display.see)
    if not outcome.succeeded:
        raise failure(outcome.errors, "The deployment failed; see above.", stack)
    console.print(_summary(outcome, nothing="Nothing to change", otherwise="Deployed"))


def _summary(outcome: Outcome, nothing: str, otherwise: str) -> str:
    if not outcome.changed:
        return f"{nothing}: {outcome.changes.get('same', 0)} resources are as said."
    changes = ", ".join(f"{count} {operation}" for operation, count in outcome.changes.items())
    return f"{otherwise}: {changes}."


def publish(
    sandbox: Sandbox, connection: client.ApiClient, outputs: Mapping[str, Any]
) -> dict[str, str]:
    """Loopback links to the platform's Services, as name → URL."""
    services = {
        "gateway": (outputs["gatewayService"], "http"),
        "gateway-ws": (outputs["gatewayService"], "ws"),
        "dashboard": (outputs["dashboardService"], "http"),
    }
    targets = rollout.endpoints(connection, outputs["namespace"], services)
    return {name: link_url(name, port) for name, port in cluster.publish(sandbox, targets).items()}


if __name__ == "__main__":
    main()
