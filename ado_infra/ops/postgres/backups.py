"""Backups of PostgreSQL: made now, listed, restored; and when the last good one was made.

Everything is a Job made from the CronJob's own, with its images, variables and volumes: only what
its containers run differs. Cut off, a Job goes on by itself, and the same command waits for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ado_infra.kit.cron import Schedule
from ado_infra.kit.values import ObjectPrefix
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Model, Namespace, Say
from ado_infra.ops.postgres import jobs, pair, writers

CRON: Final = "postgresql-backup"
RESTORE: Final = "postgresql-restore"
"""There is one restore at a time, under this name."""
LIST: Final = "postgresql-backups"
_FIRST: Final = "dump"
"""Name of the CronJob's first container; see `data/postgres/backup.py`."""
TABLES: Final = """
SELECT string_agg(relation, ', ') FROM (
SELECT c.oid::regclass::text AS relation FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname <> 'information_schema'
AND nspname !~ '^pg_' ORDER BY 1 LIMIT 5) AS found"""
"""What there is in a database, by the first five names; as restore.sh asks once more."""
_PSQL: Final = (
    'exec psql --no-psqlrc --quiet --no-align --tuples-only --host "$SOCKET" --username postgres '
    '--dbname ado --set ON_ERROR_STOP=1 --command "$1"'
)
_REPLACE: Final = ("--clean", "--if-exists")
_NAME: Final = re.compile(r"\d{8}T\d{6}Z")
_QUICK: Final = 300
"""Seconds for what only asks the bucket."""


@dataclass(frozen=True, kw_only=True)
class Backups:
    """What the cluster knows of the backups.

    Attributes:
        schedule: Five fields of cron, in UTC.
        last: When the last good one was finished; None when there was none.
    """

    schedule: str
    last: datetime | None


def seen(namespace: Namespace) -> Backups | None:
    """What there is; None when the platform has no backup."""
    cron = namespace.cron_job(CRON)
    if cron is None:
        return None
    last = cron.status.last_successful_time if cron.status else None
    return Backups(schedule=cron.spec.schedule, last=last)


def described(backups: Backups, now: datetime) -> str:
    """A line for people."""
    if backups.last is None:
        return f"Last good backup: none yet; schedule {backups.schedule} UTC"
    age = int((now - backups.last).total_seconds() / 60)
    made = f"{backups.last.astimezone(UTC):%F %H:%M} UTC, {age // 60} h {age % 60} min ago"
    return f"Last good backup: {made}; schedule {backups.schedule} UTC"


def findings(backups: Backups, now: datetime, namespace: str) -> Iterator[str]:
    """What is wrong, with what to do."""
    if backups.last is None:
        yield "There is no good backup yet: `ado-ops postgres backup` makes one now."
        return
    due = list(islice(Schedule.parse(backups.schedule).before(now), 2))
    if len(due) == 2 and backups.last < due[1]:
        yield (
            f"Two backups were due since the last good one: `kubectl -n {namespace} logs "
            f"--all-containers --prefix -l app.kubernetes.io/component={CRON}` says why, `ado-ops "
            "postgres backup` makes one now."
        )


def cut_off(namespace: Namespace) -> Iterator[str]:
    """What a restore whose command was cut off has left; nothing when all is well."""
    if not (names := ", ".join(writers.noted(namespace))):
        return
    if command := going_on(namespace):
        yield (
            f"A restore goes on, and stopped for it are {names}: `ado-ops postgres {command}` "
            "waits for its end."
        )
    else:
        yield f"Stopped by a restore that was cut off: {names}: `ado-ops postgres start-writers`."


def going_on(namespace: Namespace) -> str | None:
    """The command of the restore that is under way; None when there is none."""
    job = jobs.find(namespace, RESTORE)
    if job is None or jobs.ending(job):
        return None
    asked = str((job.metadata.annotations or {}).get(jobs.ASKED))
    return asked.replace(" ".join(_REPLACE), "--into-non-empty")


def back_up(namespace: Namespace, say: Say) -> str:
    """Makes a backup now, or waits for the one that is under way; returns what it said.

    Raises OpsError with what it said when it fails.
    """
    cron = required(namespace)
    own = (job for job in namespace.jobs() if jobs.belongs_to(cron, job))
    under_way = [job.metadata.name for job in own if not jobs.ending(job)]
    if under_way:
        name = under_way[0]
        say(f"{name} is under way")
    else:
        name = f"{CRON}-{datetime.now(UTC):%Y%m%d%H%M%S}"
        # As the CronJob's own: it counts, and is cleared away with the others.
        job = jobs.derived(namespace, cron, name, asked="backup")
        job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] = "manual"
        job["metadata"]["ownerReferences"][0]["controller"] = True
        namespace.create_job(job)
        say(f"{name} begins")
    return jobs.outcome(namespace, name, say)


def names(namespace: Namespace, say: Say, *, prefix: str | None = None) -> list[str]:
    """The backups that are whole, newest first.

    `prefix`: where in the bucket they lie; None for where those of this stack do.

    Raises OpsError when the bucket cannot be asked.
    """
    cron = required(namespace)
    job = jobs.derived(namespace, cron, LIST, asked=" ".join(["list", *_from(prefix)]))
    job["spec"]["activeDeadlineSeconds"] = _QUICK
    pod = job["spec"]["template"]["spec"]
    _, (upload,) = _steps(pod)
    _run(pod, _reading(prefix, jobs.running(upload, "list")))
    jobs.make(namespace, job)
    said = jobs.outcome(namespace, LIST, say)
    namespace.delete_job(LIST)
    return [line for line in said.splitlines() if _NAME.fullmatch(line)]


def restore(
    namespace: Namespace,
    name: str,
    say: Say,
    *,
    prefix: str | None = None,
    into_non_empty: bool = False,
) -> str:
    """Restores a backup into database `ado` of the primary; returns what was said.

    `prefix`: as for `names`. `into_non_empty`: what the backup has too is replaced, the rest is
    left.

    Nobody writes meanwhile. Raises OpsError with what was said when it fails: then nothing is
    changed.
    """
    cron = required(namespace)
    name = checked(name)
    options = _REPLACE if into_non_empty else ()
    asked = " ".join(["restore", name, *_from(prefix), *options])
    job = jobs.derived(namespace, cron, RESTORE, asked=asked)
    job["spec"]["backoffLimit"] = 0
    pod = job["spec"]["template"]["spec"]
    (dump,), (upload,) = _steps(pod)
    _run(
        pod,
        _reading(prefix, jobs.running(upload, "download", name)),
        jobs.running(dump, "restore", name, *options),
    )
    # Who is stopped still is so by the same command, cut off; else what has ended was another's.
    resumed = bool(writers.noted(namespace))
    making = not (resumed and jobs.is_done(namespace, job)) and jobs.clear(namespace, job)
    if making and not resumed:
        refuse(namespace, into_non_empty=into_non_empty)
    if making and name not in names(namespace, say, prefix=prefix):
        raise OpsError(
            f"There is no backup {name}: `ado-ops postgres restore --list` shows those that there "
            "are."
        )
    try:
        writers.stop(namespace, say)
        if making:
            namespace.create_job(job)
        say(f"{RESTORE} fetches and restores {name}")
        return jobs.outcome(namespace, RESTORE, say)
    finally:
        # Who is interrupted leaves a restore that goes on: nobody may write into that.
        if going_on(namespace) is None:
            writers.start(namespace, say)


def refuse(namespace: Namespace, *, into_non_empty: bool) -> None:
    """What can be seen before anybody is stopped; restore.sh looks again once nobody writes.

    Raises OpsError when no primary serves, or its database is not empty and has to be.
    """
    primary = pair.pod_name(pair.read_record(namespace).primary)
    if pair.look(namespace, pair.ordinal_of(primary)).server != "primary":
        raise OpsError(
            f"{primary} does not run as the primary; see `ado-ops postgres status`. Nothing was "
            "touched."
        )
    if into_non_empty:
        return
    if found := namespace.run(primary, ("/bin/sh", "-c", _PSQL, "sh", TABLES)).strip():
        raise OpsError(
            f"Database ado is not empty ({found}); nobody was stopped, and nothing was touched. "
            "With --into-non-empty what the backup has too is replaced, and the rest is left; to "
            "have exactly the backup, empty it first: docs/data-runbooks.md, Restore."
        )


def _steps(pod: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The CronJob's own containers: what runs first, of all that does, and what runs last."""
    return [each for each in pod["initContainers"] if each["name"] == _FIRST], pod["containers"]


def _run(pod: dict[str, Any], *steps: dict[str, Any]) -> None:
    """Puts others in their place; what the stack has added to these pods stays."""
    *before, last = steps
    added = [each for each in pod.pop("initContainers") if each["name"] != _FIRST]
    if first := [*added, *before]:
        pod["initContainers"] = first
    pod["containers"] = [last]


def steps(name: str, *, prefix: str | None = None, into_non_empty: bool = False) -> list[str]:
    """What `restore` does, for people."""
    target = "replace what it has too" if into_non_empty else "refuse a database that has tables"
    return [
        " ".join(["see that there is a backup", checked(name), *_from(prefix)]),
        "stop who writes to the database",
        "fetch it, compare its checksum, and see that it can be read",
        target,
        "restore it into database ado of the primary, in one transaction",
        "start again who was stopped, whatever came of it",
    ]


def checked(name: str) -> str:
    """The name of a backup, also where the operator named its file.

    Raises OpsError for what is no name of a backup.
    """
    name = name.removesuffix(".dump")
    if not _NAME.fullmatch(name):
        raise OpsError(f"{name} is no name of a backup, such as 20260102T030000Z; see --list.")
    return name


def required(namespace: Namespace) -> Model:
    """The CronJob.

    Raises OpsError when the platform has no backup.
    """
    cron = namespace.cron_job(CRON)
    if cron is None:
        raise OpsError(
            f"There is no CronJob {CRON} in namespace {namespace.name}: set it up with `pulumi "
            "config set --path ado:postgres.backup.bucket NAME` or `backup: {bucket: NAME}` below "
            "`ado:postgres` in the stack file, then `pulumi up`."
        )
    return cron


def _from(prefix: str | None) -> list[str]:
    """The option that names another place in the bucket.

    Raises OpsError for what no stack's `postgres.backup.prefix` can be.
    """
    if prefix is None:
        return []
    try:
        return ["--from", TypeAdapter[str](ObjectPrefix).validate_python(prefix)]
    except ValidationError:
        raise OpsError(
            f"{prefix} is no prefix in a bucket, such as some/postgresql: it is the "
            "`postgres.backup.prefix` of the stack that made the backup."
        ) from None


def _reading(prefix: str | None, container: dict[str, Any]) -> dict[str, Any]:
    """A container that reads from another place in the bucket than the stack's own."""
    if prefix is None:
        return container
    told = {variable["name"]: variable for variable in container["env"]}
    bucket, _, _ = told["REMOTE"]["value"].partition("/")
    told["REMOTE"] = {**told["REMOTE"], "value": f"{bucket}/{prefix}"}
    return {**container, "env": list(told.values())}
