"""Loopback links to the platform's Services, and the NetworkPolicy that lets their requests in.

A link stands in for an ingress controller, and is one that no stack knows: where a stack has
NetworkPolicies, the sandbox adds one of its own beside them. Policies add up, so the stack is
deployed as its file says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kubernetes import client

from ado_infra.ops.platform.reading import PART_OF
from sandbox.cluster import cluster
from sandbox.cluster.record import link_url
from sandbox.deploy import rollout
from sandbox.host.network import FABRIC_ADDRESS
from sandbox.paths import Sandbox

POLICY: Final = "sandbox-links"


def publish(
    sandbox: Sandbox, connection: client.ApiClient, outputs: Mapping[str, Any]
) -> dict[str, str]:
    """The links of a stack with these outputs, as name → URL."""
    gateway, dashboard = outputs["gatewayService"], outputs["dashboardService"]
    services = {
        "gateway": (gateway, "http"),
        "gateway-ws": (gateway, "ws"),
        "dashboard": (dashboard, "http"),
    }
    targets = rollout.endpoints(connection, outputs["namespace"], services)
    with rollout.answering():
        _let_in(connection, outputs["namespace"], [gateway, dashboard])
    return {name: link_url(name, port) for name, port in cluster.publish(sandbox, targets).items()}


def _let_in(connection: client.ApiClient, namespace: str, applications: list[str]) -> None:
    """Lets the links' requests in; where the stack has no policy, one would keep others out."""
    networking: Any = client.NetworkingV1Api(connection)
    listed = networking.list_namespaced_network_policy
    policed = bool(listed(namespace, label_selector=PART_OF).items)
    there = bool(listed(namespace, field_selector=f"metadata.name={POLICY}").items)
    if policed and not there:
        networking.create_namespaced_network_policy(namespace, _policy(applications))
    if there and not policed:
        networking.delete_namespaced_network_policy(POLICY, namespace)


def _policy(applications: list[str]) -> dict[str, Any]:
    chosen = {"key": "app", "operator": "In", "values": applications}
    return {
        "metadata": {"name": POLICY},
        "spec": {
            "podSelector": {"matchExpressions": [chosen]},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"ipBlock": {"cidr": f"{FABRIC_ADDRESS}/32"}}]}],
        },
    }
