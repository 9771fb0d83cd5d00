"""What the engine does or plans, as lines that stay and one that moves.

A line for every object once it is done, and below them, on a terminal, what is being waited for.
Of properties only the paths are shown: a value may be secret.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final

from pulumi.automation import events
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from sandbox.deploy.outcome import plain

_DONE: Final = {
    "create": "[green]+ created[/green]",
    "update": "[yellow]~ updated[/yellow]",
    "create-replacement": "[magenta]± replaced[/magenta]",
    "delete": "[red]- deleted[/red]",
    "delete-replaced": "[red]- deleted[/red]",
}
_PLANNED: Final = {  # what is replaced is deleted too: one line is enough
    "create": "[green]+ create[/green]",
    "update": "[yellow]~ update[/yellow]",
    "create-replacement": "[magenta]± replace[/magenta]",
    "delete": "[red]- delete[/red]",
}


class Display:
    """Prints the events of one run of the engine; a context manager.

    Of a preview (`planned`) it prints every resource that the engine counts, and the paths that
    would change.
    """

    def __init__(self, console: Console, *, planned: bool = False) -> None:
        self._console = console
        self._planned = planned
        self._words = _PLANNED if planned else _DONE
        self._hidden = ("pulumi:providers:",) if planned else ("pulumi:", "ado:")
        self._started: dict[str, float] = {}
        self._waiting: dict[str, str] = {}
        self._status: Status | None = None
        self._begin = time.monotonic()

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._status = self._console.status("Starting the engine …")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()

    def see(self, event: events.EngineEvent) -> None:
        """Takes in one event of the engine."""
        if event.resource_pre_event:
            step = event.resource_pre_event.metadata
            if str(step.op.value) in self._words:
                self._started[step.urn] = time.monotonic()
                self._waiting[step.urn] = _title(step)
        elif event.res_outputs_event:
            self._finish(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            step = event.res_op_failed_event.metadata
            self._waiting.pop(step.urn, None)
            self._console.print(f"  [bold red]! failed [/bold red] {escape(_title(step))}")
        elif event.diagnostic_event:
            self._say(event.diagnostic_event)
        self._refresh()

    def _finish(self, step: events.StepEventMetadata) -> None:
        self._waiting.pop(step.urn, None)
        started = self._started.pop(step.urn, None)
        if started is None or step.type.startswith(self._hidden):
            return
        seconds = time.monotonic() - started
        more = f" [dim]({seconds:.1f} s)[/dim]" if seconds >= 1 else ""
        if self._planned:
            more = escape(_changed_paths(step))
        word = self._words[str(step.op.value)]
        self._console.print(f"  {word} {escape(_title(step))}{more}")

    def _say(self, diagnostic: events.DiagnosticEvent) -> None:
        message = plain(diagnostic.message)
        if diagnostic.ephemeral:
            if diagnostic.urn in self._waiting and message:
                title = self._waiting[diagnostic.urn].partition(": ")[0]
                self._waiting[diagnostic.urn] = f"{title}: {message}"
        elif diagnostic.severity == "warning":
            self._console.print(f"  [yellow]! warning[/yellow] {escape(message)}")

    def _refresh(self) -> None:
        if self._status:
            elapsed = int(time.monotonic() - self._begin)
            waiting = "; ".join(sorted(self._waiting.values())) or "working"
            width = max(20, self._console.width - 16)
            line = escape(waiting[:width])
            self._status.update(f"[dim]{elapsed // 60}:{elapsed % 60:02d}[/dim] {line}")


def _changed_paths(step: events.StepEventMetadata) -> str:
    paths = sorted(step.detailed_diff or step.diffs or ())
    return f": {', '.join(paths)}" if paths else ""


def _title(step: events.StepEventMetadata) -> str:
    """Kind and physical name of an object; type and logical name of anything else."""
    state = step.new or step.old
    inputs = (state.inputs if state else None) or {}
    metadata = inputs.get("metadata") or {}
    if "kind" in inputs and "name" in metadata:
        return f"{inputs['kind']} {metadata['name']}"
    return f"{step.type.split(':')[-1]} {step.urn.split('::')[-1]}"
