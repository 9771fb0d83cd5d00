"""Rules of a JSON Schema beside the types: what an editor knows of a value without this program.

A schema may let pass what the settings refuse; it refuses nothing that they accept. Patterns are
in what Python and ECMAScript have in common: digits are `[0-9]`, for each has others of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import GetJsonSchemaHandler
from pydantic.config import JsonDict, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

DNS_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DNS_NAME: Final = rf"{DNS_LABEL}(?:\.{DNS_LABEL})*"
LABEL_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
PATH_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
"""Of the name of an image."""
RESOURCE_NAME: Final = rf"{DNS_NAME}/{LABEL_NAME}"
"""Of an extended resource."""
_UNDOTTED: Final = r"[a-z0-9]+(?:(?:_{1,2}|-+)[a-z0-9]+)*"
_HOST: Final = DNS_NAME.replace("a-z", "A-Za-z")
_PORT: Final = (
    r"0*(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_FRACTION: Final = r"(?:\.[0-9]{1,3})?"
_POSITIVE: Final = r"(?=[^1-9]*[1-9])0*"

CPU: Final = rf"^{_POSITIVE}(?:[0-9]{{1,4}}{_FRACTION}|[0-9]{{1,7}}{_FRACTION}m)$"
MEMORY: Final = (
    rf"^{_POSITIVE}(?:[0-9]{{1,14}}{_FRACTION}|[0-9]{{1,11}}{_FRACTION}(?:k|Ki)"
    rf"|[0-9]{{1,8}}{_FRACTION}Mi?|[0-9]{{1,5}}{_FRACTION}Gi?"
    rf"|(?:1?[0-9]|2[0-6]){_FRACTION}T|(?:(?:1?[0-9]|2[0-3]){_FRACTION}|24(?:\.0{{1,3}})?)Ti)$"
)
LABEL_KEY: Final = rf"^(?!app\.kubernetes\.io/)(?:{DNS_NAME}/)?{LABEL_NAME}$"
_NO_ADDRESS: Final = r"(?![0-9]+(?:\.[0-9]+){3}$)"
_IPV6: Final = r"\[[0-9A-Fa-f:.]+\]"
CIDR: Final = (
    rf"^(?:{_OCTET}(?:\.{_OCTET}){{3}}/(?:3[0-2]|[12]?[0-9])"
    r"|(?=[0-9a-f:.]*:)[0-9a-f:.]+/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"
)
BUCKET: Final = rf"^{_NO_ADDRESS}[A-Za-z0-9][A-Za-z0-9._-]{{2,254}}$"
HOST_NAME: Final = rf"^{_NO_ADDRESS}{DNS_NAME}$"
HOST_AND_PORT: Final = rf"^(?:{DNS_NAME}|{_IPV6}):(?!0+$){_PORT}$"
HTTP_URL: Final = rf"^[hH][tT][tT][pP][sS]?://(?:{_HOST}|{_IPV6})(?::(?:{_PORT})?)?(?:/[^\s?#@]*)?$"
REGISTRY: Final = (
    rf"^(?:(?:localhost|{DNS_LABEL}(?:\.{DNS_LABEL})+|{DNS_LABEL}(?=:))(?::[0-9]*)?"
    rf"|{_UNDOTTED}(?!:))(?:/{PATH_COMPONENT})*$"
)


@dataclass(frozen=True, eq=False)
class SchemaRules:
    """Rules that a JSON Schema adds to those of the annotated type; no validation of its own."""

    rules: Mapping[str, JsonValue]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """As pydantic asks for it."""
        return {**handler(core_schema), **self.rules}


def pattern_rule(title: str, pattern: str, **more: JsonValue) -> SchemaRules:
    """What a text is, in a few words, and the pattern that it matches."""
    return SchemaRules({"title": title, "pattern": pattern, **more})


def never(*values: JsonValue) -> SchemaRules:
    """A value that is none of these."""
    return SchemaRules({"not": {"enum": list(values)}})


def exactly_one_of(*keys: str) -> JsonDict:
    """The rule of a mapping in which one of these keys has a value and the others have none."""
    nothing: JsonDict = {"type": "null"}
    return {
        "oneOf": [
            {
                "required": [key],
                "properties": {
                    other: {"not": nothing} if other == key else nothing for other in keys
                },
            }
            for key in keys
        ]
    }


def not_together(*keys: str) -> JsonDict:
    """The rule of a mapping in which not all of these keys have a value."""
    given: JsonDict = {"not": {"type": "null"}}
    return {"not": {"required": list(keys), "properties": dict.fromkeys(keys, given)}}
