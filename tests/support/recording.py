"""Builds programs under Pulumi's mocks and records what they registered."""

from __future__ import annotations

import json
import logging
import runpy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi
import yaml
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.stack import Stack

from ado_infra import Settings, load_stack
from tests.support.transforms import Transforms

ROOT = Path(__file__).parents[2]
SECRETS = {
    "ado:anthropicApiKey": "sk-ant-canary",
    "ado:googleApiKey": "AIza-canary",
    "ado:objectStorageAccessKey": "AKIA-canary",
    "ado:objectStorageSecretKey": "s3-canary",
}
"""Everything that the production profile demands."""


@dataclass(frozen=True)
class Registered:
    """One registered resource, as the engine would have received it."""

    urn: str
    type: str
    name: str
    parent: str
    protect: bool
    dependencies: frozenset[str]
    """URNs of what must be there before it."""
    ignored: tuple[str, ...]
    """Paths of the inputs whose changes the engine leaves alone."""
    aliases: tuple[str, ...]
    """URNs that it had before."""
    patience: Mapping[str, str]
    """How long the engine waits for its `update` and `delete`; empty for as long as it does."""
    inputs: Mapping[str, Any]
    """Secrets are still wrapped."""

    @property
    def manifest(self) -> dict[str, Any]:
        """The Kubernetes object, secrets unwrapped."""
        plain = unwrapped(self.inputs)
        assert isinstance(plain, dict)
        return plain

    @property
    def key(self) -> tuple[str, str]:
        """(kind, physical name) of an object; (type, logical name) of anything else."""
        if "kind" not in self.inputs:
            return self.type, self.name
        return str(self.inputs["kind"]), str(self.manifest["metadata"]["name"])


@dataclass
class Recording(mocks.Mocks):
    """What a program registered, and what it did besides."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each component registered as its outputs, by URN; secrets are still wrapped."""
    read: list[tuple[str, str]] = field(default_factory=list)
    """(type, id) of what was read and not made."""
    warnings: list[str] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    """The outputs of the stack itself."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Answers like a provider: the inputs come back, random bytes are made up."""
        outputs = dict(args.inputs)
        if args.typ == "random:index/randomBytes:RandomBytes":
            outputs["hex"] = "ab" * int(args.inputs["length"])
        if args.typ == "random:index/randomPassword:RandomPassword":
            outputs["result"] = f"generated-{args.name}"
        return f"{args.name}-id", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"unexpected call of {args.token}")

    @property
    def objects(self) -> list[Registered]:
        """The Kubernetes objects alone."""
        return [r for r in self.resources if r.type.startswith("kubernetes:")]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The manifests of a kind."""
        return [r.manifest for r in self.objects if r.key[0] == kind]

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The one manifest of this kind and name."""
        (found,) = [r for r in self.objects if r.key == (kind, name)]
        return found.manifest

    def only(self, kind: str) -> dict[str, Any]:
        """The one manifest of this kind."""
        (found,) = self.of_kind(kind)
        return found

    def keys(self) -> set[tuple[str, str]]:
        """Everything but components, by key; fails when two resources share one."""
        keys = [r.key for r in self.resources if not r.type.startswith("ado:")]
        assert len(keys) == len(set(keys)), "two resources have the same kind and name"
        return set(keys)


class _Monitor(mocks.MockMonitor):
    """Also keeps what the stock monitor forgets: parents, protection, what is read, outputs.

    And it applies transforms.
    """

    def __init__(self, recording: Recording, transforms: Transforms) -> None:
        super().__init__(recording)
        self._recording = recording
        self._transforms = transforms

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        self._transforms.apply(request)
        response = super().RegisterResource(request)
        self._transforms.inherit(request, response.urn)
        if request.type != "pulumi:pulumi:Stack":
            self._recording.resources.append(
                Registered(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    protect=request.protect,
                    dependencies=frozenset(request.dependencies),
                    ignored=tuple(request.ignoreChanges),
                    patience={
                        "update": request.customTimeouts.update,
                        "delete": request.customTimeouts.delete,
                    },
                    aliases=(*request.aliasURNs, *(each.urn for each in request.aliases)),
                    inputs=rpc.deserialize_properties(request.object, keep_unknowns=True),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        outputs = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
        self._recording.outputs[request.urn] = outputs
        return super().RegisterResourceOutputs(request)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        self._recording.read.append((request.type, request.id))
        return super().ReadResource(request)


class _Warnings(logging.Handler):
    def __init__(self, recording: Recording) -> None:
        super().__init__(logging.WARNING)
        self._recording = recording

    def emit(self, record: logging.LogRecord) -> None:
        self._recording.warnings.append(record.getMessage())


def record(
    program: Callable[[], object],
    *,
    into: Recording | None = None,
    stack: str = "test",
) -> Recording:
    """Runs a program under fresh mocks and returns what it registered.

    With `into` the caller holds the recording, also of a program that fails or registers nothing.
    """
    recording = Recording() if into is None else into
    transforms = Transforms()
    logger = logging.Logger("program")
    logger.addHandler(_Warnings(recording))
    pulumi.runtime.set_mocks(
        recording,
        project="ado",
        stack=stack,
        preview=False,
        logger=logger,
        monitor=_Monitor(recording, transforms),
    )
    settings.SETTINGS.callbacks = transforms  # pyright: ignore[reportAttributeAccessIssue]
    # Where each resource is made is for the engine's own messages, and a quarter of the work.
    no_stack_trace = getattr(source_pb2, "StackTrace", None)  # the oldest SDKs ask for none
    with mock.patch("pulumi.runtime.resource._get_stack_trace", no_stack_trace, create=True):
        pulumi.runtime.test(program)()
    assert recording.resources or into is not None, "the program registered nothing"
    return recording


def configure(config: Mapping[str, object], secrets: Mapping[str, str]) -> None:
    """Sets the stack's config as the engine hands it over: everything as text."""
    plain = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }
    pulumi.runtime.set_all_config({**plain, **secrets}, list(secrets))


def stack_config(stack: str) -> dict[str, Any]:
    """The config of a committed stack file."""
    loaded = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    return dict(loaded["config"])


def record_stack(
    stack: str,
    *,
    changes: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    into: Recording | None = None,
) -> Recording:
    """Runs the real `__main__.py` with a committed stack file, its config deeply updated."""
    configure(merged(stack_config(stack), changes or {}), SECRETS if secrets is None else secrets)
    recording = Recording() if into is None else into

    def program() -> pulumi.Output[None]:
        root = pulumi.runtime.get_root_resource()
        assert isinstance(root, Stack)
        root.outputs.clear()  # of the program before
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
        return pulumi.Output.all(**root.outputs).apply(recording.exports.update)

    record(program, into=recording, stack=stack)
    assert recording.resources, "the program registered nothing"
    return recording


def settings_of(stack: str, changes: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a committed stack file, deeply updated, with every secret given."""
    configure(merged(stack_config(stack), changes or {}), SECRETS)
    return load_stack()[0]


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, mapping by mapping."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def unwrapped(value: Any) -> Any:
    """A value without the wrapping that marks secrets."""
    if is_secret(value):
        return unwrapped(value["value"])
    if isinstance(value, Mapping):
        return {key: unwrapped(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [unwrapped(inner) for inner in value]
    return value


def is_secret(value: Any) -> bool:
    """Whether a value is wrapped as a secret."""
    return isinstance(value, Mapping) and value.get(rpc._special_sig_key) == rpc._special_secret_sig


def secret_paths(value: Any, path: str = "") -> Iterator[str]:
    """Where in an input secrets are, as dotted paths."""
    if is_secret(value):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secret_paths(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from secret_paths(inner, f"{path}[{index}]")
