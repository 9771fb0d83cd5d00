"""Worker pools: the pods in which agents work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi

from ado_infra.data.endpoints import ObjectStorageEndpoint, RedisEndpoint
from ado_infra.kit.autoscaling import Autoscaling, behavior, cpu_metric, external_metric
from ado_infra.kit.pods import Scratch
from ado_infra.kit.sources import POD_NAME, ConfigFile, SecretDirectory
from ado_infra.kit.workload import Termination, WorkloadArgs
from ado_infra.settings import DEFAULT_POOL, WorkerPoolSettings
from ado_infra.site import Site
from ado_infra.tiers.common import METRICS, Inputs, Tier, known, tier_workload

COMPONENT: Final = "worker"
QUEUE_METRIC: Final = "ado_task_queue_length"
"""Tasks that wait, by the label `queue`; see docs/metrics.md."""
WORKSPACE: Final = "/workspace"


@dataclass(frozen=True, kw_only=True)
class WorkerPoolArgs:
    """What a pool of workers is made from.

    Attributes:
        site: Where it is installed.
        settings: Image, resources, scaling and drain.
        controller_url: Where the orchestrators are.
        redis: The Redis that holds its queue.
        pool: Its name, which is also that of its queue.
        queue: Value of the label `queue` by which the queue metric tells this pool's queue from
            others; None where there is only one.
        object_storage: Where checkpoints and artifacts go, where there is one.
        config_file: The applications' configuration, where there is one.
        credentials: The agents' credentials, where there are any.
    """

    site: Site
    settings: WorkerPoolSettings
    controller_url: pulumi.Input[str]
    redis: RedisEndpoint
    pool: str = DEFAULT_POOL
    queue: str | None = None
    object_storage: ObjectStorageEndpoint | None = None
    config_file: ConfigFile | None = None
    credentials: SecretDirectory | None = None


class WorkerPool(Tier):
    """One pool of workers, autoscaled on its queue and on CPU.

    Produces: a Workload `ado-worker`, or `ado-worker-<pool>` for any pool but `default`
    (Deployment, headless Service for `metrics` 9090, HorizontalPodAutoscaler,
    PodDisruptionBudget). A worker that has to go gets the time that its longest task needs.
    Nothing here serves the queue metric: without an adapter that does, CPU alone scales.
    """

    def __init__(
        self, name: str, args: WorkerPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, _workload(args), opts)
        self.register_outputs({"serviceName": self.service_name})


def _workload(args: WorkerPoolArgs) -> WorkloadArgs:
    settings = args.settings
    return tier_workload(
        args.site,
        settings,
        component=COMPONENT,
        pool=None if args.pool == DEFAULT_POOL else args.pool,
        ports=(METRICS,),
        headless=True,
        replicas=_autoscaling(args),
        termination=Termination(
            pre_stop=settings.drain.pre_stop, grace_period=settings.grace_period
        ),
        inputs=Inputs(
            variables={
                "CONTROLLER_URL": args.controller_url,
                "HOME": WORKSPACE,
                "SHUTDOWN_TIMEOUT_SECONDS": str(settings.shutdown_timeout),
                "WORKER_ID": POD_NAME,
                "WORKER_QUEUE": args.pool,
            },
            endpoints=known(args.redis, args.object_storage),
            config_file=args.config_file,
            files={"agent-credentials": args.credentials} if args.credentials else {},
            scratch={"workspace": Scratch(path=WORKSPACE, size_limit=settings.workspace)},
        ),
    )


def _autoscaling(args: WorkerPoolArgs) -> Autoscaling:
    scaling = args.settings.scaling
    series = {"queue": args.queue} if args.queue else None
    return Autoscaling(
        bounds=scaling,
        metrics=(
            external_metric(QUEUE_METRIC, scaling.queue_length, series),
            cpu_metric(scaling.cpu_utilization),
        ),
        behavior=behavior(scaling.scale_up, scaling.scale_down),
    )
