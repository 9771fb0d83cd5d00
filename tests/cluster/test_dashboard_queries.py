"""The dashboard's queries and the ServiceMonitor, judged by Prometheus' and its operator's rules.

No cluster: the tools alone.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import jsonschema
import pytest
import yaml

from ado_infra.monitoring.dashboard import render_dashboard
from ado_infra.monitoring.service_monitor import service_monitor_spec
from sandbox.cluster.addons import monitoring_crds
from sandbox.errors import SandboxError
from tests.cluster.promtool import promtool

VARIABLES = {"namespace": "ado-system", "queue": ".*", "__rate_interval": "2m"}
"""What Grafana puts in their place."""


def _queries() -> dict[str, str]:
    """Panel → its PromQL; fails for a variable that Grafana would not know."""
    board = json.loads(render_dashboard("ado", "ado-system", ("default",)))
    return {
        panel["title"]: Template(target["expr"]).substitute(VARIABLES)
        for panel in board["panels"]
        for target in panel["targets"]
    }


def _promtool(kind: str, document: object, directory: Path) -> subprocess.CompletedProcess[str]:
    """`promtool <kind> rules`; JSON is YAML to it."""
    path = directory / "rules.yaml"
    path.write_text(json.dumps(document))
    command = [promtool(), kind, "rules", path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _recorded(queries: Sequence[str]) -> dict[str, Any]:
    rules = [{"record": f"panel:{i}", "expr": query} for i, query in enumerate(queries)]
    return {"groups": [{"name": "dashboard", "rules": rules}]}


def _series(name: str, values: str, **labels: str) -> dict[str, str]:
    matchers = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f'{name}{{namespace="ado-system",{matchers}}}', "values": values}


def test_every_query_is_promql(tmp_path: Path) -> None:
    queries = list(_queries().values())
    checked = _promtool("check", _recorded(queries), tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(queries)} rules found" in checked.stdout
    assert len(queries) == 6


@pytest.mark.parametrize("broken", ["sum by (queue", "rate(ado_tasks_total)", "max(a) +"])
def test_what_is_no_promql_is_noticed(broken: str, tmp_path: Path) -> None:
    checked = _promtool("check", _recorded([*_queries().values(), broken]), tmp_path)
    assert checked.returncode != 0
    assert "could not parse expression" in checked.stderr


def test_without_promtool_and_without_apt_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SandboxError, match="in the package prometheus"):
        promtool()


ENDED = [
    _series("ado_tasks_total", "0+54x20", queue="good", status="succeeded", pod="a"),
    _series("ado_tasks_total", "0+6x20", queue="good", status="failed", pod="b"),
    _series("ado_tasks_total", "0+60x20", queue="good", status="cancelled", pod="b"),
    _series("ado_tasks_total", "0+60x20", queue="bad", status="failed", pod="b"),
    _series("ado_tasks_total", "0+0x20", queue="idle", status="succeeded", pod="a"),
]
"""In a minute, two intervals of 30 s: of `good` 108 succeed, of `bad` none does."""
WORKERS = [
    _series("ado_worker_busy_slots", "1x20", queue="default", pod="a"),
    _series("ado_worker_busy_slots", "2x20", queue="default", pod="b"),
    _series("ado_worker_slots", "2x20", queue="default", pod="a"),
    _series("ado_worker_slots", "2x20", queue="default", pod="b"),
    _series("ado_worker_busy_slots", "0x20", queue="none", pod="c"),
    _series("ado_worker_slots", "0x20", queue="none", pod="c"),
]
WAITING = [
    _series("ado_task_queue_length", "7x20", queue="default", pod="a"),
    _series("ado_task_queue_length", "7x20", queue="default", pod="b"),
]
COST = [_series("ado_cost_dollars_total", "0+0.5x20", provider="p", pod="a")]
PROVIDERS = [
    _series("ado_provider_available", "1x20", provider="p", pod="a"),
    _series("ado_provider_available", "0x20", provider="p", pod="b"),
]


@pytest.mark.parametrize(
    ("panel", "series", "expected"),
    [
        (
            "Task throughput",
            ENDED[:2],
            {'{queue="good",status="succeeded"}': 1.8, '{queue="good",status="failed"}': 0.2},
        ),
        ("Success rate", ENDED, {'{queue="good"}': 0.9, '{queue="bad"}': 0}),
        ("Queue length", WAITING, {'{queue="default"}': 7}),
        ("Worker utilisation", WORKERS, {'{queue="default"}': 0.75}),
        ("Cost per hour", COST, {'{provider="p"}': 60}),
        ("Provider availability", PROVIDERS, {'{provider="p"}': 0.5}),
    ],
)
def test_a_panel_shows(
    panel: str, series: list[dict[str, str]], expected: Mapping[str, float], tmp_path: Path
) -> None:
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    query = {"expr": _queries()[panel], "eval_time": "8m", "exp_samples": samples}
    # Another platform in the same Prometheus must not show.
    elsewhere = [s | {"series": s["series"].replace("ado-system", "other")} for s in series]
    test = {
        "interval": "30s",
        "input_series": [*series, *elsewhere],
        "promql_expr_test": [query],
    }
    tested = _promtool("test", {"evaluation_interval": "30s", "tests": [test]}, tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _monitor(**changes: Any) -> dict[str, Any]:
    spec = service_monitor_spec()
    spec["endpoints"][0] |= changes
    metadata = {"name": "ado-metrics", "namespace": "ado-system"}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata,
        "spec": spec,
    }


def _validate(manifest: dict[str, Any]) -> None:
    """By the operator's schema; fields it does not know are errors too, not silently dropped."""
    (path,) = [path for path in monitoring_crds() if "servicemonitors" in path.name]
    (version,) = yaml.safe_load(path.read_text())["spec"]["versions"]
    jsonschema.validate(manifest, _closed(version["schema"]["openAPIV3Schema"]))


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(inner) for key, inner in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def test_the_operator_takes_the_service_monitor() -> None:
    _validate(_monitor())


@pytest.mark.parametrize(
    ("mistake", "message"),
    [({"intervall": "30s"}, "intervall"), ({"interval": "half a minute"}, "does not match")],
)
def test_what_the_operator_would_not_take_is_noticed(mistake: dict[str, str], message: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=message):
        _validate(_monitor(**mistake))
