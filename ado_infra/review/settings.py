"""What the files of a stack say differently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ado_infra.review.differences import fields
from ado_infra.review.immutable import FLAGS
from ado_infra.review.side import Side
from ado_infra.secrets import ConfigSecret
from ado_infra.settings import Settings

CLUSTER: Final = frozenset({"kubernetes:context", "kubernetes:namespace", "kubernetes:cluster"})
"""Keys that say where a stack is."""
_SECRETS: Final = frozenset(f"ado:{secret}" for secret in ConfigSecret)
_SHOWN: Final = (
    CLUSTER
    | set(FLAGS)
    | {f"ado:{field.alias or name}" for name, field in Settings.model_fields.items()}
)
"""Keys whose values are shown; any other may be a misspelt secret, or somebody else's."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value that the files give differently.

    Attributes:
        key: Such as `ado:gateway.scaling.maxReplicas`.
        before: None where there was none.
        after: None where there is none.
        hidden: Whether it is not to be shown.
    """

    key: str
    before: Any
    after: Any
    hidden: bool = False

    @property
    def what(self) -> str:
        """What is said of one that is not shown."""
        if self.before is None:
            return "given now"
        return "no longer given" if self.after is None else "another value"


def settings(before: Side, after: Side) -> Iterator[Setting]:
    """Every setting that differs, in the order of their keys."""
    for key in sorted({*before.config, *after.config}):
        olds, news = before.config.get(key), after.config.get(key)
        secret = key in before.encrypted or key in after.encrypted or key in _SECRETS
        if secret or key not in _SHOWN:
            ciphers = before.encrypted.get(key), after.encrypted.get(key)
            if olds != news or ciphers[0] != ciphers[1]:
                yield Setting(key=key, before=olds, after=news, hidden=True)
            continue
        for each in fields(_given(olds), _given(news), key):
            yield from _leaves(each.path, each.before, each.after)


def _leaves(key: str, before: Any, after: Any) -> Iterator[Setting]:  # noqa: ANN401 - any of JSON's
    """One for each plain value, also of a room that is new or gone."""
    if not isinstance(before, Mapping) and not isinstance(after, Mapping):
        yield Setting(key=key, before=before, after=after)
        return
    olds: Mapping[str, Any] = before if isinstance(before, Mapping) else {}
    news: Mapping[str, Any] = after if isinstance(after, Mapping) else {}
    if not olds and not news:
        yield Setting(key=key, before=before, after=after)
    for name in sorted({*olds, *news}):
        yield from _leaves(f"{key}.{name}", olds.get(name), news.get(name))


def _given(raw: str | None) -> Any:  # noqa: ANN401 - any of JSON's
    if raw is None:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw
