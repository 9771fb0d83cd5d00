"""What pods ask of their namespace, as a ResourceQuota counts it.

Rules: kubernetes.io, "Resource Quotas", and of init containers "Resource sharing within
containers": what runs first runs beside the sidecars that started before it, and a pod needs the
greatest of these sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias, cast

from pulumi_kubernetes.core.v1 import ContainerArgs, PodSpecArgs, PodTemplateSpecArgs

from ado_infra.kit.quantities import amount

Demand: TypeAlias = Mapping[str, Decimal]
"""The quota's name of a resource → how much of it, in its base unit."""


def of_pods(template: PodTemplateSpecArgs, pods: int) -> Demand:
    """What so many pods of one template ask for."""
    spec = cast("PodSpecArgs", template.spec)
    beside: Demand = {}
    moments: list[Demand] = []
    for container in cast("list[ContainerArgs]", spec.init_containers or ()):
        together = _each(sum, beside, _of(container))
        if container.restart_policy == "Always":
            beside = together
        moments.append(together)
    running = [_of(container) for container in cast("list[ContainerArgs]", spec.containers)]
    greatest = _each(max, *moments, _each(sum, beside, *running))
    return {"pods": Decimal(pods)} | {name: number * pods for name, number in greatest.items()}


def of_claims(size: str, pods: int) -> Demand:
    """What the claims of so many pods ask for, one of each."""
    return {"requests.storage": amount(size) * pods, "persistentvolumeclaims": Decimal(pods)}


def total(demands: Iterable[Demand]) -> Demand:
    """All of it."""
    return _each(sum, *demands)


def _of(container: ContainerArgs) -> Demand:
    # Made by `pods.resource_requirements`, and so without an Output.
    resources = cast("Any", container.resources)
    return {
        f"{side}.{name}": amount(quantity)
        for side in ("requests", "limits")
        for name, quantity in getattr(resources, side).items()
    }


def _each(combine: Callable[[Iterable[Decimal]], Decimal | int], *demands: Demand) -> Demand:
    """Of each resource the sum, or the greatest."""
    names = {name: None for demand in demands for name in demand}
    zero = Decimal(0)
    return {name: Decimal(combine([d.get(name, zero) for d in demands])) for name in names}
