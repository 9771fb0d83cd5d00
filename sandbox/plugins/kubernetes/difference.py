"""What differs between old and new inputs, and which differences replace the object.

The rules are the official plugin's: identity always replaces; per kind, the fields that the API
server or a controller cannot change in place; ConfigMaps and Secrets unless they are mutable by
setting. Beyond them, an `immutable` that is taken back replaces, because no update could do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from sandbox.plugins.kubernetes.cluster import Object
from sandbox.plugins.kubernetes.objects import AUTONAMED, REPLACE_UNREADY, annotation
from sandbox.plugins.kubernetes.settings import Settings
from sandbox.plugins.provider import Change, Difference
from sandbox.plugins.values import Value

Path = tuple[str | int, ...]
_Found = tuple[Path, Literal["ADD", "DELETE", "UPDATE"], Value, Value]
_ANY_ITEM = "*"
_ABSENT = object()

_IDENTITY = ("kind", "metadata.name", "metadata.namespace")
_JOB = ("spec.completions", "spec.parallelism", "spec.selector", "spec.template")


def _words(*lines: str) -> list[str]:
    return [word for line in lines for word in line.split()]


_CONTAINER_FIELDS = _words(
    "args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe",
    "resources securityContext stdin stdinOnce terminationMessagePath terminationMessagePolicy",
    "tty volumeDevices volumeMounts workingDir",
)
_POD_FIELDS = _words(
    "affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases",
    "hostIPC hostNetwork hostPID hostname imagePullSecrets nodeName nodeSelector overhead",
    "preemptionPolicy priority priorityClassName readinessGates restartPolicy runtimeClassName",
    "schedulerName securityContext serviceAccount serviceAccountName shareProcessNamespace",
    "subdomain terminationGracePeriodSeconds volumes",
)
_VOLUME_SOURCES = _words(
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker",
    "gcePersistentDisk glusterfs hostPath iscsi local nfs photonPersistentDisk portworxVolume",
    "quobyte rbd scaleIO storageos vsphereVolume",
)

_BY_KIND: dict[str, tuple[str, ...]] = {
    "apps/v1/DaemonSet": ("spec.selector",),
    "apps/v1/Deployment": ("spec.selector",),
    "apps/v1/StatefulSet": (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "batch/v1/Job": _JOB,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": ("roleRef",),
    "rbac.authorization.k8s.io/v1/RoleBinding": ("roleRef",),
    "storage.k8s.io/v1/StorageClass": ("parameters", "provisioner"),
    "v1/PersistentVolume": tuple(f"spec.{source}" for source in _VOLUME_SOURCES),
    "v1/PersistentVolumeClaim": (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    "v1/Pod": (
        *(f"spec.{field}" for field in _POD_FIELDS),
        *(
            f"spec.{containers}.{_ANY_ITEM}.{field}"
            for containers in ("containers", "initContainers")
            for field in _CONTAINER_FIELDS
        ),
    ),
    "v1/ResourceQuota": ("spec.scopes",),
    "v1/Secret": ("type",),
    "v1/Service": ("spec.clusterIP",),
}


def replacing_paths(old: Object, new: Object, settings: Settings) -> list[str]:
    """The paths whose change replaces this object; `*` stands for any item of a list."""
    kind = f"{new.get('apiVersion')}/{new.get('kind')}"
    paths = [*_IDENTITY, *_BY_KIND.get(kind, ())]
    mutable = {
        "v1/ConfigMap": settings.config_map_mutable,
        "v1/Secret": settings.secret_mutable,
    }.get(kind)
    if mutable is not None:
        was_immutable = old.get("immutable") is True
        if was_immutable:
            paths.append("immutable")
        if not mutable or was_immutable or new.get("immutable") is True:
            paths += ["data", "binaryData" if kind == "v1/ConfigMap" else "stringData"]
    return paths


def difference(
    old: Object, new: Object, settings: Settings, *, unready: bool = False
) -> Difference:
    """Compares two objects' inputs, both plain; see the module for the rules.

    `unready`: it is a Job that has not completed and asks to be replaced then.
    """
    rules = [tuple(path.split(".")) for path in replacing_paths(old, new, settings)]
    changes = [
        Change(
            _text(path), kind, replaces=any(_touches(path, rule, before, after) for rule in rules)
        )
        for path, kind, before, after in _changes(old, new, ())
    ]
    if unready:
        path = _text(("metadata", "annotations", REPLACE_UNREADY))
        changes.append(Change(path, "UPDATE", replaces=True))
    return Difference(changes, delete_before_replace=_must_delete_first(old, new, changes))


def _must_delete_first(old: Object, new: Object, changes: Sequence[Change]) -> bool:
    """A replacement under the same, user-given name has no room beside the old object."""
    old_metadata, metadata = old.get("metadata", {}), new.get("metadata", {})
    return (
        any(change.replaces for change in changes)
        and bool(metadata.get("name"))
        and annotation(new, AUTONAMED) != "true"
        and metadata.get("name") == old_metadata.get("name")
        and metadata.get("namespace") == old_metadata.get("namespace")
    )


def _changes(old: Value, new: Value, path: Path) -> Iterator[_Found]:
    """Every smallest path that differs, as (path, kind, old value, new value)."""
    if old is _ABSENT or new is _ABSENT:
        yield path, "ADD" if old is _ABSENT else "DELETE", old, new
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differing(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _ABSENT
            after = new[index] if index < len(new) else _ABSENT
            yield from _differing(before, after, (*path, index))
    else:
        yield path, "UPDATE", old, new


def _differing(old: Value, new: Value, path: Path) -> Iterator[_Found]:
    # True == 1 in Python, but not in a manifest.
    if old != new or isinstance(old, bool) != isinstance(new, bool):
        yield from _changes(old, new, path)


def _touches(path: Path, rule: tuple[str, ...], before: Value, after: Value) -> bool:
    """Whether a change at `path` changes something at or below `rule`."""
    for element, wanted in zip(path, rule, strict=False):
        if wanted != element and not (wanted == _ANY_ITEM and isinstance(element, int)):
            return False
    rest = rule[len(path) :]
    return _has(before, rest) or _has(after, rest)


def _has(value: Value, rest: Sequence[str]) -> bool:
    if value is _ABSENT:
        return False
    if not rest:
        return True
    if rest[0] == _ANY_ITEM:
        return isinstance(value, list) and any(_has(item, rest[1:]) for item in value)
    return isinstance(value, dict) and rest[0] in value and _has(value[rest[0]], rest[1:])


def _text(path: Path) -> str:
    """The path in Pulumi's notation, for example `spec.ports[0].name` or `data["a.b"]`."""
    text = ""
    for element in path:
        if isinstance(element, int):
            text += f"[{element}]"
        elif any(special in element for special in '."[]'):
            quoted = element.replace('"', '\\"')
            text += f'["{quoted}"]'
        else:
            text += f".{element}" if text else element
    return text
