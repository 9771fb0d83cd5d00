"""What stands in for Pulumi's engine while a program runs: it keeps what is registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import mocks
from pulumi.runtime.proto.resource_pb2 import ReadResourceResponse, RegisterResourceResponse

from ado_infra.render.errors import RenderError
from ado_infra.render.stack_file import MARK

_STACK: Final = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A resource as a program registered it.

    Attributes:
        urn: What others name it by.
        type: Its type, such as `kubernetes:apps/v1:Deployment`.
        name: Its name in the program.
        custom: Whether a provider makes it; else it is a component.
        remote: Whether it is a component that a provider makes the parts of.
        parent: URN of its component.
        dependencies: URNs of what must be there before it.
        protect: Whether it refuses to be destroyed.
        ignored: Paths of inputs whose changes the engine leaves alone.
        inputs: Secrets are still wrapped.
    """

    urn: str
    type: str
    name: str
    custom: bool
    remote: bool
    parent: str
    dependencies: frozenset[str]
    protect: bool
    ignored: tuple[str, ...]
    inputs: Mapping[str, Any]


class _Provider(mocks.Mocks):
    """Answers no call: a function of a provider would ask a cluster or a network."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Never asked: the monitor answers itself."""
        raise NotImplementedError(args.name)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        """Refuses."""
        raise RenderError(
            f"The program calls {args.token}, which needs an engine; it cannot be rendered."
        )


class Monitor(mocks.MockMonitor):
    """Gives each resource its inputs back as outputs, and placeholders for what is generated.

    The SDK calls it from several threads.
    """

    def __init__(self) -> None:
        super().__init__(_Provider())
        self._requests: list[tuple[str, Any]] = []
        self.transformed: str | None = None  # the name of a resource that has transforms

    @property
    def provider(self) -> mocks.Mocks:
        """What the SDK wants to be given beside it."""
        return self.mocks

    def registrations(self) -> list[Registration]:
        """All that was registered so far, in no certain order.

        Raises RenderError where the engine would transform any of it.
        """
        if self.transformed:
            raise RenderError(
                f"{self.transformed} has transforms, which only an engine runs: it cannot be "
                "rendered. Preview it with `pulumi preview`."
            )
        return [
            Registration(
                urn=urn,
                type=request.type,
                name=request.name,
                custom=request.custom,
                remote=request.remote,
                parent=request.parent,
                dependencies=frozenset(request.dependencies),
                protect=request.protect,
                ignored=tuple(request.ignoreChanges),
                inputs=MessageToDict(request.object),
            )
            for urn, request in self._requests
        ]

    def RegisterResource(self, request: Any) -> RegisterResourceResponse:  # noqa: ANN401, N802 - the protocol's
        """Keeps it."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.transforms:
            self.transformed = request.name
        if request.type == _STACK:
            return RegisterResourceResponse(urn=urn)
        self._requests.append((urn, request))
        outputs = Struct()
        outputs.CopyFrom(request.object)
        outputs.update(_generated(request.type, request.name, request.object))
        return RegisterResourceResponse(urn=urn, id=request.name, object=outputs)

    def ReadResource(self, request: Any) -> ReadResourceResponse:  # noqa: ANN401, N802 - the protocol's
        """Takes for granted that it is there."""
        urn = self.make_urn(request.parent, request.type, request.name)
        return ReadResourceResponse(urn=urn, properties=request.properties)


def _generated(kind: str, name: str, inputs: Struct) -> dict[str, str]:
    """What a provider would make up for a resource of this type: placeholders."""
    if kind == "random:index/randomPassword:RandomPassword":
        return {"result": MARK + name}
    if kind == "random:index/randomBytes:RandomBytes":
        length = int(cast("float", inputs["length"]))
        # Hex digits, as whoever reads it expects, that spell the placeholder.
        return {"hex": f"{MARK}{name}".encode().ljust(length, b"-")[:length].hex()}
    return {}
