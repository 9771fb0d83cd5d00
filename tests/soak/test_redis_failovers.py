"""Five masters of Redis are lost, one after the other; and what else takes long to show."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import pytest

from sandbox.paths import Sandbox
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.redis_clients import ask
from tests.cluster.redis_cluster import (
    KEYS,
    LONGEST_FAILOVER,
    SIX,
    THREE,
    assert_whole,
    away,
    create,
    directory_of,
    fail_over,
    give_up_replicas,
    host_of,
    nodes,
    read,
    restart,
    seconds_until,
    settings,
    tag_of,
    tell,
    three_masters,
    with_replicas,
    write,
)
from tests.cluster.reliability import record

CUT = r"""
mkdir -p /tmp/cut
cat >/tmp/cut/redis-cli <<END
#!/bin/sh
case "\$*" in
*" -e "*) rm /tmp/cut/once || exit 1 ;;
esac
exec $(command -v redis-cli) "\$@"
END
chmod +x /tmp/cut/redis-cli
touch /tmp/cut/once
"""
CUTTING = "/tmp/cut:$PATH"  # noqa: S108 - the pod's own
"""A `redis-cli` that tells a node one thing, and then fails: so create.sh is cut off there."""


@pytest.fixture(scope="module")
def three(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack with three masters that answer when a write is on disk, and keys in them."""
    return three_masters(cluster, tmp_path_factory.mktemp("redis"))


@pytest.fixture(scope="module")
def six(three: Deployment) -> Iterator[Deployment]:
    """The same with a replica of each master."""
    with with_replicas(three):
        yield three


def test_cut_off_after_each_of_its_steps_the_next_one_goes_on(three: Deployment) -> None:
    claims = [f"data-{pod}" for pod in THREE]
    three.kubectl("delete", "pvc", *claims, "-n", NAMESPACE, "--wait=false")
    restart(three, *THREE)
    assert {len(node.slots) for node in nodes(three, THREE).values()} == {0}
    # The applications must write nothing yet: where there are keys no slots are given out.
    tell(three, THREE, "config set cluster-require-full-coverage yes")
    endings: list[str] = []
    while "exit code 0\n" not in endings:
        assert three.shell(CUT, "redis-0") == ""
        endings.append(create(three, 0, CUTTING).splitlines(keepends=True)[-1])
        assert len(endings) < 10, endings
    # Two nodes met the first, three got slots; the last of these was not cut off.
    assert endings == [*(["exit code 1\n"] * 4), "exit code 0\n"]
    shares = [range(5461), range(5461, 10922), range(10922, 16384)]
    assert [node.slots for node in nodes(three, THREE).values()] == shares
    tell(three, THREE, "config set cluster-require-full-coverage no")
    write(three, KEYS)
    seconds_until(lambda: assert_whole(three, THREE, KEYS))
    three.wait_until_ready()


def test_cut_off_from_the_majority_a_master_refuses_until_one_is_back(three: Deployment) -> None:
    with away(three, "redis-1"), away(three, "redis-2"):

        def refuses() -> None:
            answers = read(three, KEYS, ["redis-0"])["redis-0"].values()
            said = {answer.said.partition(":")[0] for answer in answers}
            assert said == {"ClusterDownError"}, said

        seconds_until(refuses)
    seconds_until(lambda: assert_whole(three, THREE, KEYS))


def test_a_write_is_on_both_disks_when_waitaof_says_so(six: Deployment) -> None:
    master, node = next((pod, node) for pod, node in nodes(six, SIX).items() if not node.master)
    key = f"{tag_of(node.slots)}on-both-disks"

    def told() -> None:
        words = (("SET", key, "kept"), ("WAITAOF", "1", "1", "500"))
        answers = ask(six, [(host_of(master), *each) for each in words])
        assert answers[1].said == "[1, 1]", answers

    seconds_until(told)
    replica = next(pod for pod, other in nodes(six, SIX).items() if other.master == node.id)
    for pod in (master, replica):
        logs = (directory_of(six, pod) / "appendonlydir").glob("*.aof")
        assert any(key.encode() in log.read_bytes() for log in logs), pod


def test_each_is_replaced_in_time_and_no_confirmed_write_is_lost(six: Deployment) -> None:
    seen = []
    for number in range(5):
        seen.append(fail_over(six, SIX, f"-{number}-"))
        seconds_until(lambda: assert_whole(six, SIX, KEYS))
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


def test_all_six_restarted_at_once_find_each_other(six: Deployment) -> None:
    restart(six, *SIX)
    healed = seconds_until(lambda: assert_whole(six, SIX, KEYS))
    record("Redis with replicas gets new addresses", seconds_from_start=healed, lost_keys=0)


def test_replicas_that_were_given_up_and_forgotten_come_back(six: Deployment) -> None:
    before = nodes(six, SIX)
    give_up_replicas(six)
    seconds_until(lambda: assert_whole(six, THREE, KEYS))
    six.up(settings(1))
    seconds_until(lambda: assert_whole(six, SIX, KEYS))
    after = nodes(six, SIX)
    assert [after[pod].id for pod in SIX] == [before[pod].id for pod in SIX]
    assert {after[pod].master for pod in SIX[3:]} == {after[pod].id for pod in THREE}
