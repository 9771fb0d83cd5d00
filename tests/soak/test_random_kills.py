"""Fifty data pods are killed at random under writers that never stop."""

from __future__ import annotations

import os
import random
import secrets
import signal

from tests.cluster import redis_cluster
from tests.cluster.data import ready_container
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import SERVER, Pair
from tests.cluster.redis_cluster import THREE
from tests.cluster.reliability import record
from tests.cluster.writing import patiently

SEED = "ADO_KILLS_SEED"
KILLS = 50
"""Each once the former pod is Ready again."""
SERVERS = {
    **dict.fromkeys(("postgresql-0", "postgresql-1"), SERVER),
    **dict.fromkeys(THREE, redis_cluster.SERVER),
}
"""Pod → the command line of its main process."""
READY_AGAIN = 420.0
"""Seconds; the kubelet lets one that is killed often wait for up to five minutes."""


def test_nothing_acknowledged_is_lost_when_fifty_pods_are_killed(deployment: Deployment) -> None:
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
        for number in range(1, KILLS + 1):
            pod, force = chance.choice([*SERVERS]), chance.choice([False, True])
            print(f"{number}: {'delete' if force else 'SIGKILL'} {pod}", flush=True)
            _kill(deployment, pod, force=force)
            forced += force
        rows.goes_on()
        keys.goes_on()
    _healthy(deployment, pair)
    lost = {"rows": pair.lost(rows), "keys": lost_keys()}
    record(
        "Data pods killed at random, 50 times",
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
    before = ready_container(deployment, pod)
    if force:
        flags = ("--force", "--grace-period=0", "--wait=false")
        deployment.kubectl("delete", "pod", pod, "-n", NAMESPACE, *flags)
    else:
        os.kill(deployment.process(pod, SERVERS[pod]), signal.SIGKILL)

    def again() -> None:
        assert ready_container(deployment, pod) not in {"", before}, f"{pod} is not Ready again"

    patiently(again, READY_AGAIN)
