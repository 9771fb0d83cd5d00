"""What a pod reads, and from where; what can change carries the digest that rolls the pod.

Whoever creates the ConfigMap or Secret hands these to the workloads that read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pulumi
from pulumi_kubernetes.core.v1 import (
    ConfigMapVolumeSourceArgs,
    CSIVolumeSourceArgs,
    EnvVarArgs,
    EnvVarSourceArgs,
    KeyToPathArgs,
    ObjectFieldSelectorArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    ProjectedVolumeSourceArgs,
    SecretKeySelectorArgs,
    SecretProjectionArgs,
    SecretVolumeSourceArgs,
    VolumeArgs,
    VolumeMountArgs,
    VolumeProjectionArgs,
)

from ado_infra.kit.pod_options import PodVolume


@dataclass(frozen=True, kw_only=True)
class PodField:
    """Something that a pod knows of itself only once it exists, such as `metadata.name`."""

    path: str

    def variable(self, name: str) -> EnvVarArgs:
        """The environment variable `name` with this value."""
        # With the default, as in claim templates: the API server takes it for one value.
        reference = ObjectFieldSelectorArgs(api_version="v1", field_path=self.path)
        return EnvVarArgs(name=name, value_from=EnvVarSourceArgs(field_ref=reference))


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """One key of a Secret, read through an environment variable.

    Attributes:
        secret: Name of the Secret, taken from the created object so that pods wait for it.
        key: The key in its data.
        digest: See `kit.published.secret_digest`; None for a Secret that somebody else keeps.
    """

    secret: pulumi.Input[str]
    key: str
    digest: pulumi.Input[str] | None = None

    def variable(self, name: str) -> EnvVarArgs:
        """The environment variable `name` with this value."""
        reference = SecretKeySelectorArgs(name=self.secret, key=self.key)
        return EnvVarArgs(name=name, value_from=EnvVarSourceArgs(secret_key_ref=reference))


@dataclass(frozen=True, kw_only=True)
class ExpandedText:
    """A text in which `$(NAME)` stands for the variable NAME; the kubelet puts it in.

    It knows only those that stand before this one in the container's list. What it puts in is not
    read again: a `$` in a value has no meaning.
    """

    text: pulumi.Input[str]
    digest: None = None

    def variable(self, name: str) -> EnvVarArgs:
        """The environment variable `name` with this value."""
        return EnvVarArgs(name=name, value=self.text)


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """One key of a ConfigMap, mounted read-only as a file.

    Attributes:
        config_map: Name of the ConfigMap, taken from the created object so that pods wait for it.
        key: The key in its data.
        path: Absolute path of the file in the container.
        digest: See `kit.published.config_digest`; None for a ConfigMap that somebody else keeps.
    """

    config_map: pulumi.Input[str]
    key: str
    path: str
    digest: pulumi.Input[str] | None = None

    def volume(self, name: str) -> VolumeArgs:
        """The volume that holds just this file."""
        item = KeyToPathArgs(key=self.key, path=self.key)
        source = ConfigMapVolumeSourceArgs(name=self.config_map, items=[item])
        return VolumeArgs(name=name, config_map=source)

    def mount(self, name: str) -> VolumeMountArgs:
        """The mount of that volume.

        By `subPath`, so that other things may be mounted beside the file; the file then never
        changes under a running pod, which is what the digest is for.
        """
        return VolumeMountArgs(name=name, mount_path=self.path, sub_path=self.key, read_only=True)


@dataclass(frozen=True, kw_only=True)
class ConfigDirectory:
    """All of a ConfigMap, mounted read-only as a directory.

    Attributes:
        config_map: Name of the ConfigMap, taken from the created object so that pods wait for it.
        path: Absolute path of the directory in the container.
        digest: See `kit.published.config_digest`; None where the files change under running pods,
            which they do within about a minute (kubernetes.io, "ConfigMaps").
    """

    config_map: pulumi.Input[str]
    path: str
    digest: pulumi.Input[str] | None = None

    def volume(self, name: str) -> VolumeArgs:
        """The volume with a file for each key."""
        source = ConfigMapVolumeSourceArgs(name=self.config_map)
        return VolumeArgs(name=name, config_map=source)

    def mount(self, name: str) -> VolumeMountArgs:
        """The mount of that volume."""
        return VolumeMountArgs(name=name, mount_path=self.path, read_only=True)


@dataclass(frozen=True, kw_only=True)
class SecretDirectory:
    """All of a Secret, mounted read-only as a directory in memory.

    Attributes:
        secret: Name of the Secret, taken from the created object so that pods wait for it.
        path: Absolute path of the directory in the container.
        digest: See `kit.published.secret_digest`; None for a Secret that somebody else keeps.
    """

    secret: pulumi.Input[str]
    path: str
    digest: pulumi.Input[str] | None = None

    def volume(self, name: str) -> VolumeArgs:
        """The volume with a file for each key, readable by the pod's own group alone."""
        source = SecretVolumeSourceArgs(secret_name=self.secret, default_mode=0o440)
        return VolumeArgs(name=name, secret=source)

    def mount(self, name: str) -> VolumeMountArgs:
        """The mount of that volume."""
        return VolumeMountArgs(name=name, mount_path=self.path, read_only=True)


@dataclass(frozen=True, kw_only=True)
class SecretFiles:
    """Single keys of Secrets, mounted read-only together as the files of a directory in memory.

    Attributes:
        path: Absolute path of the directory in the container.
        keys: File name → what is in it.
    """

    path: str
    keys: Mapping[str, SecretKey]

    @property
    def digest(self) -> pulumi.Output[str] | None:
        """Of those keys whose digest is known; None where there is none."""
        digests = {name: key.digest for name, key in self.keys.items() if key.digest is not None}
        if not digests:
            return None

        def together(known: dict[str, str]) -> str:
            return hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()

        return pulumi.Output.all(**digests).apply(together)

    def volume(self, name: str) -> VolumeArgs:
        """The volume with these files, readable by the pod's own group alone."""
        sources = [
            VolumeProjectionArgs(
                secret=SecretProjectionArgs(
                    name=key.secret, items=[KeyToPathArgs(key=key.key, path=file)]
                )
            )
            for file, key in self.keys.items()
        ]
        source = ProjectedVolumeSourceArgs(sources=sources, default_mode=0o440)
        return VolumeArgs(name=name, projected=source)

    def mount(self, name: str) -> VolumeMountArgs:
        """The mount of that volume."""
        return VolumeMountArgs(name=name, mount_path=self.path, read_only=True)


@dataclass(frozen=True)
class GivenVolume:
    """A volume of somebody else's; what is in it may change under running pods.

    Attributes:
        given: What there is, and where containers have it.
    """

    given: PodVolume

    def volume(self, name: str) -> VolumeArgs:
        """The volume; what is from a Secret is readable by the pod's own group alone."""
        given, read_only = self.given, self.given.read_only or None
        if given.secret:
            source = SecretVolumeSourceArgs(secret_name=given.secret, default_mode=0o440)
            return VolumeArgs(name=name, secret=source)
        if given.config_map:
            config_map = ConfigMapVolumeSourceArgs(name=given.config_map)
            return VolumeArgs(name=name, config_map=config_map)
        if given.csi:
            csi = CSIVolumeSourceArgs(
                driver=given.csi.driver,
                read_only=read_only,
                volume_attributes=given.csi.volume_attributes or None,
            )
            return VolumeArgs(name=name, csi=csi)
        claim = PersistentVolumeClaimVolumeSourceArgs(
            claim_name=str(given.persistent_volume_claim), read_only=read_only
        )
        return VolumeArgs(name=name, persistent_volume_claim=claim)

    def mount(self, name: str) -> VolumeMountArgs | None:
        """The mount in the platform's containers; None where only others have it."""
        given = self.given
        if given.mount_path is None:
            return None
        return VolumeMountArgs(
            name=name,
            mount_path=given.mount_path,
            sub_path=given.sub_path,
            read_only=bool(given.read_only or given.secret or given.config_map) or None,
        )


POD_NAME = PodField(path="metadata.name")
POD_ADDRESS = PodField(path="status.podIP")

SecretMount: TypeAlias = SecretDirectory | SecretFiles
"""Secrets as the files of a directory: all of one, or single keys of several."""
SecretVariable: TypeAlias = SecretKey | ExpandedText
"""The value of an environment variable that is a secret, or has one in it."""
Files: TypeAlias = ConfigFile | ConfigDirectory | SecretMount
"""Whatever is mounted from a ConfigMap or Secret; it rolls the pod when it changes, or is live."""
Variable: TypeAlias = pulumi.Input[str] | PodField
"""The value of an environment variable that is no secret."""


def variable(name: str, value: Variable) -> EnvVarArgs:
    """The environment variable `name` with a plain value, or with one of the pod's own."""
    return (
        value.variable(name) if isinstance(value, PodField) else EnvVarArgs(name=name, value=value)
    )


def checksums(sources: Mapping[str, SecretVariable | Files]) -> dict[str, pulumi.Input[str]]:
    """The annotations that roll a pod when what it reads changes."""
    return {
        f"checksum/{name}": source.digest
        for name, source in sources.items()
        if source.digest is not None
    }
