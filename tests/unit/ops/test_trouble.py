"""What keeps a pod from being Ready, said once and to the end."""

from __future__ import annotations

import json

import pytest
from kubernetes import client

from ado_infra.ops.platform import trouble


@pytest.mark.parametrize(
    ("warned", "said"),
    [
        ("Readiness probe failed: no response\n", "its readiness probe fails: no response"),
        ("Readiness probe failed: ", "its readiness probe fails"),
        ("Readiness probe failed:", "its readiness probe fails"),
        ("Back-off:\n", "its readiness probe fails: Back-off"),
        ("", "its readiness probe fails"),
    ],
)
def test_a_probe_that_fails_is_told_once_with_what_it_printed_if_anything(
    warned: str, said: str
) -> None:
    container = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    fields = {
        "metadata": {"name": "postgresql-1", "uid": "1"},
        "status": {
            "phase": "Running",
            "containerStatuses": [{**container, "started": True, "state": {"running": {}}}],
        },
    }
    pod = client.ApiClient().deserialize(json.dumps(fields), "V1Pod", "application/json")
    assert trouble.of_pods([pod], {"1": warned}) == f"postgresql-1: {said}"
