"""Runs the stand-in in its container: the role is its image's, everything else the pod's."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from .dependencies import from_environment
from .server import ROLES, Standin


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    stop = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):  # as pid 1 nothing else would end us
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    role = os.environ["STANDIN_ROLE"]
    try:
        dependencies = from_environment(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    standin = Standin(role, os.environ["STANDIN_VERSION"], dependencies)
    await standin.serve(ROLES[role], "0.0.0.0", stop)  # noqa: S104 - inside its pod


asyncio.run(main())
