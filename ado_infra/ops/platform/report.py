"""What a platform looks like, as a table for people and as data for programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ado_infra.ops import rights
from ado_infra.ops.platform.reading import Sight
from ado_infra.ops.platform.tiers import Platform, Tier


def show(console: Console, sight: Sight) -> None:
    """Prints the tiers, what they lack, the Jobs and the Ingresses."""
    platform = sight.platform
    running = [tier for tier in platform.tiers if tier.kind != "Job"]
    if platform.tiers:
        console.print(_table(running), soft_wrap=False)
    for line in [*_jobs(platform), *_ingresses(platform), *_unserved(running)]:
        console.print(f"  {line}", soft_wrap=True)
    for line in findings(sight):
        console.print(f"  [red]{escape(line)}[/red]", soft_wrap=True)
    if unseen := not_seen(sight):
        console.print(f"  [yellow]{escape(unseen)}[/yellow]", soft_wrap=True)


def data(sight: Sight) -> dict[str, Any]:
    """The same for programs; sizes are Kubernetes quantities, percent has its sign."""
    return {**asdict(sight.platform), "unseen": list(sight.unseen)}


def findings(sight: Sight) -> list[str]:
    """What is not as it should be; nothing when all of it is Ready."""
    return list(_findings(sight))


def not_seen(sight: Sight) -> str:
    """What was not looked at, for want of rights; empty when all was."""
    if not sight.unseen:
        return ""
    remedy = rights.remedy(sight.platform.namespace)
    return f"Not looked at, because you may not read it: {', '.join(sight.unseen)}. {remedy}"


def _findings(sight: Sight) -> Iterator[str]:
    platform = sight.platform
    for tier in platform.tiers:
        if not tier.settled:
            yield f"{'Job ' if tier.kind == 'Job' else ''}{tier.name}: {tier.reason}"
    for service in platform.orphans:
        yield (
            f"Service {service} leads to no workload: `pulumi up --refresh` makes what is missing"
        )
    if not platform.tiers and sight.complete:
        yield f"Nothing of a platform runs in namespace {platform.namespace}"
    if not sight.complete:
        yield "Whether all of it is Ready cannot be told"


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
    jobs = (tier for tier in platform.tiers if tier.kind == "Job" and tier.settled)
    return [f"Job {tier.name}: [green]completed[/green]" for tier in jobs]


def _ingresses(platform: Platform) -> list[str]:
    paths: dict[str, list[str]] = {}
    for route in platform.routes:
        title = f"Ingress {route.ingress}: {route.host}"
        paths.setdefault(title, []).append(f"{route.path} to {route.target}")
    return [f"{title} ({', '.join(sent)})" for title, sent in paths.items()]


def _unserved(running: Iterable[Tier]) -> list[str]:
    """What autoscalers do without."""
    unserved: dict[str, list[str]] = defaultdict(list)
    for tier in running:
        for metric in tier.autoscaler.unserved if tier.autoscaler else ():
            unserved[metric].append(tier.name)
    return [
        f"{', '.join(names)}: nobody serves {metric}; other metrics decide"
        for metric, names in unserved.items()
    ]
