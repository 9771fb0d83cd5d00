"""What the commands do with a namespace of the cluster: its objects, and small patches."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeAlias, TypeVar

from kubernetes import client

from ado_infra.ops import NAME, rights
from ado_infra.ops.api import Model, unless_changed, unless_missing
from ado_infra.ops.errors import OpsError
from ado_infra.ops.execution import ANSWER
from ado_infra.ops.pods import Pods, have_ended, have_started, not_running, phase_of

__all__ = [
    "ANSWER",
    "POLL",
    "Kept",
    "Model",
    "Namespace",
    "Say",
    "have_ended",
    "have_started",
    "not_running",
    "phase_of",
    "settled",
    "wait_until",
]

Found = TypeVar("Found")
Say: TypeAlias = Callable[[str], None]
"""Where a command tells what it does."""
POLL: Final = 0.5
"""Seconds between two looks at something that is awaited."""
_ATTEMPTS: Final = 10
"""How often a change is tried whose object somebody else has changed in between."""


@dataclass(frozen=True)
class Kept:
    """A value of a Secret, and of which version of that: for a change that builds on it."""

    value: str = field(repr=False)
    version: str
    owner: str = ""
    """What in the cluster writes it, such as `ExternalSecret models`; empty for nothing."""


class Namespace(Pods):
    """One namespace of a cluster."""

    def __init__(self, api: client.ApiClient, name: str) -> None:
        super().__init__(api, name)
        self._apps = client.AppsV1Api(api)
        self._batch = client.BatchV1Api(api)

    def lacking(self, needed: Sequence[rights.Right]) -> list[str]:
        """Which of these rights the operator has not, such as `list pods`."""
        return rights.missing(self.api, self.name, needed)

    def config_map(self, name: str) -> Model | None:
        """A ConfigMap, or None when there is none of that name."""
        return unless_missing(lambda: self._core.read_namespaced_config_map(name, self.name))

    def service(self, name: str) -> Model | None:
        """A Service, or None when there is none of that name."""
        return unless_missing(lambda: self._core.read_namespaced_service(name, self.name))

    def stateful_set(self, name: str) -> Model | None:
        """A StatefulSet, or None when there is none of that name."""
        return unless_missing(lambda: self._apps.read_namespaced_stateful_set(name, self.name))

    def node_answers(self, name: str) -> bool | None:
        """Whether a node's kubelet reports that it is Ready; None for who may not see nodes."""
        ready = self._node_ready(name)
        return None if ready is None else ready == "True"

    def lost_contact(self, node: str) -> bool:
        """Whether nothing is heard of a node; False also for who may not see nodes.

        One that reports that it is not Ready may let commands in all the same.
        """
        return self._node_ready(node) == "Unknown"

    def _node_ready(self, name: str) -> str | None:
        """`True`, `False` or `Unknown`, also of one that is gone; None where it may not be seen."""
        try:
            node: Model = self._core.read_node(name)
        except client.ApiException as error:
            if error.status == HTTPStatus.FORBIDDEN:
                return None
            if error.status == HTTPStatus.NOT_FOUND:
                return "Unknown"
            raise
        conditions = {c.type: c.status for c in node.status.conditions or ()}
        return str(conditions.get("Ready", "Unknown"))

    def patch_config_map(
        self, name: str, data: Mapping[str, str | None], *, version: str | None = None
    ) -> None:
        """Sets keys of a ConfigMap, or removes those that are None.

        Raises OpsError when it is no longer of that version.
        """
        self.before_change()
        patch = {"data": data, "metadata": {"resourceVersion": version} if version else {}}
        with unless_changed(name):
            self._core.patch_namespaced_config_map(name, self.name, patch, field_manager=NAME)

    def patch_selector(self, service: str, selector: Mapping[str, str]) -> None:
        """Sets labels of a Service's selector."""
        self.before_change()
        self._core.patch_namespaced_service(
            service, self.name, {"spec": {"selector": selector}}, field_manager=NAME
        )

    def secret(
        self, name: str, key: str, *, remedy: str = "`pulumi up --refresh` makes it"
    ) -> Kept:
        """One value of a Secret.

        Raises OpsError, which ends in the remedy, when there is none.
        """
        found = unless_missing(lambda: self._core.read_namespaced_secret(name, self.name))
        if found is None or key not in (found.data or {}):
            raise OpsError(f"There is no key {key} in Secret {name}; {remedy}.")
        value = base64.b64decode(found.data[key]).decode(errors="replace")
        owners = [f"{owner.kind} {owner.name}" for owner in found.metadata.owner_references or ()]
        return Kept(value, found.metadata.resource_version, " and ".join(owners))

    def patch_secret(self, name: str, values: Mapping[str, str], *, version: str) -> None:
        """Sets values of a Secret.

        Raises OpsError when it is no longer of that version.
        """
        self.before_change()
        patch = {"stringData": values, "metadata": {"resourceVersion": version}}
        with unless_changed(f"Secret {name}"):
            self._core.patch_namespaced_secret(name, self.name, patch, field_manager=NAME)

    def secret_changed(self, name: str) -> datetime | None:
        """When these commands last changed a Secret; None for never."""
        found = unless_missing(lambda: self._core.read_namespaced_secret(name, self.name))
        managers = (found.metadata.managed_fields or ()) if found else ()
        return max((m.time for m in managers if m.manager == NAME), default=None)

    def deployments(self) -> list[Model]:
        """Every Deployment."""
        found: list[Model] = self._apps.list_namespaced_deployment(self.name).items
        return found

    def restart(self, deployment: str, annotation: str) -> None:
        """Rolls a Deployment's pods, by an annotation that tells when."""
        self.annotate_pods(deployment, annotation, f"{time.time():.3f}")

    def annotate_pods(self, deployment: str, annotation: str, value: str) -> None:
        """Sets an annotation of a Deployment's pods, which rolls them unless they have it."""
        self.before_change()
        template = {"metadata": {"annotations": {annotation: value}}}
        self._apps.patch_namespaced_deployment(
            deployment, self.name, {"spec": {"template": template}}, field_manager=NAME
        )

    def annotate_deployment(self, name: str, annotation: str, value: str | None) -> None:
        """Sets an annotation of a Deployment, or removes one that is None."""
        self.before_change()
        patch = {"metadata": {"annotations": {annotation: value}}}
        self._apps.patch_namespaced_deployment(name, self.name, patch, field_manager=NAME)

    def scale(self, deployment: str, replicas: int) -> None:
        """Has a Deployment keep so many pods, as an autoscaler does it."""
        self.before_change()
        self._apps.patch_namespaced_deployment_scale(
            deployment, self.name, {"spec": {"replicas": replicas}}, field_manager=NAME
        )

    def disown_scale(self, deployment: str) -> None:
        """Leaves the number of a Deployment's pods to whoever else says it."""
        self.before_change()
        # Its controller, which has just been given work, changes it all the time.
        for attempt in range(_ATTEMPTS):
            found: Model = self._apps.read_namespaced_deployment(deployment, self.name)
            entries = self.plain(found.metadata.managed_fields or [])
            kept = [
                entry
                for entry in entries
                if (entry["manager"], entry.get("subresource")) != (NAME, "scale")
            ]
            version = {"resourceVersion": found.metadata.resource_version}
            patch = {"metadata": version | {"managedFields": kept}}
            try:
                self._apps.patch_namespaced_deployment(
                    deployment, self.name, patch, field_manager=NAME
                )
            except client.ApiException as error:
                if error.status != HTTPStatus.CONFLICT or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def cron_job(self, name: str) -> Model | None:
        """A CronJob, or None when there is none of that name."""
        return unless_missing(lambda: self._batch.read_namespaced_cron_job(name, self.name))

    def jobs(self) -> list[Model]:
        """Every Job."""
        found: list[Model] = self._batch.list_namespaced_job(self.name).items
        return found

    def create_job(self, manifest: Model) -> None:
        """Makes a Job."""
        self.before_change()
        self._batch.create_namespaced_job(self.name, manifest, field_manager=NAME)

    def delete_job(self, name: str) -> None:
        """Deletes a Job with its pods."""
        self.before_change()
        unless_missing(
            lambda: self._batch.delete_namespaced_job(
                name, self.name, propagation_policy="Background"
            )
        )

    def plain(self, model: Model) -> Model:
        """A model as the mapping that a manifest has."""
        return self._core.api_client.sanitize_for_serialization(model)


def settled(deployment: Model) -> bool:
    """Whether a Deployment has all of its pods, of today's template, and they are Ready."""
    status, wanted = deployment.status, deployment.spec.replicas
    return (
        (status.observed_generation or 0) >= deployment.metadata.generation
        and (status.updated_replicas or 0) == wanted
        and (status.replicas or 0) == wanted
        and (status.available_replicas or 0) == wanted
    )


def wait_until(condition: Callable[[], Found | None], seconds: float) -> Found | None:
    """What `condition` returns once that is true, or None after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL)
    return found
