"""Autoscaling: how a HorizontalPodAutoscaler is told what to watch."""

from __future__ import annotations

from pulumi_kubernetes.autoscaling.v2 import (
    CrossVersionObjectReferenceArgs,
    HorizontalPodAutoscalerSpecArgs,
    MetricSpecArgs,
    MetricTargetArgs,
    ResourceMetricSourceArgs,
)

from ado_infra.settings import Scaling


def cpu_autoscaler(deployment: str, scaling: Scaling) -> HorizontalPodAutoscalerSpecArgs:
    """Scales a Deployment on the CPU its pods use, in percent of what they request."""
    return HorizontalPodAutoscalerSpecArgs(
        scale_target_ref=CrossVersionObjectReferenceArgs(
            api_version="apps/v1", kind="Deployment", name=deployment
        ),
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        metrics=[cpu_metric(scaling.cpu_utilization)],
    )


def cpu_metric(utilization: int) -> MetricSpecArgs:
    """The average CPU utilization to hold, in percent of the request."""
    target = MetricTargetArgs(type="Utilization", average_utilization=utilization)
    return MetricSpecArgs(
        type="Resource", resource=ResourceMetricSourceArgs(name="cpu", target=target)
    )
