"""Data pods killed at random while clients write: what these were told is written stays there."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal

from tests.cluster import redis_cluster
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import SERVER, Pair
from tests.cluster.redis_cluster import THREE
from tests.cluster.reliability import record
from tests.cluster.writing import patiently

SEED = "ADO_KILLS_SEED"
SERVERS = {
    **dict.fromkeys(("postgresql-0", "postgresql-1"), SERVER),
    **dict.fromkeys(THREE, r"^redis-server "),
}
"""Pod → the command line of its main process."""
READY_AGAIN = 420.0
"""Seconds; the kubelet lets one that is killed often wait for up to five minutes."""


def survive(deployment: Deployment, kills: int) -> None:
    """Kills so many pods, each once the former is Ready again; fails if anything is lost."""
    seed = int(os.environ.get(SEED) or secrets.randbelow(2**32))
    print(f"{SEED}={seed} kills the same pods in the same way")
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    deployment.up(redis_cluster.settings(0))
    pair = Pair(deployment)
    _healthy(deployment, pair)
    forced = 0
    with (
        pair.writer() as rows,
        redis_cluster.writer(deployment, THREE, f"kills-{seed}") as (keys, lost_keys),
    ):
        for number in range(1, kills + 1):
            pod, force = chance.choice([*SERVERS]), chance.choice([False, True])
            print(f"{number}: {'delete' if force else 'SIGKILL'} {pod}", flush=True)
            _kill(deployment, pod, force=force)
            forced += force
        rows.goes_on()
        keys.goes_on()
    _healthy(deployment, pair)
    lost = {"rows": pair.lost(rows), "keys": lost_keys()}
    record(
        f"Data pods killed at random, {kills} times",
        seed=seed,
        pods_deleted=forced,
        rows_acknowledged=len(rows.rows),
        rows_lost=len(lost["rows"]),
        keys_acknowledged=len(keys.rows),
        keys_lost=len(lost["keys"]),
        longest_seconds_without_rows=rows.longest_gap,
    )
    assert lost == {"rows": set(), "keys": set()}


def _healthy(deployment: Deployment, pair: Pair) -> None:
    pair.healthy()
    patiently(lambda: redis_cluster.assert_whole(deployment, THREE, {}))


def _kill(deployment: Deployment, pod: str, *, force: bool) -> None:
    before = _ready(deployment, pod)
    if force:
        flags = ("--force", "--grace-period=0", "--wait=false")
        deployment.kubectl("delete", "pod", pod, "-n", NAMESPACE, *flags)
    else:
        os.kill(deployment.process(pod, SERVERS[pod]), signal.SIGKILL)

    def again() -> None:
        assert _ready(deployment, pod) not in {"", before}, f"{pod} is not Ready again"

    patiently(again, READY_AGAIN)


def _ready(deployment: Deployment, pod: str) -> str:
    """The id of a pod's container when that is Ready, else nothing."""
    get = ("get", "pod", pod, "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
    status = json.loads(deployment.kubectl(*get) or "{}").get("status", {})
    started = [each["containerID"] for each in status.get("containerStatuses", ()) if each["ready"]]
    return "".join(started)
