"""Measured numbers of what was done to the data tier: `build/reliability.json`, by scenario."""

from __future__ import annotations

import json
import os
import subprocess
import time

from sandbox import files
from tests.support.recording import ROOT

RESULT = ROOT / "build" / "reliability.json"
TEST, SOAK = "make test", "make soak"
SCENARIOS = {
    "PostgreSQL: promotion under a writer": TEST,
    "PostgreSQL: its node drained under a writer": TEST,
    "PostgreSQL: standby away past the slot's limit": TEST,
    "PostgreSQL: password rotated under a writer": TEST,
    "PostgreSQL: backup and restore": TEST,
    "Nodes drained one after the other": TEST,
    "Redis gets replicas": TEST,
    "Redis loses a node of three": TEST,
    "Redis has half a command at the end of its log": TEST,
    "Redis gets new addresses": TEST,
    "Redis gets new addresses while a node is missing": TEST,
    "Redis with replicas gets new addresses": SOAK,
    "Redis loses a master": TEST,
    "Redis loses five masters": SOAK,
    "Data pods killed at random, 50 times": SOAK,
}
"""Every scenario that is measured → what measures it."""


def record(scenario: str, **numbers: float) -> None:
    """Keeps a scenario's numbers beside those of the others; durations in seconds."""
    assert scenario in SCENARIOS, f"{scenario}: name it in {__name__}.SCENARIOS"
    rounded = {name: round(number, 1) for name, number in numbers.items()}
    with files.locked(RESULT.with_suffix(".lock")):
        known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        known[scenario] = {**circumstances(), "numbers": rounded}
        files.write(RESULT, json.dumps(known, indent=2, sort_keys=True) + "\n", mode=0o644)


def circumstances() -> dict[str, str]:
    """When, on what and with what something is measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    describe = ["git", "describe", "--always", "--dirty"]
    described = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB",
        "version": described.stdout.strip() or "unknown",
    }
