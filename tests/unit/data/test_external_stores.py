"""Stores outside the platform: nothing of ours runs, their URLs reach the applications."""

from __future__ import annotations

import base64
import re
from typing import Any

import kubernetes_validate
import pulumi
import pytest

from ado_infra import AdoPlatform, AdoPlatformArgs, StackSecrets, load_stack
from tests.support.manifests import changes, environment
from tests.support.recording import (
    SECRETS,
    Recording,
    configure,
    merged,
    record,
    record_stack,
    secret_paths,
    stack_config,
    unwrapped,
)

DATABASE, REDIS = {"ado:postgres": '{"mode": "external"}'}, {"ado:redis": '{"mode": "external"}'}
DATABASE_URL = {"ado:databaseUrl": "postgresql://ado:database-canary@db.example.com/ado"}
REDIS_URL = {"ado:redisUrl": "rediss://:redis-canary@redis.example.com:6380/0"}
PASSWORD = "random:index/randomPassword:RandomPassword"
OF_POSTGRESQL = {
    (PASSWORD, "ado-stores-database-password"),
    (PASSWORD, "ado-stores-replication-password"),
    ("ConfigMap", "postgresql-config"),
    ("ConfigMap", "postgresql-state"),
    ("ServiceAccount", "postgresql"),
    ("ServiceAccount", "postgresql-state"),
    ("Role", "postgresql-state"),
    ("RoleBinding", "postgresql-state"),
    ("Job", "postgresql-state-begin"),
    ("Secret", "postgresql"),
    ("StatefulSet", "postgresql"),
    ("Service", "postgresql"),
    ("Service", "postgresql-headless"),
    ("Service", "postgresql-ro"),
    ("PodDisruptionBudget", "postgresql-pdb"),
    ("NetworkPolicy", "postgresql-netpol"),
    ("NetworkPolicy", "postgresql-state-netpol"),
}
OF_REDIS = {
    (PASSWORD, "ado-stores-redis-password"),
    ("ConfigMap", "redis-config"),
    ("ServiceAccount", "redis"),
    ("ServiceAccount", "redis-cluster-create"),
    ("Job", "redis-cluster-create"),
    ("Secret", "redis"),
    ("StatefulSet", "redis"),
    ("Service", "redis"),
    ("Service", "redis-headless"),
    ("PodDisruptionBudget", "redis-pdb"),
    ("NetworkPolicy", "redis-netpol"),
    ("NetworkPolicy", "redis-cluster-create-netpol"),
}
READERS = ("ado-api-gateway", "ado-orchestrator", "ado-worker")


def _external(name: str = "dev", extra: dict[str, Any] | None = None, **secrets: str) -> Recording:
    """A stack both of whose stores are outside."""
    given = {**SECRETS, **DATABASE_URL, **REDIS_URL}
    given |= {f"ado:{key}": value for key, value in secrets.items()}
    return record_stack(name, changes={**DATABASE, **REDIS, **(extra or {})}, secrets=given)


def _without_digests(keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Jobs by what they are, whatever exactly they do."""
    return {(k, re.sub(r"-[0-9a-f]{10}$", "", n) if k == "Job" else n) for k, n in keys}


@pytest.fixture(scope="module")
def external() -> Recording:
    return _external()


def _refusal(changed: dict[str, Any], secrets: dict[str, str]) -> list[str]:
    configure(merged(stack_config("dev"), changed), {**SECRETS, **secrets})
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()[0]
    return str(refused.value).splitlines()


class TestObjects:
    def test_what_a_store_would_be_made_of_is_not_there(self, dev: Recording) -> None:
        database = record_stack("dev", changes=DATABASE, secrets={**SECRETS, **DATABASE_URL})
        assert _without_digests(dev.keys() - database.keys()) == OF_POSTGRESQL
        assert database.keys() < dev.keys()
        redis = record_stack("dev", changes=REDIS, secrets={**SECRETS, **REDIS_URL})
        assert _without_digests(dev.keys() - redis.keys()) == OF_REDIS
        assert redis.keys() < dev.keys()

    @pytest.mark.parametrize("name", ["dev", "prod"])
    def test_the_rest_stands_without_them(self, name: str) -> None:
        stack = _external(name)
        assert not stack.of_kind("StatefulSet") + stack.of_kind("Job")
        for resource in stack.objects:
            if resource.key[0] != "ServiceMonitor":
                kubernetes_validate.validate(resource.manifest, "1.37", strict=True)

    def test_their_urls_arrive_and_stay_secret(self, external: Recording) -> None:
        (secret,) = [r for r in external.resources if r.key == ("Secret", "ado-secrets")]
        data = {k: base64.b64decode(v).decode() for k, v in secret.manifest["data"].items()}
        assert data == {
            "database-url": DATABASE_URL["ado:databaseUrl"],
            "redis-url": REDIS_URL["ado:redisUrl"],
        }
        assert {path.split(".")[0] for path in secret_paths(dict(secret.inputs))} == {"data"}
        for resource in external.resources:
            plain = resource.manifest if resource is not secret else {}
            assert "canary@" not in str(unwrapped(plain)), resource.name

    def test_a_changed_url_rolls_its_readers_alone(self, external: Recording) -> None:
        changed = _external(redisUrl="redis://elsewhere")
        readers = {("Deployment", reader) for reader in READERS}
        assert changes(external, changed).keys() == {*readers, ("Secret", "ado-secrets")}

    def test_the_readers_read_the_same_keys_as_ever(
        self, external: Recording, dev: Recording
    ) -> None:
        for reader in READERS:
            told = environment(dev, reader)
            del told["REDIS_CLUSTER_NODES"]  # whether it is a cluster nobody has said
            assert environment(external, reader) == told

    def test_nodes_of_a_cluster_are_told(self) -> None:
        nodes = '{"mode": "external", "nodes": ["a.example.com:6379", "10.0.0.1:7000"]}'
        told = environment(_external(extra={"ado:redis": nodes}), "ado-worker")
        assert told["REDIS_CLUSTER_NODES"] == "a.example.com:6379,10.0.0.1:7000"

    def test_another_url_of_the_database_migrates_nothing_again(self) -> None:
        migrations = {"ado:migrations": {"command": ["ado", "migrate"]}}
        before = _external(extra=migrations)
        after = _external(extra=migrations, databaseUrl="postgresql://elsewhere/ado")
        inside = record_stack("dev", changes=migrations)
        name = before.only("Job")["metadata"]["name"]
        assert after.only("Job")["metadata"]["name"] == name
        assert name not in {job["metadata"]["name"] for job in inside.of_kind("Job")}


class TestRefusals:
    @pytest.mark.parametrize(
        ("section", "key"), [("postgres", "databaseUrl"), ("redis", "redisUrl")]
    )
    def test_a_missing_url_is_demanded_with_its_command(self, section: str, key: str) -> None:
        assert _refusal({f"ado:{section}": '{"mode": "external"}'}, {}) == [
            "The settings of this stack have 1 problem:",
            f"  ado:{key} is missing; ado:{section}.mode = external demands it",
            f"    pulumi config set --secret ado:{key}",
        ]

    @pytest.mark.parametrize(
        ("section", "secret"), [("postgres", DATABASE_URL), ("redis", REDIS_URL)]
    )
    def test_a_url_that_nobody_reads_is_refused(self, section: str, secret: dict[str, str]) -> None:
        (key,) = secret
        assert _refusal({}, secret) == [
            "The settings of this stack have 1 problem:",
            f"  {key} is given and not read; ado:{section}.mode = internal",
            f"    pulumi config rm {key}",
        ]

    def test_a_password_that_nobody_reads_is_refused(self) -> None:
        refusal = _refusal(REDIS, {**REDIS_URL, "ado:redisPassword": "canary"})
        assert refusal[1] == "  ado:redisPassword is given and not read; ado:redis.mode = external"
        assert len(refusal) == 3

    @pytest.mark.parametrize("url", ["http://canary", "canary"])
    def test_a_url_of_another_kind_is_refused_and_not_shown(self, url: str) -> None:
        refusal = _refusal(REDIS, {"ado:redisUrl": url})
        assert refusal[1] == "  ado:redisUrl does not begin with rediss:// or redis://"
        assert "canary" not in str(refusal)

    def test_a_wrong_mode_is_said_once(self) -> None:
        refusal = _refusal({"ado:redis": '{"mode": "extern"}'}, REDIS_URL)
        assert refusal[:2] == [
            "The settings of this stack have 1 problem:",
            "  ado:redis.mode = \"extern\": must be 'internal' or 'external'",
        ]

    def test_what_is_not_read_is_named_beside_the_missing_url(self) -> None:
        refusal = _refusal({"ado:redis": {"mode": "external"}}, {})
        assert refusal[0] == "The settings of this stack have 2 problems:"
        assert "ado:redisUrl is missing" in refusal[1]
        assert refusal[3] == (
            "  ado:redis: with mode external nobody reads antiAffinity, appendfsync, resources, "
            "volume; remove what is not read"
        )

    def test_an_external_database_is_backed_up_by_nobody_here(self) -> None:
        section = '{"mode": "external", "backup": {"bucket": "backups"}}'
        refusal = _refusal({"ado:postgres": section}, DATABASE_URL)
        assert refusal[1] == (
            "  ado:postgres: with mode external nobody reads backup; remove what is not read"
        )

    def test_the_connections_of_an_external_database_are_counted_too(self) -> None:
        section = '{"mode": "external", "maxConnections": 30}'
        refusal = _refusal({"ado:postgres": section}, DATABASE_URL)
        assert "ado:postgres.maxConnections = 30: too low" in refusal[1]

    @pytest.mark.parametrize("given", ["database", "redis"])
    def test_a_program_that_gives_one_url_of_two_is_refused(self, given: str) -> None:
        urls = {**SECRETS, **DATABASE_URL, **REDIS_URL}
        configure(merged(stack_config("dev"), {**DATABASE, **REDIS}), urls)
        settings = load_stack()[0]

        def program() -> None:
            url = pulumi.Output.from_input("postgresql://x")
            one = StackSecrets(database_url=url)
            other = StackSecrets(redis_url=url)
            secrets = {"database": one, "redis": other}[given]
            AdoPlatform("ado", AdoPlatformArgs(settings=settings, secrets=secrets))

        made = Recording()
        with pytest.raises(pulumi.RunError, match="is missing; an external store"):
            record(program, into=made)
        assert made.objects == []
