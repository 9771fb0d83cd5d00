"""The operator's commands for Redis: a lost volume, a lost nodes.conf, a master is exchanged."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from sandbox.cluster import kubectl
from sandbox.paths import Sandbox
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.redis_clients import ask
from tests.cluster.redis_cluster import (
    KEYS,
    SIX,
    START,
    THREE,
    Node,
    assert_whole,
    away,
    delete_pods,
    directory_of,
    host_of,
    nodes,
    read,
    restart,
    seconds_until,
    slot_of,
    tag_of,
    tell,
    three_masters,
    with_replicas,
    write,
    writer,
)
from tests.cluster.runbooks import commands, section


@pytest.fixture(scope="module")
def three(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The dev stack with three masters that answer when a write is on disk, and keys in them."""
    deployment = three_masters(cluster, tmp_path_factory.mktemp("redis"))
    yield deployment
    deployment.reset()


@pytest.fixture(scope="module")
def six(three: Deployment) -> Iterator[Deployment]:
    """The same with a replica of each master."""
    with with_replicas(three):
        seconds_until(lambda: assert_whole(three, SIX, KEYS))
        yield three


def _ado(deployment: Deployment, *words: str, refused: str = "") -> None:
    """Runs `ado-ops redis …`, which succeeds, or is refused in these words."""
    done = deployment.ops("redis", *words)
    assert done.returncode == (1 if refused else 0), f"{words}: {done.stdout}{done.stderr}"
    assert refused in done.stderr


def _advised(deployment: Deployment, command: str) -> None:
    """Waits until `status` names a command."""

    def named() -> None:
        status = deployment.ops("redis", "status")
        assert f"`ado-ops redis {command}`" in status.stdout, status.stdout + status.stderr

    seconds_until(named)


def _kept(deployment: Deployment, pod: str) -> set[str]:
    """The names of `KEYS` that a node has, also where it serves none."""
    found = ask(deployment, [(host_of(pod), "SCAN", "0", "MATCH", "kept-*", "COUNT", "100000")])
    return {key for key in KEYS if f"'{key}'" in found[0].said}


def _lose_volume(deployment: Deployment, pod: str) -> None:
    deployment.kubectl("delete", "pvc", f"data-{pod}", "-n", NAMESPACE, "--wait=false")
    restart(deployment, pod)


def _damage(deployment: Deployment, pod: str, key: str) -> None:
    """What begins the last command about a key in a pod's log is another byte."""
    logs = directory_of(deployment, pod) / "appendonlydir"
    log = max(logs.glob("*.incr.aof"), key=lambda file: file.stat().st_mtime)
    content = log.read_bytes()
    with log.open("r+b") as file:
        file.seek(content.rindex(b"*3\r\n", 0, content.rindex(key.encode())))
        file.write(b"X")


def _pair(deployment: Deployment) -> tuple[str, str]:
    """A master, and its replica."""
    found: dict[str, Node] = nodes(deployment, SIX)
    replica = next(pod for pod, node in found.items() if node.master)
    return next(pod for pod in SIX if found[pod].id == found[replica].master), replica


class TestWithoutReplicas:
    def test_a_node_that_lost_its_nodes_conf_gets_its_slots_again_with_its_keys(
        self, three: Deployment
    ) -> None:
        before = nodes(three, THREE)["redis-1"]
        with away(three, "redis-1"):
            (directory_of(three, "redis-1") / "nodes.conf").unlink()
        _advised(three, "replace redis-1")
        _ado(three, "replace", "redis-1")
        after = nodes(three, THREE)["redis-1"]
        assert (after.id != before.id, after.slots) == (True, before.slots)
        seconds_until(lambda: assert_whole(three, THREE, KEYS))

    def test_the_slots_of_a_lost_volume_are_given_out_anew_when_somebody_says_so(
        self, three: Deployment
    ) -> None:
        before = nodes(three, THREE)["redis-2"]
        _lose_volume(three, "redis-2")
        _advised(three, "replace redis-2 --accept-loss")
        _ado(three, "replace", "redis-2", refused="--accept-loss")
        _ado(three, "replace", "redis-2", "--accept-loss")
        assert nodes(three, THREE)["redis-2"].slots == before.slots
        seconds_until(lambda: assert_whole(three, THREE, {}))
        kept = {key: value for key, value in KEYS.items() if slot_of(key) not in before.slots}
        found = {
            key: answer.said for key, answer in read(three, KEYS, THREE[:1])["redis-0"].items()
        }
        assert found == dict.fromkeys(KEYS, "None") | kept
        write(three, KEYS)

    def test_a_damaged_log_is_cut_off_where_it_is_damaged(self, three: Deployment) -> None:
        share, pod = nodes(three, THREE)["redis-1"].slots, "redis-1"
        last = f"{tag_of(share)}damaged"
        write(three, {last: "written"})
        names = three.kubectl("get", "nodes", "-o", "name").split()
        three.kubectl("cordon", *names)
        try:
            delete_pods(three, pod)
            _damage(three, pod, last)
        finally:
            three.kubectl("uncordon", *names)

        def said() -> None:
            done = kubectl.attempt(three.sandbox, "logs", pod, "-n", NAMESPACE)
            assert "Bad file format reading the append only file" in done.stdout

        seconds_until(said, START)
        image, fix = commands(section("A damaged log of Redis"))
        node, found = three.kubectl(*shlex.split(image)[1:]).split()
        # It asks before it cuts; and nobody sits at a terminal here.
        typed = fix.replace(" -it ", " -i ").replace("NODE", node).replace("IMAGE", found)
        three.kubectl(*shlex.split(typed)[1:], given="y\n")
        three.wait_until_ready()
        seconds_until(lambda: assert_whole(three, THREE, KEYS))
        assert read(three, [last], [pod])[pod][last].said == "None"

    def test_a_whole_cluster_is_left_alone(self, three: Deployment) -> None:
        before = nodes(three, THREE)
        _ado(three, "heal")
        _ado(three, "replace", "redis-1", "--accept-loss")
        assert nodes(three, THREE) == before


class TestWithReplicas:
    def test_a_replica_and_its_master_are_exchanged_without_a_loss(self, six: Deployment) -> None:
        master, replica = _pair(six)
        masters = [pod for pod, node in nodes(six, SIX).items() if not node.master]
        with writer(six, masters, "exchanged") as (told, lost):
            told.goes_on()
            _ado(six, "failover", replica)
        found = nodes(six, SIX)
        assert found[master].master == found[replica].id
        assert lost() == set()
        _ado(six, "failover", replica)  # which is the master already
        seconds_until(lambda: assert_whole(six, SIX, KEYS))

    def test_without_its_master_a_replica_takes_over_when_somebody_says_so(
        self, six: Deployment
    ) -> None:
        master, replica = _pair(six)
        # As one that has not heard of its master for a minute: it does not take over by itself.
        tell(six, [replica], "config set cluster-replica-no-failover yes")
        with away(six, master):
            _advised(six, f"failover {replica} --accept-loss")
            _ado(six, "failover", replica, refused="--accept-loss")
            assert nodes(six, [replica])[replica].master
            _ado(six, "failover", replica, "--accept-loss")
            assert not nodes(six, [replica])[replica].master

            def served() -> None:
                there = [pod for pod in SIX if pod != master]
                for pod, answers in read(six, KEYS, there).items():
                    said = {key: answer.said for key, answer in answers.items()}
                    assert said == KEYS, f"{pod}: {said}"

            seconds_until(served)
        tell(six, [replica], "config set cluster-replica-no-failover no")
        seconds_until(lambda: assert_whole(six, SIX, KEYS))

    @pytest.mark.parametrize("role", ["master", "replica"])
    def test_a_lost_volume_is_filled_by_one_command(self, role: str, six: Deployment) -> None:
        master, replica = _pair(six)
        # A master's replica takes over first; until then `status` does not name the command.
        lost, heir = (master, replica) if role == "master" else (replica, master)
        old = nodes(six, [lost])[lost].id
        _lose_volume(six, lost)
        _advised(six, f"replace {lost}")
        _ado(six, "replace", lost)
        found = nodes(six, SIX)
        assert (found[lost].id != old, found[lost].master) == (True, found[heir].id)
        seconds_until(lambda: assert_whole(six, SIX, KEYS))

    def test_a_lost_nodes_conf_is_as_a_lost_volume_where_its_replica_took_over(
        self, six: Deployment
    ) -> None:
        lost, heir = _pair(six)
        with away(six, lost):

            def taken_over() -> None:
                assert not nodes(six, [heir])[heir].master

            seconds_until(taken_over)
            (directory_of(six, lost) / "nodes.conf").unlink()
        _advised(six, f"replace {lost} --accept-loss")
        keys = _kept(six, lost)
        assert keys
        _ado(six, "replace", lost, refused="--accept-loss")
        assert _kept(six, lost) == keys
        _ado(six, "replace", lost, "--accept-loss")
        found = nodes(six, SIX)
        assert found[lost].master == found[heir].id
        seconds_until(lambda: assert_whole(six, SIX, KEYS))
