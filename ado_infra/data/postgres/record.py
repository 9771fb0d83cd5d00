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

from ado_infra.data.files import JOB_RESOURCES, SECRETS, packaged
from ado_infra.kit.connections import Connection, Destination
from ado_infra.kit.jobs import JobArgs, Step, one_shot
from ado_infra.kit.labels import headless_name
from ado_infra.kit.pods import Account, Scratch
from ado_infra.kit.sources import ConfigDirectory, Files
from ado_infra.site import Site

NAME: Final = "postgresql-state"
STATE: Final = "/etc/ado/state"
"""Where the pods see it: a file for each key."""

POD_LABEL: Final = "statefulset.kubernetes.io/pod-name"
_SERVED: Final = "/run/served"
_SCRIPT: Final = "decide.sh"
_RETRIES: Final = 4
"""The last is two and a half minutes after the first: an operator's promotion has ended by then."""
_MANAGER: Final = "ado-begin"
"""Who the Job is to the record, and nobody else: without force the API server refuses whatever it
applies where another has written another primary. Not kubectl…, whose fields an update by the
provider takes over and drops: the record would be lost.
"""


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
    which notes that there is a database now and in which pod, and leads the Services by the record.
    Its keys, and where the Services lead, belong to that Job and to `ado-ops`:

    - `initialised`: `true` once there is a database; nobody makes an empty one from then on.
    - `primary`: ordinal of the pod that may be the primary; 0 where nothing is said. The Job says
      only what is said already.
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
            _begin_job(self._site, Account(name=account.metadata.name, token=True), roles),
            pulumi.ResourceOptions(parent=self, depends_on=[*database, binding]),
        )


def connections(
    site: Site, database: Destination, api_server: tuple[Destination, ...]
) -> tuple[Connection, ...]:
    """Of the Job that begins the record."""
    own = site.job_pods(NAME)
    return (
        *own.to(database, why="asks who is the primary"),
        *own.to(*api_server, why="writes the record, and leads the Services"),
    )


def _rules(roles: Roles) -> list[PolicyRuleArgs]:
    objects = {"configmaps": [NAME], "services": [roles.primary, roles.standby]}
    return [
        PolicyRuleArgs(
            api_groups=[""], resources=[kind], resource_names=names, verbs=["get", "patch"]
        )
        for kind, names in objects.items()
    ]


def _record_of(primary: int) -> str:
    """What the record has to say where that pod is the primary."""
    record: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME},
        "data": {"initialised": "true", "primary": str(primary)},
    }
    return json.dumps(record)


def _services_of(roles: Roles, primary: int) -> str:
    """Where the Services lead then."""
    services: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {**roles.selector, POD_LABEL: f"{roles.primary}-{ordinal}"}},
        }
        for name, ordinal in ((roles.primary, primary), (roles.standby, 1 - primary))
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": services})


def _begin_job(site: Site, account: Account, roles: Roles) -> JobArgs:
    """Decides, notes, leads, and notes once more.

    An operator may promote the other pod meanwhile. Whatever is written here is written only while
    the record names the pod that was decided on, or seen to be wrong afterwards: who promotes
    writes the record before the Services, and this Job looks at the record after them. It fails
    then, and its next pod decides anew.
    """
    # kubectl's image has no shell to decide in.
    served = {"served": Scratch(path=_SERVED, size_limit="1Mi", in_memory=True)}
    decide = Step(
        name="decide",
        image=roles.image,
        # Not from `postgresql-config`, where a change restarts both servers.
        command=("/bin/sh", "-c", packaged(__package__ or "", [_SCRIPT])[_SCRIPT]),
        resources=JOB_RESOURCES,
        variables={
            "DATABASE": roles.database,
            "HEADLESS_SERVICE": headless_name(roles.primary),
            "POD": roles.primary,
            "SECRETS": SECRETS,
            "SERVED": _SERVED,
            "STATE": STATE,
            **{f"RECORD_OF_{primary}": _record_of(primary) for primary in (0, 1)},
            **{f"SERVICES_OF_{primary}": _services_of(roles, primary) for primary in (0, 1)},
        },
        scratch=served,
        files=roles.files,
    )
    image = site.kubectl_image()
    note = _apply("record.json", f"--field-manager={_MANAGER}")
    # The program has made them so that they lead nowhere.
    lead = _apply("services.json", "--field-manager=ado-ops", "--force-conflicts")
    return JobArgs(
        identity=site.identity(NAME),
        name="postgresql-state-begin",
        namespace=site.namespace,
        image=image,
        command=note,
        decisive={},
        timeout=900,
        retries=_RETRIES,
        resources=JOB_RESOURCES,
        pull_secret=site.image_pull_secret,
        account=account,
        extension=site.extension(),
        scratch=served,
        before=(
            decide,
            Step(name="note", image=image, command=note, resources=JOB_RESOURCES, scratch=served),
            Step(name="lead", image=image, command=lead, resources=JOB_RESOURCES, scratch=served),
        ),
    )


def _apply(file: str, *options: str) -> tuple[str, ...]:
    command = ("kubectl", "--cache-dir=/tmp/cache", "apply", "--server-side", *options)
    return (*command, f"--filename={_SERVED}/{file}")
