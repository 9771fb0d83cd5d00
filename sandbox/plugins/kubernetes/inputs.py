"""What `Check` does with a resource's inputs: refuse what is not covered, and name the unnamed."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterator

from sandbox.plugins.kubernetes.cluster import Object
from sandbox.plugins.kubernetes.objects import (
    AUTONAMED,
    TIMEOUT_SECONDS,
    WAIT_FOR,
    annotation,
    is_secret,
)
from sandbox.plugins.provider import Failure, Naming, ProviderError, Resource
from sandbox.plugins.values import UNKNOWN

_MANAGED_BY = "app.kubernetes.io/managed-by"
_PROGRAM_SIDE = {"helm.sh", "kustomize", "yaml"}


def kind_of(resource: Resource) -> tuple[str, str]:
    """The apiVersion and the kind by the type token `kubernetes:<group>/<version>:<Kind>`."""
    _, module, kind = resource.type.split(":", 2)
    return module.removeprefix("core/"), kind


def require_covered(resource: Resource, inputs: Object) -> None:
    """Raises ProviderError for types that are no single object of the cluster."""
    api_version, kind = kind_of(resource)
    wanted = inputs.get("kind", kind)
    if api_version.partition("/")[0] in _PROGRAM_SIDE:
        what = "charts, manifests and overlays are expanded by the official plugin alone"
    elif kind.endswith("Patch") and wanted == kind.removesuffix("Patch"):
        what = "patches of objects that are managed elsewhere need the official plugin"
    elif str(wanted).endswith("List") and "items" in inputs:
        what = "a list is no object of its own; make its items single resources"
    else:
        return
    raise ProviderError(f"{resource.type} is not covered by the offline plugin: {what}.")


def invalid(inputs: Object) -> Iterator[Failure]:
    """What can be told without the API server, which judges the rest in the preview."""
    for key in ("apiVersion", "kind"):
        if not isinstance(inputs.get(key), str):
            yield Failure(key, "is required")
    metadata = inputs.get("metadata", {})
    if metadata is UNKNOWN:
        return
    if not isinstance(metadata, dict):
        yield Failure("metadata", "must be an object")
        return
    if metadata.get("generateName") and not metadata.get("name"):
        yield Failure(
            "metadata.generateName",
            "is not supported with server-side apply; leave the name out to have one made",
        )
    if annotation(inputs, WAIT_FOR):
        yield Failure(
            f'metadata.annotations["{WAIT_FOR}"]',
            "is not covered by the offline plugin; install the official Pulumi plugin for it",
        )
    timeout = annotation(inputs, TIMEOUT_SECONDS)
    if timeout and not timeout.isdigit():
        yield Failure(f'metadata.annotations["{TIMEOUT_SECONDS}"]', "must be whole seconds")
    if is_secret(inputs):
        yield from _not_base64(inputs.get("data"))


def adopt_name(metadata: Object, old: Object) -> None:
    """Keeps the made-up name of an object that exists, as long as the program gives it none."""
    autonamed = (old.get("annotations") or {}).get(AUTONAMED) == "true"
    if not metadata.get("name") and autonamed:
        metadata["name"] = old["name"]
        metadata.setdefault("annotations", {})[AUTONAMED] = "true"


def assign_name(metadata: Object, resource: Resource, naming: Naming) -> list[Failure]:
    """Makes up `<logical name>-<8 hex digits>`, or what the engine proposes; marks it as made up.

    Raises nothing: a name that is required, or cannot be one, comes back as a failure.
    """
    if naming.disabled:
        return [Failure("metadata.name", "is required: autonaming is switched off for this stack")]
    name = naming.proposed or f"{resource.name}-{secrets.token_hex(4)}"
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name) or len(name) > 253:
        return [
            Failure(
                "metadata.name",
                f"is required: {name!r}, made from the logical name, is no Kubernetes name",
            )
        ]
    metadata["name"] = name
    metadata.setdefault("annotations", {})[AUTONAMED] = "true"
    return []


def keep_managed_by(metadata: Object, old: Object) -> None:
    """The label of older versions stays on objects that carry it; new ones do not get it."""
    if (old.get("labels") or {}).get(_MANAGED_BY) == "pulumi":
        labels = metadata.setdefault("labels", {})
        if isinstance(labels, dict):
            labels.setdefault(_MANAGED_BY, "pulumi")


def _not_base64(data: object) -> Iterator[Failure]:
    for key, value in data.items() if isinstance(data, dict) else ():
        if isinstance(value, str):
            try:
                base64.b64decode(value, validate=True)
            except binascii.Error:
                yield Failure(f"data.{key}", "is not base64; give plain text as stringData")
