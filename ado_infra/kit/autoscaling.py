"""Autoscaling: what a HorizontalPodAutoscaler is told to watch, and how fast it may move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pulumi_kubernetes.autoscaling.v2 import (
    ContainerResourceMetricSourceArgs,
    CrossVersionObjectReferenceArgs,
    ExternalMetricSourceArgs,
    HorizontalPodAutoscalerBehaviorArgs,
    HorizontalPodAutoscalerSpecArgs,
    HPAScalingPolicyArgs,
    HPAScalingRulesArgs,
    MetricIdentifierArgs,
    MetricSpecArgs,
    MetricTargetArgs,
    ResourceMetricSourceArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs

from ado_infra.kit.spec import Scaling, ScalingStep


@dataclass(frozen=True, kw_only=True)
class Autoscaling:
    """Between which numbers of pods an autoscaler moves, and on what.

    Attributes:
        bounds: The least and the most, and the CPU load to hold.
        metrics: What it goes by beside CPU; whichever asks for most pods wins.
        behavior: How fast; Kubernetes' own pace when not given.
    """

    bounds: Scaling
    metrics: tuple[MetricSpecArgs, ...] = ()
    behavior: HorizontalPodAutoscalerBehaviorArgs | None = None

    def spec(
        self, deployment: str, container: str | None = None
    ) -> HorizontalPodAutoscalerSpecArgs:
        """The autoscaler of a Deployment.

        `container`: the one whose CPU counts, where others in the pod would blur it.
        """
        return HorizontalPodAutoscalerSpecArgs(
            scale_target_ref=CrossVersionObjectReferenceArgs(
                api_version="apps/v1", kind="Deployment", name=deployment
            ),
            min_replicas=self.bounds.min_replicas,
            max_replicas=self.bounds.max_replicas,
            metrics=[*self.metrics, cpu_metric(self.bounds.cpu_utilization, container)],
            behavior=self.behavior,
        )


def cpu_metric(utilization: int, container: str | None = None) -> MetricSpecArgs:
    """The average CPU utilization to hold, in percent of the request: a container's or a pod's."""
    target = MetricTargetArgs(type="Utilization", average_utilization=utilization)
    if container:
        source = ContainerResourceMetricSourceArgs(name="cpu", container=container, target=target)
        return MetricSpecArgs(type="ContainerResource", container_resource=source)
    return MetricSpecArgs(
        type="Resource", resource=ResourceMetricSourceArgs(name="cpu", target=target)
    )


def external_metric(name: str, per_pod: int, labels: Mapping[str, str] | None) -> MetricSpecArgs:
    """A number from outside the cluster's own metrics, shared out over the pods.

    `labels`: which of several series of the name; None for the only one.
    """
    series = LabelSelectorArgs(match_labels=dict(labels)) if labels else None
    target = MetricTargetArgs(type="AverageValue", average_value=str(per_pod))
    source = ExternalMetricSourceArgs(
        metric=MetricIdentifierArgs(name=name, selector=series), target=target
    )
    return MetricSpecArgs(type="External", external=source)


def behavior(up: ScalingStep, down: ScalingStep) -> HorizontalPodAutoscalerBehaviorArgs:
    """How fast an autoscaler moves in each direction."""
    return HorizontalPodAutoscalerBehaviorArgs(scale_up=_rules(up), scale_down=_rules(down))


def _rules(step: ScalingStep) -> HPAScalingRulesArgs:
    return HPAScalingRulesArgs(
        stabilization_window_seconds=step.window,
        policies=[HPAScalingPolicyArgs(type="Pods", value=step.pods, period_seconds=step.period)],
    )
