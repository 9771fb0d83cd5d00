"""Fifty data pods are killed at random under writers that never stop."""

from __future__ import annotations

from tests.cluster.deployment import Deployment
from tests.cluster.random_kills import survive


def test_nothing_acknowledged_is_lost_when_fifty_pods_are_killed(deployment: Deployment) -> None:
    survive(deployment, 50)
