"""Reports of typical changes, word by word.

`ADO_WRITE_GOLDEN=1` writes them anew; then read them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ado_infra.review.preview import preview
from ado_infra.review.side import Side
from tests.unit.review.sides import altered, side, told

GOLDEN = Path(__file__).with_name("golden")
POOL = {
    "image": {"tag": "0.1.0"},
    "longestTask": 900,
    "scaling": {"minReplicas": 1, "maxReplicas": 4, "scaleDown": {"window": 900}},
    "disruption": {"maxUnavailable": 1},
}
BACKUP = {"ado:postgres": {"backup": {"bucket": "ado-backups"}}}
PROTECTED = {"ado:protectData": True}
WAIVED = {"probes": "the vendor's image | has none", "spread": "one host"}
ROTATED = json.loads(Path(__file__).with_name("rotated.json").read_text())
"""What Pulumi 3.259 prints for another `ado:redisPassword`, but for what nobody reads."""


def given_password(cipher: str) -> Side:
    return side({"ado:redisPassword": {"secure": cipher}})


def renamed(manifest: dict[str, Any]) -> None:
    manifest["metadata"]["name"] = "ado-gateway"


def led(manifest: dict[str, Any]) -> None:
    for rule in manifest["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            service = path["backend"]["service"]
            service["name"] = service["name"].replace("ado-api-gateway", "ado-gateway")


def rooted(manifest: dict[str, Any]) -> None:
    pod = manifest["spec"]["template"]["spec"]
    pod["hostNetwork"] = True
    pod["containers"][0].pop("livenessProbe")


def waived(given: Side) -> Side:
    return replace(given, config={**given.config, "ado:policies": json.dumps({"waived": WAIVED})})


CASES: dict[str, Callable[[], str]] = {
    "image_tag": lambda: told(side(), side({"ado:gateway": {"image": {"tag": "0.2.0"}}})),
    "pool_added": lambda: told(side(), side({"ado:workerPools": {"gpu": POOL}})),
    "service_renamed": lambda: told(
        side(),
        altered(altered(side(), "Service/ado-api-gateway", renamed), "Ingress/ado-ingress", led),
    ),
    "secret_rotated": lambda: told(
        given_password("v1:b25l:one"), given_password("v1:dHdv:two"), preview=preview(ROTATED)
    ),
    "volume_grown": lambda: told(side(), side({"ado:redis": {"volume": {"size": "2Gi"}}})),
    "policy_broken": lambda: told(side(), altered(side(), "Deployment/ado-worker", rooted)),
    "backup_switched_off": lambda: told(side(BACKUP), side()),
    "nothing": lambda: told(side(), side()),
    "policy_waived": lambda: told(
        waived(side()), waived(altered(side(), "Deployment/ado-worker", rooted))
    ),
    "protection_ended": lambda: told(side(PROTECTED), side()),
    "namespace_renamed": lambda: told(
        side(PROTECTED), side({**PROTECTED, "ado:namespace": {"name": "elsewhere"}})
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_report_reads_as_it_did(name: str) -> None:
    found, file = CASES[name](), GOLDEN / f"{name}.md"
    if os.environ.get("ADO_WRITE_GOLDEN"):
        file.write_text(found)
    assert found == file.read_text()


def test_every_golden_file_is_of_a_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.md")} == CASES.keys()
