"""The checks against small servers that answer as the real ones do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import reduce

import pytest
from aiohttp import ClientResponseError, web

from sandbox.standin import checks
from sandbox.standin.checks import ObjectStorage, UnexpectedContentError

REGION, ACCESS_KEY, SECRET_KEY = "eu-1", "SANDBOX", "@:/%+'\" key"
BUCKETS = ["checkpoints", "artifacts"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[str]:
    """A server on a free loopback port that lets `handler` answer everything; its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def signature(request: web.Request, content: bytes) -> str:
    """What AWS's own description of Signature Version 4 makes of a request."""
    given = dict(p.split("=", 1) for p in request.headers["Authorization"].split()[1:])
    names = given["SignedHeaders"].rstrip(",").split(";")
    canonical = [
        request.method,
        request.path,
        "",
        *(f"{name}:{request.headers[name]}" for name in names),
        "",
        ";".join(names),
        hashlib.sha256(content).hexdigest(),
    ]
    moment = request.headers["X-Amz-Date"]
    scope = [moment[:8], REGION, "s3", "aws4_request"]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", moment, "/".join(scope), digest])
    first = f"AWS4{SECRET_KEY}".encode()
    steps = [*scope, text]
    return reduce(lambda key, step: hmac.digest(key, step.encode(), "sha256"), steps, first).hex()


class Storage:
    """An S3 server that believes only in signatures."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.forgets = False

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        if not request.headers["Authorization"].endswith(f"={signature(request, content)}"):
            return web.Response(status=403)
        if request.method == "PUT":
            self.objects[request.path] = content
        return web.Response(body=b"" if self.forgets else self.objects[request.path])


def use(storage: Storage, secret_key: str = SECRET_KEY, checked: int = 1) -> str:
    async def scenario() -> str:
        async with serving(storage.answer) as url:
            client = ObjectStorage(url, REGION, ACCESS_KEY, secret_key, BUCKETS)
            found = [await client.check() for _ in range(checked)]
        return found[-1]

    return asyncio.run(scenario())


def test_an_object_is_put_into_every_bucket_and_read_back() -> None:
    storage = Storage()
    assert use(storage) == "buckets checkpoints, artifacts"
    assert sorted(path.split("/")[1] for path in storage.objects) == sorted(BUCKETS)


def test_a_later_check_writes_no_further_objects() -> None:
    storage = Storage()
    use(storage, checked=3)
    assert len(storage.objects) == len(BUCKETS)


def test_another_secret_key_is_refused() -> None:
    with pytest.raises(ClientResponseError) as raised:
        use(Storage(), secret_key="wrong")
    assert raised.value.status == 403


def test_a_server_that_forgets_what_it_was_given_is_not_connected() -> None:
    storage = Storage()
    storage.forgets = True
    with pytest.raises(UnexpectedContentError):
        use(storage)


@pytest.mark.parametrize("end", ["", "/"])
def test_a_controller_that_lives_counts(end: str) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async def scenario() -> str:
        async with serving(answer) as url:
            return await checks.controller(url + end)

    assert asyncio.run(scenario()) == "lives"
    assert asked == ["/health/live"]


def test_a_controller_that_answers_with_an_error_does_not() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=503)

    async def scenario() -> None:
        async with serving(answer) as url:
            await checks.controller(url)

    with pytest.raises(ClientResponseError) as raised:
        asyncio.run(scenario())
    assert raised.value.status == 503
