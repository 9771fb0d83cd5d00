"""A small gateway to models: it has the provider's key, knows pools by keys of its own, and counts.

Plays what an owner installs (docs/model-gateway.md), in the sandbox's fabric, where pods reach it
by an address; it is served by the test's own process, whose listening socket was opened in there.
The provider is played as well: it answers to nobody but who has its key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Final

from sandbox.host import network
from sandbox.host.network import FABRIC_ADDRESS
from sandbox.paths import Sandbox

PORT: Final = 4000
URL: Final = f"http://{FABRIC_ADDRESS}:{PORT}"
PATH: Final = "/v1/messages"


class Provider:
    """Asks for its own key, as a provider's API does."""

    def __init__(self, key: str) -> None:
        self._key = key

    def ask(self, key: str) -> HTTPStatus:
        """How a request with this key is answered."""
        return HTTPStatus.OK if key == self._key else HTTPStatus.UNAUTHORIZED


class ModelGateway:
    """Who may ask by it at the moment, and how often each has.

    Attributes:
        answered: Key → how many requests with it reached the provider.
        refused: How many requests had a key that is not accepted.
    """

    def __init__(self, provider: Provider, providers_key: str) -> None:
        self.answered: Counter[str] = Counter()
        self.refused = 0
        self._provider, self._providers_key = provider, providers_key
        self._keys: set[str] = set()
        self._lock = Lock()

    def accept(self, key: str) -> None:
        """From now on whoever has this key may ask."""
        self._keys.add(key)

    def revoke(self, key: str) -> None:
        """From now on nobody may who has this key alone."""
        self._keys.remove(key)

    def ask(self, key: str) -> HTTPStatus:
        """How a request with this key is answered; one that is accepted has the provider's."""
        with self._lock:
            if key not in self._keys:
                self.refused += 1
                return HTTPStatus.UNAUTHORIZED
            self.answered[key] += 1
        return self._provider.ask(self._providers_key)


@contextmanager
def model_gateway(sandbox: Sandbox, providers_key: str) -> Generator[ModelGateway]:
    """Serves one during the block, which accepts no key at first."""
    gateway = ModelGateway(Provider(providers_key), providers_key)
    with network.inside(sandbox.fabric):  # a socket stays where it was opened
        server = ThreadingHTTPServer((FABRIC_ADDRESS, PORT), partial(_Handler, gateway))
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def __init__(self, gateway: ModelGateway, *connection: Any) -> None:
        self._gateway = gateway
        super().__init__(*connection)

    def do_POST(self) -> None:
        """As the API of a provider, which knows who asks by `x-api-key`."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = HTTPStatus.NOT_FOUND
        if self.path == PATH:
            status = self._gateway.ask(self.headers.get("x-api-key", ""))
        body = json.dumps({"status": status.phrase}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nobody reads it."""
