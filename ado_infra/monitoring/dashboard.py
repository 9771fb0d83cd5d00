"""The Grafana dashboard: six panels over the metrics that the applications promise.

`files/dashboard.json` is the dashboard of a platform `ado` in `ado-system`, as Grafana exports it.
Metrics, their labels and who exposes them: docs/metrics.md; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from typing import Any, Final

from ado_infra.settings import NamespaceSettings

LONGEST_UID: Final = 40
"""Grafana's limit."""


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
    file = resources.files("ado_infra.monitoring") / "files" / "dashboard.json"
    board: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    name = dashboard_name(instance, namespace)
    board |= {"title": f"ADO: {name}", "uid": _uid(name)}
    variables = {each["name"]: each for each in board["templating"]["list"]}
    variables["namespace"]["current"] |= {"text": namespace, "value": namespace}
    variables["queue"]["query"] = ",".join(sorted(queues))
    return json.dumps(board, indent=2, sort_keys=True)
