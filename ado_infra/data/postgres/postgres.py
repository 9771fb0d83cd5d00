"""PostgreSQL: its pods, its Services, and the endpoint it offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs

from ado_infra.data.endpoints import ExpandedUrl, expanded
from ado_infra.data.files import CONFIG, SECRETS, packaged
from ado_infra.data.postgres.record import POD_LABEL, STATE, Record, Roles
from ado_infra.kit import volumes
from ado_infra.kit.connections import Connection, Destination
from ado_infra.kit.labels import headless_name, selector
from ado_infra.kit.pod_options import Extension, SecurityContext
from ado_infra.kit.pods import Scratch
from ado_infra.kit.published import publish_config, publish_secrets
from ado_infra.kit.quantities import size_in_bytes
from ado_infra.kit.sources import POD_NAME, ConfigDirectory, Files, SecretKey, SecretMount
from ado_infra.kit.stateful import Probes, StatefulArgs, StatefulWorkload
from ado_infra.secrets import GivenSecret, given_or_generated
from ado_infra.settings import PostgresSettings, parameters
from ado_infra.site import Site

NAME: Final = "postgresql"
STANDBY: Final = "postgresql-ro"
PORT: Final = 5432
BLANK_PORT: Final = 5431
"""Where a pod says to its peer that its volume is empty (files/blank.sh)."""
DATABASE: Final = "ado"
IDENTITY: Final = {"host": NAME, "port": str(PORT), "database": DATABASE}
"""Which database this is, without credentials."""
USER: Final = 999
"""uid and gid of `postgres` in the official image's Debian variants."""

_SOCKET: Final = "/run/postgresql"
_VOLUME: Final = "/var/lib/postgresql/data"
_PGDATA: Final = f"{_VOLUME}/pgdata"
"""Below the volume, whose own directory may hold a lost+found."""
_MARK: Final = f"{_VOLUME}/recorded"
_ASK: Final = f"pg_isready --quiet --host 127.0.0.1 --username {DATABASE} --dbname {DATABASE}"
_STOP: Final = '. "$CONFIG/common.sh"; ! server_runs || exec pg_ctl stop --mode fast --timeout 100'
_COPIES: Final = f'[ -n "$(find {_SOCKET}/copying -mmin -10 2>/dev/null)" ]'
_ALIVE: Final = f"{_ASK} || [ $? -eq 1 ] || {_COPIES} || [ -e {_SOCKET}/waiting ]"
"""1 means alive and not accepting yet: it replays what it had written before a crash.
A copy may take as long as it grows, and who waits says so until it goes on (files/start.sh)."""
_FILES: Final = (
    "blank.sh",
    "common.sh",
    "start.sh",
    "rejoin.sh",
    "look.sh",
    "roles.sql",
    "pg_hba.conf",
    "postgresql.conf",
)
_AS_ANY_USER: Final = "as_any_user.sh"
"""What the pods run first where the cluster chooses their user."""
_MEBIBYTE: Final = 2**20
_PROBES: Final = Probes(
    started=("/bin/sh", "-c", _ALIVE),
    # Leaves a mark on the volume once the record of roles is there: whoever finds the mark and no
    # record knows that it was lost (files/start.sh).
    ready=("/bin/sh", "-c", f"{_ASK} && {{ [ ! -e {STATE}/initialised ] || : >>{_MARK}; }}"),
    alive=("/bin/sh", "-c", _ALIVE),
)


@dataclass(frozen=True, kw_only=True)
class PostgresArgs:
    """What PostgreSQL is made from.

    Attributes:
        site: Where it is installed.
        settings: Image, resources, volume and limits.
        password: Of the applications' role `ado`; made once where none is given. In a Secret of
            others it has to be one that needs no percent-encoding, see `ExpandedUrl`.
        replication_password: Of the role `replicator`, which the standby uses; likewise.
        volume_setting: What its user sets the volume by, for messages.
        refuse_volume: See `StatefulArgs`.
    """

    site: Site
    settings: PostgresSettings = field(default_factory=PostgresSettings)
    password: pulumi.Input[str] | SecretKey | None = None
    replication_password: pulumi.Input[str] | SecretKey | None = None
    volume_setting: str = "PostgresSettings.volume"
    refuse_volume: volumes.Refuse = volumes.refuse


class Postgres(pulumi.ComponentResource):
    """PostgreSQL in two pods: a primary and a streaming replica of it.

    Produces: ConfigMap `postgresql-config` (scripts and configuration), Secret `postgresql` (the
    passwords that are not in Secrets of others), Record `postgresql-state` (who is the primary),
    StatefulWorkload `postgresql`, Services `postgresql` (the primary alone) and `postgresql-ro`
    (the other pod), which are made so that they lead nowhere, and are led by the record. Two pods
    cannot elect: `ado-ops postgres promote` makes the replica the primary. Losing the primary for
    good costs what the replica had not received yet (docs/data.md).
    """

    url: pulumi.Output[str]
    """How the applications reach the primary, credentials included; secret. Where the password is
    in a Secret of others, `$(DATABASE_PASSWORD)` stands in its place."""
    expanded_url: ExpandedUrl | None
    """That, with where the password is; None where the URL has it."""
    workload: StatefulWorkload
    service: Service
    """Leads to the primary."""
    standby_service: Service
    """Leads to the other pod."""
    passwords: SecretMount
    """The passwords of its roles, as files: `password` is that of role `ado`."""

    def __init__(
        self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Postgres", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=args.site.protect)
        password = given_or_generated(f"{name}-password", args.password, kept)
        replication = given_or_generated(
            f"{name}-replication-password", args.replication_password, kept
        )
        passwords = {"password": password, "replication-password": replication}
        record = Record(f"{name}-record", args.site, child)
        config, self.passwords = _files(name, args, passwords, child)
        directories = {"config": config, "passwords": self.passwords, "state": record.directory}
        workload = _workload(args, directories)
        self.workload = StatefulWorkload(f"{name}-workload", workload, child)
        self.service = _service(f"{name}-primary", NAME, args.site, child)
        self.standby_service = _service(f"{name}-replica", STANDBY, args.site, child)
        roles = Roles(
            primary=NAME,
            standby=STANDBY,
            selector=selector(NAME),
            database=DATABASE,
            image=workload.image,
            files={name: directories[name] for name in ("passwords", "state")},
        )
        record.begin_after([self.workload, self.service, self.standby_service], roles)
        self.url, self.expanded_url = expanded(password, "DATABASE_PASSWORD", _url)
        self.register_outputs({"url": self.url})


def answers(site: Site) -> Destination:
    """Where PostgreSQL answers those who use it."""
    return Destination(party=site.pods_of(NAME), ports=(PORT,))


def connections(site: Site) -> tuple[Connection, ...]:
    """Between its own pods, of which either may be the primary."""
    own = site.pods_of(NAME)
    peer = Destination(party=own, ports=(PORT, BLANK_PORT))
    return own.to(peer, why="the standby copies the primary")


def _url(password: str) -> str:
    return f"postgresql://{DATABASE}:{password}@{NAME}:{PORT}/{DATABASE}"


def _files(
    name: str,
    args: PostgresArgs,
    passwords: Mapping[str, GivenSecret],
    opts: pulumi.ResourceOptions,
) -> tuple[ConfigDirectory, SecretMount]:
    site = args.site
    config = publish_config(
        f"{name}-config",
        site.metadata(NAME, f"{NAME}-config"),
        files(args.settings, any_user=_any_user(args)),
        opts,
    )
    secrets = publish_secrets(
        f"{name}-passwords",
        site.metadata(NAME, NAME),
        passwords,
        opts,
        digest_key=site.digest_key,
    )
    return config.directory(CONFIG), secrets.directory(SECRETS)


def _extension(args: PostgresArgs) -> Extension:
    return args.site.extension("postgres", args.settings.pod)


def _any_user(args: PostgresArgs) -> bool:
    return _extension(args).options.security_context is SecurityContext.CLUSTER


def files(settings: PostgresSettings, *, any_user: bool = False) -> dict[str, str]:
    """File name → content of what PostgreSQL is started with; sizes derive from the settings.

    `any_user`: whether the cluster chooses who runs it.
    """
    contents = packaged(__package__ or "", [*_FILES, *([_AS_ANY_USER] if any_user else [])])
    derived = _sizes(settings) + parameters.configuration(settings.parameters)
    return contents | {"postgresql.conf": contents["postgresql.conf"] + derived}


def _sizes(settings: PostgresSettings) -> str:
    memory = size_in_bytes(settings.resources.requests.memory)
    volume = size_in_bytes(settings.volume.size)
    megabytes = {
        # A quarter of the memory that is promised: the server's own recommendation.
        "shared_buffers": memory // 4,
        "max_wal_size": min(volume // 8, 4 * 2**30),
        # For a standby whose slot is not there yet, as after a failover.
        "wal_keep_size": min(volume // 16, 2**30),
        # A standby that stays away must not fill the primary's disk; it is copied anew instead.
        "max_slot_wal_keep_size": volume // 4,
    }
    lines = [f"max_connections = {settings.max_connections}"]
    lines += [f"{name} = '{max(size // _MEBIBYTE, 32)}MB'" for name, size in megabytes.items()]
    return "\n".join(lines) + "\n"


def _workload(args: PostgresArgs, directories: Mapping[str, Files]) -> StatefulArgs:
    settings = args.settings
    return StatefulArgs(
        identity=args.site.identity(NAME),
        name=NAME,
        namespace=args.site.namespace,
        image=args.site.official_image("postgres", settings.image),
        version=settings.image.label,
        replicas=settings.REPLICAS,
        command=("/bin/sh", f"{CONFIG}/{_AS_ANY_USER if _any_user(args) else 'start.sh'}"),
        ports={"postgresql": PORT},
        probes=_PROBES,
        # SIGTERM would wait for the clients to go; this ends their sessions and writes all down.
        pre_stop=("/bin/sh", "-c", _STOP),
        grace_period=120,
        resources=settings.resources,
        anti_affinity=settings.anti_affinity,
        user=USER,
        volume=settings.volume,
        volume_path=_VOLUME,
        volume_setting=args.volume_setting,
        refuse_volume=args.refuse_volume,
        pull_secret=args.site.image_pull_secret,
        protect=args.site.protect,
        # A fenced pod is never Ready. The Job that begins the record waits for the database.
        awaited=False,
        variables={
            "CONFIG": CONFIG,
            "HEADLESS_SERVICE": headless_name(NAME),
            "PGDATA": _PGDATA,
            "POD_NAME": POD_NAME,
            "SECRETS": SECRETS,
            "SOCKET": _SOCKET,
            "STATE": STATE,
        },
        files=directories,
        scratch={
            "socket": Scratch(path=_SOCKET, size_limit="16Mi", in_memory=True),
            # Parallel queries share memory here; a container's own has 64 MiB.
            "shm": Scratch(path="/dev/shm", size_limit="256Mi", in_memory=True),  # noqa: S108
        },
        extension=_extension(args),
    )


def _service(name: str, service: str, site: Site, opts: pulumi.ResourceOptions) -> Service:
    return Service(
        name,
        # Nobody waits for its endpoints: a fenced pod must not hold up an update.
        metadata=site.metadata(NAME, service, annotations={"pulumi.com/skipAwait": "true"}),
        spec=ServiceSpecArgs(
            type="ClusterIP",
            selector={**selector(NAME), POD_LABEL: "nobody"},
            ports=[ServicePortArgs(name="postgresql", port=PORT, target_port="postgresql")],
        ),
        # Where it leads is the record's to say. To the API server a selector is one value.
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=["spec.selector"])
        ),
    )
