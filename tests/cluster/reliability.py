"""Measured numbers of what was done to the data tier: `build/reliability.json`, by scenario."""

from __future__ import annotations

import json

from sandbox import files
from tests.unit.recording import ROOT

RESULT = ROOT / "build" / "reliability.json"


def record(scenario: str, **numbers: float) -> None:
    """Keeps a scenario's numbers beside those of the others; durations in seconds."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    known[scenario] = {name: round(number, 1) for name, number in numbers.items()}
    files.write(RESULT, json.dumps(known, indent=2, sort_keys=True) + "\n", mode=0o644)
