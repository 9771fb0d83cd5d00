"""How programs are built, with the compiler's part played by the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import tools
from sandbox.tools import GoModule


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The arguments of every `go`; its builds leave the source they were given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    called: list[tuple[str, ...]] = []

    def run(workspace: Path, *arguments: str) -> None:
        called.append(arguments)
        if arguments[0] == "build":
            main = workspace / "main.go"
            output = Path(arguments[arguments.index("-o") + 1])
            output.write_text(main.read_text() if main.exists() else "the module's own")

    monkeypatch.setattr(tools, "_go_run", run)
    return called


def test_a_modules_own_program_is_built_as_it_is(go: list[tuple[str, ...]]) -> None:
    module = GoModule("example.org/m", "v1.2.3", {"no-such-program": "cmd/program"})
    (built,) = tools.ensure([module], lambda _: None).values()
    assert built.read_text() == "the module's own"
    assert go[-1][-1] == "example.org/m/cmd/program"


def test_of_a_module_with_parts_only_these_are_fetched_and_linked(
    go: list[tuple[str, ...]],
) -> None:
    module = GoModule("example.org/m", "v1.2.3", {"no-such-program": "cmd"}, parts=("a", "b/c"))
    (built,) = tools.ensure([module], lambda _: None).values()
    fetched = [f"example.org/m/{part}@v1.2.3" for part in ("cmd", "a", "b/c")]
    assert ("get", "-tool", *fetched) in go
    source = built.read_text()
    assert 'import start "example.org/m/cmd"' in source
    assert 'import _ "example.org/m/a"' in source
    assert 'import _ "example.org/m/b/c"' in source
    assert go[-1][-1] == "."


def test_another_choice_of_parts_is_another_build(go: list[tuple[str, ...]]) -> None:
    built = [
        tools.ensure([GoModule("m", "v1.2.3", {"no-such-program": "cmd"}, parts=parts)], print)
        for parts in (("a",), ("a", "b"), ("a",))
    ]
    assert built[0] == built[2] != built[1]
    assert [arguments[0] for arguments in go].count("build") == 2
