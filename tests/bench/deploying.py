"""The same objects, deployed unchanged by several programs, on a sandbox of its own."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from rich.console import Console

from sandbox.build import tools
from sandbox.cluster import kubectl, object_storage
from sandbox.deploy import stack
from sandbox.deploy.outcome import Outcome
from sandbox.deploy.stack_files import ACCESS_KEY, SECRET_KEY, use_own_object_storage
from sandbox.paths import Sandbox
from sandbox.progress import Report
from tests.bench import programs, stacks
from tests.bench.link import longer
from tests.bench.timing import Case, Figures, once, timed
from tests.cluster import sandboxes
from tests.cluster.reader import Reader, environment
from tests.support.recording import ROOT, stack_config

ADO, BARE = "ado", "bare"
WAYS: Final = ("pulumi preview", "pulumi up --yes", "pulumi up --yes --skip-preview")
APPLY, DIFF, UPGRADE = "kubectl apply --server-side", "kubectl diff --server-side", "helm upgrade"
LATENCIES: Final = (0, 50)
"""Added milliseconds, there and back."""
POOLS: Final = (1, 20, 60)
_NAMESPACES: Final = {BARE: "bench-bare", APPLY: "bench-apply", UPGRADE: "bench-helm"}
"""Who deploys beside us → where; nothing of it runs, so that the machine is quiet."""
_NO_PODS: Final = """
{apiVersion: v1, kind: ResourceQuota, metadata: {name: no-pods}, spec: {hard: {pods: 0}}}
"""


@contextmanager
def deployed(folder: Path, say: Report) -> Generator[Bench]:
    """Everything that is measured, deployed for the first time, while the block runs."""
    found = tools.ensure([programs.HELM], say)
    with sandboxes.running(Sandbox("bench")) as sandbox:
        bench = Bench(sandbox, folder, found["helm"])
        for who, deploy in {
            ADO: bench.deploy_ado,
            BARE: bench.deploy_bare,
            "kubectl and Helm": bench.deploy_others,
        }.items():
            say(f"first deployment: {who}")
            deploy()
        yield bench


class Bench:
    """A sandbox on which the stack is deployed by several programs, in a namespace each."""

    def __init__(self, sandbox: Sandbox, folder: Path, helm: Path) -> None:
        self._sandbox, self._folder, self._helm = sandbox, folder, helm
        self._versions = {
            "engine": tools.PULUMI.version,
            "Kubernetes": tools.KUBERNETES.version,
            "Helm": programs.HELM.version,
        }
        self._environment = environment(sandbox, folder) | {
            "PULUMI_BACKEND_URL": f"file://{folder}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true",  # a namespace is there before its quota
        }

    def deploy_ado(self) -> None:
        """The stack as it is committed, which runs; its object storage is the sandbox's."""
        objects = stacks.made("ado-system").objects
        planned = Outcome(objects={each.path: each.manifest for each in objects})
        stack.provide(self._sandbox, planned, Console(quiet=True))
        keys = object_storage.credentials(self._sandbox)
        config = stack_config(stacks.STACK)
        use_own_object_storage(config)
        secrets = {ACCESS_KEY: keys.access_key, SECRET_KEY: keys.secret_key}
        self._start(ADO, ROOT / "__main__.py", config, secrets)

    def deploy_bare(self) -> None:
        """The same resources by the bare program."""
        self._make_namespace(BARE)
        folder = self._folder / BARE
        folder.mkdir()
        program = stacks.write_bare(folder, stacks.made(_NAMESPACES[BARE]))
        self._start(BARE, program, {}, {})

    def deploy_others(self) -> None:
        """The same objects by kubectl and by Helm."""
        for who, write in {APPLY: stacks.write_manifests, UPGRADE: stacks.write_chart}.items():
            self._make_namespace(who)
            write(self._folder / _NAMESPACES[who], stacks.made(_NAMESPACES[who]).objects)
        for case in self._others({}):
            if case.name != DIFF:
                once(case)

    def unchanged(self, runs: int, say: Report) -> dict[str, Any]:
        """The figures of everything deployed again as it is: `<command>, <who>, <milliseconds>`."""
        rows: Figures = {}
        for milliseconds in LATENCIES:
            with self._reached_later(milliseconds / 1000) as later:
                cases = [self._case(way, who, later) for way in WAYS for who in (ADO, BARE)]
                told = timed([*cases, *self._others(later)], runs, say)
            for case in cases:
                told[case.name] |= _noted(case)
            rows |= {f"{name}, {milliseconds}": each for name, each in told.items()}
        return self._part(rows)

    def growth(self, runs: int, say: Report) -> dict[str, Any]:
        """The figures of previews of the stack with more worker pools: how many."""
        folder = self._folder / ADO
        cases: list[Case] = []
        for pools in POOLS:
            file = folder / f"{pools}.yaml"
            document = yaml.safe_load((folder / f"Pulumi.{stacks.STACK}.yaml").read_text())
            settings = document["config"]["ado:workerPools"]
            settings |= {f"pool-{n}": settings["default"] for n in range(2, pools + 1)}
            file.write_text(json.dumps(document))  # which is YAML, too
            given = ("--config-file", str(file))
            cases.append(self._case(WAYS[0], ADO, {}, str(pools), given))
        rows = timed(cases, runs, say)
        for case in cases:
            rows[case.name] |= _noted(case)
        return self._part(rows)

    def _part(self, rows: Figures) -> dict[str, Any]:
        made = stacks.made("ado-system")
        return {
            "rows": rows,
            "resources": {
                ADO: len(made.resources),
                BARE: sum(each.custom for each in made.resources),
            },
            "objects": len(made.objects),
            "versions": programs.versions() | self._versions,
        }

    def _start(
        self, who: str, program: Path, config: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> None:
        """A project whose program is run by `noted.py`, and its stack's first `up`."""
        folder = self._folder / who
        folder.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("noted.py"), folder / "__main__.py")
        project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text()) | {"name": who}
        project["runtime"]["options"] = {"virtualenv": sys.prefix}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        (folder / f"Pulumi.{stacks.STACK}.yaml").write_text(yaml.safe_dump({"config": config}))
        (folder / "program").write_text(str(program))
        reader = Reader(folder, self._environment)
        reader.types(f"pulumi stack init {stacks.STACK}")
        for key, value in secrets.items():
            reader.types(f"pulumi config set --secret {key}", value)
        reader.types("pulumi up --yes --skip-preview")

    def _case(
        self,
        way: str,
        who: str,
        later: Mapping[str, str],
        name: str = "",
        more: tuple[str, ...] = ("--expect-no-changes",),
    ) -> Case:
        name = name or f"{way}, {who}"
        notes = {"BENCH_NOTES": str(self._folder / f"{name}.notes")}
        pulumi, *command = way.split()
        program = str(shutil.which(pulumi, path=self._environment["PATH"]))
        command = [program, *command, "--non-interactive", *more]
        return Case(name, command, self._folder / who, {**self._environment, **later, **notes})

    def _others(self, later: Mapping[str, str]) -> list[Case]:
        kubectl_, helm = str(shutil.which("kubectl", path=self._environment["PATH"])), self._helm
        manifests, chart = _NAMESPACES[APPLY], _NAMESPACES[UPGRADE]
        commands = {
            APPLY: [kubectl_, "apply", "--server-side", "--recursive", "-f", manifests],
            DIFF: [kubectl_, "diff", "--server-side", "--recursive", "-f", manifests],
            UPGRADE: [
                *(helm, "upgrade", "ado", chart, "--install", "--take-ownership"),
                *("--namespace", chart),
            ],
        }
        environment = {**self._environment, **later}
        return [Case(name, each, self._folder, environment) for name, each in commands.items()]

    @contextmanager
    def _reached_later(self, seconds: float) -> Generator[dict[str, str]]:
        """The environment of who is so much further away from the API server."""
        if not seconds:
            yield {}
            return
        config = yaml.safe_load(self._sandbox.kubeconfig.read_text())
        (cluster,) = config["clusters"]
        server = urlsplit(cluster["cluster"]["server"])
        with longer(str(server.hostname), int(server.port or 443), seconds) as port:
            cluster["cluster"]["server"] = f"https://{server.hostname}:{port}"
            file = self._folder / "further"
            file.write_text(yaml.safe_dump(config))
            yield {"KUBECONFIG": str(file)}

    def _make_namespace(self, who: str) -> None:
        kubectl.run(self._sandbox, "create", "namespace", _NAMESPACES[who])
        create = ["create", "--namespace", _NAMESPACES[who], "-f", "-"]
        kubectl.run(self._sandbox, *create, standard_input=_NO_PODS)


def _noted(case: Case) -> dict[str, float]:
    """What the program itself took, which `noted.py` has kept."""
    notes = Path(case.environment["BENCH_NOTES"])
    runs = [json.loads(line) for line in notes.read_text().splitlines()]
    notes.unlink()
    return {
        f"program_{key}": round(statistics.median(run[key] for run in runs), 3) for key in runs[0]
    }
