"""`ado-ops rotate-model-key`: another key for a pool of workers to the gateway that asks models.

Keys are the gateway's: whoever keeps it makes the new one before, and revokes the former one
afterwards. In between each worker ends in its own time, and another one starts with the new key.

Which version of the Secret they were started with is noted on the template of their pods: cut off
anywhere, the same command goes on, and rolls nobody twice.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getpass import getpass
from typing import Annotated, Final

import typer

from ado_infra.ops import NAME, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.lease import alone
from ado_infra.ops.namespace import Kept, Model, Namespace, Say, settled, wait_until
from ado_infra.ops.options import Context, DryRun, In, Stack, plan, say
from ado_infra.ops.postgres.rotation import ROLLOUT, accepted
from ado_infra.ops.target import Target

VOLUME: Final = "model-gateway"
"""Of workers that have a key to a gateway, as `ado_infra.tiers.workers` calls it."""
KEY: Final = "key"
"""The key of the Secret."""
VERSION: Final = "ado.ops/model-key"
"""Annotation of pods: the version of the Secret that there was when they were started."""
_ROUNDS: Final = 10
"""Workers roll by tenths, each of which waits for the one before where there is no room."""
_WORKER: Final = "ado-worker"
_DEFAULT: Final = "default"

Pool = Annotated[str, typer.Argument(help="Which of ado:workerPools.")]
Stdin = Annotated[
    bool, typer.Option("--stdin", help="Take the new key from standard input, into the Secret.")
]


def rotate_model_key(
    pool: Pool,
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    stdin: Stdin = False,
) -> None:
    """Give a pool of workers another key to its model gateway, which has made it before.

    Without --stdin whoever keeps the Secret has changed it there, and the workers are made to
    follow.
    """
    given = accepted(_standard_input(), "key") if stdin else None
    target = Target(stack=stack, context=context, given_namespace=namespace)
    platform = target.reach(*rights.ROTATE_MODEL_KEY)
    if dry_run:
        plan(*steps(platform, pool, given))
        return
    with alone(platform, say):
        names = rotate(platform, say, pool, given)
    say(
        f"Done: no pod of {' and '.join(names)} has another key than the Secret. The gateway takes "
        "the former key until you revoke it there."
    )


def steps(platform: Namespace, pool: str, given: str | None) -> list[str]:
    """What `rotate` would do, for people; nothing where all is done."""
    secret = secret_of(platform, pool)
    kept = _kept(platform, secret, given)
    writes = given is not None and given != kept.value
    late = [
        each.metadata.name
        for each in readers(platform.deployments(), secret)
        if writes or _noted(each) != kept.version
    ]
    return [
        *([f"write the key into Secret {secret}"] if writes else []),
        *([f"roll {', '.join(late)}, and wait until no pod has another key"] if late else []),
    ]


def rotate(platform: Namespace, say: Say, pool: str, given: str | None) -> list[str]:
    """Has every worker that reads the Secret of a pool start with what that has, or is given.

    Returns the Deployments that read it.

    Raises OpsError when there is no such pool, Secret or key, when a key is given to a Secret that
    something in the cluster writes, or when workers with another key do not end.
    """
    secret = secret_of(platform, pool)
    kept = _kept(platform, secret, given)
    if given is not None and given != kept.value:
        platform.patch_secret(secret, {KEY: given}, version=kept.version)
        say(f"Secret {secret} has the new key")
        kept = _kept(platform, secret, given)
    found = readers(platform.deployments(), secret)
    for deployment in found:
        if _noted(deployment) != kept.version:
            say(f"rolling {deployment.metadata.name}")
            platform.annotate_pods(deployment.metadata.name, VERSION, kept.version)
    seconds = ROLLOUT + _ROUNDS * max(map(_grace, found))
    if _late(platform, secret, kept.version):
        say(f"waiting at most {seconds:.0f} s: workers with the former key end their tasks first")
    if not wait_until(lambda: not _late(platform, secret, kept.version), seconds):
        late = ", ".join(_late(platform, secret, kept.version))
        raise OpsError(
            f"Not all pods of {late} have the new key, so revoke the former one not yet: see "
            f"`{NAME} status`. The same command goes on."
        )
    return [deployment.metadata.name for deployment in found]


def secret_of(platform: Namespace, pool: str) -> str:
    """The Secret that the workers of a pool have their key from.

    Raises OpsError when there is no such pool, or it has no gateway.
    """
    name = _WORKER if pool == _DEFAULT else f"{_WORKER}-{pool}"
    found = {each.metadata.name: _source(each) for each in platform.deployments()}
    if name not in found:
        pools = [_pool(each) for each in found if _pool(each)]
        raise OpsError(
            f"There is no pool {pool} in namespace {platform.name}; those there are: "
            f"{', '.join(pools) or 'none'}."
        )
    secret = found[name]
    if secret is None:
        raise OpsError(
            f"Pool {pool} has no modelGateway: its workers have the keys of providers, which are "
            "changed by `pulumi config set --secret`, then `pulumi up` (docs/secrets.md)."
        )
    return secret


def readers(deployments: Sequence[Model], secret: str) -> list[Model]:
    """The Deployments whose workers have their key from a Secret: pools may share one."""
    return [each for each in deployments if _source(each) == secret]


def _source(deployment: Model) -> str | None:
    for volume in deployment.spec.template.spec.volumes or ():
        if volume.name == VOLUME and volume.projected:
            (source,) = volume.projected.sources
            return str(source.secret.name)
    return None


def _pool(deployment: str) -> str:
    """The pool whose workers a Deployment has; empty where it has none."""
    name, _, rest = deployment.partition(_WORKER)
    return "" if name or deployment == rest else rest.removeprefix("-") or _DEFAULT


def _kept(platform: Namespace, secret: str, given: str | None) -> Kept:
    """What the Secret has now."""
    make = f"kubectl -n {platform.name} create secret generic {secret} --from-file={KEY}=FILE"
    kept = platform.secret(secret, KEY, remedy=f"`{make}` makes it")
    if given is not None and given != kept.value and kept.owner:
        raise OpsError(
            f"Secret {secret} is written by {kept.owner}, which would undo this: change the key "
            f"where that reads it, then the same command without --stdin."
        )
    return kept


def _late(platform: Namespace, secret: str, version: str) -> list[str]:
    """The Deployments that have pods of before, those that are ending too, or lack new ones."""
    return [
        deployment.metadata.name
        for deployment in readers(platform.deployments(), secret)
        if not settled(deployment)
        or any(
            (pod.metadata.annotations or {}).get(VERSION) != version
            for pod in platform.pods_of_deployment(deployment)
        )
    ]


def _noted(deployment: Model) -> str | None:
    annotations: dict[str, str] = deployment.spec.template.metadata.annotations or {}
    return annotations.get(VERSION)


def _grace(deployment: Model) -> float:
    return float(deployment.spec.template.spec.termination_grace_period_seconds or 0)


def _standard_input() -> str:
    if sys.stdin.isatty():
        return getpass("Key: ")
    return sys.stdin.buffer.read().decode(errors="replace")
