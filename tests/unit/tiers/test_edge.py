"""The edge: what each controller is told, and what it cannot be told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from ado_infra.settings import EdgeSettings, Issuer, Tls
from ado_infra.site import Site
from ado_infra.tiers.edge import Edge, EdgeArgs, edge_annotations
from tests.support.recording import Recording, record, record_stack

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
NGINX = "nginx.ingress.kubernetes.io"
EVERYTHING = EdgeSettings(
    host="ado.example.com", tls=Tls(issuer=Issuer(name="pca", kind="Other", group="example.com"))
)
"""As many annotations of the platform's own as one Ingress can have."""


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
    [
        ({}, "http://ado.example.com"),
        ({"tlsIssuer": "own"}, "https://ado.example.com"),
        ({"tls": {"issuer": {"name": "own"}}}, "https://ado.example.com"),
        ({"tls": {"secret": "own"}}, "https://ado.example.com"),
        ({"tls": {"loadBalancer": True}}, "https://ado.example.com"),
    ],
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


def test_a_certificate_of_ones_own_is_served_from_its_secret() -> None:
    ingress = _ingress(_edge(tls={"secret": "wildcard"}))
    assert ingress["spec"]["tls"] == [{"hosts": ["ado.example.com"], "secretName": "wildcard"}]
    assert not [key for key in ingress["metadata"]["annotations"] if "cert-manager" in key]


def test_where_tls_ends_at_the_load_balancer_the_ingress_has_none() -> None:
    ingress = _ingress(_edge(tls={"loadBalancer": True}, tlsIssuer=None))
    assert "tls" not in ingress["spec"]
    assert not [key for key in ingress["metadata"]["annotations"] if "cert-manager" in key]


@pytest.mark.parametrize(
    ("issuer", "told"),
    [
        ({"name": "le"}, {"cluster-issuer": "le"}),
        ({"name": "le", "kind": "Issuer"}, {"issuer": "le"}),
        (
            {"name": "pca", "kind": "AWSPCAClusterIssuer", "group": "awspca.cert-manager.io"},
            {
                "issuer": "pca",
                "issuer-kind": "AWSPCAClusterIssuer",
                "issuer-group": "awspca.cert-manager.io",
            },
        ),
        (
            {"name": "step", "kind": "Issuer", "group": "certmanager.step.sm"},
            {"issuer": "step", "issuer-kind": "Issuer", "issuer-group": "certmanager.step.sm"},
        ),
    ],
)
def test_an_issuer_of_any_group_and_kind_is_told_as_cert_manager_reads_it(
    issuer: dict[str, str], told: dict[str, str]
) -> None:
    ingress = _ingress(_edge(tls={"issuer": issuer}))
    annotations = ingress["metadata"]["annotations"]
    assert {key: value for key, value in annotations.items() if "cert-manager" in key} == {
        f"cert-manager.io/{key}": value for key, value in told.items()
    }
    assert ingress["spec"]["tls"][0]["secretName"] == "ado-tls"


def test_the_short_form_is_the_long_one() -> None:
    long, short = _edge(tls={"issuer": {"name": "own"}}), _edge(tlsIssuer="own")
    assert _ingress(long) == _ingress(short)


def test_an_ingress_has_the_annotations_that_its_controller_reads() -> None:
    ours = {"alb.ingress.kubernetes.io/target-type": "ip"}
    ingress = _ingress(_edge(controller="cloud", className="alb", annotations=ours))
    assert ingress["metadata"]["annotations"] == {**SKIP_AWAIT, **ours}


@pytest.mark.parametrize("beside", [{"controller": "nginx"}, {"className": "gce-internal"}])
def test_a_class_is_said_once_as_the_api_server_wants_it(beside: dict[str, str]) -> None:
    asked = {"kubernetes.io/ingress.class": "gce-internal"}
    ingress = _ingress(_edge(controller="cloud", annotations=asked))
    assert asked.items() <= ingress["metadata"]["annotations"].items()
    assert "ingressClassName" not in ingress["spec"]
    with pytest.raises(ValidationError, match="say className, or controller: cloud without one"):
        _edge(**{"controller": "cloud", "annotations": asked, **beside})


def test_only_the_services_of_the_edge_have_the_annotations_for_load_balancers() -> None:
    told = {"cloud.google.com/backend-config": '{"default": "ado"}'}
    stack = record_stack("dev", changes={"ado:edge": {"serviceAnnotations": told}})
    having = {
        service["metadata"]["name"]
        for service in stack.of_kind("Service")
        if told.items() <= service["metadata"].get("annotations", {}).items()
    }
    assert having == {"ado-api-gateway", "ado-dashboard"}


@pytest.mark.parametrize("setting", edge_annotations(EVERYTHING))
def test_no_annotation_is_said_in_two_places(setting: str) -> None:
    with pytest.raises(ValidationError, match="is said by"):
        EdgeSettings(host="ado.example.com", annotations={setting: "other"})
