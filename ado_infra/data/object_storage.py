"""Object storage: an S3-compatible service outside the platform, and the keys to it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from ado_infra.data.endpoints import ObjectStorageEndpoint
from ado_infra.kit.published import publish_secrets
from ado_infra.secrets import ObjectStorageCredentials
from ado_infra.settings import ObjectStorageSettings
from ado_infra.site import Site


@dataclass(frozen=True, kw_only=True)
class ObjectStorageArgs:
    """Where the service is, and who the platform is there.

    Attributes:
        site: Where the Secret is created.
        settings: Endpoint, region and buckets.
        credentials: The keys, as far as they were given.
    """

    site: Site
    settings: ObjectStorageSettings
    credentials: ObjectStorageCredentials


class ObjectStorage(pulumi.ComponentResource):
    """Access to object storage.

    Produces: Secret `ado-object-storage` (with the keys that were given, unless they are in Secrets
    of others). It makes no bucket.
    """

    endpoint: ObjectStorageEndpoint
    """For the tiers that use it."""

    def __init__(
        self, name: str, args: ObjectStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:ObjectStorage", name, {}, opts)
        secrets = publish_secrets(
            f"{name}-credentials",
            args.site.metadata("object-storage", "ado-object-storage"),
            args.credentials.data,
            pulumi.ResourceOptions(parent=self),
            digest_key=args.site.digest_key,
        )
        settings = args.settings
        self.endpoint = ObjectStorageEndpoint(
            endpoint=settings.endpoint,
            region=settings.region,
            checkpoints=settings.buckets.checkpoints,
            artifacts=settings.buckets.artifacts,
            credentials={
                variable: secrets.keys[key]
                for key, variable in VARIABLES.items()
                if key in secrets.keys
            },
        )
        self.register_outputs(
            {"endpoint": settings.endpoint, "secret": secrets.made and secrets.made.name}
        )


VARIABLES = {"access-key": "AWS_ACCESS_KEY_ID", "secret-key": "AWS_SECRET_ACCESS_KEY"}
"""Key in the Secret → the variable that every S3 SDK reads."""
