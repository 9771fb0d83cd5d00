"""Who talks to whom in the data tier, and where its stores answer the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ado_infra.data.postgres import backup, postgres, record
from ado_infra.data.redis import redis
from ado_infra.kit.connections import Connection, Destination
from ado_infra.settings import Mode, Settings
from ado_infra.site import Site
from ado_infra.surroundings import Surroundings


@dataclass(frozen=True, kw_only=True)
class StoresOnNetwork:
    """Where the stores answer, whoever runs them.

    Attributes:
        database: PostgreSQL.
        redis: Redis.
        object_storage: The S3-compatible service.
    """

    database: tuple[Destination, ...]
    redis: tuple[Destination, ...]
    object_storage: tuple[Destination, ...]


def stores(site: Site, settings: Settings, around: Surroundings) -> StoresOnNetwork:
    """Those of a stack."""
    own_database = settings.postgres.mode is Mode.INTERNAL
    own_redis = settings.redis.mode is Mode.INTERNAL
    return StoresOnNetwork(
        database=(postgres.answers(site),) if own_database else around.database,
        redis=(redis.answers(site),) if own_redis else around.redis,
        object_storage=around.object_storage,
    )


def connections(site: Site, settings: Settings, around: Surroundings) -> Iterator[Connection]:
    """Those of the stores that the platform runs itself."""
    if settings.postgres.mode is Mode.INTERNAL:
        database = postgres.answers(site)
        yield from postgres.connections(site)
        yield from record.connections(site, database, around.api_server)
        if settings.postgres.backup:
            yield from backup.connections(site, database, around.object_storage)
    if settings.redis.mode is Mode.INTERNAL:
        yield from redis.connections(site)
