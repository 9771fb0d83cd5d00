"""PostgreSQL's own parameters: which of them a stack may set, and to what.

A server does not start with a value that it refuses, and both pods read the same file: what a
running server would find wrong is found here. Names, kinds, units and bounds are those of version
17 (`files/parameters.tsv`, from its view pg_settings).
"""

from __future__ import annotations

import csv
import difflib
import functools
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Final

from pydantic import AfterValidator, PlainValidator

from ado_infra.kit.schema_rules import SchemaRules

_OF_AN_EXTENSION: Final = r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)+"
_NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)) *([A-Za-z]*)", re.ASCII)
_BYTES: Final = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TRUTHS: Final = {"on", "off", "true", "false", "yes", "no", "1", "0"}
_PRELOADED: Final = "shared_preload_libraries"
_LIBRARIES: Final = {
    *("auth_delay", "auto_explain", "passwordcheck", "pg_prewarm", "pg_stat_statements"),
}
"""Of the official image, those that do something when they are loaded at the start."""


def _because(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, reason)


REFUSED: Final[Mapping[str, str]] = {
    **_because("is said by postgres.maxConnections", "max_connections"),
    **_because(
        "is part of postgres.maxConnections",
        "reserved_connections",
        "superuser_reserved_connections",
    ),
    **_because("derives from postgres.resources.requests.memory", "shared_buffers"),
    **_because(
        "derives from postgres.volume.size",
        *("max_wal_size", "wal_keep_size", "max_slot_wal_keep_size"),
    ),
    **_because(
        "is what scripts, probes and Services of the platform go by",
        *("listen_addresses", "port", "password_encryption", "cluster_name", "external_pid_file"),
        *("config_file", "data_directory", "hba_file", "ident_file", "bonjour", "bonjour_name"),
        *("unix_socket_directories", "unix_socket_group", "unix_socket_permissions"),
        *("dynamic_shared_memory_type", "shared_memory_type"),
    ),
    **_because(
        "is what the standby and its promotion go by",
        *("hot_standby", "wal_level", "wal_log_hints", "max_wal_senders", "max_replication_slots"),
        *("wal_sender_timeout", "wal_receiver_timeout", "recovery_target_timeline"),
        *("primary_conninfo", "primary_slot_name", "recovery_min_apply_delay"),
        *("recovery_target", "recovery_target_action", "recovery_target_inclusive"),
        *("recovery_target_lsn", "recovery_target_name", "recovery_target_time"),
        *("recovery_target_xid", "synchronized_standby_slots", "sync_replication_slots"),
    ),
    **_because("has every write wait while the only standby is away", "synchronous_standby_names"),
    **_because(
        "would let a crash of the machine destroy data",
        *("fsync", "full_page_writes", "wal_sync_method", "data_sync_retry"),
    ),
    **_because("would switch off foreign keys", "session_replication_role"),
    **_because(
        "is of an archive of the WAL, which there is not",
        *("archive_mode", "archive_command", "archive_library", "archive_timeout"),
        *("archive_cleanup_command", "restore_command", "recovery_end_command"),
    ),
    **_because(
        "is of the server's log, which goes to the pod's",
        *("log_destination", "logging_collector", "log_line_prefix", "log_timezone"),
    ),
    **_because("is UTC, as in every pod", "timezone", "timezone_abbreviations"),
    **_because(
        "would be memory that the pod has not",
        *("huge_pages", "huge_page_size", "min_dynamic_shared_memory"),
    ),
    **_because("needs a certificate, which these pods have not", "ssl"),
    **_because("keeps the server from being set up", "default_transaction_read_only"),
    **_because(
        "would be loaded by every session: use shared_preload_libraries",
        *("session_preload_libraries", "local_preload_libraries"),
    ),
}
"""Parameters that no stack sets, and why."""
_NARROWER: Final[Mapping[str, tuple[float, float]]] = {
    # A server that is told more takes that memory as it starts; a standby that is told less than
    # its primary does not start.
    "max_locks_per_transaction": (64, 1024),
    "max_pred_locks_per_transaction": (64, 1024),
    "max_prepared_transactions": (0, 1000),
    "max_worker_processes": (8, 256),
    "autovacuum_max_workers": (1, 64),
    "track_activity_query_size": (100, 65536),
    "wal_decode_buffer_size": (65536, 2**26),
    "wal_buffers": (-1, 8192),
    **dict.fromkeys(
        (
            *("commit_timestamp_buffers", "subtransaction_buffers", "transaction_buffers"),
            *("multixact_member_buffers", "multixact_offset_buffers", "notify_buffers"),
            "serializable_buffers",
        ),
        (16, 8192),
    ),
    "max_stack_depth": (100, 7168),  # of the 8 MiB that a process has
    "min_wal_size": (32, math.inf),  # two files of WAL
    # What the start script does in a session takes up to a second.
    "scram_iterations": (4096, 100_000),
    **dict.fromkeys(
        (
            *("statement_timeout", "lock_timeout", "transaction_timeout"),
            *("idle_in_transaction_session_timeout", "idle_session_timeout"),
        ),
        (1000, math.inf),
    ),
}
"""Bounds beyond which a server would be allowed to go and not start; in the parameter's own unit.
Where PostgreSQL takes 0 or -1 for `none`, that stays."""


@dataclass(frozen=True)
class Parameter:
    """What PostgreSQL says of one parameter.

    Attributes:
        kind: `bool`, `integer`, `real`, `enum` or `string`.
        unit: Of a number without one, such as `8kB` or `ms`; empty where it has none.
        least: Of a number, in that unit.
        most: Likewise.
        values: Of an enum.
    """

    kind: str
    unit: str
    least: float
    most: float
    values: tuple[str, ...]


@functools.cache
def known() -> Mapping[str, Parameter]:
    """The parameters that a stack may set, by their names in small letters."""
    text = (resources.files(__package__ or "") / "files" / "parameters.tsv").read_text(
        encoding="utf-8"
    )
    return {
        row["name"]: Parameter(
            kind=row["kind"],
            unit=row["unit"],
            least=float(row["least"] or -math.inf),
            most=float(row["most"] or math.inf),
            values=tuple(filter(None, row["values"].split(","))),
        )
        for row in csv.DictReader(io.StringIO(text), delimiter="\t")
    }


def _as_text(value: object) -> str:
    """A value as PostgreSQL reads it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def configuration(parameters: Mapping[str, bool | float | str]) -> str:
    """The parameters as lines of `postgresql.conf`, in the order of their names."""
    quoted = {
        name: _as_text(value).replace("\\", "\\\\").replace("'", "''")
        for name, value in sorted(parameters.items())
    }
    return "".join(f"{name} = '{value}'\n" for name, value in quoted.items())


def missing_library(parameters: Mapping[str, bool | float | str]) -> str | None:
    """A library to preload that the official image does not have; None where it has all."""
    names = re.split(r"\s*,\s*", _as_text(parameters.get(_PRELOADED, "")))
    return next((name for name in names if name and name not in _LIBRARIES), None)


def _name(name: str) -> str:
    if name in known() or re.fullmatch(_OF_AN_EXTENSION, name, re.ASCII):
        return name
    if name in REFUSED:
        raise ValueError(f"as a parameter it {REFUSED[name]}")
    if close := difflib.get_close_matches(name.lower(), known(), n=1, cutoff=0.8):
        raise ValueError(f"PostgreSQL has none of that name to set; did you mean {close[0]}?")
    raise ValueError(
        "PostgreSQL has none of that name whose values can be told from wrong ones without it"
    )


def _value(value: object) -> object:
    if isinstance(value, bool | int | float) or (isinstance(value, str) and value.isprintable()):
        return value
    raise ValueError("must be a number, true, false, or text of one line")


def _checked(parameters: dict[str, bool | float | str]) -> dict[str, bool | float | str]:
    for name, value in parameters.items():
        if wrong := _problem(name, _as_text(value)):
            raise ValueError(f"{name} = {_as_text(value)} {wrong}")
    return parameters


def _problem(name: str, text: str) -> str | None:
    """Why a server would not start with the value; None where it would, or nobody knows."""
    if name not in known():
        return None
    parameter = known()[name]
    match parameter.kind:
        case "bool" if text.lower() not in _TRUTHS:
            return "is neither on nor off"
        case "enum" if text not in parameter.values:
            return f"is none of {', '.join(parameter.values)}"
        case "integer" | "real":
            return _problem_of_number(name, parameter, text)
        case _:
            return None


def _problem_of_number(name: str, parameter: Parameter, text: str) -> str | None:
    matched = _NUMBER.fullmatch(text)
    if not matched:
        return "is no number"
    number, unit = float(matched[1]), matched[2]
    multiple, own = _split(parameter.unit)
    units = next((table for table in (_BYTES, _SECONDS) if own in table), {})
    if unit and unit not in units:
        known_units = f"one of {', '.join(units)}" if units else "none"
        return f"has a unit that PostgreSQL does not know here; it takes {known_units}"
    if unit:
        number *= units[unit] / (units[own] * multiple)
    least, most = _NARROWER.get(name, (parameter.least, parameter.most))
    if least <= number <= most or (own == "ms" and number == 0):
        return None
    bounds = [
        f"{word} {bound:.15g}"
        for word, bound in (("from", least), ("to", most))
        if math.isfinite(bound)
    ]
    counted = f" x {parameter.unit}" if parameter.unit else ""
    return f"is out of range: {' '.join(bounds)}{counted}"


def _split(unit: str) -> tuple[int, str]:
    """How many of which unit: `8kB` is 8 of `kB`."""
    digits = re.match(r"\d*", unit, re.ASCII)
    count = digits[0] if digits else ""
    return int(count or 1), unit.removeprefix(count)


Name = Annotated[
    str,
    AfterValidator(_name),
    SchemaRules({"anyOf": [{"enum": list(known())}, {"pattern": f"^{_OF_AN_EXTENSION}$"}]}),
]
Value = Annotated[
    bool | int | float | str,
    PlainValidator(_value),
    SchemaRules({"title": "value", "type": ["boolean", "number", "string"]}),
]
Parameters = Annotated[dict[Name, Value], AfterValidator(_checked)]
"""Parameters by name, each with a value that a server starts with."""
