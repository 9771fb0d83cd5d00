"""Disruption budgets: what a node drain must leave standing."""

from __future__ import annotations

from pulumi_kubernetes.meta.v1 import LabelSelectorArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudgetSpecArgs

from ado_infra.kit.labels import selector
from ado_infra.kit.spec import Disruption


def disruption_budget(workload: str, disruption: Disruption) -> PodDisruptionBudgetSpecArgs:
    """The budget of a workload.

    Pods that are not ready may always be evicted: they serve nobody, and would otherwise block
    a drain for ever.
    """
    return PodDisruptionBudgetSpecArgs(
        min_available=disruption.min_available,
        max_unavailable=disruption.max_unavailable,
        selector=LabelSelectorArgs(match_labels=selector(workload)),
        unhealthy_pod_eviction_policy="AlwaysAllow",
    )
