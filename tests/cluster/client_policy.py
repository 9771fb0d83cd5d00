"""A way for the tests' own clients, which look from the dashboard's pods: these reach nobody else.

NetworkPolicies add up, so this one needs no word in the stack that is tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from kubernetes import client

from ado_infra.connections import DENY

_DASHBOARD: Final = {"matchLabels": {"app": "ado-dashboard"}}
_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "tests-client": {"podSelector": _DASHBOARD, "policyTypes": ["Egress"], "egress": [{}]},
    "tests-client-targets": {
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": _DASHBOARD}]}],
    },
}


def follow(api: client.ApiClient, namespace: str) -> None:
    """Is there where the platform has policies, and gone where it has none and all may pass."""
    networking: Any = client.NetworkingV1Api(api)
    listed = networking.list_namespaced_network_policy(namespace)
    found = {each.metadata.name for each in listed.items}
    for name, spec in _RULES.items():
        if DENY in found and name not in found:
            networking.create_namespaced_network_policy(
                namespace, {"metadata": {"name": name}, "spec": spec}
            )
        if DENY not in found and name in found:
            networking.delete_namespaced_network_policy(name, namespace)


def remove(api: client.ApiClient, namespace: str) -> None:
    """Leaves the platform's own policies alone."""
    networking: Any = client.NetworkingV1Api(api)
    for name in _RULES:
        with suppress(client.ApiException):
            networking.delete_namespaced_network_policy(name, namespace)
