"""What the commands do with the cluster: pods, what runs in them, and small patches."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar

from kubernetes import client, stream, watch
from kubernetes.stream import ws_client
from websocket import WebSocket, WebSocketException

from ado_infra.ops import NAME, rights
from ado_infra.ops.errors import OpsError

Model: TypeAlias = Any
"""What the untyped client returns."""
Found = TypeVar("Found")
Say: TypeAlias = Callable[[str], None]
"""Where a command tells what it does."""
POLL: Final = 0.5
"""Seconds between two looks at something that is awaited."""
ANSWER: Final = 20.0
"""Seconds within which the API server must answer, and a pod let a command in."""
_ATTEMPTS: Final = 10
"""How often a change is tried whose object somebody else has changed in between."""
_BEGINNING: Final = 2**16
"""Bytes of a log that are read from its beginning."""
_POKED: Final = "ado.ops/record-changed"


class _AnsweredInTime(WebSocket):
    """Gives the API server ANSWER seconds, also to let a command in; the command takes its own."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's own
        super().__init__(**options)
        self.sock_opt.timeout = ANSWER


# The client has no option for it: the API server waits for ever for a kubelet that was frozen
# after it had connected, and whoever asked would, too.
ws_client.WebSocket = _AnsweredInTime  # pyright: ignore[reportPrivateImportUsage]


@dataclass(frozen=True)
class Kept:
    """A value of a Secret, and of which version of that: for a change that builds on it."""

    value: str = field(repr=False)
    version: str


class Namespace:
    """One namespace of a cluster.

    Attributes:
        before_change: Called before whatever changes something; it raises where that may not be
            done any more, as by who is no longer the only one at work (see `lease`).
    """

    def __init__(self, api: client.ApiClient, name: str) -> None:
        self.name = name
        self.api = api
        self.before_change: Callable[[], None] = lambda: None
        self._core = client.CoreV1Api(api)
        self._apps = client.AppsV1Api(api)
        self._batch = client.BatchV1Api(api)

    def lacking(self, needed: Sequence[rights.Right]) -> list[str]:
        """Which of these rights the operator has not, such as `list pods`."""
        return rights.missing(self.api, self.name, needed)

    def pod(self, name: str) -> Model | None:
        """A pod, or None when there is none of that name."""
        return _unless_missing(lambda: self._core.read_namespaced_pod(name, self.name))

    def config_map(self, name: str) -> Model | None:
        """A ConfigMap, or None when there is none of that name."""
        return _unless_missing(lambda: self._core.read_namespaced_config_map(name, self.name))

    def service(self, name: str) -> Model | None:
        """A Service, or None when there is none of that name."""
        return _unless_missing(lambda: self._core.read_namespaced_service(name, self.name))

    def stateful_set(self, name: str) -> Model | None:
        """A StatefulSet, or None when there is none of that name."""
        return _unless_missing(lambda: self._apps.read_namespaced_stateful_set(name, self.name))

    def first_said(self, pod: str) -> str:
        """How the log of a pod's container begins: what it said when it started.

        Raises OpsError when there is none yet.
        """
        said = _unless_missing(
            lambda: self._core.read_namespaced_pod_log(pod, self.name, limit_bytes=_BEGINNING)
        )
        return str(said or "")

    def node_answers(self, name: str) -> bool | None:
        """Whether a node's kubelet reports that it is Ready; None for who may not see nodes."""
        try:
            node: Model = self._core.read_node(name)
        except client.ApiException as error:
            if error.status == HTTPStatus.FORBIDDEN:
                return None
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or ())

    def looks_at(self, pod: Model, seconds: float) -> Iterator[Model | None]:
        """Looks at this very pod: None while it is there, at last what it was when deleted.

        The first look is at once, each other one takes at most so many seconds. Whatever happens to
        the pod after the first one is seen.
        """
        this = f"metadata.name={pod.metadata.name}"
        since = pod.metadata.resource_version
        while True:
            listed: Model = self._core.list_namespaced_pod(self.name, field_selector=this)
            if any(item.metadata.uid == pod.metadata.uid for item in listed.items):
                # The pod's own version may be hours old, and the API server has forgotten that.
                since = listed.metadata.resource_version
            yield None
            events = watch.Watch().stream(
                self._core.list_namespaced_pod,
                self.name,
                field_selector=this,
                resource_version=since,
                timeout_seconds=max(1, round(seconds)),
            )
            event: Model
            for event in events:
                seen = event["object"]
                if event["type"] == "DELETED" and seen.metadata.uid == pod.metadata.uid:
                    yield seen

    def patch_config_map(
        self, name: str, data: Mapping[str, str | None], *, version: str | None = None
    ) -> None:
        """Sets keys of a ConfigMap, or removes those that are None.

        Raises OpsError when it is no longer of that version.
        """
        self.before_change()
        patch = {"data": data, "metadata": {"resourceVersion": version} if version else {}}
        with _unless_changed(name):
            self._core.patch_namespaced_config_map(name, self.name, patch, field_manager=NAME)

    def patch_selector(self, service: str, selector: Mapping[str, str]) -> None:
        """Sets labels of a Service's selector."""
        self.before_change()
        self._core.patch_namespaced_service(
            service, self.name, {"spec": {"selector": selector}}, field_manager=NAME
        )

    def poke(self, pod: str) -> None:
        """Makes the kubelet look at what a pod mounts now, which it would within a minute."""
        self.before_change()
        patch = {"metadata": {"annotations": {_POKED: f"{time.time():.3f}"}}}
        _unless_missing(
            lambda: self._core.patch_namespaced_pod(pod, self.name, patch, field_manager=NAME)
        )

    def delete_pod(self, pod: Model, *, force: bool = False) -> None:
        """Deletes this very pod, not a later one of its name.

        `force`: without asking the kubelet, whose containers may run on.
        """
        self.before_change()
        options = client.V1DeleteOptions(
            preconditions=client.V1Preconditions(uid=pod.metadata.uid),
            grace_period_seconds=0 if force else None,
        )
        _unless_missing(
            lambda: self._core.delete_namespaced_pod(pod.metadata.name, self.name, body=options)
        )

    def secret(self, name: str, key: str) -> Kept:
        """One value of a Secret.

        Raises OpsError when there is none.
        """
        found = _unless_missing(lambda: self._core.read_namespaced_secret(name, self.name))
        if found is None or key not in (found.data or {}):
            raise OpsError(
                f"There is no key {key} in Secret {name}; `pulumi up --refresh` makes it."
            )
        value = base64.b64decode(found.data[key]).decode()
        return Kept(value, found.metadata.resource_version)

    def patch_secret(self, name: str, values: Mapping[str, str], *, version: str) -> None:
        """Sets values of a Secret.

        Raises OpsError when it is no longer of that version.
        """
        self.before_change()
        patch = {"stringData": values, "metadata": {"resourceVersion": version}}
        with _unless_changed(f"Secret {name}"):
            self._core.patch_namespaced_secret(name, self.name, patch, field_manager=NAME)

    def secret_changed(self, name: str) -> datetime | None:
        """When these commands last changed a Secret; None for never."""
        found = _unless_missing(lambda: self._core.read_namespaced_secret(name, self.name))
        managers = (found.metadata.managed_fields or ()) if found else ()
        return max((m.time for m in managers if m.manager == NAME), default=None)

    def pods_of_deployment(self, deployment: Model) -> list[Model]:
        """The pods of a Deployment that run or will, also those that are ending."""
        labels = ",".join(f"{k}={v}" for k, v in deployment.spec.selector.match_labels.items())
        found: list[Model] = self._core.list_namespaced_pod(self.name, label_selector=labels).items
        return [pod for pod in found if pod.status.phase not in {"Failed", "Succeeded"}]

    def deployments(self) -> list[Model]:
        """Every Deployment."""
        found: list[Model] = self._apps.list_namespaced_deployment(self.name).items
        return found

    def restart(self, deployment: str, annotation: str) -> None:
        """Rolls a Deployment's pods, by an annotation that tells when."""
        self.before_change()
        template = {"metadata": {"annotations": {annotation: f"{time.time():.3f}"}}}
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
        return _unless_missing(lambda: self._batch.read_namespaced_cron_job(name, self.name))

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
        _unless_missing(
            lambda: self._batch.delete_namespaced_job(
                name, self.name, propagation_policy="Background"
            )
        )

    def pods_of(self, job: Model) -> list[Model]:
        """The pods of this very Job, oldest first."""
        found: list[Model] = self._core.list_namespaced_pod(
            self.name, label_selector=f"batch.kubernetes.io/controller-uid={job.metadata.uid}"
        ).items
        return sorted(found, key=lambda pod: pod.metadata.creation_timestamp)

    def log(self, pod: str, container: str) -> str:
        """What a container has said; nothing when nobody knows any more."""
        said = _unless_missing(
            lambda: self._core.read_namespaced_pod_log(pod, self.name, container=container)
        )
        return said or ""

    def plain(self, model: Model) -> Model:
        """A model as the mapping that a manifest has."""
        return self._core.api_client.sanitize_for_serialization(model)

    def run(
        self,
        pod: str,
        command: Sequence[str],
        given: str | None = None,
        *,
        seconds: float = ANSWER,
        changes: bool = False,
    ) -> str:
        """What a command prints in a pod's container; it may read the line `given`.

        `changes`: whether it changes something there.

        Raises OpsError with what it said when it fails, when it takes longer than `seconds` (it
        goes on in the pod then), or when the pod cannot be reached.
        """
        if changes:
            self.before_change()
        socket: Model = None
        try:
            socket = stream.stream(
                self._core.connect_get_namespaced_pod_exec,
                pod,
                self.name,
                command=list(command),
                stderr=True,
                stdout=True,
                stdin=given is not None,
                tty=False,
                _preload_content=False,
            )
            if given is not None:
                socket.write_stdin(given + "\n")
            socket.run_forever(timeout=seconds)
            code = socket.returncode
            said, complaint = socket.read_stdout(timeout=0), socket.read_stderr(timeout=0)
        except client.ApiException as refused:
            if isinstance(refused.__context__, KeyboardInterrupt):  # the client hides Ctrl-C
                raise KeyboardInterrupt from None
            why = str(refused.reason).partition(" -+-+- ")[0]  # then the whole response follows
            raise OpsError(f"{pod} cannot be reached: {why}") from None
        except (WebSocketException, OSError, TypeError, KeyError, ValueError):
            # The client's own errors, where a connection ends without saying how the command did.
            raise OpsError(f"{pod} cannot be reached: the connection broke off") from None
        finally:
            if socket is not None:
                socket.sock.shutdown()  # `close` leaves it open once the other side has ended it
        if code is None:
            raise OpsError(f"{pod} does not answer within {seconds:.0f} s")
        if code != 0:
            raise OpsError(f"{pod}: {(complaint or said).strip() or f'exit code {code}'}")
        return str(said)


def have_started(pod: Model) -> bool:
    """Whether any container of a pod runs, or ever did."""
    statuses = pod.status.container_statuses or ()
    return any(s.state.running or s.state.terminated or s.restart_count for s in statuses)


def have_ended(pod: Model) -> bool:
    """Whether the kubelet has said that every container of a pod has ended."""
    statuses = pod.status.container_statuses or ()
    return bool(statuses) and all(status.state.terminated for status in statuses)


def phase_of(pod: Model) -> tuple[str, bool]:
    """The phase of a pod, or `Terminating`, and whether it is Ready."""
    conditions = {c.type: c.status for c in pod.status.conditions or ()}
    phase: str = "Terminating" if pod.metadata.deletion_timestamp else pod.status.phase
    return phase, conditions.get("Ready") == "True"


def wait_until(condition: Callable[[], Found | None], seconds: float) -> Found | None:
    """What `condition` returns once that is true, or None after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL)
    return found


@contextmanager
def _unless_changed(name: str) -> Generator[None]:
    """Raises OpsError when an object is no longer what a change of it was decided on."""
    try:
        yield
    except client.ApiException as error:
        if error.status == HTTPStatus.CONFLICT:
            raise OpsError(
                f"Somebody else has just changed {name}, and it was left so: type the same command "
                "again."
            ) from None
        raise


def _unless_missing(call: Callable[[], Model]) -> Model | None:
    try:
        return call()
    except client.ApiException as error:
        # Conflict: the pod of that uid is gone, and another has its name.
        if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            return None
        raise OpsError(f"The API server refuses: {error.status} {error.reason}") from None
