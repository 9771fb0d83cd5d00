"""Names and labels, in one place so that a creator and a selector can never disagree.

Label keys: kubernetes.io, "Recommended Labels".
"""

from __future__ import annotations

from dataclasses import dataclass

SELECTOR_KEY = "app"
_APPLICATION = "app.kubernetes.io/name"
_INSTANCE = "app.kubernetes.io/instance"
_COMPONENT = "app.kubernetes.io/component"
NO_CLUSTER_IP = "None"
"""What makes a Service headless: its name resolves to the pods themselves."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What an object belongs to.

    Attributes:
        application: The application as a whole (`app.kubernetes.io/name` and `/part-of`).
        instance: This installation of it, unique in its namespace.
        component: The part of the application that the object serves.
    """

    application: str
    instance: str
    component: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every object; never a version, which would change what must not change."""
        return {
            **self.of_installation,
            _COMPONENT: self.component,
            "app.kubernetes.io/part-of": self.application,
            "app.kubernetes.io/managed-by": "pulumi",
        }

    @property
    def of_installation(self) -> dict[str, str]:
        """What selects all of the installation in its namespace, and nothing of others there."""
        return {_APPLICATION: self.application, _INSTANCE: self.instance}

    @property
    def of_component(self) -> dict[str, str]:
        """What selects the pods of a component's Jobs, which no workload selects."""
        return {_INSTANCE: self.instance, _COMPONENT: self.component}

    def of_workload(self, workload: str) -> dict[str, str]:
        """What selects a workload's pods, and nobody's who calls something by the same name."""
        return {_INSTANCE: self.instance, **selector(workload)}

    def pod_labels(self, workload: str, version: str) -> dict[str, str]:
        """The labels of a workload's pods: its selector, and the version that runs."""
        return {**self.labels, **selector(workload), "app.kubernetes.io/version": version}


def selector(workload: str) -> dict[str, str]:
    """What selects a workload's pods: its name alone, because selectors can never be changed."""
    return {SELECTOR_KEY: workload}


def autoscaler_name(workload: str) -> str:
    """The HorizontalPodAutoscaler of a workload."""
    return f"{workload}-hpa"


def headless_name(workload: str) -> str:
    """The Service that names the pods of a stateful workload."""
    return f"{workload}-headless"


def disruption_budget_name(workload: str) -> str:
    """The PodDisruptionBudget of a workload."""
    return f"{workload}-pdb"


def policy_name(workload: str) -> str:
    """The NetworkPolicy of a workload's pods."""
    return f"{workload}-netpol"
