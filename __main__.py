"""The Pulumi program: a stack's settings become a platform."""

import pulumi

from ado_infra import AdoPlatform, AdoPlatformArgs, load_stack

settings, secrets = load_stack()
platform = AdoPlatform("ado", AdoPlatformArgs(settings=settings, secrets=secrets))

pulumi.export("namespace", platform.namespace)
pulumi.export("gatewayService", platform.gateway.service_name)
pulumi.export("dashboardService", platform.dashboard.service_name)
pulumi.export("url", platform.url)
