"""Twenty times an `up` is killed at a random moment, and the next one has to finish its work."""

from __future__ import annotations

from tests.cluster.deployment import Deployment
from tests.cluster.interruptions import survive, survive_without_api


def test_an_up_killed_at_twenty_moments_is_finished_by_the_next(deployment: Deployment) -> None:
    survive(deployment, 20, anew=5)


def test_an_api_server_away_for_three_minutes_is_told_and_the_next_up_goes_on(
    deployment: Deployment,
) -> None:
    survive_without_api(deployment, 180)
