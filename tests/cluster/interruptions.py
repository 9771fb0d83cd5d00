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
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ado_infra.ops.platform.reading import PART_OF
from sandbox.cluster import kubectl
from sandbox.deploy.mishaps import GOES_ON
from sandbox.deploy.planned import containers
from sandbox.host import programs
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.life import until
from tests.support.recording import ROOT

SEED = "ADO_INTERRUPTIONS_SEED"
WHOLE, CHANGE = 30.0, 5.0
"""Seconds after its first change in which an `up` of everything, or of CHANGED, is killed."""
LOOKS = 0.5
"""Seconds between two looks at all that there is, each of which takes a good part of a core."""
_OTHER: Mapping[str, Any] = {"image": {"tag": "0.2.0"}}
CHANGED: Mapping[str, Any] = {
    "ado:dashboard": _OTHER,
    "ado:workerPools": {
        "spare": {**_OTHER, "scaling": {"minReplicas": 1}, "drain": {"preStop": 1}}
    },
}
"""Rolls a tier, and makes another pool of workers, which goes again."""

LOG = "up.log"
FORCE = "PULUMI_K8S_ENABLE_PATCH_FORCE"
API = "kube-apiserver"
Key = tuple[str, str]
"""Kind and name of an object."""
Plan = Mapping[Key, Mapping[str, Any]]


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
    output = deployment.directory / LOG
    where = ["--stack", deployment.stack, "--name", deployment.sandbox.name]
    with output.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox", "up", *where),
                *("--project", str(deployment.directory)),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},  # one that is killed has said it all
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    up = Up(process, output)
    try:
        yield up
    finally:
        up.kill()


def written(deployment: Deployment) -> Plan:
    """Writes the stack as committed, or CHANGED where it is so already; what there will be."""
    spare = ("get", "deployment", "ado-worker-spare", "-n", NAMESPACE, "--ignore-not-found")
    changes = None if deployment.kubectl(*spare) else CHANGED
    deployment.write(changes)
    return {each.key: each.manifest for each in deployment.planned(changes).objects}


def seen(deployment: Deployment, kinds: set[str]) -> dict[Key, Mapping[str, Any]]:
    """What there is of these kinds, without what controllers made of it."""
    names = ",".join(sorted(kind.lower() for kind in kinds))
    listed = deployment.kubectl("get", names, "-A", "-l", PART_OF, "-o", "json")
    items = [i for i in json.loads(listed)["items"] if "ownerReferences" not in i["metadata"]]
    found = {(item["kind"], item["metadata"]["name"]): item for item in items}
    assert len(found) == len(items), f"made twice: {[i['metadata']['name'] for i in items]}"
    return found


def assert_next_up_converges(deployment: Deployment, expected: Plan) -> None:
    """The same command again makes exactly what is expected, out of what is there already."""
    kinds = {kind for kind, _ in expected}
    before = seen(deployment, kinds)
    again = deployment.command("up")
    assert again.returncode == 0, again.stdout + again.stderr
    after = seen(deployment, kinds)
    assert after.keys() == expected.keys()
    for key, planned in expected.items():
        assert _images(after[key]) == _images(planned), key
    for key in before.keys() & expected.keys():
        if key[0] != "Job":  # one that another image needs is a new one
            assert before[key]["metadata"]["uid"] == after[key]["metadata"]["uid"], key
        if key[0] == "Secret":
            assert before[key]["data"] == after[key]["data"], key
    urns = [resource["urn"] for resource in deployment.state().resources]
    assert len(urns) == len(set(urns))


def assert_nothing_is_left_to_do(deployment: Deployment) -> None:
    """A plan that looks at the cluster finds it as it should be."""
    plan = deployment.engine().preview()
    assert (plan.errors, plan.touched) == ([], {})


def assert_a_change_follows(deployment: Deployment) -> None:
    """What is changed next is changed, if need be by what the user is told to type.

    An `up` that was killed before it could note an object that it had made is another owner of its
    fields to the API server, which refuses the first one that changes.
    """
    expected = written(deployment)
    changed = deployment.command("up")
    if changed.returncode != 0:
        assert f"{FORCE}=true" in changed.stderr, changed.stderr
        with mock.patch.dict(os.environ, {FORCE: "true"}):
            assert_next_up_converges(deployment, expected)


def _images(manifest: Mapping[str, Any]) -> list[str]:
    return [container["image"] for container in containers(manifest)]


def until_begun(deployment: Deployment, expected: Plan, up: Up) -> None:
    """Returns when something of what is expected was made or changed."""
    kinds = {kind for kind, _ in expected}

    def looked() -> dict[Key, tuple[str, object]]:
        # Not its generation, which an autoscaler moves too.
        found = seen(deployment, kinds)
        return {
            key: (item["metadata"]["uid"], item.get("data") or item.get("spec", {}).get("template"))
            for key, item in found.items()
        }

    before = looked()

    def begun() -> bool:
        assert up.process.poll() is None, up.told()
        return looked() != before

    until("something new", begun, 300, LOOKS)


def moments() -> random.Random:
    """When to kill: others in each run, the same ones again for who sets what is printed."""
    seed = int(os.environ.get(SEED) or secrets.randbelow(2**32))
    print(f"{SEED}={seed} kills after the same times")
    return random.Random(seed)  # noqa: S311 - to be repeated, not to be secret


def killed_up(deployment: Deployment, expected: Plan, moment: float) -> bool:
    """Kills an `up` so many seconds after its first change; whether it still ran."""
    with started_up(deployment) as up:
        until_begun(deployment, expected, up)
        with suppress(subprocess.TimeoutExpired):
            up.process.wait(moment)
        was_running = up.kill()
    print(f"{'killed' if was_running else 'ended'} after {moment:.1f} s", flush=True)
    # Each of these is whole or absent; what the engine can keep beside might be cut off.
    kept = (deployment.sandbox.pulumi / "state").rglob("*")
    assert {path.suffix for path in kept} & {".json", ".attrs"} == {".json"}
    return was_running


def survive(deployment: Deployment, kills: int, *, anew: int = 0) -> None:
    """Kills an `up` so many times, each time after another while, and lets the next one finish.

    Each changes a tier and a pool of workers; with `anew` each so many-th makes everything.
    """
    chance, killed = moments(), 0
    while killed < kills:
        if whole := bool(anew) and killed % anew == 0:
            assert deployment.command("destroy").returncode == 0
        expected = written(deployment)
        moment = chance.uniform(0, WHOLE if whole else CHANGE)
        killed += killed_up(deployment, expected, moment)
        assert_next_up_converges(deployment, expected)
        if whole:
            assert_a_change_follows(deployment)
    assert_nothing_is_left_to_do(deployment)


def survive_without_api(deployment: Deployment, seconds: float) -> None:
    """The API server hangs for a while in the middle of an `up`, and is then started anew."""
    expected = written(deployment)
    with started_up(deployment) as up:
        until_begun(deployment, expected, up)
        server = next(s for s in programs.read_status(deployment.sandbox) if s.name == API)
        assert server.pid
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with suppress(subprocess.TimeoutExpired):
                up.process.wait(seconds)
        finally:
            os.kill(server.pid, signal.SIGKILL)
        code, told = up.ended()
    assert "Traceback" not in told
    assert "urn:" not in told
    ready = ("get", "--raw", "/readyz")
    until("the API server", lambda: not kubectl.attempt(deployment.sandbox, *ready).returncode)
    assert code == 0 or ("The API server went away" in told and GOES_ON in told), told
    assert_next_up_converges(deployment, expected)
    assert_nothing_is_left_to_do(deployment)
