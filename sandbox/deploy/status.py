"""A running platform, and its cluster, as tables for people and as JSON for programs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sandbox.cluster.health import Status
from sandbox.host.programs import State
from sandbox.paths import Sandbox

if TYPE_CHECKING:
    from ado_infra.ops.platform.tiers import Platform, Tier  # which loads kubernetes' client


def as_json(platform: Platform, missing: Iterable[str], cluster: Status) -> str:
    """Everything that `show` prints; sizes are Kubernetes quantities, percent has its sign."""
    ready = {"ready": platform.settled and not set(missing) and cluster.running}
    lacking = {"missing": sorted(missing), "clusterMissing": list(cluster.missing)}
    return json.dumps(ready | asdict(platform) | lacking | {"links": cluster.links}, indent=2)


def show(
    console: Console,
    platform: Platform,
    links: Mapping[str, str],
    missing: Iterable[str] = (),
    remedy: str = "",
) -> None:
    """Prints the tiers, what they lack, the Jobs, the Ingresses and the links.

    `remedy` is the command that makes what is missing.
    """
    running = [tier for tier in platform.tiers if tier.kind != "Job"]
    console.print(_table(running), soft_wrap=False)
    for line in [*_jobs(platform), *_ingresses(platform), *_remarks(running)]:
        console.print(f"  {line}")
    for link, url in links.items():
        console.print(f"  {link}: {url}")
    if named := ", ".join(sorted(missing)):
        console.print(f"[red]Missing: {named}[/red]; {remedy} makes them.")


def tell_trouble(console: Console, cluster: Status, remedy: str) -> None:
    """Prints what of the cluster is missing, in one line; nothing when nothing is."""
    if cluster.missing:
        console.print(f"[red]{escape(cluster.trouble(remedy))}[/red]")


def cluster_as_json(cluster: Status) -> str:
    """Everything that is known of the cluster."""
    return json.dumps({"running": cluster.running, **asdict(cluster)}, default=str, indent=2)


def show_cluster(console: Console, cluster: Status) -> None:
    """Prints the cluster's links, nodes and programs, and what is missing."""
    if not cluster.exists:
        console.print(f"There is no sandbox {cluster.name}.")
        return
    how = "runs" if cluster.running else "does not run as it should"
    console.print(f"Sandbox {cluster.name} {how}; API server {cluster.api}")
    for name, url in cluster.links.items():
        console.print(f"  {name}: {url}")
    table = Table("Node", "Ready", box=None)
    for node in cluster.nodes:
        table.add_row(node.name, "yes" if node.ready else "[red]no[/red]")
    console.print(table)
    table = Table("Program", "State", "PID", "Restarts", box=None)
    for program in cluster.programs:
        colour = "green" if program.state is State.READY else "red"
        state = f"[{colour}]{program.state}[/{colour}]"
        table.add_row(program.name, state, str(program.pid or ""), str(program.restarts))
    console.print(table)
    tell_trouble(console, cluster, f"`{Sandbox(cluster.name).command('start')}`")


def _table(running: Iterable[Tier]) -> Table:
    """A row for each tier; a column that would be empty is left out."""
    columns: dict[str, list[Text | str]] = {
        "Tier": [Text(tier.name) for tier in running],
        "Pods": [_pods(tier) for tier in running],
        "Version": [Text(tier.version) for tier in running],
        "Endpoints": [Text("\n".join(_endpoints(tier))) for tier in running],
        "Autoscaler": [Text(_autoscaler(tier)) for tier in running],
        "Claims": [Text("\n".join(map(str, tier.claims))) for tier in running],
    }
    filled = {name: cells for name, cells in columns.items() if any(map(str, cells))}
    table = Table(box=None, pad_edge=False)
    for name in filled:
        table.add_column(name, no_wrap=name != "Autoscaler", overflow="fold")
    for row in zip(*filled.values(), strict=True):
        table.add_row(*row)
    return table


def _pods(tier: Tier) -> Text:
    return Text(f"{tier.ready}/{tier.wanted}", style="green" if tier.settled else "red")


def _endpoints(tier: Tier) -> list[str]:
    return [f"{name}:{','.join(map(str, ports))}" for name, ports in tier.services.items()]


def _autoscaler(tier: Tier) -> str:
    """A line for each metric, beside the shortest its bounds: more would not fit."""
    if not (scaler := tier.autoscaler):
        return ""
    first, *others = sorted(map(str, scaler.metrics), key=len) or [""]
    return "\n".join([f"{scaler.bounds}, {first}", *others])


def _jobs(platform: Platform) -> list[str]:
    done = "[green]completed[/green]"
    return [
        f"Job {tier.name}: {done if tier.settled else f'[red]{escape(tier.reason)}[/red]'}"
        for tier in platform.tiers
        if tier.kind == "Job"
    ]


def _ingresses(platform: Platform) -> list[str]:
    paths: dict[str, list[str]] = {}
    for route in platform.routes:
        title = f"Ingress {route.ingress}: {route.host}"
        paths.setdefault(title, []).append(f"{route.path} to {route.target}")
    return [f"{title} ({', '.join(sent)})" for title, sent in paths.items()]


def _remarks(running: Iterable[Tier]) -> list[str]:
    """What tiers lack, and what their autoscalers do without."""
    lacking = [
        f"[red]{tier.name}: {escape(tier.reason)}[/red]" for tier in running if not tier.settled
    ]
    unserved: dict[str, list[str]] = defaultdict(list)
    for tier in running:
        for metric in tier.autoscaler.unserved if tier.autoscaler else ():
            unserved[metric].append(tier.name)
    return lacking + [
        f"{', '.join(names)}: nobody serves {metric}; other metrics decide, which is normal here"
        for metric, names in unserved.items()
    ]
