"""How tests read what a program registered: pods, what they are told, what a change changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.recording import Recording

VERSION_LABEL = "app.kubernetes.io/version"


def templates(recording: Recording, *kinds: str) -> dict[str, dict[str, Any]]:
    """The pod templates of workloads by name; of all that have pods unless kinds are given."""
    found = [m for k in kinds or ("Deployment", "StatefulSet", "Job") for m in recording.of_kind(k)]
    by_name = {manifest["metadata"]["name"]: manifest["spec"]["template"] for manifest in found}
    assert len(by_name) == len(found) > 0
    return by_name


def job(recording: Recording, name: str) -> str:
    """The full name of the one Job that is called `name` before its digest."""
    (found,) = (full for full in templates(recording, "Job") if full.rpartition("-")[0] == name)
    return found


def pod(recording: Recording, workload: str) -> dict[str, Any]:
    """The spec of a workload's pods."""
    return dict(templates(recording)[workload]["spec"])


def container(recording: Recording, workload: str) -> dict[str, Any]:
    """The one container of a workload's pods."""
    (found,) = pod(recording, workload)["containers"]
    return dict(found)


def checksums(recording: Recording, workload: str) -> dict[str, str]:
    """The annotations that roll a workload's pods."""
    given = templates(recording)[workload]["metadata"].get("annotations", {})
    return {key: text for key, text in given.items() if key.startswith("checksum/")}


def environment(recording: Recording, workload: str) -> dict[str, str]:
    """Variable → its value, or `Secret NAME/KEY`, or `Pod FIELD`."""
    return told(container(recording, workload))


def told(one: Mapping[str, Any]) -> dict[str, str]:
    """The same of a container, whichever it is."""
    given = one.get("env", [])
    found = {variable["name"]: _value(variable) for variable in given}
    assert len(found) == len(given), "a variable is given twice"
    return found


def _value(variable: Mapping[str, Any]) -> str:
    match variable.get("valueFrom"):
        case {"secretKeyRef": {"name": name, "key": key, **rest}}:
            assert not rest
            return f"Secret {name}/{key}"
        case {"fieldRef": {"fieldPath": path}}:
            return f"Pod {path}"
        case _:
            return str(variable["value"])


def directories(recording: Recording, workload: str) -> dict[str, str]:
    """Path in the container → what is mounted there, such as `Secret redis, read-only`."""
    volumes = {volume["name"]: volume for volume in pod(recording, workload).get("volumes", [])}
    mounts = container(recording, workload)["volumeMounts"]
    shown = {m["mountPath"]: _mounted(volumes.get(m["name"], {}), m) for m in mounts}
    assert len(shown) == len(mounts), "two volumes are mounted at one path"
    return shown


def _mounted(volume: Mapping[str, Any], mount: Mapping[str, Any]) -> str:
    match volume:
        case {"emptyDir": source}:
            text = " ".join(["empty", *(str(source[key]) for key in sorted(source))])
        case {"configMap": {"name": name}}:
            text = "/".join(["ConfigMap " + name, *filter(None, [mount.get("subPath")])])
        case {"secret": {"secretName": name}}:
            text = f"Secret {name}"
        case _:
            assert not volume
            text = f"claim {mount['name']}"
    return text + (", read-only" if mount.get("readOnly") else "")


def ports(recording: Recording, workload: str) -> dict[str, int]:
    """The container's ports by name."""
    return {p["name"]: p["containerPort"] for p in container(recording, workload)["ports"]}


def service_ports(recording: Recording, service: str) -> dict[str, tuple[int, str | int]]:
    """The ports of a Service by name: its own, and the container's it leads to."""
    spec = recording.get("Service", service)["spec"]
    assert spec["type"] == "ClusterIP"
    return {p["name"]: (p["port"], p["targetPort"]) for p in spec["ports"]}


def spread(recording: Recording, workload: str) -> str:
    """`required` or `preferred`: whether two pods of a workload may share a host."""
    term = {
        "labelSelector": {"matchLabels": {"app": workload}},
        "topologyKey": "kubernetes.io/hostname",
    }
    match pod(recording, workload)["affinity"]:
        case {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": rule}}:
            assert rule == [term]
            return "required"
        case affinity:
            preferred = [{"weight": 100, "podAffinityTerm": term}]
            rule = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
            assert affinity == {"podAntiAffinity": rule}
            return "preferred"


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether an equality-based selector matches labels."""
    return bool(selector) and selector.items() <= labels.items()


def changes(before: Recording, after: Recording) -> dict[tuple[str, str], set[str]]:
    """What differs between two programs with the same objects: object → dotted paths.

    Jobs without their digests.
    """
    olds, news = _manifests(before), _manifests(after)
    assert olds.keys() == news.keys()
    found = {key: set(_paths(olds[key], news[key], "")) for key in olds}
    return {key: paths for key, paths in found.items() if paths}


def _manifests(recording: Recording) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (kind, name.rpartition("-")[0] if kind == "Job" else name): resource.manifest
        for resource in recording.objects
        for kind, name in [resource.key]
    }


def _paths(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in old.keys() | new.keys():
            yield from _paths(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _paths(before, after, f"{path}[{index}]")
    elif old != new:
        yield path
