"""The platform on stores that exist: PostgreSQL, Redis and S3 are somebody else's."""

import pulumi

import ado_infra as ado

settings, secrets = ado.load_stack()
platform = ado.AdoPlatform("ado", ado.AdoPlatformArgs(settings=settings, secrets=secrets))
pulumi.export("url", platform.url)
