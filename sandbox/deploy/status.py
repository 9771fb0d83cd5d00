"""A running platform in its sandbox, and the sandbox's cluster, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sandbox.cluster.health import Status
from sandbox.host.programs import State
from sandbox.paths import Sandbox

if TYPE_CHECKING:
    from ado_infra.ops.platform.reading import Sight  # which loads kubernetes' client


def is_ready(
    sight: Sight, missing: Iterable[str], cluster: Status, *, unfinished: bool = False
) -> bool:
    """Whether all is as it should be: what runs, what was deployed, and the cluster."""
    from ado_infra.ops.platform import report

    return not (report.findings(sight) or set(missing) or unfinished) and cluster.running


def as_json(
    sight: Sight, missing: Iterable[str], cluster: Status, *, unfinished: bool = False
) -> str:
    """Everything that `show` prints, what the cluster lacks, and whether the last `up` ended."""
    from ado_infra.ops.platform import report

    ready = is_ready(sight, missing, cluster, unfinished=unfinished)
    lacking = {"unfinished": unfinished}
    lacking |= {"missing": sorted(missing), "clusterMissing": list(cluster.missing)}
    links = {"links": cluster.links}
    return json.dumps({"ready": ready} | report.data(sight) | lacking | links, indent=2)


def show(
    console: Console,
    sight: Sight,
    links: Mapping[str, str],
    missing: Iterable[str] = (),
    remedy: str = "",
) -> None:
    """Prints the platform, its links, and the workloads that are missing.

    `remedy` is the command that makes what is missing.
    """
    from ado_infra.ops.platform import report

    report.show(console, sight)
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
