"""A command in a pod's container: what it prints, or why nobody knows."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import Any, Final

from kubernetes import client, stream
from kubernetes.stream import ws_client
from websocket import WebSocket, WebSocketException

from ado_infra.ops.api import Model
from ado_infra.ops.errors import OpsError

ANSWER: Final = 20.0
"""Seconds within which the API server must answer, and a pod let a command in."""
SLOW: Final = 2.0
"""Seconds after which whoever waits for a pod is told so."""


class _AnsweredInTime(WebSocket):
    """Gives the API server ANSWER seconds, also to let a command in; the command takes its own."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's own
        super().__init__(**options)
        self.sock_opt.timeout = ANSWER


# The client has no option for it: the API server waits for ever for a kubelet that was frozen
# after it had connected, and whoever asked would, too.
ws_client.WebSocket = _AnsweredInTime  # pyright: ignore[reportPrivateImportUsage]


def run(
    core: client.CoreV1Api,
    namespace: str,
    pod: str,
    command: Sequence[str],
    given: str | None = None,
    *,
    container: str,
    seconds: float = ANSWER,
) -> str:
    """What a command prints in a container of a pod; it may read the line `given`.

    Raises OpsError with what it said when it fails, when it takes longer than `seconds` (it
    goes on in the pod then), or when the pod cannot be reached.
    """
    socket: Model = None
    try:
        with _told_when_slow(pod):
            socket = stream.stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                container=container,
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


@contextmanager
def _told_when_slow(pod: str) -> Generator[None]:
    """Says what is waited for, and how long at most, beside what a command prints."""
    line = f"{pod} does not answer yet; waiting at most {ANSWER:.0f} s"
    timer = Timer(SLOW, lambda: print(line, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
