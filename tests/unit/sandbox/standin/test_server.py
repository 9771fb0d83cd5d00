from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSCloseCode, WSMsgType

from sandbox.standin.dependencies import Dependency
from sandbox.standin.server import ROLES, Ports, Standin

DEADLINE = 10.0


def free_port() -> int:
    """One that nobody is given who asks the kernel for any, as tests beside this one do."""
    while True:
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def found() -> str:
    return "Server <1>"


async def refused() -> str:
    raise ConnectionRefusedError(111, "s3cret")


@asynccontextmanager
async def running(dependencies: Sequence[Dependency] = ()) -> AsyncGenerator[tuple[Ports, Standin]]:
    """A stand-in on free loopback ports, listening until the block ends."""
    ports = Ports(http=free_port(), websocket=free_port(), metrics=free_port())
    standin = Standin("api-gateway", "abc123", dependencies)
    stop = asyncio.Event()
    serving = asyncio.create_task(standin.serve(ports, "127.0.0.1", stop))
    try:
        for port in (ports.metrics, ports.http, ports.websocket):
            await listening(port)
        yield ports, standin
    finally:
        stop.set()
        await asyncio.wait_for(serving, DEADLINE)


async def listening(port: int | None) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            await asyncio.sleep(0.01)
        else:
            writer.close()
            await writer.wait_closed()
            return


async def get(
    port: int | None, path: str, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    url = f"http://127.0.0.1:{port}{path}"
    async with ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, await response.text()


def test_every_platform_image_has_the_ports_of_the_real_one() -> None:
    assert {role: (p.http, p.websocket, p.metrics) for role, p in ROLES.items()} == {
        "api-gateway": (3000, 3001, 9090),
        "dashboard": (3000, None, 9090),
        "orchestrator": (3000, None, 9090),
        "worker": (None, None, 9090),
    }


def test_given_nothing_it_is_live_and_ready_on_both_http_ports() -> None:
    async def scenario() -> None:
        async with running() as (ports, _):
            for port in (ports.http, ports.metrics):
                assert (await get(port, "/health/live"))[0] == 200
                assert (await get(port, "/health/ready"))[0] == 200

    asyncio.run(scenario())


def test_an_unconnected_dependency_is_named_in_a_503_and_leaves_it_live() -> None:
    async def scenario() -> None:
        lost = Dependency("postgresql", "db.example", refused)
        await lost.refresh()
        async with running([lost]) as (ports, _):
            status, body = await get(ports.http, "/health/ready")
            assert status == 503
            assert "postgresql" in body
            assert "db.example" in body
            assert "Connection refused" in body
            assert "s3cret" not in body
            assert (await get(ports.http, "/health/live"))[0] == 200

    asyncio.run(scenario())


def test_ready_follows_the_background_check() -> None:
    async def scenario() -> None:
        async with running([Dependency("redis", "redis", found)]) as (ports, _):
            deadline = time.monotonic() + DEADLINE
            while (await get(ports.http, "/health/ready"))[0] != 200:
                assert time.monotonic() < deadline, "the background check never connected"

    asyncio.run(scenario())


def test_the_page_says_what_it_is_and_what_it_is_connected_to() -> None:
    async def scenario() -> None:
        dependency = Dependency("postgresql", "db.example", found)
        await dependency.refresh()
        async with running([dependency]) as (ports, _):
            _, page = await get(ports.http, "/")
            assert "Stand-in for api-gateway" in page
            assert "not the real" in page
            assert "db.example" in page
            assert "Server &lt;1&gt;" in page
            _, body = await get(ports.http, "/", {"Accept": "application/json"})
            assert '"connected": true' in body

    asyncio.run(scenario())


def test_metrics_are_on_the_metrics_port_alone() -> None:
    async def scenario() -> None:
        lost = Dependency("postgresql", "db", refused)
        there = Dependency("redis", "redis", found)
        await there.refresh()
        async with running([lost, there]) as (ports, _):
            await get(ports.http, "/no/such/page")
            await get(ports.http, "/health/live")
            status, body = await get(ports.metrics, "/metrics")
            assert status == 200
            assert 'ado_standin_info{role="api-gateway",version="abc123"} 1.0' in body
            assert 'ado_standin_connected{dependency="postgresql"} 0.0' in body
            assert 'ado_standin_connected{dependency="redis"} 1.0' in body
            assert 'ado_standin_requests_total{path="/health/live",status="200"} 1.0' in body
            assert 'ado_standin_requests_total{path="unknown",status="404"} 1.0' in body
            assert "process_cpu_seconds_total" in body
            assert (await get(ports.http, "/metrics"))[0] == 404

    asyncio.run(scenario())


def test_work_burns_cpu_while_health_stays_responsive() -> None:
    async def scenario() -> None:
        async with running() as (ports, _):
            used = time.process_time()
            work = asyncio.create_task(get(ports.http, "/work?ms=300"))
            answered = 0
            while not work.done():
                assert (await get(ports.http, "/health/live"))[0] == 200
                answered += 1
            assert (await work)[0] == 200
            # Thresholds that hold on a machine which is busy with other things too.
            assert time.process_time() - used > 0.02
            assert answered >= 1

    asyncio.run(scenario())


@pytest.mark.parametrize("query", ["", "?ms=0", "?ms=2001", "?ms=-5", "?ms=x", "?ms=1.5"])
def test_work_out_of_bounds_is_refused(query: str) -> None:
    async def scenario() -> None:
        async with running() as (ports, _):
            status, body = await get(ports.http, f"/work{query}")
            assert status == 400
            assert "1 to 2000" in body

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/any/path"])
def test_websocket_echoes_text_and_bytes(path: str) -> None:
    async def scenario() -> None:
        async with running() as (ports, _), ClientSession() as client:
            url = f"http://127.0.0.1:{ports.websocket}{path}"
            async with client.ws_connect(url) as websocket:
                await websocket.send_str("ahoj")
                assert await websocket.receive_str() == "ahoj"
                await websocket.send_bytes(b"\x00\xff")
                assert await websocket.receive_bytes() == b"\x00\xff"

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="the container's platform")
def test_sigterm_finishes_the_open_request_says_going_away_and_ends(tmp_path: Path) -> None:
    """The whole program as its image runs it, but on ports of the test's own."""
    ports = Ports(http=free_port(), websocket=free_port(), metrics=free_port())
    (tmp_path / "run.py").write_text(
        "import runpy, sandbox.standin.server as s\n"
        f"s.ROLES = {{'test': s.Ports({ports.http}, {ports.websocket}, {ports.metrics})}}\n"
        "runpy.run_module('sandbox.standin', run_name='__main__')\n"
    )
    environment = os.environ | {
        "STANDIN_ROLE": "test",
        "STANDIN_VERSION": "1",
        "PYTHONPATH": str(Path(__file__).parents[4]),
    }

    async def scenario(program: subprocess.Popen[bytes]) -> None:
        await listening(ports.websocket)
        async with ClientSession() as client:
            url = f"http://127.0.0.1:{ports.websocket}/ws"
            async with client.ws_connect(url) as websocket:
                reader, writer = await asyncio.open_connection("127.0.0.1", ports.http)
                writer.write(b"GET /work?ms=500 HTTP/1.1\r\nHost: standin\r\n\r\n")
                await writer.drain()
                # Sent later, answered: so the request before is being worked on.
                await get(ports.http, "/health/live")
                program.send_signal(signal.SIGTERM)
                message = await websocket.receive(timeout=DEADLINE)
                assert message.type is WSMsgType.CLOSE
                assert message.data == WSCloseCode.GOING_AWAY
                assert b"200 OK" in await reader.readline()
                writer.close()
        assert await asyncio.to_thread(program.wait, DEADLINE) == 0

    with subprocess.Popen([sys.executable, str(tmp_path / "run.py")], env=environment) as program:
        try:
            asyncio.run(scenario(program))
        finally:
            program.kill()
