"""The offline `random` plugin: secrets made once and kept in the stack's state.

Covered: `RandomPassword` (all inputs of the official type; output `result`) and `RandomBytes`
(`base64`, `hex`). Every output is secret, values come from the operating system's generator, and
any changed input, `keepers` included, makes a new value.

Not covered: `RandomPassword.bcryptHash` (it needs a library that nothing here uses otherwise, so
the output is absent), importing, and the other types of the package, which are refused by name.
"""

from __future__ import annotations

import base64
import importlib.metadata
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from sandbox.plugins.provider import (
    Change,
    Difference,
    Failure,
    Naming,
    Provider,
    ProviderError,
    Resource,
)
from sandbox.plugins.servicer import serve
from sandbox.plugins.values import UNKNOWN, Properties, Secret, reveal

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""The official provider's special characters, unless `overrideSpecial` names others."""

_CLASSES = {
    # switch: (minimum, characters)
    "lower": ("minLower", string.ascii_lowercase),
    "upper": ("minUpper", string.ascii_uppercase),
    "numeric": ("minNumeric", string.digits),
    "special": ("minSpecial", SPECIAL),
}


def password(inputs: Mapping[str, object]) -> str:
    """A password by the inputs of `RandomPassword`; raises ProviderError if they contradict."""
    enabled, required = [], []
    for switch, (minimum, characters) in _CLASSES.items():
        pool = str(inputs.get("overrideSpecial") or SPECIAL) if switch == "special" else characters
        alias = inputs.get("number", True) if switch == "numeric" else True
        if inputs.get(switch, alias):
            enabled.append(pool)
        required += [secrets.choice(pool) for _ in range(_whole(inputs, minimum))]
    length = _whole(inputs, "length")
    if not enabled or length < max(1, len(required)):
        raise ProviderError(
            f"A password of length {length} cannot hold {len(required)} required characters "
            f"out of {len(enabled)} enabled classes: mend length, the switches or the minimums."
        )
    every = "".join(enabled)
    chosen = required + [secrets.choice(every) for _ in range(length - len(required))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _new_password(inputs: Mapping[str, object]) -> tuple[str, Properties]:
    return "none", {"result": password(inputs)}


def _new_bytes(inputs: Mapping[str, object]) -> tuple[str, Properties]:
    value = secrets.token_bytes(_whole(inputs, "length"))
    text = base64.b64encode(value).decode()
    # Ids are stored in plain text: never the value itself.
    return "none", {"base64": text, "hex": value.hex()}


_Maker = Callable[[Mapping[str, object]], tuple[str, Properties]]
_TYPES: dict[str, tuple[_Maker, tuple[str, ...]]] = {
    "random:index/randomPassword:RandomPassword": (_new_password, ("result",)),
    "random:index/randomBytes:RandomBytes": (_new_bytes, ("base64", "hex")),
}


class RandomProvider(Provider):
    """Makes values on create and never changes them afterwards."""

    name = "random"
    version = importlib.metadata.version("pulumi-random")

    def check(  # noqa: D102
        self,
        resource: Resource,
        old: Properties,  # noqa: ARG002
        new: Properties,
        naming: Naming,  # noqa: ARG002
    ) -> tuple[Properties, list[Failure]]:
        _maker(resource)
        length = reveal(new.get("length"))
        if length is not UNKNOWN and (not isinstance(length, int) or length < 1):
            return new, [Failure("length", "must be a whole number of at least 1")]
        return new, []

    def diff(  # noqa: D102
        self,
        resource: Resource,  # noqa: ARG002
        old: Properties,
        new: Properties,
    ) -> Difference:
        keys = sorted(old.keys() | new.keys())
        return Difference(
            [
                Change(key, _kind(was=key in old, now=key in new), replaces=True)
                for key in keys
                if reveal(old.get(key)) != reveal(new.get(key))
            ]
        )

    def create(  # noqa: D102
        self,
        resource: Resource,
        inputs: Properties,
        timeout: float,  # noqa: ARG002
        *,
        preview: bool,
    ) -> tuple[str, Properties]:
        make, names = _maker(resource)
        if preview:
            return "", inputs | dict.fromkeys(names, Secret(UNKNOWN))
        id_, values = make(reveal(inputs))
        return id_, inputs | {key: Secret(value) for key, value in values.items()}

    def read(  # noqa: D102
        self, resource: Resource, id_: str, inputs: Properties, outputs: Properties
    ) -> tuple[str, Properties, Properties]:
        if not outputs:
            raise ProviderError(
                f"Importing {resource.type} is not covered by the offline plugin; "
                "install the official Pulumi plugin for it."
            )
        return id_, inputs, outputs  # it exists nowhere but in the state

    def update(  # noqa: D102
        self,
        resource: Resource,  # noqa: ARG002
        outputs: Properties,
        new: Properties,
        ignore_changes: Sequence[str],  # noqa: ARG002
        timeout: float,  # noqa: ARG002
        *,
        preview: bool,  # noqa: ARG002
    ) -> Properties:
        return outputs | new  # every real change replaces

    def delete(self, resource: Resource, id_: str, outputs: Properties, timeout: float) -> None:
        """Nothing to do: the value exists only in the state."""


def _maker(resource: Resource) -> tuple[_Maker, tuple[str, ...]]:
    try:
        return _TYPES[resource.type]
    except KeyError:
        covered = ", ".join(token.rpartition(":")[2] for token in _TYPES)
        raise ProviderError(
            f"{resource.type} is not covered by the offline plugin (only {covered} are); "
            "install the official Pulumi plugin for it."
        ) from None


def _whole(inputs: Mapping[str, object], key: str) -> int:
    value = inputs.get(key, 0)
    if not isinstance(value, int) or value < 0:
        raise ProviderError(f"{key} must be a whole number, not negative.")
    return value


def _kind(*, was: bool, now: bool) -> Literal["ADD", "DELETE", "UPDATE"]:
    return "UPDATE" if was and now else "ADD" if now else "DELETE"


if __name__ == "__main__":
    serve(RandomProvider())
