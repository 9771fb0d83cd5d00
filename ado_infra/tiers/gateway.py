"""The API gateway: the platform's HTTP and WebSocket entry."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from ado_infra.data.endpoints import DatabaseEndpoint, RedisEndpoint
from ado_infra.kit.autoscaling import Autoscaling, cpu_metric
from ado_infra.kit.sources import ConfigFile
from ado_infra.kit.workload import Port, Workload, WorkloadArgs
from ado_infra.settings import GatewaySettings
from ado_infra.site import Site
from ado_infra.tiers.common import HTTP_PORT, METRICS, WS_PORT, Inputs, tier_workload


@dataclass(frozen=True, kw_only=True)
class ApiGatewayArgs:
    """What the gateway is told."""

    site: Site
    settings: GatewaySettings
    config_file: ConfigFile
    database: DatabaseEndpoint
    redis: RedisEndpoint


class ApiGateway(pulumi.ComponentResource):
    """The API gateway, autoscaled on CPU.

    Produces: a Workload `ado-api-gateway` (Deployment, Service with `http` 80, `ws` 81 and
    `metrics` 9090, HorizontalPodAutoscaler, PodDisruptionBudget).
    """

    service_name: pulumi.Output[str]
    """Name of the Service."""

    def __init__(
        self, name: str, args: ApiGatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:ApiGateway", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.service_name = Workload(f"{name}-workload", _workload(args), child).service_name
        self.register_outputs({"serviceName": self.service_name})


def _workload(args: ApiGatewayArgs) -> WorkloadArgs:
    scaling = args.settings.scaling
    return tier_workload(
        args.site,
        args.settings,
        component="api-gateway",
        ports=(
            Port(name="http", container=HTTP_PORT, service=80),
            Port(name="ws", container=WS_PORT, service=81),
            METRICS,
        ),
        replicas=Autoscaling(bounds=scaling, metrics=(cpu_metric(scaling.cpu_utilization),)),
        inputs=Inputs(
            variables={"DATABASE_POOL_SIZE": str(args.settings.pool_size)},
            endpoints=(args.database, args.redis),
            config_file=args.config_file,
        ),
    )
