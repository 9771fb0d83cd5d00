"""Whatever settings change: every object that differs is named, and no other."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ado_infra.review.comparison import compared
from ado_infra.review.side import Side
from tests.unit.review.sides import side, told

RESOURCES = {"requests": {"cpu": "60m", "memory": "80Mi"}, "limits": {"cpu": "3", "memory": "6Gi"}}
POOL = {"image": {"tag": "0.3.0"}, "resources": RESOURCES}
VALUES: Mapping[str, tuple[Any, ...]] = {
    "ado:edge.host": ("ado.localhost", "b.example.com"),
    "ado:edge.timeout": (3600, 99),
    "ado:gateway.image.tag": ("0.1.0", "0.2.0"),
    "ado:gateway.scaling.maxReplicas": (2, 3, 4),
    "ado:gateway.resources": (RESOURCES,),
    "ado:dashboard.replicas": (1, 2),
    "ado:orchestrator.antiAffinity": ("preferred", "required"),
    "ado:workerPools.default.longestTask": (240, 60),
    "ado:workerPools.default.scaling.queueLength": (10, 5),
    "ado:workerPools.gpu": (POOL, {**POOL, "longestTask": 900}),
    "ado:workerPools.slow": (POOL,),
    "ado:postgres.backup.bucket": ("b-one", "b-two"),
    "ado:postgres.maxConnections": (100, 120),
    "ado:postgres.volume.size": ("1Gi", "2Gi"),
    "ado:redis.appendfsync": ("everysec", "always"),
    "ado:redis.replicasPerMaster": (0, 1),
    "ado:redis.image.tag": ("8.0.5-bookworm", "8.0.4-bookworm"),
    "ado:images.registry": ("ado", "registry.example.com/ado"),
    "ado:monitoring.serviceMonitor": (True, False),
    "ado:migrations.command": (["migrate"], ["migrate", "up"]),
    "ado:namespace.name": ("ado-system", "other"),
    "ado:protectData": (True, False),
    "ado:config.orchestration.maxParallelAgents": (50, 7),
}
"""Values that a setting may have; and a setting may not be given at all."""


def chosen(seed: int) -> dict[str, Any]:
    """Some settings, by chance."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    config: dict[str, Any] = {}
    for key in chance.sample(sorted(VALUES), chance.choice((1, 2, 5, 9))):
        *rooms, last = key.split(".")
        below = config
        for room in rooms:
            below = below.setdefault(room, {})
        below[last] = chance.choice(VALUES[key])
    return config


Key = tuple[str, str, str]


def manifests(given: Side) -> dict[Key, str]:
    found = [each.manifest for each in given.objects]
    return {
        (m["kind"], m["metadata"].get("namespace", ""), m["metadata"]["name"]): json.dumps(
            m, sort_keys=True
        )
        for m in found
    }


def differing(before: Side, after: Side) -> set[str]:
    """`Kind/name` of all that is not the same; of a Job that runs anew the new one's alone."""
    olds, news = manifests(before), manifests(after)
    changed = {key for key in olds.keys() | news.keys() if olds.get(key) != news.get(key)}
    again = {base(key) for key in changed if key in news and key[0] == "Job"}
    return {f"{key[0]}/{key[2]}" for key in changed if key in news or base(key) not in again}


def base(key: Key) -> tuple[str, str]:
    return key[0], key[2].rpartition("-")[0]


def named(report: str) -> list[str]:
    """The objects in the folded table of a report."""
    _, _, table = report.partition("field by field</summary>")
    return re.findall(r"^\| `(\w+/[^`]+)` \|", table.partition("</details>")[0], re.MULTILINE)


@pytest.mark.parametrize("seed", range(12))
def test_every_object_that_differs_is_named_and_no_other(seed: int) -> None:
    before, after = side(chosen(seed)), side(chosen(seed + 1))
    wanted = differing(before, after)
    found = named(told(before, after))
    assert sorted(found) == sorted(wanted)
    assert sorted(each.title for each in compared("dev", before, after).changes) == sorted(wanted)


@pytest.mark.parametrize("seed", range(4))
def test_what_nobody_changed_is_one_line(seed: int) -> None:
    given = side(chosen(seed))
    lines = told(given, given).splitlines()
    assert lines[1:] == [
        "Nothing changes in `dev`, compared with `main` (0123456, where this branch left it)."
    ]


def test_the_pairs_do_differ() -> None:
    sizes = [len(differing(side(chosen(n)), side(chosen(n + 1)))) for n in range(12)]
    assert min(sizes) < 10 < max(sizes)
