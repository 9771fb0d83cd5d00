"""Redis: its pods, its Services, the Job that joins them, and the endpoint it offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs

from ado_infra.data.endpoints import ExpandedUrl, expanded
from ado_infra.data.files import CONFIG, JOB_RESOURCES, SECRETS, packaged
from ado_infra.kit import volumes
from ado_infra.kit.connections import Connection, Destination
from ado_infra.kit.jobs import JobArgs, one_shot
from ado_infra.kit.labels import headless_name, selector
from ado_infra.kit.pods import Scratch
from ado_infra.kit.published import publish_config, publish_secrets
from ado_infra.kit.sources import POD_ADDRESS, POD_NAME, Files, SecretKey
from ado_infra.kit.stateful import Probes, StatefulArgs, StatefulWorkload
from ado_infra.secrets import GivenSecret, given_or_generated
from ado_infra.settings import RedisSettings
from ado_infra.site import Site

NAME: Final = "redis"
CREATE: Final = "redis-cluster-create"
PORT: Final = 6379
BUS_PORT: Final = 16379
USER: Final = 999
"""uid and gid of `redis` in the official image's Debian variants."""

_RUN: Final = "/run/redis"
_FILES: Final = (
    *("start.sh", "ask.sh", "meet.sh", "follow.sh", "hand_over.sh", "create.sh"),
    "redis.conf",
)
_VARIABLES: Final = {"CONFIG": CONFIG, "HEADLESS_SERVICE": headless_name(NAME), "SECRETS": SECRETS}
"""Of every script. Not how many nodes there are: more of them would restart the old."""


def _ask(what: str) -> tuple[str, ...]:
    return ("/bin/sh", f"{_RUN}/ask.sh", what)


_PROBES: Final = Probes(started=_ask("alive"), ready=_ask("ready"), alive=_ask("alive"))
"""A node speaks for itself alone: if all had to see a whole cluster, one lost node would take
every other out of service, and the Job that makes the cluster would wait for ever."""


@dataclass(frozen=True, kw_only=True)
class RedisArgs:
    """What Redis is made from.

    Attributes:
        site: Where it is installed.
        settings: Image, resources, volume, replicas.
        password: Of every client and node; made once where none is given. In a Secret of others it
            has to be one that needs no percent-encoding, see `ExpandedUrl`.
        volume_setting: What its user sets the volume by, for messages.
        refuse_volume: See `StatefulArgs`.
    """

    site: Site
    settings: RedisSettings = field(default_factory=RedisSettings)
    password: pulumi.Input[str] | SecretKey | None = None
    volume_setting: str = "RedisSettings.volume"
    refuse_volume: volumes.Refuse = volumes.refuse


class Redis(pulumi.ComponentResource):
    """Redis: a cluster of three masters in three pods, or with a replica of each in six.

    Produces: ConfigMap `redis-config` (scripts and configuration), Secret `redis` (the password,
    unless it is in one of others), StatefulWorkload `redis`, Service `redis` (every node, as a
    seed), Job `redis-cluster-create-<digest>` and its ServiceAccount. Without replicas there is no
    failover: while a node is away, its third of the keys is away (docs/data.md).
    """

    workload: StatefulWorkload
    service: Service
    url: pulumi.Output[str]
    """How clients reach a seed, password included; secret. Where that is in a Secret of others,
    `$(REDIS_PASSWORD)` stands in its place."""
    expanded_url: ExpandedUrl | None
    """That, with where the password is; None where the URL has it."""
    nodes: pulumi.Output[str]
    """Every node as `host:port`, separated by commas."""

    def __init__(
        self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Redis", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=args.site.protect)
        password = given_or_generated(f"{name}-password", args.password, kept)
        workload = _workload(args, _files(name, args, password, child))
        self.workload = StatefulWorkload(f"{name}-workload", workload, child)
        after = pulumi.ResourceOptions(parent=self, depends_on=[self.workload])
        self.service = Service(
            f"{name}-service",
            metadata=args.site.metadata(NAME, NAME),
            spec=_service_spec(),
            opts=after,
        )
        one_shot(f"{name}-create", _create_job(args, workload), after)
        pods = range(args.settings.pods)
        hosts = [f"{NAME}-{ordinal}.{headless_name(NAME)}:{PORT}" for ordinal in pods]
        self.nodes = pulumi.Output.from_input(",".join(hosts))
        self.url, self.expanded_url = expanded(password, "REDIS_PASSWORD", _url)
        self.register_outputs({"url": self.url, "nodes": self.nodes})


def answers(site: Site) -> Destination:
    """Where Redis answers those who use it: every node, for each sends its clients to others."""
    return Destination(party=site.pods_of(NAME), ports=(PORT,))


def connections(site: Site) -> tuple[Connection, ...]:
    """Among its own nodes, and of the Job that joins them."""
    own = site.pods_of(NAME)
    node = Destination(party=own, ports=(PORT, BUS_PORT))
    return (
        *own.to(node, why="nodes copy and watch each other"),
        *site.job_pods(CREATE).to(answers(site), why="joins the nodes"),
    )


def _url(password: str) -> str:
    return f"redis://:{password}@{NAME}:{PORT}/0"


def _files(
    name: str, args: RedisArgs, password: GivenSecret, opts: pulumi.ResourceOptions
) -> dict[str, Files]:
    site = args.site
    config = publish_config(
        f"{name}-config", site.metadata(NAME, f"{NAME}-config"), files(args.settings), opts
    )
    secrets = publish_secrets(
        f"{name}-password",
        site.metadata(NAME, NAME),
        {"password": password},
        opts,
        digest_key=site.digest_key,
    )
    return {"config": config.directory(CONFIG), "password": secrets.directory(SECRETS)}


def files(settings: RedisSettings) -> dict[str, str]:
    """File name → content of what Redis is started with; sizes derive from the settings."""
    contents = packaged(__package__ or "", _FILES)
    maximum = min(settings.memory_for_data, settings.volume_for_data)
    lines = f"appendfsync {settings.appendfsync}\nmaxmemory {maximum}\n"
    return contents | {"redis.conf": contents["redis.conf"] + lines}


def _workload(args: RedisArgs, directories: dict[str, Files]) -> StatefulArgs:
    settings = args.settings
    return StatefulArgs(
        identity=args.site.identity(NAME),
        name=NAME,
        namespace=args.site.namespace,
        image=args.site.official_image("redis", settings.image),
        version=settings.image.label,
        replicas=settings.pods,
        command=("/bin/sh", f"{CONFIG}/start.sh"),
        ports={"redis": PORT, "bus": BUS_PORT},
        probes=_PROBES,
        # Of the grace period it takes up to 45 s, where the replica ends too or does not take over.
        pre_stop=("/bin/sh", f"{_RUN}/hand_over.sh"),
        grace_period=60,
        resources=settings.resources,
        anti_affinity=settings.anti_affinity,
        user=USER,
        volume=settings.volume,
        volume_path="/data",
        volume_setting=args.volume_setting,
        refuse_volume=args.refuse_volume,
        pull_secret=args.site.image_pull_secret,
        protect=args.site.protect,
        variables={
            **_VARIABLES,
            "POD_IP": POD_ADDRESS,
            "POD_NAME": POD_NAME,
            "RUN": _RUN,
        },
        files=directories,
        scratch={"run": Scratch(path=_RUN, size_limit="1Mi", in_memory=True)},
        extension=args.site.extension("redis", settings.pod),
    )


def _create_job(args: RedisArgs, workload: StatefulArgs) -> JobArgs:
    masters, replicas = args.settings.MASTERS, args.settings.replicas_per_master
    return JobArgs(
        identity=args.site.identity(CREATE),
        name=CREATE,
        namespace=args.site.namespace,
        image=workload.image,
        command=("/bin/sh", f"{CONFIG}/create.sh", str(masters), str(replicas)),
        decisive={},
        timeout=600,
        resources=JOB_RESOURCES,
        user=USER,
        pull_secret=args.site.image_pull_secret,
        variables=_VARIABLES,
        files=workload.files,
        extension=args.site.extension(),
    )


def _service_spec() -> ServiceSpecArgs:
    return ServiceSpecArgs(
        type="ClusterIP",
        selector=selector(NAME),
        ports=[ServicePortArgs(name="redis", port=PORT, target_port="redis")],
    )
