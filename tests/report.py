"""`make report`: what the tests measured in `build/`, as the page docs/reliability.md."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.cluster import reliability
from tests.support.recording import ROOT

PAGE = ROOT / "docs" / "reliability.md"
SCALING = ROOT / "build" / "scaling.json"
HEAD = """\
# Reliability, measured

Made by `make report`, from what `make test` and `make soak` wrote to `build/`; not edited by hand.
All of it is on the sandbox's three nodes, with the real PostgreSQL and Redis, which share one
machine with everything else, in `make test` with a second sandbox. [Data](data.md) says what is
promised, and what not.
"""
UNITS = {"seconds": "s", "bytes": "MiB"}
SHORT = {"rto": "RTO", "wal": "WAL"}


def page(measured: Mapping[str, Any], scaling: Mapping[str, Any] | None) -> str:
    """The page; the same for the same measurements."""
    return "\n".join([HEAD, *_scenarios(measured), "", *_walks(scaling), ""])


def _scenarios(measured: Mapping[str, Any]) -> Iterator[str]:
    yield "| scenario | measured | date | version | machine |"
    yield "|---|---|---|---|---|"
    for scenario, source in reliability.SCENARIOS.items():
        found = measured.get(scenario)
        if found is None:
            yield f"| {scenario} | not measured: `{source}` does | | | |"
        else:
            numbers = ", ".join(_in_words(*item) for item in sorted(found["numbers"].items()))
            yield f"| {scenario} | {numbers} | {_circumstances(found)} |"


def _walks(scaling: Mapping[str, Any] | None) -> Iterator[str]:
    yield from ("## The workers' autoscaler", "")
    if scaling is None:
        yield f"Not measured: `{reliability.SOAK}` does."
        return
    yield "| queued | workers | seconds | date | version | machine |"
    yield "|---|---|---|---|---|---|"
    for walk in scaling["walks"]:
        if steps := walk["steps"]:
            walked = f"{walk['queued']} | {steps[0][1]} → {steps[-1][2]} | {walk['seconds']}"
            yield f"| {walked} | {_circumstances(scaling)} |"


def _circumstances(found: Mapping[str, str]) -> str:
    return " | ".join(found.get(key, "-") for key in ("date", "version", "machine"))


def _in_words(name: str, number: float) -> str:
    """`rto_seconds`, 3.8 → `3.8 s RTO`."""
    words = name.split("_")
    label = [SHORT.get(word, word) for word in words if word not in UNITS]
    units = [word for word in words if word in UNITS]
    said = number / 2**20 if "bytes" in units else number
    return " ".join([f"{said:.1f}".removesuffix(".0"), *(UNITS[unit] for unit in units), *label])


def main() -> None:
    """Writes the page."""
    argparse.ArgumentParser(prog="make report", description=__doc__).parse_args()
    PAGE.write_text(page(_read(reliability.RESULT) or {}, _read(SCALING)))
    print(f"written: {PAGE.relative_to(ROOT)}")


def _read(path: Path) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


if __name__ == "__main__":
    main()
