"""The workers' autoscaler: the real controller over queues whose length the test says.

Windows and periods are shortened by settings; the design's own are walked in `make soak`.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from sandbox.paths import Sandbox
from tests.cluster.autoscaling import Autoscaled, autoscaled, autoscaled_once
from tests.cluster.deployment import Deployment
from tests.cluster.external_metrics import ExternalMetrics, external_metrics

WORKER, GPU = "ado-worker", "ado-worker-gpu"


def _pool(least: int, most: int) -> dict[str, Any]:
    """A pool that follows its queue at once, of pods that end at once."""
    step = {"window": 0, "pods": 10, "period": 1}
    return {
        "image": {"tag": "0.1.0"},
        "scaling": {
            "minReplicas": least,
            "maxReplicas": most,
            "scaleUp": step,
            "scaleDown": step,
        },
        "resources": {
            # Idle stand-ins use a few hundredths of it: CPU asks for one pod.
            "requests": {"cpu": "200m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "disruption": {"maxUnavailable": 1},
        "longestTask": 5,
        "drain": {"preStop": 1},
    }


ONE_POOL = {"ado:workerPools": {"default": _pool(3, 10)}}
TWO_POOLS = {"ado:workerPools": {"default": _pool(3, 10), "gpu": _pool(1, 3)}}
WORKERS_BY_TASKS = {0: 3, 31: 3, 34: 4, 70: 7}
"""Ten tasks a worker, never fewer than three; 31 is within the controller's tolerance of 10 %."""
PATIENCE = 3
"""How often the controller must have looked before what it did not do counts."""


@pytest.fixture(scope="module")
def workers(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack with quick workers, three at least; nobody serves their queue yet."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("workers"))
    deployment.up(ONE_POOL)
    return deployment


@pytest.fixture(scope="module")
def queues(workers: Deployment) -> Iterator[ExternalMetrics]:
    """What serves the lengths of the queues, from the second test on."""
    with external_metrics(workers.sandbox) as served:
        yield served


def test_without_the_api_cpu_is_read_and_the_queue_is_missing(workers: Deployment) -> None:
    seen = _once_missing(workers, "could not find the requested resource")
    assert 3 == seen.minimum <= seen.desired == seen.replicas


def test_the_length_of_the_queue_sets_the_number_of_workers(
    workers: Deployment, queues: ExternalMetrics
) -> None:
    for waiting, wanted in WORKERS_BY_TASKS.items():
        queues.say(default=waiting)
        queues.wait_until_asked()
        seen = autoscaled_once(workers, WORKER, _goes_by_all, "goes by valid metrics")
        assert seen.pods == (wanted, wanted), f"{waiting} tasks: {seen}"
    _scaled_to_seven(workers, queues)


def test_neither_a_second_up_nor_a_missing_answer_takes_a_worker_away(
    workers: Deployment, queues: ExternalMetrics
) -> None:
    before = _scaled_to_seven(workers, queues)
    assert set(workers.up(ONE_POOL).changes) == {"same"}
    assert autoscaled(workers, WORKER).pods == (7, 7)
    assert workers.pods(WORKER) == before
    troubles = {
        "no metrics returned": queues.say,
        "Not Found": lambda: queues.fail(HTTPStatus.NOT_FOUND),
        "Internal Server Error": lambda: queues.fail(HTTPStatus.INTERNAL_SERVER_ERROR),
    }
    for words, trouble in troubles.items():
        trouble()
        _once_missing(workers, words)
        queues.wait_until_asked(times=PATIENCE)
        assert autoscaled(workers, WORKER).pods == (7, 7)
        assert workers.pods(WORKER) == before
    queues.say(default=0)


def test_each_pool_follows_its_own_queue(workers: Deployment, queues: ExternalMetrics) -> None:
    workers.up(TWO_POOLS)  # and so it stays: no test comes after this one
    for default, gpu, wanted in ((34, 12, (4, 2)), (34, 0, (4, 1)), (0, 25, (3, 3))):
        queues.say(default=default, gpu=gpu)
        for pool in ("default", "gpu"):
            queues.wait_until_asked(f"queue={pool}")
        for workload, count in zip((WORKER, GPU), wanted, strict=True):
            _wait_for(workers, count, workload)


def _scaled_to_seven(workers: Deployment, queues: ExternalMetrics) -> set[str]:
    """The uids of seven workers that are Ready."""
    queues.say(default=70)
    _wait_for(workers, 7)
    workers.wait_until_ready()
    pods = workers.pods(WORKER)
    assert len(pods) == 7
    return pods


def _wait_for(workers: Deployment, count: int, workload: str = WORKER) -> None:
    """To fewer it goes only when CPU is read of every pod: one that is missing counts as busy."""
    autoscaled_once(
        workers,
        workload,
        lambda seen: seen.pods == (count, count) and _goes_by_all(seen),
        f"wants {count} pods",
    )


def _goes_by_all(seen: Autoscaled) -> bool:
    return seen.active.startswith("ValidMetricFound: ")


def _once_missing(workers: Deployment, words: str) -> Autoscaled:
    """Once CPU alone is read: it asks for fewer pods than there are, and is not followed."""
    return autoscaled_once(
        workers,
        WORKER,
        lambda seen: (
            seen.cpu is not None
            and seen.active.startswith("FailedGetExternalMetric: ")
            and words in seen.active
        ),
        f"reads CPU and says of the queue: {words}",
    )
