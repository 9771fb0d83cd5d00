"""What the applications need to know of a data store, and all that they get to know.

An endpoint says which variables its consumers get; which tier consumes which store is said where
the platform is composed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

import pulumi

from ado_infra.kit.sources import ExpandedText, SecretKey, SecretVariable


class Endpoint(Protocol):
    """What a tier asks of a store, whichever it is."""

    @property
    def variables(self) -> Mapping[str, pulumi.Input[str]]:
        """The plain variables of a consumer."""
        ...

    @property
    def secrets(self) -> Mapping[str, SecretVariable]:
        """The variables that a consumer reads from Secrets."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExpandedUrl:
    """A URL whose password is in a Secret of others; the kubelet puts the two together.

    It percent-encodes nothing: the password has to be of letters, digits and `-._~` alone.

    Attributes:
        url: The URL, with `$(variable)` in place of the password.
        variable: Name of the environment variable that holds the password.
        password: Where that is.
    """

    url: pulumi.Input[str]
    variable: str
    password: SecretKey


def expanded(
    password: pulumi.Output[str] | SecretKey, variable: str, url: Callable[[str], str]
) -> tuple[pulumi.Output[str], ExpandedUrl | None]:
    """The URL around a password, and where the kubelet puts it together, what it is made from.

    `url`: what makes it of a password that is percent-encoded.
    """
    if isinstance(password, SecretKey):
        text = pulumi.Output.from_input(url(f"$({variable})"))
        return text, ExpandedUrl(url=text, variable=variable, password=password)
    return password.apply(lambda known: url(quote(known, safe=""))), None


def _variables(name: str, url: SecretKey | ExpandedUrl) -> dict[str, SecretVariable]:
    """The variable `name` with a URL, behind the one that it is put together from."""
    if isinstance(url, SecretKey):
        return {name: url}
    return {url.variable: url.password, name: ExpandedText(text=url.url)}


def _require_secret(argument: str, value: object) -> None:
    if not isinstance(value, SecretKey | ExpandedUrl):
        raise pulumi.RunError(
            f"{argument} is no SecretKey: a URL with a password is read from a Secret, as "
            "SecretKey(secret=…, key=…)"
        )


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """Where the database is: a URL with its credentials, held in a Secret."""

    url: SecretKey | ExpandedUrl

    def __post_init__(self) -> None:
        _require_secret("DatabaseEndpoint.url", self.url)

    @property
    def variables(self) -> Mapping[str, pulumi.Input[str]]:
        """The plain variables of a consumer: none."""
        return {}

    @property
    def secrets(self) -> Mapping[str, SecretVariable]:
        """The variables that a consumer reads from Secrets."""
        return _variables("DATABASE_URL", self.url)


@dataclass(frozen=True, kw_only=True)
class RedisEndpoint:
    """Where Redis is.

    Attributes:
        url: URL of a seed with its password, held in a Secret.
        nodes: Every node as `host:port`, separated by commas, for clients that know clusters; None
            where a server is not said to be one.
    """

    url: SecretKey | ExpandedUrl
    nodes: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        _require_secret("RedisEndpoint.url", self.url)

    @property
    def variables(self) -> Mapping[str, pulumi.Input[str]]:
        """The plain variables of a consumer."""
        return {} if self.nodes is None else {"REDIS_CLUSTER_NODES": self.nodes}

    @property
    def secrets(self) -> Mapping[str, SecretVariable]:
        """The variables that a consumer reads from Secrets."""
        return _variables("REDIS_URL", self.url)


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
