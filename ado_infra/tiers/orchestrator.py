"""The orchestrator core: it plans the work and hands it to the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi

from ado_infra.data.connections import StoresOnNetwork
from ado_infra.data.endpoints import DatabaseEndpoint, ObjectStorageEndpoint, RedisEndpoint
from ado_infra.kit.connections import Connection, Destination
from ado_infra.kit.sources import ConfigFile
from ado_infra.kit.workload import Port, WorkloadArgs
from ado_infra.settings import OrchestratorSettings
from ado_infra.site import Site
from ado_infra.surroundings import Surroundings
from ado_infra.tiers.common import (
    HTTP_PORT,
    METRICS,
    Inputs,
    Tier,
    given_endpoints,
    tier_name,
    tier_pods,
    tier_workload,
)

COMPONENT: Final = "orchestrator"
NAME: Final = tier_name(COMPONENT)


@dataclass(frozen=True, kw_only=True)
class OrchestratorArgs:
    """What the orchestrator is made from.

    Attributes:
        site: Where it is installed.
        settings: Image, resources and number of pods.
        database: Its PostgreSQL.
        redis: Its Redis.
        object_storage: Where checkpoints and artifacts go, where there is one.
        config_file: The applications' configuration, where there is one.
    """

    site: Site
    settings: OrchestratorSettings
    database: DatabaseEndpoint
    redis: RedisEndpoint
    object_storage: ObjectStorageEndpoint | None = None
    config_file: ConfigFile | None = None


class Orchestrator(Tier):
    """The orchestrator core, in a fixed number of pods on different hosts.

    Produces: a Workload `ado-orchestrator` (Deployment, headless Service with `grpc` 3000 and
    `metrics` 9090, PodDisruptionBudget).
    """

    url: pulumi.Output[str]
    """How workers reach the orchestrators; the name resolves to every one that is ready."""

    TYPE: ClassVar[str] = "ado:index:Orchestrator"

    def __init__(
        self, name: str, args: OrchestratorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, _workload(args), opts)
        self.url = pulumi.Output.format("http://{0}:{1}", self.service_name, HTTP_PORT)
        self.register_outputs({"url": self.url})


def answers(site: Site) -> Destination:
    """Where the orchestrators answer."""
    return Destination(party=tier_pods(site, COMPONENT), ports=(HTTP_PORT,))


def connections(
    site: Site, stores: StoresOnNetwork, around: Surroundings
) -> tuple[Connection, ...]:
    """What the orchestrators reach; workers come to them by themselves."""
    own = tier_pods(site, COMPONENT)
    return (
        *own.to(*stores.database, why="reads and writes"),
        *own.to(*stores.redis, why="queues and events"),
        *own.to(*stores.object_storage, why="checkpoints and artifacts"),
        *own.to(*around.tracing, why="traces"),
    )


def _workload(args: OrchestratorArgs) -> WorkloadArgs:
    return tier_workload(
        args.site,
        args.settings,
        section="orchestrator",
        component=COMPONENT,
        # The design's name; the health endpoints are on the same port.
        ports=(Port(name="grpc", container=HTTP_PORT, service=HTTP_PORT), METRICS),
        headless=True,
        replicas=args.settings.replicas,
        inputs=Inputs(
            variables={"DATABASE_POOL_SIZE": str(args.settings.pool_size)},
            endpoints=given_endpoints(args.database, args.redis, args.object_storage),
            config_file=args.config_file,
        ),
    )
