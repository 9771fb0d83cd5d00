"""A gateway with an extra container in its pods: a cache of their own, on 127.0.0.1:6380."""

import ado_infra as ado

cache = ado.AddedContainer(
    name="cache",
    image="docker.io/library/redis:8.0.5-bookworm",
    command=("redis-server", "--bind", "127.0.0.1", "--port", "6380", "--save", ""),
    resources=ado.Resources.of(("20m", "32Mi"), ("100m", "64Mi")),
)
gateway = ado.ApiGateway(
    "gateway",
    ado.ApiGatewayArgs(
        site=ado.Site("shop", namespace="shop"),
        settings=ado.GatewaySettings(
            image=ado.ImageVersion(tag="1.4.2"),
            resources=ado.Resources.of(("100m", "128Mi"), ("500m", "512Mi")),
            scaling=ado.Scaling(min_replicas=1, max_replicas=2),
            disruption=ado.Disruption(max_unavailable=1),
            pod=ado.PodOptions(sidecars=(cache,)),
        ),
        database=ado.DatabaseEndpoint(url=ado.SecretKey(secret="shop-database", key="url")),
        redis=ado.RedisEndpoint(url=ado.SecretKey(secret="shop-redis", key="url")),
    ),
)
