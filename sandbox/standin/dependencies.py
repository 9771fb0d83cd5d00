"""What the stand-in was given to connect to, and whether it is connected."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from . import checks

CREDENTIALS = Path("/etc/ado/credentials")
"""Where the platform mounts the agents' credentials."""
OBJECT_STORAGE = ("S3_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
BUCKETS = ("S3_BUCKET_CHECKPOINTS", "S3_BUCKET_ARTIFACTS")
"""What must come with S3_ENDPOINT."""

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


def from_environment(
    environment: Mapping[str, str], credentials: Path = CREDENTIALS
) -> list[Dependency]:
    """The dependencies that these variables and mounts name; none named, none needed.

    Raises ValueError, without quoting the value, for a URL that cannot be taken apart, and for
    object storage without all that belongs to it.
    """
    found = []
    if url := environment.get("DATABASE_URL"):
        check = partial(checks.postgres, url)
        found.append(Dependency("postgresql", _host("DATABASE_URL", url), check))
    if url := environment.get("REDIS_URL"):
        seeds = [node for node in environment.get("REDIS_CLUSTER_NODES", "").split(",") if node]
        check = partial(checks.redis_cluster, url, seeds) if seeds else partial(checks.redis, url)
        found.append(Dependency("redis", _host("REDIS_URL", url), check))
    if url := environment.get("S3_ENDPOINT"):
        check = _object_storage(url, environment).check
        found.append(Dependency("object storage", _host("S3_ENDPOINT", url), check))
    if url := environment.get("CONTROLLER_URL"):
        check = partial(checks.controller, url)
        found.append(Dependency("controller", _host("CONTROLLER_URL", url), check))
    if path := environment.get("ADO_CONFIG_FILE"):
        found.append(Dependency("config", path, partial(checks.config, Path(path))))
    if credentials.exists():
        check = partial(checks.credentials, credentials)
        found.append(Dependency("credentials", str(credentials), check))
    return found


def _object_storage(endpoint: str, environment: Mapping[str, str]) -> checks.ObjectStorage:
    missing = [name for name in (*OBJECT_STORAGE, *BUCKETS) if not environment.get(name)]
    if missing:
        raise ValueError(f"S3_ENDPOINT is given without {', '.join(missing)}.")
    region, access_key, secret_key = (environment[name] for name in OBJECT_STORAGE)
    buckets = [environment[name] for name in BUCKETS]
    return checks.ObjectStorage(endpoint, region, access_key, secret_key, buckets)


def describe(error: BaseException) -> str:
    """What went wrong, in words that cannot hold a password: never the error's own message."""
    while isinstance(error.__cause__, Exception):  # a cancellation is none: it ends a wait
        error = error.__cause__
    code = getattr(error, "sqlstate", None) or getattr(error, "status", None)  # of SQL, of HTTP
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
