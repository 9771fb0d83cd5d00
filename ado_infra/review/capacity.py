"""What a stack asks of its cluster, in total: at the fewest pods it may have, and at the most.

Jobs are left out: they run beside the rest for minutes. Limits that are not given count as none,
which `policies.resources` names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ado_infra.kit.quantities import amount
from ado_infra.review.pods import LONG_RUNNING, Bounds, Manifest, bounds, containers, template

_QUANTITY: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?(?:m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?")
"""Bounded: a branch may write whatever it likes, and the sum is still a number to show."""
_GIBI: Final = Decimal(1024) ** 3
_BYTES: Final = ("memory", "storage")
ROWS: Final = {
    "CPU requests": ("requests", "cpu"),
    "CPU limits": ("limits", "cpu"),
    "memory requests": ("requests", "memory"),
    "memory limits": ("limits", "memory"),
    "volumes": ("claims", "storage"),
}
"""What a reader is told → where it is from."""


@dataclass(frozen=True)
class Amount:
    """Something at the fewest pods, and at the most."""

    minimum: Decimal = Decimal(0)
    maximum: Decimal = Decimal(0)

    def plus(self, each: Decimal, pods: Bounds) -> Amount:
        """With so much more for each pod."""
        return Amount(self.minimum + each * pods.minimum, self.maximum + each * pods.maximum)


def total(manifests: Sequence[Manifest]) -> dict[str, Amount]:
    """Each of `ROWS` → how much of it."""
    pods = bounds(manifests)
    found = dict.fromkeys(ROWS, Amount())
    for each in manifests:
        if each["kind"] in LONG_RUNNING:
            number = pods[f"{each['kind']}/{each['metadata']['name']}"]
            for row, (side, resource) in ROWS.items():
                found[row] = found[row].plus(_of_pod(each, side, resource), number)
    return found


def quantity(text: Any) -> Decimal:  # noqa: ANN401 - any of JSON's
    """A quantity of Kubernetes in its base unit; 0 of what is none."""
    seen = _QUANTITY.fullmatch(str(text))
    return amount(seen[0]) if seen else Decimal(0)


def written(row: str, amount: Decimal) -> str:
    """An amount with its unit: `1.5`, `12 GiB`."""
    if ROWS[row][1] not in _BYTES:
        return _short(amount)
    return f"{_short(amount / _GIBI)} GiB"


def _of_pod(manifest: Manifest, side: str, resource: str) -> Decimal:
    if side == "claims":
        templates = manifest["spec"].get("volumeClaimTemplates") or ()
        return sum(
            (_given(each.get("spec"), "requests", resource) for each in templates), Decimal(0)
        )
    spec: Manifest = template(manifest).get("spec") or {}
    first: set[str] = {
        each["name"]
        for each in spec.get("initContainers") or ()
        if each.get("restartPolicy") != "Always"
    }
    each_needs = [(each.get("name"), _given(each, side, resource)) for each in containers(manifest)]
    together = sum((amount for name, amount in each_needs if name not in first), Decimal(0))
    # What runs first runs alone, so a pod needs the greater of both.
    return max([together, *(amount for name, amount in each_needs if name in first)])


def _given(owner: Any, side: str, resource: str) -> Decimal:  # noqa: ANN401 - any of JSON's
    resources = (owner or {}).get("resources") or {}
    given = resources.get(side) or {}
    return quantity(given.get(resource)) if isinstance(given, Mapping) else Decimal(0)


def _short(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.001')).normalize():f}"
