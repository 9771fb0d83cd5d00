"""The values that every part speaks: resources, scaling, probes, disruptions, images, volumes."""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from ado_infra.kit.quantities import millicores, size_in_bytes
from ado_infra.kit.schema_rules import RESOURCE_NAME, exactly_one_of, never
from ado_infra.kit.values import (
    Cpu,
    HttpPath,
    IntOrPercent,
    Memory,
    Percentage,
    Registry,
    ReplicaCount,
    StorageClassName,
    share_of,
)


class Spec(BaseModel):
    """Base of every value and setting: frozen, strict, unknown keys refused."""

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


class ImageVersion(Spec):
    """Which version of an image runs: exactly one of tag and digest, never `latest`."""

    model_config = ConfigDict(json_schema_extra=exactly_one_of("tag", "digest"))

    tag: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"),
            never("latest"),
        ]
        | None
    ) = None
    """Tag of the image, such as `1.4.2`."""
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Digest of the image: `sha256:` and 64 hex digits."""
    repository: Registry | None = None
    """Where it is pulled from, in place of what `ado:images` and its own name make."""

    @model_validator(mode="after")
    def _names_one_version(self) -> Self:
        if (self.tag is None) == (self.digest is None):
            raise ValueError("needs exactly one of tag and digest")
        if self.tag == "latest":
            raise ValueError("the tag 'latest' names no version; give the one that was tested")
        return self

    def reference(self, repository: str) -> str:
        """What to pull, for example `ado/api-gateway:1.4.2`; `repository` where it names none."""
        place = self.repository or repository
        return f"{place}:{self.tag}" if self.tag else f"{place}@{self.digest}"

    @property
    def label(self) -> str:
        """The version as a label value: the tag, or the first 12 hex digits of the digest."""
        text = self.tag or str(self.digest).removeprefix("sha256:")[:12]
        return text[:63].strip("._-")


def _extended_resource(name: str) -> str:
    if not re.fullmatch(RESOURCE_NAME, name):
        raise PydanticCustomError("extra_forbidden", "is unknown")
    return name


class Amounts(Spec):
    """CPU and memory of one container, and extended resources such as `nvidia.com/gpu: 1`."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "additionalProperties": False,
            "patternProperties": {f"^{RESOURCE_NAME}$": {"type": "integer", "minimum": 1}},
        },
    )
    __pydantic_extra__: dict[  # pyright: ignore[reportIncompatibleVariableOverride]
        Annotated[str, AfterValidator(_extended_resource)], Annotated[int, Field(ge=1)]
    ] = Field(init=False)

    cpu: Cpu
    """Cores such as `2`, or thousandths such as `500m`."""
    memory: Memory
    """Bytes, such as `512Mi` or `2Gi`."""
    ephemeral_storage: Annotated[Memory | None, Field(alias="ephemeral-storage")] = None
    """Bytes on the node's disk; what the pod's directories may hold when not given."""

    @property
    def extended(self) -> dict[str, int]:
        """Number of each extended resource, by its name."""
        return self.model_extra or {}


class Resources(Spec):
    """What a container is promised (requests) and the most it may use (limits)."""

    requests: Amounts
    """What every container is promised; of extended resources what their limit says."""
    limits: Amounts
    """The most that it may use; extended resources stand beside it, as `nvidia.com/gpu: 1`."""

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        measures = {
            "cpu": millicores,
            "memory": size_in_bytes,
            "ephemeral_storage": size_in_bytes,
        }
        for field, measure in measures.items():
            request, limit = getattr(self.requests, field), getattr(self.limits, field)
            unit = field.replace("_", "-")
            if request and limit and measure(request) > measure(limit):
                raise ValueError(
                    f"requests.{unit} {request} exceeds limits.{unit} {limit}; "
                    "a container is never promised more than it may use"
                )
        for name, number in self.requests.extended.items():
            if number != self.limits.extended.get(name):
                raise ValueError(
                    f"requests.{name} {number} differs from limits.{name} "
                    f"{self.limits.extended.get(name, 'not given')}; whole devices are not shared: "
                    "give the limit alone, or the same number"
                )
        return self

    @classmethod
    def of(cls, requests: tuple[str, str], limits: tuple[str, str]) -> Self:
        """Resources from (cpu, memory) pairs."""
        return cls(
            requests=Amounts(cpu=requests[0], memory=requests[1]),
            limits=Amounts(cpu=limits[0], memory=limits[1]),
        )


class Scaling(Spec):
    """Between which numbers of pods an autoscaler moves, and at which CPU load."""

    min_replicas: ReplicaCount = 2
    """Number of pods at the quietest time."""
    max_replicas: ReplicaCount = 5
    """Number of pods at the busiest time."""
    cpu_utilization: Percentage = 70
    """CPU load that the autoscaler aims at, in percent of the requested CPU."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas {self.min_replicas} exceeds maxReplicas {self.max_replicas}; "
                "raise the maximum or lower the minimum"
            )
        return self


class ScalingStep(Spec):
    """How fast an autoscaler moves in one direction.

    Bounds: those of HorizontalPodAutoscaler v2.
    """

    window: Annotated[int, Field(ge=0, le=3600)]
    """Seconds for all of which a change must have been asked for before it is made."""
    pods: Annotated[int, Field(ge=1, le=1000)]
    """The most pods by which the number changes within a `period`."""
    period: Annotated[int, Field(ge=1, le=1800)] = 60
    """Length of the period that `pods` counts for, in seconds."""


class Disruption(Spec):
    """How many pods a voluntary disruption, such as a node drain, must leave or may take."""

    model_config = ConfigDict(json_schema_extra=exactly_one_of("minAvailable", "maxUnavailable"))

    min_available: Annotated[IntOrPercent, never("100%")] | None = None
    """Pods that must be left: a number, or a percentage such as `50%`."""
    max_unavailable: Annotated[IntOrPercent, never(0, "0%", "00%")] | None = None
    """Pods that may be taken: a number, or a percentage such as `30%`."""

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


class Health(Spec):
    """Where a tier answers probes, on its first port."""

    ready: HttpPath = "/health/ready"
    """Path that answers 200 when a pod can serve."""
    live: HttpPath = "/health/live"
    """Path that answers 200 while a pod needs no restart."""


class Volume(Spec):
    """The volume of each pod; fixed once the store exists (see `kit/volumes.py`)."""

    size: Memory
    """Size of the volume in bytes, such as `20Gi`."""
    storage_class: StorageClassName | None = None
    """Name of the StorageClass; the cluster's default when not given, none where it is `""`."""
