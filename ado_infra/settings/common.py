"""What rooms are made of, whatever tier they describe."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from ado_infra.values import (
    Cpu,
    HttpPath,
    IntOrPercent,
    Memory,
    Percentage,
    ReplicaCount,
    millicores,
    share_of,
    size_in_bytes,
)


class Room(BaseModel):
    """Base of every setting: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        validate_by_alias=True,
        validate_by_name=True,
        validate_default=True,
    )


@unique
class AntiAffinity(StrEnum):
    """Whether two pods of one tier may share a host."""

    PREFERRED = "preferred"
    REQUIRED = "required"


class ImageVersion(Room):
    """Which version of a tier's image runs: exactly one of tag and digest, never `latest`."""

    tag: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")] | None
    ) = None
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _names_one_version(self) -> Self:
        if (self.tag is None) == (self.digest is None):
            raise ValueError("needs exactly one of tag and digest")
        if self.tag == "latest":
            raise ValueError("the tag 'latest' names no version; give the one that was tested")
        return self

    def reference(self, repository: str) -> str:
        """What to pull, for example `ado/api-gateway:1.4.2`."""
        return f"{repository}:{self.tag}" if self.tag else f"{repository}@{self.digest}"

    @property
    def label(self) -> str:
        """The version as a label value: the tag, or the first 12 hex digits of the digest."""
        text = self.tag or str(self.digest).removeprefix("sha256:")[:12]
        return text[:63].strip("._-")


class Amounts(Room):
    """CPU and memory of one container."""

    cpu: Cpu
    memory: Memory


class Resources(Room):
    """What a container is promised (requests) and the most it may use (limits)."""

    requests: Amounts
    limits: Amounts

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        for unit, measure in (("cpu", millicores), ("memory", size_in_bytes)):
            request, limit = getattr(self.requests, unit), getattr(self.limits, unit)
            if measure(request) > measure(limit):
                raise ValueError(
                    f"requests.{unit} {request} exceeds limits.{unit} {limit}; "
                    "a container is never promised more than it may use"
                )
        return self

    @classmethod
    def of(cls, requests: tuple[str, str], limits: tuple[str, str]) -> Self:
        """Resources from (cpu, memory) pairs."""
        return cls(
            requests=Amounts(cpu=requests[0], memory=requests[1]),
            limits=Amounts(cpu=limits[0], memory=limits[1]),
        )


class Scaling(Room):
    """Between which numbers of pods an autoscaler moves, and at which CPU load.

    `cpu_utilization` is in percent of the requested CPU.
    """

    min_replicas: ReplicaCount = 2
    max_replicas: ReplicaCount = 5
    cpu_utilization: Percentage = 70

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas {self.min_replicas} exceeds maxReplicas {self.max_replicas}; "
                "raise the maximum or lower the minimum"
            )
        return self


class Disruption(Room):
    """How many pods a voluntary disruption, such as a node drain, must leave or may take."""

    min_available: IntOrPercent | None = None
    max_unavailable: IntOrPercent | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError("needs exactly one of minAvailable and maxUnavailable")
        return self

    def blocked_with(self, replicas: int) -> str | None:
        """Why no pod could ever be evicted while `replicas` run; None when one can."""
        if self.min_available is not None and share_of(self.min_available, replicas) >= replicas:
            return f"minAvailable {self.min_available} of {replicas}"
        if self.max_unavailable is not None and share_of(self.max_unavailable, replicas) == 0:
            return f"maxUnavailable {self.max_unavailable}"
        return None


class Health(Room):
    """Where a tier answers probes, on its first port."""

    ready: HttpPath = "/health/ready"
    live: HttpPath = "/health/live"


class TierSettings(Room):
    """What every application tier has in common."""

    image: ImageVersion
    resources: Resources
    health: Health = Health()
    disruption: Disruption = Disruption(max_unavailable=1)
    anti_affinity: AntiAffinity = AntiAffinity.PREFERRED

    MINIMUM: ClassVar[str]
    """The key that `minimum_replicas` comes from."""
    SPREADS: ClassVar[bool] = False
    """Whether production demands that no two pods share a host."""

    @property
    def minimum_replicas(self) -> int:
        """The number of pods that run at the quietest time."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _drains(self) -> Self:
        if blocked := self.disruption.blocked_with(self.minimum_replicas):
            raise ValueError(
                f"disruption.{blocked} would block every node drain for ever; "
                "use maxUnavailable: 1, or run more pods"
            )
        return self
