"""PostgreSQL's backup: a dump on a schedule, in a bucket of the stack's object storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from ado_infra.data.endpoints import ObjectStorageEndpoint
from ado_infra.data.files import CONFIG, SECRETS, packaged
from ado_infra.data.object_storage import VARIABLES
from ado_infra.data.postgres.postgres import DATABASE, NAME, PORT, USER
from ado_infra.kit.connections import Connection, Destination
from ado_infra.kit.jobs import CronArgs, Step, recurring
from ado_infra.kit.pods import Scratch
from ado_infra.kit.published import publish_config, publish_secrets
from ado_infra.kit.sources import Files, SecretKey, SecretMount
from ado_infra.kit.spec import ImageVersion
from ado_infra.secrets import ObjectStorageCredentials
from ado_infra.settings import BackupSettings
from ado_infra.site import Site

BACKUP: Final = f"{NAME}-backup"
FILES: Final = ("backup.sh", "dump.sh", "upload.sh", "list.sh", "download.sh", "restore.sh")
"""Of which the CronJob runs the dump and the upload; the others are for `ado-ops`."""

_DUMPS: Final = "/backup"
_PASSFILE: Final = "/run/passfile"
_TIMEOUT: Final = 6 * 3600
"""Seconds for a dump, its upload and reading it back."""


@dataclass(frozen=True, kw_only=True)
class PostgresBackupArgs:
    """What the backup is made from.

    Attributes:
        site: Where it is installed.
        settings: Bucket, schedule and retention.
        image: Version of the server, whose own programs dump and restore.
        passwords: The password of role `ado`, as the file `password`.
        object_storage: Where the bucket is, and the keys that the tiers have to it.
        provider: Whose service that is, by rclone's name for it.
        credentials: Keys of the backup alone, as far as they were given.
    """

    site: Site
    settings: BackupSettings
    image: ImageVersion
    passwords: SecretMount
    object_storage: ObjectStorageEndpoint
    provider: str
    credentials: ObjectStorageCredentials


class PostgresBackup(pulumi.ComponentResource):
    """A dump of database `ado` on a schedule, read back from the bucket before old ones go.

    Produces: ConfigMap, CronJob and ServiceAccount `postgresql-backup`; where it is given keys of
    its own the Secret of that name, unless they are in one of others; else it uses those of the
    tiers. `ado-ops postgres restore` makes its Job from the CronJob's. What was written since the
    last dump is not in it: there is no archive of the WAL (docs/data.md).
    """

    def __init__(
        self, name: str, args: PostgresBackupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:PostgresBackup", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        site, settings = args.site, args.settings
        files = packaged(__package__ or "", FILES)
        metadata = site.metadata(BACKUP, BACKUP)
        scripts = publish_config(f"{name}-scripts", metadata, files, child).live_directory(CONFIG)
        keys = self._keys(name, args) if args.credentials.data else args.object_storage.secrets
        recurring(
            f"{name}-schedule",
            CronArgs(
                identity=site.identity(BACKUP),
                name=BACKUP,
                namespace=site.namespace,
                schedule=settings.schedule,
                steps=[_dump(args, scripts), _upload(args, scripts, keys)],
                timeout=_TIMEOUT,
                user=USER,
                pull_secret=site.image_pull_secret,
                extension=site.extension("postgres.backup", settings.pod),
            ),
            child,
        )
        self.register_outputs({"bucket": settings.bucket})

    def _keys(self, name: str, args: PostgresBackupArgs) -> Mapping[str, SecretKey]:
        secrets = publish_secrets(
            f"{name}-credentials",
            args.site.metadata(BACKUP, BACKUP),
            args.credentials.data,
            pulumi.ResourceOptions(parent=self),
            digest_key=args.site.digest_key,
        )
        return {variable: secrets.keys[key] for key, variable in VARIABLES.items()}


def connections(
    site: Site, database: Destination, object_storage: tuple[Destination, ...]
) -> tuple[Connection, ...]:
    """Of its Jobs, those of `ado-ops` among them."""
    own = site.job_pods(BACKUP)
    return (
        *own.to(database, why="dumps and restores"),
        *own.to(*object_storage, why="keeps dumps"),
    )


def _dump(args: PostgresBackupArgs, scripts: Files) -> Step:
    return Step(
        name="dump",
        image=args.site.official_image("postgres", args.image),
        command=("/bin/sh", f"{CONFIG}/dump.sh"),
        resources=args.settings.resources,
        variables={
            "BACKUP": _DUMPS,
            "CONFIG": CONFIG,
            "SECRETS": SECRETS,
            # Of libpq, so of all its programs.
            "PGCONNECT_TIMEOUT": "10",
            "PGDATABASE": DATABASE,
            "PGHOST": NAME,
            "PGPASSFILE": f"{_PASSFILE}/pgpass",
            "PGPORT": str(PORT),
            "PGUSER": DATABASE,
        },
        scratch={
            **_dumps(args),
            "passfile": Scratch(path=_PASSFILE, size_limit="1Mi", in_memory=True),
        },
        files={"config": scripts, "passwords": args.passwords},
    )


def _upload(args: PostgresBackupArgs, scripts: Files, keys: Mapping[str, SecretKey]) -> Step:
    settings, storage = args.settings, args.object_storage
    return Step(
        name="upload",
        image=args.site.rclone_image(),
        command=("/bin/sh", f"{CONFIG}/upload.sh"),
        resources=args.settings.resources,
        variables={
            "BACKUP": _DUMPS,
            "CONFIG": CONFIG,
            "KEEP": str(settings.retention),
            "S3_BUCKET_BACKUPS": settings.bucket,
            "REMOTE": f"backup:$(S3_BUCKET_BACKUPS)/{settings.prefix}",
            "RCLONE_CONFIG": "/dev/null",  # all that it needs to know of `backup:` is here
            "RCLONE_CONFIG_BACKUP_TYPE": "s3",
            "RCLONE_CONFIG_BACKUP_PROVIDER": args.provider,
            "RCLONE_CONFIG_BACKUP_ENDPOINT": storage.endpoint,
            "RCLONE_CONFIG_BACKUP_REGION": storage.region,
            "RCLONE_CONFIG_BACKUP_ENV_AUTH": "true",  # as every SDK finds its keys
            "RCLONE_CONFIG_BACKUP_NO_CHECK_BUCKET": "true",  # nor make it
            # Silence for half an hour would tell nobody that a service does not answer.
            "RCLONE_CONTIMEOUT": "10s",
            "RCLONE_LOW_LEVEL_RETRIES": "5",
            "RCLONE_RETRIES": "1",
        },
        secrets=keys,
        scratch=_dumps(args),
        files={"config": scripts},
    )


def _dumps(args: PostgresBackupArgs) -> dict[str, Scratch]:
    # On the node: it needs no StorageClass and ends with the pod; a dump that outgrows it fails the
    # run instead of the node.
    return {"backup": Scratch(path=_DUMPS, size_limit=args.settings.volume)}
