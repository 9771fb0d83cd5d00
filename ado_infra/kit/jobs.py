"""Jobs: pods that run once, under no workload's selector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgs
from pulumi_kubernetes.core.v1 import ContainerArgs, PodSpecArgs, PodTemplateSpecArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.kit import pods
from ado_infra.kit.labels import Identity
from ado_infra.kit.pods import DEFAULT_USER
from ado_infra.kit.sources import Files, SecretKey, Variable, variable
from ado_infra.settings import Resources


@dataclass(frozen=True, kw_only=True)
class JobArgs:
    """What tells one Job from another.

    Attributes:
        identity: What it belongs to.
        name: Name of the Job before its digest.
        namespace: Where it is created.
        image: Reference of the container image.
        command: What runs.
        decisive: What makes it another Job, beside image and command.
        timeout: Seconds after which it counts as failed.
        retries: How often it is tried again when it fails.
        resources: Requests and limits of the container.
        user: uid, gid and fsGroup.
        pull_secret: Name of an existing image pull Secret.
        service_account: Who it is to the API server, for one that asks it.
        variables: Environment variables that are no secrets.
        secrets: Environment variables read from Secrets.
        files: Volume name → what is read from a ConfigMap or Secret.
    """

    identity: Identity
    name: str
    namespace: pulumi.Input[str]
    image: str
    command: tuple[str, ...]
    decisive: Mapping[str, str]
    timeout: int
    resources: Resources
    retries: int = 3
    user: int = DEFAULT_USER
    pull_secret: str | None = None
    service_account: pulumi.Input[str] | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    secrets: Mapping[str, SecretKey] = field(default_factory=dict)
    files: Mapping[str, Files] = field(default_factory=dict)


def one_shot(name: str, args: JobArgs, opts: pulumi.ResourceOptions) -> Job:
    """A Job named by what it does: another image, command or decisive input is another Job.

    It stays until its successor has done its work, so that a refresh does not run it twice; a
    changed password or file alone runs nothing. One that has not completed when the next `up` comes
    is ended and runs once more.
    """
    labels, digest = args.identity.labels, job_digest(args)
    return Job(
        # Another resource, not another version of this one, whose `spec` would be kept.
        f"{name}-{digest}",
        metadata=ObjectMetaArgs(
            name=f"{args.name}-{digest}",
            namespace=args.namespace,
            labels=labels,
            # One that failed is made anew by the next `up`.
            annotations={"pulumi.com/replaceUnready": "true"},
        ),
        spec=JobSpecArgs(
            active_deadline_seconds=args.timeout,
            backoff_limit=args.retries,
            template=PodTemplateSpecArgs(
                metadata=ObjectMetaArgs(labels=labels), spec=_pod_spec(args)
            ),
        ),
        # A Job's pods cannot be changed: what is not in its name never changes it either.
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                ignore_changes=["spec"],
                # The engine's own patience ends after ten minutes, whatever the Job may take.
                custom_timeouts=pulumi.CustomTimeouts(create=f"{args.timeout + 60}s"),
            ),
        ),
    )


def job_digest(args: JobArgs) -> str:
    """What tells a Job from those that do something else: ten hex digits."""
    decisive = [args.image, args.command, dict(args.decisive)]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:10]


def _pod_spec(args: JobArgs) -> PodSpecArgs:
    mounted = pods.directories({}, args.files)
    container = ContainerArgs(
        name=args.name,
        image=args.image,
        command=list(args.command),
        env=[
            *(variable(name, value) for name, value in args.variables.items()),
            *(secret.variable(name) for name, secret in args.secrets.items()),
        ],
        resources=pods.resource_requirements(args.resources),
        security_context=pods.container_security(),
        # So that whoever waits for the Job is told why it failed.
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=[directory.mount(name) for name, directory in mounted.items()],
    )
    return pods.pod_spec(
        container,
        mounted,
        user=args.user,
        pull_secret=args.pull_secret,
        restart_policy="Never",  # each try leaves its logs
        service_account=args.service_account,
    )
