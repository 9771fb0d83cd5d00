"""The `random` plugin, offline: secrets made once and kept in the stack's state.

It answers the engine where the official one is not installed, which cannot be compiled as the
Kubernetes one is: no registry serves its Go module. Covered: `RandomPassword` (output `result`) and
`RandomBytes` (`base64`, `hex`). Every output is secret, values come from the operating system's
generator, and any changed input, `keepers` included, makes a new value.

Not covered: `RandomPassword.bcryptHash` (the output is absent), importing, and the other types of
the package, which are refused by name.
"""

# Requests are generated classes, and properties JSON, without useful types.
# ruff: noqa: ANN401

from __future__ import annotations

import base64
import os
import secrets
import string
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2

SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
"""The official provider's special characters, unless `overrideSpecial` names others."""
_CLASSES: Final = {  # switch: (minimum, characters)
    "lower": ("minLower", string.ascii_lowercase),
    "upper": ("minUpper", string.ascii_uppercase),
    "numeric": ("minNumeric", string.digits),
    "special": ("minSpecial", SPECIAL),
}
_UNKNOWN: Final = (rpc.UNKNOWN, "3eeb2bf0-c639-47a8-9e75-3b44932eb421")
"""What a preview has in the place of a value, and in that of a number."""


class RefusedError(Exception):
    """The message is what the user sees."""


def password(inputs: Mapping[str, Any]) -> str:
    """A password by the inputs of `RandomPassword`; raises RefusedError if they contradict."""
    pools = {switch: characters for switch, (_, characters) in _CLASSES.items()}
    pools["special"] = str(inputs.get("overrideSpecial") or SPECIAL)
    switches = {"numeric": inputs.get("number", True), **inputs}
    every = "".join(pool for switch, pool in pools.items() if switches.get(switch, True))
    length = _whole(inputs, "length")
    chosen = [
        secrets.choice(pools[switch])
        for switch, (minimum, _) in _CLASSES.items()
        for _ in range(_whole(inputs, minimum))
    ]
    if not every or length < max(1, len(chosen)):
        raise RefusedError(
            f"A password of length {length} cannot hold {len(chosen)} required characters, of "
            f"{len(every)} enabled ones: mend length, the switches or the minimums."
        )
    chosen += [secrets.choice(every) for _ in range(length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _bytes(inputs: Mapping[str, Any]) -> dict[str, str]:
    value = secrets.token_bytes(_whole(inputs, "length"))
    return {"base64": base64.b64encode(value).decode(), "hex": value.hex()}


_TYPES: Final[dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], dict[str, str]]]]] = {
    "random:index/randomPassword:RandomPassword": (("result",), lambda i: {"result": password(i)}),
    "random:index/randomBytes:RandomBytes": (("base64", "hex"), _bytes),
}
"""Type → its outputs, and how they are made."""


def _whole(inputs: Mapping[str, Any], key: str, least: int = 0) -> int:
    value = inputs.get(key, 0)
    if not isinstance(value, int | float) or value < least or value != int(value):
        raise RefusedError(f"{key} must be a whole number of at least {least}")
    return int(value)


def _refusal(what: str) -> RefusedError:
    return RefusedError(
        f"{what} is not covered by this stand-in (only RandomPassword and RandomBytes are "
        "made by it); install the official Pulumi plugin for it."
    )


def _type(request: Any) -> str:
    """Of `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`; one that is covered."""
    found: str = request.urn.split("::", 3)[2].rpartition("$")[2]
    if found not in _TYPES:
        raise _refusal(found)
    return found


def _plain(value: Any) -> Any:
    """Without the wrapping of secrets; a null in an object counts as absent."""
    if isinstance(value, Struct):
        return _plain(MessageToDict(value))
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _check(request: Any) -> Message:
    _type(request)
    response = provider_pb2.CheckResponse(inputs=request.news)
    inputs = _plain(request.news)
    if inputs.get("length") not in _UNKNOWN:
        try:
            _whole(inputs, "length", 1)
        except RefusedError as wrong:
            response.failures.add(property="length", reason=str(wrong).removeprefix("length "))
    return response


def _difference(request: Any, *, replaces: bool = True) -> Message:
    old, new = _plain(request.old_inputs), _plain(request.news)
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    answer = provider_pb2.DiffResponse(diffs=changed, replaces=changed if replaces else [])
    answer.changes = answer.DIFF_SOME if changed else answer.DIFF_NONE
    return answer


def _create(request: Any) -> Message:
    names, make = _TYPES[_type(request)]
    made = dict.fromkeys(names, _UNKNOWN[0])
    if not request.preview:
        made = make(_plain(request.properties))
    outputs = Struct(fields=request.properties.fields)
    outputs.update({name: rpc.wrap_rpc_secret(value) for name, value in made.items()})
    # An id is stored in plain text: never the value itself.
    return provider_pb2.CreateResponse(id="" if request.preview else "none", properties=outputs)


def _read(request: Any) -> Message:
    if not request.properties.fields:
        raise _refusal(f"Importing {_type(request)}")
    answer = provider_pb2.ReadResponse  # it exists nowhere but in the state
    return answer(id=request.id, inputs=request.inputs, properties=request.properties)


def _update(request: Any) -> Message:  # every real change replaces
    outputs = Struct(fields={**request.olds.fields, **request.news.fields})
    return provider_pb2.UpdateResponse(properties=outputs)


_ANSWERS: Final[dict[str, Callable[[Any], Message]]] = {
    "Handshake": lambda _: provider_pb2.ProviderHandshakeResponse(accept_secrets=True),
    "GetPluginInfo": lambda _: plugin_pb2.PluginInfo(version=version("pulumi-random")),
    "CheckConfig": lambda request: provider_pb2.CheckResponse(inputs=request.news),
    "DiffConfig": lambda request: _difference(request, replaces=False),
    "Configure": lambda _: provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True),
    "Check": _check,
    "Diff": _difference,
    "Create": _create,
    "Read": _read,
    "Update": _update,
    "Delete": lambda _: Empty(),
    "Cancel": lambda _: Empty(),
}
"""The engine's protocol, as far as these resources need it: method → the answer to a request."""


def handlers() -> grpc.GenericRpcHandler:
    """The methods, for a server; what one raises reaches the user."""
    service = provider_pb2.DESCRIPTOR.services_by_name["ResourceProvider"]

    def handler(name: str, answer: Callable[[Any], Message]) -> grpc.RpcMethodHandler[Any, Any]:
        def method(request: Any, context: grpc.ServicerContext) -> Message:
            try:
                return answer(request)
            except RefusedError as error:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))
            except Exception as error:  # noqa: BLE001 - the last resort
                # Where, but not what: an unforeseen error's text may hold a secret.
                at = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}"
                context.abort(grpc.StatusCode.INTERNAL, f"internal error in the plugin: {place}")

        taken = GetMessageClass(service.methods_by_name[name].input_type)
        return grpc.unary_unary_rpc_method_handler(
            method, taken.FromString, lambda message: message.SerializeToString()
        )

    methods = {name: handler(name, answer) for name, answer in _ANSWERS.items()}
    return grpc.method_handlers_generic_handler(service.full_name, methods)


def _serve() -> None:
    """Serves on a port of its own, which it prints, until the engine that started it is gone."""
    engine = os.getppid()
    server = grpc.server(ThreadPoolExecutor())
    server.add_generic_rpc_handlers((handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with suppress(KeyboardInterrupt):  # how the engine ends it; or it is killed before it can
        while os.getppid() == engine:
            server.wait_for_termination(timeout=1)


if __name__ == "__main__":
    _serve()
