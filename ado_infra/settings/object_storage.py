"""The section of the object storage."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated, Final

from pydantic import AfterValidator

from ado_infra.kit.schema_rules import SchemaRules
from ado_infra.kit.spec import Spec
from ado_infra.kit.values import BucketName, HttpUrl, Region

PROVIDERS: Final = tuple(
    """
        AWS Alibaba ArvanCloud Autonomys BizflyCloud Cellar Ceph ChinaMobile Cloudflare
        Cubbit DigitalOcean Dreamhost Exaba Fastly FileLu FlashBlade GCS HCP Hetzner
        HuaweiOBS IBMCOS IDrive IONOS ImpossibleCloud Infomaniak Intercolo Leviia Liara
        Linode LyveCloud Magalu Mega Minio Neon Netease OVHcloud Other Outscale Petabox
        Qiniu Rabata RackCorp Rclone RelAix Scaleway Scality SeaweedFS Selectel Servercore
        SpectraLogic Storj Synology TencentCOS US3 Wasabi Zadara Zata ZeroServices
    """.split()  # noqa: SIM905 - or it would be as many lines
)
"""Services whose ways rclone's S3 backend knows, by its names for them; as of rclone 1.76."""


def _provider(name: str) -> str:
    if name not in PROVIDERS:
        raise ValueError(
            f"is none that rclone knows: {', '.join(PROVIDERS)}; Other is any S3-compatible service"
        )
    return name


Provider = Annotated[
    str, AfterValidator(_provider), SchemaRules({"title": "provider", "enum": list(PROVIDERS)})
]


class Buckets(Spec):
    """The buckets that the platform writes to; they must exist."""

    checkpoints: BucketName = "ado-checkpoints"
    """Bucket of the agents' checkpoints."""
    artifacts: BucketName = "ado-artifacts"
    """Bucket of what agents make."""


@unique
class Credentials(StrEnum):
    """How pods prove to the object storage who they are."""

    KEYS = "keys"
    WORKLOAD_IDENTITY = "workloadIdentity"


class ObjectStorageSettings(Spec):
    """An S3-compatible service outside the platform."""

    endpoint: HttpUrl
    """URL of the service."""
    region: Region = "us-east-1"
    """Region that requests are signed for."""
    buckets: Buckets = Buckets()
    """The buckets that the platform writes to; they must exist."""
    credentials: Credentials = Credentials.KEYS
    """`keys`: an access key and its secret; `workloadIdentity`: the pods' own service account."""
    provider: Provider = "Other"
    """Whose service it is, by rclone's name such as `AWS` or `GCS`; the backup goes by it."""
