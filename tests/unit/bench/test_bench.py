"""What `make bench` makes of what it measures, and the longer way that it measures over."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ado_infra.render.objects import rendered
from ado_infra.render.program import run
from ado_infra.render.stack_file import read_stack
from sandbox.errors import SandboxError
from tests.bench import rendering, stacks, timing
from tests.bench.__main__ import FIGURES
from tests.bench.deploying import ADO, APPLY, BARE, DIFF, LATENCIES, POOLS, UPGRADE, WAYS
from tests.bench.link import longer
from tests.bench.page import DEPLOYING, GROWTH, PAGE, RENDERING, page
from tests.bench.rendering import CDK8S, CLASSES, NAMES, OURS
from tests.bench.timing import Case
from tests.support.recording import ROOT

ABOUT = {
    "date": "2026-11-30",
    "machine": "2 cores, 8 GiB",
    "version": "6a426a5",
    "runs": 5,
    "versions": {"Python": "3.11.7"},
    "objects": 42,
}


def taken(seconds: float) -> dict[str, float]:
    told = {"seconds": seconds, "fastest": seconds - 0.1, "slowest": seconds + 0.1}
    return {**told, "cpu": 1.0, "megabytes": 90.4, "program_cpu": 2.0, "program_megabytes": 100.6}


def deployed(ado: float, bare: float) -> dict[str, Any]:
    rows = {
        f"{way}, {who}, {milliseconds}": taken(seconds)
        for milliseconds in LATENCIES
        for way in WAYS
        for who, seconds in {ADO: ado, BARE: bare}.items()
    }
    others = [f"{name}, {each}" for name in (APPLY, DIFF, UPGRADE) for each in LATENCIES]
    rows |= {name: taken(1.5) for name in others}
    return {**ABOUT, "rows": rows, "resources": {ADO: 66, BARE: 46}}


def rendering_of(ours: float, cdk8s: float) -> dict[str, Any]:
    rows = {OURS: ours, NAMES: 0.5, CLASSES: 1.0, CDK8S: cdk8s}
    profile = {"importing": {"pulumi": 0.25, "yaml": 0.02}, "running": {"pulumi": 0.5}}
    return {**ABOUT, **profile, "rows": {name: taken(each) for name, each in rows.items()}}


def test_the_page_is_that_of_the_figures() -> None:
    assert PAGE.read_text() == page(json.loads(FIGURES.read_text()))


def test_what_was_not_measured_is_named_with_what_measures_it() -> None:
    for part in (DEPLOYING, GROWTH, RENDERING):
        assert f"Not measured: `make bench ONLY={part}` does." in page({})


def test_a_deployment_stands_beside_the_bare_programs_and_the_goal() -> None:
    line = "| pulumi preview | 50 ms | {} (8.70 to 8.90) | 8.00 (7.90 to 8.10) | 1.10: met |"
    assert line.format("8.80") in page({DEPLOYING: deployed(8.8, 8.0)})
    missed = page({DEPLOYING: deployed(8.9, 8.0)})
    assert "| 1.11: **missed** |" in missed
    assert "| ado | 2.00 | 101 | 66 | 42 |" in missed
    assert "| helm upgrade | 50 ms | 1.50 (1.40 to 1.60) | 90 |" in missed


def test_rendering_stands_beside_others_with_what_it_spends_its_time_on() -> None:
    good, bad = page({RENDERING: rendering_of(1.3, 4.0)}), page({RENDERING: rendering_of(1.4, 4.1)})
    assert re.findall("Goal.*: (met|\\*\\*missed)", good) == ["met", "met"]
    assert re.findall("Goal.*: (met|\\*\\*missed)", bad) == ["**missed", "**missed"]
    assert "| pulumi | 0.25 | 50% |\n| yaml | 0.02 | 0% |" in good


def test_each_number_of_pools_has_its_line() -> None:
    rows = {str(pools): taken(float(pools)) for pools in POOLS}
    shown = page({GROWTH: {**ABOUT, "rows": rows}})
    assert "| 60 | 60.00 (59.90 to 60.10) | 2.00 | 101 |" in shown


def test_of_several_runs_the_median_counts() -> None:
    runs = [{"seconds": each, "cpu": each / 2} for each in (3.0, 1.0, 10.0)]
    told = {"seconds": 3.0, "cpu": 1.5, "fastest": 1.0, "slowest": 10.0}
    assert timing.summary(runs) == told


def test_a_command_is_measured_without_who_measures_it(tmp_path: Path) -> None:
    kept = bytearray(300 * 2**20)  # this process is larger
    program = "import time; kept = bytearray(50 * 2**20); time.sleep(0.2)"
    run = timing.once(Case("sleeps", (sys.executable, "-c", program), tmp_path))
    assert 0.2 <= run["seconds"] < 30
    assert 50 < run["megabytes"] < len(kept) / 2**20


def test_a_command_that_fails_ends_it_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="says failed: no such thing"):
        timing.once(Case("says", ("sh", "-c", "echo no such thing >&2; exit 3"), tmp_path))


def test_loading_is_summed_by_package() -> None:
    report = """\
import time: self [us] | cumulative | imported package
import time:      2000 |       2000 |   json
import time:      1000 |       3000 | pulumi
import time:       500 |        500 |   pulumi.runtime
"""
    assert rendering.import_seconds(report) == {"Python's own": 0.002, "pulumi": 0.0015}


def test_a_packages_share_is_that_of_its_own_functions() -> None:
    code = compile("", "/usr/lib/site-packages/pulumi/output.py", "exec")
    ours = stacks.made.__code__
    shares = rendering.shares([(code, 2.0), (ours, 1.0), ("<built-in method len>", 1.0)])
    assert shares == {"pulumi": 0.5, "ado_infra": 0.25, "Python's own": 0.25}


@pytest.fixture(scope="module")
def stack() -> stacks.Made:
    return stacks.made("elsewhere")


def test_the_bare_program_registers_the_same_without_components(
    stack: stacks.Made, tmp_path: Path
) -> None:
    program = stacks.write_bare(tmp_path, stack)
    registered = run(replace(read_stack(ROOT, stacks.STACK), program=program)).registrations
    assert all(each.custom for each in registered)
    ours = {(each.type, each.name) for each in stack.resources if each.custom}
    assert {(each.type, each.name) for each in registered} == ours

    objects = {each.path: each.manifest for each in rendered(registered)}
    for each in stack.objects:
        metadata = each.manifest["metadata"]
        annotations = {**metadata.get("annotations", {}), **stacks.NOT_AWAITED}
        expected = {**each.manifest, "metadata": {**metadata, "annotations": annotations}}
        assert objects[each.path] == expected


def test_a_chart_says_what_the_manifests_say(stack: stacks.Made, tmp_path: Path) -> None:
    stacks.write_chart(tmp_path, stack.objects)
    templates = [path.read_text() for path in (tmp_path / "templates").rglob("*.yaml")]
    assert any('{{ "{{" }}' in template for template in templates)
    plain = [template.replace('{{ "{{" }}', "{{") for template in templates]
    assert sorted(plain) == sorted(each.text() for each in stack.objects)


def test_a_kustomization_lists_secrets_too(stack: stacks.Made, tmp_path: Path) -> None:
    stacks.write_kustomization(tmp_path, stack.objects)
    listed = yaml.safe_load((tmp_path / "kustomization.yaml").read_text())["resources"]
    assert listed == [each.path for each in stack.objects]


@contextmanager
def answering(times: int) -> Generator[int]:
    """A server of one connection that says what it is told, as often, and then ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(4096):
                    connection.sendall(data * times)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_each_way_there_and_back_takes_longer_and_nothing_is_lost() -> None:
    with answering(times=2) as port, longer("127.0.0.1", port, 0.2) as further:
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", further)) as connection:
            connection.sendall(b"one")
            assert connection.recv(6, socket.MSG_WAITALL) == b"oneone"
            first = time.monotonic() - started
            assert 0.4 <= first < 5  # it is connected, and then asked
            connection.sendall(b"x" * 100_000)
            connection.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: connection.recv(65536), b""))
            assert received == b"x" * 200_000
            # On its way at once, not one piece after the other.
            assert 0.2 <= time.monotonic() - started - first < 0.2 * 4
