"""The sections of PostgreSQL and Redis."""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import Annotated, ClassVar, Final, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from ado_infra.kit.pod_options import PodOptions
from ado_infra.kit.quantities import size_in_bytes
from ado_infra.kit.spec import AntiAffinity, ImageVersion, Resources, Spec, Volume
from ado_infra.kit.values import (
    BucketName,
    CronSchedule,
    HostAndPort,
    Memory,
    ObjectPrefix,
)
from ado_infra.settings.parameters import Parameters, missing_library


@unique
class Mode(StrEnum):
    """Whether the platform runs a store itself, or is given the URL of one."""

    INTERNAL = "internal"
    EXTERNAL = "external"


_READ_IN_EITHER_MODE: Final = {"mode", "max_connections"}
_READ_IN_EXTERNAL_MODE: Final = {"nodes"}
"""Fields of a store that are read in either mode, and those of an external one alone."""


def _rules_of_a_store(schema: JsonDict, store: type[StoreSettings]) -> None:
    """The two rules below, as a JSON Schema says them."""
    read = _READ_IN_EITHER_MODE | _READ_IN_EXTERNAL_MODE
    fields = store.model_fields.items()
    idle: JsonDict = {field.alias or name: False for name, field in fields if name not in read}
    official: JsonDict = {"properties": {"repository": {"type": "null"}}}
    major: JsonDict = {"properties": {"tag": {"pattern": rf"^{store.MAJOR}([^0-9]|$)"}}}
    debian: JsonDict = {"properties": {"tag": {"not": {"pattern": "alpine"}}}}
    image: JsonDict = {"allOf": [debian, {"if": official, "then": major}]}
    schema["allOf"] = [
        {
            "if": {"required": ["mode"], "properties": {"mode": {"const": Mode.EXTERNAL.value}}},
            "then": {"properties": idle},
            "else": {"properties": dict.fromkeys(sorted(_READ_IN_EXTERNAL_MODE), False)},
        },
        {"properties": {"image": image}},
    ]


class StoreSettings(Spec):
    """What PostgreSQL and Redis have in common."""

    model_config = ConfigDict(json_schema_extra=_rules_of_a_store)

    mode: Mode = Mode.INTERNAL
    """`internal`: the platform runs it; `external`: its URL is given as a secret."""
    image: ImageVersion
    """Which version of the official image runs, or of one made from it, in a Debian variant."""
    resources: Resources
    """What each pod is promised, and the most it may use."""
    anti_affinity: AntiAffinity = AntiAffinity.REQUIRED
    """`required`: never two pods of the store on a host; `preferred`: where it can be avoided."""
    pod: PodOptions = PodOptions()
    """What its pods have besides, over what `ado:pods` says of all."""

    REQUIRES_ANTI_AFFINITY: ClassVar[bool] = True
    """Whether production demands that no two pods share a host."""
    MAJOR: ClassVar[int]
    """The major version whose data and options the store is made for."""

    @model_validator(mode="after")
    def _no_unread_setting(self) -> Self:
        given, external = self.model_fields_set - _READ_IN_EITHER_MODE, _READ_IN_EXTERNAL_MODE
        idle = given - external if self.mode is Mode.EXTERNAL else given & external
        if idle:
            fields = type(self).model_fields
            keys = ", ".join(sorted(fields[name].alias or name for name in idle))
            raise ValueError(f"with mode {self.mode} nobody reads {keys}; remove what is not read")
        return self

    @model_validator(mode="after")
    def _image_of_the_major_version(self) -> Self:
        tag = self.image.tag
        of_the_major = self.image.repository or re.match(rf"{self.MAJOR}(\D|$)", tag or "")
        if tag and (not of_the_major or "alpine" in tag):
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
    """Bucket of the stack's object storage that dumps go to; it must exist."""
    prefix: ObjectPrefix = "postgresql"
    """Where in the bucket they lie; another one for each platform."""
    schedule: CronSchedule = "0 3 * * *"
    """When a dump is made: minute, hour, day, month and weekday, in UTC."""
    retention: Annotated[int, Field(ge=1, le=1000)] = 7
    """Number of backups that are kept, however old they are."""
    volume: Memory = "10Gi"
    """The most bytes that a dump may take on the node's disk, such as `10Gi`."""
    resources: Resources = Resources.of(("100m", "128Mi"), ("1", "512Mi"))
    """What the dump and the upload are promised, each, and the most they may use."""
    pod: PodOptions = PodOptions()
    """What the pods of its Jobs have besides, over what `ado:pods` says of all."""


class PostgresSettings(StoreSettings):
    """PostgreSQL: a primary and a streaming replica."""

    REPLICAS: ClassVar[int] = 2
    MAJOR: ClassVar[int] = 17
    image: ImageVersion = ImageVersion(tag="17.12-trixie")
    resources: Resources = Resources.of(("500m", "1Gi"), ("2", "4Gi"))
    volume: PostgresVolume = PostgresVolume()
    """The volume of each pod; fixed once it exists."""
    max_connections: Annotated[int, Field(ge=20, le=10_000)] = 400
    """Number of connections: at least those of all gateways and orchestrators, and 10 more."""
    parameters: Parameters = {}  # noqa: RUF012 - pydantic copies it
    """PostgreSQL's own parameters, such as `work_mem: 16MB`; those of the platform are refused."""
    backup: BackupSettings | None = None
    """When it is dumped, and where the dumps go; without it there is no backup."""

    @model_validator(mode="after")
    def _libraries_of_the_image(self) -> Self:
        if not self.image.repository and (library := missing_library(self.parameters)):
            raise ValueError(
                f"parameters.shared_preload_libraries = {library}: the official image has none of "
                "that name, and no server would start; name an image that has it in "
                "image.repository"
            )
        return self


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
    """The volume of each pod; fixed once it exists."""
    appendfsync: AppendFsync = AppendFsync.ALWAYS
    """When a write is on disk: `always`, before it is answered; `everysec`, up to 2 s later."""
    replicas_per_master: Annotated[int, Field(ge=0, le=1)] = 0
    """Number of replicas of each master; `1` gives automatic failover."""
    nodes: tuple[HostAndPort, ...] = ()
    """Addresses of an external cluster, each `host:port`, for clients that know clusters."""

    @property
    def pods(self) -> int:
        """The number of pods."""
        return self.MASTERS * (1 + self.replicas_per_master)

    @property
    def memory_for_data(self) -> int:
        """Bytes of its memory that a node may fill with data.

        The rest is for buffers, and for the copy that rewriting the log forks off.
        """
        return size_in_bytes(self.resources.limits.memory) * 6 // 10

    @property
    def volume_for_data(self) -> int:
        """Bytes of data that a node's volume has room for.

        While the log is rewritten it holds the old one, the new one, and what is written meanwhile.
        """
        return size_in_bytes(self.volume.size) // 3
