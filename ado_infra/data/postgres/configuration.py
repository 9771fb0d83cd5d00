"""The files that PostgreSQL is started with; sizes are derived from the settings."""

from __future__ import annotations

from typing import Final

from ado_infra.data.files import packaged
from ado_infra.kit.values import size_in_bytes
from ado_infra.settings import PostgresSettings

_FILES: Final = (
    "blank.sh",
    "common.sh",
    "start.sh",
    "rejoin.sh",
    "look.sh",
    "roles.sql",
    "pg_hba.conf",
    "postgresql.conf",
)
_MEBIBYTE: Final = 2**20


def files(settings: PostgresSettings) -> dict[str, str]:
    """File name → content."""
    found = packaged(__package__ or "", _FILES)
    return found | {"postgresql.conf": found["postgresql.conf"] + _sizes(settings)}


def _sizes(settings: PostgresSettings) -> str:
    memory = size_in_bytes(settings.resources.requests.memory)
    volume = size_in_bytes(settings.volume.size)
    megabytes = {
        # A quarter of the memory that is promised: the server's own recommendation.
        "shared_buffers": memory // 4,
        "max_wal_size": min(volume // 8, 4 * 2**30),
        # For a standby whose slot is not there yet, as after a failover.
        "wal_keep_size": min(volume // 16, 2**30),
        # A standby that stays away must not fill the primary's disk; it is copied anew instead.
        "max_slot_wal_keep_size": volume // 4,
    }
    lines = [f"max_connections = {settings.max_connections}"]
    lines += [f"{name} = '{max(size // _MEBIBYTE, 32)}MB'" for name, size in megabytes.items()]
    return "\n".join(lines) + "\n"
