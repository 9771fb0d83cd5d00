"""The gRPC side of a plugin: the engine's ResourceProvider protocol, answered by a `Provider`."""

# Names and signatures are the protocol's; messages are generated classes without useful types.
# ruff: noqa: N802, ANN401, ARG002

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.plugins.provider import (
    MESSAGE_SIZE,
    Difference,
    Engine,
    Failure,
    InitializationFailedError,
    Naming,
    Provider,
    ProviderError,
    Resource,
)
from sandbox.plugins.values import from_struct, to_struct

# One thread per resource under way; most of them only wait.
_THREADS = 256
_ACCEPTS = {"supports_autonaming_configuration": True}


def serve(provider: Provider) -> None:
    """Serves the provider on a loopback port until the engine that started it is gone.

    The port is printed on standard output; the engine's address is the first argument.
    """
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=MESSAGE_SIZE)
    if len(sys.argv) > 1:
        provider.engine = Engine(sys.argv[1])
        # The engine may be killed before it can ask the plugin to end.
        provider.engine.on_lost(lambda: os._exit(0))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(_Servicer(provider), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


@dataclass
class _Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The gRPC side of a `Provider`: unpacks requests, packs answers and errors."""

    provider: Provider

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, **_ACCEPTS)

    def Attach(self, request: Any, context: Any) -> Any:
        self.provider.engine = Engine(request.address)
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def CheckConfig(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            failures = self.provider.check_config(from_struct(request.news))
            return _check_response(request.news, failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            old = from_struct(request.old_inputs) or from_struct(request.olds)
            return _diff_response(self.provider.diff_config(old, from_struct(request.news)))

    def Configure(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            prefix = f"{self.provider.name}:config:"
            self.provider.configure(
                {key.removeprefix(prefix): value for key, value in request.variables.items()}
            )
            return provider_pb2.ConfigureResponse(
                acceptSecrets=True, supportsPreview=True, **_ACCEPTS
            )

    def Check(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            options = request.autonaming
            naming = Naming(
                options.proposed_name,
                enforced=options.mode == options.ENFORCE,
                disabled=options.mode == options.DISABLE,
            )
            inputs, failures = self.provider.check(
                Resource.of(request.urn),
                from_struct(request.olds),
                from_struct(request.news),
                naming,
            )
            return _check_response(to_struct(inputs), failures)

    def Diff(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            difference = self.provider.diff(
                Resource.of(request.urn), from_struct(request.old_inputs), from_struct(request.news)
            )
            return _diff_response(difference)

    def Create(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            id_, outputs = self.provider.create(
                Resource.of(request.urn),
                from_struct(request.properties),
                request.timeout,
                preview=request.preview,
            )
            return provider_pb2.CreateResponse(id=id_, properties=to_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            id_, inputs, outputs = self.provider.read(
                Resource.of(request.urn),
                request.id,
                from_struct(request.inputs),
                from_struct(request.properties),
            )
            if not id_:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(
                id=id_, inputs=to_struct(inputs), properties=to_struct(outputs)
            )

    def Update(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            outputs = self.provider.update(
                Resource.of(request.urn),
                from_struct(request.olds),
                from_struct(request.news),
                list(request.ignoreChanges),
                request.timeout,
                preview=request.preview,
            )
            return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        with _errors_to(context):
            self.provider.delete(
                Resource.of(request.urn),
                request.id,
                from_struct(request.properties),
                request.timeout,
            )
            return Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        self.provider.cancel()
        return Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        _refuse(context, f"The function {request.tok}")

    def Call(self, request: Any, context: Any) -> Any:
        _refuse(context, f"The method {request.tok}")

    def Construct(self, request: Any, context: Any) -> Any:
        _refuse(context, f"The component {request.type}")

    def Parameterize(self, request: Any, context: Any) -> Any:
        _refuse(context, "Parameterization")

    def GetSchema(self, request: Any, context: Any) -> Any:
        _refuse(context, "The package schema")

    def List(self, request: Any, context: Any) -> Any:
        _refuse(context, "Listing resources")


@contextmanager
def _errors_to(context: Any) -> Generator[None]:
    """Turns exceptions inside the block into gRPC errors."""
    try:
        yield
    except InitializationFailedError as error:
        context.set_trailing_metadata((("grpc-status-details-bin", _init_failed(error)),))
        code, message = grpc.StatusCode.UNKNOWN, str(error)
    except ProviderError as error:
        code, message = grpc.StatusCode.UNKNOWN, str(error)
    except Exception as error:  # noqa: BLE001 - the last resort
        # Where, but not what: an unforeseen error's text may hold a secret.
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        code = grpc.StatusCode.INTERNAL
        message = f"internal error in the plugin: {type(error).__name__} at {place}"
    else:
        return
    context.abort(code, message)


def _init_failed(error: InitializationFailedError) -> bytes:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.id, properties=to_struct(error.properties), reasons=error.reasons
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    return bytes(status.SerializeToString())


def _check_response(inputs: Any, failures: Sequence[Failure]) -> Any:
    return provider_pb2.CheckResponse(
        inputs=inputs,
        failures=[
            provider_pb2.CheckFailure(property=failure.property, reason=failure.reason)
            for failure in failures
        ],
    )


def _diff_response(difference: Difference) -> Any:
    response = provider_pb2.DiffResponse
    changes = difference.changes
    return response(
        changes=response.DIFF_SOME if changes else response.DIFF_NONE,
        diffs=sorted({change.path.partition(".")[0].partition("[")[0] for change in changes}),
        replaces=[change.path for change in changes if change.replaces],
        deleteBeforeReplace=difference.delete_before_replace,
        hasDetailedDiff=True,
        detailedDiff={
            change.path: provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(
                    f"{change.kind}_REPLACE" if change.replaces else change.kind
                ),
                inputDiff=True,
            )
            for change in changes
        },
    )


def _refuse(context: Any, what: str) -> NoReturn:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        f"{what} is not covered by the offline plugin; install the official Pulumi plugin for it.",
    )
    raise AssertionError  # abort has raised
