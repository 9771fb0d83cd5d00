"""Redis alone: a cluster of three masters, in a namespace that exists."""

import pulumi

import ado_infra as ado

settings = ado.RedisSettings(
    resources=ado.Resources.of(("50m", "64Mi"), ("500m", "256Mi")),
    anti_affinity=ado.AntiAffinity.PREFERRED,
    volume=ado.RedisVolume(size="1Gi"),
)
site = ado.Site("shop", namespace="shop")
redis = ado.Redis("redis", ado.RedisArgs(site=site, settings=settings))
pulumi.export("redisUrl", redis.url)  # secret
pulumi.export("redisNodes", redis.nodes)
