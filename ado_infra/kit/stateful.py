"""A stateful workload: named pods with a volume each, which no setting ever replaces.

Names, claims, pod management and history are fixed from the first release on: Kubernetes refuses
to change them, and the engine would delete the StatefulSet and make another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import (
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicyArgs,
    StatefulSetSpecArgs,
    StatefulSetUpdateStrategyArgs,
)
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    ExecActionArgs,
    LifecycleArgs,
    LifecycleHandlerArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from ado_infra.kit import demand, extending, labels, pods, volumes
from ado_infra.kit.demand import Demand
from ado_infra.kit.labels import Identity
from ado_infra.kit.pod_options import Extension
from ado_infra.kit.pods import Account, Mounted, Scratch
from ado_infra.kit.rollouts import Rollout
from ado_infra.kit.sources import Files, Variable, checksums, variable
from ado_infra.kit.spec import AntiAffinity, Disruption, Resources, Volume

CLAIM: Final = "data"
"""Name of the claim template: the claims are `data-<name>-<ordinal>`."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Commands that tell a pod's state by their exit code; delays and periods in seconds.

    Attributes:
        started: Until it succeeds once nothing else is asked.
        ready: Whether clients are sent to the pod.
        alive: Whether the container is left running.
        start_within: How long a start may take before the container is started again.
    """

    started: tuple[str, ...]
    ready: tuple[str, ...]
    alive: tuple[str, ...]
    start_within: int = 3600


@dataclass(frozen=True, kw_only=True)
class StatefulArgs:
    """What tells one stateful workload from another.

    Attributes:
        identity: What the objects belong to.
        name: Name of the StatefulSet, and the pods' `app` label.
        namespace: Where everything is created.
        image: Reference of the container image, with tag or digest.
        version: The image's version as a label value.
        replicas: The number of pods.
        command: What runs, whatever the image would run by itself.
        ports: Name → container port; the headless Service has the same ones.
        probes: How a pod's state is told.
        pre_stop: What is run when a pod has to end; None where SIGTERM does.
        grace_period: Seconds after which the kubelet kills what has not ended.
        resources: Requests and limits of the container.
        anti_affinity: Whether two pods may share a host.
        user: uid, gid and fsGroup.
        volume: The volume that each pod keeps.
        volume_path: Where it is mounted.
        volume_setting: The key that a stack sets it by, for messages.
        refuse_volume: What ends the program when another volume is wanted than there is.
        pull_secret: Name of an existing image pull Secret.
        protect: Whether the StatefulSet refuses to be destroyed.
        awaited: Whether a deployment waits until all its pods are Ready. Not where one that is kept
            from starting on purpose would hold up every other change.
        variables: Environment variables that are no secrets.
        files: Volume name → what is read from a ConfigMap or Secret.
        scratch: Volume name → writable directory, beside `/tmp`, which every pod has.
        extension: What its user adds to the pods.
    """

    identity: Identity
    name: str
    namespace: pulumi.Input[str]
    image: str
    version: str
    replicas: int
    command: tuple[str, ...]
    ports: Mapping[str, int]
    probes: Probes
    grace_period: int
    resources: Resources
    anti_affinity: AntiAffinity
    user: int
    volume: Volume
    volume_path: str
    volume_setting: str
    protect: bool
    awaited: bool = True
    refuse_volume: volumes.Refuse = volumes.refuse
    pre_stop: tuple[str, ...] | None = None
    pull_secret: pulumi.Input[str] | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    files: Mapping[str, Files] = field(default_factory=dict)
    scratch: Mapping[str, Scratch] = field(default_factory=dict)
    extension: Extension = field(default_factory=Extension)


class StatefulWorkload(pulumi.ComponentResource):
    """Pods that keep their names and volumes.

    Produces: StatefulSet, headless Service `<name>-headless` (which also names pods that are not
    ready: they have to find each other to become so), PodDisruptionBudget, and a ServiceAccount
    unless the extension names another. It fails when the settings name another volume than
    the one there is, and leaves that as it is (see `kit/volumes.py`).
    """

    stateful_set: StatefulSet
    headless_service: Service
    disruption_budget: PodDisruptionBudget
    demand: Demand
    """What its pods and claims ask for."""

    def __init__(
        self, name: str, args: StatefulArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:StatefulWorkload", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.headless_service = Service(
            f"{name}-headless",
            metadata=_metadata(args, labels.headless_name(args.name)),
            spec=_headless_spec(args),
            opts=child,
        )
        metadata = _metadata(args, args.name)
        if not args.awaited:
            metadata.annotations = {"pulumi.com/skipAwait": "true"}
        rollout = Rollout(pods=args.replicas, at_once=1, grace_period=args.grace_period)
        rollout.announce(args.name, self)
        account = extending.service_account(
            f"{name}-account", _metadata(args, args.name), args.extension, child
        )
        template = _template(args, account)
        self.demand = demand.total(
            [
                demand.of_pods(template, args.replicas),
                demand.of_claims(args.volume.size, args.replicas),
            ]
        )
        self.stateful_set = StatefulSet(
            f"{name}-statefulset",
            metadata=metadata,
            spec=_spec(args, self.headless_service.metadata.name, template),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                ignore_changes=[volumes.IGNORED],
                custom_timeouts=pulumi.CustomTimeouts(update=f"{rollout.seconds}s"),
            ),
        )
        self.disruption_budget = PodDisruptionBudget(
            f"{name}-pdb",
            metadata=_metadata(args, labels.disruption_budget_name(args.name)),
            spec=pods.disruption_budget(args.name, Disruption(max_unavailable=1)),
            opts=child,
        )
        args.refuse_volume(
            volumes.problem(self.stateful_set, args.name, args.volume, args.volume_setting)
        )
        self.register_outputs({"headlessService": self.headless_service.metadata.name})


def _metadata(args: StatefulArgs, name: str) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=name, namespace=args.namespace, labels=args.identity.labels)


def _headless_spec(args: StatefulArgs) -> ServiceSpecArgs:
    return ServiceSpecArgs(
        type="ClusterIP",
        cluster_ip=labels.NO_CLUSTER_IP,
        publish_not_ready_addresses=True,
        selector=labels.selector(args.name),
        ports=[
            ServicePortArgs(name=name, port=port, target_port=name)
            for name, port in args.ports.items()
        ],
    )


def _spec(
    args: StatefulArgs, headless_service: pulumi.Input[str], template: PodTemplateSpecArgs
) -> StatefulSetSpecArgs:
    return StatefulSetSpecArgs(
        service_name=headless_service,
        replicas=args.replicas,
        # All at once: each may have to see its peers before it can start.
        pod_management_policy="Parallel",
        revision_history_limit=10,
        selector=LabelSelectorArgs(match_labels=labels.selector(args.name)),
        update_strategy=StatefulSetUpdateStrategyArgs(type="RollingUpdate"),
        persistent_volume_claim_retention_policy=(
            StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                when_deleted="Retain", when_scaled="Retain"
            )
        ),
        volume_claim_templates=[volumes.claim_template(CLAIM, args.volume, args.identity)],
        template=template,
    )


def _template(args: StatefulArgs, account: Account) -> PodTemplateSpecArgs:
    mounted = extending.mounted(
        args.extension, pods.directories(args.scratch, args.files), claims=[CLAIM]
    )
    template = PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(
            labels=args.identity.pod_labels(args.name, args.version),
            annotations={**checksums(args.files), **pods.evictable(mounted)},
        ),
        spec=_pod_spec(args, mounted, account),
    )
    return extending.extended(template, args.extension, mounted)


def _pod_spec(args: StatefulArgs, mounted: Mapping[str, Mounted], account: Account) -> PodSpecArgs:
    return pods.pod_spec(
        _container(args, mounted),
        mounted,
        account=account,
        user=args.user,
        pull_secret=args.pull_secret,
        affinity=pods.spread_over_hosts(args.name, args.anti_affinity),
        spread=pods.spread_over_zones(args.name),
        grace_period=args.grace_period,
    )


def _container(args: StatefulArgs, mounted: Mapping[str, Mounted]) -> ContainerArgs:
    probes, stop = args.probes, args.pre_stop
    lifecycle = LifecycleArgs(pre_stop=LifecycleHandlerArgs(exec_=_exec(stop))) if stop else None
    return ContainerArgs(
        name=args.identity.component,
        image=args.image,
        command=list(args.command),
        env=[variable(name, value) for name, value in args.variables.items()],
        lifecycle=lifecycle,
        liveness_probe=_probe(probes.alive, period=10, failures=6),
        ports=[ContainerPortArgs(name=n, container_port=port) for n, port in args.ports.items()],
        readiness_probe=_probe(probes.ready, period=5, failures=3),
        resources=pods.resource_requirements(args.resources, mounted),
        security_context=pods.container_security(),
        startup_probe=_probe(probes.started, period=2, failures=probes.start_within // 2),
        volume_mounts=[
            VolumeMountArgs(name=CLAIM, mount_path=args.volume_path),
            *pods.mounts(mounted),
        ],
    )


def _exec(command: tuple[str, ...]) -> ExecActionArgs:
    return ExecActionArgs(command=list(command))


def _probe(command: tuple[str, ...], *, period: int, failures: int) -> ProbeArgs:
    return ProbeArgs(
        exec_=_exec(command), period_seconds=period, timeout_seconds=5, failure_threshold=failures
    )
