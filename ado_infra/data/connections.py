"""The URLs by which applications reach the data stores, with the passwords in them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Secret

from ado_infra.data.endpoints import DatabaseEndpoint, RedisEndpoint
from ado_infra.kit.digests import secret_digest
from ado_infra.kit.sources import SecretKey, base64_data
from ado_infra.site import Placement


@dataclass(frozen=True, kw_only=True)
class ConnectionsArgs:
    """What the stores offer.

    Attributes:
        placement: Where the Secret is created.
        database_url: Of PostgreSQL.
        redis_url: Of Redis, or a seed of its cluster.
        redis_nodes: Every node of it; see `RedisEndpoint`.
        digest_key: See `kit.digests.secret_digest`.
    """

    placement: Placement
    database_url: pulumi.Input[str]
    redis_url: pulumi.Input[str]
    redis_nodes: pulumi.Input[str] | None
    digest_key: pulumi.Input[str]


class Connections(pulumi.ComponentResource):
    """What the tiers are told of PostgreSQL and Redis.

    Produces: Secret `ado-secrets` (`database-url`, `redis-url`). A tier that reads one of them
    rolls when that one changes.
    """

    database: DatabaseEndpoint
    """For the tiers that use PostgreSQL."""
    redis: RedisEndpoint
    """For the tiers that use Redis."""

    def __init__(
        self, name: str, args: ConnectionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Connections", name, {}, opts)
        data = {"database-url": args.database_url, "redis-url": args.redis_url}
        secret = Secret(
            f"{name}-urls",
            metadata=args.placement.metadata("connections", "ado-secrets"),
            type="Opaque",
            data=base64_data(data),
            opts=pulumi.ResourceOptions(parent=self),
        )
        keys = {
            key: SecretKey(
                secret=secret.metadata.name,
                key=key,
                digest=secret_digest(args.digest_key, {key: url}),
            )
            for key, url in data.items()
        }
        self.database = DatabaseEndpoint(url=keys["database-url"])
        self.redis = RedisEndpoint(url=keys["redis-url"], nodes=args.redis_nodes)
        self.register_outputs({"secret": secret.metadata.name})
