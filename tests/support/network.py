"""Whether a connection gets through, by what kubernetes.io says of NetworkPolicies.

Written from the API's own words ("Network Policies"; `kubectl explain networkpolicy.spec`) and
from no line of the program: where the two agree, both are more likely to be right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias

Rules: TypeAlias = list[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a connection: a pod, or a host when it is in no namespace.

    Attributes:
        name: For messages.
        address: IPv4 or IPv6.
        namespace: Where the pod is; None for what is no pod.
        labels: The pod's.
        ports: Name → container port, by which a policy may call it.
    """

    name: str
    address: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Every policy of a cluster, enforced.

    Attributes:
        policies: Manifests.
        namespaces: Name → labels of what may be selected.
    """

    policies: Sequence[Mapping[str, Any]]
    namespaces: Mapping[str, Mapping[str, str]]

    def lets_through(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        """Whether `source` reaches that port of `target`: both ends must allow it."""
        return all(
            rules is None or any(_of_ports(rule, target, port, protocol) for rule in rules)
            for rules in self._between(source, target)
        )

    def polices(self, end: End) -> bool:
        """Whether any policy is about a pod."""
        return bool(self._about(end, "Ingress") or self._about(end, "Egress"))

    def _between(self, source: End, target: End) -> tuple[Rules | None, Rules | None]:
        """The rules of each end that are about the other; None of one that is not isolated."""
        pair = id(source), id(target)
        if pair not in self._known:
            self._kept.extend((source, target))
            self._known[pair] = (
                self._rules(source, "Egress", "to", target),
                self._rules(target, "Ingress", "from", source),
            )
        return self._known[pair]

    @cached_property
    def _kept(self) -> list[End]:
        """Whoever `_known` is about, as another end could get the id of one that is gone."""
        return []

    @cached_property
    def _known(self) -> dict[tuple[int, int], tuple[Rules | None, Rules | None]]:
        return {}

    def _rules(self, end: End, direction: str, peers: str, other: End) -> Rules | None:
        about = self._about(end, direction)
        return (
            [
                rule
                for policy in about
                for rule in policy["spec"].get(direction.lower()) or ()
                # No peers are everybody.
                if not rule.get(peers) or any(self._is(peer, other, policy) for peer in rule[peers])
            ]
            if about
            else None
        )

    def _about(self, end: End, direction: str) -> list[Mapping[str, Any]]:
        """The policies that isolate a pod in a direction."""
        return [
            policy
            for policy in self.policies
            if end.namespace == policy["metadata"]["namespace"]
            and direction in _directions(policy["spec"])
            and selects(policy["spec"]["podSelector"], end.labels)
        ]

    def _is(self, peer: Mapping[str, Any], end: End, policy: Mapping[str, Any]) -> bool:
        if block := peer.get("ipBlock"):
            excepted = block.get("except") or ()
            return within(end.address, block["cidr"]) and not any(
                within(end.address, each) for each in excepted
            )
        if end.namespace is None:
            return False
        if "namespaceSelector" in peer:
            of_namespace = selects(peer["namespaceSelector"], self.namespaces[end.namespace])
        else:
            of_namespace = end.namespace == policy["metadata"]["namespace"]
        return of_namespace and selects(peer.get("podSelector") or {}, end.labels)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector does; an empty one selects everything."""
    equal = (selector.get("matchLabels") or {}).items() <= labels.items()
    return equal and all(
        _expressed(each, labels) for each in selector.get("matchExpressions") or ()
    )


@cache
def within(address: str, cidr: str) -> bool:
    """Whether an address is in a range of the same kind."""
    return ip_address(address) in ip_network(cidr)


def _expressed(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise AssertionError(f"no operator: {other}")


def _directions(spec: Mapping[str, Any]) -> Sequence[str]:
    """Without a word of it: ingress always, egress where there are rules of it."""
    return spec.get("policyTypes") or (
        ("Ingress", "Egress") if spec.get("egress") else ("Ingress",)
    )


def _of_ports(rule: Mapping[str, Any], target: End, port: int, protocol: str) -> bool:
    """Whether a rule is about a port; no ports are all of them."""
    return not rule.get("ports") or any(
        _is_port(each, target, port, protocol) for each in rule["ports"]
    )


def _is_port(given: Mapping[str, Any], target: End, port: int, protocol: str) -> bool:
    if given.get("protocol", "TCP") != protocol:
        return False
    first = given.get("port")
    if first is None:
        return True
    if isinstance(first, str):
        return target.ports.get(first) == port
    return int(first) <= port <= int(given.get("endPort", first))
