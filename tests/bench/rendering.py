"""`render` beside others that make the same YAML: no cluster, no network."""

from __future__ import annotations

import cProfile
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType
from typing import Any, Final

from ado_infra.render.rendering import render
from sandbox.build import tools
from tests.bench import programs, stacks
from tests.bench.timing import Case, timed
from tests.support.recording import ROOT

OURS, CDK8S = "ado-ops render", "cdk8s, Python"
NAMES = "import of pulumi and pulumi_kubernetes by name"
CLASSES = "import of them with the classes it uses"
_IMPORT: Final = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \| +(\S+)$", re.MULTILINE)
_PYTHON: Final = "Python's own"
_CDK8S: Final = """
import json, sys
from cdk8s import ApiObject, App, Chart, JsonPatch

app = App(outdir=sys.argv[2])
chart = Chart(app, "ado")
for number, each in enumerate(json.load(open(sys.argv[1]))):
    head = {"api_version": each.pop("apiVersion"), "kind": each.pop("kind")}
    made = ApiObject(chart, str(number), metadata=each.pop("metadata"), **head)
    for key, value in each.items():
        made.add_json_patch(JsonPatch.add("/" + key, value))
app.synth()
"""


def measure(folder: Path, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of the page's section on rendering."""
    found = tools.ensure([programs.HELM, programs.KUSTOMIZE], say)
    python = programs.cdk8s()
    stack = stacks.made("ado-system")
    manifests, chart = folder / "manifests", folder / "chart"
    stacks.write_kustomization(manifests, stack.objects)
    stacks.write_chart(chart, stack.objects)
    plain, program = folder / "objects.json", folder / "with_cdk8s.py"
    plain.write_text(json.dumps([each.manifest for each in stack.objects]))
    program.write_text(_CDK8S)
    modules = sorted({stacks.sdk_class(each.type)[0] for each in stack.resources if each.custom})
    environment = python_environment()

    def case(name: str, *command: str | Path) -> Case:
        return Case(name, command, ROOT, environment)

    rendered = [sys.executable, "-m", "ado_infra.ops", "render", "--stack", stacks.STACK]
    cases = [
        case(OURS, *rendered, "--out", folder / "out"),
        case(NAMES, sys.executable, "-c", "import pulumi, pulumi_kubernetes"),
        case(CLASSES, sys.executable, "-c", f"import pulumi, {', '.join(modules)}"),
        case(CDK8S, python, program, plain, folder / "cdk8s"),
        case("helm template", found["helm"], "template", "ado", chart),
        case("kustomize build", found["kustomize"], "build", manifests),
    ]
    rows = timed(cases, runs, say)
    command = [sys.executable, "-X", "importtime", *rendered[1:], "--out", str(folder / "out")]
    imports = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return {
        "rows": rows,
        "objects": len(stack.objects),
        "importing": import_seconds(imports.stderr),
        "running": _running(),
        "versions": programs.versions()
        | {
            "Helm": programs.HELM.version,
            "kustomize": programs.KUSTOMIZE.version,
            "cdk8s": programs.CDK8S,
        },
    }


def python_environment() -> dict[str, str]:
    """This process's, in which this checkout is found and Python keeps what it compiles."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(ROOT)}


def import_seconds(report: str) -> dict[str, float]:
    """Package → what its modules take to load, of a report of `python -X importtime`."""
    taken: Counter[str] = Counter()
    for own, module in _IMPORT.findall(report):
        taken[_package(module)] += int(own)
    return {package: own / 1e6 for package, own in taken.most_common()}


def _package(module: str) -> str:
    package = module.partition(".")[0]
    return _PYTHON if package in sys.stdlib_module_names else package


def _running() -> dict[str, float]:
    """Package → its share of what rendering takes once all is loaded."""
    profile = cProfile.Profile()
    profile.runcall(render, ROOT, stacks.STACK)
    return shares((entry.code, entry.inlinetime) for entry in profile.getstats())


def shares(functions: Iterable[tuple[CodeType | str, float]]) -> dict[str, float]:
    """Package → its share of the seconds that functions took for themselves."""
    taken: Counter[str] = Counter()
    for code, seconds in functions:
        taken[_package_of(code)] += seconds  # pyright: ignore[reportArgumentType]
    total = sum(taken.values())
    return {package: seconds / total for package, seconds in taken.most_common()}


def _package_of(code: CodeType | str) -> str:
    if isinstance(code, str):  # a function of the interpreter's
        return _PYTHON
    path = Path(code.co_filename)
    if path.is_relative_to(ROOT) and "site-packages" not in path.parts:
        return "ado_infra"
    _, _, below = code.co_filename.partition("/site-packages/")
    return below.partition("/")[0] or _PYTHON
