"""The ADO platform, composed: this module reads like the picture of the platform."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra import external_secrets, quota
from ado_infra.connections import NetworkPolicies, NetworkPoliciesArgs, graph
from ado_infra.data.stores import Stores, StoresArgs, require_urls
from ado_infra.existing_secrets import warn_of_absent
from ado_infra.gaps import gaps
from ado_infra.kit import demand, pods
from ado_infra.kit.labels import Identity
from ado_infra.kit.published import generated_digest_key, publish_secret
from ado_infra.monitoring import Monitoring, MonitoringArgs, required_crds
from ado_infra.registry import RegistryCredentials, registry_secret
from ado_infra.secrets import ConfigSecret, StackSecrets
from ado_infra.settings import Settings
from ado_infra.site import APPLICATION, Site, require_instance
from ado_infra.tiers.common import HTTP_PORT
from ado_infra.tiers.configuration import Configuration, ConfigurationArgs
from ado_infra.tiers.dashboard import Dashboard, DashboardArgs
from ado_infra.tiers.edge import Edge, EdgeArgs
from ado_infra.tiers.gateway import ApiGateway, ApiGatewayArgs
from ado_infra.tiers.migrations import Migrations, MigrationsArgs
from ado_infra.tiers.orchestrator import NAME as ORCHESTRATOR
from ado_infra.tiers.orchestrator import Orchestrator, OrchestratorArgs
from ado_infra.tiers.workers import WorkerPool, WorkerPoolArgs


@dataclass(frozen=True, kw_only=True)
class AdoPlatformArgs:
    """What a platform is made from.

    Raises pulumi.RunError when a store is external and its URL is not given, or a secret is given
    and named in a Secret too.

    Attributes:
        settings: The validated settings.
        secrets: What the stack gives of keys and passwords, beside what `settings.secrets` names.
    """

    settings: Settings
    secrets: StackSecrets

    def __post_init__(self) -> None:
        # Before anything is registered, so that a program that is refused has made nothing.
        require_urls(self.settings.postgres, self.settings.redis, self.all_secrets)
        if self.settings.images.registry_user and self.secrets.registry_password is None:
            raise pulumi.RunError(
                f"ado:{ConfigSecret.REGISTRY_PASSWORD} is missing; ado:images.registryUser demands "
                "it"
            )

    @property
    def all_secrets(self) -> StackSecrets:
        """Those that are given, and those that are in Secrets of others."""
        return self.secrets.beside(self.settings.secrets)


class AdoPlatform(pulumi.ComponentResource):
    """The whole platform in one namespace.

    Produces: Namespace (Pod Security `restricted`) unless `settings.namespace.create` is false,
    ResourceQuota and LimitRange `ado` where the settings ask for them, a
    RandomBytes key for the digests of Secrets and Secret `ado-digest-key` that keeps it, Secret
    `ado-registry` where the settings name who pulls images, an ExternalSecret for each Secret that
    the settings have a store's operator write, NetworkPolicies where they are enabled, Stores,
    Configuration, Migrations where the settings ask for them, ApiGateway, Dashboard, Orchestrator,
    a WorkerPool for each pool, Edge, Monitoring. With `settings.protect_data` the Namespace, the
    data stores and what was generated refuse to be destroyed. Its name is the `instance` label of
    every object; raises pulumi.RunError when it cannot be.
    """

    site: Site
    """Where all of it is, for more parts beside these."""
    network_policies: NetworkPolicies | None
    """What lets declared connections through alone; None where everything gets through."""
    configuration: Configuration
    stores: Stores
    migrations: Migrations | None
    orchestrator: Orchestrator
    gateway: ApiGateway
    dashboard: Dashboard
    worker_pools: dict[str, WorkerPool]
    """By their names."""
    edge: Edge
    monitoring: Monitoring
    namespace: pulumi.Output[str]
    """Name of the Namespace."""
    url: pulumi.Output[str]
    """Where the edge answers."""

    def __init__(
        self, name: str, args: AdoPlatformArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        require_instance("The name of AdoPlatform", name)
        super().__init__("ado:index:AdoPlatform", name, {}, opts)
        self._prefix, self._settings, self._secrets = name, args.settings, args.all_secrets
        for gap in gaps(self._settings, self._secrets):
            pulumi.log.warn(gap, self)
        warn_of_absent(self._settings, self)
        # Without what the cluster has to bring, nothing is made.
        crds = [
            *required_crds(name, self._settings.monitoring, self),
            *external_secrets.required_crds(name, self._settings.secrets, self),
        ]
        self._child = pulumi.ResourceOptions(parent=self, depends_on=crds)
        self.namespace = self._namespace()
        digest_key = generated_digest_key(f"{name}-digest-key", self._protected)
        self.site = Site(
            name,
            namespace=self.namespace,
            images=args.settings.images,
            protect=args.settings.protect_data,
            digest_key=digest_key,
            network=args.settings.network,
            pods=args.settings.pods,
        )
        self._keep(digest_key)
        self.site = replace(self.site, pull_secret=self._pull_secret())
        external_secrets.external_secrets(
            f"{name}-external-secrets", self.site, self._settings.secrets, self._child
        )

        self.network_policies = self._network_policies()
        self.configuration = self._configuration()
        self.stores = self._stores()
        self.migrations = self._migrations()
        self.orchestrator = self._orchestrator()
        self.gateway = self._gateway()
        self.dashboard = self._dashboard()
        self.worker_pools = self._worker_pools()
        self.edge = self._edge()
        self.monitoring = self._monitoring()
        self._limit()

        self.url = self.edge.url
        self.register_outputs(
            {
                "namespace": self.namespace,
                "gatewayService": self.gateway.service_name,
                "dashboardService": self.dashboard.service_name,
                "url": self.url,
            }
        )

    @property
    def _protected(self) -> pulumi.ResourceOptions:
        protect = pulumi.ResourceOptions(protect=self._settings.protect_data)
        return pulumi.ResourceOptions.merge(self._child, protect)

    @property
    def _after_migrations(self) -> pulumi.ResourceOptions:
        """How tiers that use the stores are made: after these, and migrations if there are any.

        Their pods are Ready when they are connected. Begun before, they would take every slot of
        `pulumi up --parallel`, and wait there for stores that find none free.
        """
        return self._after(self.migrations or self.stores)

    def _after(self, earlier: pulumi.Resource) -> pulumi.ResourceOptions:
        depends = pulumi.ResourceOptions(depends_on=[earlier])
        return pulumi.ResourceOptions.merge(self._child, depends)

    def _namespace(self) -> pulumi.Output[str]:
        namespace = self._settings.namespace
        if not namespace.create:
            return pulumi.Output.from_input(namespace.name)
        identity = Identity(application=APPLICATION, instance=self._prefix, component="namespace")
        labels = {**identity.labels, **(pods.NAMESPACE_LABELS if namespace.pod_security else {})}
        return Namespace(
            f"{self._prefix}-namespace",
            metadata=ObjectMetaArgs(name=namespace.name, labels=labels),
            opts=self._protected,
        ).metadata.name

    def _network_policies(self) -> NetworkPolicies | None:
        """Before any pod that may need what has to get through now, and did not before."""
        if not self._settings.network_policies.enabled:
            return None
        made = NetworkPolicies(
            f"{self._prefix}-network-policies",
            NetworkPoliciesArgs(site=self.site, connections=graph(self.site, self._settings)),
            self._child,
        )
        self._child = self._after(made)
        return made

    def _limit(self) -> None:
        """What may be asked for in the namespace, and whether that is enough."""
        namespace = self._settings.namespace
        quota.limit_namespace(f"{self._prefix}-namespace", self.site, namespace, self._child)
        tiers = (self.gateway, self.dashboard, self.orchestrator, *self.worker_pools.values())
        stores = filter(None, (self.stores.postgres, self.stores.redis_cluster))
        asked = demand.total(part.workload.demand for part in (*tiers, *stores))
        for shortage in quota.shortages(namespace, asked):
            pulumi.log.warn(shortage, self)

    def _keep(self, digest_key: pulumi.Input[str]) -> None:
        """Keeps the key in the cluster too: with another one every reader of a Secret would roll.

        Whoever may read it there may read what it protects.
        """
        publish_secret(
            f"{self._prefix}-kept-digest-key",
            self.site.metadata("digest-key", "ado-digest-key"),
            {"hex": digest_key},
            self._child,
            digest_key=digest_key,
        )

    def _pull_secret(self) -> pulumi.Output[str] | None:
        """The Secret that images are pulled with, before any pod: by its name they wait for it."""
        images, password = self._settings.images, self._secrets.registry_password
        if images.registry_user is None or password is None:
            return None
        return registry_secret(
            f"{self._prefix}-registry",
            self.site,
            RegistryCredentials(
                host=images.registry_host, user=images.registry_user, password=password
            ),
            self._child,
        )

    def _configuration(self) -> Configuration:
        return Configuration(
            f"{self._prefix}-configuration",
            ConfigurationArgs(
                site=self.site,
                config=self._settings.config,
                agent_credentials=self._secrets.agents,
            ),
            self._child,
        )

    def _stores(self) -> Stores:
        return Stores(
            f"{self._prefix}-stores",
            StoresArgs(
                site=self.site,
                postgres=self._settings.postgres,
                redis=self._settings.redis,
                object_storage=self._settings.object_storage,
                secrets=self._secrets,
            ),
            self._child,
        )

    def _migrations(self) -> Migrations | None:
        if self._settings.migrations is None:
            return None
        return Migrations(
            f"{self._prefix}-migrations",
            MigrationsArgs(
                site=self.site,
                settings=self._settings.migrations,
                orchestrator=self._settings.orchestrator,
                database=self.stores.database,
                database_settings=self.stores.database_settings,
            ),
            self._after(self.stores),
        )

    def _orchestrator(self) -> Orchestrator:
        return Orchestrator(
            f"{self._prefix}-orchestrator",
            OrchestratorArgs(
                site=self.site,
                settings=self._settings.orchestrator,
                config_file=self.configuration.config_file,
                database=self.stores.database,
                redis=self.stores.redis,
                object_storage=self.stores.object_storage,
            ),
            self._after_migrations,
        )

    def _gateway(self) -> ApiGateway:
        return ApiGateway(
            f"{self._prefix}-gateway",
            ApiGatewayArgs(
                site=self.site,
                settings=self._settings.gateway,
                service_annotations=self._settings.edge.service_annotations,
                # By its name: no rollout of the gateway waits for an orchestrator that is Ready.
                orchestrator_url=f"http://{ORCHESTRATOR}:{HTTP_PORT}",
                config_file=self.configuration.config_file,
                database=self.stores.database,
                redis=self.stores.redis,
            ),
            self._after_migrations,
        )

    def _dashboard(self) -> Dashboard:
        return Dashboard(
            f"{self._prefix}-dashboard",
            DashboardArgs(
                site=self.site,
                settings=self._settings.dashboard,
                service_annotations=self._settings.edge.service_annotations,
            ),
            self._child,
        )

    def _worker_pools(self) -> dict[str, WorkerPool]:
        pools = self._settings.worker_pools
        return {
            pool: WorkerPool(
                f"{self._prefix}-worker-{pool}",
                WorkerPoolArgs(
                    site=self.site,
                    pool=pool,
                    settings=settings,
                    only=len(pools) == 1,
                    controller_url=self.orchestrator.url,
                    config_file=self.configuration.config_file,
                    credentials=self.configuration.credentials,
                    redis=self.stores.redis,
                    object_storage=self.stores.object_storage,
                ),
                self._after_migrations,
            )
            for pool, settings in pools.items()
        }

    def _edge(self) -> Edge:
        return Edge(
            f"{self._prefix}-edge",
            EdgeArgs(
                site=self.site,
                settings=self._settings.edge,
                gateway_service=self.gateway.service_name,
                dashboard_service=self.dashboard.service_name,
            ),
            self._child,
        )

    def _monitoring(self) -> Monitoring:
        return Monitoring(
            f"{self._prefix}-monitoring",
            MonitoringArgs(
                site=self.site,
                settings=self._settings.monitoring,
                queues=tuple(self._settings.worker_pools),
            ),
            self._child,
        )
