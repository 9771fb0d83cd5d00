"""The real Pulumi engine, deploying a checkout's program to a sandbox.

Everything the engine keeps is below the sandbox's own state directory: its home with the plugins,
the backend with the state, and copies of the project and stack files. The checkout is only read,
so that it stays clean; KUBECONFIG and `~/.kube` of the user play no part, and of `~/.pulumi` only
plugins are used.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import runpy
import secrets
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from pulumi import automation
from pulumi.automation import events

from sandbox import files, plugins
from sandbox.build import providers, tools
from sandbox.build.providers import Plugin
from sandbox.cluster import kubectl, object_storage
from sandbox.deploy import deployed, mishaps, stack_files
from sandbox.deploy.fingerprint import fingerprint
from sandbox.deploy.outcome import Outcome, plain
from sandbox.deploy.stack_files import ACCESS_KEY, SECRET_KEY
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox
from sandbox.progress import Report

_PLUGINS = str(Path(plugins.__file__).parent)
"""What the engine looks for on PATH: how it starts a policy pack."""
OnEvent = Callable[[events.EngineEvent], None]
Result = (
    automation.PreviewResult
    | automation.UpResult
    | automation.RefreshResult
    | automation.DestroyResult
)


class Engine:
    """One stack of a checkout's program, in one sandbox."""

    stand_in_secrets: list[str]
    """Keys of the secrets that the sandbox has put in just now and that open nothing."""
    given_object_storage: bool
    """Whether the sandbox has put in the keys of its own object storage just now."""
    versions: str
    """Engine, providers and SDKs, and where each came from; `deployed.used_versions` repeats it."""

    def __init__(self, sandbox: Sandbox, checkout: Path, stack: str, report: Report) -> None:
        """Prepares the engine's home and the stack's copy.

        Raises SandboxError when the checkout has no such stack.
        """
        self._sandbox = sandbox
        self._checkout = checkout
        self._name = stack
        source = stack_files.find(checkout, stack)
        self._pulumi = tools.ensure([tools.PULUMI], report)["pulumi"]
        for directory in (self.home, self.backend, self.project):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The engine would log every call in a directory of this name, for a third of its time.
        logs = self.home / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.touch()
        with self._alone():
            found = providers.locate(self._pulumi, sandbox.pulumi / "plugins", report)
            stack_files.copy_project(
                checkout,
                self.project,
                runs_in_place=_language_host() is not None,
                plugins={plugin.name: plugin.directory for plugin in found},
            )
            self._demanded = stack_files.copy_stack(source, self.project)
            self._stack = self._select()
            self.versions = self._say_versions(found)
            self._give_secrets()

    @property
    def home(self) -> Path:
        """The engine's PULUMI_HOME."""
        return self._sandbox.pulumi / "home"

    @property
    def backend(self) -> Path:
        """Where the state of every stack is kept."""
        return self._sandbox.pulumi / "state"

    @property
    def project(self) -> Path:
        """The copies of the project and stack files."""
        return stack_files.copies(self._sandbox, self._name)

    def preview(
        self,
        on_event: OnEvent | None = None,
        *,
        refresh: bool = True,
        policies: Path | None = None,
    ) -> Outcome:
        """What `up` would change, with every planned object; changes nothing.

        Without `refresh` it trusts the state instead of looking at the cluster. `policies`: folder
        of a policy pack, with a virtual environment, that the plan has to pass.
        """
        packs = [str(policies)] if policies else None
        return self._run(
            lambda see: self._stack.preview(
                on_event=see, diff=True, refresh=refresh, policy_packs=packs
            ),
            on_event,
        )

    def mend(self) -> Outcome:
        """Clears what a run that was killed left in the state; what it made is kept."""
        return self._run(
            lambda see: self._stack.refresh(
                on_event=see, clear_pending_creates=True, show_secrets=False
            ),
            None,
        )

    def up(self, on_event: OnEvent | None = None) -> Outcome:
        """Makes the sandbox what the program says, also where somebody else has changed it."""

        def command(see: OnEvent) -> Result:
            asked = self._asked()
            done = self._stack.up(on_event=see, show_secrets=False, refresh=True)
            files.write(self._last_up, asked + self._state())
            return done

        return self._run(command, on_event)

    @property
    def is_as_deployed(self) -> bool:
        """Whether program, settings, versions and state are those that the last `up` ended with.

        Then an `up` could change nothing but what somebody has changed in the cluster since.
        """
        last = self._last_up.read_text() if self._last_up.exists() else ""
        return last == self._asked() + self._state()

    @property
    def _last_up(self) -> Path:
        return deployed.last_up(self._sandbox, self._name)

    def _asked(self) -> str:
        settings = [self.project / name for name in ("Pulumi.yaml", f"Pulumi.{self._name}.yaml")]
        return fingerprint(self._checkout, settings, self.versions)

    def _state(self) -> str:
        return deployed.digest(self._sandbox, self._name)

    def destroy(self, on_event: OnEvent | None = None) -> Outcome:
        """Removes what the stack made, or nothing at all when something is protected.

        The preview comes first: without it the engine would delete whatever is unprotected
        before it fails.
        """
        planned = self._run(lambda see: self._stack.preview_destroy(on_event=see), None)
        if not planned.succeeded:
            return planned
        return self._run(
            lambda see: self._stack.destroy(on_event=see, show_secrets=False), on_event
        )

    def set_secret(self, path: str, value: str) -> None:
        """Keeps an encrypted value in the stack's copy, also when that is made anew."""
        with self._alone():
            self._set_secret(path, value)

    def forget_secret(self, path: str) -> None:
        """Takes it out of the stack's copy."""
        with self._alone():
            self._pulumi_command(["config", "rm", "--path", path])

    def _set_secret(self, path: str, value: str) -> None:
        # Never onto an argument list.
        self._pulumi_command(["config", "set", "--secret", "--path", path], value)

    def _alone(self) -> AbstractContextManager[Path]:
        return files.locked(self._sandbox.pulumi / "lock", files.say_waiting)

    def _run(self, command: Callable[[OnEvent], Result], on_event: OnEvent | None) -> Outcome:
        # The Automation API warns in a thread of its own when the engine's connection breaks off;
        # whether the engine was killed its exit code says.
        warnings.filterwarnings("ignore", "Error in event stream", UserWarning)
        outcome = Outcome()
        failures: list[BaseException] = []

        def see(event: events.EngineEvent) -> None:
            # Called in the thread that drains the engine's events: if it died, the engine would
            # wait for ever, and with it everybody who waits for the lock.
            try:
                outcome.see(event)
                if on_event and not failures:
                    on_event(event)
            except BaseException as failure:  # noqa: BLE001 - raised below
                failures.append(failure)

        with self._alone():
            self._clear_stale_locks()
            try:
                outcome.text = command(see).stdout
            except automation.errors.CommandError as failed:
                why = plain(mishaps.of_engine(str(failed)))
                if not outcome.errors or why == mishaps.ENGINE_ENDED:
                    outcome.errors.append(why)
            else:
                outcome.succeeded = True
        if failures:
            raise failures[0]
        return outcome

    def _select(self) -> automation.Stack:
        kubectl_there = tools.find(tools.KUBERNETES, "kubectl")
        beside = [str(kubectl_there.parent)] if kubectl_there else []
        for own in (str(self._pulumi.parent), _PLUGINS, *beside):
            if own not in os.environ["PATH"].split(os.pathsep):
                os.environ["PATH"] = f"{own}{os.pathsep}{os.environ['PATH']}"
        self._environment = {
            "KUBECONFIG": str(self._sandbox.kubeconfig),
            # A file of metadata beside each of the state's would not be written whole: killed
            # meanwhile, the engine could never read its state again.
            "PULUMI_BACKEND_URL": f"file://{self.backend}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._ensure_passphrase()),
            "PULUMI_HOME": str(self.home),
            "PULUMI_SELF_MANAGED_STATE_GZIP": "false",  # `deployed` reads it
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The engine would warn in each run that a provider is older than the SDK; all else
            # that this switches belongs to other commands.
            "PULUMI_DEV": "true",
            # Since 4.29 the provider refuses to create what is there, as it is after a kill.
            "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true",
        }
        # A passphrase of the user's own would take precedence over the sandbox's.
        os.environ.pop("PULUMI_CONFIG_PASSPHRASE", None)
        # The workspace asks the engine for its version without that environment, and logs it there.
        os.environ["PULUMI_HOME"] = str(self.home)
        workspace = automation.LocalWorkspace(
            work_dir=str(self.project),
            pulumi_home=str(self.home),
            env_vars=self._environment,
            program=None if _language_host() else self._program,
        )
        return automation.Stack.create_or_select(self._name, workspace)

    def _ensure_passphrase(self) -> Path:
        passphrase = self._sandbox.pulumi / "passphrase"
        if not passphrase.exists():
            files.write(passphrase, secrets.token_urlsafe(32))
        return passphrase

    def _program(self) -> None:
        """The checkout's program, run in this process: what the language host would do."""
        sys.path.insert(0, str(self._checkout))
        # It may ask kubectl, which must not find the user's own cluster here.
        own = kubectl.environment(self._sandbox)
        former = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        try:
            runpy.run_path(str(self._checkout / "__main__.py"), run_name="__main__")
        finally:
            sys.path.remove(str(self._checkout))
            for name, value in former.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def _say_versions(self, found: list[Plugin]) -> str:
        origin = tools.origin(self._pulumi)
        lines = [f"Pulumi's engine {self._stack.workspace.pulumi_version}: {origin}"]
        for plugin in found:
            sdk = providers.sdk_version(plugin.name)
            version = plugin.version or "of unknown version"
            lines.append(f"  provider {plugin.name} {version}: {plugin.origin}; its SDK is {sdk}")
        said = "\n".join(lines)
        files.write(deployed.versions(self._sandbox), said)
        return said

    def _give_secrets(self) -> None:
        """Puts in what only the stack's owner has: a production stack is refused without."""
        keys = object_storage.credentials(self._sandbox)
        opening = {ACCESS_KEY: keys.access_key, SECRET_KEY: keys.secret_key}
        missing = sorted(self._demanded)
        # The same value again after a stack file has hidden it for a while: no pod is replaced.
        seed = self._ensure_passphrase().read_bytes()
        for path in missing:
            own = hmac.new(seed, path.encode(), hashlib.sha256).hexdigest()[:16]
            stand_in = f"sandbox-{path.split(':')[-1]}-{own}"
            self._set_secret(path, opening.get(path, stand_in))
        self.stand_in_secrets = [path for path in missing if path not in opening]
        self.given_object_storage = len(self.stand_in_secrets) < len(missing)

    def _clear_stale_locks(self) -> None:
        # Nobody else runs the engine here, so a lock was left by one that was killed.
        for lock in (self.backend / ".pulumi" / "locks").rglob("*.json"):
            lock.unlink()

    def _pulumi_command(self, arguments: list[str], given: str = "") -> str:
        done = subprocess.run(
            [str(self._pulumi), *arguments, "--stack", self._name, "--non-interactive"],
            cwd=self.project,
            env=os.environ | self._environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SandboxError(f"pulumi {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
        return done.stdout


def _language_host() -> str | None:
    """The official Python language host, where the engine finds one."""
    return shutil.which("pulumi-language-python")
