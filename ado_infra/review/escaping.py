"""Words of others in a report: inert as Markdown, HTML and on a terminal, and without secrets.

A report is a public comment. So what only looks like a secret is not shown either: a reviewer can
look a value up in the branch, and nobody can take one back.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from ado_infra.review.markdown import counted

LONGEST: Final = 100
"""Characters of a value that are shown."""
_LARGEST: Final = 4000
HIDDEN: Final = "(not shown)"
NOTHING: Final = "-"

_SECRET_NAME: Final = re.compile(
    r"passw|pwd|secret|token|credential|kubeconfig|authorization|bearer|dsn"
    r"|(api|access|private|signing|encryption)[-_.]?key",
    re.IGNORECASE,
)
_NOT_SECRET: Final = re.compile(r"(secretName|secretKeyRef|pullSecret|imagePullSecrets)\b[^=]*$")
"""What only names a Secret."""
_CREDENTIALS: Final = re.compile(r"(?<=//)[^\s\"'<>]*@")
"""Of a URL; up to the last `@`, as a password may hold one."""
_GIVEN: Final = re.compile(
    r"(?i)((?:passw\w*|pwd|secret\w*|token|credential\w*|sig|signature|auth\w*|\w*api[-_]?key"
    r"|\w*access[-_]?key\w*|\w*private[-_]?key)[\"']?\s*(?:[=:]|%3d)\s*[\"']?)[^\s\"'&;,}]+"
)
"""`password=…`, as a connection string or an argument has it."""
_AFTER_OPTION: Final = re.compile(r"(?i)((?:^|\s)--?[\w-]*(?:passw|secret|token|key)[\w-]*\s+)\S+")
_SHAPES: Final = re.compile(
    r"-----BEGIN|\beyJ[\w-]{8,}|\bgh[pousr]_\w{16,}|\bgithub_pat_\w+|\bglpat-[\w-]+|\bxox[a-z]-"
    r"|\bsk-[\w-]{8,}|\bsk_(live|test)_\w+|\bAKIA\w{8,}|\bASIA\w{8,}|\bAIza[\w-]{8,}|\bhvs\.\w+"
    r"|\bpul-\w{16,}|\b[Bb]asic [A-Za-z0-9+/]{8,}|\b[Bb]earer \S{8,}"
)
_DIGEST: Final = re.compile(r"\bsha256:[0-9a-f]{64}\b")
_WORD: Final = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{32,}")


def code(text: str, longest: int = LONGEST) -> str:
    """Any text as code of one line, which nothing in it can leave."""
    line = _cut(_visible(text), longest).strip() or "(empty)"
    if "`" not in line and "|" not in line:
        return f"`{line}`"
    # References to characters are never taken for Markdown, not even within a table.
    return "<code>" + re.sub(r"[^A-Za-z0-9 ]", lambda odd: f"&#{ord(odd[0])};", line) + "</code>"


def plain(text: str, longest: int = LONGEST) -> str:
    """Any text for a block of code, which nothing in it can end."""
    return _cut(_visible(text).replace("`", "'"), longest)


def value(path: str, given: Any) -> str:  # noqa: ANN401 - any of JSON's
    """A value of something as code, unless it is, or may be, a secret."""
    if given is None:
        return NOTHING
    if looks_secret(path):
        return HIDDEN
    if isinstance(given, Mapping | list):
        return f"({counted(len(given), 'key' if isinstance(given, Mapping) else 'item')})"
    text = given if isinstance(given, str) else json.dumps(given)
    if "\n" in text.strip():
        return f"({len(text.splitlines())} lines)"
    shown = without_secrets(text)
    return HIDDEN if shown is None else code(shown)


def message(text: str, longest: int = 300) -> str:
    """A line that a program or an engine said."""
    shown = without_secrets(text)
    return HIDDEN if shown is None else code(shown, longest)


def looks_secret(path: str) -> bool:
    """Whether a key or path names what is secret."""
    return bool(_SECRET_NAME.search(path)) and not _NOT_SECRET.search(path)


def without_secrets(text: str) -> str | None:
    """The same with credentials blotted out; None when all of it may be one."""
    if len(text) > _LARGEST:  # nobody reads it, and looking for secrets in it takes long
        return None
    blotted = _CREDENTIALS.sub("…@", text)
    blotted = _GIVEN.sub(r"\1…", blotted)
    blotted = _AFTER_OPTION.sub(r"\1…", blotted)
    rest = _DIGEST.sub("", blotted)
    if _SHAPES.search(rest) or any(_is_random(word) for word in _WORD.findall(rest)):
        return None
    return blotted


def _is_random(word: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    mixed = all(any(is_kind(letter) for letter in word) for is_kind in kinds)
    return mixed or bool(_HEX.search(word)) or word.endswith("=")


def _visible(text: str) -> str:
    """The same where what has no shape of its own, or changes that of others, is spelt."""
    return "".join(
        letter
        if letter.isprintable() and unicodedata.combining(letter) == 0
        else "⏎"
        if letter == "\n"
        else f"\\u{{{ord(letter):x}}}"
        for letter in text[:_LARGEST]
    )


def _cut(line: str, longest: int = LONGEST) -> str:
    return line if len(line) <= longest else line[: longest - 1] + "…"
