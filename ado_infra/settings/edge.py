"""The section of the edge: how the platform is reached from outside."""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, StringConstraints, model_validator

from ado_infra.kit.pod_values import AnnotationKey
from ado_infra.kit.schema_rules import exactly_one_of, never, not_together, pattern_rule
from ado_infra.kit.spec import Spec
from ado_infra.kit.values import DnsName, HostName, Seconds

CERT_MANAGER: Final = "cert-manager.io"
"""The API group of cert-manager's own issuers."""
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
"""By which some load balancers, such as Google's internal one, are asked for until today."""
_BODY_SIZE: Final = r"[1-9][0-9]{0,5}[kmg]"
_SAID_BY: Final = {
    f"{CERT_MANAGER}/cluster-issuer": "edge.tlsIssuer",
    f"{CERT_MANAGER}/issuer": "edge.tls.issuer",
    f"{CERT_MANAGER}/issuer-kind": "edge.tls.issuer",
    f"{CERT_MANAGER}/issuer-group": "edge.tls.issuer",
    "nginx.ingress.kubernetes.io/proxy-body-size": "edge.bodySize",
    "nginx.ingress.kubernetes.io/proxy-read-timeout": "edge.timeout",
    "nginx.ingress.kubernetes.io/proxy-send-timeout": "edge.timeout",
    "pulumi.com/skipAwait": "the platform, always",
}
"""Annotation that the Ingress gets from the platform → what says it."""


def _body_size(size: str) -> str:
    if not re.fullmatch(_BODY_SIZE, size, re.ASCII):
        raise ValueError("is no body size; write it as nginx does, for example '50m' or '1g'")
    return size


def _not_of_the_platform(key: str) -> str:
    if key in _SAID_BY:
        raise ValueError(f"it is said by {_SAID_BY[key]}")
    return key


IngressAnnotationKey = Annotated[
    AnnotationKey, AfterValidator(_not_of_the_platform), never(*_SAID_BY)
]
"""Of an annotation that the platform does not set itself."""


@unique
class Controller(StrEnum):
    """Who turns the Ingress into traffic."""

    NGINX = "nginx"
    TRAEFIK = "traefik"
    CLOUD = "cloud"


class Issuer(Spec):
    """Who signs the certificate that cert-manager asks for."""

    name: DnsName
    """Name of the issuer."""
    kind: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")] = "ClusterIssuer"
    """Its kind: `ClusterIssuer`, `Issuer`, or one of another group."""
    group: DnsName = CERT_MANAGER
    """API group of that kind, such as `awspca.cert-manager.io`."""


class Tls(Spec):
    """Where TLS ends, and with whose certificate: exactly one of its keys."""

    model_config = ConfigDict(json_schema_extra=exactly_one_of("secret", "issuer", "loadBalancer"))

    secret: DnsName | None = None
    """Name of an existing Secret of type `kubernetes.io/tls` in the platform's namespace."""
    issuer: Issuer | None = None
    """Issuer by which cert-manager keeps the certificate, in Secret `ado-tls`."""
    load_balancer: Literal[True] | None = None
    """`true`: it ends before the Ingress, with a certificate that is none of the platform's."""

    @model_validator(mode="after")
    def _one_certificate(self) -> Self:
        if sum(given is not None for given in (self.secret, self.issuer, self.load_balancer)) != 1:
            raise ValueError("needs exactly one of secret, issuer and loadBalancer")
        return self


class EdgeSettings(Spec):
    """Where the platform is reached from outside."""

    model_config = ConfigDict(json_schema_extra=not_together("tls", "tlsIssuer"))

    host: HostName
    """Host name of the Ingress; no address."""
    controller: Controller = Controller.NGINX
    """Who turns the Ingress into traffic."""
    class_name: DnsName | None = None
    """IngressClass; else the controller's usual one, or with `cloud` the cluster's default."""
    tls_issuer: DnsName | None = None
    """Name of cert-manager's ClusterIssuer; short for `tls.issuer.name`."""
    tls: Tls | None = None
    """Where TLS ends; without it or `tlsIssuer` the host is served in plain HTTP."""
    annotations: dict[IngressAnnotationKey, str] = {}  # noqa: RUF012 - pydantic copies it
    """More annotations of the Ingress, for what its controller alone knows."""
    service_annotations: dict[AnnotationKey, str] = {}  # noqa: RUF012 - pydantic copies it
    """Annotations of the two Services that it leads to, for load balancers that read them there."""
    body_size: Annotated[
        str, AfterValidator(_body_size), pattern_rule("size such as 50m or 1g", f"^{_BODY_SIZE}$")
    ] = "50m"
    """The largest request body in bytes, as nginx writes it (nginx only)."""
    timeout: Seconds = 3600
    """How long a connection may be silent, in seconds (nginx only)."""

    @model_validator(mode="after")
    def _one_class(self) -> Self:
        if CLASS_ANNOTATION not in self.annotations:
            return self
        if self.class_name or self.controller is not Controller.CLOUD:
            raise ValueError(
                f"annotations has {CLASS_ANNOTATION}, which the API server refuses beside a class; "
                "say className, or controller: cloud without one"
            )
        return self

    @model_validator(mode="after")
    def _one_way_to_tls(self) -> Self:
        if self.tls and self.tls_issuer:
            raise ValueError("has tls and tlsIssuer, which is short for tls.issuer.name; keep one")
        return self

    @property
    def encryption(self) -> Tls | None:
        """Where TLS ends, whichever way that is said; None where the host is served without."""
        return Tls(issuer=Issuer(name=self.tls_issuer)) if self.tls_issuer else self.tls
