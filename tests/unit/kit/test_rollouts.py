"""How long a rollout may take: as long as a correct one lasts, said before it begins."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from ado_infra.kit.rollouts import Rollout
from tests.support.recording import Recording, record, record_stack

WORKER = "ado-worker-default-workload-deployment"


@pytest.mark.parametrize(
    ("rollout", "at_least"),
    [
        # Fifty busy workers, five at a time, each with a task to end: nine rounds of it.
        (Rollout(pods=50, at_once=5, grace_period=300), 2700),
        (Rollout(pods=3, at_once=1, grace_period=3660), 3 * 3660),
        (Rollout(pods=1, at_once=1, grace_period=30), 600),
    ],
    ids=["a busy pool", "long tasks", "one pod"],
)
def test_the_engine_waits_for_as_long_as_the_pods_are_given(
    rollout: Rollout, at_least: int
) -> None:
    assert at_least < rollout.seconds < 2 * at_least + 1200


def _update_timeouts(stack: Recording) -> dict[str, int]:
    return {
        each.name: int(each.patience["update"].removesuffix("s"))
        for each in stack.objects
        if each.key[0] in {"Deployment", "StatefulSet"}
    }


def test_every_rollout_is_waited_for_by_its_replicas_surge_and_grace(prod: Recording) -> None:
    waited = _update_timeouts(prod)
    assert waited[WORKER] == Rollout(pods=50, at_once=5, grace_period=300).seconds
    assert waited["ado-orchestrator-workload-deployment"] == (
        Rollout(pods=2, at_once=1, grace_period=30).seconds
    )
    assert waited["ado-stores-redis-workload-statefulset"] == (
        Rollout(pods=3, at_once=1, grace_period=60).seconds
    )
    assert len(waited) == 6


@pytest.mark.parametrize(("longest", "deadline"), [(240, None), (3600, 4260)])
def test_pods_that_take_long_to_end_are_no_lack_of_progress(
    longest: int, deadline: int | None
) -> None:
    pool = {"longestTask": longest}
    stack = record_stack("dev", changes={"ado:workerPools": {"default": pool}})
    spec = stack.get("Deployment", "ado-worker")["spec"]
    assert spec.get("progressDeadlineSeconds") == deadline


@pytest.mark.parametrize(("pods", "said"), [(50, True), (2, False)])
def test_a_long_one_is_said_with_its_sum(
    monkeypatch: pytest.MonkeyPatch, *, pods: int, said: bool
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(pulumi.log, "info", lambda message, *_: told.append(message))

    def program() -> None:
        rollout = Rollout(pods=pods, at_once=max(pods // 10, 1), grace_period=300)
        rollout.announce("ado-worker", pulumi.ComponentResource("a:b:C", "c"))

    record(program)
    assert bool(told) is said
    assert not said or "ado-worker may take 80 minutes: up to 50 pods, 5 at a time" in told[0]
