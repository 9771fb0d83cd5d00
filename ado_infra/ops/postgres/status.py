"""PostgreSQL as it is, from one look at everything that belongs to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from rich.table import Table

from ado_infra.ops import rights
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.postgres import backups, pair, report, rotation


class Part(StrEnum):
    """What an operator may be shown the rest without, in words for people."""

    SERVICES = "where the Services lead"
    REVISION = "whether each pod is as the stack has it"
    PASSWORD = "whether a rotation of the password was cut off"  # noqa: S105 - words, no password
    RESTORE = "whether a restore was cut off"
    BACKUP = "how old the last backup is"


_NEEDS: Final = {
    Part.SERVICES: rights.SEE_SERVICES,
    Part.REVISION: rights.SEE_REVISION,
    Part.PASSWORD: rights.SEE_PASSWORD,
    Part.RESTORE: rights.SEE_RESTORE,
    Part.BACKUP: rights.SEE_BACKUP,
}


class Seen(NamedTuple):
    """PostgreSQL as it is: a row for each pod, and what is not as it should be.

    `data` is the table for programs.
    """

    table: Table
    findings: list[str]
    data: dict[str, Any]


def examine(namespace: Namespace) -> Seen:
    """A row for each pod, and what is not as it should be, each with what to do.

    Raises OpsError where there is no record.
    """
    lacking = {part: namespace.lacking(needed) for part, needed in _NEEDS.items()}
    record = pair.read_record(namespace)
    # The primary last: what a standby has then, and the primary has not, it was not sent.
    order = (1 - record.primary, record.primary)
    members = sorted((pair.look(namespace, n) for n in order), key=lambda member: member.ordinal)
    services = None if lacking[Part.SERVICES] else _selectors(namespace)
    table, data = report.table(record, members), report.data(record, members)
    revision = None if lacking[Part.REVISION] else _revision(namespace)
    wrong = list(report.findings(record, members, services, namespace.name, revision=revision))
    if not lacking[Part.PASSWORD]:
        wrong += rotation.findings(namespace, members[record.primary])
    if not lacking[Part.RESTORE]:
        wrong += backups.cut_off(namespace)
    backup = None if lacking[Part.BACKUP] else backups.seen(namespace)
    if backup is None and not lacking[Part.BACKUP]:
        table.caption = "No backup is set up: see docs/data.md, Backup"
    if backup is not None:
        now = datetime.now(UTC)
        table.caption = backups.described(backup, now)
        data["backup"] = asdict(backup)
        wrong += backups.findings(backup, now, namespace.name)
    wrong += unseen(lacking, namespace.name)
    return Seen(table, wrong, data)


def unseen(lacking: Mapping[Part, Sequence[str]], namespace: str) -> Iterator[str]:
    """What was not looked at, for want of which rights; nothing when all was."""
    parts = [part for part, names in lacking.items() if names]
    names = dict.fromkeys(name for part in parts for name in lacking[part])
    if parts:
        yield (
            f"Not looked at: {'; '.join(parts)}. You may not {', '.join(names)} in namespace "
            f"{namespace}: {rights.remedy(namespace)}"
        )


def _selectors(namespace: Namespace) -> dict[str, dict[str, str]]:
    """Where each Service leads that there is."""
    found = {name: namespace.service(name) for name in (pair.NAME, f"{pair.NAME}-ro")}
    return {name: service.spec.selector for name, service in found.items() if service}


def _revision(namespace: Namespace) -> str | None:
    """Which template new pods are made from; None where there is no StatefulSet."""
    found = namespace.stateful_set(pair.NAME)
    return found.status.update_revision if found else None
