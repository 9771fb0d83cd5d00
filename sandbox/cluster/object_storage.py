"""An S3-compatible server beside the control plane: rclone, serving a directory.

It stands for the object storage that a platform's owner brings. Requests must be signed with the
sandbox's own keys; a bucket is a directory, and is made for the stack that names it.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sandbox.cluster import control_plane
from sandbox.errors import SandboxError
from sandbox.files import write
from sandbox.host.network import FABRIC_ADDRESS
from sandbox.host.programs import Program
from sandbox.paths import Sandbox

SERVICE: Final = "object-storage"
PORT: Final = 9000
ENDPOINT: Final = f"http://{FABRIC_ADDRESS}:{PORT}"
"""Where pods reach it."""
REGION: Final = "us-east-1"


@dataclass(frozen=True)
class Credentials:
    """The one pair of keys that the server knows."""

    access_key: str
    secret_key: str


def credentials(sandbox: Sandbox) -> Credentials:
    """The sandbox's keys, made when they are missing."""
    path = _directory(sandbox) / "credentials.json"
    if not path.exists():
        made = Credentials(
            f"SANDBOX{secrets.token_hex(6).upper()}",
            # Base64 as a provider's own keys are, and with both its signs that need care in URLs.
            f"+/{base64.b64encode(secrets.token_bytes(27)).decode()}",
        )
        write(path, json.dumps(asdict(made)))
    return Credentials(**json.loads(path.read_text()))


def program(sandbox: Sandbox, tools: Mapping[str, Path]) -> Program:
    """The server; makes its directory and its keys."""
    _buckets(sandbox).mkdir(parents=True, exist_ok=True)
    return Program(
        name=SERVICE,
        command=(
            str(tools["rclone"]),
            *("serve", "s3", str(_buckets(sandbox))),
            f"--addr={FABRIC_ADDRESS}:{PORT}",
            "--config=",  # none
            "--dir-cache-time=1s",  # buckets are made behind its back
        ),
        cgroup=control_plane.CGROUP,
        namespace=sandbox.fabric,
        ready=f"tcp://{FABRIC_ADDRESS}:{PORT}",
        environment={"RCLONE_AUTH_KEY": _quoted(credentials(sandbox))},
    )


def make_buckets(sandbox: Sandbox, names: Iterable[str]) -> None:
    """Make the buckets of these names; those that are there are kept.

    Raises SandboxError for a name that no bucket can have.
    """
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
            raise SandboxError(f"{name!r} cannot name a bucket of object storage.")
        bucket(sandbox, name).mkdir(parents=True, exist_ok=True)


def bucket(sandbox: Sandbox, name: str) -> Path:
    """The directory that is a bucket, with a file for each object."""
    return _buckets(sandbox) / name


def _quoted(keys: Credentials) -> str:
    """The pair as one field of CSV, which rclone takes its variable for: a list of pairs."""
    return '"{},{}"'.format(keys.access_key, keys.secret_key.replace('"', '""'))


def _directory(sandbox: Sandbox) -> Path:
    return sandbox.state / "object-storage"


def _buckets(sandbox: Sandbox) -> Path:
    return _directory(sandbox) / "buckets"
