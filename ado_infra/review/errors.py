"""How a review ends early."""

from __future__ import annotations


class ReviewError(Exception):
    """Something that whoever reviews can act on; its message says what, in one line."""
