"""PostgreSQL alone: a primary and a replica of it, in a namespace that exists."""

import pulumi

import ado_infra as ado

settings = ado.PostgresSettings(
    resources=ado.Resources.of(("100m", "256Mi"), ("1", "1Gi")),
    anti_affinity=ado.AntiAffinity.PREFERRED,
    volume=ado.PostgresVolume(size="1Gi"),
)
site = ado.Site("shop", namespace="shop")
database = ado.Postgres("database", ado.PostgresArgs(site=site, settings=settings))
pulumi.export("databaseUrl", database.url)  # secret
