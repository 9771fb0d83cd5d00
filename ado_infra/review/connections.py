"""Connections that NetworkPolicies let through, and which of them are opened or closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ado_infra.review.pods import Manifest

_APP: Final = ("app", "app.kubernetes.io/component")
"""Labels that tell our pods, in the order of asking."""
_NAMESPACE: Final = "kubernetes.io/metadata.name"
_ANYBODY: Final = "anybody"
_ANY_PORT: Final = "any"


@dataclass(frozen=True, order=True)
class Open:
    """What a policy lets through, in words; of a pair of pods both ends say the same."""

    source: str
    target: str
    port: str


@dataclass(frozen=True, kw_only=True)
class Connections:
    """How two sides differ in what gets through.

    Attributes:
        opened: What one more policy lets through.
        closed: What no policy lets through any more.
        policed: Whether there were any policies, and whether there will be.
    """

    opened: Sequence[Open]
    closed: Sequence[Open]
    policed: tuple[bool, bool]


def connections(before: Sequence[Manifest], after: Sequence[Manifest]) -> Connections:
    """Of the objects of two sides."""
    olds, news = _policies(before), _policies(after)
    old, new = set(_open(olds)), set(_open(news))
    return Connections(
        opened=sorted(new - old), closed=sorted(old - new), policed=(bool(olds), bool(news))
    )


def _policies(manifests: Sequence[Manifest]) -> list[Manifest]:
    return [each for each in manifests if each.get("kind") == "NetworkPolicy"]


def _open(policies: Sequence[Manifest]) -> Iterator[Open]:
    for policy in policies:
        spec = policy["spec"]
        own = _pods(spec.get("podSelector") or {})
        for rule in spec.get("egress") or ():
            for peer, port in _rule(rule, "to"):
                yield Open(own, peer, port)
        for rule in spec.get("ingress") or ():
            for peer, port in _rule(rule, "from"):
                yield Open(peer, own, port)


def _rule(rule: Mapping[str, Any], peers: str) -> Iterator[tuple[str, str]]:
    """Every peer and port of it; without peers it is about anybody, without ports about all."""
    for peer in rule.get(peers) or [None]:
        for port in rule.get("ports") or [None]:
            yield _peer(peer) if peer else _ANYBODY, _port(port) if port else _ANY_PORT


def _peer(peer: Mapping[str, Any]) -> str:
    if block := peer.get("ipBlock"):
        excepted = block.get("except") or ()
        return block["cidr"] + (f" without {', '.join(sorted(excepted))}" if excepted else "")
    pods = _pods(peer.get("podSelector") or {})
    if "namespaceSelector" not in peer:
        return pods
    labels = peer["namespaceSelector"].get("matchLabels") or {}
    expressions = peer["namespaceSelector"].get("matchExpressions")
    name = None if expressions else labels.get(_NAMESPACE)
    where = f"namespace {name}" if name else f"namespaces {_labels(peer['namespaceSelector'])}"
    return f"{pods} of {where}"


def _pods(selector: Mapping[str, Any]) -> str:
    """Our pods by their names, others by their labels."""
    labels = selector.get("matchLabels") or {}
    if selector.get("matchExpressions") or not labels:
        return f"pods {_labels(selector)}"
    return next((labels[key] for key in _APP if key in labels), f"pods {_labels(selector)}")


def _labels(selector: Mapping[str, Any]) -> str:
    told = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    told += [str(each) for each in selector.get("matchExpressions") or ()]
    return ", ".join(told) or "of any label"


def _port(port: Mapping[str, Any]) -> str:
    number = str(port.get("port", _ANY_PORT))
    last = f"-{port['endPort']}" if "endPort" in port else ""
    protocol = port.get("protocol", "TCP")
    return f"{number}{last}" + ("" if protocol == "TCP" else f" {protocol}")
