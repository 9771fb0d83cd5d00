"""What a stack does without and may regret: warnings, in the terms of its settings.

Said by the platform. A component that is used alone says nothing of settings that its user does
not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ado_infra.secrets import ConfigSecret, StackSecrets
from ado_infra.settings import (
    Controller,
    Credentials,
    EdgeSettings,
    Mode,
    Profile,
    RedisSettings,
    Settings,
)
from ado_infra.surroundings import leads_to_providers, surroundings

ALB: Final = "alb"
"""The IngressClass that AWS's load balancer controller makes."""
_ALB_TARGETS: Final = "alb.ingress.kubernetes.io/target-type"


def gaps(settings: Settings, secrets: StackSecrets) -> Iterator[str]:
    """Each gap: what follows from it, and how to close it."""
    yield from _missing_secrets(settings, secrets)
    yield from _not_expressible(settings.edge)
    yield from _of_albs(settings.edge)
    if settings.network_policies.enabled:
        yield from _wide_open(settings)
    if settings.profile is Profile.PRODUCTION:
        yield from _of_production(settings)


def _missing_secrets(settings: Settings, secrets: StackSecrets) -> Iterator[str]:
    alone = any(pool.model_gateway is None for pool in settings.worker_pools.values())
    if alone and not secrets.agents.data:
        yield _give(
            "No key of a model provider: workers are given none, and fail unless their agents "
            "reach a model without; one of these is enough",
            ConfigSecret.ANTHROPIC_API_KEY,
            ConfigSecret.GOOGLE_API_KEY,
        )
    keys = settings.object_storage.credentials is Credentials.KEYS
    if keys and not secrets.object_storage.data:
        yield _give(
            "No credentials for object storage: orchestrator, workers and backups are given none, "
            "and fail unless their pods have an identity of their own",
            ConfigSecret.OBJECT_STORAGE_ACCESS_KEY,
            ConfigSecret.OBJECT_STORAGE_SECRET_KEY,
        )
    backed_up = settings.postgres.mode is Mode.INTERNAL and settings.postgres.backup
    if backed_up and secrets.object_storage.data and not secrets.backup.data:
        yield _give(
            "The backup has the keys that workers have: what a model has them run can delete every "
            "backup. Give the backup keys of its own, to a bucket that the others cannot reach",
            ConfigSecret.BACKUP_ACCESS_KEY,
            ConfigSecret.BACKUP_SECRET_KEY,
        )


def _give(consequence: str, *secrets: ConfigSecret) -> str:
    commands = (f"pulumi config set --secret ado:{key}" for key in secrets)
    return "\n    ".join([consequence, *commands])


def _not_expressible(edge: EdgeSettings) -> Iterator[str]:
    """What was asked for and an Ingress cannot tell this controller, each with where it can."""
    where = {
        Controller.TRAEFIK: "a Middleware `buffering` and the entry point's transport options",
        Controller.CLOUD: "the load balancer's own configuration, or by edge.annotations",
    }
    if edge.controller in where:
        for key, value in (("bodySize", edge.body_size), ("timeout", f"{edge.timeout} s")):
            yield (
                f"ado:edge.{key} = {value} cannot be told to the controller {edge.controller} "
                f"by an Ingress; it is set in {where[edge.controller]}"
            )


def _of_albs(edge: EdgeSettings) -> Iterator[str]:
    """What AWS's load balancers do with an Ingress and Services that others can use."""
    if edge.class_name != ALB:
        return
    if edge.annotations.get(_ALB_TARGETS) != "ip":
        yield (
            f"ado:edge.className = {ALB}: its load balancer asks nodes unless it is told to ask "
            "pods, and no node answers for these Services\n"
            f"    pulumi config set --path 'ado:edge.annotations[\"{_ALB_TARGETS}\"]' ip"
        )
    if edge.encryption and not edge.encryption.load_balancer:
        given = "edge.tlsIssuer" if edge.tls_issuer else "edge.tls"
        yield (
            f"ado:edge.className = {ALB}: its load balancer reads no Secret, so the certificate of "
            f"{given} is not served; import it there, and say so\n"
            f"    pulumi config rm --path 'ado:{given}'\n"
            "    pulumi config set --path 'ado:edge.tls.loadBalancer' true"
        )


def _wide_open(settings: Settings) -> Iterator[str]:
    """What NetworkPolicies let through because the stack does not say where it is."""
    network, egress = settings.network_policies, settings.network_policies.egress
    of_cloud = settings.edge.controller is Controller.CLOUD
    if of_cloud and not (network.ingress_namespace or network.ingress_addresses):
        yield (
            "Gateway and dashboard take requests from any address, as the stack does not say where "
            "its load balancer sends from\n"
            "    pulumi config set --path 'ado:networkPolicies.ingressAddresses[0]' CIDR"
        )
    redis_of_nodes = settings.redis.nodes
    stores = {
        "database": (settings.postgres.mode, egress.database, "gateways and orchestrators"),
        "redis": (settings.redis.mode, egress.redis or redis_of_nodes, "workers, too,"),
    }
    for key, (mode, given, who) in stores.items():
        if mode is Mode.EXTERNAL and not given:
            yield (
                f"The stack does not say where its external {key} is: {who} may reach any address "
                "at its usual port\n"
                f"    pulumi config set --path 'ado:networkPolicies.egress.{key}[0].cidr' CIDR"
            )
    yield from _beside_model_gateways(settings)


def _beside_model_gateways(settings: Settings) -> Iterator[str]:
    """What leads workers that have a gateway to model providers all the same."""
    around = surroundings(settings)
    places = {
        "objectStorage": ("object storage", around.object_storage),
        "tracing": ("collector of traces", around.tracing),
        "modelGateway": ("gateway", [p for each in around.model_gateways.values() for p in each]),
    }
    for key, (what, where) in places.items():
        if around.model_gateways and any(map(leads_to_providers, where)):
            yield (
                "Workers with a modelGateway reach every public address at port 443 all the same, "
                f"those of model providers too: the stack does not say where its {what} is\n"
                f"    pulumi config set --path 'ado:networkPolicies.egress.{key}[0].cidr' CIDR"
            )


def _of_production(settings: Settings) -> Iterator[str]:
    if settings.postgres.mode is Mode.INTERNAL and settings.postgres.backup is None:
        yield (
            "PostgreSQL has no backup: whoever drops a table, or loses both volumes, loses all "
            "of it\n    pulumi config set --path 'ado:postgres.backup.bucket' NAME"
        )
    if settings.redis.mode is Mode.INTERNAL and not settings.redis.replicas_per_master:
        yield (
            "Redis has no replicas: while a node is away so is its share of the keys, and with "
            "its volume that is lost\n"
            "    pulumi config set --path 'ado:redis.replicasPerMaster' 1"
        )
    yield from _memory_beyond_the_volume(settings.redis)


def _memory_beyond_the_volume(redis: RedisSettings) -> Iterator[str]:
    if redis.mode is Mode.INTERNAL and redis.memory_for_data > redis.volume_for_data:
        memory, volume = redis.resources.limits.memory, redis.volume.size
        yield (
            f"ado:redis.resources.limits.memory = {memory}: a node keeps less data than that has "
            f"room for, as its log, written anew, fits no more than a third of volume.size = "
            f"{volume} beside the old one; lower it, or grow the volumes to "
            f"{-(-redis.memory_for_data * 3 // 2**30)}Gi"
        )
