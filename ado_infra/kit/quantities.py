"""Quantities: what a stack may write, measured, and whatever the API server may answer.

Grammar: kubernetes.io, "Quantity". A stack writes the part of it that nobody misreads; the server
answers in a form of its own: it keeps `1.1Gi` as `1181116006400m`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

MAX_MILLICORES: Final = 1_024_000
MAX_BYTES: Final = 24 * 2**40
"""No node sold today has more than 1024 cores or 24 TiB: beyond it is a slip of the finger."""

_CPU = re.compile(r"(?P<number>\d+(?:\.\d{1,3})?)(?P<unit>m?)", re.ASCII)
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d{1,3})?)(?P<unit>Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
_ANY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))"
    r"(?:(?P<unit>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?\d{1,3}))?",
    re.ASCII,
)
_DECIMAL: Final = dict(zip("num", (-9, -6, -3), strict=True)) | {
    unit: 3 * power for power, unit in enumerate("kMGTPE", start=1)
}
_BINARY: Final = {f"{unit}i": 2 ** (10 * power) for power, unit in enumerate("KMGTPE", start=1)}


def millicores(quantity: str) -> int:
    """A CPU quantity in thousandths of a core: `500m` → 500, `2` → 2000.

    Raises ValueError when it is no quantity, not positive, or beyond any machine.
    """
    seen = _CPU.fullmatch(quantity)
    if not seen:
        raise ValueError("is no CPU quantity; write cores as '2' or thousandths as '500m'")
    number = Decimal(seen["number"]) * (1 if seen["unit"] else 1000)
    return _bounded(number, MAX_MILLICORES, "1024 cores")


def size_in_bytes(quantity: str) -> int:
    """A memory quantity in whole bytes: `512Mi` → 536870912.

    Raises ValueError when it is no quantity, not positive, or beyond any machine.
    """
    if not _MEMORY.fullmatch(quantity):
        raise ValueError("is no memory quantity; write for example '512Mi' or '2Gi'")
    return _bounded(amount(quantity), MAX_BYTES, "24Ti")


def in_bytes(number: int) -> str:
    """A number of bytes as the API server writes it: in the largest unit that divides it."""
    for unit, factor in reversed(_BINARY.items()):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return str(number)


def amount(quantity: str) -> Decimal:
    """The number that any quantity stands for, in each form that the API server knows.

    Raises ValueError when it is none.
    """
    seen = _ANY.fullmatch(quantity)
    if not seen:
        raise ValueError(f"{quantity!r} is no quantity")
    number, unit = Decimal(seen["number"]), seen["unit"]
    if unit in _BINARY:
        return number * _BINARY[unit]
    return number.scaleb(_DECIMAL[unit] if unit else int(seen["exponent"] or 0))


def _bounded(number: Decimal, maximum: int, shown: str) -> int:
    if number < 1 or number > maximum:
        raise ValueError(f"is out of range; more than zero and at most {shown}")
    return int(number)
