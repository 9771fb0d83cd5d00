"""What a stack adds to pods of ours: one vocabulary for every tier, pool, store and Job.

Plain values; `kit/extending.py` puts them into the pods. Words and shapes are those of Kubernetes
where it has some: kubernetes.io, "Pod v1 core".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import cached_property, reduce
from itertools import product
from typing import Annotated, Any, Self, TypeVar, cast

from pydantic import ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from ado_infra.kit.pod_values import (
    AbsolutePath,
    AnnotationKey,
    ImageReference,
    NodeAffinity,
    NodeLabelKey,
    ObjectName,
    PartName,
    PodAffinity,
    PodLabelKey,
    PortNumber,
    RelativePath,
    VariableName,
)
from ado_infra.kit.schema_rules import exactly_one_of
from ado_infra.kit.spec import Resources, Spec
from ado_infra.kit.values import LabelValue, Memory

Layer = TypeVar("Layer")


@unique
class SecurityContext(StrEnum):
    """Who decides the user that a pod's processes are."""

    RESTRICTED = "restricted"
    CLUSTER = "cluster"


@unique
class TolerationOperator(StrEnum):
    """How a toleration compares a taint's value."""

    EXISTS = "Exists"
    EQUAL = "Equal"


@unique
class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@unique
class Unsatisfiable(StrEnum):
    """What becomes of a pod that cannot be spread as asked."""

    SCHEDULE_ANYWAY = "ScheduleAnyway"
    DO_NOT_SCHEDULE = "DoNotSchedule"


class EnvSource(Spec):
    """An existing Secret or ConfigMap, all of whose keys are environment variables."""

    model_config = ConfigDict(json_schema_extra=exactly_one_of("secret", "configMap"))

    secret: ObjectName | None = None
    """Name of an existing Secret; its pods do not roll when it changes."""
    config_map: ObjectName | None = None
    """Name of an existing ConfigMap; its pods do not roll when it changes."""
    prefix: VariableName | None = None
    """What is put before each key."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        return _exactly_one(self, "secret", "config_map")


class CsiSource(Spec):
    """A volume that a driver makes with the pod, such as that of the Secrets Store."""

    driver: ObjectName
    """Name of the driver, such as `secrets-store.csi.k8s.io`."""
    volume_attributes: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    """What the driver is told."""


class PodVolume(Spec):
    """A volume that pods have besides, of exactly one kind."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one_of(
            *("secret", "configMap", "persistentVolumeClaim", "emptyDir", "csi")
        )
    )

    name: PartName
    """Its name in the pod, which none of the platform's own volumes has."""
    mount_path: AbsolutePath | None = None
    """Where the platform's containers have it; without one only sidecars and the like do."""
    sub_path: RelativePath | None = None
    """The one file or directory of it that is mounted; a file then never changes in a pod."""
    read_only: bool = False
    """Whether it cannot be written to; what is from a Secret or ConfigMap never can."""
    secret: ObjectName | None = None
    """Name of an existing Secret, a file for each key."""
    config_map: ObjectName | None = None
    """Name of an existing ConfigMap, a file for each key."""
    persistent_volume_claim: ObjectName | None = None
    """Name of an existing claim, which every pod of the workload then mounts."""
    empty_dir: Memory | None = None
    """The most bytes that an empty directory on the node's disk may hold, such as `1Gi`."""
    csi: CsiSource | None = None
    """A driver, and what it is told."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        return _exactly_one(
            self, "secret", "config_map", "persistent_volume_claim", "empty_dir", "csi"
        )


class Mount(Spec):
    """Where an added container has a volume."""

    name: PartName
    """Name of one of the `volumes`."""
    mount_path: AbsolutePath
    """Where the container has it."""
    sub_path: RelativePath | None = None
    """The one file or directory of it that is mounted."""
    read_only: bool = False
    """Whether the container cannot write to it."""


class AddedContainer(Spec):
    """A container that pods have besides: hardened as the platform's own are."""

    name: PartName
    """Its name in the pod, which none of the platform's own containers has."""
    image: ImageReference
    """Its image, with a tag or digest."""
    command: tuple[str, ...] = ()
    """What runs, as a list; what the image runs by itself when not given."""
    args: tuple[str, ...] = ()
    """Arguments of that."""
    env: dict[VariableName, str] = {}  # noqa: RUF012 - pydantic copies it
    """Its environment variables; no secrets."""
    env_from: tuple[EnvSource, ...] = ()
    """Existing Secrets and ConfigMaps whose keys are environment variables."""
    ports: dict[PartName, PortNumber] = {}  # noqa: RUF012 - pydantic copies it
    """Its ports by name, none of them one of the platform's own in that pod."""
    resources: Resources
    """What it is promised, and the most it may use."""
    volume_mounts: tuple[Mount, ...] = ()
    """The `volumes` that it has; it can write to nothing else."""


class Toleration(Spec):
    """A taint that pods put up with."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {
                "required": ["operator"],
                "properties": {"operator": {"const": TolerationOperator.EXISTS.value}},
            },
            "then": {"properties": {"value": {"type": "null"}}},
            "else": {"required": ["key"]},
        }
    )

    key: NodeLabelKey | None = None
    """Key of the taint; with `Exists` and no key, every taint."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """How the value is compared: `Equal`, or `Exists` for any."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: TaintEffect | None = None
    """The taint's effect; every one when not given."""
    toleration_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """Seconds that a pod stays where the effect is `NoExecute`; for ever when not given."""

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if self.operator is TolerationOperator.EXISTS and self.value is not None:
            raise ValueError("operator Exists takes no value; leave one of them out")
        if self.operator is TolerationOperator.EQUAL and self.key is None:
            raise ValueError("operator Equal needs a key; give it, or use Exists")
        return self


class TopologySpread(Spec):
    """How the pods of a workload are spread over nodes with one label."""

    topology_key: NodeLabelKey
    """Label of the nodes; for one that the platform spreads over itself this takes its place."""
    max_skew: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many more pods one value of the label may have than another."""
    when_unsatisfiable: Unsatisfiable = Unsatisfiable.SCHEDULE_ANYWAY
    """`ScheduleAnyway`: where it can be; `DoNotSchedule`: or a pod waits."""


class Affinity(Spec):
    """Near what pods are put, in the shapes of Kubernetes."""

    node_affinity: NodeAffinity = {}  # noqa: RUF012 - pydantic copies it
    """Nodes that pods must or should be on."""
    pod_affinity: PodAffinity = {}  # noqa: RUF012 - pydantic copies it
    """Pods that they must or should be near."""
    pod_anti_affinity: PodAffinity = {}  # noqa: RUF012 - pydantic copies it
    """Pods that they must or should be far from, beside the platform's own rule."""


class ServiceAccountOptions(Spec):
    """Who pods are to the cluster, and by that to a cloud."""

    model_config = ConfigDict(json_schema_extra=exactly_one_of("name", "annotations"))

    name: ObjectName | None = None
    """Name of an existing ServiceAccount."""
    annotations: dict[AnnotationKey, str] | None = None
    """Those of the ServiceAccount that these pods alone have, as workload identity asks."""
    token: bool = False
    """Whether the pods are given its token, to ask the API server; workload identity needs none."""

    @model_validator(mode="after")
    def _one_account(self) -> Self:
        return _exactly_one(self, "name", "annotations")


class PodOptions(Spec):
    """What pods have beside what the platform gives them."""

    env: dict[VariableName, str] = {}  # noqa: RUF012 - pydantic copies it
    """Environment variables of the platform's containers; none that it sets itself, no secrets."""
    env_from: tuple[EnvSource, ...] = ()
    """Existing Secrets and ConfigMaps whose keys are variables; pods do not roll with them."""
    volumes: tuple[PodVolume, ...] = ()
    """Volumes besides."""
    sidecars: tuple[AddedContainer, ...] = ()
    """Containers that start before all others and run as long as the pod; a Job's end with it."""
    init_containers: tuple[AddedContainer, ...] = ()
    """Containers that run to their end before the platform's start, after the sidecars have."""
    labels: dict[PodLabelKey, LabelValue] = {}  # noqa: RUF012 - pydantic copies it
    """Labels of the pods; none of the platform's or of Kubernetes' controllers."""
    annotations: dict[AnnotationKey, str] = {}  # noqa: RUF012 - pydantic copies it
    """Annotations of the pods; none of the platform's."""
    node_selector: dict[NodeLabelKey, LabelValue] = {}  # noqa: RUF012 - pydantic copies it
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods put up with."""
    affinity: Affinity | None = None
    """Nodes and pods to be near to or far from, beside the platform's own rule."""
    topology_spread: tuple[TopologySpread, ...] = ()
    """Over what pods are spread beside zones, of a tier, pool or store."""
    priority_class_name: ObjectName | None = None
    """Name of an existing PriorityClass."""
    runtime_class_name: ObjectName | None = None
    """Name of an existing RuntimeClass, such as that of gVisor."""
    host_users: bool | None = None
    """`false`: root of a container is nobody on its node (a user namespace); else it is root."""
    service_account: ServiceAccountOptions | None = None
    """Who the pods are to the cluster: somebody without rights, of their own, when not given."""
    security_context: SecurityContext | None = None
    """`cluster`: uids and groups are the cluster's, as on OpenShift; else `restricted`, ours."""


@dataclass(frozen=True)
class Extension:
    """What is added to the pods of one workload, by whoever says it.

    Attributes:
        layers: The key that it is said by → what is said; later ones go before earlier ones.
    """

    layers: tuple[tuple[str, PodOptions], ...] = ()

    @cached_property
    def options(self) -> PodOptions:
        """All of it."""
        return reduce(combined, (options for _, options in self.layers), PodOptions())

    def key(self, field: str, name: str) -> str:
        """The key of something that a field of the options names, as its layer says it."""
        for layer, options in reversed(self.layers):
            said = getattr(options, field)
            path = f"{layer}.{to_camel(field)}"
            if isinstance(said, Mapping) and name in said:
                return f"{path}.{name}"
            if isinstance(said, tuple):
                names = [_name(item) for item in cast("tuple[object, ...]", said)]
                if name in names:
                    return f"{path}[{names.index(name)}]"
        return to_camel(field)


def combined(defaults: PodOptions, own: PodOptions) -> PodOptions:
    """Both: mappings are merged, lists joined, of a single value that of `own` holds.

    An item of a list takes the place of a default of the same name.
    """
    return PodOptions(
        **{
            field: _joined(getattr(defaults, field), getattr(own, field))
            for field in PodOptions.model_fields
        }
    )


def _joined(default: Any, own: Any) -> Any:  # noqa: ANN401 - of any field
    if isinstance(own, dict):
        return {**default, **own}
    if isinstance(own, tuple):
        return _listed(cast("tuple[object, ...]", default), cast("tuple[object, ...]", own))
    if isinstance(default, Affinity) and isinstance(own, Affinity):
        return Affinity(
            **{
                kind: joined_rules(getattr(default, kind), getattr(own, kind))
                for kind in Affinity.model_fields
            }
        )
    return default if own is None else own


def _listed(defaults: Sequence[object], own: Sequence[object]) -> tuple[object, ...]:
    names = {_name(item) for item in own} - {None}
    return (*(item for item in defaults if _name(item) not in names), *own)


def _name(item: object) -> object:
    """What an item of a list is called by; None where it has no name."""
    if isinstance(item, TopologySpread):
        return item.topology_key
    return getattr(item, "name", None)


def joined_rules(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of one kind of affinity, all of which hold."""
    rules = {**one, **other}
    for rule in one.keys() & other.keys():
        if isinstance(one[rule], Mapping):  # of nodes: one of its terms has to hold
            rules[rule] = {"nodeSelectorTerms": list(_each_with_each(one[rule], other[rule]))}
        else:
            rules[rule] = [*one[rule], *other[rule]]
    return rules


def _each_with_each(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for a, b in product(one["nodeSelectorTerms"], other["nodeSelectorTerms"]):
        yield {key: [*a.get(key, ()), *b.get(key, ())] for key in {**a, **b}}


def _exactly_one(spec: Any, *fields: str) -> Any:  # noqa: ANN401 - the caller's Self
    if sum(getattr(spec, field) is not None for field in fields) != 1:
        *others, last = map(to_camel, fields)
        raise ValueError(f"needs exactly one of {', '.join(others)} and {last}")
    return spec
