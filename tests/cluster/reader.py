"""Somebody with a shell and plain `pulumi`, who types what a page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.build import providers
from sandbox.build.tools import KUBERNETES, PULUMI, ensure
from sandbox.paths import Sandbox
from tests.support import python_host

_LANGUAGE = "pulumi-language-python"
_OWN = ("PULUMI", "KUBE", "PYTHON", "VIRTUAL_ENV")
"""What a fresh environment has nothing of."""


@dataclass
class Reader:
    """Somebody with a checkout and a shell, and no more than a page says."""

    checkout: Path
    environment: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    """What stands on the page for the reader's own → what it is here."""

    def types(self, line: str, answer: str = "") -> str:
        """What a line prints, which must succeed; `answer` is given where it asks for a value."""
        for theirs, ours in self.values.items():
            line = line.replace(theirs, ours)
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.environment[name] = value
            return ""
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.checkout,
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=700,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def forwarded(self, line: str) -> Generator[str]:
        """Where a port is reached while `kubectl port-forward` runs."""
        with subprocess.Popen(
            ["sh", "-c", f"exec {line}"], env=self.environment, stdout=subprocess.PIPE, text=True
        ) as forward:
            try:
                assert forward.stdout
                yield forward.stdout.readline().split()[2]
            finally:
                forward.terminate()


def environment(cluster: Sandbox, folder: Path) -> dict[str, str]:
    """A home of its own, the cluster, and the programs that the CLI comes with or fetches."""
    programs = folder / "bin"
    programs.mkdir()
    if not shutil.which(_LANGUAGE):
        launcher = f'#!/bin/sh\nexec {sys.executable} -P {python_host.__file__} "$@"\n'
        (programs / _LANGUAGE).write_text(launcher)
        (programs / _LANGUAGE).chmod(0o755)
    tools = ensure([PULUMI, KUBERNETES], lambda _: None)
    found = providers.locate(tools["pulumi"], programs, lambda _: None)
    lent = [programs, tools["pulumi"].parent, tools["kubectl"].parent]
    path = [*lent, *(plugin.directory for plugin in found), os.environ["PATH"]]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OWN)}
    return kept | {
        "HOME": str(folder),
        "PULUMI_HOME": str(folder / ".pulumi"),
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": os.pathsep.join(map(str, path)),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
