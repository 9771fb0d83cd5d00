"""What may be asked for in the platform's namespace: ResourceQuota and LimitRange."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

import pulumi
from pulumi_kubernetes.core.v1 import (
    LimitRange,
    LimitRangeItemArgs,
    LimitRangeSpecArgs,
    ResourceQuota,
    ResourceQuotaSpecArgs,
)

from ado_infra.kit.demand import Demand
from ado_infra.kit.quantities import in_bytes
from ado_infra.settings import NamespaceSettings
from ado_infra.settings.namespace import exceeded
from ado_infra.site import APPLICATION, Site

_COMPONENT = "namespace"


def limit_namespace(
    name: str, site: Site, settings: NamespaceSettings, opts: pulumi.ResourceOptions
) -> None:
    """Makes ResourceQuota and LimitRange `ado`, each where the settings say something for it."""
    if settings.resource_quota:
        ResourceQuota(
            f"{name}-quota",
            metadata=site.metadata(_COMPONENT, APPLICATION),
            spec=ResourceQuotaSpecArgs(hard=settings.resource_quota),
            opts=opts,
        )
    ranges = settings.limit_range
    kinds = {
        "Container": ranges.container,
        "Pod": ranges.pod,
        "PersistentVolumeClaim": ranges.persistent_volume_claim,
    }
    if said := {kind: each for kind, each in kinds.items() if each != type(each)()}:
        LimitRange(
            f"{name}-limits",
            metadata=site.metadata(_COMPONENT, APPLICATION),
            spec=LimitRangeSpecArgs(
                limits=[
                    LimitRangeItemArgs(
                        type=kind, **{field: given for field, given in each if given}
                    )
                    for kind, each in said.items()
                ]
            ),
            opts=opts,
        )


def shortages(settings: NamespaceSettings, demand: Demand) -> Iterator[str]:
    """What the quota does not allow of what tiers and stores may ask for, with what to do."""
    for name, asked in exceeded(settings.resource_quota, demand).items():
        key, enough = f"ado:namespace.resourceQuota.{name}", _written(name, asked)
        yield (
            f"{key} = {settings.resource_quota[name]}: tiers and stores ask for {enough} at their "
            "most pods and while they roll, Jobs besides; pods beyond the quota are not made, and "
            "a rollout waits for them. Raise it, or lower replicas or resources\n"
            f"    pulumi config set --path 'ado:namespace.resourceQuota[\"{name}\"]' {enough}"
        )


def _written(name: str, amount: Decimal) -> str:
    """An amount, rounded up, as one writes it: bytes in units that are easy to read."""
    if name.endswith(("memory", "storage")):
        mebibytes = (amount / 2**20).to_integral_value(ROUND_CEILING)
        return in_bytes(int(mebibytes) * 2**20)
    return f"{amount.normalize():f}"
