from __future__ import annotations

import base64
import string
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from sandbox.plugins import random
from sandbox.plugins.random import SPECIAL, RefusedError, password

START = [sys.executable, "-P", random.__file__, "127.0.0.1:1"]
STACK = "urn:pulumi:dev::project::ado:index:Tier$random:index/random"
PASSWORD, BYTES = f"{STACK}Password:RandomPassword::pw", f"{STACK}Bytes:RandomBytes::key"


@pytest.fixture(scope="module")
def plugin() -> Iterator[Any]:
    """A client of the plugin, which runs as the engine starts it."""
    with subprocess.Popen(START, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield provider_pb2_grpc.ResourceProviderStub(channel)
        process.terminate()


def struct(values: Mapping[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


def secret(value: object) -> Any:
    return rpc.wrap_rpc_secret(value)


def created(plugin: Any, urn: str, inputs: Mapping[str, Any], **how: Any) -> tuple[str, Any]:
    request = provider_pb2.CreateRequest(urn=urn, properties=struct(inputs), **how)
    response = plugin.Create(request)
    return response.id, MessageToDict(response.properties)


def differing(plugin: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    request = provider_pb2.DiffRequest(urn=PASSWORD, old_inputs=struct(old), news=struct(new))
    return plugin.Diff(request)


def checked(plugin: Any, urn: str, inputs: Mapping[str, Any]) -> list[str]:
    response = plugin.Check(provider_pb2.CheckRequest(urn=urn, news=struct(inputs)))
    assert response.inputs == struct(inputs)
    return [failure.property for failure in response.failures]


def refusal(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    error: Any = refused.value
    return error.code(), error.details()


def test_a_password_has_its_length_and_only_allowed_characters() -> None:
    allowed = set(string.ascii_letters + string.digits)
    made = [password({"length": 40, "special": False}) for _ in range(20)]
    assert {len(one) for one in made} == {40}
    assert set("".join(made)) <= allowed
    assert len(set(made)) == 20


def test_a_password_keeps_its_minimums() -> None:
    inputs = {"length": 8, "minUpper": 2, "minNumeric": 2, "minSpecial": 2, "minLower": 2}
    for _ in range(20):
        made = password(inputs)
        for pool in (string.ascii_uppercase, string.ascii_lowercase, string.digits, SPECIAL):
            assert sum(character in pool for character in made) == 2


def test_own_special_characters_replace_the_usual_ones() -> None:
    switches = {"lower": False, "upper": False, "number": False, "overrideSpecial": "_-"}
    assert set(password({"length": 30, **switches})) <= {"_", "-"}


def test_contradicting_inputs_are_refused() -> None:
    with pytest.raises(RefusedError, match="cannot hold 5 required characters"):
        password({"length": 3, "minUpper": 5})
    classes = ("lower", "upper", "numeric", "special")
    with pytest.raises(RefusedError, match="of 0 enabled ones"):
        password({"length": 3, **dict.fromkeys(classes, False)})


def test_the_plugin_takes_secrets_and_previews(plugin: Any) -> None:
    configured = plugin.Configure(provider_pb2.ConfigureRequest())
    assert configured.acceptSecrets
    assert configured.supportsPreview


def test_every_output_is_secret_and_the_id_tells_nothing(plugin: Any) -> None:
    id_, outputs = created(plugin, BYTES, {"length": 32})
    raw = base64.b64decode(rpc.unwrap_rpc_secret(outputs["base64"]))
    assert (len(raw), secret(raw.hex()), id_) == (32, outputs["hex"], "none")
    id_, outputs = created(plugin, PASSWORD, {"length": secret(9), "keepers": {"epoch": "1"}})
    assert len(rpc.unwrap_rpc_secret(outputs.pop("result"))) == 9
    assert (id_, outputs) == ("none", {"length": secret(9), "keepers": {"epoch": "1"}})


def test_a_preview_promises_a_value_without_making_one(plugin: Any) -> None:
    id_, outputs = created(plugin, PASSWORD, {"length": rpc.UNKNOWN}, preview=True)
    assert (id_, outputs["result"]) == ("", secret(rpc.UNKNOWN))
    assert checked(plugin, PASSWORD, {"length": rpc.UNKNOWN}) == []


def test_any_changed_input_makes_a_new_value(plugin: Any) -> None:
    old = {"length": 9, "keepers": {"epoch": "1"}}
    changed = differing(plugin, old, {"length": 9, "keepers": {"epoch": "2"}})
    assert (list(changed.diffs), list(changed.replaces)) == (["keepers"], ["keepers"])
    assert list(differing(plugin, old, {"length": 9}).replaces) == ["keepers"]
    same = differing(plugin, {**old, "length": secret(9)}, {**old, "special": None})
    assert (same.changes, list(same.replaces)) == (provider_pb2.DiffResponse.DIFF_NONE, [])


def test_what_the_state_has_is_what_is_read(plugin: Any) -> None:
    inputs, outputs = struct({"length": 9}), struct({"length": 9, "result": secret("abc")})
    read = plugin.Read(
        provider_pb2.ReadRequest(urn=PASSWORD, id="none", inputs=inputs, properties=outputs)
    )
    assert (read.id, read.inputs, read.properties) == ("none", inputs, outputs)


def test_importing_and_other_types_are_refused_by_name(plugin: Any) -> None:
    import_ = provider_pb2.ReadRequest(urn=PASSWORD, id="s3cret")
    _, said = refusal(lambda: plugin.Read(import_))
    assert "RandomPassword is not covered by this stand-in" in said
    assert "s3cret" not in said
    _, said = refusal(lambda: checked(plugin, f"{STACK}Pet:RandomPet::pet", {}))
    assert "RandomPet is not covered by this stand-in" in said
    assert "install the official Pulumi plugin" in said


def test_a_wrong_length_is_a_failure_of_that_input(plugin: Any) -> None:
    for wrong in (0, 1.5, "9", None):
        assert checked(plugin, PASSWORD, {"length": wrong}) == ["length"]


def test_an_unforeseen_error_tells_where_but_not_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> Any:
        raise ValueError("pa55word")

    monkeypatch.setitem(random._ANSWERS, "Create", fail)
    server = grpc.server(ThreadPoolExecutor())
    server.add_generic_rpc_handlers((random.handlers(),))
    with grpc.insecure_channel(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}") as channel:
        server.start()
        stub: Any = provider_pb2_grpc.ResourceProviderStub(channel)
        code, said = refusal(lambda: created(stub, PASSWORD, {}))
    server.stop(None).wait()
    assert code is grpc.StatusCode.INTERNAL
    assert said.startswith("internal error in the plugin: ValueError at test_random_plugin.py:")
    assert "pa55word" not in said


def test_it_ends_when_its_engine_is_gone() -> None:
    shell = ["sh", "-c", '"$@" & wait', "engine"]
    with subprocess.Popen([*shell, *START], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout
        assert int(engine.stdout.readline()) > 0
        engine.kill()
        assert engine.communicate(timeout=20) == ("", None)  # nobody has the pipe any more
