"""Objects as YAML that reads well and is the same everywhere.

Not PyYAML's: to it a script with a tab is one long line of escapes, and what it writes differs with
its version and with whether it is compiled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_FIRST: Final = ("apiVersion", "kind", "metadata", "name", "namespace")
"""Keys that come before the others, which are in the order of the alphabet."""
_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./@=+%-]*(?::[A-Za-z0-9_./@=+%-]+)*")
"""What needs no quotes, whoever reads it, unless it is one of these words."""
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ODD: Final = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML cannot have as it is, or takes for the end of a line."""
_BLANK: Final = re.compile(r"^[ \t]+$", re.MULTILINE)


def document(value: Mapping[str, Any], comment: Iterable[str] = ()) -> str:
    """A mapping as a YAML document, below lines of comment."""
    lines = [*(f"# {' '.join(line.split())}" for line in comment), *_mapping(value, 0)]
    return "\n".join(lines) + "\n"


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    if not value:
        yield " " * indent + "{}"
    for key in sorted(value, key=_place):
        head, inner = f"{' ' * indent}{_scalar(key)}:", value[key]
        if isinstance(inner, Mapping) and inner:
            yield head
            yield from _mapping(inner, indent + 2)
        elif isinstance(inner, list) and inner:
            yield head
            yield from _sequence(inner, indent)
        else:
            yield from _leaf(head, inner, indent)


def _sequence(value: list[Any], indent: int) -> Iterator[str]:
    dash = f"{' ' * indent}-"
    for inner in value:
        if isinstance(inner, Mapping) and inner:
            first, *others = _mapping(inner, indent + 2)
        elif isinstance(inner, list) and inner:
            first, *others = _sequence(inner, indent + 2)
        else:
            yield from _leaf(dash, inner, indent)
            continue
        yield f"{dash} {first[indent + 2 :]}"
        yield from others


def _leaf(head: str, value: Any, indent: int) -> Iterator[str]:  # noqa: ANN401 - any of JSON's
    """What holds nothing more, behind its key; text of several lines below it."""
    if isinstance(value, str) and _is_block(value):
        kept = "+" if value.endswith("\n\n") else "" if value.endswith("\n") else "-"
        where = "2" if value[0] in " \t" else ""  # else it is where the first line is
        yield f"{head} |{where}{kept}"
        for line in value.removesuffix("\n").split("\n"):
            yield " " * (indent + 2) + line if line else ""
    else:
        yield f"{head} {_scalar(value)}"


def _is_block(text: str) -> bool:
    return (
        "\n" in text
        and not text.startswith("\n")
        and not _ODD.search(text)
        and not _BLANK.search(text)
    )


def _place(key: str) -> tuple[int, str]:
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST)), key


def _scalar(value: Any) -> str:  # noqa: ANN401 - any of JSON's
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", json.dumps(value, ensure_ascii=False))
