"""Who may talk to whom: one graph of what the parts declare, and the NetworkPolicies from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from ado_infra import monitoring
from ado_infra.data import connections as data
from ado_infra.data.postgres import backup, postgres
from ado_infra.data.redis import redis
from ado_infra.kit.connections import Connection, Outside, Pods, deny_all, policed, policies
from ado_infra.settings import Part, Settings
from ado_infra.site import Site
from ado_infra.surroundings import Surroundings, opened, surroundings
from ado_infra.tiers import dashboard, edge, gateway, migrations, orchestrator, workers
from ado_infra.tiers.common import tier_pods

COMPONENT: Final = "network"
DENY: Final = "ado-default-deny"


def graph(site: Site, settings: Settings) -> tuple[Connection, ...]:
    """All that has to get through for a stack to work: what its parts declare, in one place."""
    around = surroundings(settings)
    declared = [*_declared(site, settings, around), *_extra(site, settings)]
    declared += list(_proxied(declared, around))
    return (*declared, *_lookups(declared, around))


def pods_of_parts(site: Site, settings: Settings) -> dict[Part, list[Pods]]:
    """The pods of each part of the platform, as a stack may name it."""
    return {
        Part.GATEWAY: [tier_pods(site, gateway.COMPONENT)],
        Part.DASHBOARD: [tier_pods(site, dashboard.COMPONENT)],
        Part.ORCHESTRATOR: [tier_pods(site, orchestrator.COMPONENT)],
        Part.WORKERS: [workers.pool_pods(site, pool) for pool in settings.worker_pools],
        Part.POSTGRES: [site.pods_of(postgres.NAME)],
        Part.REDIS: [site.pods_of(redis.NAME)],
        Part.BACKUP: [site.job_pods(backup.BACKUP)],
        Part.MIGRATIONS: [site.job_pods(migrations.COMPONENT)],
    }


def _declared(site: Site, settings: Settings, around: Surroundings) -> Iterator[Connection]:
    stores, parts = data.stores(site, settings, around), pods_of_parts(site, settings)
    tiers = (Part.GATEWAY, Part.DASHBOARD, Part.ORCHESTRATOR, Part.WORKERS)
    yield from edge.connections(site, around)
    yield from gateway.connections(site, stores, around)
    yield from orchestrator.connections(site, stores, around)
    for pool, of_pool in settings.worker_pools.items():
        yield from workers.connections(site, pool, of_pool, stores, around)
    if settings.migrations:
        yield from migrations.connections(site, stores)
    yield from data.connections(site, settings, around)
    yield from monitoring.connections((pods for tier in tiers for pods in parts[tier]), around)


def _extra(site: Site, settings: Settings) -> Iterator[Connection]:
    parts = pods_of_parts(site, settings)
    for part, openings in settings.network_policies.extra.items():
        for pods in parts[part]:
            yield from opened(openings, pods)


def _proxied(connections: Sequence[Connection], around: Surroundings) -> Iterator[Connection]:
    """Whoever reaches something outside of the platform may do so by the proxy."""
    outward = {each.source.name for each in connections if isinstance(each.target.party, Outside)}
    for pods in policed(connections):
        if pods.name in outward:
            yield from pods.to(*around.proxy, why="requests that leave the cluster")


def _lookups(connections: Sequence[Connection], around: Surroundings) -> Iterator[Connection]:
    """Whoever reaches anything is told it by name; who reaches nothing needs no DNS either."""
    sources = {each.source.name for each in connections}
    for pods in policed(connections):
        if pods.name in sources:
            yield from pods.to(*around.dns, why="names")


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """Who may talk to whom.

    Attributes:
        site: Where they are made.
        connections: All that has to get through, of every pod of the site's installation.
    """

    site: Site
    connections: Sequence[Connection]


class NetworkPolicies(pulumi.ComponentResource):
    """What lets declared connections through, and nothing else.

    Produces: NetworkPolicy `<workload>-netpol` for all pods that take part in a connection, and
    `ado-default-deny` for every pod of the installation; none for pods of others in the namespace.
    A cluster whose network plugin enforces no NetworkPolicy takes them and lets everything through
    (docs/security.md).
    """

    allowed: dict[str, NetworkPolicy]
    """What lets through, by name; each has both directions of one workload."""
    denied: NetworkPolicy
    """What lets through nothing."""

    def __init__(
        self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:NetworkPolicies", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.allowed = {
            policy: NetworkPolicy(
                f"{name}-{policy}",
                metadata=args.site.metadata(COMPONENT, policy),
                spec=spec,
                opts=child,
            )
            for policy, spec in policies(args.connections).items()
        }
        self.denied = NetworkPolicy(
            f"{name}-default-deny",
            metadata=args.site.metadata(COMPONENT, DENY),
            spec=deny_all(args.site.identity(COMPONENT).of_installation),
            # After what is let through, and gone before it: a platform that runs never lacks it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self.allowed.values()]),
        )
        self.register_outputs({"denied": self.denied.metadata.name})
