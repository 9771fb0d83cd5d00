"""PostgreSQL: a primary and a streaming replica, started by scripts of our own."""

from ado_infra.data.postgres.backup import PostgresBackup, PostgresBackupArgs
from ado_infra.data.postgres.postgres import IDENTITY, Postgres, PostgresArgs

__all__ = ["IDENTITY", "Postgres", "PostgresArgs", "PostgresBackup", "PostgresBackupArgs"]
