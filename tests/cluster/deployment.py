"""A stack under test: its files changed at will, deployed for real, looked at for real."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from rich.console import Console

from ado_infra.ops.platform.objects import Model
from ado_infra.ops.platform.reading import PART_OF
from ado_infra.ops.platform.tiers import Tier
from sandbox.cluster import kubectl
from sandbox.deploy import deployed, links, rollout, stack
from sandbox.deploy.deployed import Deployed
from sandbox.deploy.engine import Engine
from sandbox.deploy.outcome import Outcome
from sandbox.paths import Sandbox
from tests.cluster import client_policy
from tests.support.recording import ROOT, SECRETS, Recording, merged, record_stack

NAMESPACE = "ado-system"
_RESET: dict[tuple[Sandbox, str], str] = {}
"""How a stack was found right after it was reset: whose, which, and the fingerprint."""
_GIVEN: set[tuple[Sandbox, str, str]] = set()
"""Secrets that tests gave, which a sandbox keeps until told otherwise: whose stack, and where."""


@dataclass
class Deployment:
    """A checkout in `directory` with a changed stack file, and the sandbox it goes to."""

    sandbox: Sandbox
    directory: Path
    stack: str = "dev"

    def write(
        self, changes: Mapping[str, Any] | None = None, *, drop: tuple[str, ...] = ()
    ) -> None:
        """Writes program and stack file, its config deeply updated.

        `drop`: top-level keys of Pulumi.yaml to leave out.
        """
        shutil.copy(ROOT / "__main__.py", self.directory)
        project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
        for key in drop:
            del project[key]
        (self.directory / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        name = f"Pulumi.{self.stack}.yaml"
        document = yaml.safe_load((ROOT / name).read_text())
        document["config"] = merged(document["config"], changes or {})
        (self.directory / name).write_text(yaml.safe_dump(document))

    def engine(self) -> Engine:
        """The engine for what was written last."""
        return Engine(self.sandbox, self.directory, self.stack, lambda _: None)

    def state(self) -> Deployed:
        """What is deployed."""
        return deployed.read(self.sandbox, self.stack)

    def up(self, changes: Mapping[str, Any] | None = None) -> Outcome:
        """Deploys with these changes and waits until every tier is Ready."""
        self.write(changes)
        self.provide(changes)
        outcome = self.engine().up()
        assert outcome.succeeded, outcome.errors
        self.wait_until_ready()
        return outcome

    def preview(self, changes: Mapping[str, Any] | None = None, **options: Any) -> Outcome:
        """What would change."""
        self.write(changes, **options)
        return self.engine().preview()

    def reset(self) -> None:
        """The stack as committed: deployed, unless it is found as the last reset has left it."""
        self.write()
        self.forget_given()
        key = self.sandbox, self.stack
        if key not in _RESET or _RESET[key] != self._fingerprint():
            self.up()
            _RESET[key] = self._fingerprint()
        self.wait_until_ready()

    def _fingerprint(self) -> str:
        """Changes with whatever an `up` would mend: the engine's state, and what is there of it.

        Also when a pod was replaced or restarted: a test may not find what another one left.
        """
        digest = hashlib.sha256(deployed.digest(self.sandbox).encode())
        objects = self.objects()
        for key in sorted(objects):
            manifest = dict(objects[key])
            status = manifest.pop("status", {})
            metadata = dict(manifest["metadata"])
            if "deletionTimestamp" in metadata:
                continue
            for passing in ("resourceVersion", "managedFields"):
                metadata.pop(passing, None)
            restarts = [each["restartCount"] for each in status.get("containerStatuses", ())]
            digest.update(json.dumps([{**manifest, "metadata": metadata}, restarts]).encode())
        return digest.hexdigest()

    def forget_given(self) -> None:
        """Takes back what was given; the stack has to be written."""
        for given in [given for given in _GIVEN if given[:2] == (self.sandbox, self.stack)]:
            self.engine().forget_secret(given[2])
            _GIVEN.remove(given)

    def give(self, path: str, value: str) -> None:
        """A secret of the stack's config, until it is taken back."""
        self.engine().set_secret(path, value)
        _GIVEN.add((self.sandbox, self.stack, path))

    def provide(self, changes: Mapping[str, Any] | None = None) -> None:
        """Nodes, images and buckets for the stack with these changes, as `make up` does it."""
        planned = self.planned(changes).objects
        plan = Outcome(objects={each.urn: each.manifest for each in planned})
        stack.provide(self.sandbox, plan, Console(quiet=True))

    def planned(self, changes: Mapping[str, Any] | None = None) -> Recording:
        """What the program asks for with these changes, without the engine."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)  # Pulumi's mocks want a current one
        named = (changes or {}).get("ado:secrets", {})
        given = {
            key: each for key, each in SECRETS.items() if key.removeprefix("ado:") not in named
        }
        given |= {path: "given" for *whose, path in _GIVEN if whose == [self.sandbox, self.stack]}
        try:
            return record_stack(self.stack, changes=changes, secrets=given)
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `python -m sandbox` on what was written last, as `make` does."""
        command = [sys.executable, "-m", "sandbox", *arguments, "--stack", self.stack]
        where = ["--name", self.sandbox.name, "--project", str(self.directory)]
        return subprocess.run(
            [*command, *where], cwd=ROOT, capture_output=True, text=True, check=False, timeout=400
        )

    def ops(
        self, *arguments: str, given: str = "", kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs `ado-ops …` as an operator does, who pipes `given` in."""
        with self.started_ops(*arguments, kubeconfig=kubeconfig) as command:
            out, errors = command.communicate(given, timeout=400)
        return subprocess.CompletedProcess(arguments, command.returncode, out, errors)

    @contextmanager
    def started_ops(
        self, *arguments: str, kubeconfig: Path | None = None
    ) -> Generator[subprocess.Popen[str]]:
        """The same, while it runs; as the administrator unless there is another `kubeconfig`."""
        whose = {"KUBECONFIG": str(kubeconfig or self.sandbox.kubeconfig)}
        of_stack = () if arguments == ("role",) else ("--stack", self.stack)
        with subprocess.Popen(
            [Path(sys.executable).with_name("ado-ops"), *arguments, *of_stack],
            cwd=self.directory,
            env=os.environ | whose | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as command:
            yield command

    def objects(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Every live object of the platform, by (kind, name)."""
        kinds = (
            "namespaces,configmaps,secrets,deployments,statefulsets,jobs,cronjobs,services,ingresses,hpa,pdb,"
            "networkpolicies,servicemonitors,serviceaccounts,roles,rolebindings,pods,replicasets"
        )
        listed = json.loads(self.kubectl("get", kinds, "-A", "-l", PART_OF, "-o", "json"))
        return {(item["kind"], item["metadata"]["name"]): item for item in listed["items"]}

    def pods(self, workload: str) -> set[str]:
        """The uids of a workload's running pods: any change means it rolled."""
        return {pod.metadata.uid for pod in self._running(workload)}

    def nodes_of(self, workload: str) -> dict[str, str]:
        """Where a workload's pods run: pod → node."""
        return {pod.metadata.name: pod.spec.node_name for pod in self._running(workload)}

    def _running(self, workload: str) -> list[Model]:
        with rollout.api(self.sandbox) as api:
            found = client.CoreV1Api(api).list_namespaced_pod(
                NAMESPACE, label_selector=f"app={workload}"
            )
        pods: list[Model] = found.items
        return [pod for pod in pods if not pod.metadata.deletion_timestamp]

    def jobs(self) -> dict[str, str]:
        """The platform's Jobs: name → uid."""
        return {
            name: manifest["metadata"]["uid"]
            for (kind, name), manifest in self.objects().items()
            if kind == "Job"
        }

    def remove(self, namespace: str) -> None:
        """All of a namespace, whoever made it.

        Its pods first: the server would wait for as long as the slowest of them may take.
        """
        with_pods = ("deployments,statefulsets,jobs", "--all", "--cascade=foreground")
        self.kubectl("delete", *with_pods, "-n", namespace)
        self.kubectl("delete", "namespace", namespace, "--ignore-not-found")

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """The standard output of kubectl, which must succeed."""
        return kubectl.run(self.sandbox, *arguments, standard_input=given)

    def shell(self, script: str, pod: str, given: str = "") -> str:
        """What a shell script prints inside a pod, errors included, however it ends."""
        target = ["exec", "-i", "-n", NAMESPACE, pod, "--"]
        return self.kubectl(*target, "/bin/sh", "-c", f"({script}) 2>&1 || true", given=given)

    def inside(self, program: str, workload: str = "ado-dashboard", given: str = "") -> str:
        """What a Python program prints inside one of a workload's pods."""
        target = ["exec", "-i", "-n", NAMESPACE, f"deployment/{workload}", "--"]
        return self.kubectl(*target, "python3", "-c", program, given=given)

    def start_beside(self, program: str, workload: str = "ado-dashboard") -> subprocess.Popen[str]:
        """Starts a Python program, with pipes to and from it, that sees what a workload's pod sees.

        It has the files, the network and the variables of a pod whose image is the stand-in's, but
        no connection through API server and kubelet, which may end before the program does; and
        neither user nor limits of the pod. A context manager.
        """
        own = self.process(min(self.nodes_of(workload)), r"-m standin")
        told = Path(f"/proc/{own}/environ").read_bytes().decode().split("\0")
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [
                *(shutil.which("nsenter") or "nsenter", f"--target={own}", "--mount", "--net"),
                *("python3", "-c", program),
            ],
            env=dict(line.split("=", 1) for line in told if line),
            stdin=pipe,
            stdout=pipe,
            text=True,
        )

    def process(self, pod: str, pattern: str) -> int:
        """The pid, out here, of the one process of a pod that has such a command line."""
        with rollout.api(self.sandbox) as api:
            found: Model = client.CoreV1Api(api).read_namespaced_pod(pod, NAMESPACE)
        uid: str = found.metadata.uid
        parents: dict[int, int] = {}
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                groups = (directory / "cgroup").read_text().replace("_", "-")
                command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                status = (directory / "status").read_text()
            except OSError:  # ended in between
                continue
            if uid in groups and re.search(pattern, command):
                parents[int(directory.name)] = int(status.partition("PPid:")[2].split()[0])
        # A child that was forked just now still has the command line of its parent.
        (pid,) = (pid for pid, parent in parents.items() if parent not in parents)
        return pid

    def links(self) -> dict[str, str]:
        """The loopback links, as `make up` prints them."""
        with rollout.api(self.sandbox) as api:
            return links.publish(self.sandbox, api, self.state().outputs)

    def wait_until_ready(self, namespace: str = NAMESPACE) -> list[Tier]:
        """Every tier, once all of them are settled; the tests' clients then reach them."""
        with rollout.api(self.sandbox) as api:
            client_policy.follow(api, namespace)
            return rollout.wait_until_ready(api, namespace)

    def dry_run_warnings(self, manifest: Mapping[str, Any]) -> list[str]:
        """What the API server warns about when this object is applied; nothing is changed."""
        done = self._apply(manifest)
        assert done.returncode == 0, done.stderr
        return [line for line in done.stderr.splitlines() if "warning" in line.lower()]

    def conflicts(self, manifest: Mapping[str, Any]) -> str:
        """What somebody who makes this object anew, over the one that is there, is told of it."""
        return self._apply(manifest, forced=False).stderr

    def refusal_of(self, manifest: Mapping[str, Any]) -> str:
        """Why the API server refuses an object."""
        done = self._apply(manifest)
        assert done.returncode != 0, "the API server accepts it"
        return done.stderr

    def _apply(
        self, manifest: Mapping[str, Any], *, forced: bool = True
    ) -> subprocess.CompletedProcess[str]:
        apply = ["apply", "--server-side", f"--force-conflicts={str(forced).lower()}"]
        given = json.dumps(manifest)
        return kubectl.attempt(
            self.sandbox, *apply, "--dry-run=server", "-f", "-", standard_input=given
        )

    @contextmanager
    def watched_arguments(self) -> Generator[set[bytes]]:
        """Every argument list of any process that was seen during the block."""
        seen: set[bytes] = set()
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                for arguments in Path("/proc").glob("[0-9]*/cmdline"):
                    with suppress(OSError):  # ended in between
                        seen.add(arguments.read_bytes().replace(b"\0", b" "))
                done.wait(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield seen
        finally:
            done.set()
            watcher.join()
