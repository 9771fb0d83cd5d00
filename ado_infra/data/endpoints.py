"""What the applications need to know of a data store, and all that they get to know."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from ado_infra.kit.sources import SecretKey


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """Where the database is: a URL with its credentials, held in a Secret."""

    url: SecretKey

    @property
    def secrets(self) -> dict[str, SecretKey]:
        """The variables that a consumer reads from Secrets."""
        return {"DATABASE_URL": self.url}

    @property
    def variables(self) -> dict[str, pulumi.Input[str]]:
        """The plain variables of a consumer: none."""
        return {}


@dataclass(frozen=True, kw_only=True)
class RedisEndpoint:
    """Where the Redis cluster is.

    Attributes:
        url: URL of the seed with its password, held in a Secret.
        nodes: Every node as `host:port`, separated by commas, for clients that know clusters.
    """

    url: SecretKey
    nodes: pulumi.Input[str]

    @property
    def secrets(self) -> dict[str, SecretKey]:
        """The variables that a consumer reads from Secrets."""
        return {"REDIS_URL": self.url}

    @property
    def variables(self) -> dict[str, pulumi.Input[str]]:
        """The plain variables of a consumer."""
        return {"REDIS_CLUSTER_NODES": self.nodes}
