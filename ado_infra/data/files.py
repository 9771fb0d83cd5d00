"""What a store of ours is started with: scripts and configuration, and its passwords."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Secret

from ado_infra.kit.digests import config_digest, secret_digest
from ado_infra.kit.sources import ConfigDirectory, SecretDirectory, base64_data
from ado_infra.kit.spec import Resources
from ado_infra.site import Placement

CONFIG: Final = "/etc/ado/config"
SECRETS: Final = "/etc/ado/secrets"
JOB_RESOURCES: Final = Resources.of(("50m", "32Mi"), ("500m", "128Mi"))
"""Of a store's Jobs, which ask and tell, and compute nothing."""


@dataclass(frozen=True, kw_only=True)
class StoreFiles:
    """Files of a store, as keys of a ConfigMap and of a Secret.

    Attributes:
        placement: Where both are created.
        store: Name of the store and of the Secret; the ConfigMap is `<store>-config`.
        config: File name → content of what everybody may read.
        passwords: File name → password.
        digest_key: See `kit.digests.secret_digest`.
    """

    placement: Placement
    store: str
    config: Mapping[str, str]
    passwords: Mapping[str, pulumi.Input[str]]
    digest_key: pulumi.Input[str]

    def config_directory(self, name: str, opts: pulumi.ResourceOptions) -> ConfigDirectory:
        """The ConfigMap, as a directory of the pods."""
        made = ConfigMap(
            name,
            metadata=self.placement.metadata(self.store, f"{self.store}-config"),
            data=self.config,
            opts=opts,
        )
        digest = config_digest(self.config)
        return ConfigDirectory(config_map=made.metadata.name, path=CONFIG, digest=digest)

    def secret_directory(self, name: str, opts: pulumi.ResourceOptions) -> SecretDirectory:
        """The Secret, as a directory of the pods."""
        made = Secret(
            name,
            metadata=self.placement.metadata(self.store, self.store),
            type="Opaque",
            data=base64_data(self.passwords),
            opts=opts,
        )
        digest = secret_digest(self.digest_key, self.passwords)
        return SecretDirectory(secret=made.metadata.name, path=SECRETS, digest=digest)


def packaged(package: str, names: Iterable[str]) -> dict[str, str]:
    """File name → content of files that come with a package, in its folder `files`."""
    folder = resources.files(package) / "files"
    return {name: (folder / name).read_text() for name in names}
