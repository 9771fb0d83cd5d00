"""What pages tell people to type, taken from the pages themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from tests.support.recording import ROOT

PAGES = tuple(ROOT / "docs" / name for name in ("data.md", "data-runbooks.md", "data-design.md"))
PROGRAMS = ("ado-ops", "kubectl", "pulumi", "redis-check-aof", "redis-cli")
_CODE = re.compile(
    r"^ *```(?P<language>\w*)\n(?P<block>.*?)^ *```$|`(?P<inline>[^`]+)`", re.DOTALL | re.MULTILINE
)
_TABLE = re.compile(r"^\| `(ado-ops \w+) …` \|.*\n\|---.*\n((?:\|.*\n)+)", re.MULTILINE)


def section(title: str) -> str:
    """The text below a heading of the runbooks."""
    text = (ROOT / "docs" / "data-runbooks.md").read_text()
    _, heading, rest = text.partition(f"\n### {title}\n")
    assert heading, f"there is no runbook {title!r}"
    return re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]


def commands(text: str, programs: Sequence[str] = PROGRAMS) -> list[str]:
    """Each command of a text, one line each, as whoever types it leaves out what explains it."""
    found: list[str] = []
    for code in _CODE.finditer(text):
        inline = code["inline"]
        lines = [" ".join(inline.split())] if inline else _lines(code)
        found += [command for line in lines if (command := _command(line, programs))]
    return found


def in_blocks(text: str) -> list[str]:
    """Every line of blocks that are typed, whatever program it begins with."""
    blocks = (code for code in _CODE.finditer(text) if not code["inline"])
    return [line for code in blocks for line in map(_plain, _lines(code)) if line]


def of_tables(text: str) -> list[str]:
    """Each command that a table under `ado-ops … …` tells of."""
    return [
        f"{program} {words}"
        for program, rows in _TABLE.findall(text)
        for row in rows.splitlines()
        for words in re.findall(r"`([^`]+)`", row.split(" | ")[0])
    ]


def typed(title: str, words: str) -> list[str]:
    """The one command of a runbook that has these words, as a shell takes it apart."""
    (line,) = {line for line in commands(section(title)) if words in line}
    return shlex.split(line)


def _lines(code: re.Match[str]) -> list[str]:
    """The lines of a block; what goes on, after a backslash or between quotes, is one."""
    if code["language"] not in {"", "sh"}:
        return []
    found = [""]
    for line in code["block"].replace("\\\n", " ").splitlines():
        if found[-1].count("'") % 2:
            found[-1] += line
        else:
            found.append(line)
    return found


def _plain(line: str) -> str:
    """Without number, comment and the virtual environment."""
    line = re.sub(r"^\d+\. ", "", line.strip())
    line = re.sub(r" {2,}[#(].*", "", line).removeprefix(".venv/bin/")
    return re.sub(r" {2,}", " ", line)


def _command(line: str, programs: Sequence[str]) -> str:
    """The same, where it is a command; nothing when it is none."""
    line = _plain(line)
    program = re.sub(r"^(?:[A-Z][A-Z0-9_]*=\S+ )+", "", line).partition(" ")[0]
    whole = program in programs or " | .venv/bin/ado-ops " in line
    return line if whole and " " in line and "…" not in line else ""
