"""A stateless workload: pods that are hardened, spread, probed, disrupted with care and rolled.

The workload owns its selector and hands it to its Service, autoscaler and disruption budget, so
that they cannot select anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import (
    Deployment,
    DeploymentSpecArgs,
    DeploymentStrategyArgs,
    RollingUpdateDeploymentArgs,
)
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    HTTPGetActionArgs,
    LifecycleArgs,
    LifecycleHandlerArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    SleepActionArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from ado_infra.kit import demand, extending, labels, pods
from ado_infra.kit.autoscaling import Autoscaling
from ado_infra.kit.demand import Demand
from ado_infra.kit.labels import Identity
from ado_infra.kit.pod_options import Extension
from ado_infra.kit.pods import Account, Mounted, Scratch
from ado_infra.kit.rollouts import Rollout
from ado_infra.kit.sources import Files, SecretVariable, Variable, checksums, variable
from ado_infra.kit.spec import AntiAffinity, Disruption, Health, Resources
from ado_infra.kit.values import share_of

_START_WITHIN: Final = 600
"""Seconds that a container may take to answer for the first time, before it is started again."""
_START_PERIOD: Final = 2
"""Seconds between two questions whether it does: what it takes longer to be Ready."""


@dataclass(frozen=True, kw_only=True)
class Termination:
    """How a pod ends, in seconds.

    Attributes:
        pre_stop: How long a leaving pod still serves, until every node has stopped sending to it.
        grace_period: When the kubelet kills what has not ended; `pre_stop` is part of it.
    """

    pre_stop: int = 5
    grace_period: int = 30


@dataclass(frozen=True, kw_only=True)
class Port:
    """A named container port, and the port of the Service that leads to it."""

    name: str
    container: int
    service: int


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """What tells one workload from another.

    Attributes:
        identity: What the objects belong to.
        name: Name of the Deployment and the Service, and the pods' `app` label.
        namespace: Where everything is created.
        image: Reference of the container image, with tag or digest.
        version: The image's version as a label value.
        ports: The container's ports; the first one answers the probes.
        resources: Requests and limits of the container.
        health: Paths of the probes.
        disruption: How many pods a voluntary disruption must leave or may take.
        anti_affinity: Whether two pods may share a host.
        replicas: A fixed number of pods, or an autoscaler, which then owns the number.
        service_annotations: What the Service tells load balancers.
        headless: Whether the Service's name resolves to the pods instead of an address of its own.
        termination: How a pod ends.
        pull_secret: Name of an existing image pull Secret.
        variables: Environment variables that are no secrets.
        secrets: Environment variables read from Secrets.
        files: Volume name → what is read from a ConfigMap or Secret.
        scratch: Volume name → writable directory, beside `/tmp`, which every pod has.
        extension: What its user adds to the pods.
    """

    identity: Identity
    name: str
    namespace: pulumi.Input[str]
    image: str
    version: str
    ports: tuple[Port, ...]
    resources: Resources
    health: Health
    disruption: Disruption
    anti_affinity: AntiAffinity
    replicas: int | Autoscaling
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    headless: bool = False
    termination: Termination = Termination()
    pull_secret: pulumi.Input[str] | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    secrets: Mapping[str, SecretVariable] = field(default_factory=dict)
    files: Mapping[str, Files] = field(default_factory=dict)
    scratch: Mapping[str, Scratch] = field(default_factory=dict)
    extension: Extension = field(default_factory=Extension)


class Workload(pulumi.ComponentResource):
    """Pods behind a Service.

    Produces: Deployment, Service, PodDisruptionBudget, with `Autoscaling` a
    HorizontalPodAutoscaler, which then owns the number of replicas, and a ServiceAccount unless the
    extension names another.
    """

    deployment: Deployment
    service: Service
    disruption_budget: PodDisruptionBudget
    autoscaler: HorizontalPodAutoscaler | None
    demand: Demand
    """What its pods ask for at their most, while they roll."""
    service_name: pulumi.Output[str]
    """Name of the Service, once the pods behind it are Ready."""

    def __init__(
        self, name: str, args: WorkloadArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Workload", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        rollout = _rollout(args)
        rollout.announce(args.name, self)
        patience = pulumi.CustomTimeouts(
            update=f"{rollout.seconds}s",
            # Who deletes it waits for its pods, which may take as long as they are given.
            delete=f"{args.termination.grace_period + 600}s",
        )
        account = extending.service_account(
            f"{name}-account", _metadata(args), args.extension, child
        )
        template = _template(args, account)
        self.demand = demand.of_pods(template, _most_pods(args))
        self.deployment = Deployment(
            f"{name}-deployment",
            metadata=_metadata(args),
            spec=_deployment_spec(args, template),
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=patience),
        )
        exposed = _metadata(args)
        exposed.annotations = dict(args.service_annotations) or None
        self.service = Service(
            f"{name}-service",
            metadata=exposed,
            spec=_service_spec(args),
            # The engine waits for the pods behind it: made first, it would hold one of the few
            # slots of `pulumi up --parallel` while what makes these waits for one.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.deployment]),
        )
        self.disruption_budget = PodDisruptionBudget(
            f"{name}-pdb",
            metadata=_metadata(args, labels.disruption_budget_name(args.name)),
            spec=pods.disruption_budget(args.name, args.disruption),
            opts=child,
        )
        self.autoscaler = None
        if isinstance(args.replicas, Autoscaling):
            self.autoscaler = HorizontalPodAutoscaler(
                f"{name}-hpa",
                metadata=_metadata(args, labels.autoscaler_name(args.name)),
                spec=args.replicas.spec(args.name, _counted(args)),
                opts=child,
            )
        self.service_name = self.service.metadata.name
        self.register_outputs({"serviceName": self.service_name})


def _metadata(args: WorkloadArgs, name: str | None = None) -> ObjectMetaArgs:
    return ObjectMetaArgs(
        name=name or args.name, namespace=args.namespace, labels=args.identity.labels
    )


def _replicas(args: WorkloadArgs) -> int:
    """The most that there may be."""
    replicas = args.replicas
    return replicas if isinstance(replicas, int) else replicas.bounds.max_replicas


def _most_pods(args: WorkloadArgs) -> int:
    surge, _ = _pace(args)
    return _replicas(args) + share_of(surge, _replicas(args))


def _rollout(args: WorkloadArgs) -> Rollout:
    pods = _replicas(args)
    surge, unavailable = _pace(args)
    return Rollout(
        pods=pods,
        at_once=share_of(surge, pods) or unavailable,
        grace_period=args.termination.grace_period,
    )


def _counted(args: WorkloadArgs) -> str | None:
    """The container whose CPU is counted; None for all of the pod, as the design has it."""
    return args.identity.component if args.extension.options.sidecars else None


def _deployment_spec(args: WorkloadArgs, template: PodTemplateSpecArgs) -> DeploymentSpecArgs:
    return DeploymentSpecArgs(
        replicas=args.replicas if isinstance(args.replicas, int) else None,
        progress_deadline_seconds=_rollout(args).progress_deadline,
        selector=LabelSelectorArgs(match_labels=labels.selector(args.name)),
        strategy=_strategy(args),
        template=template,
    )


def _template(args: WorkloadArgs, account: Account) -> PodTemplateSpecArgs:
    mounted = extending.mounted(args.extension, pods.directories(args.scratch, args.files))
    template = PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(
            labels=args.identity.pod_labels(args.name, args.version),
            annotations={
                **checksums({**args.secrets, **args.files}),
                **pods.evictable(mounted),
            },
        ),
        spec=_pod_spec(args, mounted, account),
    )
    return extending.extended(template, args.extension, mounted)


def _pace(args: WorkloadArgs) -> tuple[int | str, int]:
    """How many pods a rollout may make beyond the wanted number, and how many it may lack."""
    if args.anti_affinity is AntiAffinity.REQUIRED:
        # With one pod per host there may be no room for a surge: it would wait for ever.
        return 0, 1
    # A tenth is rounded up: one pod of a few, five of fifty, which would take too long else.
    return "10%" if isinstance(args.replicas, Autoscaling) else 1, 0


def _strategy(args: WorkloadArgs) -> DeploymentStrategyArgs:
    surge, unavailable = _pace(args)
    return DeploymentStrategyArgs(
        type="RollingUpdate",
        rolling_update=RollingUpdateDeploymentArgs(max_surge=surge, max_unavailable=unavailable),
    )


def _pod_spec(args: WorkloadArgs, mounted: Mapping[str, Mounted], account: Account) -> PodSpecArgs:
    return pods.pod_spec(
        _container(args, mounted),
        mounted,
        account=account,
        pull_secret=args.pull_secret,
        affinity=pods.spread_over_hosts(args.name, args.anti_affinity),
        spread=pods.spread_over_zones(args.name),
        grace_period=args.termination.grace_period,
    )


def _container(args: WorkloadArgs, mounted: Mapping[str, Mounted]) -> ContainerArgs:
    return ContainerArgs(
        name=args.identity.component,
        image=args.image,
        env=[
            *(variable(name, value) for name, value in args.variables.items()),
            *(secret.variable(name) for name, secret in args.secrets.items()),
        ],
        lifecycle=LifecycleArgs(
            pre_stop=LifecycleHandlerArgs(sleep=SleepActionArgs(seconds=args.termination.pre_stop))
        ),
        liveness_probe=_probe(args, args.health.live, delay=10, period=10),
        ports=[ContainerPortArgs(name=p.name, container_port=p.container) for p in args.ports],
        readiness_probe=_probe(args, args.health.ready, delay=5, period=5),
        resources=pods.resource_requirements(args.resources, mounted),
        security_context=pods.container_security(),
        startup_probe=_startup_probe(args),
        volume_mounts=pods.mounts(mounted),
    )


def _probe(args: WorkloadArgs, path: str, *, delay: int, period: int) -> ProbeArgs:
    """A probe of the first port; delays and periods in seconds, from the design."""
    return ProbeArgs(
        http_get=HTTPGetActionArgs(path=path, port=args.ports[0].name),
        initial_delay_seconds=delay,
        period_seconds=period,
        timeout_seconds=5,
    )


def _startup_probe(args: WorkloadArgs) -> ProbeArgs:
    """Until it succeeds once, liveness is not asked: a slow start is no reason for another one."""
    return ProbeArgs(
        http_get=HTTPGetActionArgs(path=args.health.live, port=args.ports[0].name),
        period_seconds=_START_PERIOD,
        timeout_seconds=5,
        failure_threshold=_START_WITHIN // _START_PERIOD,
    )


def _service_spec(args: WorkloadArgs) -> ServiceSpecArgs:
    return ServiceSpecArgs(
        type="ClusterIP",
        cluster_ip=labels.NO_CLUSTER_IP if args.headless else None,
        selector=labels.selector(args.name),
        ports=[
            ServicePortArgs(name=port.name, port=port.service, target_port=port.name)
            for port in args.ports
        ],
    )
