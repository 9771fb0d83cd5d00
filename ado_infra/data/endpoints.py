"""What the applications need to know of a data store, and all that they get to know.

An endpoint says which variables its consumers get; which tier consumes which store is said where
the platform is composed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pulumi

from ado_infra.kit.sources import SecretKey


class Endpoint(Protocol):
    """What a tier asks of a store, whichever it is."""

    @property
    def variables(self) -> Mapping[str, pulumi.Input[str]]:
        """The plain variables of a consumer."""
        ...

    @property
    def secrets(self) -> Mapping[str, SecretKey]:
        """The variables that a consumer reads from Secrets."""
        ...


def _require_secret(argument: str, value: object) -> None:
    if not isinstance(value, SecretKey):
        raise pulumi.RunError(
            f"{argument} is no SecretKey: a URL with a password is read from a Secret, as "
            "SecretKey(secret=…, key=…)"
        )


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """Where the database is: a URL with its credentials, held in a Secret."""

    url: SecretKey

    def __post_init__(self) -> None:
        _require_secret("DatabaseEndpoint.url", self.url)

    @property
    def variables(self) -> Mapping[str, pulumi.Input[str]]:
        """The plain variables of a consumer: none."""
        return {}

    @property
    def secrets(self) -> Mapping[str, SecretKey]:
        """The variables that a consumer reads from Secrets."""
        return {"DATABASE_URL": self.url}


@dataclass(frozen=True, kw_only=True)
class RedisEndpoint:
    """Where Redis is.

    Attributes:
        url: URL of a seed with its password, held in a Secret.
        nodes: Every node as `host:port`, separated by commas, for clients that know clusters; None
            where a server is not said to be one.
    """

    url: SecretKey
    nodes: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        _require_secret("RedisEndpoint.url", self.url)

    @property
    def variables(self) -> Mapping[str, pulumi.Input[str]]:
        """The plain variables of a consumer."""
        return {} if self.nodes is None else {"REDIS_CLUSTER_NODES": self.nodes}

    @property
    def secrets(self) -> Mapping[str, SecretKey]:
        """The variables that a consumer reads from Secrets."""
        return {"REDIS_URL": self.url}


@dataclass(frozen=True, kw_only=True)
class ObjectStorageEndpoint:
    """Where checkpoints and artifacts go.

    Attributes:
        endpoint: URL of the S3-compatible service.
        region: Its region.
        checkpoints: Bucket of the checkpoints.
        artifacts: Bucket of the artifacts.
        credentials: The keys, by the variable that SDKs read them from; none where a stack gives
            none, and the pods prove who they are in another way.
    """

    endpoint: str
    region: str
    checkpoints: str
    artifacts: str
    credentials: Mapping[str, SecretKey] = field(default_factory=dict)

    @property
    def variables(self) -> Mapping[str, pulumi.Input[str]]:
        """The plain variables of a consumer."""
        return {
            "S3_ENDPOINT": self.endpoint,
            "S3_REGION": self.region,
            "S3_BUCKET_CHECKPOINTS": self.checkpoints,
            "S3_BUCKET_ARTIFACTS": self.artifacts,
        }

    @property
    def secrets(self) -> Mapping[str, SecretKey]:
        """The variables that a consumer reads from Secrets."""
        return self.credentials
