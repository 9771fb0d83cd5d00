"""What a program of somebody else's has: parts of the platform, in a namespace that exists."""

from typing import assert_type

import pulumi

from ado_infra import (
    Edge,
    EdgeArgs,
    EdgeSettings,
    ImageVersion,
    Postgres,
    PostgresArgs,
    Redis,
    RedisArgs,
    RedisEndpoint,
    SecretKey,
    Site,
    WorkerPool,
    WorkerPoolArgs,
    WorkerPoolSettings,
    __version__,
)

assert_type(__version__, str)
site = Site("shop", namespace="shop", protect=True)
database = Postgres("db", PostgresArgs(site=site))
cache = Redis("cache", RedisArgs(site=site, password=pulumi.Config().require_secret("redis")))
pool = WorkerPool(
    "workers",
    WorkerPoolArgs(
        pool="default",
        site=site,
        settings=WorkerPoolSettings(image=ImageVersion(tag="1.4.2"), longest_task=1800),
        controller_url="http://orchestrator:3000",
        redis=RedisEndpoint(url=SecretKey(secret="shop-redis", key="url")),
    ),
    pulumi.ResourceOptions(depends_on=[cache]),
)
edge = Edge(
    "edge",
    EdgeArgs(
        site=site,
        settings=EdgeSettings(host="shop.example.com"),
        gateway_service="gateway",
        dashboard_service=pool.service_name,
    ),
)
assert_type(database.url, pulumi.Output[str])
assert_type(cache.url, pulumi.Output[str])
pulumi.export("databaseUrl", database.url)
