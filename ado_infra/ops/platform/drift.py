"""`ado-ops drift`: in what the cluster differs from the stack as it is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from ado_infra.ops import rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.living import LivingObjects
from ado_infra.ops.options import TROUBLE, Context, Stack, finish, say
from ado_infra.ops.platform.differences import Difference, differences
from ado_infra.ops.target import Target

if TYPE_CHECKING:
    from ado_infra.render.objects import RenderedObject

Key: TypeAlias = tuple[str, str, str]
"""Kind, namespace and name."""
_INSTANCE: Final = "app.kubernetes.io/instance"
_MANAGED: Final = "app.kubernetes.io/managed-by=pulumi"
KINDS: Final = {
    "v1": ("ConfigMap", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "batch/v1": ("Job", "CronJob"),
    "monitoring.coreos.com/v1": ("ServiceMonitor",),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding"),
}
"""Of which kinds an object may be there that is not written; as `rights.DRIFT` has them."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found of a stack's objects, each in the order of their kinds and names.

    Attributes:
        objects: How many are written.
        missing: Those that are not there.
        changed: Those that differ, and in what.
        extra: What is labelled as this installation's, and not written.
    """

    objects: int
    missing: Sequence[Key]
    changed: Mapping[Key, Sequence[Difference]]
    extra: Sequence[Key]

    def lines(self) -> list[str]:
        """All of it, for people."""
        return [
            *(f"missing: {_name(key)}" for key in self.missing),
            *(f"changed: {_name(key)}: {e}" for key, each in self.changed.items() for e in each),
            *(f"extra: {_name(key)}" for key in self.extra),
        ]

    def plain(self) -> Mapping[str, Any]:
        """All of it, as JSON has it."""
        return {
            "objects": self.objects,
            "missing": [_plain(key) for key in self.missing],
            "changed": [
                {**_plain(key), **asdict(each)}
                for key, found in self.changed.items()
                for each in found
            ],
            "extra": [_plain(key) for key in self.extra],
        }


def drift(
    stack: Stack,
    context: Context = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what in the cluster is not as the stack is written; exit code 3 if there is any."""
    target = Target(stack=stack, context=context)
    written = _render(stack)
    kinds = {each.kind for each in written}
    beside = {
        "Namespace": rights.SEE_NAMESPACE,
        "ExternalSecret": rights.SEE_EXTERNAL_SECRETS,
        **dict.fromkeys(("ResourceQuota", "LimitRange"), rights.SEE_LIMITS),
    }
    needed = {right: None for kind in beside if kind in kinds for right in beside[kind]}
    platform = target.reach(*rights.DRIFT, *needed)
    found = compare(written, LivingObjects(platform.api))
    lines = found.lines()
    if as_json:
        say(json.dumps(found.plain(), indent=2, ensure_ascii=False))
        if lines:
            raise typer.Exit(TROUBLE)
        return
    if not lines:
        say(f"No drift: all {found.objects} objects are as the stack is written.")
        return
    say(
        f"Of {found.objects} objects {len(found.missing)} are missing and {len(found.changed)} "
        f"changed, {len(found.extra)} are there that are not written. `pulumi preview --refresh "
        "--diff` shows what an `up --refresh` would do about it:"
    )
    finish(lines)


def compare(written: Sequence[RenderedObject], living: LivingObjects) -> Found:
    """Looks at every object that is written, and for others of the same installation."""
    missing: list[Key] = []
    changed: dict[Key, Sequence[Difference]] = {}
    keys = {_key(each.manifest): each for each in written}
    for key, each in sorted(keys.items(), key=lambda item: item[0]):
        kind, namespace, name = key
        identifier = f"{namespace}/{name}" if namespace else name
        found = living.read(str(each.manifest["apiVersion"]), kind, identifier)
        if found is None:
            missing.append(key)
        elif seen := differences(each.manifest, found, ignored=each.ignored, secrets=each.secrets):
            changed[key] = seen
    extra = sorted(_others(written, living.listed) - keys.keys())
    return Found(objects=len(keys), missing=missing, changed=changed, extra=extra)


def _others(
    written: Sequence[RenderedObject], listed: Callable[[str, str, str, str], list[dict[str, Any]]]
) -> set[Key]:
    """All that is labelled as what is written, but for what its controller makes by itself."""
    instances = {_labels(each).get(_INSTANCE) for each in written} - {None}
    namespaces = {_key(each.manifest)[1] for each in written} - {""}
    if not instances:
        return set()
    selector = f"{_INSTANCE} in ({','.join(sorted(map(str, instances)))}),{_MANAGED}"
    return {
        (kind, namespace, item["metadata"]["name"])
        for api_version, kinds in KINDS.items()
        for kind in kinds
        for namespace in namespaces
        for item in listed(api_version, kind, namespace, selector)
        if not item["metadata"].get("ownerReferences")
    }


def _render(stack: str) -> Sequence[RenderedObject]:
    # Pulumi's SDK takes a second to load, and most commands do not need it.
    from ado_infra.render.errors import RenderError  # noqa: PLC0415
    from ado_infra.render.rendering import render  # noqa: PLC0415

    try:
        return render(Path.cwd(), stack).objects
    except RenderError as refused:
        raise OpsError(str(refused)) from None


def _labels(each: RenderedObject) -> Mapping[str, str]:
    return each.manifest["metadata"].get("labels") or {}


def _key(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace") or "", metadata["name"]


def _name(key: Key) -> str:
    return f"{key[0]} {key[2]}"


def _plain(key: Key) -> dict[str, str]:
    return dict(zip(("kind", "namespace", "name"), key, strict=True))
