"""Pods of objects: their specs, what they are told to read, and how many of them there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Manifest = Mapping[str, Any]
LONG_RUNNING: Final = ("Deployment", "StatefulSet")
_CHECKSUM: Final = "checksum/"


@dataclass(frozen=True, order=True)
class Bounds:
    """Between which numbers of pods a workload moves."""

    minimum: int
    maximum: int

    def __str__(self) -> str:
        return str(self.minimum) if self.fixed else f"{self.minimum} to {self.maximum}"

    @property
    def fixed(self) -> bool:
        """Whether nobody scales it."""
        return self.minimum == self.maximum


def template(manifest: Manifest) -> Manifest:
    """The pod template of an object; empty where it makes no pods."""
    spec = _mapping(manifest.get("spec"))
    if manifest.get("kind") == "CronJob":
        spec = _mapping(_mapping(spec.get("jobTemplate")).get("spec"))
    return manifest if manifest.get("kind") == "Pod" else _mapping(spec.get("template"))


def containers(manifest: Manifest) -> Iterator[Manifest]:
    """Every container of an object's pods, those that run first among them."""
    spec = _mapping(template(manifest).get("spec"))
    for key in ("initContainers", "containers"):
        yield from (each for each in spec.get(key) or () if isinstance(each, Mapping))


def read_by(manifest: Manifest) -> dict[str, str]:
    """Name of a checksum on the pods → `Kind/name` of what it is of."""
    found: dict[str, str] = {}
    for volume in _mapping(template(manifest).get("spec")).get("volumes") or ():
        if config := volume.get("configMap"):
            found[volume["name"]] = f"ConfigMap/{config.get('name')}"
        if secret := volume.get("secret"):
            found[volume["name"]] = f"Secret/{secret.get('secretName')}"
    for container in containers(manifest):
        for variable in container.get("env") or ():
            source = _mapping(variable.get("valueFrom"))
            if reference := source.get("secretKeyRef"):
                found[variable["name"]] = f"Secret/{reference.get('name')}"
            if reference := source.get("configMapKeyRef"):
                found[variable["name"]] = f"ConfigMap/{reference.get('name')}"
    return found


def checksum(path: str) -> str | None:
    """Which checksum on the pods a path is of; None where it is of none."""
    _, found, name = path.partition(_CHECKSUM)
    return name.rstrip("]") if found else None


def bounds(manifests: Sequence[Manifest]) -> dict[str, Bounds]:
    """`Kind/name` of every workload that runs on → how many pods it has."""
    scaled = {
        f"{target.get('kind')}/{target.get('name')}": Bounds(
            int(spec.get("minReplicas") or 1), int(spec["maxReplicas"])
        )
        for each in manifests
        if each["kind"] == "HorizontalPodAutoscaler"
        for spec in [each["spec"]]
        for target in [_mapping(spec.get("scaleTargetRef"))]
    }
    found: dict[str, Bounds] = {}
    for each in manifests:
        if each["kind"] in LONG_RUNNING:
            title = f"{each['kind']}/{each['metadata']['name']}"
            given = each["spec"].get("replicas")
            replicas = 1 if given is None else int(given)
            found[title] = scaled.get(title, Bounds(replicas, replicas))
    return found


def _mapping(given: Any) -> Manifest:  # noqa: ANN401 - any of JSON's
    return given if isinstance(given, Mapping) else {}
