"""The data tier as a whole: what keeps data, and what the applications are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pulumi

from ado_infra.data import postgres
from ado_infra.data.endpoints import (
    DatabaseEndpoint,
    ExpandedUrl,
    ObjectStorageEndpoint,
    RedisEndpoint,
)
from ado_infra.data.object_storage import ObjectStorage, ObjectStorageArgs
from ado_infra.data.postgres import (
    Postgres,
    PostgresArgs,
    PostgresBackup,
    PostgresBackupArgs,
)
from ado_infra.data.redis import Redis, RedisArgs
from ado_infra.kit import volumes
from ado_infra.kit.published import publish_secret
from ado_infra.kit.sources import SecretKey
from ado_infra.secrets import ConfigSecret, GivenSecret, StackSecrets, one_line, password
from ado_infra.settings import Mode, ObjectStorageSettings, PostgresSettings, RedisSettings
from ado_infra.site import Site

Url: TypeAlias = pulumi.Input[str] | SecretKey | ExpandedUrl
"""A URL with its password: as a value, in a Secret of others, or around a password in one."""


@dataclass(frozen=True, kw_only=True)
class StoresArgs:
    """What the data tier is made from.

    Raises pulumi.RunError when a store is external and its URL is not given.

    Attributes:
        site: Where it is installed.
        postgres: Settings of PostgreSQL.
        redis: Settings of Redis.
        object_storage: Endpoint, region and buckets.
        secrets: Passwords and keys, as far as the stack gives them.
    """

    site: Site
    postgres: PostgresSettings
    redis: RedisSettings
    object_storage: ObjectStorageSettings
    secrets: StackSecrets

    def __post_init__(self) -> None:
        require_urls(self.postgres, self.redis, self.secrets)


class Stores(pulumi.ComponentResource):
    """PostgreSQL, Redis and the way to object storage.

    Produces: Postgres, Redis, ObjectStorage, Connections, PostgresBackup where the settings ask for
    it, and a RandomPassword for each of the three passwords (a given one takes its place). Of a
    store whose mode is external nothing but its URL. Raises pulumi.RunError when a store of its own
    has other volumes than the settings say.
    """

    postgres: Postgres | None = None
    """None where it is outside the platform."""
    postgres_backup: PostgresBackup | None = None
    redis_cluster: Redis | None = None
    """None where it is outside the platform."""
    connections: Connections
    database: DatabaseEndpoint
    """For the tiers that use PostgreSQL."""
    redis: RedisEndpoint
    """For the tiers that use Redis."""
    object_storage: ObjectStorageEndpoint
    """For the tiers that use object storage."""
    database_settings: Mapping[str, str]
    """Which database that is, without credentials."""

    def __init__(
        self, name: str, args: StoresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Stores", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.object_storage = ObjectStorage(
            f"{name}-object-storage",
            ObjectStorageArgs(
                site=args.site,
                settings=args.object_storage,
                credentials=args.secrets.object_storage,
            ),
            child,
        ).endpoint
        problems: list[pulumi.Output[str]] = []
        database_url, self.database_settings = self._database(name, args, problems.append)
        redis_url, redis_nodes = self._redis(name, args, problems.append)
        volumes.refuse(*problems)
        self.connections = Connections(
            f"{name}-connections",
            ConnectionsArgs(
                site=args.site,
                database_url=database_url,
                redis_url=redis_url,
                redis_nodes=redis_nodes,
            ),
            child,
        )
        self.database, self.redis = self.connections.database, self.connections.redis
        self.register_outputs({"objectStorage": args.object_storage.endpoint})

    def _database(
        self, name: str, args: StoresArgs, refuse: volumes.Refuse
    ) -> tuple[Url, Mapping[str, str]]:
        """URL of the database, and which one it is."""
        if args.postgres.mode is Mode.EXTERNAL:
            # Which one is in the URL alone, which is secret.
            url = _given(args.secrets.database_url, ConfigSecret.DATABASE_URL)
            return url, {"mode": Mode.EXTERNAL}
        kept = pulumi.ResourceOptions(parent=self, protect=args.site.protect)
        self.postgres = Postgres(
            f"{name}-postgres",
            PostgresArgs(
                site=args.site,
                settings=args.postgres,
                password=password(
                    f"{name}-database-password", args.secrets.database_password, kept
                ),
                replication_password=password(
                    f"{name}-replication-password", args.secrets.replication_password, kept
                ),
                volume_setting="ado:postgres.volume",
                refuse_volume=refuse,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        if backup := args.postgres.backup:
            self.postgres_backup = PostgresBackup(
                f"{name}-postgres-backup",
                PostgresBackupArgs(
                    site=args.site,
                    settings=backup,
                    image=args.postgres.image,
                    passwords=self.postgres.passwords,
                    object_storage=self.object_storage,
                    provider=args.object_storage.provider,
                    credentials=args.secrets.backup,
                ),
                pulumi.ResourceOptions(parent=self),
            )
        return self.postgres.expanded_url or self.postgres.url, postgres.IDENTITY

    def _redis(
        self, name: str, args: StoresArgs, refuse: volumes.Refuse
    ) -> tuple[Url, pulumi.Input[str] | None]:
        """URL of Redis, and every node of its cluster."""
        if args.redis.mode is Mode.EXTERNAL:
            url = _given(args.secrets.redis_url, ConfigSecret.REDIS_URL)
            return url, ",".join(args.redis.nodes) or None
        kept = pulumi.ResourceOptions(parent=self, protect=args.site.protect)
        self.redis_cluster = Redis(
            f"{name}-redis",
            RedisArgs(
                site=args.site,
                settings=args.redis,
                password=password(f"{name}-redis-password", args.secrets.redis_password, kept),
                volume_setting="ado:redis.volume",
                refuse_volume=refuse,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        url = self.redis_cluster.expanded_url or self.redis_cluster.url
        return url, self.redis_cluster.nodes


def require_urls(postgres: PostgresSettings, redis: RedisSettings, secrets: StackSecrets) -> None:
    """Raises pulumi.RunError when a store is external and its URL is not given."""
    if postgres.mode is Mode.EXTERNAL:
        _given(secrets.database_url, ConfigSecret.DATABASE_URL)
    if redis.mode is Mode.EXTERNAL:
        _given(secrets.redis_url, ConfigSecret.REDIS_URL)


def _given(url: GivenSecret | None, key: ConfigSecret) -> GivenSecret:
    if url is None:
        raise pulumi.RunError(f"ado:{key} is missing; an external store is known by it alone")
    return url if isinstance(url, SecretKey) else one_line(key, url)


@dataclass(frozen=True, kw_only=True)
class ConnectionsArgs:
    """What the stores offer.

    Attributes:
        site: Where the Secret is created.
        database_url: Of PostgreSQL.
        redis_url: Of Redis, or a seed of its cluster.
        redis_nodes: Every node of it; see `RedisEndpoint`.
    """

    site: Site
    database_url: Url
    redis_url: Url
    redis_nodes: pulumi.Input[str] | None


class Connections(pulumi.ComponentResource):
    """What the tiers are told of PostgreSQL and Redis.

    Produces: Secret `ado-secrets` (`database-url`, `redis-url`), without those whose password is in
    a Secret of others. A tier that reads one of them rolls when that one changes.
    """

    database: DatabaseEndpoint
    """For the tiers that use PostgreSQL."""
    redis: RedisEndpoint
    """For the tiers that use Redis."""
    secret: pulumi.Output[str] | None = None
    """Name of the Secret; None where there is nothing to put into it."""

    def __init__(
        self, name: str, args: ConnectionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Connections", name, {}, opts)
        urls = self._readable(name, args)
        self.database = DatabaseEndpoint(url=urls["database-url"])
        self.redis = RedisEndpoint(url=urls["redis-url"], nodes=args.redis_nodes)
        self.register_outputs({"secret": self.secret})

    def _readable(self, name: str, args: ConnectionsArgs) -> Mapping[str, SecretKey | ExpandedUrl]:
        """Where each URL is read from: values are put into the Secret."""
        values: dict[str, pulumi.Input[str]] = {}
        elsewhere: dict[str, SecretKey | ExpandedUrl] = {}
        for key, url in (("database-url", args.database_url), ("redis-url", args.redis_url)):
            if isinstance(url, SecretKey | ExpandedUrl):
                elsewhere[key] = url
            else:
                values[key] = url
        if not values:
            return elsewhere
        secret = publish_secret(
            f"{name}-urls",
            args.site.metadata("connections", "ado-secrets"),
            values,
            pulumi.ResourceOptions(parent=self),
            digest_key=args.site.digest_key,
        )
        self.secret = secret.name
        return {**elsewhere, **{key: secret.key(key) for key in values}}
