"""Volumes of stateful workloads: what they are made as, and that they stay so.

A claim template cannot be changed in place; replacing its StatefulSet because somebody wrote
another size would be the end of a good day. So the engine ignores such a change, and it is
refused here with the steps that really grow a volume. A program ends with its first error, so
whoever makes several workloads refuses for them together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
from ado_infra.kit.spec import Volume
from ado_infra.kit.values import size_in_bytes

StatefulSetSpec: TypeAlias = Any
"""Of the SDK's outputs: to its types every field may be missing, also those that never are."""

Refuse: TypeAlias = Callable[[pulumi.Output[str]], None]
"""Takes what is wrong with the volumes of one workload: `refuse`, or what gathers it for that."""

IGNORED: Final = "spec.volumeClaimTemplates"
"""The property that the engine leaves as it was made."""


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
        kept = Volume(
            size=claim.spec.resources.requests["storage"],
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
            lines.append("Grow all of them before the last two steps, which are the same.")
        if lines:
            raise pulumi.RunError("\n".join(lines))

    pulumi.Output.all(*problems).apply(check)


def _difference(
    kept: Volume, wanted: Volume, namespace: str, name: str, claims: list[str]
) -> str | None:
    if kept.storage_class != wanted.storage_class:
        return (
            f"storageClass = {wanted.storage_class}: the volumes of {name} are of class "
            f"{kept.storage_class}, and no volume changes its class; set it back, or move the data "
            "by backup and restore"
        )
    # In bytes: the server writes 1024Mi as 1Gi.
    before, after = size_in_bytes(kept.size), size_in_bytes(wanted.size)
    if after < before:
        return (
            f"size = {wanted.size}: the volumes of {name} have {kept.size}, and no volume "
            "shrinks; set it back"
        )
    if after > before:
        return f"size = {wanted.size}: the volumes of {name} have {kept.size}. " + _how_to_grow(
            namespace, name, claims, wanted.size
        )
    return None


def _how_to_grow(namespace: str, name: str, claims: list[str], size: str) -> str:
    kubectl = f"kubectl -n {namespace}"
    patch = json.dumps({"spec": {"resources": {"requests": {"storage": size}}}})
    steps = [
        *(f"{kubectl} patch pvc {claim} -p '{patch}'" for claim in claims),
        f"{kubectl} delete statefulset {name} --cascade=orphan   (its pods run on)",
        "pulumi refresh",
        "pulumi up",
    ]
    numbered = "".join(f"\n    {n}. {step}" for n, step in enumerate(steps, start=1))
    return f"To grow them, where the storage class allows it:{numbered}"
