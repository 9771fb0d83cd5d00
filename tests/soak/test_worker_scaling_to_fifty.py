"""The workers' autoscaler at the design's own pace: from 3 to 50 and back, in forty minutes.

No setting is shortened; the workers are only made small enough for fifty to fit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import client
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from sandbox import files
from sandbox.deploy import rollout
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.external_metrics import ExternalMetrics, external_metrics
from tests.cluster.reliability import circumstances
from tests.support.recording import ROOT

WORKER = "ado-worker"
LEAST, MOST = 3, 50
RESULT = ROOT / "build" / "scaling.json"
SETTINGS = {
    "ado:workerPools": {
        "default": {
            "scaling": {"minReplicas": LEAST, "maxReplicas": MOST},
            "resources": {
                "requests": {"cpu": "50m", "memory": "64Mi"},
                "limits": {"cpu": "500m", "memory": "256Mi"},
            },
        }
    }
}
FILLED = 12 * MOST
"""Tasks that keep fifty workers busy: with 10 for each, 48 were within the controller's 10 %."""
SLACK = 2.0
"""Seconds that a step may seem too early: we look once a second, the controller every five."""


@dataclass(frozen=True)
class Pace:
    """A direction of the design's `behavior`; `window` and `period` in seconds."""

    window: int
    pods: int
    period: int

    @property
    def rules(self) -> dict[str, Any]:
        """As the autoscaler has them."""
        policy = {"type": "Pods", "value": self.pods, "periodSeconds": self.period}
        return {"stabilizationWindowSeconds": self.window, "policies": [policy]}

    def seconds(self, pods: int) -> float:
        """How long so many pods take, when no look of the controller comes late."""
        return self.window + self.period * (-(-pods // self.pods) - 1)


UP, DOWN = Pace(60, 5, 60), Pace(300, 2, 60)


@dataclass(frozen=True)
class Step:
    """The autoscaler's change of the number of workers, `at` seconds after the queue's."""

    at: float
    before: int
    after: int


class Walk:
    """The way from one number of workers to another, as it is seen."""

    def __init__(self, deployment: Deployment, queued: int) -> None:
        self.queued = queued
        self.steps: list[Step] = []
        self._deployment = deployment
        self._started = time.monotonic()
        self._replicas = self._read()

    @property
    def seconds(self) -> float:
        """Since the queue changed."""
        return round(time.monotonic() - self._started, 1)

    def look(self) -> int:
        """The number of workers wanted now; a change of it becomes a step."""
        seen = self._read()
        if seen != self._replicas:
            self.steps.append(Step(self.seconds, self._replicas, seen))
            print(f"{self.queued:4} queued {self.seconds:7.1f} s {self._replicas:3} → {seen}")
            self._replicas = seen
        return seen

    def follow(self, target: int, deadline: float) -> None:
        """Returns when so many workers are wanted."""
        attempts = Retrying(
            stop=stop_after_delay(deadline),
            wait=wait_fixed(1),
            retry=retry_if_result(lambda seen: seen != target),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        assert attempts(self.look) == target, f"not within {deadline:.0f} s: {self.steps}"

    def _read(self) -> int:
        with rollout.api(self._deployment.sandbox) as api:
            apps: Any = client.AppsV1Api(api)
            replicas: int = apps.read_namespaced_deployment(WORKER, NAMESPACE).spec.replicas
        return replicas


@pytest.fixture
def queues(deployment: Deployment) -> Iterator[ExternalMetrics]:
    """An empty queue, and three workers that follow it as the design has it."""
    with external_metrics(deployment.sandbox) as served:
        served.say(default=0)
        deployment.up(SETTINGS)
        served.wait_until_asked()
        yield served


def test_fifty_workers_come_and_go_at_the_designs_pace(
    deployment: Deployment, queues: ExternalMetrics
) -> None:
    scaler = json.loads(
        deployment.kubectl("get", "hpa", f"{WORKER}-hpa", "-n", NAMESPACE, "-o", "json")
    )
    behavior = scaler["spec"]["behavior"]
    for direction, pace in (("scaleUp", UP), ("scaleDown", DOWN)):
        assert behavior[direction].items() >= pace.rules.items()

    walks: list[Walk] = []
    for pace, before, queued, target in ((UP, 0, FILLED, MOST), (DOWN, FILLED, 0, LEAST)):
        # A window begins with the controller's last look at the queue as it was: that is now.
        queues.say(default=before)
        queues.wait_until_asked(times=1)
        queues.say(default=queued)
        walks.append(walk := Walk(deployment, queued))
        assert walk.look() == {MOST: LEAST, LEAST: MOST}[target]
        expected = pace.seconds(MOST - LEAST)
        try:
            walk.follow(target, 1.25 * expected)
        finally:
            _write(walks)
        _assert_paced(walk.steps, pace)
        deployment.wait_until_ready()
        print(f"{target} workers are Ready after {walk.seconds} s")
        assert len(deployment.pods(WORKER)) == target


def _assert_paced(steps: Sequence[Step], pace: Pace) -> None:
    assert steps[0].at >= pace.window - SLACK
    assert len({step.after > step.before for step in steps}) == 1, "it turned back"
    for last in steps:
        lately = [s for s in steps if 0 <= last.at - s.at < pace.period - SLACK]
        moved = sum(abs(step.after - step.before) for step in lately)
        assert moved <= pace.pods, f"{moved} pods within {pace.period} s: {lately}"


def _write(walks: Sequence[Walk]) -> None:
    document = {
        **circumstances(),
        "minimum": LEAST,
        "maximum": MOST,
        "walks": [
            {
                "queued": walk.queued,
                "seconds": walk.steps[-1].at if walk.steps else None,
                "steps": [[step.at, step.before, step.after] for step in walk.steps],
            }
            for walk in walks
        ],
    }
    files.write(RESULT, json.dumps(document, indent=1) + "\n", mode=0o644)
