"""Jobs: pods that run to their end, once or on a schedule, under no workload's selector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes.batch.v1 import (
    CronJob,
    CronJobSpecArgs,
    Job,
    JobSpecArgs,
    JobTemplateSpecArgs,
    PodFailurePolicyArgs,
    PodFailurePolicyOnPodConditionsPatternArgs,
    PodFailurePolicyRuleArgs,
)
from pulumi_kubernetes.core.v1 import ContainerArgs, PodTemplateSpecArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.kit import extending, pods
from ado_infra.kit.labels import Identity
from ado_infra.kit.pod_options import Extension, PodOptions
from ado_infra.kit.pods import DEFAULT_USER, Account, Mounted, Scratch
from ado_infra.kit.sources import Files, SecretVariable, Variable, variable
from ado_infra.kit.spec import Resources

_LATE: Final = 3600
"""Seconds after which a run that could not begin is left out; the next one comes."""
_RETRIES: Final = 2
"""How often a run on a schedule is tried again when it fails."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A container of a Job's pod, which runs to its end.

    Attributes:
        name: Name of the container.
        image: Reference of its image.
        command: What runs.
        resources: Its requests and limits.
        variables: Environment variables that are no secrets.
        secrets: Environment variables read from Secrets.
        scratch: Volume name → an empty directory; of that name it is one for all steps.
        files: Volume name → what is read from a ConfigMap or Secret.
    """

    name: str
    image: str
    command: tuple[str, ...]
    resources: Resources
    variables: Mapping[str, Variable] = field(default_factory=dict)
    secrets: Mapping[str, SecretVariable] = field(default_factory=dict)
    scratch: Mapping[str, Scratch] = field(default_factory=dict)
    files: Mapping[str, Files] = field(default_factory=dict)

    @property
    def mounted(self) -> dict[str, Mounted]:
        """All that is mounted into it, by volume name."""
        return pods.directories(self.scratch, self.files)

    def container(self, of_pod: Mapping[str, Mounted], extension: Extension) -> ContainerArgs:
        """The container; `of_pod`: all that is mounted into any of the pod's."""
        return ContainerArgs(
            name=self.name,
            image=self.image,
            command=list(self.command),
            env=[
                *(variable(name, value) for name, value in self.variables.items()),
                *(secret.variable(name) for name, secret in self.secrets.items()),
            ],
            resources=pods.resource_requirements(self.resources, of_pod),
            security_context=pods.container_security(),
            # So that whoever waits for the Job is told why it failed.
            termination_message_policy="FallbackToLogsOnError",
            volume_mounts=pods.mounts(extending.mounted(extension, self.mounted)),
        )


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
        account: Who it is to the API server, for one that asks it; else somebody without rights.
        variables: Environment variables that are no secrets.
        secrets: Environment variables read from Secrets.
        files: Volume name → what is read from a ConfigMap or Secret.
        scratch: Volume name → an empty directory; of that name it is one with that of `before`.
        before: What runs first, to its end.
        extension: What its user adds to the pods.
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
    pull_secret: pulumi.Input[str] | None = None
    account: Account | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    secrets: Mapping[str, SecretVariable] = field(default_factory=dict)
    files: Mapping[str, Files] = field(default_factory=dict)
    scratch: Mapping[str, Scratch] = field(default_factory=dict)
    before: tuple[Step, ...] = ()
    extension: Extension = field(default_factory=Extension)


@dataclass(frozen=True, kw_only=True)
class CronArgs:
    """What tells one Job that comes again from another.

    Attributes:
        identity: What it belongs to.
        name: Name of the CronJob.
        namespace: Where it is created.
        schedule: Five fields of cron, in UTC.
        steps: What runs, one after the other; the next only when the one before succeeded.
        timeout: Seconds after which a run counts as failed.
        user: uid, gid and fsGroup.
        pull_secret: Name of an existing image pull Secret.
        extension: What its user adds to the pods.
    """

    identity: Identity
    name: str
    namespace: pulumi.Input[str]
    schedule: str
    steps: Sequence[Step]
    timeout: int
    user: int = DEFAULT_USER
    pull_secret: pulumi.Input[str] | None = None
    extension: Extension = field(default_factory=Extension)


def recurring(name: str, args: CronArgs, opts: pulumi.ResourceOptions) -> CronJob:
    """A Job on a schedule; while a run goes on no other begins."""
    labels = args.identity.labels
    return CronJob(
        name,
        metadata=ObjectMetaArgs(name=args.name, namespace=args.namespace, labels=labels),
        spec=CronJobSpecArgs(
            schedule=args.schedule,
            time_zone="Etc/UTC",
            concurrency_policy="Forbid",
            # Without one, a hundred runs that were missed would end the schedule for ever.
            starting_deadline_seconds=_LATE,
            successful_jobs_history_limit=3,
            failed_jobs_history_limit=3,
            job_template=JobTemplateSpecArgs(
                metadata=ObjectMetaArgs(labels=labels),
                spec=JobSpecArgs(
                    active_deadline_seconds=args.timeout,
                    backoff_limit=_RETRIES,
                    pod_failure_policy=_no_failure_of_its_own(),
                    template=_template(name, args, args.steps, opts),
                ),
            ),
        ),
        opts=opts,
    )


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
            pod_failure_policy=_no_failure_of_its_own(),
            template=_template(name, args, [*args.before, _last_step(args)], opts, args.account),
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


def _no_failure_of_its_own() -> PodFailurePolicyArgs:
    """A pod that was evicted, preempted or drained is replaced, and not counted as a try.

    One that outgrew what its own directories may hold has no such condition.
    """
    condition = PodFailurePolicyOnPodConditionsPatternArgs(type="DisruptionTarget", status="True")
    return PodFailurePolicyArgs(
        rules=[PodFailurePolicyRuleArgs(action="Ignore", on_pod_conditions=[condition])]
    )


def job_digest(args: JobArgs) -> str:
    """What tells a Job from those that do something else: ten hex digits."""
    decisive: list[object] = [args.image, args.command, dict(args.decisive)]
    decisive += [[step.image, step.command, dict(step.variables)] for step in args.before]
    # A Job that could not run for want of what is added is not mended, but made anew.
    if args.extension.options != PodOptions():
        decisive.append(args.extension.options.model_dump(mode="json", exclude_defaults=True))
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:10]


def _last_step(args: JobArgs) -> Step:
    return Step(
        name=args.name,
        image=args.image,
        command=args.command,
        resources=args.resources,
        variables=args.variables,
        secrets=args.secrets,
        files=args.files,
        scratch=args.scratch,
    )


def _template(
    name: str,
    args: JobArgs | CronArgs,
    steps: Sequence[Step],
    opts: pulumi.ResourceOptions,
    account: Account | None = None,
) -> PodTemplateSpecArgs:
    """The pods of a Job; `name` and `opts`: those of what is made beside it.

    `account`: who they are whatever an extension says; without one as it says.
    """
    extension = args.extension
    mounted = extending.mounted(
        extension, {name: directory for step in steps for name, directory in step.mounted.items()}
    )
    *before, last = [step.container(mounted, extension) for step in steps]
    labels = args.identity.labels
    if account is None:
        metadata = ObjectMetaArgs(name=args.name, namespace=args.namespace, labels=labels)
        account = extending.service_account(f"{name}-account", metadata, extension, opts)
    template = PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(labels=labels),
        spec=pods.pod_spec(
            last,
            mounted,
            account=account,
            before=before,
            user=args.user,
            pull_secret=args.pull_secret,
            restart_policy="Never",  # each try leaves its logs
        ),
    )
    return extending.extended(template, extension, mounted)
