"""The ADO platform, composed: this module reads like the picture of the platform."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.kit import pods
from ado_infra.kit.labels import Identity
from ado_infra.secrets import AgentCredentials, generated_digest_key
from ado_infra.settings import Settings
from ado_infra.tiers.common import APPLICATION, Placement
from ado_infra.tiers.configuration import Configuration, ConfigurationArgs
from ado_infra.tiers.dashboard import Dashboard, DashboardArgs
from ado_infra.tiers.gateway import ApiGateway, ApiGatewayArgs


@dataclass(frozen=True, kw_only=True)
class AdoPlatformArgs:
    """What a platform is made from.

    Attributes:
        settings: The validated settings.
        agent_credentials: API keys of the model providers.
        namespace: Where everything is created; the namespace itself is created too. Not a
            setting: another namespace is another platform.
    """

    settings: Settings
    agent_credentials: AgentCredentials
    namespace: str = "ado-system"


class AdoPlatform(pulumi.ComponentResource):
    """The whole platform in one namespace.

    Produces: Namespace (Pod Security `restricted`), a RandomBytes key for the digests of Secrets,
    Configuration, ApiGateway, Dashboard. With `settings.protect_data` the Namespace and the key
    refuse to be destroyed.
    """

    namespace: pulumi.Output[str]
    """Name of the Namespace."""
    gateway_service: pulumi.Output[str]
    """Name of the gateway's Service."""
    dashboard_service: pulumi.Output[str]
    """Name of the dashboard's Service."""

    def __init__(
        self, name: str, args: AdoPlatformArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:AdoPlatform", name, {}, opts)
        settings = args.settings
        child = pulumi.ResourceOptions(parent=self)
        protected = pulumi.ResourceOptions(parent=self, protect=settings.protect_data)
        self.namespace = _namespace(name, args, protected)
        placement = Placement(namespace=self.namespace, instance=name, images=settings.images)

        configuration = Configuration(
            f"{name}-configuration",
            ConfigurationArgs(
                placement=placement,
                config=settings.config,
                agent_credentials=args.agent_credentials,
                digest_key=generated_digest_key(f"{name}-digest-key", protected),
            ),
            child,
        )
        gateway = ApiGateway(
            f"{name}-gateway",
            ApiGatewayArgs(
                placement=placement,
                settings=settings.gateway,
                config_file=configuration.config_file,
            ),
            child,
        )
        dashboard = Dashboard(
            f"{name}-dashboard",
            DashboardArgs(placement=placement, settings=settings.dashboard),
            child,
        )

        self.gateway_service = gateway.service_name
        self.dashboard_service = dashboard.service_name
        self.register_outputs(
            {
                "namespace": self.namespace,
                "gatewayService": self.gateway_service,
                "dashboardService": self.dashboard_service,
            }
        )


def _namespace(
    name: str, args: AdoPlatformArgs, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    identity = Identity(application=APPLICATION, instance=name, component="namespace")
    metadata = ObjectMetaArgs(
        name=args.namespace, labels={**identity.labels, **pods.NAMESPACE_LABELS}
    )
    return Namespace(f"{name}-namespace", metadata=metadata, opts=opts).metadata.name
