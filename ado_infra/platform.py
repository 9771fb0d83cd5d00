"""The ADO platform, composed: this module reads like the picture of the platform."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.data.stores import Stores, StoresArgs
from ado_infra.kit import pods
from ado_infra.monitoring import Monitoring, MonitoringArgs, required_crds
from ado_infra.placement import Placement
from ado_infra.secrets import StackSecrets, generated_digest_key
from ado_infra.settings import Settings
from ado_infra.tiers.configuration import Configuration, ConfigurationArgs
from ado_infra.tiers.dashboard import Dashboard, DashboardArgs
from ado_infra.tiers.edge import Edge, EdgeArgs
from ado_infra.tiers.gateway import ApiGateway, ApiGatewayArgs
from ado_infra.tiers.migrations import Migrations, MigrationsArgs
from ado_infra.tiers.orchestrator import Orchestrator, OrchestratorArgs
from ado_infra.tiers.workers import WorkerPool, WorkerPoolArgs


@dataclass(frozen=True, kw_only=True)
class AdoPlatformArgs:
    """What a platform is made from.

    Attributes:
        settings: The validated settings.
        secrets: What the stack gives of keys and passwords.
        namespace: Where everything is created; the namespace itself is created too. Not a
            setting: another namespace is another platform.
    """

    settings: Settings
    secrets: StackSecrets
    namespace: str = "ado-system"


class AdoPlatform(pulumi.ComponentResource):
    """The whole platform in one namespace.

    Produces: Namespace (Pod Security `restricted`), a RandomBytes key for the digests of Secrets,
    Stores, Configuration, Migrations where the settings ask for them, ApiGateway, Dashboard,
    Orchestrator, a WorkerPool for each pool, Edge, Monitoring. With `settings.protect_data` the
    Namespace, the data stores and what was generated refuse to be destroyed.
    """

    namespace: pulumi.Output[str]
    """Name of the Namespace."""
    gateway_service: pulumi.Output[str]
    """Name of the gateway's Service."""
    dashboard_service: pulumi.Output[str]
    """Name of the dashboard's Service."""
    url: pulumi.Output[str]
    """Where the edge answers."""

    def __init__(
        self, name: str, args: AdoPlatformArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:AdoPlatform", name, {}, opts)
        settings = args.settings
        # Without what the cluster has to bring, nothing is made.
        crds = required_crds(name, settings.monitoring, self)
        child = pulumi.ResourceOptions(parent=self, depends_on=crds)
        protected = pulumi.ResourceOptions(
            parent=self, depends_on=crds, protect=settings.protect_data
        )
        self.namespace = _namespace(name, args, protected)
        placement = Placement(
            namespace=self.namespace,
            instance=name,
            images=settings.images,
            protect=settings.protect_data,
        )
        digest_key = generated_digest_key(f"{name}-digest-key", protected)

        configuration = Configuration(
            f"{name}-configuration",
            ConfigurationArgs(
                placement=placement,
                config=settings.config,
                agent_credentials=args.secrets.agents,
                digest_key=digest_key,
            ),
            child,
        )
        stores = Stores(
            f"{name}-stores",
            StoresArgs(
                placement=placement,
                postgres=settings.postgres,
                redis=settings.redis,
                object_storage=settings.object_storage,
                secrets=args.secrets,
                digest_key=digest_key,
            ),
            child,
        )
        applications = _migrated(name, placement, settings, stores, child)
        gateway = ApiGateway(
            f"{name}-gateway",
            ApiGatewayArgs(
                placement=placement,
                settings=settings.gateway,
                config_file=configuration.config_file,
                database=stores.database,
                redis=stores.redis,
            ),
            applications,
        )
        dashboard = Dashboard(
            f"{name}-dashboard",
            DashboardArgs(placement=placement, settings=settings.dashboard),
            child,
        )
        orchestrator = Orchestrator(
            f"{name}-orchestrator",
            OrchestratorArgs(
                placement=placement,
                settings=settings.orchestrator,
                config_file=configuration.config_file,
                database=stores.database,
                redis=stores.redis,
                object_storage=stores.object_storage,
            ),
            applications,
        )
        for pool, pool_settings in settings.worker_pools.items():
            WorkerPool(
                f"{name}-worker-{pool}",
                WorkerPoolArgs(
                    placement=placement,
                    pool=pool,
                    settings=pool_settings,
                    only=len(settings.worker_pools) == 1,
                    controller_url=orchestrator.url,
                    config_file=configuration.config_file,
                    credentials=configuration.credentials,
                    redis=stores.redis,
                    object_storage=stores.object_storage,
                ),
                applications,
            )
        edge = Edge(
            f"{name}-edge",
            EdgeArgs(
                placement=placement,
                settings=settings.edge,
                gateway_service=gateway.service_name,
                dashboard_service=dashboard.service_name,
            ),
            child,
        )
        Monitoring(
            f"{name}-monitoring",
            MonitoringArgs(
                placement=placement,
                settings=settings.monitoring,
                queues=tuple(settings.worker_pools),
            ),
            child,
        )

        self.gateway_service = gateway.service_name
        self.dashboard_service = dashboard.service_name
        self.url = edge.url
        self.register_outputs(
            {
                "namespace": self.namespace,
                "gatewayService": self.gateway_service,
                "dashboardService": self.dashboard_service,
                "url": self.url,
            }
        )


def _namespace(
    name: str, args: AdoPlatformArgs, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    placement = Placement(namespace=args.namespace, instance=name, images=args.settings.images)
    labels = {**placement.identity("namespace").labels, **pods.NAMESPACE_LABELS}
    return Namespace(
        f"{name}-namespace",
        metadata=ObjectMetaArgs(name=args.namespace, labels=labels),
        opts=opts,
    ).metadata.name


def _migrated(
    name: str,
    placement: Placement,
    settings: Settings,
    stores: Stores,
    opts: pulumi.ResourceOptions,
) -> pulumi.ResourceOptions:
    """What the applications that use the database wait for: its migrations, if there are any."""
    if settings.migrations is None:
        return opts
    migrations = Migrations(
        f"{name}-migrations",
        MigrationsArgs(
            placement=placement,
            settings=settings.migrations,
            orchestrator=settings.orchestrator,
            database=stores.database,
            database_settings=stores.database_settings,
        ),
        pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[stores])),
    )
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[migrations]))
