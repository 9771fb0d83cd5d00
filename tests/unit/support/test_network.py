"""That the evaluator of NetworkPolicies says what the API's documentation does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.network import End, Network

WEB = End(name="web", address="10.0.0.1", namespace="a", labels={"app": "web", "tier": "front"})
DB = End(name="db", address="10.0.0.2", namespace="a", labels={"app": "db"}, ports={"sql": 5432})
OTHER = End(name="other", address="10.0.0.3", namespace="b", labels={"app": "web"})
HOST = End(name="host", address="192.0.2.7")
NAMESPACES = {"a": {"name": "a"}, "b": {"name": "b"}}


def _network(**spec: Any) -> Network:
    whole = {"podSelector": {"matchLabels": {"app": "db"}}, **spec}
    return Network([{"metadata": {"namespace": "a"}, "spec": whole}], NAMESPACES)


def test_without_a_policy_everything_gets_through() -> None:
    assert Network([], NAMESPACES).lets_through(HOST, DB, 1)


def test_a_policy_without_rules_isolates_what_comes_in_alone() -> None:
    network = _network()
    assert not network.lets_through(WEB, DB, 5432)
    assert network.lets_through(DB, WEB, 80)
    assert network.lets_through(WEB, OTHER, 80)


def test_a_policy_of_both_types_without_rules_isolates_both_ways() -> None:
    network = _network(policyTypes=["Ingress", "Egress"])
    assert not network.lets_through(WEB, DB, 5432)
    assert not network.lets_through(DB, WEB, 80)


def test_it_is_about_pods_of_its_own_namespace() -> None:
    network = Network([{"metadata": {"namespace": "b"}, "spec": {"podSelector": {}}}], NAMESPACES)
    assert network.lets_through(WEB, DB, 5432)
    assert not network.lets_through(WEB, OTHER, 80)


@pytest.mark.parametrize(
    ("peer", "who"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, {"web"}),
        ({"podSelector": {}}, {"web"}),
        ({"namespaceSelector": {"matchLabels": {"name": "b"}}}, {"other"}),
        ({"namespaceSelector": {}}, {"web", "other"}),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"tier": "front"}}}, {"web"}),
        (
            {"podSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}},
            {"web"},
        ),
        (
            {
                "namespaceSelector": {
                    "matchExpressions": [{"key": "name", "operator": "NotIn", "values": ["a"]}]
                }
            },
            {"other"},
        ),
        ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}, {"host"}),
        ({"ipBlock": {"cidr": "10.0.0.0/8"}}, {"web", "other"}),
        ({"ipBlock": {"cidr": "::/0"}}, set()),
    ],
)
def test_a_rule_lets_in_its_peers_alone(peer: dict[str, Any], who: set[str]) -> None:
    network = _network(ingress=[{"from": [peer]}])
    ends = (WEB, OTHER, HOST)
    assert {end.name for end in ends if network.lets_through(end, DB, 5432)} == who


def test_a_rule_without_peers_or_ports_lets_in_all() -> None:
    assert _network(ingress=[{}]).lets_through(HOST, DB, 1)
    assert _network(ingress=[{"from": [], "ports": []}]).lets_through(HOST, DB, 1)


@pytest.mark.parametrize(
    ("port", "open_ports"),
    [
        ({"port": 5432}, {5432}),
        ({"port": "sql"}, {5432}),
        ({"port": 5431, "endPort": 5432}, {5431, 5432}),
        ({"port": 5432, "protocol": "UDP"}, set()),
        ({"protocol": "TCP"}, {5431, 5432, 80}),
    ],
)
def test_a_rule_opens_its_ports_alone(port: dict[str, Any], open_ports: set[int]) -> None:
    network = _network(ingress=[{"ports": [port]}])
    assert {p for p in (80, 5431, 5432) if network.lets_through(WEB, DB, p)} == open_ports


def test_both_ends_must_allow_it() -> None:
    out = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]}
    to_db = [{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}]
    policies = [{"metadata": {"namespace": "a"}, "spec": {**out, "egress": to_db}}]
    assert Network(policies, NAMESPACES).lets_through(WEB, DB, 5432)
    assert not Network(policies, NAMESPACES).lets_through(WEB, OTHER, 80)
    shut = {"metadata": {"namespace": "a"}, "spec": {"podSelector": {}}}
    assert not Network([*policies, shut], NAMESPACES).lets_through(WEB, DB, 5432)
