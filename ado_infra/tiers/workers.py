"""Worker pools: the pods in which agents work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi

from ado_infra.data.connections import StoresOnNetwork
from ado_infra.data.endpoints import ObjectStorageEndpoint, RedisEndpoint
from ado_infra.kit.autoscaling import Autoscaling, behavior, external_metric
from ado_infra.kit.connections import Connection, Pods
from ado_infra.kit.pods import Scratch
from ado_infra.kit.sources import POD_NAME, ConfigFile, SecretFiles, SecretKey, SecretMount
from ado_infra.kit.workload import Termination, WorkloadArgs
from ado_infra.settings import DEFAULT_POOL, ModelGateway, WorkerPoolSettings, pool_name
from ado_infra.site import Site, require
from ado_infra.surroundings import Surroundings
from ado_infra.tiers import orchestrator
from ado_infra.tiers.common import (
    METRICS,
    Inputs,
    Tier,
    given_endpoints,
    tier_pods,
    tier_workload,
)

COMPONENT: Final = "worker"
WORKSPACE: Final = "/workspace"
GATEWAY_VOLUME: Final = "model-gateway"
"""The volume with a worker's key to a gateway; `ado-ops` knows pools that have one by it."""
GATEWAY_PATH: Final = "/etc/ado/model-gateway"
"""Where a worker has its key to a gateway; the file changes with the Secret, within a minute."""


@dataclass(frozen=True, kw_only=True)
class WorkerPoolArgs:
    """What a pool of workers is made from.

    Attributes:
        site: Where it is installed.
        settings: Image, resources, scaling and drain.
        controller_url: Where the orchestrators are: `Orchestrator.url`, and in one namespace with
            them `http://ado-orchestrator:3000`.
        redis: The Redis that holds its queue.
        pool: Its name, which is also that of its queue: a DNS label of at most 40 characters.
        only: Whether it is the only pool that there is: the queue metric then is of its queue, and
            needs no label `queue` to tell it from others, unless the settings say which it needs.
        object_storage: Where checkpoints and artifacts go, where there is one.
        config_file: The applications' configuration, where there is one.
        credentials: The agents' credentials, where there are any; not given to a pool whose
            settings name a gateway to models.
    """

    site: Site
    settings: WorkerPoolSettings
    controller_url: pulumi.Input[str]
    redis: RedisEndpoint
    pool: str
    only: bool = False
    object_storage: ObjectStorageEndpoint | None = None
    config_file: ConfigFile | None = None
    credentials: SecretMount | None = None

    def __post_init__(self) -> None:
        require("WorkerPoolArgs.pool", self.pool, pool_name)


class WorkerPool(Tier):
    """One pool of workers, autoscaled on its queue and on CPU.

    Produces: a Workload `ado-worker`, or `ado-worker-<pool>` for any pool but `default`
    (Deployment, headless Service for `metrics` 9090, HorizontalPodAutoscaler,
    PodDisruptionBudget). A worker that has to go gets the time that its longest task needs.
    Nothing here serves the queue metric: without an adapter that does, CPU alone scales. A pace of
    scaling that cuts tasks off is a warning.
    """

    TYPE: ClassVar[str] = "ado:index:WorkerPool"

    def __init__(
        self, name: str, args: WorkerPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, _workload(args), opts)
        if advice := args.settings.advice:
            pulumi.log.warn(f"Pool {args.pool}: {advice}", self)
        self.register_outputs({"serviceName": self.service_name})


def pool_pods(site: Site, pool: str) -> Pods:
    """The pods of a pool."""
    return tier_pods(site, COMPONENT, _suffix(pool))


def connections(
    site: Site,
    pool: str,
    settings: WorkerPoolSettings,
    stores: StoresOnNetwork,
    around: Surroundings,
) -> tuple[Connection, ...]:
    """What the workers of a pool reach: what a model has them run reaches no more."""
    own = pool_pods(site, pool)
    return (
        *own.to(orchestrator.answers(site), why="gets and reports tasks"),
        *own.to(*stores.redis, why="queues and events"),
        *own.to(*stores.object_storage, why="checkpoints and artifacts"),
        *_to_models(own, settings.model_gateway, around),
        *own.to(*around.tracing, why="traces"),
    )


def _to_models(
    own: Pods, gateway: ModelGateway | None, around: Surroundings
) -> tuple[Connection, ...]:
    if gateway is None:
        return own.to(*around.model_providers, why="asks models, fetches what tasks need")
    return own.to(*around.model_gateways[gateway.url], why="asks models")


def _suffix(pool: str) -> str | None:
    """What the name of a pool's workload ends in; nothing for the design's `ado-worker`."""
    return None if pool == DEFAULT_POOL else pool


def _workload(args: WorkerPoolArgs) -> WorkloadArgs:
    settings = args.settings
    return tier_workload(
        args.site,
        settings,
        section=f"workerPools.{args.pool}",
        component=COMPONENT,
        pool=_suffix(args.pool),
        ports=(METRICS,),
        headless=True,
        replicas=_autoscaling(args),
        termination=Termination(
            pre_stop=settings.drain.pre_stop, grace_period=settings.grace_period
        ),
        inputs=Inputs(
            variables={
                **_models(settings.model_gateway),
                "CONTROLLER_URL": args.controller_url,
                "HOME": WORKSPACE,
                "SHUTDOWN_TIMEOUT_SECONDS": str(settings.shutdown_timeout),
                "WORKER_ID": POD_NAME,
                "WORKER_QUEUE": args.pool,
            },
            endpoints=given_endpoints(args.redis, args.object_storage),
            config_file=args.config_file,
            files=_keys(args),
            scratch={"workspace": Scratch(path=WORKSPACE, size_limit=settings.workspace)},
        ),
    )


def _models(gateway: ModelGateway | None) -> dict[str, str]:
    """Where models are asked: in variables that the providers' own SDKs read, too."""
    if gateway is None:
        return {}
    urls = ("MODEL_GATEWAY_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL")
    return {
        "MODEL_GATEWAY_KEY_FILE": f"{GATEWAY_PATH}/{gateway.KEY}",
        **dict.fromkeys(urls, gateway.url),
    }


def _keys(args: WorkerPoolArgs) -> dict[str, SecretMount]:
    """The keys that a worker asks models with: those of providers, or its own to a gateway."""
    if gateway := args.settings.model_gateway:
        key = SecretKey(secret=gateway.key_secret, key=gateway.KEY)
        return {GATEWAY_VOLUME: SecretFiles(path=GATEWAY_PATH, keys={gateway.KEY: key})}
    return {"agent-credentials": args.credentials} if args.credentials else {}


def _autoscaling(args: WorkerPoolArgs) -> Autoscaling:
    scaling = args.settings.scaling
    series = scaling.queue_metric.labels
    if series is None and not args.only:
        series = {"queue": args.pool}
    return Autoscaling(
        bounds=scaling,
        metrics=(external_metric(scaling.queue_metric.name, scaling.queue_length, series),),
        behavior=behavior(scaling.scale_up, scaling.scale_down),
    )
