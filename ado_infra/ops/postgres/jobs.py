"""Jobs made from a CronJob's own: begun, waited for, and what they said.

A Job notes what it was asked for: the same command, cut off, finds its own again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from ado_infra.ops import NAME
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Model, Namespace, Say, wait_until
from ado_infra.ops.pods import containers, waits_for

ASKED: Final = "ado.ops/asked"
"""Annotation of a Job: the command that made it."""
_MARGIN: Final = 60.0
"""Seconds for the Job's controller, beyond what a run is given."""


def derived(namespace: Namespace, cron: Model, name: str, *, asked: str) -> dict[str, Any]:
    """The manifest of a Job with the CronJob's pods; `asked`: the command that makes it."""
    template = namespace.plain(cron.spec.job_template)
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron.metadata.name,
        "uid": cron.metadata.uid,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": {
                **template["metadata"]["labels"],
                "app.kubernetes.io/managed-by": NAME,
            },
            "annotations": {ASKED: asked},
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }


def running(container: dict[str, Any], what: str, *arguments: str) -> dict[str, Any]:
    """A container of the CronJob with another script."""
    shell, script = container["command"]
    other = str(PurePosixPath(script).with_name(f"{what}.sh"))
    return {**container, "name": what, "command": [shell, other, *arguments]}


def make(namespace: Namespace, job: dict[str, Any]) -> None:
    """Makes a Job anew, unless the same is under way.

    Raises OpsError when another one is under way under its name.
    """
    if clear(namespace, job):
        namespace.create_job(job)


def clear(namespace: Namespace, job: dict[str, Any]) -> bool:
    """Deletes what has ended under a Job's name; returns whether the same is not under way.

    Raises OpsError when another one is.
    """
    name, asked = job["metadata"]["name"], job["metadata"]["annotations"][ASKED]
    before = find(namespace, name)
    if before is None:
        return True
    if not ending(before):
        other = (before.metadata.annotations or {}).get(ASKED)
        if other != asked:
            raise OpsError(f"Job {name} is under way ({other}); wait until it has ended.")
        return False
    namespace.delete_job(name)
    if not wait_until(lambda: find(namespace, name) is None, _MARGIN):
        raise OpsError(f"Job {name} was deleted and is still there; try again.")
    return True


def is_done(namespace: Namespace, job: dict[str, Any]) -> bool:
    """Whether a Job that was asked for the same has succeeded."""
    found, annotations = find(namespace, job["metadata"]["name"]), job["metadata"]["annotations"]
    if found is None or ending(found) != "Complete":
        return False
    return (found.metadata.annotations or {}).get(ASKED) == annotations[ASKED]


def find(namespace: Namespace, name: str) -> Model | None:
    """A Job, or None when there is none of that name."""
    return next((job for job in namespace.jobs() if job.metadata.name == name), None)


def belongs_to(cron: Model, job: Model) -> bool:
    """Whether a Job is one of the CronJob's own."""
    owners = job.metadata.owner_references or ()
    return any(owner.controller and owner.uid == cron.metadata.uid for owner in owners)


def ending(job: Model) -> str | None:
    """How a Job has ended: `Complete` or `Failed`; None while it has not."""
    ends = (c.type for c in job.status.conditions or () if c.status == "True")
    return next((end for end in ends if end in {"Complete", "Failed"}), None)


def outcome(namespace: Namespace, name: str, say: Say) -> str:
    """What a Job's last pod said, once it has succeeded; says what a pod waits for until then.

    Raises OpsError with what was said when it has failed.
    """
    job = find(namespace, name)
    if job is None:
        raise OpsError(f"Job {name} is gone: somebody has deleted it.")
    told = ""

    def ended() -> str | None:
        nonlocal told
        if (waits := waits_for(namespace.pods_of(job)[-1:])) and waits != told:
            told = waits
            say(f"{name} waits: {told}")
        found = find(namespace, name)
        return ending(found) if found else "gone"

    how = wait_until(ended, job.spec.active_deadline_seconds + _MARGIN)
    said = "\n".join(_said(namespace, namespace.pods_of(job)[-1:]))
    if how != "Complete":
        raise OpsError(f"Job {name}: {how or 'not ended'}.\n{said}".rstrip())
    return said


def _said(namespace: Namespace, pods: Sequence[Model]) -> Iterator[str]:
    """The logs of pods, container by container; and why one was evicted."""
    for pod in pods:
        for one in containers(pod):
            if one.state.terminated:
                yield from namespace.log(pod.metadata.name, one.name).splitlines()
        if pod.status.message:
            yield pod.status.message
