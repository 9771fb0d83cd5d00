"""A pool of workers beside an application that exists: its Redis and orchestrator are there."""

import ado_infra as ado

size = ado.WorkerPoolSettings(
    image=ado.ImageVersion(tag="1.4.2"),
    resources=ado.Resources.of(("100m", "256Mi"), ("1", "1Gi")),
    scaling=ado.WorkerScaling(min_replicas=1, max_replicas=3),
)
site = ado.Site("shop", namespace="shop")
redis = ado.RedisEndpoint(url=ado.SecretKey(secret="shop-redis", key="url"))
args = ado.WorkerPoolArgs(
    pool="default", site=site, settings=size, redis=redis, controller_url="http://orchestrator:3000"
)
ado.WorkerPool("workers", args)
