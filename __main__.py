"""The Pulumi program: a stack's settings become a platform."""

import pulumi

from ado_infra import AdoPlatform, AdoPlatformArgs, StackSecrets, load_settings

platform = AdoPlatform(
    "ado",
    AdoPlatformArgs(settings=load_settings(), secrets=StackSecrets.from_config()),
)

pulumi.export("namespace", platform.namespace)
pulumi.export("gatewayService", platform.gateway_service)
pulumi.export("dashboardService", platform.dashboard_service)
pulumi.export("url", platform.url)
