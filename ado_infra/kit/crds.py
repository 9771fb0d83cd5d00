"""What a cluster must know before an object of a kind of its own is made."""

from __future__ import annotations

import pulumi


def required_crd(name: str, crd: str, parent: pulumi.Resource) -> list[pulumi.Resource]:
    """The definition, read and not made; nothing in a preview.

    Where the cluster has none, reading fails, and nothing that depends on the result is registered.
    The engine shows little more than the resource's name then, so the name says what is wanted.
    A preview reads nothing: it may have no cluster, or no right to read what is not of the
    namespace. To the engine that discards what was read before, which is no change.
    """
    if pulumi.runtime.is_dry_run():
        return []
    from pulumi_kubernetes.apiextensions.v1 import (  # noqa: PLC0415 - a preview does without
        CustomResourceDefinition,
    )

    return [CustomResourceDefinition.get(name, crd, opts=pulumi.ResourceOptions(parent=parent))]
