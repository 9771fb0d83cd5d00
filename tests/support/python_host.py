"""A stand-in for Pulumi's language host for Python, which runs a program for the engine.

The official one comes with the Pulumi CLI, but not with its Go module, which is all that some
machines can have. With a launcher of this module on PATH, called `pulumi-language-python`, plain
`pulumi` commands (preview, up, refresh, destroy, about) work there too.

It runs the program in the `virtualenv` of Pulumi.yaml's runtime options, else in its own
interpreter. It names no plugins beforehand, which the engine then finds when a resource asks for
them, and installs nothing.
"""

# Names and signatures are the protocol's; messages are generated classes.
# ruff: noqa: N802, ARG002

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

_TOLD: Final = 32
"""Exit code of a program whose error the engine has been told."""


class Host(LanguageServer):
    """Answers the engine; what it asks of every language is inherited from the SDK."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self._engine = engine
        self._running: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: Any, context: Any) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        return language_pb2.GetProgramDependenciesResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "This stand-in installs nothing; python3 -m venv .venv && "
            ".venv/bin/pip install -r requirements.txt does.",
        )

    def Run(self, request: Any, context: Any) -> Any:
        interpreter = _interpreter(request.info)
        if not interpreter.exists():
            return language_pb2.RunResponse(
                error=f"There is no {interpreter}, which runtime.options.virtualenv of Pulumi.yaml "
                "leads to: python3 -m venv makes one, then install requirements.txt into it."
            )
        # Not this folder's modules, nor the path that this one was found by.
        command = [str(interpreter), "-P", "-u", __file__, "--program", self._engine]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        program = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
        self._running.add(program)
        with program:
            program.communicate(request.SerializeToString())
        self._running.discard(program)
        if program.returncode in {0, _TOLD}:
            return language_pb2.RunResponse(bail=program.returncode == _TOLD)
        return language_pb2.RunResponse(
            error=f"The program ended with exit code {program.returncode}."
        )

    def Cancel(self, request: Any, context: Any) -> Any:
        for program in list(self._running):
            program.terminate()
        return Empty()


def _interpreter(info: language_pb2.ProgramInfo) -> Path:
    options = info.options.fields
    if "virtualenv" not in options:
        return Path(sys.executable)
    return Path(info.root_directory, options["virtualenv"].string_value, "bin", "python")


def _run_program(engine: str) -> int:
    """Runs what standard input asks for, in this process; returns its exit code."""
    request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read())
    request.args[:] = [engine]  # where the SDK's server looks for it
    program = str(Path(request.info.program_directory, request.info.entry_point))
    os.chdir(request.pwd)
    sys.argv = [program]

    def run() -> None:
        runpy.run_path(program, run_name="__main__")

    done = LanguageServer(run).Run(request, None)  # pyright: ignore[reportArgumentType]
    return _TOLD if done.error else 0


def _serve(engine: str) -> None:
    """Serves on a port of its own, which it prints, until the engine that started it is gone."""
    parent = os.getppid()
    server = grpc.server(ThreadPoolExecutor())
    host = Host(engine)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with suppress(KeyboardInterrupt):  # how the engine ends it; or it is killed before it can
        while os.getppid() == parent:
            server.wait_for_termination(timeout=1)
    host.Cancel(None, None)


if __name__ == "__main__":
    if sys.argv[1] == "--program":
        sys.exit(_run_program(sys.argv[2]))
    _serve(sys.argv[1])
