"""Whether the Secrets that a stack names are there: asked of the cluster, in a preview alone.

By kubectl, which finds the cluster as the provider does. Reading them through the provider would
put their values into the state, where nobody who keeps them elsewhere wants them.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Final

import pulumi

from ado_infra.settings import SecretReference, Settings

_PATIENCE: Final = 15
"""Seconds for kubectl, a plugin that fetches credentials included."""
_IN_URLS: Final = {"ado:secrets.databasePassword", "ado:secrets.redisPassword"}
_OF_A_GATEWAY: Final = ".modelGateway.keySecret"
"""How the settings end that name a Secret alone: which of its keys is read is fixed."""
_UNRESERVED: Final = re.compile(rb"[A-Za-z0-9._~-]+")
"""What stands in a URL as it is (RFC 3986, 2.3)."""
_SECRET: Final = "kubernetes:core/v1:Secret"  # noqa: S105 - a type


def warn_of_absent(settings: Settings, platform: pulumi.Resource) -> None:
    """Warns of each Secret or key that is named and not there, with what to do.

    Never more than that: at the first `up` there is no namespace that they could be in, and pods
    wait for what is not there. Without a cluster, kubectl or the right to read them it only says
    so. A program that brings a provider of its own is not looked at: kubectl may know another
    cluster.
    """
    wanted = _wanted(settings)
    if not wanted or not pulumi.runtime.is_dry_run() or platform.get_provider(_SECRET):
        return
    with _kubectl(settings.namespace.name) as kubectl:
        try:
            found = kubectl.secrets(list(wanted))
        except (OSError, ValueError, subprocess.SubprocessError) as unknown:
            pulumi.log.info(f"Not looked at: Secrets {', '.join(wanted)} ({_reason(unknown)})")
            return
    for problem in problems(wanted, found, kubectl.shown):
        pulumi.log.warn(problem, platform)


def problems(
    wanted: Mapping[str, Mapping[str, SecretReference]],
    found: Mapping[str, Mapping[str, bytes]],
    kubectl: str,
) -> Iterator[str]:
    """What is wrong with each Secret, without a value.

    `wanted`: name of a Secret → setting → what that names. `found`: name → its data. `kubectl`:
    how a command for them begins.
    """
    for name, references in wanted.items():
        if name not in found:
            files = " ".join(
                f"--from-file={key}=FILE"
                for key in dict.fromkeys(reference.key for reference in references.values())
            )
            yield (
                f"Secret {name} is not there, which {', '.join(references)} names; whoever reads "
                f"it waits for it\n    {kubectl} create secret generic {name} {files}"
            )
            continue
        for setting, reference in references.items():
            key, data = str(reference.key), found[name]
            edit = f"    {kubectl} edit secret {name}"
            if key not in data:
                lacking = (
                    f"Secret {name} has no key {key}, which {setting} names (it has: "
                    f"{', '.join(sorted(data)) or 'none'})"
                )
                if setting.endswith(_OF_A_GATEWAY):
                    yield f"{lacking}; add it\n{edit}"
                else:
                    name_it = f"    pulumi config set --path '{setting}.key' KEY"
                    yield f"{lacking}; name another, or add it\n{name_it}\n{edit}"
            elif wrong := _wrong(setting, data[key]):
                yield f"Secret {name}, key {key}, which {setting} names, {wrong}\n{edit}"


def _wrong(setting: str, value: bytes) -> str | None:
    if not value.strip():
        return "is empty"
    if value.endswith((b"\n", b"\r")):
        return "ends with a line break, as `echo` makes one; set it without"
    if setting in _IN_URLS and not _UNRESERVED.fullmatch(value):
        return (
            "has other characters than letters, digits and -._~: it goes into a URL as it is; "
            "choose another password"
        )
    return None


def _wanted(settings: Settings) -> dict[str, dict[str, SecretReference]]:
    """What is named of each Secret, but for those that the External Secrets operator writes."""
    wanted: dict[str, dict[str, SecretReference]] = {}
    for setting, reference in settings.secrets.references:
        if reference.remote is None:
            wanted.setdefault(reference.secret, {})[f"ado:secrets.{setting}"] = reference
    for pool, of_pool in settings.worker_pools.items():
        if gateway := of_pool.model_gateway:
            reference = SecretReference(secret=gateway.key_secret, key=gateway.KEY)
            wanted.setdefault(reference.secret, {})[f"ado:workerPools.{pool}{_OF_A_GATEWAY}"] = (
                reference
            )
    return wanted


@dataclass(frozen=True)
class _Kubectl:
    """kubectl for one namespace.

    Attributes:
        command: How each command begins.
        shown: The same for people.
    """

    command: Sequence[str]
    shown: str

    def secrets(self, names: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """The data of those Secrets that there are, by their names.

        Raises OSError, ValueError or subprocess.SubprocessError where nobody can tell.
        """
        asked = ("get", "secret", *names, "--ignore-not-found", "--output=json")
        done = subprocess.run(
            [*self.command, "--request-timeout=5s", *asked],
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
        )
        answer = json.loads(done.stdout or "{}")
        items = answer.get("items", [answer] if answer else [])
        return {
            item["metadata"]["name"]: {
                key: base64.b64decode(value) for key, value in (item.get("data") or {}).items()
            }
            for item in items
        }


@contextmanager
def _kubectl(namespace: str) -> Generator[_Kubectl]:
    """As the stack's own provider is told which cluster it is."""
    told = pulumi.Config("kubernetes")
    options = [f"--{key}={value}" for key in ("context", "cluster") if (value := told.get(key))]
    shown = shlex.join(["kubectl", *options, "-n", namespace])
    kubeconfig = told.get("kubeconfig") or ""
    with NamedTemporaryFile("w", encoding="utf-8", suffix=".kubeconfig") as kept:
        if "\n" in kubeconfig or kubeconfig.lstrip().startswith("{"):  # all of it, and no path
            kept.write(kubeconfig)
            kept.flush()
            kubeconfig = kept.name
        if kubeconfig:
            options.append(f"--kubeconfig={kubeconfig}")
        yield _Kubectl(["kubectl", *options, "-n", namespace], shown)


def _reason(unknown: Exception) -> str:
    """Why nobody can tell, in a line; nothing of what was answered."""
    if isinstance(unknown, subprocess.CalledProcessError):
        said = unknown.stderr.decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"kubectl: exit code {unknown.returncode}"
    if isinstance(unknown, subprocess.TimeoutExpired):
        return f"kubectl: no answer within {_PATIENCE} s"
    if isinstance(unknown, FileNotFoundError):
        return "there is no kubectl on PATH"
    return f"kubectl: {type(unknown).__name__}"
