"""What the commands ask of the API server."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client

from ado_infra.ops import execution
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace, not_running

READ, FORGOTTEN, NOW, LATER = 624, 2158, 3000, 3001
"""Versions: of the pod, of what the server has forgotten, of the first look, of its end."""
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a server adds to a client's key, by RFC 6455."""
FAILED = {"status": "Failure", "details": {"causes": [{"message": "3"}]}}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "postgresql-0", "uid": "this", "resourceVersion": str(READ)},
}


class Forgetful(BaseHTTPRequestHandler):
    """An API server with one pod, which ends after the first look and is replaced."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "Upgrade" in self.headers:
            self._execute()
            return
        query = parse_qs(urlsplit(self.path).query)
        assert query["fieldSelector"] == ["metadata.name=postgresql-0"]
        assert isinstance(self.server, Server)
        ended = self.server.looks > 0
        if "watch" not in query:
            self.server.looks += 1
            items = [{**POD, "metadata": {**POD["metadata"], "uid": "next"}} if ended else POD]
            version = {"resourceVersion": str(LATER if ended else NOW)}
            self._answer({"kind": "PodList", "metadata": version, "items": items})
            return
        since = int(query["resourceVersion"][0])
        if since < FORGOTTEN:
            expired = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            self._answer({"type": "ERROR", "object": expired})
        elif since < LATER:
            self._answer({"type": "DELETED", "object": POD})
        else:
            self._answer()

    def _execute(self) -> None:
        """Says what a command in a pod says, and waits until the client has hung up."""
        assert isinstance(self.server, Server)
        accepted = hashlib.sha1(f"{self.headers['Sec-WebSocket-Key']}{WEBSOCKET}".encode())  # noqa: S324
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accepted.digest()).decode())
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.end_headers()
        for channel, said in self.server.said:
            frame = bytes([channel]) + said.encode()
            self.wfile.write(bytes([0x82, len(frame)]) + frame)
        if self.server.said:
            self.wfile.write(b"\x88\x00")
        self.rfile.read()
        self.close_connection = True
        self.server.hung_up.set()

    def _answer(self, *lines: dict[str, Any]) -> None:
        body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the library has it
        """Says nothing."""


class Server(ThreadingHTTPServer):
    looks = 0
    """How often the pods were listed."""
    said: tuple[tuple[int, str], ...] = ()
    """What a command in a pod says, by channel; a command that says nothing does not end."""
    hung_up: threading.Event


@pytest.fixture
def server() -> Iterator[Server]:
    """One that has forgotten what was hours ago."""
    with Server(("127.0.0.1", 0), Forgetful) as started:
        started.hung_up = threading.Event()
        threading.Thread(target=started.serve_forever).start()
        yield started
        started.shutdown()


@pytest.fixture
def namespace(server: Server) -> Iterator[Namespace]:
    """One of its cluster."""
    host = f"http://127.0.0.1:{server.server_port}"
    with client.ApiClient(client.Configuration(host=host)) as api:
        yield Namespace(api, "ado-system")


def test_the_end_of_a_pod_that_nobody_changed_for_hours_is_seen(namespace: Namespace) -> None:
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name="postgresql-0", uid="this", resource_version=str(READ))
    )
    looks = namespace.looks_at(pod, 1)
    assert next(looks) is None
    last = next(looks)
    assert last
    assert last.metadata.uid == "this"


def test_a_kubelet_that_never_lets_a_command_in_is_told_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execution, "ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        told = pytest.raises(OpsError, match=r"^postgresql-0 cannot be reached: .*timed out")
        with client.ApiClient(client.Configuration(host=host)) as api, told:
            Namespace(api, "ado-system").run("postgresql-0", ["true"])


def test_who_waits_for_a_pod_is_told_of_it_and_how_long_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(execution, "ANSWER", 1)
    monkeypatch.setattr(execution, "SLOW", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with client.ApiClient(client.Configuration(host=host)) as api, pytest.raises(OpsError):
            Namespace(api, "ado-system").run("postgresql-0", ["true"])
    told = capsys.readouterr()
    assert told.err == "postgresql-0 does not answer yet; waiting at most 1 s\n"
    assert told.out == ""  # which is for programs


@pytest.mark.parametrize(
    ("ready", "answers", "lost"),
    [
        ("True", True, False),
        ("False", False, False),  # its kubelet says so, and may let a command in
        ("Unknown", False, True),
        (404, False, True),
        (403, None, False),
    ],
)
def test_a_node_that_is_not_ready_is_not_yet_one_of_which_nothing_is_heard(
    ready: str | int,
    answers: bool | None,  # noqa: FBT001
    lost: bool,  # noqa: FBT001
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_: Any) -> Any:
        if isinstance(ready, int):
            raise client.ApiException(status=ready)
        condition = client.V1NodeCondition(type="Ready", status=ready)
        return client.V1Node(status=client.V1NodeStatus(conditions=[condition]))

    monkeypatch.setattr(client.CoreV1Api, "read_node", read)
    assert namespace.node_answers("n1") is answers
    assert namespace.lost_contact("n1") is lost


def _pending(*, message: str | None = None, reason: str | None = None) -> client.V1Pod:
    scheduled = client.V1PodCondition(type="PodScheduled", status="False", message=message)
    waiting = client.V1ContainerState(waiting=client.V1ContainerStateWaiting(reason=reason))
    container = client.V1ContainerStatus(
        name="one", image="i", image_id="", ready=False, restart_count=0, state=waiting
    )
    return client.V1Pod(
        status=client.V1PodStatus(
            phase="Pending",
            conditions=[scheduled] if message else [],
            container_statuses=[container] if reason else [],
        )
    )


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        (_pending(message="0/3 nodes are available"), "Pending: 0/3 nodes are available"),
        (_pending(reason="ImagePullBackOff"), "Pending: ImagePullBackOff"),
        (_pending(reason="ContainerCreating"), "Pending"),
    ],
)
def test_a_pod_that_has_not_begun_is_said_to_wait_and_for_what(
    pod: client.V1Pod, told: str
) -> None:
    assert not_running(pod) == f"its pod is {told}"


def test_ctrl_c_while_a_pod_is_dialled_is_not_taken_for_a_pod_that_cannot_be_reached(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kubernetes.stream.ws_client.create_websocket", interrupted)
    with pytest.raises(KeyboardInterrupt):
        namespace.run("postgresql-0", ["true"])


@pytest.mark.parametrize(
    ("pod", "container"), [("postgresql-1", "postgresql"), ("redis-4", "redis")]
)
def test_a_command_and_a_log_are_of_the_stores_own_container_where_there_are_others(
    pod: str, container: str, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def answer(*_: Any, container: str, **__: Any) -> str:
        asked.append(container)
        raise client.ApiException(status=404)

    monkeypatch.setattr("kubernetes.stream.stream", answer)
    monkeypatch.setattr(client.CoreV1Api, "read_namespaced_pod_log", answer)
    with pytest.raises(OpsError, match="cannot be reached"):
        namespace.run(pod, ["true"])
    namespace.first_said(pod)
    assert asked == [container, container]


@pytest.mark.parametrize("kind", ["secret", "config_map"])
def test_what_somebody_else_has_changed_meanwhile_is_left_so_and_the_command_is_typed_again(
    kind: str, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        asked.append(arguments[-1])
        raise client.ApiException(status=409, reason="Conflict")

    monkeypatch.setattr(client.CoreV1Api, f"patch_namespaced_{kind}", refuse)
    with pytest.raises(OpsError, match=r"else has just changed .*type the same command again\.$"):
        getattr(namespace, f"patch_{kind}")("x", {"key": "value"}, version="7")
    assert asked[0]["metadata"] == {"resourceVersion": "7"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(((1, "done"), (3, '{"status": "Success"}')), "done", id="done"),
        pytest.param(((2, "no"), (3, json.dumps(FAILED))), "postgresql-0: no", id="failed"),
        pytest.param(((1, "do"),), "the connection broke off", id="broke off"),
        pytest.param((), "does not answer within 0 s", id="does not end"),
    ],
)
def test_however_a_command_in_a_pod_ends_its_connection_is_closed(
    said: tuple[tuple[int, str], ...], told: str, namespace: Namespace, server: Server
) -> None:
    server.said = said
    try:
        answer = namespace.run("postgresql-0", ["true"], seconds=0.2)
    except OpsError as failed:
        answer = str(failed)
    assert told in answer
    assert server.hung_up.wait(5)
    gc.collect()  # whatever was left open fails the test
