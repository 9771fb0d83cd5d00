"""Where secrets are that the stack's config does not have: names and keys, and no value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from ado_infra.kit.schema_rules import never
from ado_infra.kit.spec import Spec
from ado_infra.kit.values import DnsName, SecretDataKey

OWN_SECRETS: Final = (
    *("ado-agent-credentials", "ado-digest-key", "ado-object-storage", "ado-registry"),
    *("ado-secrets", "postgresql", "postgresql-backup", "redis"),
)
"""Names of the Secrets that the platform makes, and deletes when they are no longer read."""


@unique
class StoreKind(StrEnum):
    """Whether a store of External Secrets is of the whole cluster, or of the namespace."""

    CLUSTER = "ClusterSecretStore"
    NAMESPACED = "SecretStore"


class SecretStore(Spec):
    """The store that the External Secrets operator reads from."""

    name: DnsName
    """Name of the store; the platform does not make it."""
    kind: StoreKind = StoreKind.CLUSTER
    """`SecretStore` is of the platform's namespace."""
    refresh_interval: Annotated[
        str, StringConstraints(pattern=r"^(?:0s|[1-9][0-9]*[smh])$", max_length=10)
    ] = "1h"
    """How often the operator reads it, such as `15m`; `0s` for once."""


class RemoteSecret(Spec):
    """What the External Secrets operator reads."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """What the store calls the entry: a path, a name, an ARN."""
    property: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Which part of an entry that has several."""
    version: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Which version of the entry; the newest when not given."""


def _of_others(name: str) -> str:
    if name in OWN_SECRETS:
        raise ValueError("is a Secret of the platform's own, which it may delete; name another")
    return name


SecretName = Annotated[DnsName, AfterValidator(_of_others), never(*OWN_SECRETS)]
"""Of a Secret that somebody else keeps."""


class SecretReference(Spec):
    """A key of a Secret in the platform's namespace that somebody else keeps."""

    secret: SecretName
    """Name of the Secret."""
    key: SecretDataKey | None = None
    """Its key; else the one that the platform's own Secret would have: see `secrets.md`."""
    remote: RemoteSecret | None = None
    """What the External Secrets operator writes there; without it somebody else does."""


class SecretSettings(Spec):
    """Secrets that are in Secrets of the namespace instead of the stack's config."""

    store: SecretStore | None = None
    """Where the External Secrets operator reads what has a `remote`."""
    anthropic_api_key: SecretReference | None = None
    """API key of Anthropic, in place of `anthropicApiKey`."""
    google_api_key: SecretReference | None = None
    """API key of Google, in place of `googleApiKey`."""
    database_url: SecretReference | None = None
    """URL of an external PostgreSQL, in place of `databaseUrl`."""
    database_password: SecretReference | None = None
    """Password of PostgreSQL's role `ado`: letters, digits and `-._~`, as URLs hold them."""
    replication_password: SecretReference | None = None
    """Password of PostgreSQL's role `replicator`, which is generated otherwise."""
    redis_url: SecretReference | None = None
    """URL of an external Redis, in place of `redisUrl`."""
    redis_password: SecretReference | None = None
    """Password of Redis: letters, digits and `-._~`, as URLs hold them."""
    object_storage_access_key: SecretReference | None = None
    """Access key of the object storage, in place of `objectStorageAccessKey`."""
    object_storage_secret_key: SecretReference | None = None
    """Secret key of the object storage, in place of `objectStorageSecretKey`."""
    backup_access_key: SecretReference | None = None
    """Access key of PostgreSQL's backup alone, in place of `backupAccessKey`."""
    backup_secret_key: SecretReference | None = None
    """Secret key of PostgreSQL's backup alone, in place of `backupSecretKey`."""

    KEYS: ClassVar[Mapping[str, str]] = {
        "anthropic_api_key": "anthropic-api-key",
        "google_api_key": "google-api-key",
        "database_url": "database-url",
        "database_password": "password",
        "replication_password": "replication-password",
        "redis_url": "redis-url",
        "redis_password": "password",
        "object_storage_access_key": "access-key",
        "object_storage_secret_key": "secret-key",
        "backup_access_key": "access-key",
        "backup_secret_key": "secret-key",
    }
    """Field → the key that is read where none is named: that of the platform's own Secret."""

    @property
    def references(self) -> Iterator[tuple[str, SecretReference]]:
        """Key in the section → what is named there, with its key."""
        for name, key in self.KEYS.items():
            reference: SecretReference | None = getattr(self, name)
            if reference is not None:
                alias = type(self).model_fields[name].alias or name
                named = reference.key or key
                yield alias, reference.model_copy(update={"key": named})

    @model_validator(mode="after")
    def _a_store_for_what_is_remote(self) -> Self:
        remote = [name for name, reference in self.references if reference.remote]
        if remote and self.store is None:
            raise ValueError(
                f"{remote[0]} has a remote, and there is no store.name to read it from; name the "
                "store\n    pulumi config set --path 'ado:secrets.store.name' NAME"
            )
        if self.store and not remote:
            raise ValueError(
                "has a store, and nothing with a remote to read from it; remove it\n"
                "    pulumi config rm --path 'ado:secrets.store'"
            )
        return self

    @model_validator(mode="after")
    def _one_writer_of_a_secret(self) -> Self:
        """The operator owns the whole of what it makes, and one key has one content."""
        written: dict[str, dict[str | None, RemoteSecret | None]] = {}
        for name, reference in self.references:
            keys = written.setdefault(reference.secret, {})
            if any((remote is None) is not (reference.remote is None) for remote in keys.values()):
                raise ValueError(
                    f"{name} and others name Secret {reference.secret}, some with a remote and "
                    "some without: the operator owns all of a Secret; give them two Secrets"
                )
            if keys.get(reference.key, reference.remote) != reference.remote:
                raise ValueError(
                    f"{name} names key {reference.key} of Secret {reference.secret}, which has "
                    "another remote already; name another key"
                )
            keys[reference.key] = reference.remote
        return self
