"""How a rendering ends early."""

from __future__ import annotations


class RenderError(Exception):
    """Something that whoever renders can act on; its message says what."""
