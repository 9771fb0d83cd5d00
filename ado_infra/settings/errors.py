"""How an error in the settings is worded: key, value and what to do, in a stack's terms."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ado_infra.settings.stack import Settings

_SPELLINGS: Final = {
    "string_type": ("; text that looks like a number stands in quotes", "--type string "),
    "int_type": ("; it stands without quotes", ""),
    "float_type": ("; it stands without quotes", ""),
    "bool_type": (": true or false, without quotes", ""),
}
"""How values of a type are written: kind of error → explanation, flag of `pulumi config set`."""


@dataclass(frozen=True)
class Renamed:
    """A key that has another name now; what is below it goes with it."""

    to: str


NO_LONGER: Final = dict[str, Renamed | str](
    {
        "ado:postgres.primaryOrdinal": (
            "ConfigMap postgresql-state alone says who is the primary, and "
            "`ado-ops postgres promote` changes it"
        ),
    }
)
"""Key that there was → its new name, or why none is needed. A pool's name is `*`, in both."""


def no_longer(path: str) -> str | None:
    """What is said of a key that there was; None of one that never was."""
    of_pool = re.fullmatch(r"(ado:workerPools)\.([^.]+)\.(.+)", path)
    key = f"{of_pool[1]}.*.{of_pool[3]}" if of_pool else path
    match NO_LONGER.get(key):
        case Renamed(to=new):
            new = new.replace("*", of_pool[2]) if of_pool else new
            return f"now {new}; move the value there in the stack's file"
        case str(why):
            return f"no longer a setting: {why}"
        case None:
            return None


def described(error: ErrorDetails, sections: Mapping[str, Any]) -> str:
    """One error of pydantic's; `sections` as the stack gives them."""
    location = error["loc"]
    reason = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if not location:  # a rule between sections names its keys itself
        return reason
    if location[-1] == "[key]":
        *parents, key, _ = location
        remove = shlex.quote(f"ado:{_dotted(parents)}[{json.dumps(key)}]")
        return (
            f"ado:{_dotted(location[:-1])} is no possible name: {reason}; rename it in the stack's "
            f"file, or remove it\n    pulumi config rm --path {remove}"
        )
    path = "ado:" + _dotted(location)
    if error["type"] == "extra_forbidden":
        *parents, key = location
        known = _keys_at(parents)
        remove = f"pulumi config rm --path '{path}'"
        reason = no_longer(path) or f"unknown; {suggest(str(key), known)}"
        return f"{path} is {reason}\n    {remove}"
    if error["type"] == "missing":
        leaf = _dotted(_first_leaf(location))
        return f"{path} is missing\n    pulumi config set --path 'ado:{leaf}' VALUE"
    shown = _shown(location, sections)
    if shown is None:
        return f"{path}: {reason}"
    how, flag = _SPELLINGS.get(error["type"], ("", ""))
    return f"{path} = {shown}: {reason}{how}\n    pulumi config set --path {flag}'{path}' VALUE"


def _dotted(location: Iterable[int | str]) -> str:
    """A location as `pulumi config set --path` takes it."""
    return "".join(map(_step, location)).removeprefix(".")


def _step(step: int | str) -> str:
    if isinstance(step, str) and re.search(r"[.\[\]\"]", step):  # a dot would lead elsewhere
        return f"[{json.dumps(step)}]"
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _keys_at(location: Iterable[int | str]) -> list[str]:
    """The keys known at a location; none where it holds a plain value or names of its own."""
    kind: Any = Settings
    for step in location:
        kind = _below(kind, str(step))
    return list(_fields(kind))


def _below(kind: object, key: str) -> object:
    """The kind of what a key of a model, or any of a mapping or list of models, leads to."""
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    for each in (kind, *get_args(kind)):
        if get_origin(each) is tuple and key.isdecimal():
            return get_args(each)[0]
    field = _fields(kind).get(key)
    return field.annotation if field else None


def _fields(kind: object) -> dict[str, FieldInfo]:
    kinds = [kind, *get_args(kind)] if get_origin(kind) not in {dict, tuple} else []
    models = [each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)]
    if not models:
        return {}
    return {field.alias or name: field for name, field in models[0].model_fields.items()}


def _first_leaf(location: Iterable[int | str]) -> list[int | str]:
    """The location itself, or the first plain value below it: what one command can set."""
    path = list(location)
    kind: object = Settings
    for step in path:
        kind = _below(kind, str(step))
    while get_origin(kind) is dict or _fields(kind):
        step = next(iter(_fields(kind)), "NAME")
        path.append(step)
        kind = _below(kind, step)
    if get_origin(kind) is tuple:
        path.append(0)
    return path


def suggest(key: str, known: list[str]) -> str:
    """Which of the known keys may be meant."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _shown(location: Iterable[int | str], sections: Mapping[str, Any]) -> str | None:
    """The offending value as JSON when it is a plain one, with any URL credentials blotted out."""
    value: Any = sections
    for step in location:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(value, dict | list):
        return None
    return re.sub(r"//.*@", "//…@", json.dumps(value, ensure_ascii=False))[:120]
