"""The NetworkPolicies of a stack, and where that is what they let pass."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from ado_infra.kit.schema_rules import SchemaRules, exactly_one_of, pattern_rule
from ado_infra.kit.spec import Spec
from ado_infra.kit.values import Cidr, NamespaceName, PortNumber

_NODE_LOCAL_DNS: Final = "169.254.20.10/32"


class Somewhere(Spec):
    """A range of addresses, or a namespace of the cluster: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra=exactly_one_of("cidr", "namespace"))

    cidr: Cidr | None = None
    """A range of addresses, such as `10.0.0.0/16`, or one: `10.1.2.3/32`."""
    namespace: NamespaceName | None = None
    """Name of a namespace of the same cluster: every pod in it."""

    @model_validator(mode="after")
    def _one_kind_of_place(self) -> Self:
        if (self.cidr is None) == (self.namespace is None):
            raise ValueError("needs exactly one of cidr and namespace")
        return self


class Place(Somewhere):
    """Where something is on the network: a range of addresses, or a namespace of the cluster."""

    ports: tuple[PortNumber, ...] = ()
    """Ports of TCP that pods listen at, not those of a Service; the usual ones when not given."""


class Opening(Somewhere):
    """Something else that may be reached, or may come."""

    ports: Annotated[tuple[PortNumber, ...], Field(min_length=1)]
    """Ports of TCP that pods listen at, not those of a Service."""
    why: Annotated[
        str,
        StringConstraints(pattern=r"\S", max_length=100),
        pattern_rule("reason", r"\S", maxLength=100),
    ]
    """What for, in a few words."""


class Openings(Spec):
    """What else a part of the platform may reach, and who else may come to it."""

    ingress: tuple[Opening, ...] = ()
    """Who may come to its pods, and to which of their ports."""
    egress: tuple[Opening, ...] = ()
    """What its pods may reach."""


@unique
class Part(StrEnum):
    """A part of the platform whose pods are policed."""

    GATEWAY = "gateway"
    DASHBOARD = "dashboard"
    ORCHESTRATOR = "orchestrator"
    WORKERS = "workers"
    POSTGRES = "postgres"
    REDIS = "redis"
    BACKUP = "backup"
    MIGRATIONS = "migrations"


PolicedPart = Annotated[Part, SchemaRules({"title": "part"})]


class EgressSettings(Spec):
    """Where that is what pods reach outside the platform; what is not given derives."""

    dns: tuple[Place, ...] = (Place(cidr=_NODE_LOCAL_DNS),)
    """Where names are resolved beside kube-dns; port 53, by UDP and TCP."""
    api_server: tuple[Place, ...] | None = None
    """The API server, for the Job that asks it; any address at 443 and 6443 when not given."""
    database: tuple[Place, ...] | None = None
    """An external PostgreSQL; any address at 5432 when not given."""
    redis: tuple[Place, ...] | None = None
    """An external Redis; any address at the ports of `redis.nodes` or 6379 when not given."""
    object_storage: tuple[Place, ...] | None = None
    """Where `objectStorage.endpoint` is; by its host and port when not given."""
    model_providers: tuple[Place, ...] | None = None
    """What workers without a `modelGateway` reach beside the platform; any public address at 443
    when not given."""
    model_gateway: tuple[Place, ...] | None = None
    """Gateways of `workerPools.<name>.modelGateway`; by host and port of each when not given."""
    proxy: tuple[Place, ...] | None = None
    """The proxy of `ado:network`; by its host and port when not given."""
    tracing: tuple[Place, ...] | None = None
    """Where `config.observability.tracing.endpoint` is; by its host and port when not given."""
    denied: tuple[Cidr, ...] = ()
    """Ranges that are no public addresses here, beside those that are private everywhere."""


class NetworkPolicySettings(Spec):
    """Who may talk to whom: nobody but who is declared, where the cluster enforces it."""

    enabled: bool = True
    """Whether there are NetworkPolicies: each pod then reaches what its part declares, no more."""
    ingress_namespace: NamespaceName | None = None
    """Namespace of the ingress controller; `ingress-nginx` or `traefik` when not given."""
    ingress_addresses: tuple[Cidr, ...] = ()
    """Addresses that requests from outside come from where that is no pod, as a load balancer's."""
    monitoring_namespace: NamespaceName = "monitoring"
    """Namespace of the Prometheus that scrapes the tiers."""
    monitoring_addresses: tuple[Cidr, ...] = ()
    """Addresses that scrapes come from where that is no pod."""
    egress: EgressSettings = EgressSettings()
    """Where that is what pods reach outside the platform; what is not given derives."""
    extra: dict[PolicedPart, Openings] = {}  # noqa: RUF012 - pydantic copies it
    """Part of the platform → what it may reach beside, and who may come."""
