"""The smallest possible external metrics API: it says of the queues what a test tells it to say.

Plays the adapter that an owner installs (docs/metrics.md): it stands behind the API server's
aggregator as metrics-server does, in the sandbox's fabric, but is served by the test's own process,
whose listening socket was opened in there. It asks nobody who they are.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import Condition, Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from sandbox.cluster import addons, control_plane, kubectl
from sandbox.host import network
from sandbox.host.network import FABRIC_ADDRESS
from sandbox.paths import Sandbox
from tests.cluster.deployment import NAMESPACE

METRIC: Final = "ado_task_queue_length"
ALL: Final = ""
"""The selector of who asks for every queue at once."""
ACTED: Final = 2
"""Who asks a second time has acted on the first answer: the controller does one after another."""

_API: Final = "external.metrics.k8s.io/v1beta1"
_SERVICE: Final = "external-metrics"
_PORT: Final = 4444
_DEADLINE: Final = 90.0
"""Seconds; the controller looks every five, and on a busy machine later."""


class ExternalMetrics:
    """What is served at the moment, and how often it was asked for."""

    def __init__(self) -> None:
        self._lock = Condition()
        self._lengths: Mapping[str, int] = {}
        self._status = HTTPStatus.OK
        self._asked: Counter[str] = Counter()

    def say(self, **lengths: int) -> None:
        """So many tasks wait in each of these queues; any other has no metric."""
        self._answer(HTTPStatus.OK, lengths)

    def fail(self, status: HTTPStatus) -> None:
        """There is no answer but this status."""
        self._answer(status, {})

    def wait_until_asked(self, selector: str = ALL, times: int = ACTED) -> None:
        """Returns when somebody asked so often for what was said last."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._asked[selector] >= times, _DEADLINE):
                raise AssertionError(
                    f"{METRIC} was asked for with the selector {selector!r} fewer than {times} "
                    f"times within {_DEADLINE:.0f} s; with others: {dict(self._asked)}"
                )

    def _answer(self, status: HTTPStatus, lengths: Mapping[str, int]) -> None:
        with self._lock:
            self._status, self._lengths, self._asked = status, lengths, Counter()

    def answer(self, selector: str) -> tuple[HTTPStatus, list[dict[str, Any]]]:
        """A status and the values that a label selector selects; counts as asked."""
        with self._lock:
            self._asked[selector] += 1
            self._lock.notify_all()
            status, lengths = self._status, self._lengths
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return status, [
            {
                "metricName": METRIC,
                "metricLabels": {"queue": queue},
                "timestamp": now,
                "value": str(length),
            }
            for queue, length in lengths.items()
            if selector in {ALL, f"queue={queue}"}
        ]


@contextmanager
def external_metrics(sandbox: Sandbox) -> Generator[ExternalMetrics]:
    """Serves external metrics during the block; at first of no queue."""
    served = ExternalMetrics()
    with _listening(sandbox, served), _registered(sandbox):
        yield served


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    _values = re.compile(rf"/apis/{_API}/namespaces/{NAMESPACE}/{METRIC}")

    def __init__(self, served: ExternalMetrics, *connection: Any) -> None:
        self._served = served
        super().__init__(*connection)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self._values.fullmatch(url.path):
            selector = parse_qs(url.query).get("labelSelector", [ALL])[0]
            status, items = self._served.answer(selector)
            self._send(status, "ExternalMetricValueList", {"metadata": {}, "items": items})
        elif url.path == f"/apis/{_API}":
            self._send(HTTPStatus.OK, "APIResourceList", _RESOURCES)
        else:
            self._send(HTTPStatus.NOT_FOUND, "", {})

    def _send(self, status: HTTPStatus, kind: str, document: Mapping[str, Any]) -> None:
        versioned = {"kind": kind, "apiVersion": "v1" if kind == "APIResourceList" else _API}
        if status != HTTPStatus.OK:
            versioned = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
            document = {"code": status.value, "message": status.phrase}
        body = json.dumps({**versioned, **document}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nobody reads it."""


_RESOURCES: Final = {
    "groupVersion": _API,
    "resources": [
        {
            "name": METRIC,
            "singularName": "",
            "namespaced": True,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }
    ],
}


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def _listening(sandbox: Sandbox, served: ExternalMetrics) -> Generator[None]:
    """A thread that answers in the fabric, with a certificate of the cluster's own authority."""
    keys = control_plane.keys(sandbox)
    identity = keys.identity(_SERVICE, hosts=(f"{_SERVICE}.kube-system.svc",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    with network.inside(sandbox.fabric):  # a socket stays where it was opened
        server = _Server((FABRIC_ADDRESS, _PORT), partial(_Handler, served))
    with server:
        # The handshake is left to the connection's own thread: a slow client holds up nobody.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _registered(sandbox: Sandbox) -> Generator[None]:
    """The API server sends everybody who asks for the API to `_listening`."""
    group, version = _API.split("/")
    name = f"{version}.{group}"
    ca = control_plane.keys(sandbox).authority.certificate.read_bytes()
    api_service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "version": version,
            "service": {"name": _SERVICE, "namespace": "kube-system"},
            "caBundle": base64.b64encode(ca).decode(),
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    items = [*addons.service_in_the_fabric(_SERVICE, _PORT), api_service]
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    try:
        kubectl.run(sandbox, "apply", "--server-side", "-f", "-", standard_input=manifests)
        available = ("--for=condition=Available", f"apiservice/{name}", "--timeout=60s")
        kubectl.run(sandbox, "wait", *available)
        yield
    finally:
        gone = ("delete", "--ignore-not-found", "-f", "-")
        kubectl.run(sandbox, *gone, standard_input=manifests)
