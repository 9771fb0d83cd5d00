"""The Job that leads PostgreSQL's Services, beside an operator who promotes meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from ado_infra.ops.postgres import fencing, promotion
from ado_infra.ops.postgres.pair import POD_LABEL, RECORD
from tests.support import manifests
from tests.support.operated_pair import Cluster, Killed
from tests.support.recording import Recording

FAKES = {
    "psql": """
        for ordinal in 0 1; do
            case "$*" in *"--host postgresql-$ordinal.postgresql-headless "*) break ;; esac
        done
        grep . "$STATE/in-recovery-$ordinal" """,
    # The kubelet has renewed the files meanwhile; who still waits then is ended with the Job.
    "sleep": """
        mv "$STATE/live" "$STATE/primary" || exit 9""",
}
Operator: TypeAlias = Callable[["Applied"], None]
Crossing: TypeAlias = Mapping[int, Operator]
"""Number of a step → what an operator does right before it."""


class Applied(Cluster):
    """The pair, to which also `kubectl apply --server-side` writes, as the API server lets it.

    Who has written a value owns it. To apply another value than somebody else's is refused unless
    it is forced; the same value is owned by both then. A selector is one value.
    """

    def __init__(self) -> None:
        super().__init__()
        self._owners: dict[tuple[str, str], set[str]] = {}

    def patch_config_map(
        self, name: str, data: dict[str, str | None], *, version: str | None = None
    ) -> None:
        super().patch_config_map(name, data, version=version)
        self._owners.update({(name, key): {"an operator"} for key in data})

    def apply(self, document: dict[str, Any], manager: str, *, force: bool) -> bool:
        """Writes one object: all that is said of it, or nothing."""
        name, is_record = document["metadata"]["name"], document["kind"] == "ConfigMap"
        here: dict[str, Any] = self.data if is_record else {"selector": self.services[name]}
        said: dict[str, Any] = document["data" if is_record else "spec"]
        changed = {key for key, value in said.items() if here.get(key) != value}
        owners = {key: self._owners.get((name, key), {"somebody"}) for key in said.keys() & here}
        if not force and any(owners[key] != {manager} for key in changed & here.keys()):
            return False
        for key in said:
            both = set[str]() if key in changed else owners[key]
            self._owners[name, key] = both | {manager}
        if is_record:
            self.data.update(said)
        else:
            self.services[name] = dict(said["selector"])
        return True

    def leads(self) -> list[str]:
        """The pods to which both Services lead."""
        return [self.services[name][POD_LABEL] for name in ("postgresql", "postgresql-ro")]


class Job:
    """The recorded Job: pod after pod until one succeeds, each step by step."""

    def __init__(self, stack: Recording, root: Path) -> None:
        name = manifests.job(stack, "postgresql-state-begin")
        template = manifests.pod(stack, name)
        self.steps: list[dict[str, Any]] = [*template["initContainers"], *template["containers"]]
        self.tries = 1 + int(stack.get("Job", name)["spec"]["backoffLimit"])
        self._root = root
        (root / "password").write_text("secret")
        for program, body in FAKES.items():
            (root / program).write_text(f"#!/bin/sh\n{body}\n")
            (root / program).chmod(0o755)

    def run(self, cluster: Applied, crossing: Crossing | None = None) -> bool:
        """Whether a pod succeeds; operators cross the first one alone."""
        tries = [crossing or {}, *[{}] * (self.tries - 1)]
        return any(self._run_pod(cluster, each) for each in tries)

    def _run_pod(self, cluster: Applied, crossing: Crossing) -> bool:
        # As it mounts the record, whatever becomes of that.
        seen, succeeds = dict(cluster.data), True
        for number in range(len(self.steps) + 1):
            if number in crossing:
                crossing[number](cluster)
            if succeeds and number < len(self.steps):
                succeeds = self._run_step(cluster, self.steps[number], seen)
        return succeeds

    def _run_step(self, cluster: Applied, step: dict[str, Any], seen: dict[str, str]) -> bool:
        command: list[str] = step["command"]
        if command[0] == "kubectl":
            return self._apply(cluster, command)
        said = {"primary": "f\n", "standby": "t\n"}
        files = {f"in-recovery-{m.ordinal}": said.get(m.server or "", "") for m in cluster.members}
        files |= {"primary": seen.get("primary"), "live": cluster.data.get("primary")}
        for name, text in files.items():
            (self._root / name).unlink(missing_ok=True)
            if text is not None:
                (self._root / name).write_text(text)
        here = dict.fromkeys(("STATE", "SERVED", "SECRETS"), str(self._root))
        path = {"PATH": f"{self._root}{os.pathsep}{os.defpath}"}
        done = subprocess.run(
            command, env=manifests.told(step) | here | path, check=False, timeout=30
        )
        return done.returncode == 0

    def _apply(self, cluster: Applied, command: list[str]) -> bool:
        words = [word.partition("=") for word in command if word.startswith("--")]
        options = {name: value for name, _, value in words}
        assert "apply" in command
        assert "--server-side" in options
        found = json.loads((self._root / Path(options["--filename"]).name).read_text())
        manager, force = options["--field-manager"], "--force-conflicts" in options
        assert not manager.startswith("kubectl")  # the provider would take it over
        items = found["items"] if found["kind"] == "List" else [found]
        # After one that is refused kubectl goes on with the next.
        return min([cluster.apply(item, manager, force=force) for item in items])


@pytest.fixture
def begin(dev: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """The Job, beside operators for whom pods do at once whatever they do."""
    monkeypatch.setattr(fencing, "_RESTART", 0)
    monkeypatch.setattr(fencing, "_SUCCESSOR", 0)
    monkeypatch.setattr(promotion, "_REPLAY", 0)
    return Job(dev, tmp_path)


def _promote(cluster: Applied) -> None:
    promotion.promote(cluster, 1, lambda _: None)  # pyright: ignore[reportArgumentType]


def _promote_until(calls: int) -> Operator:
    """The same, whose machine dies after so many calls; done by hand, it goes on."""

    def promote(cluster: Applied) -> None:
        cluster.interrupt_after = calls
        with pytest.raises(Killed):
            _promote(cluster)
        cluster.interrupt_after = None

    return promote


PROMOTED = {"initialised": "true", "primary": "1", "fenced": "0"}


def test_an_up_that_crosses_a_promotion_leads_nobody_back_to_the_old_primary(begin: Job) -> None:
    for number in range(len(begin.steps) + 1):
        cluster = Applied()
        assert begin.run(cluster, {number: _promote})
        assert cluster.leads() == ["postgresql-1", "postgresql-0"], number
        assert cluster.data == PROMOTED


@pytest.mark.parametrize("calls", range(8))
def test_nor_one_that_crosses_a_promotion_in_two_halves(calls: int, begin: Job) -> None:
    for first in range(len(begin.steps)):
        for then in range(first + 1, len(begin.steps) + 1):
            cluster = Applied()
            assert begin.run(cluster, {first: _promote_until(calls), then: _promote})
            assert cluster.leads() == ["postgresql-1", "postgresql-0"], (first, then)
            assert cluster.data == PROMOTED


def test_services_stay_as_they_are_where_the_record_has_changed_since(begin: Job) -> None:
    cluster = Applied()
    cluster.services = {name: {POD_LABEL: "nobody"} for name in cluster.services}
    record = {1: lambda there: there.patch_config_map(RECORD, {"primary": "1"})}
    assert not begin.run(cluster, record)  # pod 1 is no primary in earnest
    assert cluster.leads() == ["nobody", "nobody"]
    assert cluster.data == {"initialised": "true", "primary": "1"}


def test_who_waits_for_a_pod_that_was_fenced_goes_on_with_the_new_primary(begin: Job) -> None:
    begin.tries = 1
    begin.steps = begin.steps[:1]
    # The record is mounted as it was before, and renewed under the waiting pod.
    assert begin.run(Applied(), {0: _promote})


def test_a_new_database_is_noted_with_its_primary(begin: Job) -> None:
    cluster = Applied()
    cluster.data = {}
    cluster.services = {name: {POD_LABEL: "nobody"} for name in cluster.services}
    assert begin.run(cluster)
    assert cluster.data == {"initialised": "true", "primary": "0"}
    assert cluster.leads() == ["postgresql-0", "postgresql-1"]
