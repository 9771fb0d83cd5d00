"""The stand-in's page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Stand-in for {role}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 3rem auto }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #ddd }}
.yes {{ color: #176f2c }} .no {{ color: #b3261e }}
footer {{ color: #666; font-size: .85rem; margin-top: 2rem }}
</style>
<h1>Stand-in for {role}</h1>
<p>This is not the real {role}: it listens where that would listen, connects to what that would
connect to, and does nothing else.</p>
<p class="{ready_class}">{ready}</p>
{connections}
<footer>version {version}</footer>
</html>
"""


def render(state: Mapping[str, Any]) -> str:
    """HTML of `Standin.state()`."""
    return _PAGE.format(
        role=escape(state["standInFor"]),
        version=escape(state["version"]),
        ready="Ready" if state["ready"] else "Not ready",
        ready_class="yes" if state["ready"] else "no",
        connections=_connections(state["dependencies"]),
    )


def _connections(dependencies: list[Mapping[str, Any]]) -> str:
    if not dependencies:
        return "<p>It was given nothing to connect to.</p>"
    heading = "<tr><th>what<th>where<th>state<th>found</tr>"
    return f"<table>{heading}{''.join(map(_row, dependencies))}</table>"


def _row(dependency: Mapping[str, Any]) -> str:
    connected = dependency["connected"]
    state = f"{'connected' if connected else 'not connected'} for {dependency['seconds']} s"
    found = dependency["problem"] or dependency["detail"]
    return (
        f"<tr><td>{escape(dependency['name'])}<td>{escape(dependency['host'])}"
        f'<td class="{"yes" if connected else "no"}">{state}<td>{escape(found)}</tr>'
    )
