"""`make docs`: who may talk to whom in a stack with every part, written into docs/security.md."""

from __future__ import annotations

from typing import Final

from ado_infra.connections import graph
from ado_infra.kit.connections import Connection
from ado_infra.site import Site
from tests.support.policed import OWN, settings_with
from tests.support.recording import ROOT

PAGE: Final = ROOT / "docs" / "security.md"
BEGIN: Final = "<!-- written by `make docs` from what the parts declare -->\n"
END: Final = "<!-- as far as here -->\n"
_EVERY_PART: Final = {
    "ado:migrations": {"command": ["migrate"]},
    "ado:postgres": {"backup": {"bucket": "backups"}},
}


def table() -> str:
    """All connections as Markdown, those of one pair in one row."""
    site = Site("ado", namespace=OWN)
    rows: dict[tuple[str, str, str, str], None] = {}
    for each in graph(site, settings_with("prod", _EVERY_PART)):
        row = (each.source.name, each.target.party.name, _ports(each), each.why)
        rows[row] = None
    lines = ["| from | to | port | what for |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _ports(connection: Connection) -> str:
    ports = ", ".join(map(str, connection.target.ports))
    protocols = [protocol.value for protocol in connection.target.protocols]
    return ports if protocols == ["TCP"] else f"{ports} ({' and '.join(protocols)})"


def written(page: str) -> str:
    """A page with the table of today between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert all((begin, end)), f"{PAGE} has lost the marks that the table stands between"
    return f"{before}{begin}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
