"""The Grafana dashboard: six panels over the metrics that the applications promise.

Metrics, their labels and who exposes them: docs/metrics.md; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import (
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)

from ado_infra.monitoring.service_monitor import SCRAPE_INTERVAL
from ado_infra.settings import NamespaceSettings

LONGEST_UID: Final = 40
"""Grafana's limit."""
_DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_UNJUDGED: Final = (("green", None),)


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One panel with one query.

    Attributes:
        title: What is shown.
        description: How to read it.
        expr: PromQL; without data it returns nothing, never NaN.
        legend: Name of a series, from its labels.
        unit: Grafana's name of the unit.
        thresholds: Colours, each from its value on; the first one from minus infinity.
        stacked: Whether the series add up to something.
    """

    title: str
    description: str
    expr: str
    legend: str
    unit: str
    thresholds: tuple[tuple[str, float | None], ...] = _UNJUDGED
    stacked: bool = False


_PANELS: Final = (
    _Panel(
        title="Task throughput",
        description="Tasks that ended, per second, by queue and by how they ended.",
        expr=(
            "sum by (queue, status) (rate("
            'ado_tasks_total{namespace="$namespace", queue=~"$queue"}[$__rate_interval]))'
        ),
        legend="{{queue}} {{status}}",
        unit=units.OpsPerSecond,
        stacked=True,
    ),
    _Panel(
        title="Success rate",
        description=(
            "Share of the tasks that succeeded, among those that succeeded or failed; cancelled "
            "ones say nothing. Empty while no task ends."
        ),
        # A queue where nothing ever succeeded has no such series: it counts as zero.
        expr=(
            "(sum by (queue) (rate("
            'ado_tasks_total{namespace="$namespace", queue=~"$queue", status="succeeded"}'
            "[$__rate_interval]))"
            " or 0 * sum by (queue) (rate("
            'ado_tasks_total{namespace="$namespace", queue=~"$queue", status="failed"}'
            "[$__rate_interval])))"
            " / (sum by (queue) (rate("
            'ado_tasks_total{namespace="$namespace", queue=~"$queue", status=~"succeeded|failed"}'
            "[$__rate_interval])) > 0)"
        ),
        legend="{{queue}}",
        unit=units.PercentUnit,
        thresholds=(("red", None), ("yellow", 0.9), ("green", 0.95)),
    ),
    _Panel(
        title="Queue length",
        description=(
            "Tasks that wait. The autoscaler of a worker pool aims at 10 for each worker unless "
            "its settings say otherwise."
        ),
        # Every orchestrator reports the whole queue: a sum would count it once for each.
        expr='max by (queue) (ado_task_queue_length{namespace="$namespace", queue=~"$queue"})',
        legend="{{queue}}",
        unit=units.Short,
    ),
    _Panel(
        title="Worker utilisation",
        description="Share of the workers' slots in which a task runs.",
        expr=(
            'sum by (queue) (ado_worker_busy_slots{namespace="$namespace", queue=~"$queue"})'
            " / (sum by (queue) ("
            'ado_worker_slots{namespace="$namespace", queue=~"$queue"}) > 0)'
        ),
        legend="{{queue}}",
        unit=units.PercentUnit,
        thresholds=(("green", None), ("yellow", 0.8), ("red", 0.95)),
    ),
    _Panel(
        title="Cost per hour",
        description="What the providers charge at the present rate, in US dollars an hour.",
        expr=(
            "3600 * sum by (provider) (rate("
            'ado_cost_dollars_total{namespace="$namespace"}[$__rate_interval]))'
        ),
        legend="{{provider}}",
        unit=units.Dollars,
        stacked=True,
    ),
    _Panel(
        title="Provider availability",
        description="Share of the orchestrators that can use the provider.",
        expr='avg by (provider) (ado_provider_available{namespace="$namespace"})',
        legend="{{provider}}",
        unit=units.PercentUnit,
        thresholds=(("red", None), ("yellow", 0.5), ("green", 1)),
    ),
)


def dashboard_name(instance: str, namespace: str) -> str:
    """What tells the dashboard from those of other platforms, which one Grafana may show together.

    In the default namespace the instance alone, as links to it have been from the first release on.
    """
    return instance if namespace == NamespaceSettings().name else f"{instance}-{namespace}"


def _uid(name: str) -> str:
    if len(name) <= LONGEST_UID:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_UID - 9]}-{digest}"


def render_dashboard(instance: str, namespace: str, queues: tuple[str, ...]) -> str:
    """The dashboard of one platform as JSON; the same arguments give the same text.

    It opens on `namespace` and all queues; `queues` are offered for choice.
    """
    name = dashboard_name(instance, namespace)
    board = (
        dashboard.Dashboard(f"ADO: {name}")
        .uid(_uid(name))
        .tags(["ado"])
        .time("now-6h", "now")
        .timezone("browser")
        .refresh(SCRAPE_INTERVAL)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(_namespace_variable(namespace))
        .with_variable(_queue_variable(queues))
    )
    for number, panel in enumerate(_PANELS, start=1):
        board.with_panel(_timeseries(panel).id(number).span(12).height(8))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True)


def _namespace_variable(namespace: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("namespace")
        .datasource(_DATASOURCE)
        .query('label_values({__name__=~"ado_.+"}, namespace)')
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .current(VariableOption(selected=True, text=namespace, value=namespace))
    )


def _queue_variable(queues: tuple[str, ...]) -> dashboard.CustomVariable:
    """All queues are really all: a queue that no pool serves is worth seeing too."""
    return (
        dashboard.CustomVariable("queue")
        .values(",".join(sorted(queues)))
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _timeseries(panel: _Panel) -> timeseries.Panel:
    # The scrape interval makes $__rate_interval wide enough, whatever the data source's own is.
    query = (
        prometheus.Dataquery()
        .ref_id("A")
        .datasource(_DATASOURCE)
        .expr(panel.expr)
        .legend_format(panel.legend)
        .interval(SCRAPE_INTERVAL)
        .range()
    )
    steps = [Threshold(color=color, value=value) for color, value in panel.thresholds]
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    lines = GraphThresholdsStyleMode.DASHED if len(steps) > 1 else GraphThresholdsStyleMode.OFF
    stacking = StackingMode.NORMAL if panel.stacked else StackingMode.NONE
    shown = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .datasource(_DATASOURCE)
        .with_target(query)
        .unit(panel.unit)
        .min(0)
        .thresholds(thresholds)
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(lines))
        .stacking(common.StackingConfig().mode(stacking))
        .fill_opacity(20 if panel.stacked else 0)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    return shown.max(1) if panel.unit == units.PercentUnit else shown


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )
