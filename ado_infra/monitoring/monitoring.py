"""Monitoring: the platform's Grafana dashboard, and the monitor that makes Prometheus scrape it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import ConfigMap

from ado_infra.monitoring.dashboard import dashboard_name, render_dashboard
from ado_infra.monitoring.service_monitor import API_VERSION, service_monitor_spec
from ado_infra.settings import MonitoringSettings
from ado_infra.site import Site

COMPONENT: Final = "monitoring"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What monitoring is told; `queues` are those that worker pools serve."""

    site: Site
    settings: MonitoringSettings
    queues: tuple[str, ...]


class Monitoring(pulumi.ComponentResource):
    """What Grafana and Prometheus are told about the platform.

    Produces: ConfigMap `ado-dashboard-grafana`, which Grafana's sidecar loads by its label, and
    with `settings.service_monitor` the ServiceMonitor `ado-metrics`. It installs neither Grafana
    nor Prometheus; the ServiceMonitor's CRD must exist. Metrics: docs/metrics.md.
    """

    dashboard: pulumi.Output[str]
    """Name of the ConfigMap with the dashboard."""

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Monitoring", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        dashboard = ConfigMap(
            f"{name}-dashboard",
            metadata=args.site.metadata(
                COMPONENT, "ado-dashboard-grafana", {"grafana_dashboard": "1"}
            ),
            data=_dashboard_data(args),
            opts=child,
        )
        if args.settings.service_monitor:
            CustomResource(
                f"{name}-service-monitor",
                api_version=API_VERSION,
                kind="ServiceMonitor",
                metadata=args.site.metadata(COMPONENT, "ado-metrics", args.settings.labels),
                spec=service_monitor_spec(),
                opts=child,
            )
        self.dashboard = dashboard.metadata.name
        self.register_outputs({"dashboard": self.dashboard})


def _dashboard_data(args: MonitoringArgs) -> pulumi.Output[dict[str, str]]:
    """The file has the dashboard's name: the sidecar puts those of all namespaces together."""
    instance = args.site.instance

    def file(namespace: str) -> dict[str, str]:
        rendered = render_dashboard(instance, namespace, args.queues)
        return {f"{dashboard_name(instance, namespace)}.json": rendered}

    return pulumi.Output.from_input(args.site.namespace).apply(file)
