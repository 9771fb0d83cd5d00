"""The Redis cluster of a deployment, node by node: who has which slots, what clients are told."""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.paths import Sandbox
from tests.cluster.data import redis, redis_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.redis_clients import WRITE, WRITE_FOR_EVER, Answer, ask, given_line, run
from tests.cluster.writing import Acknowledged, patiently, writing

DEADLINE = 60.0
"""Seconds in which a cluster heals by itself."""
START = 120.0
"""Seconds in which killed pods are made anew and start."""
LONGEST_FAILOVER = 5.0 + 10.0
"""The cluster's timeout of nodes, and ten seconds."""
SERVER = r"^redis-server "
"""The command line of a node."""
SLOTS = 16384
THREE, SIX = ([f"redis-{ordinal}" for ordinal in range(pods)] for pods in (3, 6))
KEYS = {f"kept-{number}": f"value {number}" for number in range(90)}


@dataclass(frozen=True)
class Node:
    """A node as it describes itself."""

    id: str
    address: str
    master: str
    """The id of its master; empty for a master."""
    slots: range


def host_of(pod: str) -> str:
    """The name under which a pod is asked."""
    return f"{pod}.redis-headless"


def slot_of(key: str) -> int:
    """The slot of a key without a hash tag."""
    return binascii.crc_hqx(key.encode(), 0) % SLOTS


def tag_of(slots: range) -> str:
    """A hash tag, in braces, whose slot is one of these."""
    return next(f"{{{n}}}" for n in range(SLOTS) if slot_of(str(n)) in slots)


def nodes(deployment: Deployment, pods: Iterable[str]) -> dict[str, Node]:
    """Pod → its node."""
    pods = list(pods)
    answers = ask(deployment, [(host_of(pod), "CLUSTER", "NODES") for pod in pods])
    found: dict[str, Node] = {}
    for pod, answer in zip(pods, answers, strict=True):
        own = [line.split() for line in answer.said.splitlines() if "myself" in line]
        assert own, f"{pod}: {answer.said}"
        identity, address, _, master, *rest = own[0]
        first, _, last = rest[4].partition("-") if len(rest) > 4 else ("0", "", "-1")
        found[pod] = Node(
            id=identity,
            address=address.partition(":")[0],
            master=master.strip("-"),
            slots=range(int(first), int(last or first) + 1),
        )
    return found


def settings(replicas: int) -> dict[str, Any]:
    """Redis with so many replicas of each master, which answers when a write is on disk."""
    return {"ado:redis": {"appendfsync": "always", "replicasPerMaster": replicas}}


def three_masters(cluster: Sandbox, directory: Path) -> Deployment:
    """The dev stack with three masters that answer when a write is on disk, and keys in them."""
    deployment = Deployment(cluster, directory)
    deployment.up(settings(0))
    write(deployment, KEYS)
    return deployment


@contextmanager
def with_replicas(deployment: Deployment) -> Generator[None]:
    """Six pods during the block; before and after it three, as docs/data-runbooks.md says."""
    deployment.up(settings(1))
    try:
        yield
    finally:
        give_up_replicas(deployment)
        claims = [f"data-{pod}" for pod in SIX[3:]]
        deployment.kubectl("delete", "pvc", *claims, "-n", NAMESPACE)
        seconds_until(lambda: assert_whole(deployment, THREE, KEYS))


def give_up_replicas(deployment: Deployment) -> None:
    """Six pods become three masters, which forget the others; the claims are kept.

    Whoever of the others is a master by then hands over before it ends.
    """
    deployment.up(settings(0))

    def healed() -> None:
        done = deployment.ops("redis", "heal")
        assert done.returncode == 0, done.stdout + done.stderr

    seconds_until(healed)


def throw_away(deployment: Deployment) -> None:
    """Redis is gone with all that it has, without handing over; the next `up` makes it anew."""
    of_redis = ("-n", NAMESPACE, "-l", "app=redis")
    deployment.kubectl("delete", "statefulset", "redis", "-n", NAMESPACE, "--cascade=orphan")
    deployment.kubectl("delete", "pods", *of_redis, "--grace-period=1")
    claims = [f"data-{pod}" for pod in SIX]
    deployment.kubectl("delete", "pvc", *claims, "-n", NAMESPACE, "--ignore-not-found")


def tell(deployment: Deployment, pods: Iterable[str], command: str) -> dict[str, str]:
    """Gives each of these nodes a command; what it says to it, whatever that is."""
    password = redis_password(deployment)
    return {pod: redis(deployment, password, command, host_of(pod)) for pod in pods}


def write(deployment: Deployment, keys: Mapping[str, str]) -> None:
    """Writes every key wherever it belongs."""
    asked = [(host_of("redis-0"), "SET", key, value) for key, value in keys.items()]
    answers = ask(deployment, asked)
    again = [
        (answer.moved, *words[1:])
        for words, answer in zip(asked, answers, strict=True)
        if answer.moved
    ]
    said = {answer.said for answer in [*answers, *ask(deployment, again)] if not answer.moved}
    assert said == {"OK"}


def read(
    deployment: Deployment, keys: Iterable[str], pods: Iterable[str]
) -> dict[str, dict[str, Answer]]:
    """What a client reads that begins at a pod and goes where it is sent: pod → key → answer.

    One that is sent to a node that is gone gets `unreachable`.
    """
    keys = list(keys)
    asked = [(pod, key) for pod in pods for key in keys]
    answers = ask(deployment, [(host_of(pod), "GET", key) for pod, key in asked])
    sent = [(answer.moved, "GET", key) for (_, key), answer in zip(asked, answers, strict=True)]
    there = iter(ask(deployment, [words for words in sent if words[0]]))
    found: dict[str, dict[str, Answer]] = {}
    for (pod, key), answer in zip(asked, answers, strict=True):
        final = next(there).said if answer.moved else answer.said
        gone = final.startswith(("ConnectionError", "TimeoutError"))
        said = "unreachable" if answer.moved and gone else final
        found.setdefault(pod, {})[key] = Answer(said)
    return found


def assert_whole(deployment: Deployment, pods: Sequence[str], keys: Mapping[str, str]) -> None:
    """Every node reaches the others, and the master it has, if any, and sees all slots served.

    Every key is read through each.
    """
    asked = [("CLUSTER", "INFO"), ("CLUSTER", "NODES"), ("INFO", "replication")]
    told = ask(deployment, [(host_of(pod), *words) for pod in pods for words in asked])
    for pod, info, known, copied in zip(pods, told[::3], told[1::3], told[2::3], strict=True):
        assert "master_link_status:down" not in copied.said, f"{pod}: {copied.said}"
        for line in ("cluster_state:ok", f"cluster_slots_ok:{SLOTS}"):
            assert line in info.said.splitlines(), f"{pod}: {info.said}"
        lines = known.said.splitlines()
        assert len(lines) == len(pods), f"{pod}: {known.said}"
        troubles = (",fail", "handshake", "noaddr", "disconnected")
        assert not [line for line in lines if any(t in line for t in troubles)], known.said
    for pod, answers in read(deployment, keys, pods).items():
        wrong = {key: a.said for key, a in answers.items() if a.said != keys[key]}
        assert wrong == {}, f"{pod}: {len(wrong)} of {len(keys)} keys, {dict([*wrong.items()][:3])}"


def seconds_until(check: Callable[[], None], deadline: float = DEADLINE) -> float:
    """How long it takes until an assertion holds; fails with it at the deadline."""
    began = time.monotonic()
    patiently(check, deadline)
    return time.monotonic() - began


def restart(deployment: Deployment, *pods: str) -> None:
    """Kills these pods at once, and waits until all that follow them answer."""
    delete_pods(deployment, *pods)

    def answer() -> None:
        said = ask(deployment, [(host_of(pod), "PING") for pod in pods])
        assert {each.said for each in said} == {"PONG"}, said

    seconds_until(answer, START)


def create(deployment: Deployment, replicas: int, path: str = "$PATH") -> str:
    """What create.sh prints when a pod runs it, and its exit code in a last line."""
    script = f'PATH={path} sh "$CONFIG/create.sh" 3 {replicas}; echo "exit code $?"'
    return deployment.shell(script, "redis-0")


@contextmanager
def away(deployment: Deployment, pod: str) -> Generator[None]:
    """A pod is gone during the block, and starts again with its volume after it."""
    names = deployment.kubectl("get", "nodes", "-o", "name").split()
    deployment.kubectl("cordon", *names)
    try:
        delete_pods(deployment, pod)
        yield
    finally:
        deployment.kubectl("uncordon", *names)
    deployment.wait_until_ready()


def delete_pods(deployment: Deployment, *which: str) -> None:
    """Kills pods after a second, and waits until the kubelets say that they are gone.

    Without what they would do first, as on a node that goes down.
    """
    for pod in which:
        with suppress(SandboxError):  # it does not run
            deployment.shell('rm -f "$RUN/hand_over.sh"', pod)
    deployment.kubectl("delete", "pods", *which, "-n", NAMESPACE, "--grace-period=1")


def directory_of(deployment: Deployment, pod: str) -> Path:
    """The directory of this machine that is a pod's volume."""
    claim = ["get", "pvc", f"data-{pod}", "-n", NAMESPACE, "-o", "jsonpath={.spec.volumeName}"]
    return deployment.sandbox.volumes / deployment.kubectl(*claim)


@dataclass(frozen=True)
class Failover:
    """What a writer saw of it."""

    seconds: float
    """From the last write that was answered to the next one."""
    acknowledged: int
    """Writes that `WAIT 1` said are in two places."""
    lost: int
    """Of those."""


def fail_over(deployment: Deployment, pods: Sequence[str], round_: str = "") -> Failover:
    """Takes a master away under a writer until another takes over, and gives it back."""
    before = nodes(deployment, pods)
    lost = next(pod for pod, node in before.items() if not node.master)
    tag = tag_of(before[lost].slots) + round_
    hosts = [host_of(lost), *(host_of(pod) for pod in pods if pod != lost)]
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(run, deployment, WRITE, hosts=hosts, tag=tag, longest=90)

        def begun() -> None:
            assert read(deployment, [f"{tag}9"], [lost])[lost][f"{tag}9"].said == "9"

        seconds_until(begun)
        with away(deployment, lost):
            seen = writing.result()
    assert seen["outage"], f"nobody has taken over from {lost}"
    survivor = next(pod for pod in pods if pod != lost)
    written = {f"{tag}{number}": str(number) for number in seen["acknowledged"]}
    kept = read(deployment, written, [survivor])[survivor]
    return Failover(
        seconds=seen["outage"],
        acknowledged=len(written),
        lost=sum(kept[key].said != value for key, value in written.items()),
    )


@contextmanager
def writer(
    deployment: Deployment, pods: Sequence[str], name: str
) -> Generator[tuple[Acknowledged, Callable[[], set[int]]]]:
    """A client that writes to these masters in turn during the block.

    Yields what it has been told, and a function that tells which of that is not there.
    """
    shares = [(host_of(p), f"{tag_of(n.slots)}{name}-") for p, n in nodes(deployment, pods).items()]

    def lost() -> set[int]:
        keys = {f"{shares[number % len(shares)][1]}{number}": number for number in told.rows}
        kept = read(deployment, keys, pods[:1])[pods[0]]
        return {number for key, number in keys.items() if kept[key].said != str(number)}

    with writing(deployment, WRITE_FOR_EVER, given_line(deployment, shares=shares)) as told:
        yield told, lost
