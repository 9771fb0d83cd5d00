"""How long a rollout may take, so that the engine waits as long as a correct one lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import pulumi

_PATIENCE: Final = 600
"""Seconds that the engine waits by itself, and a Deployment without any progress."""
_START: Final = 120
"""Seconds within which a pod is scheduled, pulled and Ready, of one that starts at all."""
_LONG: Final = 1800
"""Seconds from which on a wait is announced."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The pods of a workload, replaced a few at a time.

    Attributes:
        pods: The most that there are.
        at_once: How many are replaced at a time.
        grace_period: Seconds that each may take to end.
    """

    pods: int
    at_once: int
    grace_period: int

    @property
    def rounds(self) -> int:
        """How often some of them are replaced."""
        return math.ceil(self.pods / self.at_once)

    @property
    def seconds(self) -> int:
        """How long all of it may take where each round waits for the pods of the one before.

        They give the room back that the next ones need.
        """
        return _PATIENCE + self.rounds * (self.grace_period + _START)

    @property
    def progress_deadline(self) -> int | None:
        """Seconds without any progress after which it has failed; None for Kubernetes' own 600.

        While old pods end and nothing else has room there is none.
        """
        enough = self.grace_period <= _PATIENCE // 2
        return None if enough else self.grace_period + _PATIENCE

    def announce(self, name: str, resource: pulumi.Resource) -> None:
        """Says how long it may take, where that is long."""
        if self.seconds > _LONG:
            pulumi.log.info(
                f"A rollout of {name} may take {math.ceil(self.seconds / 60)} minutes: up to "
                f"{self.pods} pods, {self.at_once} at a time, each with {self.grace_period} s to "
                f"end and {_START} s to start, and {_PATIENCE} s beyond",
                resource,
            )
