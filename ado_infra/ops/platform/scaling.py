"""Autoscalers as they are: what each one watches, what it sees of it, and between which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubernetes.utils.quantity import parse_quantity

from ado_infra.ops.platform.objects import Model, condition


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure that an autoscaler holds, averaged over the pods."""

    name: str
    selector: Mapping[str, str]
    """Which of several metrics of that name, such as `queue: gpu`; empty where there is one."""
    current: str | None
    """With its unit, as the target; None as long as it could not be read."""
    target: str
    served: bool
    """False when the autoscaler has asked for it and got no answer."""

    def __str__(self) -> str:
        which = f"[{', '.join(self.selector.values())}]" if self.selector else ""
        return f"{self.name}{which} {self.current or '?'}/{self.target}"


@dataclass(frozen=True, kw_only=True)
class Autoscaler:
    """`cpu 3%/70%; 1 to 2`: what it watches, and its bounds in pods."""

    minimum: int
    maximum: int
    metrics: tuple[Metric, ...]

    @property
    def bounds(self) -> str:
        """`1 to 2`."""
        return f"{self.minimum} to {self.maximum}"

    @property
    def unserved(self) -> tuple[str, ...]:
        """External metrics that nobody serves; the autoscaler goes by the others."""
        return tuple(metric.name for metric in self.metrics if not metric.served)

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.metrics))}; {self.bounds}"


def autoscaler(scaler: Model) -> Autoscaler:
    """A HorizontalPodAutoscaler, its External metrics and those of a pod's resources.

    Where only one container of the pod counts, it is called as that of the pod.
    """
    status = scaler.status
    seen = {
        _key(metric): _figure(_source(metric).current)
        for metric in (status and status.current_metrics) or []
        if _source(metric)
    }
    active = condition(scaler, "ScalingActive") if status else None
    looked = active is not None and active.reason != "ScalingDisabled"
    return Autoscaler(
        minimum=scaler.spec.min_replicas or 1,
        maximum=scaler.spec.max_replicas,
        metrics=tuple(
            _metric(metric, seen.get(_key(metric)), looked=looked)
            for metric in scaler.spec.metrics or []
            if _source(metric)
        ),
    )


def _metric(metric: Model, current: str | None, *, looked: bool) -> Metric:
    name, selector = _key(metric)
    return Metric(
        name=name,
        selector=dict(selector),
        current=current,
        target=_figure(_source(metric).target),
        served=not metric.external or not looked or current is not None,
    )


def _source(metric: Model) -> Model:
    """What a metric is of, of the kinds that are known here."""
    return metric.resource or metric.container_resource or metric.external


def _key(metric: Model) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What a metric is called, and the labels that pick one of several."""
    if not metric.external:
        return _source(metric).name, ()
    named = metric.external.metric
    labels = (named.selector and named.selector.match_labels) or {}
    return named.name, tuple(sorted(labels.items()))


def _figure(value: Model) -> str:
    """A target or a current value: percent of the request, or a plain number."""
    if value.average_utilization is not None:
        return f"{value.average_utilization}%"
    return f"{float(parse_quantity(value.average_value or value.value)):g}"
