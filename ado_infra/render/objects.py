"""Kubernetes objects, from what a program registered."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ado_infra.render.errors import RenderError
from ado_infra.render.monitor import Registration
from ado_infra.render.stack_file import MARK
from ado_infra.render.text import document
from ado_infra.render.waves import ANNOTATION, waves

_MARK: Final = "4dabf18193072939515e22adb298388d"
_OF_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - no password
"""Key and value by which the engine and its SDKs know a wrapped secret."""
_SUPPORTED: Final = ("random:index/", "pulumi:providers:")
"""How types begin that are no objects, and that objects can do without."""
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9.-]")
_HEX: Final = re.compile(r"([0-9a-f]{2})+")
_OTHER: Final = "(no placeholder)"
_SECRETS: Final = "secrets"
_ABOUT_SECRETS: Final = (
    "Placeholders. Put the real values here, or have something else make this Secret:",
    "what is rendered has no secrets in it, and no sync may write this over real ones.",
)


@dataclass(frozen=True, kw_only=True)
class RenderedObject:
    """A Kubernetes object as it would be created.

    Attributes:
        manifest: All of it, as the program says it.
        wave: When a sync may begin with it: after all of lower waves are healthy.
        ignored: Paths whose changes the engine leaves alone, such as `spec.selector`.
        protect: Whether the engine refuses to destroy it.
        secrets: Paths of what is secret in it.
    """

    manifest: Mapping[str, Any]
    wave: int
    ignored: tuple[str, ...]
    protect: bool
    secrets: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        return str(self.manifest["metadata"]["name"])

    @property
    def path(self) -> str:
        """Its file: `<kind>-<name>.yaml` in lower case, that of a Secret below `secrets/`."""
        file = _NOT_IN_A_NAME.sub("_", f"{self.kind}-{self.name}".lower()) + ".yaml"
        return f"{_SECRETS}/{file}" if self.kind == "Secret" else file

    def text(self) -> str:
        """The content of its file; its wave is an annotation of Argo CD's there."""
        manifest = dict(self.manifest)
        if self.wave:
            metadata = manifest["metadata"]
            annotations = {**(metadata.get("annotations") or {}), ANNOTATION: str(self.wave)}
            manifest["metadata"] = {**metadata, "annotations": annotations}
        return document(manifest, self._about() if self.kind == "Secret" else ())

    def _about(self) -> Iterator[str]:
        yield from _ABOUT_SECRETS
        data: Mapping[str, str] = self.manifest.get("data") or {}
        for key in sorted(data):
            yield f"{key}: {_shown(data[key])}"


def rendered(registrations: Sequence[Registration]) -> list[RenderedObject]:
    """The objects among what was registered, in the order of their files.

    Raises RenderError for what is no object and cannot be left out, or has no file of its own.
    """
    chosen = [each for each in registrations if _is_object(each)]
    wave_of = waves(registrations, {each.urn: str(each.inputs["kind"]) for each in chosen})
    objects = [
        RenderedObject(
            manifest=_plain(each.inputs),
            wave=wave_of[each.urn],
            ignored=each.ignored,
            protect=each.protect,
            secrets=tuple(sorted(_secret_paths(each.inputs, ""))),
        )
        for each in chosen
    ]
    objects.sort(key=lambda each: each.path)
    for one, other in pairwise(objects):
        if one.path == other.path:
            raise RenderError(
                f"{one.kind} {one.name!r} and {other.kind} {other.name!r} have the same file "
                f"{one.path}; they cannot be rendered together."
            )
    return objects


def images(objects: Sequence[RenderedObject]) -> list[str]:
    """Every image that a pod of these would pull, sorted."""
    references = (image for each in objects for image in _images(each.manifest))
    return sorted(set(references))


def _images(value: Any) -> Iterator[str]:  # noqa: ANN401 - any of JSON's
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"containers", "initContainers"} and isinstance(inner, list):
                yield from (str(each["image"]) for each in inner if "image" in each)
            else:
                yield from _images(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _images(inner)


def _is_object(registration: Registration) -> bool:
    """Whether it is one; raises RenderError for what cannot be told by manifests."""
    kind, inputs = registration.type, registration.inputs
    of_program = not (registration.custom or registration.remote)
    if of_program or kind.startswith(_SUPPORTED):
        return False
    if not kind.startswith("kubernetes:") or kind.endswith("Patch") or "kind" not in inputs:
        raise RenderError(f"{registration.name} is a {kind}, which is no object to render.")
    metadata = _plain(inputs).get("metadata")
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        raise RenderError(
            f"{registration.name} is a {inputs['kind']} without metadata.name: the engine would "
            "give it one by chance. Name it."
        )
    return True


def _shown(data: str) -> str:
    """What a Secret holds, where that is a placeholder."""
    try:
        text = base64.b64decode(data).decode()
        spelt = bytes.fromhex(text).decode() if _HEX.fullmatch(text) else text
    except ValueError:
        return _OTHER
    if MARK not in spelt or not spelt.isprintable():
        return _OTHER
    return spelt if spelt == text else f"{spelt} in hex digits"


def _is_secret(value: Any) -> bool:  # noqa: ANN401 - what the SDK hands over
    return isinstance(value, Mapping) and value.get(_MARK) == _OF_SECRET


def _plain(value: Any) -> Any:  # noqa: ANN401 - what the SDK hands over
    """The same without what marks secrets, whole numbers as such, mappings as plain dicts."""
    if _is_secret(value):
        return _plain(value["value"])
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _secret_paths(value: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - what the SDK hands over
    if _is_secret(value):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secret_paths(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from _secret_paths(inner, f"{path}[{index}]")
