"""Clients of the Redis cluster, beside a pod of the dashboard, which no test takes away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.cluster.data import redis_password
from tests.cluster.deployment import Deployment

CLIENT = """
import json, sys, time
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

given = json.loads(sys.stdin.readline())
nodes, gone = {}, {}

def ask(host, *words):
    if host in gone:
        return gone[host]
    try:
        if host not in nodes:
            nodes[host] = Redis(host, 6379, password=given["password"], decode_responses=True,
                socket_connect_timeout=1, socket_timeout=3, retry=Retry(NoBackoff(), 0))
            nodes[host].response_callbacks.clear()  # what the server says, as it says it
        return nodes[host].execute_command(*words)
    except RedisError as error:
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, (ConnectionError, TimeoutError)):
            gone[host] = said  # asked again it would take as long
        return said
"""
ASK = (
    CLIENT
    + """
json.dump([str(ask(host, *words)) for host, *words in given["asked"]], sys.stdout)
"""
)
WRITE = (
    CLIENT
    + """
host, began = given["hosts"][0], time.monotonic()
number, acknowledged, outage, last, back = 0, [], 0.0, began, None
while (now := time.monotonic()) - (back or now) < 2 and now - began < given["longest"]:
    number += 1
    said = ask(host, "SET", f"{given['tag']}{number}", str(number))
    if said == "OK":
        now = time.monotonic()
        if now - last > max(outage, 2.0):
            outage, back = now - last, now
        last = now
        if ask(host, "WAIT", "1", "500") == 1:
            acknowledged.append(number)
        time.sleep(0.005)
        continue
    gone.clear()
    nodes.pop(host, None)
    moved = said.startswith("MovedError")
    another = given["hosts"][number % len(given["hosts"])]
    host = said.rpartition(" ")[2].rpartition(":")[0] if moved else another
    time.sleep(0.1)
json.dump({"acknowledged": acknowledged, "outage": outage, "written": number}, sys.stdout)
"""
)
WRITE_FOR_EVER = (
    CLIENT
    + """
end_with_input()
number = 0
while True:
    number += 1
    host, prefix = given["shares"][number % len(given["shares"])]
    if ask(host, "SET", f"{prefix}{number}", str(number)) == "OK":
        acknowledge(number)
    else:  # nobody knows whether that one was written
        gone.clear()
        nodes.pop(host, None)
    time.sleep(0.02)
"""
)


@dataclass(frozen=True)
class Answer:
    """What a node said."""

    said: str

    @property
    def moved(self) -> str:
        """Where it sent the client; empty when it did not."""
        sent = self.said.startswith("MovedError")
        return self.said.rpartition(" ")[2].rpartition(":")[0] if sent else ""


def ask(deployment: Deployment, asked: Iterable[Sequence[str]]) -> list[Answer]:
    """What hosts answer to commands, given as (host, word, …)."""
    answers = run(deployment, ASK, asked=[list(words) for words in asked])
    return [Answer(answer) for answer in answers]


def run(deployment: Deployment, program: str, **given: Any) -> Any:
    """What a program prints as JSON that is given these values, and the password.

    Not inside the pod: that takes four programs more, and only the share of a core that it has.
    """
    with deployment.start_beside(program) as client:
        printed, _ = client.communicate(given_line(deployment, **given))
    assert client.returncode == 0, "the client failed; what it said is in the captured output"
    return json.loads(printed)


def given_line(deployment: Deployment, **given: Any) -> str:
    """The line that a client reads: these values, and the password."""
    return json.dumps({"password": redis_password(deployment), **given})
