"""What every offline plugin shares: a provider in plain Python.

A plugin is a subclass of `Provider`, whose methods take and return plain values (see `values`);
`servicer.serve` answers the engine with it. Covered: Handshake, Attach, CheckConfig, DiffConfig,
Configure, Check, Diff, Create, Read, Update, Delete, Cancel and GetPluginInfo. Invoke, Call,
Construct, Parameterize, GetSchema and List are refused by name.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from sandbox.plugins.values import Properties, reveal

# The engine's own limit; a stack's state may be large.
MESSAGE_SIZE = [
    (f"grpc.max_{direction}_message_length", 400 << 20) for direction in ("send", "receive")
]


class ProviderError(Exception):
    """An operation that failed; the message is what the user sees."""


class InitializationFailedError(ProviderError):
    """The object exists but never became ready: the engine keeps it, and says why."""

    def __init__(
        self, message: str, *, id_: str, properties: Properties, reasons: Sequence[str]
    ) -> None:
        super().__init__(message)
        self.id = id_
        self.properties = properties
        self.reasons = list(reasons)


@dataclass(frozen=True)
class Resource:
    """Which resource a call is about."""

    urn: str
    type: str
    """The type token, for example `kubernetes:apps/v1:Deployment`."""
    name: str
    """The logical name, as in the program."""

    @classmethod
    def of(cls, urn: str) -> Resource:
        """From `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`."""
        _, _, types, name = urn.split("::", 3)
        return cls(urn, types.rpartition("$")[2], name)


@dataclass(frozen=True)
class Failure:
    """An input that is not accepted; `property` may be empty."""

    property: str
    reason: str


@dataclass(frozen=True)
class Change:
    """One property path that differs."""

    path: str
    kind: Literal["ADD", "DELETE", "UPDATE"]
    replaces: bool = False


@dataclass(frozen=True)
class Difference:
    """The answer of `Provider.diff`."""

    changes: Sequence[Change] = ()
    delete_before_replace: bool = False


@dataclass(frozen=True)
class Naming:
    """How the engine wants unnamed objects to be named (`pulumi:autonaming`)."""

    proposed: str = ""
    enforced: bool = False
    disabled: bool = False


class Engine:
    """The engine's log: what the user sees beside a resource while it is worked on."""

    def __init__(self, address: str = "") -> None:
        self._stub: engine_pb2_grpc.EngineStub | None = None
        self._last: dict[str, str] = {}
        if address:
            # Without this, gRPC lets an idle connection go and `on_lost` could not tell.
            options = [*MESSAGE_SIZE, ("grpc.client_idle_timeout_ms", 2**31 - 1)]
            self._channel = grpc.insecure_channel(address, options=options)
            self._stub = engine_pb2_grpc.EngineStub(self._channel)

    def status(self, urn: str, message: str) -> None:
        """A passing line beside the resource; an empty one clears it, a repeated one is dropped."""
        if self._last.get(urn, "") != message:
            self._last[urn] = message
            self._log(engine_pb2.INFO, urn, message, ephemeral=True)

    def warning(self, urn: str, message: str) -> None:
        """A lasting diagnostic."""
        self._log(engine_pb2.WARNING, urn, message, ephemeral=False)

    def on_lost(self, act: Callable[[], None]) -> None:
        """Calls `act` once the connection to the engine has been up and is gone."""
        seen_ready = threading.Event()

        def changed(state: grpc.ChannelConnectivity) -> None:
            if state is grpc.ChannelConnectivity.READY:
                seen_ready.set()
            elif seen_ready.is_set() and state is not grpc.ChannelConnectivity.CONNECTING:
                act()

        if self._stub:
            self._channel.subscribe(changed, try_to_connect=True)

    def _log(
        self, severity: engine_pb2.LogSeverity.ValueType, urn: str, message: str, *, ephemeral: bool
    ) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(
            severity=severity, message=message, urn=urn, ephemeral=ephemeral
        )
        try:
            self._stub.Log(request)
        except grpc.RpcError:  # an engine that is going away has nobody to show it to
            return


class Provider(ABC):
    """One offline plugin. Every method may raise `ProviderError`."""

    name: str
    version: str
    engine: Engine = Engine()

    def check_config(self, inputs: Properties) -> list[Failure]:  # noqa: ARG002
        """Settings that are not accepted."""
        return []

    def diff_config(self, old: Properties, new: Properties) -> Difference:
        """Changed settings; by default none of them replaces the provider."""
        keys = sorted(old.keys() | new.keys())
        changed = [key for key in keys if reveal(old.get(key)) != reveal(new.get(key))]
        return Difference([Change(key, "UPDATE") for key in changed])

    def configure(self, settings: Mapping[str, str]) -> None:  # noqa: B027 - optional
        """Takes the provider's settings, by their bare names."""

    @abstractmethod
    def check(
        self, resource: Resource, old: Properties, new: Properties, naming: Naming
    ) -> tuple[Properties, list[Failure]]:
        """The inputs with defaults filled in; `old` is empty for a resource yet to be created."""

    @abstractmethod
    def diff(self, resource: Resource, old: Properties, new: Properties) -> Difference:
        """What differs between the old and the new inputs."""

    @abstractmethod
    def create(
        self, resource: Resource, inputs: Properties, timeout: float, *, preview: bool
    ) -> tuple[str, Properties]:
        """The id and the outputs. `timeout` in seconds, 0 when the user set none."""

    @abstractmethod
    def read(
        self, resource: Resource, id_: str, inputs: Properties, outputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """The id (empty when it is gone), the inputs and the outputs as they really are."""

    @abstractmethod
    def update(
        self,
        resource: Resource,
        outputs: Properties,
        new: Properties,
        ignore_changes: Sequence[str],
        timeout: float,
        *,
        preview: bool,
    ) -> Properties:
        """The new outputs."""

    @abstractmethod
    def delete(self, resource: Resource, id_: str, outputs: Properties, timeout: float) -> None:
        """Returns when the object is gone; one that already is, is no error."""

    def cancel(self) -> None:  # noqa: B027 - optional
        """Ends every wait under way."""
