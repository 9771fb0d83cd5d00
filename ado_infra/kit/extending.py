"""Pods with what somebody adds to them (`kit/pod_options.py`): the one place that does so.

Nothing of the platform's own is ever overridden: whoever tries is refused, with the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import pulumi
from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    ConfigMapEnvSourceArgs,
    ContainerArgs,
    ContainerPortArgs,
    EnvFromSourceArgs,
    EnvVarArgs,
    PodAntiAffinityArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    SecretEnvSourceArgs,
    ServiceAccount,
    TolerationArgs,
    TopologySpreadConstraintArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from ado_infra.kit import pods
from ado_infra.kit.labels import SELECTOR_KEY
from ado_infra.kit.pod_options import (
    AddedContainer,
    Affinity,
    EnvSource,
    Extension,
    PodOptions,
    PodVolume,
    SecurityContext,
)
from ado_infra.kit.pods import Account, Mounted, Scratch
from ado_infra.kit.sources import GivenVolume


def mounted(
    extension: Extension, ours: Mapping[str, Mounted], *, claims: Sequence[str] = ()
) -> dict[str, Mounted]:
    """All that is mounted into a pod, by volume name: ours, and the volumes that are added.

    `claims`: names of volumes that come from claim templates.

    Raises pulumi.RunError when one that is added has the name of one of ours.
    """
    added = {volume.name: _directory(volume) for volume in extension.options.volumes}
    _refuse(
        f"{extension.key('volumes', name)}.name = {name}: these pods have a volume of that name; "
        "choose another"
        for name in added
        if name in ours or name in claims
    )
    return {**ours, **added}


def _directory(volume: PodVolume) -> Mounted:
    if volume.empty_dir is None:
        return GivenVolume(volume)
    # As one of ours: it counts for what the pod may hold on the node's disk.
    return Scratch(
        path=volume.mount_path,
        size_limit=volume.empty_dir,
        read_only=volume.read_only,
        sub_path=volume.sub_path,
    )


def service_account(
    name: str, metadata: ObjectMetaArgs, extension: Extension, opts: pulumi.ResourceOptions
) -> Account:
    """Who pods are: an existing ServiceAccount where one is named, else one of their own.

    `metadata`: name, namespace and labels of one that is made. It has no rights: what the cluster
    grants to `default` is granted to every pod of the namespace that names no other.
    """
    asked = extension.options.service_account
    token = bool(asked and asked.token)
    if asked and asked.name:
        return Account(name=asked.name, token=token)
    made = ServiceAccount(
        name,
        metadata=ObjectMetaArgs(
            name=metadata.name,
            namespace=metadata.namespace,
            labels=metadata.labels,
            annotations=asked and asked.annotations,
        ),
        automount_service_account_token=False,  # a pod that may have it asks for it
        opts=opts,
    )
    return Account(name=made.metadata.name, token=token)


def extended(
    template: PodTemplateSpecArgs,
    extension: Extension,
    mounted: Mapping[str, Mounted],
) -> PodTemplateSpecArgs:
    """A finished template with what is added to it; the same where nothing is.

    `mounted`: all that is mounted into any container.

    Raises pulumi.RunError with every key that would override what the platform sets itself.
    """
    options = extension.options
    if options == PodOptions():
        return template
    spec, metadata = cast("PodSpecArgs", template.spec), cast("ObjectMetaArgs", template.metadata)
    ours = cast("list[ContainerArgs]", [*_items(spec.init_containers), *_items(spec.containers)])
    _refuse(_overridden(extension, metadata, ours))
    _identify(metadata, options)
    for container in ours:
        _tell(container, options)
    added = [
        *(_added(each, mounted, restart_policy="Always") for each in options.sidecars),
        *(_added(each, mounted) for each in options.init_containers),
    ]
    # First of all: what our own first steps reach may be behind a sidecar.
    spec.init_containers = [*added, *_items(spec.init_containers)] or None
    _place(spec, options, cast("Mapping[str, str]", metadata.labels))
    if options.security_context is SecurityContext.CLUSTER:
        spec.security_context = pods.pod_security(None)
    return template


def _refuse(problems: Iterable[str]) -> None:
    if lines := list(problems):
        raise pulumi.RunError("\n".join(lines))


def _overridden(
    extension: Extension, metadata: ObjectMetaArgs, ours: Sequence[ContainerArgs]
) -> Iterator[str]:
    """Whatever would take the place of something that is there, with its key."""
    options = extension.options
    for field, said, kept in (
        ("labels", options.labels, metadata.labels),
        ("annotations", options.annotations, metadata.annotations),
    ):
        for name in said.keys() & cast("Mapping[str, str]", kept or {}).keys():
            yield f"{extension.key(field, name)}: the platform sets it itself; remove it"
    for container in ours:
        yield from _overridden_in(container, extension)
    yield from _taken(extension, ours)


def _taken(extension: Extension, ours: Sequence[ContainerArgs]) -> Iterator[str]:
    """What added containers have that is another's, or is not there."""
    names = {str(container.name) for container in ours}
    ports = [port for container in ours for port in _items(container.ports)]
    taken = {value for port in ports for value in (port.name, port.container_port)}
    volumes = {volume.name for volume in extension.options.volumes}
    for each, key in _containers(extension):
        if each.name in names:
            yield f"{key}.name = {each.name}: these pods have such a container; choose another"
        names.add(each.name)
        for name, number in each.ports.items():
            if {name, number} & taken:
                yield f"{key}.ports.{name} = {number}: these pods have such a port; choose another"
        for mount in each.volume_mounts:
            if mount.name not in volumes:
                yield f"{key}.volumeMounts: no volume {mount.name} is among `volumes`; add it there"


def _containers(extension: Extension) -> Iterator[tuple[AddedContainer, str]]:
    """Every container that is added, and its key."""
    sidecars, first = extension.options.sidecars, extension.options.init_containers
    yield from ((each, extension.key("sidecars", each.name)) for each in sidecars)
    yield from ((each, extension.key("init_containers", each.name)) for each in first)


def _overridden_in(container: ContainerArgs, extension: Extension) -> Iterator[str]:
    options = extension.options
    set_here = {str(variable.name) for variable in _items(container.env)}
    for name in sorted(options.env.keys() & set_here):
        yield (
            f"{extension.key('env', name)}: the platform sets it itself in container "
            f"{container.name}; remove it"
        )
    paths = [str(mount.mount_path) for mount in _items(container.volume_mounts)]
    for volume in options.volumes:
        if paths.count(str(volume.mount_path)) > 1:
            yield (
                f"{extension.key('volumes', volume.name)}.mountPath = {volume.mount_path}: "
                f"container {container.name} has something else there; choose another"
            )


def _items(given: Any) -> list[Any]:  # noqa: ANN401 - to the SDK's types everything is an Input
    """What a list of the SDK's holds, of those that are made here and hold no Outputs."""
    return list(given or ())


def _identify(metadata: ObjectMetaArgs, options: PodOptions) -> None:
    metadata.labels = {**cast("dict[str, str]", metadata.labels), **options.labels}
    annotations = {**cast("dict[str, str]", metadata.annotations or {}), **options.annotations}
    metadata.annotations = annotations or None


def _tell(container: ContainerArgs, options: PodOptions) -> None:
    container.env = [*_items(container.env), *_variables(options.env)]
    if options.env_from:
        container.env_from = _sources(options.env_from)


def _variables(env: Mapping[str, str]) -> list[EnvVarArgs]:
    return [EnvVarArgs(name=name, value=value) for name, value in env.items()]


def _sources(sources: Sequence[EnvSource]) -> list[EnvFromSourceArgs]:
    return [
        EnvFromSourceArgs(prefix=each.prefix, secret_ref=SecretEnvSourceArgs(name=each.secret))
        if each.secret
        else EnvFromSourceArgs(
            prefix=each.prefix, config_map_ref=ConfigMapEnvSourceArgs(name=each.config_map)
        )
        for each in sources
    ]


def _added(
    given: AddedContainer, mounted: Mapping[str, Mounted], restart_policy: str | None = None
) -> ContainerArgs:
    """A container of somebody else's; one that is always restarted runs beside those that follow.

    Kubernetes ends it after all others, so that a Job with one completes.
    """
    return ContainerArgs(
        name=given.name,
        image=given.image,
        command=list(given.command) or None,
        args=list(given.args) or None,
        env=_variables(given.env) or None,
        env_from=_sources(given.env_from) or None,
        ports=[
            ContainerPortArgs(name=name, container_port=number)
            for name, number in given.ports.items()
        ]
        or None,
        resources=pods.resource_requirements(given.resources, mounted),
        restart_policy=restart_policy,
        security_context=pods.container_security(),
        volume_mounts=[
            VolumeMountArgs(
                name=mount.name,
                mount_path=mount.mount_path,
                sub_path=mount.sub_path,
                read_only=mount.read_only or None,
            )
            for mount in given.volume_mounts
        ]
        or None,
    )


def _place(spec: PodSpecArgs, options: PodOptions, labels: Mapping[str, str]) -> None:
    """Where the pods go, and how far they are kept from it."""
    if options.node_selector:
        spec.node_selector = options.node_selector
    if options.tolerations:
        spec.tolerations = [
            TolerationArgs(
                key=each.key,
                operator=each.operator,
                value=each.value,
                effect=each.effect,
                toleration_seconds=each.toleration_seconds,
            )
            for each in options.tolerations
        ]
    if options.affinity:
        spec.affinity = _affinity(cast("AffinityArgs | None", spec.affinity), options.affinity)
    workload = {key: value for key, value in labels.items() if key == SELECTOR_KEY}
    if options.topology_spread and workload:  # no Job has one: its pods are not many at a time
        keys = {each.topology_key for each in options.topology_spread}
        kept = [s for s in _items(spec.topology_spread_constraints) if s.topology_key not in keys]
        spec.topology_spread_constraints = kept + [
            TopologySpreadConstraintArgs(
                max_skew=each.max_skew,
                topology_key=each.topology_key,
                when_unsatisfiable=each.when_unsatisfiable,
                label_selector=LabelSelectorArgs(match_labels=workload),
            )
            for each in options.topology_spread
        ]
    spec.priority_class_name = options.priority_class_name
    spec.runtime_class_name = options.runtime_class_name
    spec.host_users = options.host_users


def _affinity(ours: AffinityArgs | None, given: Affinity) -> AffinityArgs:
    """Ours and theirs, all of which hold."""
    rule = cast("PodAntiAffinityArgs | None", ours and ours.pod_anti_affinity)
    apart = given.pod_anti_affinity
    required = [
        *_items(rule and rule.required_during_scheduling_ignored_during_execution),
        *apart.get("requiredDuringSchedulingIgnoredDuringExecution", ()),
    ]
    preferred = [
        *_items(rule and rule.preferred_during_scheduling_ignored_during_execution),
        *apart.get("preferredDuringSchedulingIgnoredDuringExecution", ()),
    ]
    anti_affinity = PodAntiAffinityArgs(
        required_during_scheduling_ignored_during_execution=required or None,
        preferred_during_scheduling_ignored_during_execution=preferred or None,
    )
    return AffinityArgs(
        # In Kubernetes' own shape, which the SDK passes on as it is.
        node_affinity=cast("Any", given.node_affinity) or None,
        pod_affinity=cast("Any", given.pod_affinity) or None,
        pod_anti_affinity=anti_affinity if required or preferred else None,
    )
