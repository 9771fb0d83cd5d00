"""Pods that pass Pod Security `restricted`, and a little more, without being asked.

Rules: kubernetes.io, "Pod Security Standards". Beyond them: read-only root file system, no
service-account token unless asked, no service environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import pulumi
from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    CapabilitiesArgs,
    ContainerArgs,
    EmptyDirVolumeSourceArgs,
    LocalObjectReferenceArgs,
    PodAffinityTermArgs,
    PodAntiAffinityArgs,
    PodSecurityContextArgs,
    PodSpecArgs,
    ResourceRequirementsArgs,
    SeccompProfileArgs,
    SecurityContextArgs,
    TopologySpreadConstraintArgs,
    VolumeArgs,
    VolumeMountArgs,
    WeightedPodAffinityTermArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudgetSpecArgs

from ado_infra.kit.labels import selector
from ado_infra.kit.quantities import in_bytes, size_in_bytes
from ado_infra.kit.sources import Files, GivenVolume
from ado_infra.kit.spec import Amounts, AntiAffinity, Disruption, Resources

DEFAULT_USER: Final = 10001
"""uid, gid and fsGroup: above 10000, so that it meets no user of the host."""

_SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
NAMESPACE_LABELS: Final = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
}


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """An empty, writable directory that lives as long as the pod.

    Attributes:
        path: Absolute path of the directory in the container; None where only others have it.
        size_limit: The most it may hold, a quantity of bytes; the pod is evicted beyond it.
        in_memory: Whether it is kept in memory, for what must not touch a disk.
        read_only: Whether the container cannot write to it.
        sub_path: The one file or directory of it that is mounted.
    """

    path: str | None
    size_limit: str
    in_memory: bool = False
    read_only: bool = False
    sub_path: str | None = None

    def volume(self, name: str) -> VolumeArgs:
        """The volume that holds the directory."""
        medium = "Memory" if self.in_memory else None
        source = EmptyDirVolumeSourceArgs(size_limit=self.size_limit, medium=medium)
        return VolumeArgs(name=name, empty_dir=source)

    def mount(self, name: str) -> VolumeMountArgs | None:
        """The mount of that volume."""
        if self.path is None:
            return None
        return VolumeMountArgs(
            name=name,
            mount_path=self.path,
            read_only=self.read_only or None,
            sub_path=self.sub_path,
        )


Mounted: TypeAlias = Scratch | Files | GivenVolume
"""Whatever a container has at a path of its own."""
TMP: Final = Scratch(path="/tmp", size_limit="1Gi")  # noqa: S108 - the pod's own
"""What a read-only root file system takes away, and most programs want."""


def directories(scratch: Mapping[str, Scratch], files: Mapping[str, Files]) -> dict[str, Mounted]:
    """All that is mounted into a pod, by volume name: `/tmp`, which every pod has, and the rest."""
    return {"tmp": TMP, **scratch, **files}


def mounts(mounted: Mapping[str, Mounted]) -> list[VolumeMountArgs]:
    """The mounts of what a container has of it."""
    found = (directory.mount(name) for name, directory in mounted.items())
    return [mount for mount in found if mount is not None]


def on_disk(mounted: Mapping[str, Mounted]) -> dict[str, Scratch]:
    """Those of what is mounted that are on the node's disk, by volume name."""
    return {
        name: directory
        for name, directory in mounted.items()
        if isinstance(directory, Scratch) and not directory.in_memory
    }


def evictable(mounted: Mapping[str, Mounted]) -> dict[str, str]:
    """The annotation by which a cluster autoscaler may take the node away from under a pod.

    It leaves a pod alone that has something on the node's disk, unless told that it may be lost.
    """
    return {_SAFE_TO_EVICT: ",".join(sorted(on_disk(mounted)))}


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who a pod is to the API server.

    Attributes:
        name: Name of its ServiceAccount.
        token: Whether the pod has that one's token, and so may ask anything at all.
    """

    name: pulumi.Input[str]
    token: bool = False


def pod_spec(
    container: ContainerArgs,
    mounted: Mapping[str, Mounted],
    *,
    account: Account,
    before: Sequence[ContainerArgs] = (),
    user: int = DEFAULT_USER,
    pull_secret: pulumi.Input[str] | None = None,
    affinity: AffinityArgs | None = None,
    spread: Sequence[TopologySpreadConstraintArgs] = (),
    grace_period: int | None = None,
    restart_policy: str | None = None,
) -> PodSpecArgs:
    """The hardened pod around a container, with the volumes of what is mounted into it.

    `before`: what runs to its end first, one after the other. `grace_period`: seconds. What is None
    is left to Kubernetes.
    """
    return PodSpecArgs(
        affinity=affinity,
        automount_service_account_token=account.token,
        containers=[container],
        enable_service_links=False,
        image_pull_secrets=_pull_secrets(pull_secret),
        init_containers=list(before) or None,
        restart_policy=restart_policy,
        security_context=pod_security(user),
        service_account_name=account.name,
        termination_grace_period_seconds=grace_period,
        topology_spread_constraints=list(spread) or None,
        volumes=[directory.volume(name) for name, directory in mounted.items()],
    )


def pod_security(user: int | None = DEFAULT_USER) -> PodSecurityContextArgs:
    """The security context of a pod whose files and processes belong to `user`.

    None: to whom the cluster says.
    """
    return PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=user,
        run_as_group=user,
        fs_group=user,
        # Not the whole of a large volume at every start.
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
    )


def _pull_secrets(name: pulumi.Input[str] | None) -> list[LocalObjectReferenceArgs] | None:
    return None if name is None else [LocalObjectReferenceArgs(name=name)]


def container_security() -> SecurityContextArgs:
    """The security context of every container."""
    return SecurityContextArgs(
        allow_privilege_escalation=False,
        capabilities=CapabilitiesArgs(drop=["ALL"]),
        read_only_root_filesystem=True,
        run_as_non_root=True,
    )


def resource_requirements(
    resources: Resources, mounted: Mapping[str, Mounted]
) -> ResourceRequirementsArgs:
    """Requests and limits as Kubernetes wants them.

    `mounted`: all that is mounted into the pod, of which each container may fill what is on disk:
    the sum of the sizes is the limit, and up to 1Gi of it is requested, unless `resources` says
    otherwise.
    """
    total = sum(size_in_bytes(directory.size_limit) for directory in on_disk(mounted).values())
    said = resources.requests.ephemeral_storage, resources.limits.ephemeral_storage
    limit = said[1] or in_bytes(max(total, size_in_bytes(said[0] or "1")))
    request = said[0] or in_bytes(min(2**30, size_in_bytes(limit)))
    return ResourceRequirementsArgs(
        requests=_amounts(resources.requests, request), limits=_amounts(resources.limits, limit)
    )


def _amounts(amounts: Amounts, storage: str) -> dict[str, str]:
    whole = {"cpu": amounts.cpu, "memory": amounts.memory, "ephemeral-storage": storage}
    return whole | {name: str(number) for name, number in amounts.extended.items()}


def spread_over_hosts(workload: str, anti_affinity: AntiAffinity) -> AffinityArgs:
    """Keeps the pods of a workload on different hosts: whenever possible, or always."""
    term = PodAffinityTermArgs(
        label_selector=LabelSelectorArgs(match_labels=selector(workload)),
        topology_key="kubernetes.io/hostname",
    )
    if anti_affinity is AntiAffinity.REQUIRED:
        rule = PodAntiAffinityArgs(required_during_scheduling_ignored_during_execution=[term])
    else:
        preferred = WeightedPodAffinityTermArgs(weight=100, pod_affinity_term=term)
        rule = PodAntiAffinityArgs(preferred_during_scheduling_ignored_during_execution=[preferred])
    return AffinityArgs(pod_anti_affinity=rule)


def spread_over_zones(workload: str) -> list[TopologySpreadConstraintArgs]:
    """Spreads the pods of a workload over zones, where there are several, whenever possible."""
    return [
        TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key="topology.kubernetes.io/zone",
            when_unsatisfiable="ScheduleAnyway",
            label_selector=LabelSelectorArgs(match_labels=selector(workload)),
        )
    ]


def disruption_budget(workload: str, disruption: Disruption) -> PodDisruptionBudgetSpecArgs:
    """The budget of a workload.

    Pods that are not ready may always be evicted: they serve nobody, and would otherwise block
    a drain for ever.
    """
    return PodDisruptionBudgetSpecArgs(
        min_available=disruption.min_available,
        max_unavailable=disruption.max_unavailable,
        selector=LabelSelectorArgs(match_labels=selector(workload)),
        unhealthy_pod_eviction_policy="AlwaysAllow",
    )
