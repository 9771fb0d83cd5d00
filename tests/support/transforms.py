"""Resource transforms under the mocks, whose own monitor leaves them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pulumi
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc
from pulumi.runtime.proto import callback_pb2


class Transforms:
    """Plays both sides: the SDK's, which registers them, and the engine's, which asks them."""

    def __init__(self) -> None:
        self._tokens: dict[str, pulumi.ResourceTransform] = {}
        self._of: dict[str, tuple[str, ...]] = {}
        """URN → tokens of what holds for the resource and for all below it."""

    def register_transform(self, transform: pulumi.ResourceTransform) -> callback_pb2.Callback:
        """Called by the SDK for each that a resource is given."""
        token = str(len(self._tokens))
        self._tokens[token] = transform
        return callback_pb2.Callback(token=token, target="nowhere")

    def inherit(self, request: Any, urn: str) -> None:
        """What is registered below this resource is asked for too."""
        self._of[urn] = self._holding_for(request)

    def apply(self, request: Any) -> None:
        """Puts what the transforms make of it into a request to register a resource."""
        for token in self._holding_for(request):
            props = rpc.deserialize_properties(request.object, keep_unknowns=True)
            assert isinstance(props, Mapping)
            asked = pulumi.ResourceTransformArgs(
                custom=request.custom,
                type_=request.type,
                name=request.name,
                props=props,
                opts=pulumi.ResourceOptions(),
            )
            result = self._tokens[token](asked)
            if result is None:
                continue
            assert isinstance(result, pulumi.ResourceTransformResult)
            changed, made = Struct(), cast("Mapping[str, Any]", result.props)
            changed.update(made)
            request.object.CopyFrom(changed)

    def _holding_for(self, request: Any) -> tuple[str, ...]:
        own = tuple(each.token for each in request.transforms)
        return own + self._of.get(request.parent, ())
