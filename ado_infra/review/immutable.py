"""Which fields cannot change: the engine deletes the object and makes another.

As the Kubernetes provider has it (4.25 to 4.34). Offline there is no other source; where the
engine's own preview is handed in, that one is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ALWAYS: Final = ("metadata.name", "metadata.namespace")
OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "ClusterRoleBinding": ("roleRef",),
    "DaemonSet": ("spec.selector",),
    "Deployment": ("spec.selector",),
    "Job": ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    "PersistentVolumeClaim": (
        *("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    ),
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP",),
    "StatefulSet": (
        *("spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector"),
        *("spec.serviceName", "spec.volumeClaimTemplates"),
    ),
    "StorageClass": ("parameters", "provisioner"),
}
_DATA: Final = {
    "ConfigMap": ("data", "binaryData"),
    "Secret": ("data", "stringData"),
}
"""Of these too, unless the provider is told otherwise: docs/provider.md."""
FLAGS: Final = {
    "kubernetes:enableConfigMapMutable": "ConfigMap",
    "kubernetes:enableSecretMutable": "Secret",
}
"""Key of a stack's config → the kind that it lets change in place."""


def mutable(config: Mapping[str, str]) -> frozenset[str]:
    """The kinds whose data changes in place, by a stack's config."""
    return frozenset(kind for flag, kind in FLAGS.items() if config.get(flag) == "true")


def replacing(manifest: Mapping[str, Any], changing: frozenset[str]) -> tuple[str, ...]:
    """Paths of an object whose change replaces it; `changing`: see `mutable`."""
    kind = str(manifest["kind"])
    data = () if kind in changing and not manifest.get("immutable") else _DATA.get(kind, ())
    return (*ALWAYS, *OF_KIND.get(kind, ()), *data)
