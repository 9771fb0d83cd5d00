"""What the stand-in was given to connect to, and whether it is connected."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

FRESH = 60.0
"""Seconds for which one success counts as being connected."""
INTERVAL = 10.0
"""Seconds between two checks of what works."""
RETRY = 1.0
"""Seconds between two checks of what does not, so that Ready follows the dependency closely."""
TIMEOUT = 5.0
"""Seconds that a check may take."""

Check = Callable[[], Awaitable[str]]
"""Uses a dependency once and returns what it found there (a version); raises when it cannot."""
Clock = Callable[[], float]

log = logging.getLogger("standin")


class Dependency:
    """Something the stand-in was given, and the flag that a background check keeps."""

    def __init__(self, name: str, host: str, check: Check, clock: Clock = time.monotonic) -> None:
        self.name = name
        self.host = host
        """Where it is, without credentials."""
        self.detail = ""
        """What the last successful check found."""
        self.problem: str | None = "not tried yet"
        """Why the last check failed; None when it did not."""
        self._check = check
        self._clock = clock
        self._since = clock()
        self._last_success: float | None = None

    @property
    def connected(self) -> bool:
        """Connected once since the start and again within the last FRESH seconds."""
        return self._last_success is not None and self._clock() - self._last_success <= FRESH

    @property
    def seconds(self) -> int:
        """How long it has been connected, or not connected."""
        lost = None if self.connected else self._last_success
        return int(self._clock() - (self._since if lost is None else lost))

    async def refresh(self) -> None:
        """Check once."""
        try:
            self.detail = await asyncio.wait_for(self._check(), TIMEOUT)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            problem: str | None = describe(error)
        else:
            problem = None
            if not self.connected:
                self._since = self._clock()
            self._last_success = self._clock()
        if problem != self.problem:
            log.info("%s at %s: %s", self.name, self.host, problem or f"connected, {self.detail}")
        self.problem = problem

    async def watch(self) -> None:
        """Check for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(RETRY if self.problem else INTERVAL)


def from_environment(environment: Mapping[str, str]) -> list[Dependency]:
    """The dependencies that these variables name; none named, none needed.

    Raises ValueError, without quoting the value, for a URL that cannot be taken apart.
    """
    found = []
    if url := environment.get("DATABASE_URL"):
        found.append(Dependency("postgresql", _host("DATABASE_URL", url), partial(_postgres, url)))
    if url := environment.get("REDIS_URL"):
        seeds = [node for node in environment.get("REDIS_CLUSTER_NODES", "").split(",") if node]
        check = partial(_redis_cluster, url, seeds) if seeds else partial(_redis, url)
        found.append(Dependency("redis", _host("REDIS_URL", url), check))
    if path := environment.get("ADO_CONFIG_FILE"):
        found.append(Dependency("config", path, partial(_config, Path(path))))
    return found


def describe(error: BaseException) -> str:
    """What went wrong, in words that cannot hold a password: never the error's own message."""
    code = getattr(error, "sqlstate", None)
    if isinstance(error, OSError) and error.errno:
        code = os.strerror(error.errno)
    return f"{type(error).__name__} ({code})" if code else type(error).__name__


def _host(variable: str, url: str) -> str:
    with suppress(ValueError):  # its message may quote the credentials
        parts = urlsplit(url)
        # An unencoded "/", "?" or "#" in the password ends the authority too early, and what
        # looks like the host is then a piece of the credentials.
        if parts.hostname and "@" not in parts.path + parts.query + parts.fragment:
            return parts.hostname
    raise ValueError(f"{variable} is not a valid URL; is its password percent-encoded?")


# The drivers are imported at first use: a pod that was given no URL starts without them.


async def _postgres(url: str) -> str:
    import asyncpg  # noqa: PLC0415

    connection = await asyncpg.connect(url)
    try:
        return f"PostgreSQL {await connection.fetchval('SHOW server_version')}"
    finally:
        await connection.close()


async def _redis(url: str) -> str:
    from redis.asyncio import Redis  # noqa: PLC0415

    async with Redis.from_url(url) as client:
        await client.set(*_mark())
        return f"Redis {(await client.info('server'))['redis_version']}"


async def _redis_cluster(url: str, seeds: list[str]) -> str:
    from redis.asyncio.cluster import ClusterNode, RedisCluster  # noqa: PLC0415

    nodes = [ClusterNode(host, int(port)) for host, _, port in (s.rpartition(":") for s in seeds)]
    async with RedisCluster.from_url(url, startup_nodes=nodes) as client:
        await client.set(*_mark())
        version = (await client.info("server"))["redis_version"]
        return f"Redis {version}, cluster of {len(client.get_nodes())}"


def _mark() -> tuple[str, str, int]:
    """A key of this pod's own, its value and its life in seconds: connected means may write."""
    return f"ado-standin:{socket.gethostname()}", "connected", int(FRESH)


async def _config(path: Path) -> str:
    import yaml  # noqa: PLC0415

    content = path.read_bytes()
    yaml.load(content, Loader=yaml.CSafeLoader)
    return f"sha256 {hashlib.sha256(content).hexdigest()}"
