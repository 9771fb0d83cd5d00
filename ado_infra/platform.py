"""The ADO platform, composed: this module reads like the picture of the platform."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Namespace, Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.data.stores import Stores, StoresArgs
from ado_infra.kit import pods
from ado_infra.kit.labels import Identity
from ado_infra.kit.published import base64_data, generated_digest_key
from ado_infra.monitoring import Monitoring, MonitoringArgs, required_crds
from ado_infra.secrets import StackSecrets
from ado_infra.settings import Settings
from ado_infra.site import APPLICATION, Site
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

    Produces: Namespace (Pod Security `restricted`), a RandomBytes key for the digests of Secrets
    and Secret `ado-digest-key` that keeps it, Stores, Configuration, Migrations where the settings
    ask for them, ApiGateway, Dashboard, Orchestrator, a WorkerPool for each pool, Edge, Monitoring.
    With `settings.protect_data` the Namespace, the data stores and what was generated refuse to be
    destroyed.
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
        self._prefix, self._settings, self._secrets = name, args.settings, args.secrets
        for gap in args.settings.gaps:
            pulumi.log.warn(gap, self)
        # Without what the cluster has to bring, nothing is made.
        crds = required_crds(name, args.settings.monitoring, self)
        self._child = pulumi.ResourceOptions(parent=self, depends_on=crds)
        self.namespace = self._make_namespace(args.namespace)
        digest_key = generated_digest_key(f"{name}-digest-key", self._protected)
        self._site = Site(
            name,
            namespace=self.namespace,
            images=args.settings.images,
            protect=args.settings.protect_data,
            digest_key=digest_key,
        )
        self._keep(digest_key)

        configuration = self._configuration()
        stores = self._stores()
        migrated = self._migrated(stores)
        gateway = self._gateway(configuration, stores, migrated)
        dashboard = self._dashboard()
        orchestrator = self._orchestrator(configuration, stores, migrated)
        self._worker_pools(configuration, stores, orchestrator, migrated)
        edge = self._edge(gateway, dashboard)
        self._monitoring()

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

    @property
    def _protected(self) -> pulumi.ResourceOptions:
        protect = pulumi.ResourceOptions(protect=self._settings.protect_data)
        return pulumi.ResourceOptions.merge(self._child, protect)

    def _make_namespace(self, name: str) -> pulumi.Output[str]:
        identity = Identity(application=APPLICATION, instance=self._prefix, component="namespace")
        labels = {**identity.labels, **pods.NAMESPACE_LABELS}
        return Namespace(
            f"{self._prefix}-namespace",
            metadata=ObjectMetaArgs(name=name, labels=labels),
            opts=self._protected,
        ).metadata.name

    def _keep(self, digest_key: pulumi.Input[str]) -> None:
        """Keeps the key in the cluster too: with another one every reader of a Secret would roll.

        Whoever may read it there may read what it protects.
        """
        Secret(
            f"{self._prefix}-kept-digest-key",
            metadata=self._site.metadata("digest-key", "ado-digest-key"),
            type="Opaque",
            data=base64_data({"hex": digest_key}),
            opts=self._child,
        )

    def _configuration(self) -> Configuration:
        return Configuration(
            f"{self._prefix}-configuration",
            ConfigurationArgs(
                site=self._site,
                config=self._settings.config,
                agent_credentials=self._secrets.agents,
            ),
            self._child,
        )

    def _stores(self) -> Stores:
        return Stores(
            f"{self._prefix}-stores",
            StoresArgs(
                site=self._site,
                postgres=self._settings.postgres,
                redis=self._settings.redis,
                object_storage=self._settings.object_storage,
                secrets=self._secrets,
            ),
            self._child,
        )

    def _migrated(self, stores: Stores) -> pulumi.ResourceOptions:
        """How tiers that use the stores are made: after these, and migrations if there are any.

        Their pods are Ready when they are connected. Begun before, they would take the engine's
        few places for what is under way, and wait there for stores that find none.
        """
        if self._settings.migrations is None:
            return self._after(stores)
        migrations = Migrations(
            f"{self._prefix}-migrations",
            MigrationsArgs(
                site=self._site,
                settings=self._settings.migrations,
                orchestrator=self._settings.orchestrator,
                database=stores.database,
                database_settings=stores.database_settings,
            ),
            self._after(stores),
        )
        return self._after(migrations)

    def _after(self, earlier: pulumi.Resource) -> pulumi.ResourceOptions:
        depends = pulumi.ResourceOptions(depends_on=[earlier])
        return pulumi.ResourceOptions.merge(self._child, depends)

    def _gateway(
        self, configuration: Configuration, stores: Stores, opts: pulumi.ResourceOptions
    ) -> ApiGateway:
        return ApiGateway(
            f"{self._prefix}-gateway",
            ApiGatewayArgs(
                site=self._site,
                settings=self._settings.gateway,
                config_file=configuration.config_file,
                database=stores.database,
                redis=stores.redis,
            ),
            opts,
        )

    def _dashboard(self) -> Dashboard:
        return Dashboard(
            f"{self._prefix}-dashboard",
            DashboardArgs(site=self._site, settings=self._settings.dashboard),
            self._child,
        )

    def _orchestrator(
        self, configuration: Configuration, stores: Stores, opts: pulumi.ResourceOptions
    ) -> Orchestrator:
        return Orchestrator(
            f"{self._prefix}-orchestrator",
            OrchestratorArgs(
                site=self._site,
                settings=self._settings.orchestrator,
                config_file=configuration.config_file,
                database=stores.database,
                redis=stores.redis,
                object_storage=stores.object_storage,
            ),
            opts,
        )

    def _worker_pools(
        self,
        configuration: Configuration,
        stores: Stores,
        orchestrator: Orchestrator,
        opts: pulumi.ResourceOptions,
    ) -> None:
        pools = self._settings.worker_pools
        for pool, settings in pools.items():
            WorkerPool(
                f"{self._prefix}-worker-{pool}",
                WorkerPoolArgs(
                    site=self._site,
                    pool=pool,
                    settings=settings,
                    only=len(pools) == 1,
                    controller_url=orchestrator.url,
                    config_file=configuration.config_file,
                    credentials=configuration.credentials,
                    redis=stores.redis,
                    object_storage=stores.object_storage,
                ),
                opts,
            )

    def _edge(self, gateway: ApiGateway, dashboard: Dashboard) -> Edge:
        return Edge(
            f"{self._prefix}-edge",
            EdgeArgs(
                site=self._site,
                settings=self._settings.edge,
                gateway_service=gateway.service_name,
                dashboard_service=dashboard.service_name,
            ),
            self._child,
        )

    def _monitoring(self) -> None:
        Monitoring(
            f"{self._prefix}-monitoring",
            MonitoringArgs(
                site=self._site,
                settings=self._settings.monitoring,
                queues=tuple(self._settings.worker_pools),
            ),
            self._child,
        )
