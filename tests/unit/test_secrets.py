"""Secrets: where they are, that they are nowhere else, and that they arrive whole."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pulumi
import pytest

from ado_infra.data.object_storage import ObjectStorage, ObjectStorageArgs
from ado_infra.data.postgres import Postgres, PostgresArgs
from ado_infra.data.redis import Redis, RedisArgs
from ado_infra.data.stores import Stores, StoresArgs
from ado_infra.secrets import AgentCredentials, ObjectStorageCredentials, StackSecrets
from ado_infra.settings import Mode, ObjectStorageSettings, PostgresSettings, RedisSettings
from ado_infra.settings.application import ApplicationConfig
from ado_infra.site import Site
from ado_infra.tiers.configuration import Configuration, ConfigurationArgs
from tests.support.manifests import checksums
from tests.support.recording import (
    SECRETS,
    Recording,
    is_secret,
    record,
    record_stack,
    secret_paths,
    unwrapped,
)

NASTY = "p@ss:w/o%rd+'\" #?&=\\ä"
GIVEN = {**SECRETS, "ado:databasePassword": "database-canary", "ado:redisPassword": "redis-canary"}


@pytest.fixture(scope="module")
def given() -> Recording:
    """The prod stack with every secret given."""
    return record_stack("prod", secrets=GIVEN)


def _data(stack: Recording, name: str) -> dict[str, str]:
    secret = stack.get("Secret", name)
    assert "stringData" not in secret
    return {key: base64.b64decode(text).decode() for key, text in secret.get("data", {}).items()}


def _holding(value: Any, path: str = "") -> Iterator[str]:
    """Paths at which a canary, plain or in base64, stands outside of what is secret."""
    if is_secret(value):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _holding(key, f"{path}.{key}")
            yield from _holding(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _holding(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        hidden = [*GIVEN.values(), "generated-"]
        encoded = [base64.b64encode(text.encode()).decode().rstrip("=")[:-2] for text in hidden]
        if any(text in value for text in (*hidden, *encoded)):
            yield path


class TestSecretness:
    def test_the_data_of_every_secret_is_secret_and_nothing_else_is(self, stack: Recording) -> None:
        found = {(r.key, path) for r in stack.resources for path in secret_paths(dict(r.inputs))}
        assert {(key, path.split(".")[0]) for key, path in found} == {
            (("Secret", name), "data")
            for name in (
                "ado-agent-credentials",
                "ado-digest-key",
                "ado-object-storage",
                "ado-secrets",
                "postgresql",
                "redis",
            )
        }

    def test_no_secret_stands_anywhere_in_plain_text(self, given: Recording) -> None:
        plain = {r.key: list(_holding(dict(r.inputs))) for r in given.resources}
        assert {key: paths for key, paths in plain.items() if paths} == {}
        outputs = {urn: list(_holding(shown)) for urn, shown in given.outputs.items()}
        assert {urn: paths for urn, paths in outputs.items() if paths} == {}
        assert list(_holding(given.exports)) == []

    def test_every_secret_that_is_given_arrives(self, given: Recording) -> None:
        data = {
            name: _data(given, name)
            for name in ("ado-agent-credentials", "ado-object-storage", "postgresql", "redis")
        }
        generated = "generated-ado-stores-replication-password"
        assert data == {
            "ado-agent-credentials": {
                "anthropic-api-key": "sk-ant-canary",
                "google-api-key": "AIza-canary",
            },
            "ado-object-storage": {"access-key": "AKIA-canary", "secret-key": "s3-canary"},
            "postgresql": {"password": "database-canary", "replication-password": generated},
            "redis": {"password": "redis-canary"},
        }

    def test_urls_among_the_outputs_are_secret(self, given: Recording) -> None:
        secret = {
            (urn.rpartition("::")[2], path)
            for urn, shown in given.outputs.items()
            for path in secret_paths(shown)
        }
        assert secret == {("ado-stores-postgres", "url"), ("ado-stores-redis", "url")}


class TestPasswords:
    def test_those_that_are_not_given_are_generated(self, stack: Recording) -> None:
        assert _data(stack, "postgresql") == {
            "password": "generated-ado-stores-database-password",
            "replication-password": "generated-ado-stores-replication-password",
        }
        assert _data(stack, "redis") == {"password": "generated-ado-stores-redis-password"}
        assert _data(stack, "ado-secrets") == {
            "database-url": (
                "postgresql://ado:generated-ado-stores-database-password@postgresql:5432/ado"
            ),
            "redis-url": "redis://:generated-ado-stores-redis-password@redis:6379/0",
        }

    def test_generated_ones_are_long_and_without_signs(self, stack: Recording) -> None:
        passwords = [r for r in stack.resources if r.type.endswith(":RandomPassword")]
        assert [unwrapped(r.inputs) for r in passwords] == 3 * [{"length": 32, "special": False}]
        (key,) = [r for r in stack.resources if r.type.endswith(":RandomBytes")]
        assert unwrapped(key.inputs) == {"length": 32}

    def test_given_ones_take_the_place_of_generated_ones_which_stay(
        self, prod: Recording, given: Recording
    ) -> None:
        assert given.keys() == prod.keys()
        assert _data(given, "ado-secrets") == {
            "database-url": "postgresql://ado:database-canary@postgresql:5432/ado",
            "redis-url": "redis://:redis-canary@redis:6379/0",
        }

    def test_one_with_any_sign_in_it_survives_its_url(self) -> None:
        stack = record_stack(
            "dev", secrets={"ado:databasePassword": NASTY, "ado:redisPassword": NASTY}
        )
        urls = _data(stack, "ado-secrets")
        database, redis = (urlsplit(urls[key]) for key in ("database-url", "redis-url"))
        for parts in (database, redis):
            assert parts.password == quote(NASTY, safe="")
            assert unquote(parts.password or "") == NASTY
        assert (database.username, database.hostname, database.port) == ("ado", "postgresql", 5432)
        assert (redis.username, redis.hostname, redis.port) == ("", "redis", 6379)
        assert (database.path, redis.path) == ("/ado", "/0")
        assert _data(stack, "postgresql")["password"] == NASTY
        assert _data(stack, "redis")["password"] == NASTY


SITE = Site("shop", namespace="shop")
STORAGE = ObjectStorageSettings(endpoint="https://s3.example.com")
PARTS: dict[str, Callable[[], object]] = {
    "password of PostgreSQL": lambda: Postgres("p", PostgresArgs(site=SITE, password="canary\n")),
    "password of its standby": lambda: Postgres(
        "p", PostgresArgs(site=SITE, replication_password="canary\n")
    ),
    "password of Redis": lambda: Redis("r", RedisArgs(site=SITE, password="canary\r\n")),
    "key of object storage": lambda: ObjectStorage(
        "o",
        ObjectStorageArgs(
            site=SITE,
            settings=STORAGE,
            credentials=ObjectStorageCredentials(
                access_key=pulumi.Output.from_input("a"),
                secret_key=pulumi.Output.secret("canary\n"),
            ),
        ),
    ),
    "key of a model": lambda: Configuration(
        "c",
        ConfigurationArgs(
            site=SITE,
            config=ApplicationConfig(),
            agent_credentials=AgentCredentials(google_api_key=pulumi.Output.secret("canary\n")),
        ),
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_the_line_break_behind_a_secret_of_a_programs_own_is_taken_away(part: str) -> None:
    made = record(PARTS[part], into=Recording())
    (warning,) = made.warnings
    assert "ends with a line break" in warning
    assert "canary" not in warning
    texts = [
        base64.b64decode(text).decode()
        for secret in made.of_kind("Secret")
        for text in secret["data"].values()
    ]
    assert "canary" in texts
    assert not [text for text in texts if text != text.strip()]


def test_the_url_of_an_external_store_has_no_line_break() -> None:
    url = pulumi.Output.secret("redis://:canary@redis.example.com:6379/0\n")
    settings = RedisSettings(mode=Mode.EXTERNAL)
    args = StoresArgs(
        site=SITE,
        postgres=PostgresSettings(),
        redis=settings,
        object_storage=STORAGE,
        secrets=StackSecrets(redis_url=url),
    )
    made = record(lambda: Stores("s", args))
    assert _data(made, "ado-secrets")["redis-url"] == "redis://:canary@redis.example.com:6379/0"


def test_credentials_that_were_not_given_are_left_out() -> None:
    stack = record_stack("dev", secrets={"ado:googleApiKey": "AIza"})
    assert _data(stack, "ado-agent-credentials") == {"google-api-key": "AIza"}


def test_where_none_was_given_there_is_no_empty_data_that_every_preview_would_add() -> None:
    stack = record_stack("dev", secrets={})
    assert "data" not in stack.get("Secret", "ado-agent-credentials")


def test_a_digest_is_made_with_the_stacks_own_key(given: Recording) -> None:
    credentials = {"anthropic-api-key": "sk-ant-canary", "google-api-key": "AIza-canary"}
    text = json.dumps(credentials, sort_keys=True).encode()
    key = bytes.fromhex("ab" * 32)  # what the mocks answer for RandomBytes
    told = checksums(given, "ado-worker")["checksum/agent-credentials"]
    assert told == hmac.new(key, text, hashlib.sha256).hexdigest()
