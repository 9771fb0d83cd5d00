"""The sections of the application tiers."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ado_infra.kit.pod_options import PodOptions
from ado_infra.kit.schema_rules import never, pattern_rule
from ado_infra.kit.spec import (
    AntiAffinity,
    Disruption,
    Health,
    ImageVersion,
    Resources,
    Scaling,
    ScalingStep,
    Spec,
)
from ado_infra.kit.values import HttpUrl, LabelKey, LabelValue, Memory, ReplicaCount, Seconds
from ado_infra.settings.secrets import SecretName

DEFAULT_POOL: Final = "default"
"""The pool that is the design's `ado-worker`."""
SHUTDOWN_MARGIN: Final = 30
"""Seconds that a worker gets beyond its longest task, to save and sign off."""
KILL_MARGIN: Final = 25
"""Seconds between the worker's own deadline and the kubelet's SIGKILL."""

PoolSize = Annotated[int, Field(ge=1, le=1000)]
"""Database connections that one pod may hold open."""

_POOL_NAME: Final = r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?"


def pool_name(name: str) -> str:
    """The name itself; raises ValueError when no pool can be called so."""
    if not re.fullmatch(_POOL_NAME, name, re.ASCII):
        raise ValueError("at most 40 lower-case letters, digits and hyphens, a letter first")
    return name


PoolName = Annotated[str, AfterValidator(pool_name), pattern_rule("pool name", f"^{_POOL_NAME}$")]
"""A DNS label, short enough for `ado-worker-<name>-hpa` and a pod's own suffix."""


class TierSettings(Spec):
    """What every application tier has in common."""

    image: ImageVersion
    """Which version of the tier's image runs."""
    resources: Resources
    """What each pod is promised, and the most it may use."""
    health: Health = Health()
    """Where the tier answers probes, on its first port."""
    disruption: Disruption = Disruption(max_unavailable=1)
    """How many pods a node drain must leave or may take: exactly one of the two."""
    anti_affinity: AntiAffinity = AntiAffinity.PREFERRED
    """`required`: never two pods of the tier on a host; `preferred`: where it can be avoided."""
    pod: PodOptions = PodOptions()
    """What its pods have besides, over what `ado:pods` says of all."""

    MINIMUM: ClassVar[str]
    """The key that `minimum_replicas` comes from."""
    REQUIRES_ANTI_AFFINITY: ClassVar[bool] = False
    """Whether production demands that no two pods share a host."""

    @property
    def minimum_replicas(self) -> int:
        """The number of pods that run at the quietest time."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _drains(self) -> Self:
        if blocked := self.disruption.blocked_with(self.minimum_replicas):
            raise ValueError(
                f"disruption.{blocked} would block every node drain for ever; "
                "use maxUnavailable: 1, or run more pods"
            )
        return self


class GatewaySettings(TierSettings):
    """The API gateway: HTTP and WebSocket entry of the platform."""

    MINIMUM: ClassVar[str] = "scaling.minReplicas"
    resources: Resources = Resources.of(("500m", "512Mi"), ("2", "2Gi"))
    scaling: Scaling = Scaling()
    """Between which numbers of pods the autoscaler moves."""
    disruption: Disruption = Disruption(min_available=1)
    pool_size: PoolSize = 10
    """Number of database connections that one pod may hold open."""

    @property
    def minimum_replicas(self) -> int:
        """The autoscaler's lower bound."""
        return self.scaling.min_replicas


class DashboardSettings(TierSettings):
    """The web dashboard."""

    MINIMUM: ClassVar[str] = "replicas"
    resources: Resources = Resources.of(("100m", "128Mi"), ("500m", "512Mi"))
    replicas: ReplicaCount = 2
    """Number of pods."""

    @property
    def minimum_replicas(self) -> int:
        """The fixed number of pods."""
        return self.replicas


class OrchestratorSettings(TierSettings):
    """The orchestrator core; the design runs two, or three at most."""

    MINIMUM: ClassVar[str] = "replicas"
    REQUIRES_ANTI_AFFINITY: ClassVar[bool] = True
    resources: Resources = Resources.of(("500m", "1Gi"), ("2", "4Gi"))
    replicas: Annotated[int, Field(ge=1, le=3)] = 2
    """Number of pods."""
    anti_affinity: AntiAffinity = AntiAffinity.REQUIRED
    pool_size: PoolSize = 20
    """Number of database connections that one pod may hold open."""

    @property
    def minimum_replicas(self) -> int:
        """The fixed number of pods."""
        return self.replicas


class ScaleUp(ScalingStep):
    """How fast workers are added."""

    window: Annotated[int, Field(ge=0, le=3600)] = 60
    pods: Annotated[int, Field(ge=1, le=1000)] = 5


class ScaleDown(ScalingStep):
    """How fast workers are taken away."""

    window: Annotated[int, Field(ge=0, le=3600)] = 300
    pods: Annotated[int, Field(ge=1, le=1000)] = 2


class QueueMetric(Spec):
    """The external metric that tells how many tasks wait."""

    name: Annotated[str, StringConstraints(pattern=r"^[^/%\s]{1,253}$"), never(".", "..")] = (
        "ado_task_queue_length"
    )
    """Its name, as the adapter that serves it has it."""
    labels: dict[LabelKey, LabelValue] | None = None
    """Which of several series: these; else `queue` where there are several pools."""


class WorkerScaling(Scaling):
    """Autoscaling on CPU and on the tasks that wait."""

    min_replicas: ReplicaCount = 3
    max_replicas: ReplicaCount = 50
    queue_length: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Number of waiting tasks for each pod that the autoscaler aims at."""
    queue_metric: QueueMetric = QueueMetric()
    """The external metric that tells how many tasks wait."""
    scale_up: ScaleUp = ScaleUp()
    """How fast workers are added."""
    scale_down: ScaleDown = ScaleDown()
    """How fast workers are taken away."""


class Drain(Spec):
    """How a worker ends; what is not given derives from the longest task."""

    pre_stop: Annotated[int, Field(ge=1, le=3600)] = 5
    """Seconds that a worker goes on before SIGTERM."""
    shutdown_timeout: Seconds | None = None
    """Seconds within which a worker ends after SIGTERM; `longestTask` + 30 when not given."""
    grace_period: Seconds | None = None
    """Seconds until the kubelet kills; `shutdownTimeout` + `preStop` + 25 when not given."""


class ModelGateway(Spec):
    """A gateway that holds the providers' keys and asks models for the workers of a pool.

    The platform wires it and lets the pool reach it; it does not make it.
    """

    KEY: ClassVar[str] = "key"
    """The key of that Secret that is read."""

    url: HttpUrl
    """Where it answers, in the place of each provider's own API."""
    key_secret: SecretName
    """Name of an existing Secret in the platform's namespace, whose `key` the pool asks with."""


class WorkerPoolSettings(TierSettings):
    """One pool of workers.

    The drain contract: longest_task ≤ shutdown_timeout < grace_period - pre_stop, so that no
    task is cut off when a pod has to go.
    """

    MINIMUM: ClassVar[str] = "scaling.minReplicas"
    resources: Resources = Resources.of(("1", "2Gi"), ("4", "8Gi"))
    scaling: WorkerScaling = WorkerScaling()
    """Between which numbers of pods the autoscaler moves, and what it goes by."""
    disruption: Disruption = Disruption(max_unavailable="30%")
    workspace: Memory = "10Gi"
    """The most bytes that `/workspace` may hold, such as `10Gi`."""
    longest_task: Seconds = 240
    """How long one task may take, in seconds."""
    drain: Drain = Drain()
    """How a worker ends, so that no task is cut off."""
    model_gateway: ModelGateway | None = None
    """What asks models for its pods, which then have no provider's key; they ask by themselves
    when not given."""

    @property
    def minimum_replicas(self) -> int:
        """The autoscaler's lower bound."""
        return self.scaling.min_replicas

    @property
    def shutdown_timeout(self) -> int:
        """Seconds after SIGTERM within which a worker ends by itself."""
        return self.drain.shutdown_timeout or self.longest_task + SHUTDOWN_MARGIN

    @property
    def grace_period(self) -> int:
        """Seconds after which the kubelet kills what has not ended."""
        derived = self.shutdown_timeout + self.drain.pre_stop + KILL_MARGIN
        return self.drain.grace_period or derived

    @model_validator(mode="after")
    def _lets_tasks_finish(self) -> Self:
        if self.shutdown_timeout < self.longest_task:
            raise ValueError(
                f"drain.shutdownTimeout {self.shutdown_timeout} is shorter than longestTask "
                f"{self.longest_task}: tasks would be cut off; raise it, or leave it out"
            )
        if self.shutdown_timeout >= self.grace_period - self.drain.pre_stop:
            raise ValueError(
                f"drain.gracePeriod {self.grace_period} must exceed shutdownTimeout "
                f"{self.shutdown_timeout} plus preStop {self.drain.pre_stop}: workers would be "
                "killed before their own deadline; raise it, or leave it out"
            )
        return self

    @property
    def advice(self) -> str | None:
        """What is allowed and still unwise; None when nothing is."""
        if self.scaling.scale_down.window >= self.longest_task:
            return None
        return (
            f"scaling.scaleDown.window {self.scaling.scale_down.window} is shorter than "
            f"longestTask {self.longest_task}: a dip in the queue that is over before one task "
            "is takes workers away, and each works on its last task only until then"
        )


class MigrationImage(ImageVersion):
    """The image of the migrations: `<registry>/<name>`."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$")] = (
        "orchestrator"
    )
    """Name of the image below the registry."""


class MigrationSettings(Spec):
    """A command that brings the database's schema up to date."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    """Program and arguments, as a list."""
    image: MigrationImage | None = None
    """The image that it runs in; the orchestrator's when not given."""
    timeout: Seconds = 600
    """Seconds after which it counts as failed."""
    pod: PodOptions = PodOptions()
    """What its pods have besides, over what `ado:pods` says of all."""
