"""Who talks to whom: what pods, Ingresses and ServiceMonitors really are given to go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ado_infra.ops.platform.objects import Model, Objects, labels, within

_POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
_SECRET_URLS: Final = {"DATABASE_URL": "postgresql", "REDIS_URL": "redis"}
"""Hosts of the URLs that are in Secrets, which nobody reads for this."""

Owners = Mapping[str, str]
"""Service → the workload that it leads to, also when that has no pods yet."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that a tier's pods are told to talk to."""

    variable: str
    """The environment variable that tells them."""
    target: str
    """Name of a tier, or a host outside of the platform."""
    inside: bool


@dataclass(frozen=True, kw_only=True)
class Route:
    """What an Ingress sends to a tier."""

    ingress: str
    host: str
    path: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """A ServiceMonitor, and the tiers that it finds."""

    name: str
    interval: str
    """With its unit: `30s`."""
    targets: tuple[str, ...]


def owners(seen: Objects) -> Owners:
    """Which workload each Service leads to."""
    return {
        service.metadata.name: workload.metadata.name
        for service in seen.services
        for workload in seen.workloads
        if within(_of_every_pod(service), labels(workload.spec.template))
    }


def orphans(seen: Objects, owned: Owners) -> list[str]:
    """The Services whose pods no workload makes; not those that lead out of the platform."""
    names = [service.metadata.name for service in seen.services if service.spec.selector]
    return [name for name in names if name not in owned]


def needs(workload: Model, owned: Owners) -> tuple[Need, ...]:
    """What the variables of a workload's pods lead to, other than the workload itself."""
    hosts = {
        variable.name: host
        for container in workload.spec.template.spec.containers
        for variable in container.env or []
        if (host := _host(variable))
    }
    found = {
        variable: (host, owned.get(_service(host, workload.metadata.namespace)))
        for variable, host in hosts.items()
    }
    return tuple(
        Need(variable=variable, target=owner or host, inside=owner is not None)
        for variable, (host, owner) in found.items()
        if owner != workload.metadata.name
    )


def routes(seen: Objects, owned: Owners) -> list[Route]:
    """Every path of every Ingress."""
    return [
        Route(
            ingress=ingress.metadata.name,
            host=rule.host or "*",
            path=path.path or "/",
            target=owned.get(path.backend.service.name, path.backend.service.name),
        )
        for ingress in seen.ingresses
        for rule in ingress.spec.rules or []
        for path in (rule.http.paths if rule.http else [])
        if path.backend.service
    ]


def monitors(seen: Objects, owned: Owners) -> list[Monitor]:
    """Every ServiceMonitor with what it finds."""
    return [_monitor(monitor, seen, owned) for monitor in seen.monitors]


def _of_every_pod(service: Model) -> dict[str, str]:
    """A Service's selector without what picks one pod of a StatefulSet."""
    selector = service.spec.selector or {}
    return {name: value for name, value in selector.items() if name != _POD_NAME}


def _host(variable: Model) -> str | None:
    """The host of a variable that is a URL; not of a proxy, which is a way and no destination."""
    if variable.name.upper().endswith("_PROXY"):
        return None
    source = variable.value_from
    if source and source.secret_key_ref:
        return _SECRET_URLS.get(variable.name)
    return urlsplit(variable.value or "").hostname


def _service(host: str, namespace: str) -> str:
    """The Service that a host is the name of, inside of the namespace; else the host."""
    name, _, domain = host.partition(".")
    return name if domain.partition(".")[0] in {"", namespace} else host


def _monitor(monitor: Mapping[str, Any], seen: Objects, owned: Owners) -> Monitor:
    spec = monitor["spec"]
    ports = {endpoint.get("port"): endpoint.get("interval", "") for endpoint in spec["endpoints"]}
    found = {
        owned[service.metadata.name]
        for service in seen.services
        if service.metadata.name in owned
        and within(spec["selector"].get("matchLabels"), labels(service))
        and any(port.name in ports for port in service.spec.ports or [])
    }
    return Monitor(
        name=monitor["metadata"]["name"],
        interval=next(iter(ports.values())),
        targets=tuple(sorted(found)),
    )
