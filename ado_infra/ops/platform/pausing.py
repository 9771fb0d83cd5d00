"""`ado-ops pause` and `resume`: no application writes, and later all is as it was.

The gateway and the workers end first: a task that is under way still finds its orchestrator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ado_infra.ops import NAME, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.lease import alone
from ado_infra.ops.namespace import Model, Namespace, Say
from ado_infra.ops.options import Context, DryRun, In, Stack, plan, say
from ado_infra.ops.postgres import backups, writers
from ado_infra.ops.target import Target

_COMPONENT: Final = "app.kubernetes.io/component"
_LAST: Final = "orchestrator"


def pause(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Stop the applications that write to the stores; `resume` starts them as they were."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    platform = target.reach(*rights.PAUSE)
    if dry_run:
        plan(*pause_steps(platform))
        return
    with alone(platform, say):
        stop(platform, say)
    say(f"Paused; `{NAME} resume` starts them as they were. No `pulumi up` until then.")


def resume(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Start the applications that `pause` has stopped, with as many pods as they had."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    platform = target.reach(*rights.RESUME)
    if dry_run:
        plan(*resume_steps(platform))
        return
    with alone(platform, say):
        started = start(platform, say)
    say(f"Started: {', '.join(started)}." if started else "Nothing is paused.")


def stop(platform: Namespace, say: Say) -> None:
    """Leaves no pod of an application that writes.

    Raises OpsError when some do not end, or when there is no such application.
    """
    found = platform.deployments()
    names = writers.store_users(found)
    if not names:
        raise OpsError(
            f"No Deployment in namespace {platform.name} is given the URL of a store: there is "
            "nothing to pause. Is it the right namespace?"
        )
    for deployment in found:
        name = deployment.metadata.name
        if name in names and writers.PAUSED not in writers.notes(deployment):
            platform.annotate_deployment(name, writers.PAUSED, "true")
    writers.stop(platform, say, _first)
    writers.stop(platform, say, writers.store_users)


def start(platform: Namespace, say: Say) -> list[str]:
    """Has each of them keep as many pods as it had; returns who was paused.

    Raises OpsError while a restore goes on.
    """
    names = paused(platform.deployments())
    if names and (command := backups.going_on(platform)):
        raise OpsError(f"A restore goes on: `{NAME} postgres {command}` waits for its end.")
    writers.start(platform, say, paused=True)
    return names


def paused(deployments: Sequence[Model]) -> list[str]:
    """Those that wait for `resume`."""
    return [d.metadata.name for d in deployments if writers.PAUSED in writers.notes(d)]


def pause_steps(platform: Namespace) -> list[str]:
    """What `pause` would do, for people; nothing when all of them are stopped."""
    found = platform.deployments()
    names, first = writers.store_users(found), _first(found)
    running = {d.metadata.name: d for d in found if d.metadata.name in names and d.spec.replicas}
    seconds = writers.patience(list(running.values()))
    return [
        f"note how many pods {name} has ({running[name].spec.replicas}), and have it keep none: "
        f"they end within {seconds:.0f} s"
        for name in sorted(running, key=lambda name: (name not in first, name))
    ]


def resume_steps(platform: Namespace) -> list[str]:
    """What `resume` would do, for people."""
    found = platform.deployments()
    noted = {d.metadata.name: writers.notes(d).get(writers.REPLICAS) for d in found}
    return [
        f"have {name} keep {noted[name]} pods again"
        if noted[name]
        else f"take the mark off {name}, which was not stopped yet"
        for name in paused(found)
    ]


def _first(deployments: Sequence[Model]) -> list[str]:
    """Whoever writes and is not the orchestrator."""
    last = [d for d in deployments if (d.metadata.labels or {}).get(_COMPONENT) == _LAST]
    names = {d.metadata.name for d in last}
    return [name for name in writers.store_users(deployments) if name not in names]
