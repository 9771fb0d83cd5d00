"""Two platforms in one cluster, by a program that composes them."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.deployment import Deployment
from tests.cluster.test_platform_changes import WORKLOADS

TWO_PLATFORMS = """
from ado_infra import AdoPlatform, AdoPlatformArgs, load_stack
from ado_infra.settings import NamespaceSettings

settings, secrets = load_stack()
for name in ("blue", "green"):
    own = settings.model_copy(update={"namespace": NamespaceSettings(name=f"ado-{name}")})
    AdoPlatform(name, AdoPlatformArgs(settings=own, secrets=secrets))
"""
ON_STORES_OF_THE_OTHER = """
from dataclasses import replace
import pulumi
from ado_infra import AdoPlatform, AdoPlatformArgs, load_stack
from ado_infra.settings import Mode, NamespaceSettings, PostgresSettings, RedisSettings

settings, secrets = load_stack()
blue = settings.model_copy(update={"namespace": NamespaceSettings(name="ado-blue")})
AdoPlatform("blue", AdoPlatformArgs(settings=blue, secrets=secrets))

nodes = tuple(f"redis-{ordinal}.redis-headless.ado-blue:6379" for ordinal in range(3))
changes = {
    "namespace": NamespaceSettings(name="ado-green"),
    "postgres": PostgresSettings(mode=Mode.EXTERNAL, max_connections=100),
    "redis": RedisSettings(mode=Mode.EXTERNAL, nodes=nodes),
}
database = "postgresql://ado:{}@postgresql.ado-blue:5432/ado"
urls = replace(
    secrets,
    database_url=pulumi.Output.format(database, secrets.database_password),
    redis_url=pulumi.Output.format("redis://:{}@redis.ado-blue:6379/0", secrets.redis_password),
)
green = settings.model_copy(update=changes)
AdoPlatform("green", AdoPlatformArgs(settings=green, secrets=urls))
"""


def test_two_platforms_live_side_by_side_and_one_moves_to_the_stores_of_the_other(
    undeployed: Deployment, tmp_path: Path
) -> None:
    for path in ("ado:databasePassword", "ado:redisPassword"):
        undeployed.give(path, "a-password-of-both")
    (tmp_path / "__main__.py").write_text(TWO_PLATFORMS)
    outcome = undeployed.engine().up()
    assert outcome.succeeded, outcome.errors
    for name in ("blue", "green"):
        tiers = undeployed.wait_until_ready(f"ado-{name}")
        assert {tier.name for tier in tiers if tier.kind != "Job"} == set(WORKLOADS)

    (tmp_path / "__main__.py").write_text(ON_STORES_OF_THE_OTHER)
    outcome = undeployed.engine().up()
    assert outcome.succeeded, outcome.errors
    undeployed.wait_until_ready("ado-blue")
    tiers = undeployed.wait_until_ready("ado-green")
    assert {tier.name for tier in tiers} == set(WORKLOADS) - {"postgresql", "redis"}
