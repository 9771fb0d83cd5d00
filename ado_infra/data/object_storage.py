"""Object storage: an S3-compatible service outside the platform, and the keys to it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Secret

from ado_infra.data.endpoints import ObjectStorageEndpoint
from ado_infra.kit.digests import secret_digest
from ado_infra.kit.sources import SecretKey, base64_data
from ado_infra.secrets import ConfigSecret, ObjectStorageCredentials, not_given
from ado_infra.settings import ObjectStorageSettings
from ado_infra.site import Placement


@dataclass(frozen=True, kw_only=True)
class ObjectStorageArgs:
    """Where the service is, and who the platform is there.

    Attributes:
        placement: Where the Secret is created.
        settings: The room `ado:objectStorage`.
        credentials: The keys, as far as they were given.
        digest_key: See `kit.digests.secret_digest`.
    """

    placement: Placement
    settings: ObjectStorageSettings
    credentials: ObjectStorageCredentials
    digest_key: pulumi.Input[str]


class ObjectStorage(pulumi.ComponentResource):
    """Access to object storage.

    Produces: Secret `ado-object-storage` (with the keys that were given). It makes no bucket.
    Without keys it warns: whether pods have another identity is not seen before they run.
    """

    endpoint: ObjectStorageEndpoint
    """For the tiers that use it."""

    def __init__(
        self, name: str, args: ObjectStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:ObjectStorage", name, {}, opts)
        data = args.credentials.data
        if not data:
            pulumi.log.warn(_NO_CREDENTIALS, self)
        secret = Secret(
            f"{name}-credentials",
            metadata=args.placement.metadata("object-storage", "ado-object-storage"),
            type="Opaque",
            data=base64_data(data),
            opts=pulumi.ResourceOptions(parent=self),
        )
        settings = args.settings
        self.endpoint = ObjectStorageEndpoint(
            endpoint=settings.endpoint,
            region=settings.region,
            checkpoints=settings.buckets.checkpoints,
            artifacts=settings.buckets.artifacts,
            credentials={
                variable: SecretKey(
                    secret=secret.metadata.name,
                    key=key,
                    digest=secret_digest(args.digest_key, {key: data[key]}),
                )
                for key, variable in VARIABLES.items()
                if key in data
            },
        )
        self.register_outputs({"endpoint": settings.endpoint, "secret": secret.metadata.name})


VARIABLES = {"access-key": "AWS_ACCESS_KEY_ID", "secret-key": "AWS_SECRET_ACCESS_KEY"}
"""Key in the Secret → the variable that every S3 SDK reads."""
_NO_CREDENTIALS = not_given(
    "No credentials for object storage: orchestrator, workers and backups are given none, and fail "
    "unless their pods have an identity of their own",
    ConfigSecret.OBJECT_STORAGE_ACCESS_KEY,
    ConfigSecret.OBJECT_STORAGE_SECRET_KEY,
)
