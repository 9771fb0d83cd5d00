"""The edge: one host name, and which tier answers for which path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.networking.v1 import (
    HTTPIngressPathArgs,
    HTTPIngressRuleValueArgs,
    Ingress,
    IngressBackendArgs,
    IngressRuleArgs,
    IngressServiceBackendArgs,
    IngressSpecArgs,
    IngressTLSArgs,
    ServiceBackendPortArgs,
)

from ado_infra.kit.connections import Connection
from ado_infra.settings import CERT_MANAGER, Controller, EdgeSettings, Issuer
from ado_infra.site import Site
from ado_infra.surroundings import Surroundings
from ado_infra.tiers import dashboard, gateway

TLS_SECRET: Final = "ado-tls"  # noqa: S105 - its name
_CLASSES: Final = {Controller.NGINX: "nginx", Controller.TRAEFIK: "traefik"}
"""The IngressClass that each controller's own chart makes."""


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """What the edge is made from.

    Attributes:
        site: Where it is installed.
        settings: Host name, controller, TLS.
        gateway_service: Name of the gateway's Service.
        dashboard_service: Name of the dashboard's Service.
    """

    site: Site
    settings: EdgeSettings
    gateway_service: pulumi.Input[str]
    dashboard_service: pulumi.Input[str]


class Edge(pulumi.ComponentResource):
    """The way in from outside.

    Produces: Ingress `ado-ingress`: `/api` and `/ws` lead to the gateway, all else to the
    dashboard; with an issuer, cert-manager keeps the certificate in Secret `ado-tls`. It
    installs no controller. Body size and timeout reach nginx alone: an Ingress cannot tell them to
    other controllers. Nobody waits for an address: without a load balancer there is none.
    """

    ingress: Ingress
    url: pulumi.Output[str]
    """Where the platform is reached."""

    def __init__(
        self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Edge", name, {}, opts)
        settings = args.settings
        metadata = args.site.metadata("edge", "ado-ingress")
        metadata.annotations = edge_annotations(settings)
        self.ingress = Ingress(
            f"{name}-ingress",
            metadata=metadata,
            spec=_spec(args),
            opts=pulumi.ResourceOptions(parent=self),
        )
        scheme = "https" if settings.encryption else "http"
        self.url = pulumi.Output.from_input(f"{scheme}://{settings.host}")
        self.register_outputs({"url": self.url})


def connections(site: Site, around: Surroundings) -> tuple[Connection, ...]:
    """Who comes in from outside: whoever turns the Ingress into traffic."""
    return tuple(
        Connection(source=around.ingress, target=target, why="requests from outside")
        for target in (gateway.answers(site), dashboard.answers(site))
    )


def edge_annotations(settings: EdgeSettings) -> dict[str, str]:
    """What the controller, cert-manager and the engine are told beside the routes."""
    annotations = {"pulumi.com/skipAwait": "true", **settings.annotations}
    if settings.encryption and settings.encryption.issuer:
        annotations |= _issuer_annotations(settings.encryption.issuer)
    if settings.controller is Controller.NGINX:
        annotations |= {
            "nginx.ingress.kubernetes.io/proxy-body-size": settings.body_size,
            "nginx.ingress.kubernetes.io/proxy-read-timeout": str(settings.timeout),
            "nginx.ingress.kubernetes.io/proxy-send-timeout": str(settings.timeout),
        }
    return annotations


def _issuer_annotations(issuer: Issuer) -> dict[str, str]:
    if issuer.group == CERT_MANAGER and issuer.kind == "ClusterIssuer":
        return {f"{CERT_MANAGER}/cluster-issuer": issuer.name}
    # Beside `cluster-issuer` cert-manager refuses a kind or a group.
    annotations = {f"{CERT_MANAGER}/issuer": issuer.name}
    if issuer.group != CERT_MANAGER or issuer.kind != "Issuer":
        annotations[f"{CERT_MANAGER}/issuer-kind"] = issuer.kind
        annotations[f"{CERT_MANAGER}/issuer-group"] = issuer.group
    return annotations


def _spec(args: EdgeArgs) -> IngressSpecArgs:
    settings = args.settings
    routes = [
        _path("/api", args.gateway_service, 80),
        _path("/ws", args.gateway_service, 81),
        _path("/", args.dashboard_service, 80),
    ]
    return IngressSpecArgs(
        ingress_class_name=settings.class_name or _CLASSES.get(settings.controller),
        tls=_tls(settings),
        rules=[IngressRuleArgs(host=settings.host, http=HTTPIngressRuleValueArgs(paths=routes))],
    )


def _tls(settings: EdgeSettings) -> list[IngressTLSArgs] | None:
    """Which Secret the controller serves the host with; None where it serves no TLS."""
    if settings.encryption is None or settings.encryption.load_balancer:
        return None
    secret = settings.encryption.secret or TLS_SECRET
    return [IngressTLSArgs(hosts=[settings.host], secret_name=secret)]


def _path(path: str, service: pulumi.Input[str], port: int) -> HTTPIngressPathArgs:
    backend = IngressServiceBackendArgs(name=service, port=ServiceBackendPortArgs(number=port))
    return HTTPIngressPathArgs(
        path=path, path_type="Prefix", backend=IngressBackendArgs(service=backend)
    )
