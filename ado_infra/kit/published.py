"""ConfigMaps and Secrets that are made here: each hands out its readers, with their digests.

Written on the pod template, a digest makes a change of what a pod reads roll it. A ConfigMap's is a
plain SHA-256. A Secret's is an HMAC-SHA256 under a key: without that nobody can test a guess of
the value against the annotation, so the digest itself may be public, and a preview stays readable.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_random import RandomBytes

from ado_infra.kit.in_place import warn_of_replacements
from ado_infra.kit.sources import (
    ConfigDirectory,
    ConfigFile,
    SecretDirectory,
    SecretFiles,
    SecretKey,
    SecretMount,
)


@dataclass(frozen=True, kw_only=True)
class PublishedConfig:
    """A ConfigMap, for those who read it.

    Attributes:
        name: Its name, once it is there.
        digest: See `config_digest`.
    """

    name: pulumi.Output[str]
    digest: str

    def file(self, key: str, path: str) -> ConfigFile:
        """One key, as the file `path`."""
        return ConfigFile(config_map=self.name, key=key, path=path, digest=self.digest)

    def directory(self, path: str) -> ConfigDirectory:
        """All of it, as the directory `path`."""
        return ConfigDirectory(config_map=self.name, path=path, digest=self.digest)

    def live_directory(self, path: str) -> ConfigDirectory:
        """The same, where the files change under running pods, and no pod rolls."""
        return ConfigDirectory(config_map=self.name, path=path)


@dataclass(frozen=True, kw_only=True)
class PublishedSecret:
    """A Secret, for those who read it.

    Attributes:
        name: Its name, once it is there.
        data: What it holds.
        digest_key: See `secret_digest`.
    """

    name: pulumi.Output[str]
    data: Mapping[str, pulumi.Input[str]]
    digest_key: pulumi.Input[str]

    def key(self, key: str) -> SecretKey:
        """One key; a reader rolls when that one changes."""
        digest = secret_digest(self.digest_key, {key: self.data[key]})
        return SecretKey(secret=self.name, key=key, digest=digest)

    def directory(self, path: str) -> SecretDirectory:
        """All of it, as the directory `path`."""
        digest = secret_digest(self.digest_key, self.data)
        return SecretDirectory(secret=self.name, path=path, digest=digest)


@dataclass(frozen=True, kw_only=True)
class SecretSources:
    """Secrets that belong together, for those who read them, wherever they are.

    Attributes:
        keys: Name → where it is.
        made: The Secret that was made of them; None where others keep them all.
    """

    keys: Mapping[str, SecretKey]
    made: PublishedSecret | None

    def directory(self, path: str) -> SecretMount:
        """All of them, as files of the directory `path`."""
        if self.made and self.made.data.keys() == self.keys.keys():
            return self.made.directory(path)
        return SecretFiles(path=path, keys=self.keys)


def publish_config(
    name: str, metadata: ObjectMetaArgs, data: Mapping[str, str], opts: pulumi.ResourceOptions
) -> PublishedConfig:
    """Makes a ConfigMap."""
    config_map = ConfigMap(name, metadata=metadata, data=data, opts=opts)
    warn_of_replacements(config_map)
    return PublishedConfig(name=config_map.metadata.name, digest=config_digest(data))


def publish_secret(
    name: str,
    metadata: ObjectMetaArgs,
    data: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
    *,
    digest_key: pulumi.Input[str] | None = None,
    secret_type: str = "Opaque",  # noqa: S107 - no password
) -> PublishedSecret:
    """Makes a Secret, and without a key for its digests a key of its own, `<name>-digest-key`."""
    # The server drops an empty mapping, which every later preview would add again.
    encoded = _base64_data(data) or None
    secret = Secret(name, metadata=metadata, type=secret_type, data=encoded, opts=opts)
    warn_of_replacements(secret)
    return PublishedSecret(
        name=secret.metadata.name,
        data=data,
        digest_key=generated_digest_key(f"{name}-digest-key", opts)
        if digest_key is None
        else digest_key,
    )


def publish_secrets(
    name: str,
    metadata: ObjectMetaArgs,
    data: Mapping[str, pulumi.Input[str] | SecretKey],
    opts: pulumi.ResourceOptions,
    *,
    digest_key: pulumi.Input[str] | None = None,
) -> SecretSources:
    """Makes a Secret of what is a value; what is in a Secret of others stays there.

    Nothing is made where that is all of it.
    """
    elsewhere = {key: value for key, value in data.items() if isinstance(value, SecretKey)}
    values = {key: value for key, value in data.items() if not isinstance(value, SecretKey)}
    if elsewhere and not values:
        return SecretSources(keys=elsewhere, made=None)
    made = publish_secret(name, metadata, values, opts, digest_key=digest_key)
    keys = {key: elsewhere.get(key) or made.key(key) for key in data}
    return SecretSources(keys=keys, made=made)


def generated_digest_key(name: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """A secret key of 256 bits, made once and in hex, for `secret_digest`."""
    return pulumi.Output.secret(RandomBytes(name, length=32, opts=opts).hex)


def config_digest(data: Mapping[str, str]) -> str:
    """SHA-256 of a ConfigMap's data, in hex; independent of the order of the keys."""
    return hashlib.sha256(_canonical(data)).hexdigest()


def secret_digest(
    key: pulumi.Input[str], data: Mapping[str, pulumi.Input[str]]
) -> pulumi.Output[str]:
    """HMAC-SHA256 of a Secret's data, or of the part that is read, as a public hex Output.

    `key` is in hex.
    """
    digest = pulumi.Output.all(key, dict(data)).apply(lambda both: _hmac(both[0], both[1]))
    return pulumi.Output.unsecret(digest)


def _base64_data(data: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Output[str]]:
    """The `data` of a Secret, always secret.

    As `data`, not `stringData`: the server would turn the latter into the former, and every
    preview would show a difference.
    """
    return {key: pulumi.Output.secret(value).apply(_base64) for key, value in data.items()}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _hmac(key: str, data: Mapping[str, str]) -> str:
    return hmac.new(bytes.fromhex(key), _canonical(data), hashlib.sha256).hexdigest()


def _canonical(data: Mapping[str, str]) -> bytes:
    return json.dumps(data, sort_keys=True, ensure_ascii=False).encode()
