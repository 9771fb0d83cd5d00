"""`python -m sandbox.stack up|preview|status|destroy`: a stack of this checkout, in a sandbox.

What the `make` targets call. Knows the program only as a user does: by its stack files, by what
the engine plans, and by what runs in the cluster afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from kubernetes import client
from rich.console import Console
from rich.table import Table

from sandbox import cluster, errors, images, rollout
from sandbox.capacity import nodes_needed
from sandbox.display import Display
from sandbox.engine import Engine, Outcome, stack_file
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox
from sandbox.progress import step

CHECKOUT = Path(__file__).parents[1]
HOW_TO_LIFT = """\
The stack is protected: nothing was deleted. To take it down with its data, lift the protection.
Here: in Pulumi.{stack}.yaml remove `ado:profile` if it is production, set `ado:protectData: false`,
then `make up STACK={stack}` and `make destroy STACK={stack}`; or `make down` for the whole sandbox.
With plain Pulumi the same in commands:
  1. pulumi config rm profile   (of a production stack)
  2. pulumi config set ado:protectData false
  3. pulumi up
  4. pulumi destroy"""

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
def up(stack: Stack = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Start the sandbox when needed, deploy the stack, wait until it is Ready, print its links."""
    console, sandbox, started = _console(), Sandbox(name), time.monotonic()
    stack_file(project, stack)  # a slip is said before anything is built or started
    cluster.up(sandbox, None, console)
    with _engine(sandbox, stack, project, console) as engine:
        _refuse_beside(engine.other_deployed_stacks(), stack)
        with step(console, f"Planning stack {stack}"):
            engine.mend()
            plan = _checked(engine.preview(), stack)
        provide(sandbox, plan, console)
        _deploy(engine, console)
        outputs = engine.outputs()
    with rollout.api(sandbox) as connection:
        with step(console, "Waiting until every tier is Ready"):
            tiers = rollout.wait_until_ready(connection, outputs["namespace"])
        _show(console, tiers, publish(sandbox, connection, outputs))
    console.print(f"Stack {stack} is up ({time.monotonic() - started:.1f} s).")


@app.command()
def preview(stack: Stack = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Show what `up` would change, in every detail; change nothing."""
    console, sandbox = _console(), _running(name)
    with _engine(sandbox, stack, project, console) as engine:
        _checked(engine.preview(on_output=typer.echo), stack)


@app.command()
def status(stack: Stack = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Show every tier: pods, version, autoscaler, and its link; exit code 0 if all are Ready."""
    console, sandbox = _console(), _running(name)
    with _engine(sandbox, stack, project, console) as engine:
        namespace, deployed = engine.namespace(), engine.workloads()
    if namespace is None:
        raise SandboxError(f"Stack {stack} is not deployed here; `make up STACK={stack}` does it.")
    with rollout.api(sandbox) as connection:
        seen = rollout.tiers(connection, namespace)
    published = cluster.status(sandbox).links
    _show(console, seen, {link: _url(link, port) for link, port in published.items()})
    if missing := deployed - {tier.name for tier in seen}:
        console.print(f"[red]Missing: {', '.join(sorted(missing))}[/red]; `make up` makes them.")
    raise typer.Exit(0 if not missing and all(tier.settled for tier in seen) else 3)


@app.command()
def destroy(stack: Stack = "dev", name: Name = "default", project: Project = CHECKOUT) -> None:
    """Delete what the stack made; a protected stack is left whole."""
    console, sandbox = _console(), _running(name)
    with _engine(sandbox, stack, project, console) as engine, Display(console) as display:
        if engine.namespace() is None:
            console.print(f"Stack {stack} is not deployed here; there is nothing to delete.")
            return
        outcome = engine.destroy(display.see)
    if any("protect" in error for error in outcome.errors):
        raise SandboxError(HOW_TO_LIFT.format(stack=stack))
    if not outcome.succeeded:
        raise SandboxError("\n".join([*outcome.errors, f"Stack {stack} is not gone; see above."]))
    cluster.withdraw(sandbox, console)
    console.print(f"Stack {stack} is gone; the sandbox still runs (`make down` removes it).")


def main() -> None:
    """Run the command line."""
    errors.run(lambda: app(prog_name="python -m sandbox.stack"))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _running(name: str) -> Sandbox:
    sandbox = Sandbox(name)
    if not cluster.status(sandbox).running:
        raise SandboxError(f"Sandbox {name} does not run; `make up` starts it.")
    return sandbox


@contextmanager
def _engine(sandbox: Sandbox, stack: str, project: Path, console: Console) -> Generator[Engine]:
    with step(console, "Preparing the engine") as report:
        engine = Engine(sandbox, project.resolve(), stack, report)
    if engine.stand_in_secrets:
        keys = ", ".join(engine.stand_in_secrets)
        console.print(f"The sandbox puts in secrets of its own, which open nothing: {keys}")
    yield engine


def _refuse_beside(others: set[str], stack: str) -> None:
    # Both would own the same namespace.
    if others:
        other = min(others)
        raise SandboxError(
            f"Stack {other} is deployed here already, and both use one namespace. First "
            f"`make destroy STACK={other}`, or `make down`; then `make up STACK={stack}`."
        )


def _checked(outcome: Outcome, stack: str) -> Outcome:
    if not outcome.succeeded:
        raise SandboxError("\n".join([*outcome.errors, f"Stack {stack}: nothing was changed."]))
    return outcome


def provide(sandbox: Sandbox, plan: Outcome, console: Console) -> None:
    """Nodes for all the pods that are planned, and an image under every reference they name."""
    planned = list(plan.objects.values())
    needed = nodes_needed(planned)
    if needed > len(cluster.containerd_sockets(sandbox)):
        cluster.up(sandbox, needed, console)
    with step(console, "Loading images") as report:
        references = sorted({image for inputs in planned for image in _images(inputs)})
        images.provide(cluster.containerd_sockets(sandbox), references, report)


def _images(inputs: Mapping[str, Any]) -> list[str]:
    """The images of a planned object's pods, if it has any."""
    spec = inputs.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]
    return [container["image"] for container in containers]


def _deploy(engine: Engine, console: Console) -> None:
    # Also when nothing is to be changed in the cluster: what is protected may have changed.
    with Display(console) as display:
        outcome = engine.up(display.see)
    if not outcome.succeeded:
        raise SandboxError("\n".join([*outcome.errors, "The deployment failed; see above."]))
    if not outcome.changed:
        console.print(f"Nothing to change: {outcome.changes.get('same', 0)} resources are as said.")
        return
    changes = ", ".join(f"{count} {operation}" for operation, count in outcome.changes.items())
    console.print(f"Deployed: {changes}.")


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
    return {name: _url(name, port) for name, port in cluster.publish(sandbox, targets).items()}


def _url(link: str, port: int) -> str:
    return f"{'ws' if link.endswith('-ws') else 'http'}://127.0.0.1:{port}"


def _show(console: Console, tiers: list[rollout.Tier], links: Mapping[str, str]) -> None:
    table = Table("Tier", "Pods", "Version", "Autoscaler", box=None, pad_edge=False)
    for tier in tiers:
        colour = "green" if tier.settled else "red"
        pods = f"[{colour}]{tier.ready}/{tier.wanted}[/{colour}]"
        table.add_row(tier.name, pods, tier.version, tier.autoscaler or "-")
    console.print(table)
    for link, url in links.items():
        console.print(f"  {link}: {url}")


if __name__ == "__main__":
    main()
