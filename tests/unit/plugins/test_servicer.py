from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from sandbox.plugins.provider import (
    Change,
    Difference,
    Failure,
    InitializationFailedError,
    Naming,
    Provider,
    ProviderError,
    Resource,
)
from sandbox.plugins.servicer import _Servicer
from sandbox.plugins.values import Properties, Secret, from_struct, to_struct

URN = "urn:pulumi:dev::project::ado:index:Tier$test:index:Thing::thing"


class AbortedError(Exception):
    """What a real context raises."""


class Context:
    """Keeps what would be sent to the engine."""

    def __init__(self) -> None:
        self.metadata: dict[str, bytes] = {}

    def set_trailing_metadata(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        self.metadata = dict(pairs)

    def abort(self, code: Any, message: str) -> None:
        raise AbortedError(f"{code.name}: {message}")


class Thing(Provider):
    """Answers every call with something that can be recognised."""

    name = "test"
    version = "1.2.3"
    error: Exception | None = None

    def check(
        self,
        resource: Resource,
        old: Properties,  # noqa: ARG002
        new: Properties,
        naming: Naming,
    ) -> tuple[Properties, list[Failure]]:
        named = new | {"type": resource.type, "name": resource.name, "proposed": naming.proposed}
        return named, [Failure("a", "is wrong")]

    def diff(self, resource: Resource, old: Properties, new: Properties) -> Difference:  # noqa: ARG002
        changes = [Change("spec.a", "UPDATE"), Change("b[0]", "ADD", replaces=True)]
        return Difference(changes if old != new else [], delete_before_replace=old != new)

    def create(
        self, resource: Resource, inputs: Properties, timeout: float, *, preview: bool
    ) -> tuple[str, Properties]:
        if self.error:
            raise self.error
        return "id", inputs | {"timeout": timeout, "preview": preview, "urn": resource.urn}

    def read(
        self,
        resource: Resource,  # noqa: ARG002
        id_: str,
        inputs: Properties,
        outputs: Properties,
    ) -> tuple[str, Properties, Properties]:
        return ("" if id_ == "gone" else id_), inputs, outputs

    def update(self, *_: Any, **__: Any) -> Properties:
        return {}

    def delete(self, *_: Any, **__: Any) -> None:
        return


def create(provider: Thing, context: Context | None = None) -> Any:
    request = provider_pb2.CreateRequest(
        urn=URN, properties=to_struct({"a": Secret(1)}), timeout=5, preview=True
    )
    return _Servicer(provider).Create(request, context or Context())


def test_the_plugin_takes_secrets_and_previews() -> None:
    servicer = _Servicer(Thing())
    assert servicer.Handshake(None, Context()).accept_secrets
    configured = servicer.Configure(provider_pb2.ConfigureRequest(), Context())
    assert configured.acceptSecrets
    assert configured.supportsPreview
    assert servicer.GetPluginInfo(None, Context()).version == "1.2.3"


def test_calls_reach_the_provider_with_plain_values() -> None:
    created = create(Thing())
    assert created.id == "id"
    assert from_struct(created.properties) == {
        "a": Secret(1),
        "timeout": 5,
        "preview": True,
        "urn": URN,
    }


def test_check_knows_the_resource_and_reports_failures() -> None:
    naming = provider_pb2.CheckRequest.AutonamingOptions(proposed_name="p")
    request = provider_pb2.CheckRequest(urn=URN, news=to_struct({}), autonaming=naming)
    checked = _Servicer(Thing()).Check(request, Context())
    assert from_struct(checked.inputs) == {
        "type": "test:index:Thing",
        "name": "thing",
        "proposed": "p",
    }
    assert [(one.property, one.reason) for one in checked.failures] == [("a", "is wrong")]


def test_a_difference_is_told_path_by_path() -> None:
    request = provider_pb2.DiffRequest(
        urn=URN, old_inputs=to_struct({"a": 1}), news=to_struct({"a": 2})
    )
    diff = _Servicer(Thing()).Diff(request, Context())
    kinds = provider_pb2.PropertyDiff
    assert diff.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert {path: one.kind for path, one in diff.detailedDiff.items()} == {
        "spec.a": kinds.UPDATE,
        "b[0]": kinds.ADD_REPLACE,
    }
    assert list(diff.replaces) == ["b[0]"]
    assert list(diff.diffs) == ["b", "spec"]
    assert diff.deleteBeforeReplace


def test_no_difference_is_told_as_none() -> None:
    request = provider_pb2.DiffRequest(urn=URN)
    diff = _Servicer(Thing()).Diff(request, Context())
    assert diff.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_what_is_gone_is_read_as_nothing() -> None:
    read = _Servicer(Thing()).Read(provider_pb2.ReadRequest(urn=URN, id="gone"), Context())
    assert read == provider_pb2.ReadResponse()


def test_an_expected_error_is_its_message() -> None:
    provider = Thing()
    provider.error = ProviderError("no such thing")
    with pytest.raises(AbortedError, match=r"^UNKNOWN: no such thing$"):
        create(provider)


def test_an_unforeseen_error_tells_where_but_not_what() -> None:
    provider = Thing()
    provider.error = ValueError("pa55word")
    with pytest.raises(AbortedError, match=r"^INTERNAL: .*ValueError at test_servicer\.py:\d+$"):
        create(provider)


def test_an_object_that_is_not_ready_stays_in_the_state() -> None:
    provider, context = Thing(), Context()
    provider.error = InitializationFailedError(
        "not ready", id_="ns/x", properties={"a": Secret("s")}, reasons=["not ready", "because"]
    )
    with pytest.raises(AbortedError):
        create(provider, context)
    status = status_pb2.Status.FromString(context.metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("ns/x", ["not ready", "because"])
    assert from_struct(detail.properties) == {"a": Secret("s")}


def test_functions_and_components_are_refused_by_name() -> None:
    servicer = _Servicer(Thing())
    with pytest.raises(AbortedError, match="kubernetes:yaml:decode is not covered"):
        servicer.Invoke(provider_pb2.InvokeRequest(tok="kubernetes:yaml:decode"), Context())
    with pytest.raises(AbortedError, match="test:index:Box is not covered"):
        servicer.Construct(provider_pb2.ConstructRequest(type="test:index:Box"), Context())
