"""What Prometheus and Grafana are told, and the metrics that applications promise."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ado_infra.monitoring.dashboard import LONGEST_UID, render_dashboard
from ado_infra.monitoring.monitoring import Monitoring, MonitoringArgs
from ado_infra.settings import MonitoringSettings
from ado_infra.site import Site
from tests.support.recording import ROOT, Recording, record

LABELS = {
    "app.kubernetes.io/name": "ado",
    "app.kubernetes.io/instance": "ado",
    "app.kubernetes.io/component": "monitoring",
    "app.kubernetes.io/part-of": "ado",
    "app.kubernetes.io/managed-by": "pulumi",
}


def _monitoring(
    settings: MonitoringSettings | None = None, place: tuple[str, str] = ("ado", "ado-system")
) -> Recording:
    instance, namespace = place
    args = MonitoringArgs(
        site=Site(instance, namespace=namespace),
        settings=settings or MonitoringSettings(),
        queues=("gpu", "default"),
    )
    return record(lambda: Monitoring("monitoring", args) and None)


def _dashboard(queues: tuple[str, ...] = ("default",)) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(render_dashboard("ado", "ado-system", queues))
    return board


def _targets() -> list[dict[str, Any]]:
    return [target for panel in _dashboard()["panels"] for target in panel["targets"]]


def _metrics(target: Mapping[str, Any]) -> set[str]:
    return set(re.findall(r"\bado_\w+", target["expr"]))


def _grouped(target: Mapping[str, Any]) -> set[str]:
    return set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))


def _contract() -> dict[str, dict[str, str]]:
    """The first table of docs/metrics.md, what applications expose: metric → column → text."""
    lines = iter((ROOT / "docs" / "metrics.md").read_text().splitlines())
    table = itertools.dropwhile(lambda line: not line.startswith("| metric"), lines)
    header, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in itertools.takewhile(lambda line: line.startswith("|"), table)
    )
    return {row[0].strip("`"): dict(zip(header, row, strict=True)) for row in rows}


class TestObjects:
    def test_it_is_a_dashboard_and_a_monitor(self) -> None:
        assert _monitoring().keys() == {
            ("ConfigMap", "ado-dashboard-grafana"),
            ("ServiceMonitor", "ado-metrics"),
        }

    def test_without_a_service_monitor_the_dashboard_remains(self) -> None:
        settings = MonitoringSettings(service_monitor=False)
        assert _monitoring(settings).keys() == {("ConfigMap", "ado-dashboard-grafana")}

    def test_everything_hangs_below_it_and_is_named_after_it(self) -> None:
        component, *children = _monitoring().resources
        assert component.type == "ado:index:Monitoring"
        assert {child.parent for child in children} == {component.urn}
        names = {child.name for child in children}
        assert names == {"monitoring-dashboard", "monitoring-service-monitor"}

    def test_grafana_finds_the_dashboard_by_its_label(self) -> None:
        manifest = _monitoring().get("ConfigMap", "ado-dashboard-grafana")
        assert manifest["metadata"] == {
            "name": "ado-dashboard-grafana",
            "namespace": "ado-system",
            "labels": {**LABELS, "grafana_dashboard": "1"},
        }
        assert manifest["data"] == {
            "ado.json": render_dashboard("ado", "ado-system", ("gpu", "default"))
        }

    def test_the_service_monitor_scrapes_as_the_design_says(self) -> None:
        manifest = _monitoring().get("ServiceMonitor", "ado-metrics")
        assert manifest["apiVersion"] == "monitoring.coreos.com/v1"
        spec = manifest["spec"]
        assert spec["selector"] == {"matchLabels": {"app.kubernetes.io/name": "ado"}}
        assert "namespaceSelector" not in spec
        (endpoint,) = spec["endpoints"]
        relabelings = endpoint.pop("relabelings")
        assert endpoint == {"port": "metrics", "path": "/metrics", "interval": "30s"}
        assert [rule["targetLabel"] for rule in relabelings] == ["component"]

    def test_prometheus_finds_the_service_monitor_by_the_labels_of_the_settings(self) -> None:
        settings = MonitoringSettings(labels={"release": "prometheus"})
        recording = _monitoring(settings)
        metadata = recording.get("ServiceMonitor", "ado-metrics")["metadata"]
        assert metadata["labels"] == {**LABELS, "release": "prometheus"}
        dashboard = recording.get("ConfigMap", "ado-dashboard-grafana")
        assert "release" not in dashboard["metadata"]["labels"]

    def test_two_platforms_share_neither_file_nor_dashboard(self) -> None:
        files: dict[str, str] = {}
        for place in (("blue", "ado-system"), ("green", "ado-system"), ("blue", "elsewhere")):
            recording = _monitoring(place=place)
            files |= recording.get("ConfigMap", "ado-dashboard-grafana")["data"]
        boards = [json.loads(text) for text in files.values()]
        assert len({(board["uid"], board["title"]) for board in boards}) == len(files) == 3


class TestDashboard:
    def test_it_has_the_designs_six_panels(self) -> None:
        assert [panel["title"] for panel in _dashboard()["panels"]] == [
            "Task throughput",
            "Success rate",
            "Queue length",
            "Worker utilisation",
            "Cost per hour",
            "Provider availability",
        ]

    def test_panels_have_numbers_of_their_own(self) -> None:
        assert len({panel["id"] for panel in _dashboard()["panels"]}) == 6

    def test_panels_lie_on_the_grid_and_not_on_each_other(self) -> None:
        places = [panel["gridPos"] for panel in _dashboard()["panels"]]
        covered = [
            cell
            for at in places
            for cell in itertools.product(
                range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
            )
        ]
        assert len(covered) == len(set(covered)) > 0
        assert max(x for x, _ in covered) < 24

    def test_panels_say_what_they_show_and_in_which_unit(self) -> None:
        shown = {}
        for panel in _dashboard()["panels"]:
            assert panel["description"]
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
            shown[panel["title"]] = panel["fieldConfig"]["defaults"]["unit"]
        assert shown == {
            "Task throughput": "ops",
            "Success rate": "percentunit",
            "Queue length": "short",
            "Worker utilisation": "percentunit",
            "Cost per hour": "currencyUSD",
            "Provider availability": "percentunit",
        }

    def test_every_query_asks_the_chosen_data_source_about_the_chosen_namespace(self) -> None:
        for target in _targets():
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            selectors = re.findall(r"\w+\{([^}]*)\}", target["expr"])
            assert selectors
            assert all('namespace="$namespace"' in selector for selector in selectors)

    def test_series_are_named_by_what_they_are_grouped_by(self) -> None:
        for target in _targets():
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == _grouped(target)

    def test_a_rate_spans_several_scrapes_whatever_the_data_source_says(self) -> None:
        assert {target["interval"] for target in _targets()} == {"30s"}

    def test_it_opens_on_its_own_namespace_and_all_queues(self) -> None:
        variables = {v["name"]: v for v in _dashboard(("gpu", "default"))["templating"]["list"]}
        assert list(variables) == ["datasource", "namespace", "queue"]
        assert variables["namespace"]["current"]["value"] == "ado-system"
        assert variables["queue"]["query"] == "default,gpu"
        assert variables["queue"]["current"]["value"] == "$__all"

    def test_the_same_platform_renders_the_same_text(self) -> None:
        renderings = {render_dashboard("ado", "n", q) for q in itertools.permutations("abc")}
        assert len(renderings) == 1

    def test_a_long_name_stays_within_grafanas_limit(self) -> None:
        board = json.loads(render_dashboard("a" * 63, "ado-system", ("default",)))
        assert len(board["uid"]) == LONGEST_UID


class TestContract:
    """docs/metrics.md and the dashboard name the same metrics."""

    def test_the_dashboard_uses_every_promised_metric_and_no_other(self) -> None:
        assert set().union(*map(_metrics, _targets())) == set(_contract())

    @pytest.mark.parametrize("name", sorted(_contract()))
    def test_counters_and_only_counters_are_totals_and_seen_as_rates(self, name: str) -> None:
        is_counter = _contract()[name]["type"] == "counter"
        assert name.endswith("_total") == is_counter
        expressions = " ".join(target["expr"] for target in _targets())
        uses = set(re.findall(rf"(\w*\(){name}\b", expressions))
        assert uses
        assert (uses == {"rate("}) == is_counter

    def test_the_dashboard_groups_and_selects_by_promised_labels_only(self) -> None:
        for target in _targets():
            selected = set(re.findall(r'(\w+)=~?"', target["expr"]))
            for name in _metrics(target):
                promised = set(re.findall(r"\w+", _contract()[name]["labels"]))
                assert (selected | _grouped(target)) <= promised | {"namespace"}
