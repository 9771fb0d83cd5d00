"""Everything a stack says, by room, and the rules between rooms."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum, unique
from typing import Annotated, Final, Self

from pydantic import AfterValidator, model_validator

from ado_infra.settings.application import ApplicationConfig
from ado_infra.settings.common import Room
from ado_infra.settings.data import (
    Mode,
    ObjectStorageSettings,
    PostgresSettings,
    RedisSettings,
)
from ado_infra.settings.tiers import (
    DashboardSettings,
    EdgeSettings,
    GatewaySettings,
    MigrationSettings,
    OrchestratorSettings,
    PoolName,
    WorkerPoolSettings,
)
from ado_infra.values import DnsName, LabelKey, LabelValue, Registry

RESERVED_CONNECTIONS: Final = 10
"""Of PostgreSQL's, for superusers (3 by its default), probes and migrations."""


@unique
class Profile(StrEnum):
    """How much a stack must guarantee before it may be deployed."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ImageSettings(Room):
    """Where images are pulled from."""

    registry: Registry = "ado"
    """Prefix of the platform's own images."""
    mirror: Registry = "docker.io/library"
    """Prefix of the official images `postgres` and `redis`."""
    kubernetes: Registry = "registry.k8s.io"
    """Prefix of the Kubernetes project's image `kubectl`."""
    rclone: Registry = "docker.io/rclone"
    """Prefix of rclone's image `rclone`."""
    pull_secret: DnsName | None = None
    """Name of an existing image pull Secret in the platform's namespace."""


class MonitoringSettings(Room):
    """How a Prometheus finds the platform."""

    service_monitor: bool = True
    """Whether there is a ServiceMonitor; its CRD must exist then."""
    labels: dict[LabelKey, LabelValue] = {}  # noqa: RUF012 - pydantic copies it
    """By which the cluster's Prometheus selects ServiceMonitors."""


def _some(pools: dict[PoolName, WorkerPoolSettings]) -> dict[PoolName, WorkerPoolSettings]:
    if not pools:
        raise ValueError("names no pool, and without workers no task is ever done; add one")
    return pools


class Settings(Room):
    """Everything a stack says, by room."""

    profile: Profile = Profile.DEVELOPMENT
    protect_data: bool = True
    """Whether Namespace, data stores and generated secrets refuse to be destroyed."""
    images: ImageSettings = ImageSettings()
    edge: EdgeSettings
    gateway: GatewaySettings
    dashboard: DashboardSettings
    orchestrator: OrchestratorSettings
    worker_pools: Annotated[dict[PoolName, WorkerPoolSettings], AfterValidator(_some)]
    postgres: PostgresSettings = PostgresSettings()
    redis: RedisSettings = RedisSettings()
    object_storage: ObjectStorageSettings
    migrations: MigrationSettings | None = None
    monitoring: MonitoringSettings = MonitoringSettings()
    config: ApplicationConfig = ApplicationConfig()

    @property
    def gaps(self) -> tuple[str, ...]:
        """What a production stack does without and may regret, each with how to have it."""
        return tuple(self._gaps())

    def _gaps(self) -> Iterator[str]:
        if self.profile is not Profile.PRODUCTION:
            return
        if self.postgres.mode is Mode.INTERNAL and self.postgres.backup is None:
            yield (
                "PostgreSQL has no backup: whoever drops a table, or loses both volumes, loses all "
                "of it\n    pulumi config set --path 'ado:postgres.backup.bucket' NAME"
            )
        if self.redis.mode is Mode.INTERNAL and not self.redis.replicas_per_master:
            yield (
                "Redis has no replicas: while a node is away so is its share of the keys, and with "
                "its volume that is lost\n"
                "    pulumi config set --path 'ado:redis.replicasPerMaster' 1"
            )

    @model_validator(mode="after")
    def _enough_connections(self) -> Self:
        gateways, orchestrators = self.gateway.scaling.max_replicas, self.orchestrator.replicas
        wanted = gateways * self.gateway.pool_size + orchestrators * self.orchestrator.pool_size
        if wanted + RESERVED_CONNECTIONS > self.postgres.max_connections:
            raise ValueError(
                f"ado:postgres.maxConnections = {self.postgres.max_connections}: too low for "
                f"{gateways} gateways x poolSize {self.gateway.pool_size} + "
                f"{orchestrators} orchestrators x poolSize {self.orchestrator.pool_size} + "
                f"{RESERVED_CONNECTIONS} reserved = {wanted + RESERVED_CONNECTIONS}; "
                "raise it, or lower a poolSize\n"
                f"    pulumi config set --path 'ado:postgres.maxConnections' "
                f"{wanted + RESERVED_CONNECTIONS}"
            )
        return self
