"""Everything a stack says, by section, and the rules between sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from ado_infra.kit.pod_options import PodOptions
from ado_infra.kit.schema_rules import SchemaRules
from ado_infra.kit.spec import ImageVersion, Spec
from ado_infra.kit.values import DnsName, LabelKey, LabelValue, Registry
from ado_infra.settings.application import ApplicationConfig
from ado_infra.settings.data import Mode, PostgresSettings, RedisSettings
from ado_infra.settings.edge import EdgeSettings
from ado_infra.settings.namespace import NamespaceSettings
from ado_infra.settings.network import NetworkSettings
from ado_infra.settings.network_policies import NetworkPolicySettings, Part
from ado_infra.settings.object_storage import ObjectStorageSettings
from ado_infra.settings.policies import PolicySettings
from ado_infra.settings.production import Profile, production_problems
from ado_infra.settings.secrets import SecretSettings
from ado_infra.settings.tiers import (
    DashboardSettings,
    GatewaySettings,
    MigrationSettings,
    OrchestratorSettings,
    PoolName,
    WorkerPoolSettings,
)

RESERVED_CONNECTIONS: Final = 10
"""Of PostgreSQL's, for superusers (3 by its default), probes and migrations."""


class ImageSettings(Spec):
    """Where images are pulled from."""

    registry: Registry = "ado"
    """Prefix of the platform's own images."""
    mirror: Registry = "docker.io/library"
    """Prefix of the official images `postgres` and `redis`."""
    kubernetes: Registry = "registry.k8s.io"
    """Prefix of the Kubernetes project's image `kubectl`."""
    kubectl_image: ImageVersion = ImageVersion(tag="v1.37.2")
    """Which version of `kubectl` runs; any of the last few releases would do."""
    rclone: Registry = "docker.io/rclone"
    """Prefix of rclone's image `rclone`."""
    rclone_image: ImageVersion = ImageVersion(tag="1.76.0")
    """Which version of `rclone` runs."""
    pull_secret: DnsName | None = None
    """Name of an existing image pull Secret in the platform's namespace."""
    registry_user: Annotated[str, StringConstraints(pattern=r"^[!-9;-~]{1,255}$")] | None = None
    """Who pulls from the host of `registry`; its password is the secret `registryPassword`."""

    @model_validator(mode="after")
    def _one_way_to_pull(self) -> Self:
        if self.pull_secret and self.registry_user:
            raise ValueError(
                "has pullSecret and registryUser, each of which makes the pull Secret; keep one"
            )
        return self

    @property
    def registry_host(self) -> str:
        """The host of `registry`, as a Docker configuration names it."""
        first, slash, _ = self.registry.partition("/")
        is_host = "." in first or ":" in first or first == "localhost"
        hub = first in {"docker.io", "index.docker.io"} or not (is_host and slash)
        return "https://index.docker.io/v1/" if hub else first


class MonitoringSettings(Spec):
    """How a Prometheus finds the platform."""

    service_monitor: bool = True
    """Whether there is a ServiceMonitor; its CRD must exist then."""
    labels: dict[LabelKey, LabelValue] = {}  # noqa: RUF012 - pydantic copies it
    """Labels by which the cluster's Prometheus selects ServiceMonitors."""


def _at_least_one(pools: dict[PoolName, WorkerPoolSettings]) -> dict[PoolName, WorkerPoolSettings]:
    if not pools:
        raise ValueError("names no pool, and without workers no task is ever done; add one")
    return pools


class Settings(Spec):
    """Everything a stack says, by section."""

    profile: Profile = Profile.DEVELOPMENT
    """How much the stack must guarantee; `production` refuses what would lose data or pods."""
    protect_data: bool = True
    """Whether Namespace, data stores and generated secrets refuse to be destroyed."""
    namespace: NamespaceSettings = NamespaceSettings()
    """The namespace that everything is in."""
    images: ImageSettings = ImageSettings()
    """Where images are pulled from."""
    pods: PodOptions = PodOptions()
    """What all pods have besides, those of Jobs too; each `pod` adds to it, or overrides it."""
    network: NetworkSettings = NetworkSettings()
    """How pods reach what is outside the cluster: through a proxy, with a private authority."""
    edge: EdgeSettings
    """Where the platform is reached from outside."""
    gateway: GatewaySettings
    """The API gateway: HTTP and WebSocket entry of the platform."""
    dashboard: DashboardSettings
    """The web dashboard."""
    orchestrator: OrchestratorSettings
    """The orchestrator core."""
    worker_pools: Annotated[
        dict[PoolName, WorkerPoolSettings],
        AfterValidator(_at_least_one),
        SchemaRules({"minProperties": 1}),
    ]
    """The pools of workers by name, at least one; pool `default` is the design's `ado-worker`."""
    postgres: PostgresSettings = PostgresSettings()
    """PostgreSQL: a primary and a streaming replica."""
    redis: RedisSettings = RedisSettings()
    """Redis: a cluster of three masters, with or without a replica of each."""
    object_storage: ObjectStorageSettings
    """An S3-compatible service outside the platform."""
    secrets: SecretSettings = SecretSettings()
    """Secrets that are in Secrets of the namespace instead of the stack's config."""
    migrations: MigrationSettings | None = None
    """A command that brings the database's schema up to date; none when not given."""
    monitoring: MonitoringSettings = MonitoringSettings()
    """How a Prometheus finds the platform."""
    network_policies: NetworkPolicySettings = NetworkPolicySettings()
    """Who may talk to whom: nobody but who is declared, where the cluster enforces it."""
    policies: PolicySettings = PolicySettings()
    """What the policies let pass."""
    config: ApplicationConfig = ApplicationConfig()
    """The applications' own `config.yaml`; keys of their own are kept."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if problems := list(problems_between(dict(self))):
            raise ValueError("\n".join(problems))
        return self


def problems_between(sections: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong between sections that are right in themselves: key, value and what to do.

    `sections`: field of `Settings` → its value; a rule is asked where all that it reads is there.
    """
    if sections.keys() >= {"gateway", "orchestrator", "postgres"}:
        yield from _too_few_connections(
            sections["gateway"], sections["orchestrator"], sections["postgres"]
        )
    if sections.keys() >= {"network_policies", "postgres", "redis", "migrations"}:
        yield from _read_by_nobody(
            sections["network_policies"],
            sections["postgres"],
            sections["redis"],
            sections["migrations"],
        )
    yield from production_problems(sections)


def _read_by_nobody(
    network: NetworkPolicySettings,
    postgres: PostgresSettings,
    redis: RedisSettings,
    migrations: MigrationSettings | None,
) -> Iterator[str]:
    """Of the NetworkPolicies: what is about a store, or a Job, that the stack has not."""
    own = {Part.POSTGRES: postgres.mode, Part.REDIS: redis.mode}
    idle = {
        f"extra.{Part.BACKUP}": postgres.backup is None,
        f"extra.{Part.MIGRATIONS}": migrations is None,
        **{f"extra.{part}": mode is Mode.EXTERNAL for part, mode in own.items()},
        "egress.database": postgres.mode is Mode.INTERNAL,
        "egress.redis": redis.mode is Mode.INTERNAL,
    }
    given = {f"extra.{part}" for part in network.extra}
    given |= {f"egress.{name}" for name in network.egress.model_fields_set}
    for key in sorted(given):
        if idle.get(key):
            yield (
                f"ado:networkPolicies.{key} is about what this stack has not, and nobody reads it; "
                f"remove it\n    pulumi config rm --path 'ado:networkPolicies.{key}'"
            )


def _too_few_connections(
    gateway: GatewaySettings, orchestrator: OrchestratorSettings, postgres: PostgresSettings
) -> Iterator[str]:
    gateways, orchestrators = gateway.scaling.max_replicas, orchestrator.replicas
    wanted = gateways * gateway.pool_size + orchestrators * orchestrator.pool_size
    if wanted + RESERVED_CONNECTIONS > postgres.max_connections:
        yield (
            f"ado:postgres.maxConnections = {postgres.max_connections}: too low for "
            f"{gateways} gateways x poolSize {gateway.pool_size} + "
            f"{orchestrators} orchestrators x poolSize {orchestrator.pool_size} + "
            f"{RESERVED_CONNECTIONS} reserved = {wanted + RESERVED_CONNECTIONS}; "
            "raise it, or lower a poolSize\n"
            f"    pulumi config set --path 'ado:postgres.maxConnections' "
            f"{wanted + RESERVED_CONNECTIONS}"
        )
