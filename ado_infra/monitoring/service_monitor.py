"""Where Prometheus finds the platform, in the words of the Prometheus operator.

A plain dictionary: pulumi-kubernetes has no type for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import pulumi

from ado_infra.kit.connections import Connection, Destination, Pods
from ado_infra.kit.crds import required_crd
from ado_infra.settings import MonitoringSettings
from ado_infra.site import APPLICATION
from ado_infra.surroundings import Surroundings
from ado_infra.tiers.common import METRICS

API_VERSION: Final = "monitoring.coreos.com/v1"
CRD: Final = "servicemonitors.monitoring.coreos.com"
SCRAPE_INTERVAL: Final = "30s"


def service_monitor_spec() -> dict[str, Any]:
    """Scrapes the metrics port of every Service of the application in the monitor's namespace.

    Series tell what they come from by `component`, and by the operator's own `service`, which
    names the pool of a worker.
    """
    component = {
        "action": "replace",  # the default, said for the same reason as in claim templates
        "sourceLabels": ["__meta_kubernetes_service_label_app_kubernetes_io_component"],
        "targetLabel": "component",
    }
    endpoint = {
        "port": METRICS.name,
        "path": "/metrics",
        "interval": SCRAPE_INTERVAL,
        "relabelings": [component],
    }
    return {
        "selector": {"matchLabels": {"app.kubernetes.io/name": APPLICATION}},
        "endpoints": [endpoint],
    }


def connections(tiers: Iterable[Pods], around: Surroundings) -> tuple[Connection, ...]:
    """Of a Prometheus, which comes by itself, to every tier."""
    targets = (Destination(party=tier, ports=(METRICS.container,)) for tier in tiers)
    return tuple(
        Connection(source=around.monitoring, target=target, why="metrics") for target in targets
    )


def required_crds(
    name: str, settings: MonitoringSettings, parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """What the cluster must know before a ServiceMonitor is made; see `required_crd`."""
    if not settings.service_monitor:
        return []
    needed = f"{name}-crd-needed-unless-ado:monitoring.serviceMonitor-is-false"
    return required_crd(needed, CRD, parent)
