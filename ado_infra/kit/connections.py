"""Who talks to whom, as values, and the NetworkPolicies that let nobody else do so.

Ports are those that pods listen at: a policy never sees the port of a Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final, TypeAlias

from pulumi_kubernetes.meta.v1 import LabelSelectorArgs
from pulumi_kubernetes.networking.v1 import (
    IPBlockArgs,
    NetworkPolicyEgressRuleArgs,
    NetworkPolicyIngressRuleArgs,
    NetworkPolicyPeerArgs,
    NetworkPolicyPortArgs,
    NetworkPolicySpecArgs,
)

from ado_infra.kit.labels import policy_name

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""What every namespace is labelled with by the API server itself."""
_BOTH_WAYS: Final = ["Ingress", "Egress"]


@unique
class Protocol(StrEnum):
    """What a connection is made of."""

    TCP = "TCP"
    UDP = "UDP"


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods that are policed: those of one workload or of one Job.

    Attributes:
        name: Of the workload; two of one name are the same.
        labels: What selects them in their namespace.
    """

    name: str
    labels: Mapping[str, str]

    def to(self, *targets: Destination, why: str) -> tuple[Connection, ...]:
        """Connections from these pods; `why`: what for, in a few words."""
        return tuple(Connection(source=self, target=target, why=why) for target in targets)


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Pods of somebody else in the same cluster.

    Attributes:
        namespace: Where they are; None for the namespace of the policies.
        labels: What selects them there; all of them without.
    """

    namespace: str | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """A range of addresses, IPv4 or IPv6, without some inside it."""

    cidr: str
    excepted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Somebody who is not policed here.

    Attributes:
        name: For people, such as `object storage`.
        where: All the places where it may be; nobody reaches it where there are none.
    """

    name: str
    where: tuple[Neighbours | Addresses, ...]


Party: TypeAlias = Pods | Outside


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where something answers.

    Raises ValueError without ports: to a NetworkPolicy no ports are all ports.
    """

    party: Party
    ports: tuple[int, ...]
    protocols: tuple[Protocol, ...] = (Protocol.TCP,)

    def __post_init__(self) -> None:
        if not self.ports or not self.protocols:
            raise ValueError(f"{self.party.name} answers at no port")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Something that has to get through; answers to it do by themselves.

    Attributes:
        source: Who begins it.
        target: Who is asked, and where that answers.
        why: What for, in a few words.
    """

    source: Party
    target: Destination
    why: str


def policed(connections: Iterable[Connection]) -> list[Pods]:
    """All the pods among those who talk, in the order of their names."""
    parties = [party for each in connections for party in (each.source, each.target.party)]
    by_name = {party.name: party for party in parties if isinstance(party, Pods)}
    return [by_name[name] for name in sorted(by_name)]


def policies(connections: Sequence[Connection]) -> dict[str, NetworkPolicySpecArgs]:
    """Name → NetworkPolicy of each of the pods: what they may begin and take, and nothing else.

    Pods of one namespace. Who takes part in no connection has none, and needs `deny_all`.
    """
    return {
        policy_name(pods.name): NetworkPolicySpecArgs(
            pod_selector=_selector(pods.labels),
            policy_types=_BOTH_WAYS,
            ingress=_ingress(pods, connections) or None,
            egress=_egress(pods, connections) or None,
        )
        for pods in policed(connections)
    }


def deny_all(labels: Mapping[str, str]) -> NetworkPolicySpecArgs:
    """Nothing in and nothing out but what another policy allows, for all pods of these labels."""
    return NetworkPolicySpecArgs(pod_selector=_selector(labels), policy_types=_BOTH_WAYS)


def _ingress(pods: Pods, connections: Iterable[Connection]) -> list[NetworkPolicyIngressRuleArgs]:
    return [
        NetworkPolicyIngressRuleArgs(from_=peers, ports=_ports(each.target))
        for each in connections
        # A rule whose peers are none would let in everybody.
        if _is(pods, each.target.party) and (peers := _peers(each.source))
    ]


def _egress(pods: Pods, connections: Iterable[Connection]) -> list[NetworkPolicyEgressRuleArgs]:
    return [
        NetworkPolicyEgressRuleArgs(to=peers, ports=_ports(each.target))
        for each in connections
        if _is(pods, each.source) and (peers := _peers(each.target.party))
    ]


def _is(pods: Pods, party: Party) -> bool:
    return isinstance(party, Pods) and party.name == pods.name


def _ports(target: Destination) -> list[NetworkPolicyPortArgs]:
    return [
        NetworkPolicyPortArgs(port=port, protocol=protocol.value)
        for port in target.ports
        for protocol in target.protocols
    ]


def _peers(party: Party) -> list[NetworkPolicyPeerArgs]:
    if isinstance(party, Pods):
        return [NetworkPolicyPeerArgs(pod_selector=_selector(party.labels))]
    return [_peer(place) for place in party.where]


def _peer(place: Neighbours | Addresses) -> NetworkPolicyPeerArgs:
    if isinstance(place, Addresses):
        block = IPBlockArgs(cidr=place.cidr, except_=list(place.excepted) or None)
        return NetworkPolicyPeerArgs(ip_block=block)
    if place.namespace is None:
        return NetworkPolicyPeerArgs(pod_selector=_selector(place.labels))
    return NetworkPolicyPeerArgs(
        namespace_selector=_selector({NAMESPACE_LABEL: place.namespace}),
        pod_selector=_selector(place.labels) if place.labels else None,
    )


def _selector(labels: Mapping[str, str]) -> LabelSelectorArgs:
    return LabelSelectorArgs(match_labels=dict(labels)) if labels else LabelSelectorArgs()
