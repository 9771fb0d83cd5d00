"""The cluster of the tests, for the long runs."""

from __future__ import annotations

from tests.cluster.conftest import cluster, deployment, pair, pair_deployment, undeployed

__all__ = ["cluster", "deployment", "pair", "pair_deployment", "undeployed"]
