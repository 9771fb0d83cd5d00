"""How the platform is watched: where Prometheus finds it, and what Grafana shows of it."""

from ado_infra.monitoring.monitoring import Monitoring, MonitoringArgs
from ado_infra.monitoring.service_monitor import connections, required_crds

__all__ = ["Monitoring", "MonitoringArgs", "connections", "required_crds"]
