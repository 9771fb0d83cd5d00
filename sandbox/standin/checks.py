"""How the stand-in uses what it was given: each check once, with what it found there.

They raise whatever their drivers raise, which may quote a password: it is never to be shown.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

# The drivers are imported at first use: a pod that was given no URL starts without them.

if TYPE_CHECKING:
    from aiohttp import ClientSession

MARK_LIFE = 60
"""Seconds that a key lives that was written only to see that one can be."""


class UnexpectedContentError(Exception):
    """What was read is not what must be there."""


async def postgres(url: str) -> str:
    """Connect, and let it answer a query."""
    import asyncpg  # noqa: PLC0415

    connection = await asyncpg.connect(url)
    try:
        version = await connection.fetchval("SELECT current_setting('server_version')")
        return f"PostgreSQL {version}"
    finally:
        await connection.close()


async def redis(url: str) -> str:
    """Write a key; connected means that one may."""
    from redis.asyncio import Redis  # noqa: PLC0415

    async with Redis.from_url(url) as client:
        await client.set(*_mark())
        return f"Redis {(await client.info('server'))['redis_version']}"


async def redis_cluster(url: str, seeds: Sequence[str]) -> str:
    """Write a key wherever in the cluster it belongs."""
    from redis.asyncio.cluster import ClusterNode, RedisCluster  # noqa: PLC0415

    nodes = [ClusterNode(host, int(port)) for host, _, port in (s.rpartition(":") for s in seeds)]
    async with RedisCluster.from_url(url, startup_nodes=nodes) as client:
        await client.set(*_mark())
        version = (await client.info("server"))["redis_version"]
        return f"Redis {version}, cluster of {len(client.get_nodes())}"


def _mark() -> tuple[str, str, int]:
    """A key of this pod's own, its value and its life."""
    return f"ado-standin:{socket.gethostname()}", "connected", MARK_LIFE


class ObjectStorage:
    """Buckets of an S3-compatible server, addressed by path, and the keys to them."""

    def __init__(
        self, endpoint: str, region: str, access_key: str, secret_key: str, buckets: Sequence[str]
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._keys = access_key, secret_key
        self._buckets = buckets

    async def check(self) -> str:
        """Put an object of this pod's own into every bucket, and read it back."""
        from aiohttp import ClientSession  # noqa: PLC0415

        content = secrets.token_hex(8).encode()
        async with ClientSession(raise_for_status=True) as session:
            for bucket in self._buckets:
                url = f"{self._endpoint}/{bucket}/ado-standin/{socket.gethostname()}"
                await self._request(session, "PUT", url, content)
                if await self._request(session, "GET", url) != content:
                    raise UnexpectedContentError
        return f"buckets {', '.join(self._buckets)}"

    async def _request(
        self, session: ClientSession, method: str, url: str, content: bytes = b""
    ) -> bytes:
        headers = self._signed_headers(method, url, content)
        async with session.request(method, url, data=content, headers=headers) as response:
            return await response.read()

    def _signed_headers(self, method: str, url: str, content: bytes) -> dict[str, str]:
        from awscrt import auth, http  # noqa: PLC0415

        parts = urlsplit(url)
        request = http.HttpRequest(method, parts.path, http.HttpHeaders([("Host", parts.netloc)]))
        signing = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=auth.AwsCredentialsProvider.new_static(*self._keys),
            region=self._region,
            service="s3",
            use_double_uri_encode=False,  # S3's exception from the rules of all other services
            should_normalize_uri_path=False,
            signed_body_value=hashlib.sha256(content).hexdigest(),
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        # Done at once: with keys at hand there is nothing to wait for.
        return dict(auth.aws_sign_request(request, signing).result(timeout=1).headers)


async def controller(url: str) -> str:
    """Ask the orchestrator whether it lives."""
    from aiohttp import ClientSession  # noqa: PLC0415

    async with (
        ClientSession(raise_for_status=True) as session,
        session.get(f"{url.rstrip('/')}/health/live"),
    ):
        return "lives"


async def config(path: Path) -> str:
    """Read and parse the configuration."""
    import yaml  # noqa: PLC0415

    content = path.read_bytes()
    yaml.load(content, Loader=yaml.CSafeLoader)
    return f"sha256 {hashlib.sha256(content).hexdigest()}"


async def credentials(directory: Path) -> str:
    """Read every file, and tell their names alone; what a mount keeps for itself is hidden."""
    names = sorted(path.name for path in directory.glob("[!.]*"))
    if not names or not all((directory / name).read_bytes() for name in names):
        raise UnexpectedContentError
    return ", ".join(names)
