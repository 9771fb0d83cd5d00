"""The real Pulumi engine with the sandbox's plugins: an inline program, a state of its own."""

from __future__ import annotations

import gc
import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi.automation as auto

from sandbox.build import providers
from sandbox.build.tools import PULUMI, ensure
from sandbox.cluster import kubectl
from sandbox.paths import Sandbox

Program = Callable[[], None]


Kubectl = Callable[..., Any]


@contextmanager
def kubectl_in(sandbox: Sandbox, namespace: str) -> Generator[Kubectl]:
    """`kubectl` in a namespace of its own, removed afterwards; JSON answers come parsed."""

    def run(*arguments: str) -> Any:
        printed = kubectl.run(sandbox, "--namespace", namespace, *arguments)
        return json.loads(printed) if "json" in arguments else printed

    run("create", "namespace", namespace)
    try:
        yield run
    finally:
        run("delete", "namespace", namespace, "--wait=false")


@dataclass
class Run:
    """What one command of the engine did."""

    steps: dict[str, str] = field(default_factory=dict)
    """Logical name → operation, without those that stayed the same."""
    replacing: set[str] = field(default_factory=set)
    """Logical names whose old object was deleted before the new one was made."""
    diagnostics: list[str] = field(default_factory=list)
    """Warnings and errors."""
    failures: dict[str, str] = field(default_factory=dict)
    """Logical name → the errors about it."""
    statuses: list[str] = field(default_factory=list)
    """Passing lines, as shown beside a resource."""
    diffs: dict[str, list[str]] = field(default_factory=dict)
    """Logical name → the property paths that differ."""
    output: str = ""
    error: str = ""
    """Everything the engine said when the command failed; empty when it did not."""

    @property
    def changes(self) -> dict[str, int]:
        """How many resources had each operation."""
        return dict(Counter(self.steps.values()))


class Engine:
    """A stack `test` of a project `test`; state and PULUMI_HOME are under one folder."""

    def __init__(
        self, folder: Path, kubeconfig: Path, config: Mapping[str, Any] | None = None
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.work = folder / "work"
        for part in (self.home, self.work, folder / "state"):
            part.mkdir(parents=True, exist_ok=True)
        pulumi = ensure([PULUMI], lambda _: None)["pulumi"]
        self._providers = providers.locate(pulumi, folder / "plugins", lambda _: None)
        self._environment = {
            "KUBECONFIG": str(kubeconfig),
            "PATH": f"{pulumi.parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_DEV": "true",  # else a provider older than its SDK is warned of
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        }
        self.set_config(config or {})

    def set_config(self, config: Mapping[str, Any]) -> None:
        """The project's own `config` section, as a Pulumi.yaml has it."""
        project = {
            "name": "test",
            "runtime": "python",
            "config": {key: {"value": value} for key, value in config.items()},
            "plugins": {
                "providers": [{"name": p.name, "path": str(p.directory)} for p in self._providers]
            },
        }
        (self.work / "Pulumi.yaml").write_text(json.dumps(project))  # which YAML can hold

    def preview(self, program: Program) -> Run:
        """`pulumi preview --diff`."""
        return self._run(program, lambda stack, **on: stack.preview(diff=True, **on))

    def up(self, program: Program, **options: Any) -> Run:
        """`pulumi up`."""
        return self._run(program, lambda stack, **on: stack.up(**options, **on))

    def refresh(self, program: Program) -> Run:
        """`pulumi refresh`."""
        return self._run(program, lambda stack, **on: stack.refresh(**on))

    def destroy(self) -> Run:
        """`pulumi destroy`."""
        return self._run(lambda: None, lambda stack, **on: stack.destroy(**on))

    def state(self) -> dict[str, Any]:
        """Logical name → the resource as stored, secrets encrypted."""
        deployment = self._stack(lambda: None).export_stack().deployment or {}
        return {
            resource["urn"].rpartition("::")[2]: resource
            for resource in deployment.get("resources", [])
        }

    def stored_text(self) -> str:
        """Every file of state and history, for looking for what must not be there."""
        files = [path for path in (self.folder / "state").rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in files)

    def _stack(self, program: Program) -> auto.Stack:
        os.environ.update(self._environment)  # the plugins are started with this process's own
        return auto.create_or_select_stack(
            "test",
            project_name="test",
            program=program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(self.work), pulumi_home=str(self.home), env_vars=self._environment
            ),
        )

    def _run(self, program: Program, command: Callable[..., Any]) -> Run:
        run = Run()
        lines: list[str] = []
        with warnings.catch_warnings():
            # The Automation API leaves the event loops of inline programs to the collector.
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                command(
                    self._stack(program),
                    on_event=lambda event: _note(run, event),
                    on_output=lines.append,
                )
            except auto.CommandError as error:
                run.error = str(error)
            gc.collect()
        run.output = "\n".join(lines)
        return run


def _hear(run: Run, message: auto.events.DiagnosticEvent) -> None:
    if message.ephemeral:
        run.statuses.append(message.message)
    elif message.severity in {"warning", "error"}:
        run.diagnostics.append(message.message)
    if message.severity == "error" and "kubernetes:" in (message.urn or ""):
        name = str(message.urn).rpartition("::")[2]
        run.failures[name] = run.failures.get(name, "") + message.message


def _note(run: Run, event: auto.events.EngineEvent) -> None:
    if event.diagnostic_event:
        _hear(run, event.diagnostic_event)
    for step in (event.resource_pre_event, event.res_outputs_event):
        if step is None:
            continue
        data = step.metadata
        name = data.urn.rpartition("::")[2]
        operation = str(getattr(data.op, "value", data.op))
        if data.type.startswith("pulumi:") or operation in {"same", "refresh"}:
            continue
        if operation == "delete-replaced" and name not in run.steps:
            run.replacing.add(name)
        if operation in {"replace", "create-replacement", "delete-replaced"}:
            operation = "replace"
        run.steps[name] = operation
        if data.detailed_diff:
            run.diffs[name] = sorted(data.detailed_diff)
