"""The dashboard: the platform's web pages."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from ado_infra.kit.workload import Port, Workload
from ado_infra.settings import DashboardSettings
from ado_infra.site import Site
from ado_infra.tiers.common import HTTP_PORT, METRICS, Inputs, tier_workload


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What the dashboard is told."""

    site: Site
    settings: DashboardSettings


class Dashboard(pulumi.ComponentResource):
    """The web dashboard, in a fixed number of pods.

    Produces: a Workload `ado-dashboard` (Deployment, Service with `http` 80 and `metrics` 9090,
    PodDisruptionBudget).
    """

    service_name: pulumi.Output[str]
    """Name of the Service."""

    def __init__(
        self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Dashboard", name, {}, opts)
        workload = tier_workload(
            args.site,
            args.settings,
            component="dashboard",
            ports=(Port(name="http", container=HTTP_PORT, service=80), METRICS),
            replicas=args.settings.replicas,
            inputs=Inputs(),
        )
        child = pulumi.ResourceOptions(parent=self)
        self.service_name = Workload(f"{name}-workload", workload, child).service_name
        self.register_outputs({"serviceName": self.service_name})
