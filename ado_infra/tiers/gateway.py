"""The API gateway: the platform's HTTP and WebSocket entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

import pulumi

from ado_infra.data.connections import StoresOnNetwork
from ado_infra.data.endpoints import DatabaseEndpoint, RedisEndpoint
from ado_infra.kit.autoscaling import Autoscaling
from ado_infra.kit.connections import Connection, Destination
from ado_infra.kit.sources import ConfigFile, Variable
from ado_infra.kit.workload import Port, WorkloadArgs
from ado_infra.settings import GatewaySettings
from ado_infra.site import Site
from ado_infra.surroundings import Surroundings
from ado_infra.tiers import orchestrator
from ado_infra.tiers.common import (
    HTTP_PORT,
    METRICS,
    WS_PORT,
    Inputs,
    Tier,
    tier_pods,
    tier_workload,
)

COMPONENT: Final = "api-gateway"


@dataclass(frozen=True, kw_only=True)
class ApiGatewayArgs:
    """What the gateway is made from.

    Attributes:
        site: Where it is installed.
        settings: Image, resources and scaling.
        database: Its PostgreSQL.
        redis: Its Redis.
        orchestrator_url: Where the orchestrators are; None where it is not told.
        config_file: The applications' configuration, where there is one.
        service_annotations: What its Service tells load balancers.
    """

    site: Site
    settings: GatewaySettings
    database: DatabaseEndpoint
    redis: RedisEndpoint
    orchestrator_url: pulumi.Input[str] | None = None
    config_file: ConfigFile | None = None
    service_annotations: Mapping[str, str] = field(default_factory=dict)


class ApiGateway(Tier):
    """The API gateway, autoscaled on CPU.

    Produces: a Workload `ado-api-gateway` (Deployment, Service with `http` 80, `ws` 81 and
    `metrics` 9090, HorizontalPodAutoscaler, PodDisruptionBudget).
    """

    TYPE: ClassVar[str] = "ado:index:ApiGateway"

    def __init__(
        self, name: str, args: ApiGatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, _workload(args), opts)
        self.register_outputs({"serviceName": self.service_name})


def answers(site: Site) -> Destination:
    """Where the gateway answers."""
    return Destination(party=tier_pods(site, COMPONENT), ports=(HTTP_PORT, WS_PORT))


def connections(
    site: Site, stores: StoresOnNetwork, around: Surroundings
) -> tuple[Connection, ...]:
    """What the gateway reaches."""
    own = tier_pods(site, COMPONENT)
    return (
        *own.to(orchestrator.answers(site), why="hands on requests"),
        *own.to(*stores.database, why="reads and writes"),
        *own.to(*stores.redis, why="queues and events"),
        *own.to(*around.tracing, why="traces"),
    )


def _workload(args: ApiGatewayArgs) -> WorkloadArgs:
    variables: dict[str, Variable] = {"DATABASE_POOL_SIZE": str(args.settings.pool_size)}
    if args.orchestrator_url is not None:
        variables["ORCHESTRATOR_URL"] = args.orchestrator_url
    return tier_workload(
        args.site,
        args.settings,
        section="gateway",
        component=COMPONENT,
        ports=(
            Port(name="http", container=HTTP_PORT, service=80),
            Port(name="ws", container=WS_PORT, service=81),
            METRICS,
        ),
        service_annotations=args.service_annotations,
        replicas=Autoscaling(bounds=args.settings.scaling),
        inputs=Inputs(
            variables=variables,
            endpoints=(args.database, args.redis),
            config_file=args.config_file,
        ),
    )
