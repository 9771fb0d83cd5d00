"""What must stay of each resource, or a running stack would lose it."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.recording import ROOT, Recording, Registered

FORMER = ROOT / "tests" / "support" / "former"
"""A file for each committed stack, as the last release registered it; and which one that is."""

_IMMUTABLE = {
    "Deployment": ("spec.selector",),
    "StatefulSet": (
        *("spec.selector", "spec.serviceName", "spec.podManagementPolicy"),
        *("spec.revisionHistoryLimit", "spec.volumeClaimTemplates"),
    ),
    "Service": ("spec.type", "spec.clusterIP"),
    "PodDisruptionBudget": ("spec.selector",),
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
}
"""Kind → what the API server never changes, or the engine replaces the object for."""


def settled(name: str) -> str:
    """A name or URN without a Job's digest: a Job that does something else is another Job.

    Without stack and project too, for which the SDK's mocks say, by version, what they were given.
    """
    here = re.sub(r"^urn:pulumi:[^:]*::[^:]*::", "", name)
    return re.sub(r"-[0-9a-f]{10}$", "-DIGEST", here)


def identities(recording: Recording) -> dict[str, dict[str, Any]]:
    """URN → kind and name, and the values of what is immutable, of every resource."""
    return {settled(each.urn): _identity(each) for each in recording.resources}


def former(stack: str) -> dict[str, dict[str, Any]]:
    """The same, of the last release."""
    recorded = json.loads((FORMER / f"{stack}.json").read_text())
    return {settled(urn): identity for urn, identity in recorded.items()}


def _identity(resource: Registered) -> dict[str, Any]:
    kind, name = resource.key
    fields = {path: _value(resource.manifest, path) for path in _IMMUTABLE.get(kind, ())}
    namespace = resource.manifest.get("metadata", {}).get("namespace")
    return {"kind": kind, "name": settled(name), "namespace": namespace, "immutable": fields}


def _value(manifest: Any, path: str) -> Any:
    for step in path.split("."):
        manifest = manifest.get(step) if isinstance(manifest, dict) else None
    return manifest
