"""The section of the namespace: its name, and what may be asked for in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from ado_infra.kit.quantities import amount
from ado_infra.kit.schema_rules import DNS_NAME, RESOURCE_NAME, SchemaRules
from ado_infra.kit.spec import Spec
from ado_infra.kit.values import NamespaceName

_COMPUTED: Final = "cpu|memory|ephemeral-storage"
_QUANTITY: Final = r"^[0-9]+(?:\.[0-9]+)?(?:[KMGTPE]i|[numkMGTPE])?$"
_COUNTED: Final = (
    "pods|services|services\\.loadbalancers|services\\.nodeports|configmaps|secrets"
    "|persistentvolumeclaims|replicationcontrollers|resourcequotas"
)

QuotaName = Annotated[
    str,
    StringConstraints(
        pattern=rf"^(?:{_COUNTED}|{_COMPUTED}|(?:requests|limits)\.(?:{_COMPUTED})"
        rf"|requests\.storage|requests\.{RESOURCE_NAME}|count/{DNS_NAME}"
        rf"|{DNS_NAME}\.storageclass\.storage\.k8s\.io/(?:requests\.storage|persistentvolumeclaims))$"
    ),
]
"""What a ResourceQuota limits, by Kubernetes' names: `requests.cpu`, `pods`, `count/jobs.batch`."""
LimitedName = Annotated[str, StringConstraints(pattern=rf"^(?:{_COMPUTED}|{RESOURCE_NAME})$")]
"""What a LimitRange limits: `cpu`, `memory`, `ephemeral-storage`, an extended resource."""


def _number_as_text(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _quantity(text: str) -> str:
    amount(text)
    return text


Quantity = Annotated[
    str,
    BeforeValidator(_number_as_text),
    StringConstraints(pattern=_QUANTITY, max_length=30),
    AfterValidator(_quantity),
    SchemaRules(
        {
            "title": "quantity such as 20, 500m or 64Gi",
            "type": ["string", "number"],
            "pattern": _QUANTITY,
            "minimum": 0,
        }
    ),
]
"""An amount of anything, such as `20`, `500m` or `64Gi`; none is an amount, too."""


def _require_order(sides: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    """`sides`: what is said of each resource, from the least to the most."""
    for name in sorted({name for _, given in sides for name in given}):
        said = [(side, given[name]) for side, given in sides if name in given]
        for (lower, low), (upper, high) in pairwise(said):
            if amount(low) > amount(high):
                raise ValueError(
                    f"{lower}.{name} {low} exceeds {upper}.{name} {high}; lower it, or raise that"
                )


def _counted_whole(quota: dict[str, str]) -> dict[str, str]:
    for name, most in quota.items():
        if not name.endswith(("cpu", "memory", "storage")) and amount(most) % 1:
            raise ValueError(f"has {name}: {most}, which is counted; give a whole number")
    return quota


class _Limits(Spec):
    """Amounts of which none is more than the next."""

    ORDER: ClassVar[tuple[str, ...]] = ("min", "max")
    """Its fields, from the least to the most."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        _require_order([(to_camel(field), getattr(self, field)) for field in self.ORDER])
        return self


class PodLimits(_Limits):
    """What one pod may ask for, all of its containers together."""

    min: dict[LimitedName, Quantity] = {}  # noqa: RUF012 - pydantic copies it
    """The least that each has to ask for."""
    max: dict[LimitedName, Quantity] = {}  # noqa: RUF012 - pydantic copies it
    """The most that each may have."""


class ContainerLimits(PodLimits):
    """What one container may ask for, and what it has that says nothing."""

    ORDER: ClassVar[tuple[str, ...]] = ("min", "default_request", "default", "max")

    default_request: dict[LimitedName, Quantity] = {}  # noqa: RUF012 - pydantic copies it
    """What a container requests that says nothing; the platform's own all say something."""
    default: dict[LimitedName, Quantity] = {}  # noqa: RUF012 - pydantic copies it
    """What a container is limited to that says nothing."""


class ClaimLimits(_Limits):
    """How large one claim may be."""

    min: dict[Literal["storage"], Quantity] = {}  # noqa: RUF012 - pydantic copies it
    """The least, as `storage: 1Gi`."""
    max: dict[Literal["storage"], Quantity] = {}  # noqa: RUF012 - pydantic copies it
    """The most, as `storage: 200Gi`."""


class LimitRangeSettings(Spec):
    """What each container, pod or claim may ask for."""

    container: ContainerLimits = ContainerLimits()
    """Of each container."""
    pod: PodLimits = PodLimits()
    """Of each pod, all of its containers together."""
    persistent_volume_claim: ClaimLimits = ClaimLimits()
    """Of each claim."""


class NamespaceSettings(Spec):
    """The namespace that everything is in."""

    name: NamespaceName = "ado-system"
    """Name of the Namespace; fixed from the first `up` on."""
    create: bool = True
    """Whether the platform makes it; `false` where somebody else keeps it; it must exist then.

    Fixed from the first `up` on: turned to `false` it deletes the Namespace with all in it.
    """
    pod_security: bool = True
    """Whether it is labelled for Pod Security `restricted`; `false` leaves that to the cluster."""
    resource_quota: Annotated[dict[QuotaName, Quantity], AfterValidator(_counted_whole)] = {}  # noqa: RUF012 - pydantic copies it
    """The most that all in it may ask for, such as `requests.cpu: 40`; without one no quota."""
    limit_range: LimitRangeSettings = LimitRangeSettings()
    """What each container, pod or claim in it may ask for; no limits where nothing is said."""


def exceeded(quota: Mapping[str, str], demand: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Name → how much is asked for, of whatever the quota does not allow.

    `demand`: what is asked for, by the quota's names; of what it does not name nothing is known.
    """
    # Kubernetes takes the short names for requests.
    asked = {**demand, **{n: demand.get(f"requests.{n}", Decimal(0)) for n in _COMPUTED.split("|")}}
    return {n: asked[n] for n, most in quota.items() if n in asked and asked[n] > amount(most)}
