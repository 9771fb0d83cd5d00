"""A platform among others in a cluster, with the NetworkPolicies that a stack renders."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ado_infra.connections import NetworkPolicies, NetworkPoliciesArgs, graph
from ado_infra.kit.connections import Addresses, Connection, Neighbours, Outside, Pods
from ado_infra.settings import Settings
from ado_infra.site import Site
from tests.support.network import End, Network, selects, within
from tests.support.recording import (
    SECRETS,
    Recording,
    merged,
    record,
    record_stack,
    stack_config,
)

OWN = "ado-system"
NAMESPACES = (
    *(OWN, "ado-other", "elsewhere", "git", "ingress-nginx", "kube-system", "minio"),
    *("monitoring", "my-ingress", "observability", "traefik"),
)
OF_PLATFORM = {"app.kubernetes.io/name": "ado", "app.kubernetes.io/instance": "ado"}
STRANGERS = (
    End(name="ingress controller", address="10.244.9.1", namespace="ingress-nginx"),
    End(name="traefik", address="10.244.9.2", namespace="traefik"),
    End(name="other controller", address="10.244.9.3", namespace="my-ingress"),
    End(name="prometheus", address="10.244.9.4", namespace="monitoring"),
    End(name="other prometheus", address="10.244.9.5", namespace="observability"),
    End(
        name="kube-dns",
        address="10.244.9.6",
        namespace="kube-system",
        labels={"k8s-app": "kube-dns"},
    ),
    End(name="pod beside kube-dns", address="10.244.9.7", namespace="kube-system"),
    End(name="minio", address="10.244.9.8", namespace="minio"),
    End(name="git", address="10.244.9.9", namespace="git"),
    End(name="somebody elsewhere", address="10.244.9.10", namespace="elsewhere"),
    End(name="somebody beside", address="10.244.9.11", namespace=OWN, labels={"app": "x"}),
    End(
        name="certificate solver",
        address="10.244.9.12",
        namespace=OWN,
        labels={"acme.cert-manager.io/http01-solver": "true"},
    ),
    *(
        End(
            name=f"{app} of another platform",
            address=f"10.244.9.{20 + number}",
            namespace="ado-other",
            labels={**OF_PLATFORM, "app": app},
        )
        for number, app in enumerate(("ado-worker", "redis", "postgresql", "ado-orchestrator"))
    ),
)
"""Pods of others."""
HOSTS = tuple(
    End(name=name, address=address)
    for name, address in {
        "metadata": "169.254.169.254",
        "metadata by IPv6": "fd00:ec2::254",
        "Azure's services of a host": "168.63.129.16",
        "NodeLocal DNS": "169.254.20.10",
        "documentation": "203.0.113.10",
        "private 10": "10.1.2.3",
        "private 172": "172.16.5.5",
        "private 192": "192.168.1.9",
        "carrier": "100.100.100.200",
        "unique local": "fd12:3456::1",
        "link-local": "fe80::1",
        "tunnel to private": "2002:a00:1::1",
        "translated metadata": "64:ff9b::a9fe:a9fe",
        "Service of the API server": "10.96.0.1",
        "public": "93.184.215.14",
        "public by IPv6": "2606:2800:21f::1",
        "public by use, private by setting": "25.1.2.3",
    }.items()
)
HOSTILE = [
    each.name
    for each in HOSTS
    if each.name not in {"public", "public by IPv6", "public by use, private by setting"}
    and each.name != "NodeLocal DNS"
]
"""What a worker must not reach, whatever listens there."""


def settings_with(stack: str, changes: Mapping[str, Any]) -> Settings:
    """The settings of a committed stack file, deeply updated, whatever secrets they demand."""
    outside = [key for key, given in changes.items() if given.get("mode") == "external"]
    base = {key: given for key, given in stack_config(stack).items() if key not in outside}
    config = merged(base, changes)
    sections = {key.removeprefix("ado:"): value for key, value in config.items()}
    return Settings.model_validate_json(json.dumps(sections), by_name=False)


def enforced(settings: Settings) -> Network:
    """The policies of a platform `ado` with these settings, and nothing else of it."""
    return Network(tuple(rendered(settings)), _labelled())


def rendered(settings: Settings) -> list[dict[str, Any]]:
    """The same as manifests."""
    site = Site("ado", namespace=OWN)

    def program() -> None:
        NetworkPolicies(
            "network", NetworkPoliciesArgs(site=site, connections=graph(site, settings))
        )

    return list(record(program).of_kind("NetworkPolicy"))


def of_recording(recording: Recording) -> Network:
    """The policies that a whole program has made."""
    return Network(tuple(recording.of_kind("NetworkPolicy")), _labelled())


def _labelled() -> dict[str, dict[str, str]]:
    return {name: {"kubernetes.io/metadata.name": name} for name in NAMESPACES}


@functools.cache
def recorded(stack: str, structure: str) -> Recording:
    """The whole of a stack with more or other parts; `structure`: the changes as JSON."""
    changes = json.loads(structure)
    secrets = dict(SECRETS)
    for section, key in (("ado:postgres", "ado:databaseUrl"), ("ado:redis", "ado:redisUrl")):
        if changes.get(section, {}).get("mode") == "external":
            scheme = "postgresql" if "database" in key else "redis"
            secrets[key] = f"{scheme}://ado:canary@store.example.com/0"
            changes[section] = json.dumps(changes[section])  # in the place of the file's own
    return record_stack(stack, changes=changes, secrets=secrets)


def own_pods(recording: Recording) -> dict[str, End]:
    """A pod of each workload and Job, by its name without a digest."""
    found: dict[str, End] = {}
    for kind in ("Deployment", "StatefulSet", "Job", "CronJob"):
        for manifest in recording.of_kind(kind):
            spec = manifest["spec"]
            if kind == "CronJob":
                spec = spec["jobTemplate"]["spec"]
            name = manifest["metadata"]["name"]
            name = re.sub(r"-[0-9a-f]{10}$", "", name) if kind == "Job" else name
            ports = {
                port["name"]: int(port["containerPort"])
                for container in spec["template"]["spec"]["containers"]
                for port in container.get("ports") or ()
            }
            found[name] = End(
                name=name,
                address=f"10.244.1.{len(found) + 1}",
                namespace=OWN,
                labels=dict(spec["template"]["metadata"]["labels"]),
                ports=ports,
            )
    assert found
    return found


def declared(connections: Iterable[Connection], source: End, target: End) -> set[tuple[int, str]]:
    """The ports and protocols of what a graph has between two ends, one of them the platform's."""
    return {
        (port, protocol)
        for each in connections
        if _is(each.source, source) and _is(each.target.party, target)
        for port in each.target.ports
        for protocol in each.target.protocols
    }


def _is(party: Pods | Outside, end: End) -> bool:
    """Whoever is outside is nobody of the platform, whatever namespace or address that is."""
    own = end.namespace == OWN and OF_PLATFORM.items() <= end.labels.items()
    if isinstance(party, Pods):
        return own and party.labels.items() <= end.labels.items()
    return not own and any(_is_at(place, end) for place in party.where)


def _is_at(place: Neighbours | Addresses, end: End) -> bool:
    if isinstance(place, Addresses):
        inside = within(end.address, place.cidr)
        return inside and not any(within(end.address, each) for each in place.excepted)
    namespace = OWN if place.namespace is None else place.namespace
    labels = {"matchLabels": dict(place.labels)}
    return end.namespace == namespace and selects(labels, end.labels)


def asked(connections: Iterable[Connection], ends: Iterable[End]) -> list[tuple[int, str]]:
    """Every port that anybody listens at or is reached at, and some that nobody does."""
    named = {
        (port, protocol.value)
        for each in connections
        for port in each.target.ports
        for protocol in each.target.protocols
    }
    listening = {(port, "TCP") for end in ends for port in end.ports.values()}
    return sorted({(22, "TCP"), (80, "TCP"), (443, "UDP"), *named, *listening})
