"""An `up` that is interrupted: what its user reads, and what the next one makes of it."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import rollout
from tests.cluster.deployment import Deployment
from tests.cluster.life import until
from tests.unit.recording import ROOT

SEED = "ADO_INTERRUPTIONS_SEED"
SHORTEST, LONGEST = 3.0, 45.0
"""Seconds after which an `up` is killed: from its planning to its waiting for the last tier."""
_TIER: Mapping[str, Any] = {"image": {"tag": "0.2.0"}}
CHANGED: Mapping[str, Any] = {
    "ado:gateway": _TIER,
    "ado:dashboard": _TIER,
    "ado:orchestrator": _TIER,
    "ado:workerPools": {"default": _TIER, "spare": {**_TIER, "scaling": {"minReplicas": 1}}},
}
"""Rolls every tier that keeps no data, and makes another pool of workers, which goes again."""

Key = tuple[str, str]


@dataclass
class Up:
    """A running `up` as `make` starts it, with the engine and its providers."""

    process: subprocess.Popen[bytes]
    output: Path

    def processes(self, program: str = "") -> list[int]:
        """Those of its session; or only those of one program."""
        found: list[int] = []
        for directory in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # ended in between
                session = (directory / "stat").read_text().rpartition(")")[2].split()[3]
                name = (directory / "exe").readlink().name
                if int(session) == self.process.pid and program in {"", name}:
                    found.append(int(directory.name))
        return found

    def kill(self) -> bool:
        """Kills all of it at once; whether it still ran."""
        running = self.process.poll() is None
        while pids := self.processes():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        return running

    def told(self) -> str:
        """What its user has read so far."""
        return self.output.read_text()

    def ended(self) -> tuple[int, str]:
        """Its exit code and what its user has read."""
        return self.process.wait(400), self.told()


@contextmanager
def started_up(deployment: Deployment) -> Generator[Up]:
    """Starts an `up` of what was written last; killed at the end of the block."""
    output = deployment.directory / "up.log"
    where = ["--stack", deployment.stack, "--name", deployment.sandbox.name]
    with output.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox", "up", *where),
                *("--project", str(deployment.directory)),
            ],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    up = Up(process, output)
    try:
        yield up
    finally:
        up.kill()


@dataclass(frozen=True)
class Cluster:
    """The platform's objects as they are in the cluster."""

    uids: Mapping[Key, str] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)


def planned(deployment: Deployment) -> set[Key]:
    """Kind and name of all that the program makes, as it was written last."""
    plan = deployment.engine().preview(refresh=False)
    assert plan.succeeded, plan.errors
    objects = [inputs for inputs in plan.objects.values() if "kind" in inputs]
    return {(inputs["kind"], inputs["metadata"]["name"]) for inputs in objects}


def seen(deployment: Deployment, kinds: set[str]) -> Cluster:
    """What there is of these kinds, without what controllers made of it."""
    names = ",".join(sorted(kind.lower() for kind in kinds))
    listed = deployment.kubectl("get", names, "-A", "-l", rollout.PART_OF, "-o", "json")
    items = [i for i in json.loads(listed)["items"] if "ownerReferences" not in i["metadata"]]
    uids = [((i["kind"], i["metadata"]["name"]), i["metadata"]["uid"]) for i in items]
    assert len(dict(uids)) == len(uids), f"made twice: {sorted(key for key, _ in uids)}"
    data = {i["metadata"]["name"]: i["data"] for i in items if i["kind"] == "Secret"}
    return Cluster(dict(uids), data)


def assert_next_up_converges(deployment: Deployment, expected: set[Key]) -> str:
    """The same command again makes exactly what is expected, out of what is there already."""
    kinds = {kind for kind, _ in expected}
    before = seen(deployment, kinds)
    again = deployment.command("up")
    assert again.returncode == 0, again.stdout + again.stderr
    after = seen(deployment, kinds)
    assert after.uids.keys() == expected
    # A Job that another image needs is a new one.
    kept = {key: uid for key, uid in before.uids.items() if key in expected and key[0] != "Job"}
    assert kept.items() <= after.uids.items()
    assert before.secrets.items() <= after.secrets.items()
    plan = deployment.engine().preview()
    assert (plan.errors, plan.touched) == ([], {})
    urns = [resource["urn"] for resource in deployment.state().resources]
    assert len(urns) == len(set(urns))
    return again.stdout


def until_begun(deployment: Deployment, expected: set[Key], up: Up) -> None:
    """Returns when the first of all that is expected has been made, and not yet the last."""
    kinds = {kind for kind, _ in expected}
    missing = expected - seen(deployment, kinds).uids.keys()
    assert missing

    def begun() -> bool:
        assert up.process.poll() is None, up.told()
        return bool(seen(deployment, kinds).uids.keys() & missing)

    until("something new", begun, 120)


def survive(deployment: Deployment, kills: int) -> None:
    """Kills an `up` so many times, each time after another while, and lets the next one finish.

    Of five the first makes everything, from nothing; the others change every tier.
    """
    seed = int(os.environ.get(SEED) or secrets.randbelow(2**32))
    print(f"{SEED}={seed} kills after the same times")
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    killed = ups = 0
    while killed < kills:
        if killed and killed % 5 == 0:
            assert deployment.command("destroy").returncode == 0
        deployment.write(CHANGED if ups % 2 else None)
        expected = planned(deployment)
        moment = chance.uniform(SHORTEST, LONGEST)
        with started_up(deployment) as up:
            with suppress(subprocess.TimeoutExpired):
                up.process.wait(moment)
            was_running = up.kill()
        print(f"{killed}: {'killed' if was_running else 'ended before'} {moment:.1f} s", flush=True)
        assert_next_up_converges(deployment, expected)
        killed, ups = killed + was_running, ups + 1
