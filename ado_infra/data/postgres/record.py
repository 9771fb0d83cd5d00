"""The record of who is PostgreSQL's primary, outside the volumes whose roles it decides."""

from __future__ import annotations

import json
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, ServiceAccount
from pulumi_kubernetes.rbac.v1 import (
    PolicyRuleArgs,
    Role,
    RoleBinding,
    RoleRefArgs,
    SubjectArgs,
)

from ado_infra.data.files import JOB_RESOURCES
from ado_infra.kit.jobs import JobArgs, one_shot
from ado_infra.kit.sources import ConfigDirectory
from ado_infra.placement import Placement

NAME: Final = "postgresql-state"
STATE: Final = "/etc/ado/state"
"""Where the pods see it: a file for each key."""

_BEGUN: Final = {"data": {"initialised": "true"}}


class Record(pulumi.ComponentResource):
    """Who may be PostgreSQL's primary, as a ConfigMap that the program creates and never fills.

    Produces: ConfigMap `postgresql-state`; ServiceAccount, Role and RoleBinding of that name, with
    the right to change this one object; Job `postgresql-state-begin-<digest>`, which notes that
    there is a database now. Its keys belong to that Job and to `ado_infra.ops`:

    - `initialised`: `true` once there is a database; nobody makes an empty one from then on.
    - `primary`: ordinal of the pod that may be the primary; 0 where nothing is said.
    - `fenced`: ordinals, separated by blanks, of the pods that may not start a server.
    """

    directory: ConfigDirectory
    """The record as the pods see it."""

    def __init__(
        self, name: str, placement: Placement, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:PostgresRecord", name, {}, opts)
        self._name, self._placement = name, placement
        config_map = ConfigMap(
            f"{name}-state",
            metadata=placement.metadata(NAME, NAME),
            # Without it nobody would know which of two volumes is the newer one.
            opts=pulumi.ResourceOptions(parent=self, protect=placement.protect),
        )
        self.directory = ConfigDirectory(
            config_map=config_map.metadata.name, path=STATE, digest=None
        )
        self.register_outputs({"configMap": config_map.metadata.name})

    def begin_after(self, database: pulumi.Resource) -> None:
        """Notes that there is a database, once `database` is Ready; later times change nothing."""
        opts = pulumi.ResourceOptions(parent=self)
        metadata = self._placement.metadata(NAME, NAME)
        account = ServiceAccount(
            f"{self._name}-account",
            metadata=metadata,
            automount_service_account_token=False,  # the Job's pod asks for it
            opts=opts,
        )
        role = Role(
            f"{self._name}-role",
            metadata=metadata,
            rules=[
                PolicyRuleArgs(
                    api_groups=[""],
                    resources=["configmaps"],
                    resource_names=[NAME],
                    verbs=["get", "patch"],
                )
            ],
            opts=opts,
        )
        binding = RoleBinding(
            f"{self._name}-binding",
            metadata=metadata,
            role_ref=RoleRefArgs(
                api_group="rbac.authorization.k8s.io", kind="Role", name=role.metadata.name
            ),
            subjects=[
                SubjectArgs(
                    kind="ServiceAccount",
                    name=account.metadata.name,
                    namespace=self._placement.namespace,
                )
            ],
            opts=opts,
        )
        one_shot(
            f"{self._name}-begin",
            _begin_job(self._placement, account.metadata.name),
            pulumi.ResourceOptions(parent=self, depends_on=[database, binding]),
        )


def _begin_job(placement: Placement, account: pulumi.Input[str]) -> JobArgs:
    # An update by the provider takes over what any manager named kubectl… has written, and drops
    # what the program does not say: the record would be lost.
    target = ("patch", "configmap", NAME, "--field-manager=ado-ops")
    patch = ("--type=merge", f"--patch={json.dumps(_BEGUN)}")
    return JobArgs(
        identity=placement.identity(NAME),
        name="postgresql-state-begin",
        namespace=placement.namespace,
        image=placement.kubernetes_image("kubectl"),
        command=("kubectl", "--cache-dir=/tmp/cache", *target, *patch),
        decisive={},
        timeout=300,
        resources=JOB_RESOURCES,
        pull_secret=placement.images.pull_secret,
        service_account=account,
    )
