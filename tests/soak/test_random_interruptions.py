"""Twenty times an `up` is killed at a random moment, and the next one has to finish its work."""

from __future__ import annotations

from tests.cluster.deployment import Deployment
from tests.cluster.interruptions import survive


def test_up_survives_being_killed_at_twenty_moments(deployment: Deployment) -> None:
    assert deployment.command("destroy").returncode == 0
    survive(deployment, 20)
