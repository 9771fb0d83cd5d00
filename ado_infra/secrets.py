"""What must stay secret: Outputs only, from Pulumi config, or generated once and kept in the state.

Nothing here turns a secret into `str`; the digests that roll pods are the one thing that is made
public, and they say nothing about the value without the stack's own key (see `kit/published.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

import pulumi
from pulumi_random import RandomPassword

from ado_infra.settings import Mode

Secret = pulumi.Output[str]


@unique
class ConfigSecret(StrEnum):
    """The secrets that a stack gives, as keys of its config."""

    ANTHROPIC_API_KEY = "anthropicApiKey"
    """API key of Anthropic for the workers; production demands it."""
    GOOGLE_API_KEY = "googleApiKey"
    """API key of Google for the workers; production demands it."""
    DATABASE_URL = "databaseUrl"
    """URL of a PostgreSQL of yours; with `postgres.mode: external` alone, which demands it."""
    DATABASE_PASSWORD = "databasePassword"  # noqa: S105 - the key, not the password
    """Password of PostgreSQL's role `ado`; generated once when not given."""
    REDIS_URL = "redisUrl"
    """URL of a Redis of yours; with `redis.mode: external` alone, which demands it."""
    REDIS_PASSWORD = "redisPassword"  # noqa: S105 - the key, not the password
    """Password of Redis; generated once when not given."""
    OBJECT_STORAGE_ACCESS_KEY = "objectStorageAccessKey"
    """Access key of the object storage; both keys or none, and production demands them."""
    OBJECT_STORAGE_SECRET_KEY = "objectStorageSecretKey"  # noqa: S105 - the key, not the secret
    """Secret key of the object storage; both keys or none, and production demands them."""
    BACKUP_ACCESS_KEY = "backupAccessKey"
    """Access key of PostgreSQL's backup alone; both keys or none, then the object storage's."""
    BACKUP_SECRET_KEY = "backupSecretKey"  # noqa: S105 - the key, not the secret
    """Secret key of PostgreSQL's backup alone; both keys or none, then the object storage's."""
    REGISTRY_PASSWORD = "registryPassword"  # noqa: S105 - the key, not the password
    """Password or token of `images.registryUser`, which demands it."""


STORE_SECRETS: Mapping[ConfigSecret, tuple[str, Mode]] = {
    ConfigSecret.DATABASE_URL: ("postgres", Mode.EXTERNAL),
    ConfigSecret.DATABASE_PASSWORD: ("postgres", Mode.INTERNAL),
    ConfigSecret.REDIS_URL: ("redis", Mode.EXTERNAL),
    ConfigSecret.REDIS_PASSWORD: ("redis", Mode.INTERNAL),
}
"""Secret of a store → its section, and the mode in which it is read."""


@dataclass(frozen=True, kw_only=True)
class AgentCredentials:
    """API keys of the model providers that agents work with; None where a stack gives none."""

    anthropic_api_key: Secret | None = None
    google_api_key: Secret | None = None

    @property
    def data(self) -> dict[str, Secret]:
        """The keys that were given, by their name in the Secret; always secret."""
        return _given(
            {
                "anthropic-api-key": self.anthropic_api_key,
                "google-api-key": self.google_api_key,
            }
        )


@dataclass(frozen=True, kw_only=True)
class ObjectStorageCredentials:
    """Who the platform is to its object storage; None where a stack gives none.

    Raises pulumi.RunError where one of the two keys is given without the other.
    """

    access_key: Secret | None = None
    secret_key: Secret | None = None

    def __post_init__(self) -> None:
        if (self.access_key is None) == (self.secret_key is None):
            return
        given, missing = "access_key", "secret_key"
        if self.access_key is None:
            given, missing = missing, given
        raise pulumi.RunError(
            f"ObjectStorageCredentials has {given} and no {missing}; give both keys, or none"
        )

    @property
    def data(self) -> dict[str, Secret]:
        """The keys that were given, by their name in the Secret; always secret."""
        return _given({"access-key": self.access_key, "secret-key": self.secret_key})


@dataclass(frozen=True, kw_only=True)
class StackSecrets:
    """Every secret that a stack can give; None, or an empty group, where it gives none."""

    agents: AgentCredentials = AgentCredentials()
    object_storage: ObjectStorageCredentials = ObjectStorageCredentials()
    backup: ObjectStorageCredentials = ObjectStorageCredentials()
    database_url: Secret | None = None
    database_password: Secret | None = None
    redis_url: Secret | None = None
    redis_password: Secret | None = None
    registry_password: Secret | None = None

    @classmethod
    def from_config(cls) -> StackSecrets:
        """The secrets of this stack's config, as secret Outputs."""
        get = pulumi.Config("ado").get_secret
        return cls(
            agents=AgentCredentials(
                anthropic_api_key=get(ConfigSecret.ANTHROPIC_API_KEY),
                google_api_key=get(ConfigSecret.GOOGLE_API_KEY),
            ),
            object_storage=ObjectStorageCredentials(
                access_key=get(ConfigSecret.OBJECT_STORAGE_ACCESS_KEY),
                secret_key=get(ConfigSecret.OBJECT_STORAGE_SECRET_KEY),
            ),
            backup=ObjectStorageCredentials(
                access_key=get(ConfigSecret.BACKUP_ACCESS_KEY),
                secret_key=get(ConfigSecret.BACKUP_SECRET_KEY),
            ),
            database_url=get(ConfigSecret.DATABASE_URL),
            database_password=get(ConfigSecret.DATABASE_PASSWORD),
            redis_url=get(ConfigSecret.REDIS_URL),
            redis_password=get(ConfigSecret.REDIS_PASSWORD),
            registry_password=get(ConfigSecret.REGISTRY_PASSWORD),
        )


def given_or_generated(
    name: str, given: pulumi.Input[str] | None, opts: pulumi.ResourceOptions
) -> Secret:
    """A password as given, always secret; else one as of `password`.

    Unlike there, one that is given later takes the place of the generated one, which is destroyed;
    where that is protected, the engine refuses.
    """
    return password(name, None, opts) if given is None else one_line(name, given)


def password(name: str, given: Secret | None, opts: pulumi.ResourceOptions) -> Secret:
    """The password that a stack gives, else one of 32 letters and digits, made once.

    That one is made in any case: so one that is given, and later taken away again, neither
    destroys nor changes it.
    """
    generated = RandomPassword(name, length=32, special=False, opts=opts).result
    return pulumi.Output.secret(generated) if given is None else one_line(name, given)


def one_line(name: str, value: pulumi.Input[str]) -> Secret:
    """A secret as given, but for a line break at its end; a warning says so.

    A pipe such as `echo KEY | …` makes one. A shell that reads the value from a file drops it and a
    URL keeps it: two parts would know two passwords.
    """

    def kept(text: str) -> str:
        if not has_line_end(text):
            return text
        pulumi.log.warn(f"The secret {name} {LINE_END}; it is used without")
        return text.rstrip(_LINE_ENDS)

    return pulumi.Output.secret(value).apply(kept)


_LINE_ENDS: Final = "\r\n"
LINE_END: Final = "ends with a line break, as `echo` puts one behind what is piped"


def has_line_end(text: str) -> bool:
    """Whether a text ends as a line does."""
    return text.endswith(tuple(_LINE_ENDS))


def _given(secrets: dict[str, Secret | None]) -> dict[str, Secret]:
    return {name: one_line(name, key) for name, key in secrets.items() if key is not None}
