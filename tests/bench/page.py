"""The page docs/performance.md, made of the figures of the last runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.bench.deploying import ADO, APPLY, BARE, DIFF, LATENCIES, POOLS, UPGRADE, WAYS
from tests.bench.rendering import CDK8S, CLASSES, NAMES, OURS
from tests.support.recording import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
DEPLOYING, GROWTH, RENDERING = PARTS = ("deploy", "growth", "render")
AT_MOST: Final = 1.10
"""Goal: of the bare program's time."""
RENDER_AT_MOST: Final = 1.3
"""Goal: of what importing the SDKs takes."""
FASTER_THAN_CDK8S: Final = 3
_SHOWN: Final = 8
"""Packages in the table of the profile; what follows them is small."""
Figures = Mapping[str, Mapping[str, float]]

HEAD: Final = """\
# Performance, measured

Made by `make bench`; not edited by hand. It compares the dev stack, as committed, with others that
deploy or render the same objects. Each number is the median of several runs in turns, so that what
slows the machine down for a while slows all of them; one more run before is not counted. Memory is
the peak of the largest process.

- `make bench` measures all of it and writes this page: eleven minutes on two cores. The
  first run builds Helm and kustomize from their Go modules and installs cdk8s, which takes minutes
  once and needs Node.js.
- `make bench ONLY=deploy` (or `growth`, `render`) measures a part; the others keep their figures.
- `make bench RUNS=1` is a trial: with fewer than five runs the page is printed, not written.

It starts a sandbox of its own, `bench`, and removes it at the end, also after Ctrl-C. The machine
should do nothing else meanwhile.
"""
BARE_PROGRAM: Final = """\
`bare` is a program (`tests/bench/bare.py`) that registers every Kubernetes object and generated
password of the stack one by one, by the same SDKs: their classes with plain data, no components, no
settings to check, no digests, and nothing that waits for anything but the Namespace. No pod of it
runs: its objects have annotations by which the engine does not wait for any. Every command must
find nothing to change. Added latency is a proxy on loopback that delays each direction by half of
it, and a new connection by all of it.
"""
PROFILE: Final = """\
Importing, in seconds of each package's own modules (`-X importtime`), and what is done once
all is loaded, in percent of the time that functions of each package take themselves (`cProfile`):
"""


def page(figures: Mapping[str, Any]) -> str:
    """The page; the same for the same figures."""
    sections = {
        DEPLOYING: ("Against a bare program, kubectl and Helm", _deploying),
        GROWTH: ("More worker pools", _growth),
        RENDERING: ("Rendering", _rendering),
    }
    lines = [HEAD]
    for part, (title, section) in sections.items():
        lines += [f"## {title}", ""]
        if part in figures:
            lines += [*section(figures[part]), "", _circumstances(figures[part]), ""]
        else:
            lines += [f"Not measured: `make bench ONLY={part}` does.", ""]
    return "\n".join(lines)


def _deploying(part: Mapping[str, Any]) -> Iterator[str]:
    rows: Figures = part["rows"]
    yield BARE_PROGRAM
    yield from _table("unchanged", "added", "ado, s", "bare, s", f"ratio; goal {AT_MOST:.2f}")
    for milliseconds in LATENCIES:
        for way in WAYS:
            ours, bare = (rows[f"{way}, {who}, {milliseconds}"] for who in (ADO, BARE))
            ratio = _ratio(ours["seconds"], bare["seconds"])
            goal = _said(ours["seconds"] <= AT_MOST * bare["seconds"])
            yield _row(way, f"{milliseconds} ms", _span(ours), _span(bare), ratio + goal)
    yield ""
    yield "Of that, the Python program alone, each time that it runs; it loads what rendering"
    yield "loads, which stands below by package:"
    yield ""
    yield from _table("program", "CPU, s", "peak, MB", "resources", "objects")
    for who in (ADO, BARE):
        row = rows[f"{WAYS[0]}, {who}, 0"]
        counted = part["resources"][who], part["objects"]
        yield _row(who, f"{row['program_cpu']:.2f}", f"{row['program_megabytes']:.0f}", *counted)
    yield ""
    yield from _table("the same objects, unchanged", "added", "s", "peak, MB")
    for milliseconds in LATENCIES:
        for name in (APPLY, DIFF, UPGRADE):
            row = rows[f"{name}, {milliseconds}"]
            yield _row(name, f"{milliseconds} ms", _span(row), f"{row['megabytes']:.0f}")


def _growth(part: Mapping[str, Any]) -> Iterator[str]:
    yield "A preview of the deployed stack with more worker pools, which it would create."
    yield ""
    yield from _table("pools", "s", "program's CPU, s", "program's peak, MB")
    for pools in POOLS:
        row = part["rows"][str(pools)]
        cpu, peak = f"{row['program_cpu']:.2f}", f"{row['program_megabytes']:.0f}"
        yield _row(pools, _span(row), cpu, peak)


def _rendering(part: Mapping[str, Any]) -> Iterator[str]:
    rows: Figures = part["rows"]
    ours = rows[OURS]["seconds"]
    yield f"{part['objects']} objects as YAML, by commands that start anew each time."
    yield ""
    yield from _table("command", "s", "CPU, s", "peak, MB", "ours, times as long")
    for name, row in rows.items():
        ratio = "" if name == OURS else _ratio(ours, row["seconds"])
        yield _row(name, _span(row), f"{row['cpu']:.2f}", f"{row['megabytes']:.0f}", ratio)
    yield ""
    for imported, which in {
        CLASSES: "with the classes that it uses",
        NAMES: "by name alone, which loads no class before it is used",
    }.items():
        met = _said(ours <= RENDER_AT_MOST * rows[imported]["seconds"])
        yield f"- Goal: {RENDER_AT_MOST} times the import of both SDKs at most, {which}{met}."
    met = _said(FASTER_THAN_CDK8S * ours <= rows[CDK8S]["seconds"])
    yield f"- Goal: {FASTER_THAN_CDK8S} times faster than cdk8s{met}."
    yield "- The others get objects that are made already: a chart and a kustomization of plain"
    yield "  manifests, and for cdk8s an `ApiObject` each, without checks. `ado-ops render` makes"
    yield "  them from the stack's settings, with every check of a deployment."
    yield ""
    yield PROFILE
    yield from _table("package", "importing, s", "running, %")
    importing, running = part["importing"], part["running"]
    packages = sorted({*importing, *running}, key=lambda each: -importing.get(each, 0))
    for package in packages[:_SHOWN]:
        yield _row(package, f"{importing.get(package, 0):.2f}", f"{running.get(package, 0):.0%}")


def _circumstances(part: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    measured = f"{part['date']} on {part['machine']}, version {part['version']}"
    return f"Measured {measured}, {part['runs']} runs each; {versions}."


def _table(*columns: str) -> Iterator[str]:
    yield _row(*columns)
    yield "|---" * len(columns) + "|"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _span(row: Mapping[str, float]) -> str:
    """The median, and the fastest and slowest."""
    return f"{row['seconds']:.2f} ({row['fastest']:.2f} to {row['slowest']:.2f})"


def _ratio(seconds: float, others: float) -> str:
    return f"{seconds / others:.2f}"


def _said(met: bool) -> str:  # noqa: FBT001
    return ": met" if met else ": **missed**"
