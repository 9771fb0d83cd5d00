"""The edge: what each controller is told, and what it cannot be told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ado_infra.settings import EdgeSettings
from ado_infra.site import Site
from ado_infra.tiers.edge import Edge, EdgeArgs
from tests.support.recording import Recording, record

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
NGINX = "nginx.ingress.kubernetes.io"


def _edge(**given: Any) -> Recording:
    settings = EdgeSettings.model_validate_json(json.dumps({"host": "ado.example.com", **given}))
    args = EdgeArgs(
        site=Site("ado", namespace="ado-system"),
        settings=settings,
        gateway_service="the-gateway",
        dashboard_service="the-dashboard",
    )
    return record(lambda: Edge("edge", args) and None)


def _url(recording: Recording) -> str:
    (outputs,) = filter(None, recording.outputs.values())
    return str(outputs["url"])


def _ingress(recording: Recording) -> dict[str, Any]:
    return recording.get("Ingress", "ado-ingress")


def test_paths_lead_to_the_gateway_and_all_else_to_the_dashboard(stack: Recording) -> None:
    (rule,) = _ingress(stack)["spec"]["rules"]
    routes = [
        (p["path"], p["pathType"], p["backend"]["service"]["name"], p["backend"]["service"]["port"])
        for p in rule["http"]["paths"]
    ]
    assert routes == [
        ("/api", "Prefix", "ado-api-gateway", {"number": 80}),
        ("/ws", "Prefix", "ado-api-gateway", {"number": 81}),
        ("/", "Prefix", "ado-dashboard", {"number": 80}),
    ]


def test_every_port_that_a_path_leads_to_is_one_of_its_service(stack: Recording) -> None:
    (rule,) = _ingress(stack)["spec"]["rules"]
    for path in rule["http"]["paths"]:
        service = path["backend"]["service"]
        offered = stack.get("Service", service["name"])["spec"]["ports"]
        assert service["port"]["number"] in {port["port"] for port in offered}


def test_production_is_served_with_tls(prod: Recording) -> None:
    ingress = _ingress(prod)
    assert ingress["spec"]["rules"][0]["host"] == "ado.example.com"
    assert ingress["spec"]["tls"] == [{"hosts": ["ado.example.com"], "secretName": "ado-tls"}]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["metadata"]["annotations"] == {
        **SKIP_AWAIT,
        "cert-manager.io/cluster-issuer": "letsencrypt-prod",
        f"{NGINX}/proxy-body-size": "50m",
        f"{NGINX}/proxy-read-timeout": "3600",
        f"{NGINX}/proxy-send-timeout": "3600",
    }


def test_development_is_served_without(dev: Recording) -> None:
    ingress = _ingress(dev)
    assert ingress["spec"]["rules"][0]["host"] == "ado.localhost"
    assert "tls" not in ingress["spec"]
    assert "cert-manager.io/cluster-issuer" not in ingress["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("given", "url"),
    [({}, "http://ado.example.com"), ({"tlsIssuer": "own"}, "https://ado.example.com")],
)
def test_its_url_tells_whether_there_is_tls(given: dict[str, Any], url: str) -> None:
    assert _url(_edge(**given)) == url


def test_body_size_and_timeout_are_settings() -> None:
    annotations = _ingress(_edge(bodySize="2g", timeout=60))["metadata"]["annotations"]
    assert annotations == {
        **SKIP_AWAIT,
        f"{NGINX}/proxy-body-size": "2g",
        f"{NGINX}/proxy-read-timeout": "60",
        f"{NGINX}/proxy-send-timeout": "60",
    }
