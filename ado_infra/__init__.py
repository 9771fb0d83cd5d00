"""The ADO platform on Kubernetes, as Pulumi components: the whole of it, and each part alone."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ado_infra import loading as _loading

if TYPE_CHECKING:
    from ado_infra.data.endpoints import DatabaseEndpoint, ObjectStorageEndpoint, RedisEndpoint
    from ado_infra.data.postgres import Postgres, PostgresArgs
    from ado_infra.data.redis import Redis, RedisArgs
    from ado_infra.kit.pod_options import (
        AddedContainer,
        Affinity,
        CsiSource,
        EnvSource,
        Mount,
        PodOptions,
        PodVolume,
        SecurityContext,
        ServiceAccountOptions,
        Toleration,
        TopologySpread,
    )
    from ado_infra.kit.sources import ConfigFile, SecretDirectory, SecretFiles, SecretKey
    from ado_infra.kit.spec import (
        AntiAffinity,
        Disruption,
        Health,
        ImageVersion,
        Resources,
        Scaling,
    )
    from ado_infra.platform import AdoPlatform, AdoPlatformArgs
    from ado_infra.secrets import AgentCredentials, ObjectStorageCredentials, StackSecrets
    from ado_infra.settings import (
        AppendFsync,
        Buckets,
        CaBundle,
        Controller,
        DashboardSettings,
        EdgeSettings,
        GatewaySettings,
        ImageSettings,
        Issuer,
        LimitRangeSettings,
        NamespaceSettings,
        NetworkSettings,
        OrchestratorSettings,
        PostgresSettings,
        PostgresVolume,
        ProxySettings,
        RedisSettings,
        RedisVolume,
        Settings,
        Tls,
        WorkerPoolSettings,
        WorkerScaling,
    )
    from ado_infra.site import Site
    from ado_infra.stack import load_stack
    from ado_infra.tiers.dashboard import Dashboard, DashboardArgs
    from ado_infra.tiers.edge import Edge, EdgeArgs
    from ado_infra.tiers.gateway import ApiGateway, ApiGatewayArgs
    from ado_infra.tiers.orchestrator import Orchestrator, OrchestratorArgs
    from ado_infra.tiers.workers import WorkerPool, WorkerPoolArgs

    __version__: str

_HOMES = {
    "data.endpoints": ("DatabaseEndpoint", "ObjectStorageEndpoint", "RedisEndpoint"),
    "data.postgres": ("Postgres", "PostgresArgs"),
    "data.redis": ("Redis", "RedisArgs"),
    "kit.pod_options": (
        *("AddedContainer", "Affinity", "CsiSource", "EnvSource", "Mount", "PodOptions"),
        *("PodVolume", "SecurityContext", "ServiceAccountOptions", "Toleration", "TopologySpread"),
    ),
    "kit.sources": ("ConfigFile", "SecretDirectory", "SecretFiles", "SecretKey"),
    "kit.spec": (
        *("AntiAffinity", "Disruption", "Health", "ImageVersion", "Resources", "Scaling"),
    ),
    "platform": ("AdoPlatform", "AdoPlatformArgs"),
    "secrets": ("AgentCredentials", "ObjectStorageCredentials", "StackSecrets"),
    "settings": (
        *("AppendFsync", "Controller"),
        *(
            "Buckets",
            "CaBundle",
            "DashboardSettings",
            "EdgeSettings",
            "GatewaySettings",
            "ImageSettings",
            "Issuer",
            "LimitRangeSettings",
            "NamespaceSettings",
            "NetworkSettings",
        ),
        *("OrchestratorSettings", "PostgresSettings", "PostgresVolume", "ProxySettings"),
        *("RedisSettings", "RedisVolume", "Settings", "Tls", "WorkerPoolSettings"),
        "WorkerScaling",
    ),
    "site": ("Site",),
    "stack": ("load_stack",),
    "tiers.dashboard": ("Dashboard", "DashboardArgs"),
    "tiers.edge": ("Edge", "EdgeArgs"),
    "tiers.gateway": ("ApiGateway", "ApiGatewayArgs"),
    "tiers.orchestrator": ("Orchestrator", "OrchestratorArgs"),
    "tiers.workers": ("WorkerPool", "WorkerPoolArgs"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AddedContainer",
    "AdoPlatform",
    "AdoPlatformArgs",
    "Affinity",
    "AgentCredentials",
    "AntiAffinity",
    "ApiGateway",
    "ApiGatewayArgs",
    "AppendFsync",
    "Buckets",
    "CaBundle",
    "ConfigFile",
    "Controller",
    "CsiSource",
    "Dashboard",
    "DashboardArgs",
    "DashboardSettings",
    "DatabaseEndpoint",
    "Disruption",
    "Edge",
    "EdgeArgs",
    "EdgeSettings",
    "EnvSource",
    "GatewaySettings",
    "Health",
    "ImageSettings",
    "ImageVersion",
    "Issuer",
    "LimitRangeSettings",
    "Mount",
    "NamespaceSettings",
    "NetworkSettings",
    "ObjectStorageCredentials",
    "ObjectStorageEndpoint",
    "Orchestrator",
    "OrchestratorArgs",
    "OrchestratorSettings",
    "PodOptions",
    "PodVolume",
    "Postgres",
    "PostgresArgs",
    "PostgresSettings",
    "PostgresVolume",
    "ProxySettings",
    "Redis",
    "RedisArgs",
    "RedisEndpoint",
    "RedisSettings",
    "RedisVolume",
    "Resources",
    "Scaling",
    "SecretDirectory",
    "SecretFiles",
    "SecretKey",
    "SecurityContext",
    "ServiceAccountOptions",
    "Settings",
    "Site",
    "StackSecrets",
    "Tls",
    "Toleration",
    "TopologySpread",
    "WorkerPool",
    "WorkerPoolArgs",
    "WorkerPoolSettings",
    "WorkerScaling",
    "load_stack",
]

if not TYPE_CHECKING:  # or every name would be there to a type checker

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever is asked for
        """Imported when asked for: the operator's commands need none of it, nor Pulumi's SDK."""
        if name == "__version__":
            return import_module("importlib.metadata").version("ado-infra")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_loading.load(f"{__name__}.{_MODULES[name]}"), name)
