"""The two PostgreSQL pods of a deployment, and an operator's ways to them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client
from urllib3.exceptions import HTTPError

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.postgres.status import examine
from sandbox.cluster import kubectl
from sandbox.deploy import rollout
from tests.cluster.data import database_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.writing import Acknowledged, patiently, writing

STATE = "postgresql-state"
MARK = "recorded"
"""The file on a volume by which its pod knows that there was a record."""
SLOT = "SELECT wal_status FROM pg_replication_slots"
SERVER = r"^(/usr/lib/postgresql/\d+/bin/)?postgres -D"
"""The command line of the server's main process."""
WRITE_FOR_EVER = """
import asyncio, asyncpg
password = sys.stdin.readline().rstrip("\\n")
end_with_input()
async def main():
    number = 0
    while True:
        try:
            link = await asyncpg.connect(host="postgresql", user="ado", database="ado",
                                         password=password, timeout=2, command_timeout=2)
            while True:
                await link.execute("INSERT INTO written VALUES ($1)", number + 1)
                number += 1
                acknowledge(number)
                await asyncio.sleep(0.005)
        except Exception:
            number += 1  # nobody knows whether that one was written
            await asyncio.sleep(0.05)
asyncio.run(main())
"""


def pod(ordinal: int) -> str:
    """The name of a pod."""
    return f"postgresql-{ordinal}"


def as_superuser(sql: str) -> str:
    """The shell command that asks the server of its pod."""
    return f'psql --no-psqlrc -qAt --host "$SOCKET" -U postgres postgres -c "{sql}"'


class Pair:
    """PostgreSQL of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.password = database_password(deployment)

    def ops(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Runs `ado-ops postgres …` as an operator does, who pipes `given` in."""
        return self.deployment.ops("postgres", *arguments, given=given)

    def did(self, *arguments: str, given: str = "") -> str:
        """What such a command printed; it must succeed."""
        done = self.ops(*arguments, given=given)
        logs = "" if done.returncode == 0 else "\n".join(map(self.log, (0, 1)))
        assert done.returncode == 0, done.stdout + done.stderr + logs
        return done.stdout

    @property
    def primary(self) -> int:
        """The ordinal of the pod that the record calls the primary."""
        path = "jsonpath={.data.primary}"
        return int(self.deployment.kubectl("get", "cm", STATE, "-n", NAMESPACE, "-o", path) or 0)

    def healthy(self) -> None:
        """Waits until the recorded primary is one, the other pod follows, and nothing is wrong."""
        patiently(self._check)
        self.deployment.wait_until_ready()

    def _check(self) -> None:
        primary = self.primary
        # What `ado-ops postgres status` says; to start that takes longer than to look.
        assert self.findings() == []
        assert self.roles() == {pod(primary): "f", pod(1 - primary): "t"}

    def findings(self) -> list[str]:
        """What is not as it should be, each with what to do about it."""
        with rollout.api(self.deployment.sandbox) as api:
            try:
                return examine(Namespace(api, NAMESPACE))[1]
            except (OpsError, client.ApiException, HTTPError) as unknown:
                return [str(unknown)]

    def mend(self) -> None:
        """Makes the recorded primary and its standby of whatever a test has left."""
        try:
            self._check()
        except AssertionError:
            self.record(fenced=None, initialised="true")
            other = pod(1 - self.primary)
            if self.ops("rejoin", other).returncode != 0:
                self.did("rejoin", other, "--reclone", "--accept-loss")
            self.healthy()

    def fail_over(self) -> None:
        """The standby becomes the primary, and the primary its standby."""
        former = self.primary
        self.did("promote", pod(1 - former))
        self.did("rejoin", pod(former))
        self.healthy()

    def led_by(self, ordinal: int) -> None:
        """Fails over unless this pod is the primary."""
        if self.primary != ordinal:
            self.fail_over()

    def roles(self) -> dict[str, str]:
        """Pod → whether it is in recovery, as psql prints that, or why it does not say."""
        return {pod(n): self.ask(n, "SELECT pg_is_in_recovery()") for n in (0, 1)}

    def ask(self, ordinal: int, sql: str) -> str:
        """What the server of a pod answers to its superuser; errors included."""
        return self.deployment.shell(as_superuser(sql), pod(ordinal)).strip()

    def record(self, **changes: str | None) -> None:
        """Changes the record behind the commands' back."""
        patch = json.dumps({"data": changes})
        self.deployment.kubectl(
            *("patch", "configmap", STATE, "-n", NAMESPACE, "--field-manager=ado-ops"),
            *("--type=merge", "--patch", patch),
        )

    def delete_pods(self, *ordinals: int) -> None:
        """Deletes pods, and waits until they are gone."""
        names = [pod(ordinal) for ordinal in ordinals]
        self.deployment.kubectl("delete", "pod", "-n", NAMESPACE, *names)

    def log(self, ordinal: int, *flags: str) -> str:
        """What a pod has said since its last start; with `--previous`, before that."""
        command = ("logs", "-n", NAMESPACE, pod(ordinal), *flags)
        return kubectl.attempt(self.deployment.sandbox, *command).stdout

    def says(self, ordinal: int, text: str, *flags: str) -> None:
        """Waits until a pod has said this; `flags` as for `log`."""
        patiently(lambda: _assert_in(text, self.log(ordinal, *flags)))

    def give_up_wal(self) -> None:
        """The primary gives up WAL that its fenced standby has not got."""
        primary = self.primary
        written = "SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'filled', 'x')"
        # Segments of 16 MiB; 256 MiB are kept for the slot.
        self.deployment.shell(f"for _ in $(seq 24); do {as_superuser(written)}; done", pod(primary))
        self.ask(primary, "CHECKPOINT")
        assert self.ask(primary, SLOT) == "lost"

    def volume(self, ordinal: int) -> Path:
        """Where a pod's volume really is."""
        claim = f"data-{pod(ordinal)}"
        found = self.deployment.kubectl("get", "pvc", claim, "-n", NAMESPACE, "-o", "json")
        name = json.loads(found)["spec"]["volumeName"]
        volume = json.loads(self.deployment.kubectl("get", "pv", name, "-o", "json"))
        return Path(volume["spec"]["local"]["path"])

    def empty_volume(self, ordinal: int) -> None:
        """All files of a fenced pod's volume are gone; the pod starts anew once it is unfenced."""
        # The mark goes last: on a volume with data and no mark the pod leaves another one.
        for path in sorted(self.volume(ordinal).iterdir(), key=lambda each: each.name == MARK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def kill(self, ordinal: int) -> None:
        """SIGKILL to the main process of a pod's container."""
        os.kill(self.process(ordinal, SERVER), signal.SIGKILL)

    def process(self, ordinal: int, pattern: str) -> int:
        """The pid, out here, of the one process of a pod that has such a command line."""
        return self.deployment.process(pod(ordinal), pattern)

    @contextmanager
    def frozen(self, ordinal: int, pattern: str) -> Generator[None]:
        """A process of a pod does nothing during the block; it may be gone afterwards."""
        pid = self.process(ordinal, pattern)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def writer(self) -> Generator[Acknowledged]:
        """A client that writes to the primary during the block, and what it has been told."""
        self.ask_as_ado("DROP TABLE IF EXISTS written")
        self.ask_as_ado("CREATE TABLE written (number bigint)")
        with writing(self.deployment, WRITE_FOR_EVER, self.password) as told:
            yield told

    def ask_as_ado(self, sql: str) -> str:
        """What psql prints for a statement of the applications' role, through the Service."""
        psql = f'PGPASSWORD=$(cat) psql --no-psqlrc -qAt --host postgresql -U ado ado -c "{sql}"'
        return self.deployment.shell(psql, "postgresql-1", given=self.password).strip()

    def keep(self) -> None:
        """Makes table `kept` anew, with one row."""
        self.ask_as_ado("DROP TABLE IF EXISTS kept")
        self.ask_as_ado("CREATE TABLE kept AS SELECT 'kept-row' AS value")

    def kept(self) -> bool:
        """Whether that row is there, and no other."""
        return self.ask_as_ado("SELECT value FROM kept") == "kept-row"

    def lost(self, written: Acknowledged) -> set[int]:
        """The rows that were acknowledged and are not there."""
        kept = {int(row) for row in self.ask_as_ado("SELECT number FROM written").split()}
        return set(written.rows) - kept


def _assert_in(text: str, whole: str) -> None:
    assert text in whole
