"""Who reaches whom: connections tried from inside pods, and listeners beyond the cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from sandbox.cluster import kubectl
from sandbox.host import network
from sandbox.paths import Sandbox

METADATA, INTERNET, PRIVATE = "169.254.169.254", "203.0.113.10", "192.168.0.10"
"""Where a cloud tells its machines who they are, an address of the internet, one of a company."""
PORT = 80
OPEN, TIMED_OUT = "open", "timed out"

_PROGRAM = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def outcome(target):
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError as error:
        return str(error)
    return "open"

with ThreadPoolExecutor(len(sys.argv)) as pool:
    print(json.dumps(dict(zip(sys.argv[1:], pool.map(outcome, sys.argv[1:])))))
"""


def tried(sandbox: Sandbox, namespace: str, pod: str, targets: Sequence[str]) -> dict[str, str]:
    """A TCP connection from a pod to each HOST:PORT, at the same time, and what became of it.

    That is OPEN, TIMED_OUT after two seconds, or the words of another error.
    """
    command = ("python3", "-c", _PROGRAM, *targets)
    said = kubectl.run(sandbox, "exec", f"--namespace={namespace}", pod, "--", *command)
    outcomes: dict[str, str] = json.loads(said)
    return outcomes


class _Reached(BaseHTTPRequestHandler):
    """Says so to whoever comes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"reached")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@contextmanager
def listeners(
    sandbox: Sandbox, addresses: Sequence[str] = (METADATA, INTERNET, PRIVATE)
) -> Generator[None]:
    """HTTP servers at these addresses, PORT, while the block runs: in the sandbox's fabric.

    All that is in no pod's and no Service's network goes there, and nothing leaves it.
    """
    with ExitStack() as ends:
        for address in addresses:
            _loopback(sandbox, "add", address)
            ends.callback(_loopback, sandbox, "del", address)
            with network.inside(sandbox.fabric):
                server = ends.enter_context(ThreadingHTTPServer((address, PORT), _Reached))
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            ends.callback(thread.join)
            ends.callback(server.shutdown)
        yield


def _loopback(sandbox: Sandbox, change: str, address: str) -> None:
    command = ["ip", "-netns", sandbox.fabric, "addr", change, f"{address}/32", "dev", "lo"]
    subprocess.run(command, check=True, capture_output=True)
