"""What a pod reads from ConfigMaps and Secrets, each with the digest that rolls the pod.

Whoever creates the ConfigMap or Secret hands these to the workloads that read it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import (
    ConfigMapVolumeSourceArgs,
    EnvVarArgs,
    EnvVarSourceArgs,
    KeyToPathArgs,
    SecretKeySelectorArgs,
    VolumeArgs,
    VolumeMountArgs,
)


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """One key of a Secret, read through an environment variable.

    Attributes:
        secret: Name of the Secret, taken from the created object so that pods wait for it.
        key: The key in its data.
        digest: See `kit.digests.secret_digest`.
    """

    secret: pulumi.Input[str]
    key: str
    digest: pulumi.Input[str]

    def variable(self, name: str) -> EnvVarArgs:
        """The environment variable `name` with this value."""
        reference = SecretKeySelectorArgs(name=self.secret, key=self.key)
        return EnvVarArgs(name=name, value_from=EnvVarSourceArgs(secret_key_ref=reference))


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """One key of a ConfigMap, mounted read-only as a file.

    Attributes:
        config_map: Name of the ConfigMap, taken from the created object so that pods wait for it.
        key: The key in its data.
        path: Absolute path of the file in the container.
        digest: See `kit.digests.config_digest`.
    """

    config_map: pulumi.Input[str]
    key: str
    path: str
    digest: pulumi.Input[str]

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
