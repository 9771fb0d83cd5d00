"""One operator at a time: a Lease in the platform's namespace tells who is at work.

It keeps nobody out who does not ask for it; the record is safe without, as each write of it says
which state it was decided on. It is there so that two people hear of each other. Who is taken for
gone, as after its machine slept, is asked before each change, and ends there.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Event, Lock, Thread
from typing import Any, Final

from kubernetes import client
from urllib3.exceptions import HTTPError

from ado_infra.ops import NAME
from ado_infra.ops.errors import OpsError, begun
from ado_infra.ops.namespace import Model, Namespace, Say, wait_until

RENEWAL: Final = 5.0
"""Seconds between two signs of life."""
PATIENCE: Final = 3 * RENEWAL
"""Seconds without one after which somebody counts as gone. Clocks are not compared."""


@contextmanager
def alone(namespace: Namespace, say: Say) -> Generator[None]:
    """Holds the Lease during the block.

    Raises OpsError when somebody else does, and is at work.
    """
    # A client of its own: while a command runs in a pod, all that a client asks becomes part of it.
    api, name = namespace.api, namespace.name
    leases = client.CoordinationV1Api(type(api)(api.configuration))
    hold = _Hold(leases, name, _acquired(leases, name, say))
    done = Event()
    renewal = Thread(target=_renew, args=(hold, done), daemon=True)
    renewal.start()
    former, namespace.before_change = namespace.before_change, hold.renew
    with begun():
        try:
            yield
        finally:
            namespace.before_change = former
            done.set()
            renewal.join()
            hold.give_up()


class _Hold:
    """The Lease of this command, as long as nobody has taken it over."""

    def __init__(self, leases: client.CoordinationV1Api, namespace: str, lease: Model) -> None:
        self._leases, self._namespace, self._lease = leases, namespace, lease
        self._lock = Lock()

    def renew(self) -> None:
        """Gives a sign of life.

        Raises OpsError where it is somebody else's by now, or nobody's.
        """
        with self._lock:
            try:
                self._sign()
            except client.ApiException as refused:
                if refused.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                    raise
                self._require_own()
                self._sign()

    def give_up(self) -> None:
        """Deletes it, unless it is somebody else's."""
        # Whoever took it over has written the same object.
        version = client.V1Preconditions(resource_version=self._lease.metadata.resource_version)
        options = client.V1DeleteOptions(preconditions=version)
        with suppress(client.ApiException, HTTPError, OSError):
            self._leases.delete_namespaced_lease(NAME, self._namespace, body=options)

    def _sign(self) -> None:
        self._lease.spec.renew_time = datetime.now(UTC)
        written = self._leases.replace_namespaced_lease(NAME, self._namespace, self._lease)
        self._lease.metadata = written.metadata

    def _require_own(self) -> None:
        """Learns of a sign whose answer was lost; raises OpsError where it is not its own."""
        found, mine = _read(self._leases, self._namespace), self._lease.spec
        if found is not None and (found.spec.holder_identity, found.spec.acquire_time) == (
            mine.holder_identity,
            mine.acquire_time,
        ):
            self._lease.metadata = found.metadata
            return
        who = found.spec.holder_identity if found is not None else "Somebody else"
        raise OpsError(
            f"{who} has taken over here, as this command gave no sign of life for "
            f"{PATIENCE:.0f} s: its machine slept, or could not reach the API server. Nothing more "
            "was done; see `status`."
        )


def _acquired(leases: client.CoordinationV1Api, namespace: str, say: Say) -> Model:
    while True:
        found = _read(leases, namespace)
        mine = _signed(namespace, found)
        with _unless_beaten():
            if found is None:
                return leases.create_namespaced_lease(namespace, mine)
            who, version = found.spec.holder_identity, found.metadata.resource_version
            say(f"{who} was at work here; waiting {PATIENCE:.0f} s to see whether that goes on")

            def moved(version: str = version) -> bool:
                now = _read(leases, namespace)
                return now is None or now.metadata.resource_version != version

            if not wait_until(moved, PATIENCE):
                return leases.replace_namespaced_lease(NAME, namespace, mine)
            if _read(leases, namespace) is not None:
                raise OpsError(
                    f"{who} is at work here since {found.spec.acquire_time:%H:%M:%S} UTC. Nothing "
                    "was touched; wait for its end."
                )


def _renew(hold: _Hold, done: Event) -> None:
    while not done.wait(RENEWAL):
        try:
            hold.renew()
        except OpsError:
            return  # which the command hears before its next change
        except Exception:  # noqa: BLE001, S110 - the next sign may get through
            pass


def _signed(namespace: str, found: Model | None) -> client.V1Lease:
    now = datetime.now(UTC)
    return client.V1Lease(
        metadata=client.V1ObjectMeta(
            name=NAME,
            namespace=namespace,
            resource_version=found.metadata.resource_version if found else None,
        ),
        spec=client.V1LeaseSpec(
            holder_identity=f"{_user()}@{socket.gethostname()} (pid {os.getpid()})",
            acquire_time=now,
            renew_time=now,
            lease_duration_seconds=round(PATIENCE),
        ),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as containers have it
        return str(os.getuid())


def _read(leases: client.CoordinationV1Api, namespace: str) -> Model | None:
    try:
        found: Any = leases.read_namespaced_lease(NAME, namespace)
    except client.ApiException as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return found


@contextmanager
def _unless_beaten() -> Generator[None]:
    """Goes on where somebody else was faster."""
    try:
        yield
    except client.ApiException as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
