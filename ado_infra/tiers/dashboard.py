"""The dashboard: the platform's web pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

import pulumi

from ado_infra.kit.connections import Destination
from ado_infra.kit.workload import Port, WorkloadArgs
from ado_infra.settings import DashboardSettings
from ado_infra.site import Site
from ado_infra.tiers.common import HTTP_PORT, METRICS, Inputs, Tier, tier_pods, tier_workload

COMPONENT: Final = "dashboard"
"""Its pods reach nobody: what pages show is fetched by browsers, through the edge."""


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What the dashboard is made from.

    Attributes:
        site: Where it is installed.
        settings: Image, resources and number of pods.
        service_annotations: What its Service tells load balancers.
    """

    site: Site
    settings: DashboardSettings
    service_annotations: Mapping[str, str] = field(default_factory=dict)


class Dashboard(Tier):
    """The web dashboard, in a fixed number of pods.

    Produces: a Workload `ado-dashboard` (Deployment, Service with `http` 80 and `metrics` 9090,
    PodDisruptionBudget).
    """

    TYPE: ClassVar[str] = "ado:index:Dashboard"

    def __init__(
        self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, _workload(args), opts)
        self.register_outputs({"serviceName": self.service_name})


def answers(site: Site) -> Destination:
    """Where the dashboard answers."""
    return Destination(party=tier_pods(site, COMPONENT), ports=(HTTP_PORT,))


def _workload(args: DashboardArgs) -> WorkloadArgs:
    return tier_workload(
        args.site,
        args.settings,
        section="dashboard",
        component=COMPONENT,
        ports=(Port(name="http", container=HTTP_PORT, service=80), METRICS),
        service_annotations=args.service_annotations,
        replicas=args.settings.replicas,
        inputs=Inputs(),
    )
