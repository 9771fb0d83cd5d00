"""A stack of this checkout in a sandbox: what `up`, `preview`, `status` and the others do.

Knows the program only as a user does: by its stack files, by what the engine plans, and by what
runs in the cluster afterwards. What only some commands need is imported by these: Pulumi takes
longer to load than a status to be read.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubernetes import client
from rich.console import Console

from ado_infra.ops.namespace import Namespace
from ado_infra.ops.platform.reading import Sight, look
from sandbox import files
from sandbox.build import images
from sandbox.cluster import cluster, health, object_storage
from sandbox.deploy import deployed, links, mishaps, rollout, stack_files
from sandbox.deploy import status as shown
from sandbox.deploy.deployed import Deployed
from sandbox.deploy.planned import buckets_needed, containers, nodes_needed
from sandbox.deploy.refusals import failure, protected, refuse_beside
from sandbox.errors import NotReadyError, SandboxError
from sandbox.host import machine
from sandbox.paths import Called, Sandbox
from sandbox.progress import step

if TYPE_CHECKING:
    from sandbox.deploy.display import Display
    from sandbox.deploy.engine import Engine
    from sandbox.deploy.outcome import Outcome


@dataclass(frozen=True)
class Stack:
    """One stack of a checkout (`project`) in one sandbox; `console` is told what happens."""

    name: str
    sandbox: Sandbox
    project: Path
    console: Console

    def up(self) -> None:
        """Start the sandbox when needed, deploy, wait until all is Ready, print the links."""
        started = time.monotonic()
        machine.require_root()
        # A slip is said before anything is started.
        stack_files.find(self.project, self.name)
        self._refuse_beside()
        self._check_settings()
        cluster.up(self.sandbox, None, self.console)
        with self._alone():
            self._deploy()
            outputs = deployed.read(self.sandbox, self.name).outputs
            with self._connected() as connection:
                with step(self.console, "Waiting until every tier is Ready"):
                    rollout.wait_until_ready(connection, outputs["namespace"])
                with rollout.answering():
                    sight = look(Namespace(connection, outputs["namespace"]))
                published = links.publish(self.sandbox, connection, outputs)
        shown.show(self.console, sight, published)
        self.console.print(f"Stack {self.name} is up ({time.monotonic() - started:.1f} s).")

    def preview(self, *, diff: bool) -> str:
        """Show what `up` would change; change nothing. With `diff` the engine's whole text.

        Only what a killed run left in the engine's own state is cleared: its plan would be wrong.
        """
        stack_files.find(self.project, self.name)
        self._reach()
        self._check_settings()
        engine = self._engine()
        if deployed.read(self.sandbox, self.name).interrupted:
            with self._alone():  # or it is an `up` that goes on right now, and ends well
                self._mend(engine)
        with self._display(planned=True) as display:
            plan = _checked(engine.preview(None if diff else display.see), self._called)
        if diff and plan.changed:
            from sandbox.deploy.outcome import details

            return details(plan.text)
        return _summary(plan, nothing="Nothing would change", otherwise="Planned")

    def status(self, *, as_json: bool) -> bool:
        """Show every tier, and what of the cluster is missing; whether all is there and Ready.

        Does not wait for a command that is changing it.

        Raises SandboxError when the stack is not deployed, or nothing can be said of it.
        """
        self._require_known()
        seen = health.require_api(self.sandbox, self._up)
        state = self._deployed()
        sight, missing = self._look(state)
        platform, unfinished = sight.platform, not deployed.has_ended(self.sandbox, self.name)
        if as_json:
            print(shown.as_json(sight, missing, seen, unfinished=unfinished))
        else:
            if holder := self._holder():
                self.console.print(f"Under way: {holder}", markup=False)
            elif unfinished:
                self.console.print(f"[red]The last `up` did not end[/red]; {self._up} goes on.")
            shown.show(self.console, sight, seen.links, missing, self._up)
            if platform.postgresql:
                ask = f".venv/bin/ado-ops postgres status --stack {self.name}"
                kubeconfig = f"KUBECONFIG={self.sandbox.kubeconfig}"
                self.console.print(f"PostgreSQL: {platform.postgresql}: {kubeconfig} {ask}")
            self.console.print(deployed.used_versions(self.sandbox))
            shown.tell_trouble(self.console, seen, self._up)
        return shown.is_ready(sight, missing, seen, unfinished=unfinished)

    def picture(self, output: Path) -> None:
        """Draw the platform as it runs: every tier, its state, and who talks to whom."""
        from ado_infra.ops.platform import picture

        self._require_known()
        self._reach()
        sight, _ = self._look(self._deployed())
        if not sight.platform.tiers:
            raise SandboxError(f"Nothing of stack {self.name} runs here; {self._up} mends it.")
        drawn = picture.svg(sight.platform, f"ADO platform, stack {self.name}")
        files.write(output, drawn, mode=0o644)

    def destroy(self) -> bool:
        """Delete what the stack made, a protected stack is left whole; whether there was any."""
        self._require_known()
        self._reach()
        with self._alone():
            if not deployed.read(self.sandbox, self.name).resources:
                return False
            engine = self._engine()
            self._mend(engine)
            with self._display() as display:
                outcome = engine.destroy(display.see)
        if any("protect" in error for error in outcome.errors):
            raise protected(self._called)
        if not outcome.succeeded:
            raise failure(
                outcome.errors, f"Stack {self.name} is not gone; see above.", self._called
            )
        cluster.withdraw(self.sandbox)
        return True

    def keep_secret(self, path: str, value: str | None) -> None:
        """Keep a secret of the config in this sandbox for every later `up`; None forgets it."""
        engine = self._engine()
        if value is None:
            engine.forget_secret(path)
        else:
            engine.set_secret(path, value)

    @property
    def _called(self) -> Called:
        return Called(self.sandbox, self.name, self.project)

    @property
    def _up(self) -> str:
        return f"`{self._called.command('up')}`"

    def _require_known(self) -> None:
        """Raises SandboxError when there is no such stack; one whose file is gone may be deployed.

        Without it a misspelt name would be advised in commands.
        """
        if not deployed.read(self.sandbox, self.name).resources:
            stack_files.find(self.project, self.name)

    def _refuse_beside(self) -> None:
        refuse_beside(deployed.stacks(self.sandbox) - {self.name}, self._called)

    def _check_settings(self) -> None:
        """Raises SandboxError for what the program would refuse, before anything is started."""
        from sandbox.deploy import settings

        if refusal := settings.refusal(self._called):
            raise _unchanged([refusal], self._called)

    def _mend(self, engine: Engine) -> None:
        """Clears what a run that was killed left in the state; the engine would stumble over it."""
        if not deployed.read(self.sandbox, self.name).interrupted:
            return
        with step(self.console, "Looking at what an interrupted run left"):
            mended = engine.mend()
        if not mended.succeeded:
            end = "The cluster cannot be looked at after a run that was interrupted."
            raise failure(mended.errors, end, self._called)

    def _reach(self) -> None:
        """Makes sure that the cluster's API server answers; says what else is missing."""
        seen = health.require_api(self.sandbox, self._up)
        shown.tell_trouble(self.console, seen, self._up)

    @contextmanager
    def _connected(self) -> Generator[client.ApiClient]:
        try:
            with rollout.api(self.sandbox) as connection:
                yield connection
        except NotReadyError as error:
            raise NotReadyError(f"{error} {self._up} mends it.") from None

    def _alone(self) -> AbstractContextManager[Path]:
        """Held by who deploys and destroys, from the plan to the end."""
        return files.locked(self._lock(), files.say_waiting)

    def _lock(self) -> Path:
        return self.sandbox.pulumi / "deploying"

    def _holder(self) -> str:
        """Which command is changing the sandbox or its stack right now."""
        return files.holder(self._lock()) or cluster.holder(self.sandbox)

    def _display(self, *, planned: bool = False) -> Display:
        from sandbox.deploy.display import Display

        return Display(self.console, planned=planned)

    def _engine(self) -> Engine:
        from sandbox.deploy.engine import Engine

        with step(self.console, "Preparing the engine") as report:
            engine = Engine(self.sandbox, self.project.resolve(), self.name, report)
        if engine.stand_in_secrets:
            keys = ", ".join(engine.stand_in_secrets)
            self.console.print(
                f"The sandbox puts in secrets of its own, which open nothing: {keys}"
            )
        if engine.given_object_storage:
            self.console.print("The sandbox's own object storage takes the place of the stack's.")
        return engine

    def _deployed(self) -> Deployed:
        """What is deployed of it.

        Raises SandboxError when nothing is.
        """
        state = deployed.read(self.sandbox, self.name)
        if state.namespace is None:
            others = ", ".join(sorted(deployed.stacks(self.sandbox)))
            there = f" ({others} is)" if others else ""
            raise SandboxError(
                f"Stack {self.name} is not deployed here{there}; {self._up} does it."
            )
        return state

    def _look(self, state: Deployed) -> tuple[Sight, set[str]]:
        """What runs, and the workloads that were deployed and are not there."""
        with self._connected() as connection, rollout.answering():
            sight = look(Namespace(connection, str(state.namespace)))
        return sight, state.workloads - {tier.name for tier in sight.platform.tiers}

    def _deploy(self) -> None:
        self._refuse_beside()  # another may have been deployed while this one waited
        engine = self._engine()
        self.console.print(engine.versions)
        self._mend(engine)
        with step(self.console, f"Planning stack {self.name}"):
            # What was deployed as it is now is planned only, against the cluster. Anything else
            # is an `up`, which looks at the cluster itself, also when its plan is empty: what is
            # protected shows in none.
            as_deployed = engine.is_as_deployed
            plan = _checked(engine.preview(refresh=as_deployed), self._called)
        provide(self.sandbox, plan, self.console)
        if plan.changed or not as_deployed:
            with self._display() as display:
                plan = engine.up(display.see)
            if not plan.succeeded:
                end = "The deployment failed; see above."
                if mishaps.interrupted(plan.errors):
                    end = f"{end} {mishaps.GOES_ON}"
                raise failure(plan.errors, end, self._called)
        self.console.print(_summary(plan, nothing="Nothing to change", otherwise="Deployed"))


def _checked(outcome: Outcome, called: Called) -> Outcome:
    if not outcome.succeeded:
        raise _unchanged(outcome.errors, called)
    return outcome


def _unchanged(errors: Sequence[str], called: Called) -> SandboxError:
    return failure(errors, f"Stack {called.stack}: nothing was changed.", called)


def provide(sandbox: Sandbox, plan: Outcome, console: Console) -> None:
    """Nodes for the planned pods, an image under every reference they name, their buckets."""
    planned = list(plan.objects.values())
    needed = nodes_needed(planned)
    if needed > len(cluster.containerd_sockets(sandbox)):
        cluster.up(sandbox, needed, console)
    with step(console, "Loading images") as report:
        references = sorted({c["image"] for inputs in planned for c in containers(inputs)})
        images.provide(cluster.containerd_sockets(sandbox), references, report)
    object_storage.make_buckets(sandbox, buckets_needed(planned))


def _summary(outcome: Outcome, nothing: str, otherwise: str) -> str:
    if not outcome.changed:
        return f"{nothing}: {outcome.changes.get('same', 0)} resources are as said."
    changes = ", ".join(f"{count} {operation}" for operation, count in outcome.changes.items())
    return f"{otherwise}: {changes}."
