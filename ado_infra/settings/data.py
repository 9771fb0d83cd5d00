"""The rooms of the data tier."""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from ado_infra.kit.spec import AntiAffinity, ImageVersion, Resources, Spec, Volume
from ado_infra.kit.values import (
    BucketName,
    CronSchedule,
    HostAndPort,
    HttpUrl,
    Memory,
    ObjectPrefix,
)


@unique
class Mode(StrEnum):
    """Whether the platform runs a store itself, or is given the URL of one."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class StoreSettings(Spec):
    """What PostgreSQL and Redis have in common."""

    mode: Mode = Mode.INTERNAL
    image: ImageVersion
    resources: Resources
    anti_affinity: AntiAffinity = AntiAffinity.REQUIRED

    SPREADS: ClassVar[bool] = True
    """Whether production demands that no two pods share a host."""
    MAJOR: ClassVar[int]
    """The major version whose data and options the store is made for."""

    @model_validator(mode="after")
    def _is_read(self) -> Self:
        given = self.model_fields_set - {"mode", "max_connections"}
        idle = given - {"nodes"} if self.mode is Mode.EXTERNAL else given & {"nodes"}
        if idle:
            fields = type(self).model_fields
            keys = ", ".join(sorted(fields[name].alias or name for name in idle))
            raise ValueError(f"with mode {self.mode} nobody reads {keys}; remove what is not read")
        return self

    @model_validator(mode="after")
    def _is_of_the_major_version(self) -> Self:
        tag = self.image.tag
        if tag and (not re.match(rf"{self.MAJOR}(\D|$)", tag) or "alpine" in tag):
            raise ValueError(
                f"image.tag {tag} is none of version {self.MAJOR} on Debian: another major version "
                "needs its data converted, and Alpine has another user; "
                f"choose a tag such as {type(self).model_fields['image'].default.tag}"
            )
        return self


class PostgresVolume(Volume):
    """The volume of each PostgreSQL."""

    size: Memory = "20Gi"


class BackupSettings(Spec):
    """When PostgreSQL is dumped, and where the dumps go."""

    bucket: BucketName
    """Of the stack's object storage; it must exist."""
    prefix: ObjectPrefix = "postgresql"
    schedule: CronSchedule = "0 3 * * *"
    retention: Annotated[int, Field(ge=1, le=1000)] = 7
    """The number of backups that are kept: days would delete the last one when no new one comes."""
    volume: Memory = "10Gi"
    """The most that a dump may take."""


class PostgresSettings(StoreSettings):
    """PostgreSQL: a primary and a streaming replica."""

    REPLICAS: ClassVar[int] = 2
    MAJOR: ClassVar[int] = 17
    image: ImageVersion = ImageVersion(tag="17.12-trixie")
    resources: Resources = Resources.of(("500m", "1Gi"), ("2", "4Gi"))
    volume: PostgresVolume = PostgresVolume()
    max_connections: Annotated[int, Field(ge=20, le=10_000)] = 400
    backup: BackupSettings | None = None


@unique
class AppendFsync(StrEnum):
    """When Redis has its log of writes put to disk: once a second, or before it answers."""

    EVERYSEC = "everysec"
    ALWAYS = "always"


class RedisVolume(Volume):
    """The volume of each Redis node."""

    size: Memory = "5Gi"


class RedisSettings(StoreSettings):
    """Redis: a cluster of three masters, with or without a replica of each."""

    MASTERS: ClassVar[int] = 3
    """The least that can agree on a failover; part of how the store works and no setting."""
    MAJOR: ClassVar[int] = 8
    image: ImageVersion = ImageVersion(tag="8.0.5-bookworm")
    resources: Resources = Resources.of(("250m", "512Mi"), ("1", "1Gi"))
    volume: RedisVolume = RedisVolume()
    appendfsync: AppendFsync = AppendFsync.ALWAYS
    replicas_per_master: Annotated[int, Field(ge=0, le=1)] = 0
    nodes: tuple[HostAndPort, ...] = ()
    """Of an external cluster, for clients that know clusters."""

    @property
    def pods(self) -> int:
        """The number of pods."""
        return self.MASTERS * (1 + self.replicas_per_master)


class Buckets(Spec):
    """The buckets that the platform writes to; they must exist."""

    checkpoints: BucketName = "ado-checkpoints"
    artifacts: BucketName = "ado-artifacts"


class ObjectStorageSettings(Spec):
    """An S3-compatible service outside the platform."""

    endpoint: HttpUrl
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = (
        "us-east-1"
    )
    buckets: Buckets = Buckets()
