"""A review tells which connections NetworkPolicies open and close."""

from __future__ import annotations

from typing import Any

from ado_infra.review.connections import Open, connections
from tests.unit.review.sides import side, told

ON: dict[str, Any] = {}
OFF: dict[str, Any] = {"ado:networkPolicies": {"enabled": False}}
GIT: dict[str, Any] = {"cidr": "10.30.0.7/32", "ports": [22], "why": "Git over SSH"}


def _with(**settings: Any) -> dict[str, Any]:
    return {"ado:networkPolicies": settings}


def _policy(**spec: Any) -> dict[str, Any]:
    own = {"podSelector": {"matchLabels": {"app": "a"}}}
    return {"kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": {**own, **spec}}


def test_what_one_more_rule_opens_is_told_and_taking_it_back_closes_it() -> None:
    more = _with(extra={"workers": {"egress": [GIT]}})
    row = "| `ado-worker` | `10.30.0.7/32` | `22` |"
    assert f"| **opened** {row}" in told(side(ON), side(more))
    assert f"| closed {row}" in told(side(more), side(ON))


def test_a_pool_more_opens_its_connections_once_each() -> None:
    pool = {"image": {"tag": "0.1.0"}, "scaling": {"minReplicas": 1, "maxReplicas": 2}}
    report = told(side(ON), side({**ON, "ado:workerPools": {"gpu": pool}}))
    assert report.count("| **opened** | `ado-worker-gpu` | `redis` | `6379` |") == 1
    assert "| closed" not in report


def test_policies_that_come_or_go_are_one_line() -> None:
    assert "**NetworkPolicies come: from now on " in told(side(OFF), side(ON))
    assert "**No NetworkPolicy is left: every connection is open.**" in told(side(ON), side(OFF))


def test_where_nothing_is_opened_or_closed_nothing_is_told_of_it() -> None:
    assert "Connections" not in told(side(ON), side({**ON, "ado:edge": {"bodySize": "9m"}}))


def test_a_rule_without_peers_or_ports_is_about_anybody_and_any() -> None:
    found = connections([_policy()], [_policy(ingress=[{}], egress=[{"ports": [{"port": 1}]}])])
    assert found.opened == [Open("a", "anybody", "1"), Open("anybody", "a", "any")]


def test_a_range_that_is_no_longer_left_out_is_another_connection() -> None:
    def to(*excepted: str) -> dict[str, Any]:
        block = {"cidr": "0.0.0.0/0", "except": [*excepted]}
        return _policy(egress=[{"to": [{"ipBlock": block}], "ports": [{"port": 443}]}])

    found = connections([to("10.0.0.0/8", "169.254.0.0/16")], [to("10.0.0.0/8")])
    assert [each.target for each in found.opened] == ["0.0.0.0/0 without 10.0.0.0/8"]
    assert len(found.closed) == 1


def test_namespaces_are_told_by_name_and_other_selectors_in_full() -> None:
    named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}}
    by_label = {
        "namespaceSelector": {"matchLabels": {"team": "x"}},
        "podSelector": {"matchLabels": {"k8s-app": "y"}},
    }
    port = {"port": 53, "protocol": "UDP"}
    found = connections([], [_policy(egress=[{"to": [named, by_label], "ports": [port]}])])
    assert [(each.target, each.port) for each in found.opened] == [
        ("pods k8s-app=y of namespaces team=x", "53 UDP"),
        ("pods of any label of namespace dns", "53 UDP"),
    ]
