"""The tiers of the platform as they run, made from the API server's objects; calls nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ado_infra.ops.platform import connections, trouble
from ado_infra.ops.platform.connections import Monitor, Need, Owners, Route
from ado_infra.ops.platform.objects import Model, Objects, condition, holds, labels, within
from ado_infra.ops.platform.scaling import Autoscaler, autoscaler

_COMPONENT: Final = "app.kubernetes.io/component"
_VERSION: Final = "app.kubernetes.io/version"


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The volume claims of a tier that have one size and phase."""

    count: int
    size: str
    """A quantity with its unit: `20Gi`."""
    phase: str
    """`Bound`, `Pending`, `Lost`, or `missing`."""

    def __str__(self) -> str:
        return f"{self.count} × {self.size} {self.phase}"  # noqa: RUF001 - times is meant


@dataclass(frozen=True, kw_only=True)
class Tier:
    """One workload as it runs; or a Job, whose pods are wanted to succeed."""

    name: str
    kind: str
    """`Deployment`, `StatefulSet` or `Job`."""
    component: str
    ready: int
    wanted: int
    version: str
    settled: bool
    """Whether every pod is of the newest template and Ready, and no other is left."""
    reason: str
    """Why it is not; empty when it is."""
    failed: bool = False
    """Whether no waiting helps: a Job has given up, or an operator has fenced a pod."""
    services: Mapping[str, tuple[int, ...]]
    """The Services that lead to its pods, with their ports."""
    autoscaler: Autoscaler | None = None
    claims: tuple[Claims, ...] = ()
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The tiers, and what is around them."""

    namespace: str
    tiers: Sequence[Tier]
    routes: Sequence[Route]
    monitors: Sequence[Monitor]
    postgresql: str = ""
    """What is unusual about its pods and their roles; empty when nothing is."""
    orphans: Sequence[str] = ()
    """Services that lead to no workload, which so is missing."""

    @property
    def settled(self) -> bool:
        """Whether every tier is."""
        return all(tier.settled for tier in self.tiers)


def platform(namespace: str, seen: Objects) -> Platform:
    """All that was seen of a platform."""
    owned, found = connections.owners(seen), tiers(seen)
    return Platform(
        namespace=namespace,
        tiers=found,
        routes=connections.routes(seen, owned),
        monitors=connections.monitors(seen, owned),
        postgresql=_postgresql(found, seen),
        orphans=connections.orphans(seen, owned),
    )


def tiers(seen: Objects) -> list[Tier]:
    """Deployments, StatefulSets and Jobs; not the runs of a CronJob, which come and go."""
    owned = connections.owners(seen)
    warned = trouble.warnings(seen.warnings)
    fenced = _fenced(seen)
    return [
        *(_workload("Deployment", found, seen, owned, warned) for found in seen.deployments),
        *(
            _stopped(_workload("StatefulSet", found, seen, owned, warned), fenced)
            for found in seen.stateful_sets
        ),
        *(
            _job(found, seen, owned, warned)
            for found in seen.jobs
            if not found.metadata.owner_references
        ),
    ]


def _record(seen: Objects) -> Mapping[str, str]:
    return next((made.data or {} for made in seen.config_maps), {})


def _fenced(seen: Objects) -> list[str]:
    return [f"postgresql-{ordinal}" for ordinal in _record(seen).get("fenced", "").split()]


def _stopped(tier: Tier, fenced: Sequence[str]) -> Tier:
    """The same, once it is known that a pod waits for an operator."""
    if tier.name != "postgresql" or tier.settled or not fenced:
        return tier
    says = f"{' and '.join(fenced)} fenced, see `ado-ops postgres status`"
    return replace(tier, failed=True, reason=f"{tier.reason}; {says}")


def _postgresql(found: Sequence[Tier], seen: Objects) -> str:
    said = [f"{pod} is fenced" for pod in _fenced(seen)]
    if (primary := _record(seen).get("primary", "0")) != "0":
        said.append(f"postgresql-{primary} is the primary")
    if any(tier.name == "postgresql" and not tier.settled for tier in found):
        said.append("not every pod is Ready")
    return ", ".join(said)


def _workload(
    kind: str, workload: Model, seen: Objects, owned: Owners, warned: Mapping[str, str]
) -> Tier:
    name, spec = workload.metadata.name, workload.spec
    scaler = next((s for s in seen.autoscalers if s.spec.scale_target_ref.name == name), None)
    # The autoscaler raises a new Deployment to its minimum some seconds after it was made.
    wanted: int = max(spec.replicas, scaler.spec.min_replicas or 1 if scaler else 0)
    lacking = _lacking(kind, workload, wanted)
    return Tier(
        name=name,
        kind=kind,
        component=labels(workload).get(_COMPONENT, ""),
        ready=workload.status.ready_replicas or 0,
        wanted=wanted,
        version=labels(spec.template).get(_VERSION, ""),
        settled=not lacking,
        reason=_reason(lacking, workload, wanted, seen, warned) if lacking else "",
        services=_services(workload, seen, owned),
        autoscaler=autoscaler(scaler) if scaler else None,
        claims=_claims(workload, seen) if kind == "StatefulSet" else (),
        needs=connections.needs(workload, owned),
    )


def _lacking(kind: str, workload: Model, wanted: int) -> str:
    """What a workload's own status says is missing; empty when it is settled."""
    status = workload.status
    ready, updated = status.ready_replicas or 0, status.updated_replicas or 0
    newest = updated == wanted or (
        kind == "StatefulSet" and status.current_revision == status.update_revision
    )
    if status.observed_generation != workload.metadata.generation:
        return "its last change is not acted upon yet"
    if not newest:
        return f"{ready} of {wanted} pods Ready, {updated} of the newest template"
    if ready != wanted:
        return f"{ready} of {wanted} pods Ready"
    left = (status.replicas or 0) - wanted
    return f"{left} pods more than wanted" if left else ""


def _job(job: Model, seen: Objects, owned: Owners, warned: Mapping[str, str]) -> Tier:
    complete, failure = holds(job, "Complete"), condition(job, "Failed")
    failed = holds(job, "Failed")
    wanted, tries = job.spec.completions or 1, job.status.failed or 0
    if failed and failure:
        lacking = f"failed: {failure.reason}: {failure.message}"
    elif job.spec.suspend:
        lacking = "is suspended"
    else:
        lacking = "not complete" + (f", {tries} pods failed so far" if tries else "")
    return Tier(
        name=job.metadata.name,
        kind="Job",
        component=labels(job).get(_COMPONENT, ""),
        ready=job.status.succeeded or 0,
        wanted=wanted,
        version=labels(job.spec.template).get(_VERSION, ""),
        settled=complete,
        reason="" if complete else _reason(lacking, job, wanted, seen, warned),
        failed=failed,
        services={},
        needs=connections.needs(job, owned),
    )


def _reason(
    lacking: str, workload: Model, wanted: int, seen: Objects, warned: Mapping[str, str]
) -> str:
    """What is missing and why: in the controller's words, then in those of the pods."""
    selector = workload.spec.selector.match_labels
    pods = [pod for pod in seen.pods if within(selector, labels(pod))]
    said = ""
    if refused := condition(workload, "ReplicaFailure"):
        said = refused.message
    elif len(pods) < wanted:  # a StatefulSet and a Job have no such condition, but an event
        said = warned.get(workload.metadata.uid, "")
    because = [trouble.shortened(said), trouble.of_pods(pods, warned)]
    return ". ".join([lacking, *filter(None, because)])


def _services(workload: Model, seen: Objects, owned: Owners) -> dict[str, tuple[int, ...]]:
    """The Services that lead to it, but for the one that only names a StatefulSet's pods."""
    governing = getattr(workload.spec, "service_name", None)
    return {
        service.metadata.name: tuple(port.port for port in service.spec.ports or [])
        for service in seen.services
        if owned.get(service.metadata.name) == workload.metadata.name
        and service.metadata.name != governing
    }


def _claims(stateful_set: Model, seen: Objects) -> tuple[Claims, ...]:
    """The claims of its pods, also those that should be there and are not."""
    made = {claim.metadata.name: claim for claim in seen.claims}
    counted: Counter[tuple[str, str]] = Counter()
    for template in stateful_set.spec.volume_claim_templates or []:
        for ordinal in range(stateful_set.spec.replicas):
            name = f"{template.metadata.name}-{stateful_set.metadata.name}-{ordinal}"
            claim = made.get(name)
            size = ((claim and claim.status.capacity) or {}).get("storage")
            asked = (claim or template).spec.resources.requests["storage"]
            counted[size or asked, claim.status.phase if claim else "missing"] += 1
    return tuple(
        Claims(count=count, size=size, phase=phase) for (size, phase), count in counted.items()
    )
