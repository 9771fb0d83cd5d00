"""What must stay secret: Outputs only, from Pulumi config, or generated once and kept in the state.

Or it is in a Secret of others, of which nothing but name and key is known here: a `SecretKey`.

Nothing here turns a secret into `str`; the digests that roll pods are the one thing that is made
public, and they say nothing about the value without the stack's own key (see `kit/published.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Final, TypeAlias

import pulumi
from pulumi_random import RandomPassword

from ado_infra.kit.sources import SecretKey
from ado_infra.settings import Mode, SecretSettings

Secret = pulumi.Output[str]
GivenSecret: TypeAlias = Secret | SecretKey
"""A secret, or where it is."""


@unique
class ConfigSecret(StrEnum):
    """The secrets that a stack gives, as keys of its config."""

    ANTHROPIC_API_KEY = "anthropicApiKey"
    """API key of Anthropic for workers without a `modelGateway`; production demands it."""
    GOOGLE_API_KEY = "googleApiKey"
    """API key of Google for workers without a `modelGateway`; production demands it."""
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

    anthropic_api_key: GivenSecret | None = None
    google_api_key: GivenSecret | None = None

    @property
    def data(self) -> dict[str, GivenSecret]:
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

    access_key: GivenSecret | None = None
    secret_key: GivenSecret | None = None

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
    def data(self) -> dict[str, GivenSecret]:
        """The keys that were given, by their name in the Secret; always secret."""
        return _given({"access-key": self.access_key, "secret-key": self.secret_key})


@dataclass(frozen=True, kw_only=True)
class StackSecrets:
    """Every secret that a stack can give; None, or an empty group, where it gives none."""

    agents: AgentCredentials = AgentCredentials()
    object_storage: ObjectStorageCredentials = ObjectStorageCredentials()
    backup: ObjectStorageCredentials = ObjectStorageCredentials()
    database_url: GivenSecret | None = None
    database_password: GivenSecret | None = None
    replication_password: SecretKey | None = None
    """In a Secret of others alone; else it is generated."""
    redis_url: GivenSecret | None = None
    redis_password: GivenSecret | None = None
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

    def beside(self, elsewhere: SecretSettings) -> StackSecrets:
        """These, and those that the settings name in Secrets of others.

        Raises pulumi.RunError where one is given in both ways.
        """
        named = {
            setting: SecretKey(secret=reference.secret, key=str(reference.key))
            for setting, reference in elsewhere.references
        }

        def one(key: ConfigSecret, given: GivenSecret | None) -> GivenSecret | None:
            if given is not None and key in named:
                raise pulumi.RunError(
                    f"StackSecrets gives {key}, and ado:secrets.{key} names it in a Secret; "
                    "keep one"
                )
            return named.get(key, given)

        return replace(
            self,
            agents=AgentCredentials(
                anthropic_api_key=one(
                    ConfigSecret.ANTHROPIC_API_KEY, self.agents.anthropic_api_key
                ),
                google_api_key=one(ConfigSecret.GOOGLE_API_KEY, self.agents.google_api_key),
            ),
            object_storage=ObjectStorageCredentials(
                access_key=one(
                    ConfigSecret.OBJECT_STORAGE_ACCESS_KEY, self.object_storage.access_key
                ),
                secret_key=one(
                    ConfigSecret.OBJECT_STORAGE_SECRET_KEY, self.object_storage.secret_key
                ),
            ),
            backup=ObjectStorageCredentials(
                access_key=one(ConfigSecret.BACKUP_ACCESS_KEY, self.backup.access_key),
                secret_key=one(ConfigSecret.BACKUP_SECRET_KEY, self.backup.secret_key),
            ),
            database_url=one(ConfigSecret.DATABASE_URL, self.database_url),
            database_password=one(ConfigSecret.DATABASE_PASSWORD, self.database_password),
            replication_password=named.get("replicationPassword", self.replication_password),
            redis_url=one(ConfigSecret.REDIS_URL, self.redis_url),
            redis_password=one(ConfigSecret.REDIS_PASSWORD, self.redis_password),
        )


def given_or_generated(
    name: str, given: pulumi.Input[str] | SecretKey | None, opts: pulumi.ResourceOptions
) -> GivenSecret:
    """A password as given, always secret; else one as of `password`.

    Unlike there, one that is given later takes the place of the generated one, which is destroyed;
    where that is protected, the engine refuses.
    """
    if given is None:
        return password(name, None, opts)
    return given if isinstance(given, SecretKey) else one_line(name, given)


def password(name: str, given: GivenSecret | None, opts: pulumi.ResourceOptions) -> GivenSecret:
    """The password that a stack gives, else one of 32 letters and digits, made once.

    That one is made in any case: so one that is given, and later taken away again, neither
    destroys nor changes it.
    """
    generated = RandomPassword(name, length=32, special=False, opts=opts).result
    if given is None:
        return pulumi.Output.secret(generated)
    return given if isinstance(given, SecretKey) else one_line(name, given)


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


def _given(secrets: dict[str, GivenSecret | None]) -> dict[str, GivenSecret]:
    return {
        name: key if isinstance(key, SecretKey) else one_line(name, key)
        for name, key in secrets.items()
        if key is not None
    }
