"""The stand-in's HTTP and WebSocket servers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .dependencies import Dependency
from .page import render

LONGEST_WORK = 2000
"""Milliseconds that one request may burn."""
SHUTDOWN = 5.0
"""Seconds that open requests get to finish after SIGTERM."""

log = logging.getLogger("standin")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Ports:
    """Where a role listens; the real image's ports."""

    http: int | None
    websocket: int | None
    metrics: int = 9090


ROLES: Mapping[str, Ports] = {
    "api-gateway": Ports(http=3000, websocket=3001),
    "dashboard": Ports(http=3000, websocket=None),
    "orchestrator": Ports(http=3000, websocket=None),
    "worker": Ports(http=None, websocket=None),
}


class Standin:
    """One running stand-in: its handlers, its metrics and its readiness."""

    def __init__(self, role: str, version: str, dependencies: Sequence[Dependency]) -> None:
        self.role = role
        self.version = version
        self.dependencies = dependencies
        self._stopping = False
        self._websockets: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()
        # Two threads: enough to load a pod beyond any CPU limit it has here.
        self._workers = ThreadPoolExecutor(max_workers=2)
        self._registry = CollectorRegistry()
        self._requests = self._register_metrics()

    @property
    def ready(self) -> bool:
        """Connected to everything it was given, and not about to stop."""
        return not self._stopping and all(each.connected for each in self.dependencies)

    def state(self) -> dict[str, Any]:
        """What the page shows; holds no credentials."""
        return {
            "standInFor": self.role,
            "version": self.version,
            "ready": self.ready,
            "stopping": self._stopping,
            "dependencies": [_dependency_state(each) for each in self.dependencies],
        }

    async def serve(self, ports: Ports, host: str, stop: asyncio.Event) -> None:
        """Listen until `stop` is set, then finish what is open and return.

        Raises OSError when a port is taken.
        """
        apps = [(self._http_app(metrics=True), ports.metrics)]
        if ports.http:
            apps.append((self._http_app(metrics=False), ports.http))
        if ports.websocket:
            apps.append((self._websocket_app(), ports.websocket))
        runners = [web.AppRunner(app, access_log=None) for app, _ in apps]
        try:
            for runner, (_, port) in zip(runners, apps, strict=True):
                await runner.setup()
                await web.TCPSite(runner, host, port).start()
            log.info("stand-in for %s listens on %s", self.role, [port for _, port in apps])
            watchers = [asyncio.create_task(each.watch()) for each in self.dependencies]
            await stop.wait()
            for watcher in watchers:
                watcher.cancel()
        finally:
            await self._shut_down(runners)

    async def _shut_down(self, runners: Sequence[web.AppRunner]) -> None:
        self._stopping = True
        self._workers.shutdown(wait=False, cancel_futures=True)
        cleanup = asyncio.gather(*(runner.cleanup() for runner in runners))
        try:
            await asyncio.wait_for(cleanup, SHUTDOWN)
        except asyncio.TimeoutError:  # noqa: UP041 - one class only since Python 3.11
            log.info("gave up on requests still open after %s s", SHUTDOWN)

    def _http_app(self, *, metrics: bool) -> web.Application:
        app = web.Application(middlewares=[self._count_requests])
        app.router.add_get("/", self._page)
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._readiness)
        app.router.add_get("/work", self._work)
        if metrics:
            app.router.add_get("/metrics", self._metrics)
        return app

    def _websocket_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._echo)
        app.on_shutdown.append(self._close_websockets)
        return app

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _readiness(self, _: web.Request) -> web.Response:
        missing = [_dependency_state(each) for each in self.dependencies if not each.connected]
        return web.json_response(
            {"ready": self.ready, "stopping": self._stopping, "notConnected": missing},
            status=200 if self.ready else 503,
        )

    async def _page(self, request: web.Request) -> web.Response:
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response(self.state())
        return web.Response(text=render(self.state()), content_type="text/html")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _work(self, request: web.Request) -> web.Response:
        given = request.query.get("ms", "")
        if not (given.isdecimal() and 1 <= int(given) <= LONGEST_WORK):
            raise web.HTTPBadRequest(text=f"ms must be a whole number from 1 to {LONGEST_WORK}\n")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._workers, burn_cpu, int(given) / 1000)
        return web.json_response({"ms": int(given)})

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        self._websockets.add(websocket)
        async for message in websocket:
            if message.type is WSMsgType.TEXT:
                await websocket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await websocket.send_bytes(message.data)
        # Returning would close it too, but as a normal end.
        await websocket.close(code=WSCloseCode.GOING_AWAY if self._stopping else WSCloseCode.OK)
        return websocket

    async def _close_websockets(self, _: web.Application) -> None:
        closing = (each.close(code=WSCloseCode.GOING_AWAY) for each in list(self._websockets))
        await asyncio.gather(*closing)

    @web.middleware
    async def _count_requests(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        path = resource.canonical if resource else "unknown"  # a stranger's paths are no labels
        try:
            response = await handler(request)
        except web.HTTPException as error:
            self._requests.labels(path, error.status).inc()
            raise
        self._requests.labels(path, response.status).inc()
        return response

    def _register_metrics(self) -> Counter:
        ProcessCollector(registry=self._registry)
        info = Gauge(
            "ado_standin_info", "Who stands in.", ["role", "version"], registry=self._registry
        )
        info.labels(self.role, self.version).set(1)
        connected = Gauge(
            "ado_standin_connected",
            "1 while connected to a dependency.",
            ["dependency"],
            registry=self._registry,
        )
        for each in self.dependencies:
            connected.labels(each.name).set_function(partial(_connected, each))
        return Counter(
            "ado_standin_requests",
            "HTTP requests answered.",
            ["path", "status"],
            registry=self._registry,
        )


def burn_cpu(seconds: float) -> None:
    """Keep one core busy; hashing large blocks leaves the interpreter to the other threads."""
    block = bytes(1 << 20)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hashlib.sha256(block)


def _connected(dependency: Dependency) -> float:
    return float(dependency.connected)


def _dependency_state(dependency: Dependency) -> dict[str, Any]:
    return {
        "name": dependency.name,
        "host": dependency.host,
        "connected": dependency.connected,
        "seconds": dependency.seconds,
        "detail": dependency.detail,
        "problem": dependency.problem,
    }
