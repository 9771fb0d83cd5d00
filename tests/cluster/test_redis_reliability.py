"""What Redis survives: first as three masters, then with a replica of each."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from sandbox.paths import Sandbox
from tests.cluster.data import ready_container, redis_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.redis_clients import ask
from tests.cluster.redis_cluster import (
    KEYS,
    SERVER,
    SIX,
    SLOTS,
    START,
    THREE,
    assert_whole,
    away,
    create,
    directory_of,
    fail_over,
    host_of,
    nodes,
    read,
    restart,
    seconds_until,
    settings,
    slot_of,
    tag_of,
    three_masters,
    throw_away,
    write,
    writer,
)
from tests.cluster.reliability import record

NOTHING_TO_DO = "create.sh: the cluster is whole; nothing to do\nexit code 0\n"
TWO = ["redis-0", "redis-2"]
"""Who is there while redis-1 is missing."""
NEW_CLIENT = """
import json, sys
from redis.cluster import ClusterNode, RedisCluster
given = json.load(sys.stdin)
nodes = [ClusterNode(*each) for each in given["nodes"]] or None
client = RedisCluster.from_url(given["url"], startup_nodes=nodes, decode_responses=True)
print(client.get(given["key"]))
"""
MEET = 'sh "$RUN/meet.sh"; REDISCLI_AUTH=$(cat "$RUN/password") redis-cli cluster nodes'
"""What the loop beside a node does, and whom the node knows right after it."""


@pytest.fixture(scope="module")
def three(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The dev stack with three masters that answer when a write is on disk, and keys in them."""
    deployment = three_masters(cluster, tmp_path_factory.mktemp("redis"))
    yield deployment
    throw_away(deployment)


@pytest.fixture(scope="module")
def six(three: Deployment) -> Deployment:
    """The same with a replica of each master, which stay: giving them up is `make soak`'s."""
    before = three.pods("redis")
    began = time.monotonic()
    three.up(settings(1))
    record("Redis gets replicas", seconds=time.monotonic() - began)
    assert before < three.pods("redis"), "the old nodes were restarted"
    return three


class TestCreate:
    def test_the_operators_command_finds_it_whole(self, three: Deployment) -> None:
        status = three.ops("redis", "status")
        assert status.returncode == 0, status.stdout
        assert f"Whole: state ok, {SLOTS} of {SLOTS} slots served" in status.stdout

    def test_run_again_it_changes_nothing(self, three: Deployment) -> None:
        before = nodes(three, THREE)
        assert create(three, 0) == NOTHING_TO_DO
        assert nodes(three, THREE) == before
        assert_whole(three, THREE, KEYS)


@pytest.fixture(scope="class")
def lost(three: Deployment) -> range:
    """The slots of redis-1."""
    return nodes(three, THREE)["redis-1"].slots


@pytest.fixture(scope="class")
def two(three: Deployment, lost: range) -> Iterator[Deployment]:
    """The same while redis-1 is away; it brings the keys of its slots back."""
    assert lost
    places = three.nodes_of("redis")
    own = {places[pod] for pod in TWO}
    assert places["redis-1"] not in own, f"a node holds two: {places}"
    with away(three, "redis-1"):
        three.kubectl("uncordon", *own)
        yield three
        began = time.monotonic()
    seconds_until(lambda: assert_whole(three, THREE, KEYS))
    record("Redis loses a node of three", seconds=time.monotonic() - began, lost_keys=0)


class TestOneOfThreeMissing:
    def test_it_takes_its_keys_alone_and_clients_are_told_at_once(
        self, lost: range, two: Deployment
    ) -> None:
        def told() -> None:  # whoever waits for an answer instead is told of a timeout, each time
            for answers in read(two, KEYS, TWO).values():
                for key, answer in answers.items():
                    said = "unreachable" if slot_of(key) in lost else KEYS[key]
                    assert answer.said == said, f"{key}: {answer}"

        seconds_until(told)

    def test_it_is_missed_and_nobody_is_introduced_again_to_whom_it_knows(
        self, two: Deployment
    ) -> None:
        def missed() -> None:
            assert ",fail" in ask(two, [(host_of("redis-0"), "CLUSTER", "NODES")])[0].said

        seconds_until(missed)
        # Votes would be lost with the link. Who is being introduced has a line too, for a moment.
        known = two.shell(MEET, "redis-0")
        assert known.count("\n") == len(THREE), known
        status = two.ops("redis", "status")
        assert status.returncode == 3, status.stderr
        assert "- redis-1" in status.stdout

    @pytest.mark.parametrize("seeds", [[], ["redis-1", "redis-0", "redis-2"]])
    def test_a_client_starts_while_a_seed_is_away(
        self, seeds: list[str], lost: range, two: Deployment
    ) -> None:
        key = next(key for key in KEYS if slot_of(key) not in lost)
        given = {
            "url": f"redis://:{quote(redis_password(two), safe='')}@redis:6379/0",
            "nodes": [(host_of(pod), 6379) for pod in seeds],
            "key": key,
        }
        printed = two.inside(NEW_CLIENT, given=json.dumps(given))
        assert printed.strip() == KEYS[key]

    def test_the_others_find_each_other_at_new_addresses(
        self, lost: range, two: Deployment
    ) -> None:
        kept = {key: value for key, value in KEYS.items() if slot_of(key) not in lost}

        def found() -> None:
            for pod, answers in read(two, kept, TWO).items():
                said = {key: answer.said for key, answer in answers.items()}
                assert said == kept, f"{pod}: {said}"

        restart(two, *TWO)
        healed = seconds_until(found)
        record("Redis gets new addresses while a node is missing", seconds_from_start=healed)


class TestThreeMasters:
    def test_what_was_acknowledged_is_there_after_a_kill(self, three: Deployment) -> None:
        with writer(three, THREE, "killed") as (told, lost):
            before = ready_container(three, "redis-1")
            os.kill(three.process("redis-1", SERVER), signal.SIGKILL)

            def again() -> None:
                assert ready_container(three, "redis-1") not in {"", before}

            seconds_until(again, START)
            told.goes_on()
        seconds_until(lambda: assert_whole(three, THREE, KEYS))
        assert lost() == set()

    def test_half_a_command_at_the_end_of_the_log_is_cut_off(self, three: Deployment) -> None:
        last = f"{tag_of(nodes(three, THREE)['redis-1'].slots)}last"
        write(three, {last: "written"})
        with away(three, "redis-1"):
            logs = directory_of(three, "redis-1") / "appendonlydir"
            log = max(logs.glob("*.incr.aof"), key=lambda file: file.stat().st_mtime)
            # In the middle of this command: after it, the applications may have written too.
            with log.open("r+b") as file:
                file.truncate(log.read_bytes().rindex(last.encode()) + 2)
        said = three.kubectl("logs", "redis-1", "-n", NAMESPACE)
        assert re.search(r"short read while loading the AOF file", said), said
        assert read(three, [last], ["redis-1"])["redis-1"][last].said == "None"
        seconds_until(lambda: assert_whole(three, THREE, KEYS))
        record("Redis has half a command at the end of its log", lost_keys=1)

    def test_all_restarted_at_once_with_new_addresses_they_find_each_other(
        self, three: Deployment
    ) -> None:
        before = nodes(three, THREE)
        began = time.monotonic()
        restart(three, *THREE)
        healed = seconds_until(lambda: assert_whole(three, THREE, KEYS))
        whole = time.monotonic() - began
        after = nodes(three, THREE)
        assert not [pod for pod in THREE if after[pod].address == before[pod].address]
        assert [after[pod].id for pod in THREE] == [before[pod].id for pod in THREE]
        record("Redis gets new addresses", seconds=whole, seconds_from_start=healed, lost_keys=0)


class TestReplicas:
    def test_new_nodes_become_replicas_and_no_key_is_lost(self, six: Deployment) -> None:
        found = nodes(six, SIX)
        assert [found[pod].master for pod in SIX] == ["", "", "", *(found[p].id for p in THREE)]
        assert_whole(six, SIX, KEYS)

    def test_a_master_that_is_lost_is_replaced_and_no_confirmed_write_is_lost(
        self, six: Deployment
    ) -> None:
        seen = fail_over(six, SIX)
        record(
            "Redis loses a master",
            seconds=seen.seconds,
            confirmed_writes=seen.acknowledged,
            lost_writes=seen.lost,
        )
        assert seen.acknowledged > 0
        assert seen.lost == 0  # how long it takes is measured where nothing else runs: `make soak`
        seconds_until(lambda: assert_whole(six, SIX, KEYS))

    def test_a_master_that_is_deleted_hands_over_first(self, six: Deployment) -> None:
        before = nodes(six, SIX)
        master = next(pod for pod in SIX if not before[pod].master)
        heir = next(pod for pod in SIX if before[pod].master == before[master].id)
        six.kubectl("delete", "pod", master, "-n", NAMESPACE)
        log = six.kubectl("logs", heir, "-n", NAMESPACE)
        assert "Manual failover user request accepted" in log
        assert not nodes(six, [heir])[heir].master
        seconds_until(lambda: assert_whole(six, SIX, KEYS))

    def test_create_leaves_exchanged_roles_alone(self, six: Deployment) -> None:
        before = nodes(six, SIX)
        if not any(before[pod].master for pod in THREE):
            fail_over(six, SIX, "again")
            before = nodes(six, SIX)
        assert create(six, 1) == NOTHING_TO_DO
        assert nodes(six, SIX) == before
