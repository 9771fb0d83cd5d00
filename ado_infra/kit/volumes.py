"""Volumes of stateful workloads: what they are made as, and that they stay so.

A claim template cannot be changed in place; replacing its StatefulSet because somebody wrote
another size would be the end of a good day. So the engine ignores such a change, and it is
refused here with the steps that really grow a volume. A program ends with its first error, so
whoever makes several workloads refuses for them together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import (
    PersistentVolumeClaimArgs,
    PersistentVolumeClaimSpecArgs,
    PersistentVolumeClaimStatusArgs,
    VolumeResourceRequirementsArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.kit.labels import Identity
from ado_infra.kit.quantities import amount
from ado_infra.kit.spec import Volume

StatefulSetSpec: TypeAlias = Any
"""Of the SDK's outputs: to its types every field may be missing, also those that never are."""

Refuse: TypeAlias = Callable[[pulumi.Output[str]], None]
"""Takes what is wrong with the volumes of one workload: `refuse`, or what gathers it for that."""


IGNORED: Final = "spec.volumeClaimTemplates"
"""The property that the engine leaves as it was made."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The volume that there is, in the API server's words: no setting, and held to no rule of one.

    Attributes:
        size: Any quantity.
        storage_class: Name of the StorageClass; None for the cluster's default, "" for none.
    """

    size: str
    storage_class: str | None = None


def claim_template(name: str, volume: Volume, identity: Identity) -> PersistentVolumeClaimArgs:
    """The claim that each pod gets one of, with all that the API server would put in itself.

    To it a template is one value: an `up` that was killed could not be gone on with, as whoever
    applies a template without its defaults changes one that somebody else owns.
    """
    return PersistentVolumeClaimArgs(
        api_version="v1",
        kind="PersistentVolumeClaim",
        metadata=ObjectMetaArgs(name=name, labels=identity.labels),
        spec=PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            resources=VolumeResourceRequirementsArgs(requests={"storage": volume.size}),
            storage_class_name=volume.storage_class,
            volume_mode="Filesystem",
        ),
        status=PersistentVolumeClaimStatusArgs(phase="Pending"),
    )


def problem(
    stateful_set: StatefulSet, name: str, volume: Volume, setting: str
) -> pulumi.Output[str]:
    """What to do where the settings name another size or storage class than there is.

    Empty where they do not. `name`: the StatefulSet's; `setting`: the key the volume comes from.
    """

    def check(spec: StatefulSetSpec, namespace: str) -> str:
        claim = spec.volume_claim_templates[0]
        kept = Kept(
            size=str(claim.spec.resources.requests["storage"]),
            storage_class=claim.spec.storage_class_name,
        )
        claims = [f"{claim.metadata.name}-{name}-{ordinal}" for ordinal in range(spec.replicas)]
        difference = _difference(kept, volume, namespace, name, claims)
        return f"{setting}.{difference}" if difference else ""

    # Not `Output.all`: it would make plain dicts of them.
    return stateful_set.metadata.apply(
        lambda metadata: stateful_set.spec.apply(lambda spec: check(spec, str(metadata.namespace)))
    )


def refuse(*problems: pulumi.Output[str]) -> None:
    """Ends the program with one pulumi.RunError that has every problem, if there is any."""

    def check(messages: Sequence[str]) -> None:
        lines = list(filter(None, messages))
        if len(lines) > 1:  # an `up` in between would be refused for the rest
            lines.append("Do so for all of them before the last two steps, which are the same.")
        if lines:
            raise pulumi.RunError("\n".join(lines))

    pulumi.Output.all(*problems).apply(check)


def _difference(
    kept: Kept, wanted: Volume, namespace: str, name: str, claims: list[str]
) -> str | None:
    if kept.storage_class != wanted.storage_class:
        return (
            f"storageClass = {_class(wanted)}: the volumes of {name} are of class "
            f"{_class(kept)}, and no volume changes its class; set it back, or move the data "
            "by backup and restore. " + _how_to_begin_anew(namespace, name, claims)
        )
    # As numbers: the server writes 1024Mi as 1Gi, and 1.1Gi as 1181116006400m.
    try:
        before, after = amount(kept.size), amount(wanted.size)
    except ValueError as unread:
        return f"size = {wanted.size} cannot be compared with the volumes of {name}: {unread}"
    if after < before:
        return (
            f"size = {wanted.size}: the volumes of {name} have {kept.size}, and no volume "
            "shrinks; set it back. " + _how_to_begin_anew(namespace, name, claims)
        )
    if after > before:
        return f"size = {wanted.size}: the volumes of {name} have {kept.size}. " + _how_to_grow(
            namespace, name, claims, wanted.size
        )
    return None


def _class(volume: Kept | Volume) -> str:
    return '""' if volume.storage_class == "" else str(volume.storage_class)


def _how_to_grow(namespace: str, name: str, claims: list[str], size: str) -> str:
    kubectl = f"kubectl -n {namespace}"
    patch = json.dumps({"spec": {"resources": {"requests": {"storage": size}}}})
    return "To grow them, where the storage class allows it:" + _numbered(
        *(f"{kubectl} patch pvc {claim} -p '{patch}'" for claim in claims),
        f"{kubectl} delete statefulset {name} --cascade=orphan   (its pods run on)",
    )


def _how_to_begin_anew(namespace: str, name: str, claims: list[str]) -> str:
    """What replaces claims that never got a volume: by a command that does nothing to others."""
    kubectl = f"kubectl -n {namespace}"
    all_pending = " ".join(f"pvc/{claim}" for claim in claims)
    wait = f"{kubectl} wait --for=jsonpath='{{.status.phase}}'=Pending --timeout=1s {all_pending}"
    return (
        "Where none of them was ever bound, as after a first `up` that waited for a volume in "
        "vain, there is no data; the first step goes no further where one is bound:"
        + _numbered(
            f"{wait} && {kubectl} delete statefulset/{name} {all_pending}",
        )
    )


def _numbered(*steps: str) -> str:
    """The steps, and the two that end every such change."""
    every = (*steps, "pulumi refresh", "pulumi up")
    return "".join(f"\n    {n}. {step}" for n, step in enumerate(every, start=1))
