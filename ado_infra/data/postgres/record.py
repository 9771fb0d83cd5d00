"""The record of who is PostgreSQL's primary, outside the volumes whose roles it decides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, ServiceAccount
from pulumi_kubernetes.rbac.v1 import (
    PolicyRuleArgs,
    Role,
    RoleBinding,
    RoleRefArgs,
    SubjectArgs,
)

from ado_infra.data.files import CONFIG, JOB_RESOURCES, SECRETS
from ado_infra.kit.jobs import JobArgs, Step, one_shot
from ado_infra.kit.labels import headless_name
from ado_infra.kit.pods import Scratch
from ado_infra.kit.sources import ConfigDirectory, Files
from ado_infra.site import Site

NAME: Final = "postgresql-state"
STATE: Final = "/etc/ado/state"
"""Where the pods see it: a file for each key."""

POD_LABEL: Final = "statefulset.kubernetes.io/pod-name"
_SERVED: Final = "/run/served"


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Whom the record speaks of.

    Attributes:
        primary: Service that leads to the primary, whose name the pods' names begin with.
        standby: Service that leads to the other one.
        selector: Labels of both pods.
        database: The database, and the role that asks it.
        image: Has a shell and psql.
        files: Volume name → what its pods read, the password among it.
    """

    primary: str
    standby: str
    selector: Mapping[str, str]
    database: str
    image: str
    files: Mapping[str, Files]


class Record(pulumi.ComponentResource):
    """Who may be PostgreSQL's primary, as a ConfigMap that the program creates and never fills.

    Produces: ConfigMap `postgresql-state`; ServiceAccount, Role and RoleBinding of that name, with
    the right to change this object and both Services alone; Job `postgresql-state-begin-<digest>`,
    which notes that there is a database now, and leads the Services by the record. Its keys, and
    where the Services lead, belong to that Job and to `ado-ops`:

    - `initialised`: `true` once there is a database; nobody makes an empty one from then on.
    - `primary`: ordinal of the pod that may be the primary; 0 where nothing is said.
    - `fenced`: ordinals, separated by blanks, of the pods that may not start a server.
    """

    directory: ConfigDirectory
    """The record as the pods see it."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ado:index:PostgresRecord", name, {}, opts)
        self._name, self._site = name, site
        config_map = ConfigMap(
            f"{name}-state",
            metadata=site.metadata(NAME, NAME),
            # Without it nobody would know which of two volumes is the newer one.
            opts=pulumi.ResourceOptions(parent=self, protect=site.protect),
        )
        self.directory = ConfigDirectory(
            config_map=config_map.metadata.name, path=STATE, digest=None
        )
        self.register_outputs({"configMap": config_map.metadata.name})

    def begin_after(self, database: Sequence[pulumi.Resource], roles: Roles) -> None:
        """Notes that there is a database, and leads its Services, once that answers.

        Where both was done before, nothing changes.
        """
        opts = pulumi.ResourceOptions(parent=self)
        metadata = self._site.metadata(NAME, NAME)
        account = ServiceAccount(
            f"{self._name}-account",
            metadata=metadata,
            automount_service_account_token=False,  # the Job's pod asks for it
            opts=opts,
        )
        role = Role(f"{self._name}-role", metadata=metadata, rules=_rules(roles), opts=opts)
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
                    namespace=self._site.namespace,
                )
            ],
            opts=opts,
        )
        one_shot(
            f"{self._name}-begin",
            _begin_job(self._site, account.metadata.name, roles),
            pulumi.ResourceOptions(parent=self, depends_on=[*database, binding]),
        )


def _rules(roles: Roles) -> list[PolicyRuleArgs]:
    objects = {"configmaps": [NAME], "services": [roles.primary, roles.standby]}
    return [
        PolicyRuleArgs(
            api_groups=[""], resources=[kind], resource_names=names, verbs=["get", "patch"]
        )
        for kind, names in objects.items()
    ]


def _led(roles: Roles, primary: int) -> str:
    """What is applied when that pod is the primary."""
    record: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME},
        "data": {"initialised": "true"},
    }
    services: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {**roles.selector, POD_LABEL: f"{roles.primary}-{ordinal}"}},
        }
        for name, ordinal in ((roles.primary, primary), (roles.standby, 1 - primary))
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [record, *services]})


def _begin_job(site: Site, account: pulumi.Input[str], roles: Roles) -> JobArgs:
    # kubectl's image has no shell to decide in.
    served = {"served": Scratch(path=_SERVED, size_limit="1Mi", in_memory=True)}
    decide = Step(
        name="decide",
        image=roles.image,
        command=("/bin/sh", f"{CONFIG}/begin.sh"),
        resources=JOB_RESOURCES,
        variables={
            "DATABASE": roles.database,
            "HEADLESS_SERVICE": headless_name(roles.primary),
            "POD": roles.primary,
            "SECRETS": SECRETS,
            "SERVED": _SERVED,
            "STATE": STATE,
            **{f"LED_BY_{primary}": _led(roles, primary) for primary in (0, 1)},
        },
        scratch=served,
        files=roles.files,
    )
    # An update by the provider takes over what any manager named kubectl… has written, and drops
    # what the program does not say: the record would be lost.
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=ado-ops")
    return JobArgs(
        identity=site.identity(NAME),
        name="postgresql-state-begin",
        namespace=site.namespace,
        image=site.kubernetes_image("kubectl"),
        command=("kubectl", "--cache-dir=/tmp/cache", *apply, f"--filename={_SERVED}/led.json"),
        decisive={},
        timeout=900,
        resources=JOB_RESOURCES,
        pull_secret=site.images.pull_secret,
        service_account=account,
        scratch=served,
        before=(decide,),
    )
