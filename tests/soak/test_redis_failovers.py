"""Five masters of Redis are lost, one after the other, each under a writer that never stops."""

from __future__ import annotations

from statistics import median

from tests.cluster.deployment import Deployment
from tests.cluster.redis_cluster import (
    KEYS,
    LONGEST_FAILOVER,
    SIX,
    assert_whole,
    fail_over,
    seconds_until,
    settings,
    with_replicas,
    write,
)
from tests.cluster.reliability import record


def test_each_is_replaced_in_time_and_no_confirmed_write_is_lost(deployment: Deployment) -> None:
    deployment.up(settings(0))
    write(deployment, KEYS)
    with with_replicas(deployment):
        seen = []
        for number in range(5):
            seen.append(fail_over(deployment, SIX, f"-{number}-"))
            seconds_until(lambda: assert_whole(deployment, SIX, KEYS))
    record(
        "Redis loses five masters",
        median_seconds=median(each.seconds for each in seen),
        longest_seconds=max(each.seconds for each in seen),
        confirmed_writes=sum(each.acknowledged for each in seen),
        lost_writes=sum(each.lost for each in seen),
    )
    assert min(each.acknowledged for each in seen) > 0
    assert [each.lost for each in seen] == [0] * 5
    assert max(each.seconds for each in seen) < LONGEST_FAILOVER
