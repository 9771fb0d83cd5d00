"""PostgreSQL as it is, from one look at everything that belongs to it."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.table import Table

from ado_infra.ops.pods import Namespace
from ado_infra.ops.postgres import backups, pair, report, rotation


def examine(here: Namespace) -> tuple[Table, list[str]]:
    """A row for each pod, and what is not as it should be, each with what to do.

    Raises OpsError where there is no record.
    """
    record = pair.read_record(here)
    # The primary last: what a standby has then, and the primary has not, it was not sent.
    order = (1 - record.primary, record.primary)
    members = sorted((pair.look(here, n) for n in order), key=lambda member: member.ordinal)
    found = {name: here.service(name) for name in (pair.NAME, f"{pair.NAME}-ro")}
    services = {name: service.spec.selector for name, service in found.items() if service}
    wrong = list(report.findings(record, members, services, here.name))
    wrong += rotation.findings(here, members[record.primary])
    wrong += backups.cut_off(here)
    table = report.table(record, members)
    if backup := backups.seen(here):
        now = datetime.now(UTC)
        table.caption = backups.described(backup, now)
        wrong += backups.findings(backup, now, here.name)
    return table, wrong
