"""What every object of a platform must be like: each rule a plain function, with the remedy.

They look at rendered objects (`ado_infra/render/`) and at nothing else. A stack can be excused from
a rule (`ado:policies.waived`), with a word why, for as long as there is something to excuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ado_infra.kit import pod_security

if TYPE_CHECKING:  # a reader of findings needs no SDK
    from ado_infra.render.objects import RenderedObject

Objects: TypeAlias = "Sequence[RenderedObject]"
Found: TypeAlias = "Iterator[tuple[RenderedObject, str]]"
Rule: TypeAlias = Callable[[Objects], Found]
"""Yields each object that breaks it, and what to do."""

_LONG_RUNNING: Final = frozenset({"DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"})
_SECRET_NAME: Final = re.compile(
    r"(PASSWORD|PASSWD|TOKEN|SECRET|(API|ACCESS|SECRET|PRIVATE)_?KEY)$"
)
_CREDENTIALS: Final = re.compile(r"[a-z]://[^/\s:@\"'$]*:[^/\s@\"'$]+@")
"""A URL with a password in it, unless that is a variable."""
_IMAGE_SETTINGS: Final = {
    "api-gateway": "ado:gateway.image",
    "dashboard": "ado:dashboard.image",
    "kubectl": "ado:images.kubectlImage",
    "orchestrator": "ado:orchestrator.image",
    "postgres": "ado:postgres.image",
    "rclone": "ado:images.rcloneImage",
    "redis": "ado:redis.image",
}
"""Name of an image → the setting of its version; worker pools and migrations have their own."""
_OWN_IMAGES: Final = {
    "ado-api-gateway": "ado:gateway.image",
    "ado-dashboard": "ado:dashboard.image",
    "ado-orchestrator": "ado:orchestrator.image",
    "postgresql": "ado:postgres.image",
    "redis": "ado:redis.image",
}
"""How an object's name begins → the setting of its image, whatever that is called."""
_STEP_IMAGES: Final = {
    "decide": "ado:postgres.image",
    "dump": "ado:postgres.image",
    "lead": "ado:images.kubectlImage",
    "note": "ado:images.kubectlImage",
    "postgresql-state": "ado:images.kubectlImage",
    "upload": "ado:images.rcloneImage",
}
"""Container of a Job → the setting of its image."""


@dataclass(frozen=True)
class Finding:
    """An object that breaks a rule, or an excuse that excuses nothing.

    Attributes:
        rule: Name of the rule.
        subject: `Kind/name` of the object; empty of an excuse.
        remedy: What is wrong, and what to do.
    """

    rule: str
    subject: str
    remedy: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.rule, self.subject, self.remedy)))


@dataclass(frozen=True)
class Waiver:
    """A rule that a stack does without.

    Attributes:
        rule: Name of the rule.
        why: The stack's own reason.
        excuses: What would be found otherwise; never nothing.
    """

    rule: str
    why: str
    excuses: tuple[Finding, ...]

    def __str__(self) -> str:
        subjects = ", ".join(dict.fromkeys(each.subject for each in self.excuses))
        return f"{self.rule}: waived for {subjects}: {' '.join(self.why.split())}"


@dataclass(frozen=True)
class Judgement:
    """What breaks a rule, and what is let pass, each in the order of the rules."""

    findings: tuple[Finding, ...]
    waivers: tuple[Waiver, ...]


def findings(
    objects: Objects, *, production: bool, excused: Mapping[str, str] | None = None
) -> list[Finding]:
    """What breaks a rule and is not excused; see `judge`."""
    return list(judge(objects, production=production, excused=excused).findings)


def judge(
    objects: Objects, *, production: bool, excused: Mapping[str, str] | None = None
) -> Judgement:
    """Holds objects against the rules.

    `production`: whether the stack is of profile production, of which more is demanded.
    `excused`: name of a rule → why this stack does without. One without a reason, and one that
    nothing breaks, is a finding itself.
    """
    rules = {rule.__name__: rule for rule in (*ALWAYS, *(IN_PRODUCTION if production else ()))}
    found = {
        name: tuple(dict.fromkeys(broken))  # containers of one pod may say the same
        for name, rule in rules.items()
        if (broken := [Finding(name, f"{o.kind}/{o.name}", what) for o, what in rule(objects)])
    }
    why = {name: reason for name, reason in (excused or {}).items() if reason.strip()}
    kept = [finding for name, each in found.items() if name not in why for finding in each]
    for name in excused or {}:
        if name not in why:
            kept.append(Finding(name, "", "is waived without a reason; give one"))
        elif name not in found:
            kept.append(Finding(name, "", "is waived and not broken; remove the waiver"))
    waivers = (Waiver(name, why[name], each) for name, each in found.items() if name in why)
    return Judgement(tuple(kept), tuple(waivers))


def no_latest(objects: Objects) -> Found:
    """An image names its version."""
    for each, container in _containers(objects):
        name = str(container.get("image", "")).rpartition("/")[2]
        if "@" not in name and name.partition(":")[2] in {"", "latest"}:
            yield each, f"{container['name']} runs {name!r}; give the tag that was tested"


def digests(objects: Objects) -> Found:
    """An image cannot be another one tomorrow."""
    for each, container in _containers(objects):
        if "@sha256:" not in (image := str(container.get("image", ""))):
            setting = _digest_setting(each, container)
            yield each, f"{image} is a tag, which can be moved; set {setting} instead of the tag"


def probes(objects: Objects) -> Found:
    """Whatever runs on tells whether it is ready and alive."""
    for each, pod, _ in _pods(objects):
        for container in pod["containers"] if each.kind in _LONG_RUNNING else ():
            for probe in ("readinessProbe", "livenessProbe"):
                if probe not in container:
                    yield each, f"{container['name']} has no {probe}; give it one"


def resources(objects: Objects) -> Found:
    """Every container says what it needs, and what it may take."""
    for each, container in _containers(objects):
        given = container.get("resources") or {}
        for side in ("requests", "limits"):
            if lacking := {"cpu", "memory"} - set(given.get(side) or {}):
                lacks = " and ".join(sorted(lacking))
                yield each, f"{container['name']} has no {side} of {lacks}; set resources.{side}"


def spread(objects: Objects) -> Found:
    """Pods of one workload are kept on different hosts, at least where there is room."""
    for each, pod, labels in _pods(objects):
        if each.kind not in {"Deployment", "StatefulSet"}:
            continue
        rules = ((pod.get("affinity") or {}).get("podAntiAffinity") or {}).values()
        terms = [term.get("podAffinityTerm", term) for rule in rules for term in rule]
        terms += pod.get("topologySpreadConstraints") or []
        hosts = (t for t in terms if t["topologyKey"] == "kubernetes.io/hostname")
        if not any(_selects(term.get("labelSelector"), labels) for term in hosts):
            yield each, "its pods may all be on one host; set antiAffinity"


def one_disruption_budget(objects: Objects) -> Found:
    """Each pod that runs on has exactly one budget: with two, no eviction is answered at all."""
    budgets = [each for each in objects if each.kind == "PodDisruptionBudget"]
    for each, _, labels in _pods(objects):
        selectors = ((budget.name, budget.manifest["spec"].get("selector")) for budget in budgets)
        names = [name for name, selector in selectors if _selects(selector, labels)]
        if not names and each.kind in {"Deployment", "StatefulSet"}:
            yield each, "no PodDisruptionBudget selects its pods; make one"
        if len(names) > 1:
            yield each, f"{' and '.join(names)} select the same pods; leave one of them"


def restricted(objects: Objects) -> Found:
    """Pods pass Pod Security `restricted`."""
    for each, pod, _ in _pods(objects):
        annotations = (_template(each).get("metadata") or {}).get("annotations") or {}
        yield from ((each, problem) for problem in pod_security.violations(pod, annotations))


def no_secret_in_plain_sight(objects: Objects) -> Found:
    """Secrets are in Secrets, and nowhere else."""
    for each in objects:
        if each.kind == "Secret":
            continue
        for path in each.secrets:
            yield each, f"{path} is secret; put it into a Secret"
        if any(_CREDENTIALS.search(text) for text in _texts(each.manifest)):
            yield each, "holds a URL with a password; put it into a Secret"
    for each, container in _containers(objects):
        for variable in container.get("env") or ():
            if variable.get("value") and _SECRET_NAME.search(variable["name"]):
                yield each, f"{variable['name']} has its value here; read it from a Secret"


def no_public_service(objects: Objects) -> Found:
    """Nothing is reached from outside but through the Ingress."""
    for each in objects:
        if each.kind == "Service":
            spec = each.manifest["spec"]
            kind = spec.get("type", "ClusterIP")
            if kind != "ClusterIP" or spec.get("externalIPs"):
                yield each, f"is of type {kind}, open to the outside; make it ClusterIP"


def claims_are_kept(objects: Objects) -> Found:
    """Volumes outlive the StatefulSet that made them."""
    for each in _stateful(objects):
        policy = each.manifest["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        if "Delete" in policy.values():
            yield each, "its volumes go when it does; set its retention policy to Retain"


def protected_data(objects: Objects) -> Found:
    """What holds data refuses to be destroyed."""
    for each in (*_stateful(objects), *(o for o in objects if o.kind == "Namespace")):
        if not each.protect:
            yield each, "can be destroyed; pulumi config set ado:protectData true"


def backup(objects: Objects) -> Found:
    """PostgreSQL is backed up on a schedule."""
    names = {(each.kind, each.name) for each in objects}
    for each in _stateful(objects):
        if each.name == "postgresql" and ("CronJob", "postgresql-backup") not in names:
            yield (
                each,
                "has no backup; pulumi config set --path 'ado:postgres.backup.bucket' NAME",
            )


def redis_replicas(objects: Objects) -> Found:
    """Redis does without any one node."""
    for each in _stateful(objects):
        if each.name == "redis" and each.manifest["spec"]["replicas"] < 6:
            yield each, "has no replicas; pulumi config set --path 'ado:redis.replicasPerMaster' 1"


ALWAYS: Final[tuple[Rule, ...]] = (
    *(no_latest, probes, resources, spread, one_disruption_budget, restricted),
    *(no_secret_in_plain_sight, no_public_service, claims_are_kept),
)
IN_PRODUCTION: Final[tuple[Rule, ...]] = (digests, protected_data, backup, redis_replicas)


def _digest_setting(each: RenderedObject, container: Mapping[str, Any]) -> str:
    """The setting that a container's image takes its digest from, by the object's name."""
    name, image = each.name, str(container.get("image", ""))
    if kind := _added(each, container):
        return f"a digest in the image of {container['name']} among pod.{kind}"
    repository = image.rpartition("/")[2].partition(":")[0]
    if name == "ado-worker" or name.startswith("ado-worker-"):
        pool = name.removeprefix("ado-worker").removeprefix("-") or "default"
        setting = f"ado:workerPools.{pool}.image"
    elif name.startswith("ado-migrations-"):
        setting = "ado:migrations.image"
    else:
        owners = (own for begin, own in _OWN_IMAGES.items() if name.startswith(begin))
        of_job = _STEP_IMAGES.get(str(container["name"]))
        setting = of_job or _IMAGE_SETTINGS.get(repository) or next(owners, "image")
    return f"{setting}.digest"


def _added(each: RenderedObject, container: Mapping[str, Any]) -> str | None:
    """Where a stack names a container that is none of the platform's; None of one that is."""
    if container.get("restartPolicy") == "Always":
        return "sidecars"
    # Only Jobs of the platform have steps of their own.
    first = container in (_template(each)["spec"].get("initContainers") or ())
    ours = each.kind not in _LONG_RUNNING and container["name"] in _STEP_IMAGES
    return "initContainers" if first and not ours else None


def _stateful(objects: Objects) -> Iterator[RenderedObject]:
    for each in objects:
        if each.kind == "StatefulSet" and each.manifest["spec"].get("volumeClaimTemplates"):
            yield each


def _pods(
    objects: Objects,
) -> Iterator[tuple[RenderedObject, Mapping[str, Any], Mapping[str, str]]]:
    """Whatever makes pods, the spec of one, and its labels."""
    for each in objects:
        template = _template(each)
        if isinstance(template, Mapping) and "containers" in (template.get("spec") or {}):
            yield each, template["spec"], (template.get("metadata") or {}).get("labels") or {}


def _template(each: RenderedObject) -> Any:  # noqa: ANN401 - any of JSON's
    """What an object makes its pods from, or what is in its place."""
    spec = each.manifest.get("spec") or {}
    if each.kind == "CronJob":
        return spec["jobTemplate"]["spec"]["template"]
    return each.manifest if each.kind == "Pod" else spec.get("template")


def _containers(objects: Objects) -> Iterator[tuple[RenderedObject, Mapping[str, Any]]]:
    for each, pod, _ in _pods(objects):
        yield from ((each, container) for container in pod_security.containers(pod))


def _selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector by equality matches labels."""
    wanted: Mapping[str, str] = (selector or {}).get("matchLabels") or {}
    return bool(wanted) and wanted.items() <= labels.items()


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any of JSON's
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
