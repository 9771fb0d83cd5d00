"""The stand-in of the language host, as the engine talks to it; the engine is played here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from tests.support import python_host


class Engine(engine_pb2_grpc.EngineServicer, resource_pb2_grpc.ResourceMonitorServicer):
    """Keeps what the user would see."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.address = ""
        self.host: Any = None

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        if request.severity == engine_pb2.ERROR:
            self.errors.append(request.message)
        return Empty()

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return resource_pb2.SupportsFeatureResponse(hasSupport=False)

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return resource_pb2.RegisterResourceResponse(urn="urn")

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return Empty()

    def run(self, program: Path, **options: str) -> Any:
        """The answer to the request to run it."""
        given = Struct()
        given.update(options)
        folder = str(program)
        info = language_pb2.ProgramInfo(
            root_directory=folder, program_directory=folder, entry_point=".", options=given
        )
        secrets = ["test:key"]
        return self.host.Run(
            language_pb2.RunRequest(
                project="test",
                stack="dev",
                pwd=folder,
                config={"test:key": "s3cret"},
                configSecretKeys=secrets,
                monitor_address=self.address,
                info=info,
            )
        )


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine, and the host that it has started."""
    played, server = Engine(), grpc.server(ThreadPoolExecutor())
    engine_pb2_grpc.add_EngineServicer_to_server(played, server)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(played, server)
    played.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    command = [sys.executable, "-P", python_host.__file__, played.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            played.host = language_pb2_grpc.LanguageRuntimeStub(channel)
            yield played
        process.terminate()
    server.stop(None).wait()


def program(folder: Path, text: str) -> Path:
    (folder / "__main__.py").write_text(text)
    return folder


def test_a_program_has_its_config_its_folder_and_its_own_modules(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "helper.py").write_text("VALUE = 1")
    text = """
import json, random, helper, pathlib, pulumi
seen = [pulumi.runtime.is_config_secret("test:key"), pulumi.get_stack(), helper.VALUE]
pathlib.Path("seen").write_text(json.dumps([*seen, hasattr(random, "randint")]))
"""
    answer = engine.run(program(tmp_path, text))
    assert (answer.error, answer.bail, engine.errors) == ("", False, [])
    assert (tmp_path / "seen").read_text() == '[true, "dev", 1, true]'


def test_what_a_program_says_is_wrong_arrives_once_and_without_a_traceback(
    engine: Engine, tmp_path: Path
) -> None:
    answer = engine.run(program(tmp_path, "import pulumi; raise pulumi.RunError('a: mend it')"))
    assert (answer.error, answer.bail) == ("", True)
    assert engine.errors == ["a: mend it"]


def test_a_program_that_is_killed_is_an_error(engine: Engine, tmp_path: Path) -> None:
    answer = engine.run(program(tmp_path, "import os; os.kill(os.getpid(), 9)"))
    assert answer.error == "The program ended with exit code -9."


def test_a_virtualenv_that_is_missing_is_named_with_the_remedy(
    engine: Engine, tmp_path: Path
) -> None:
    answer = engine.run(program(tmp_path, ""), virtualenv=".venv")
    assert f"There is no {tmp_path}/.venv/bin/python" in answer.error
    assert "python3 -m venv makes one" in answer.error
