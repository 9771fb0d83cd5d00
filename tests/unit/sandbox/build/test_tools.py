"""How programs are built, with the compiler's part played by the test."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sandbox import files
from sandbox.build import gobuild, kubernetes_provider, tools
from sandbox.build.gobuild import GoModule
from sandbox.cluster import kubectl
from sandbox.errors import SandboxError


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The arguments of every `go`; its builds leave the source they were given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    called: list[tuple[str, ...]] = []

    def run(workspace: Path, *arguments: str) -> None:
        called.append(arguments)
        if arguments[0] == "build":
            main = workspace / arguments[-1] / "main.go"
            output = Path(arguments[arguments.index("-o") + 1])
            output.write_text(main.read_text() if main.exists() else "the module's own")

    monkeypatch.setattr(gobuild, "_go_run", run)
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
    assert "func main() { start.Main() }" in source
    assert go[-1][-1] == "./no-such-program"


def test_another_choice_of_parts_is_another_build(go: list[tuple[str, ...]]) -> None:
    built = [
        tools.ensure([GoModule("m", "v1.2.3", {"no-such-program": "cmd"}, parts=parts)], print)
        for parts in (("a",), ("a", "b"), ("a",))
    ]
    assert built[0] == built[2] != built[1]
    assert [arguments[0] for arguments in go].count("build") == 2


def test_modules_of_a_workspace_are_fetched_together_and_built_only_where_absent(
    go: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = GoModule("example.org/a", "v1.0.0", {"no-such-a": "cmd"})
    second = GoModule("example.org/b", "v2.0.0", {"no-such-b": "cmd"})
    monkeypatch.setattr(tools, "_WORKSPACES", ((first, second),))
    tools.ensure([first], lambda _: None)
    assert ("get", "-tool", "example.org/a/cmd@v1.0.0", "example.org/b/cmd@v2.0.0") in go
    assert [call[-1] for call in go if call[0] == "build"] == ["example.org/a/cmd"]
    tools.ensure([first, second], lambda _: None)
    built = [call[-1] for call in go if call[0] == "build"]
    assert built == ["example.org/a/cmd", "example.org/b/cmd"]


def test_a_copied_module_is_built_from_its_copy(
    go: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gobuild, "module_directory", lambda _: tmp_path)
    module = GoModule(
        "example.org/m",
        "v1.2.3",
        {"no-such-program": "cmd"},
        copied=lambda source, room: {"example.org/m": room / source.name},
    )
    tools.ensure([module], lambda _: None)
    assert ("mod", "edit", f"-replace=example.org/m=./example.org_m/{tmp_path.name}") in go


def _provider_module(directory: Path, line: str) -> Path:
    main = directory / "cmd" / "pulumi-resource-kubernetes"
    main.mkdir(parents=True)
    (main / "schema.json").write_text('{"name": "kubernetes"}')
    (main / "terraform-mapping.json").write_text("{}")
    (directory / "pkg" / "gen").mkdir(parents=True)
    (directory / "pkg" / "gen" / "schema.go").write_text(line)
    return directory


def test_the_providers_copy_has_what_a_release_generates(tmp_path: Path) -> None:
    source = _provider_module(tmp_path / "source", "Provider: pschema.ResourceSpec{")
    replaced = kubernetes_provider.copied(source, tmp_path / "room")
    provider, sdk = replaced[kubernetes_provider.MODULE], replaced[kubernetes_provider.SDK]
    main = provider / "cmd" / "pulumi-resource-kubernetes"
    assert '"version": "4.25.0"' in (main / "schema-embed.json").read_text()
    assert (main / "terraform-mapping-embed.json").exists()
    assert "&pschema" in (provider / "pkg" / "gen" / "schema.go").read_text()
    assert kubernetes_provider.SDK in (sdk / "go.mod").read_text()


def test_another_provider_than_it_was_written_for_is_refused(tmp_path: Path) -> None:
    source = _provider_module(tmp_path / "source", "Provider: somethingElse{")
    with pytest.raises(SandboxError, match=r"pkg/gen/schema\.go"):
        kubernetes_provider.copied(source, tmp_path / "room")


KUBECTL = """#!/bin/sh
[ "$*" = "version --client" ] || exit 1
echo "Client Version: {version}"
echo "Kustomize Version: v5.8.1"
"""


@pytest.mark.parametrize(
    ("version", "taken"), [(tools.KUBERNETES.version, True), ("v1.9.0", False)]
)
def test_kubectl_on_path_is_taken_where_it_is_of_the_pinned_version(
    go: list[tuple[str, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    taken: bool,  # noqa: FBT001
) -> None:
    program = tmp_path / "bin" / "kubectl"
    files.write(program, KUBECTL.format(version=version), mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    if taken:
        assert kubectl._program() == str(program)
    else:
        with pytest.raises(kubectl.MissingError):
            kubectl._program()
    assert go == []


@pytest.mark.parametrize(("downloads", "does"), [("yes", "downloads or builds"), ("no", "builds")])
def test_how_a_kubectl_comes_is_told_as_the_user_has_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downloads: str, does: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("SANDBOX_DOWNLOADS", downloads)
    with pytest.raises(kubectl.MissingError, match=f"-m sandbox prepare` {does} it"):
        kubectl._program()


def test_programs_on_path_that_do_not_answer_are_waited_for_together_and_named(
    go: list[tuple[str, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = tmp_path / "bin"
    names = [f"no-such-{number}" for number in range(4)]
    for name in names:
        files.write(directory / name, "#!/bin/sh\nexec sleep 1d\n", mode=0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)
    monkeypatch.setattr(tools, "PATIENCE", 1.5)
    modules = [GoModule(f"example.org/{name}", "v1.2.3", {name: "cmd"}) for name in names]
    started = time.monotonic()
    found = tools._found(modules)
    assert time.monotonic() - started < 4.5
    assert found == dict.fromkeys(names)
    assert sorted(capsys.readouterr().err.splitlines()) == [
        f"{directory / name} is not used: it did not say its version within 1.5 s" for name in names
    ]
    tools.ensure(modules, lambda _: None)
    assert capsys.readouterr().err == ""  # said once
    assert [arguments[0] for arguments in go].count("build") == 4


def test_looking_a_program_up_makes_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "read-only"))
    assert tools.find(GoModule("m", "v1.2.3", {"no-such-program": ""}), "no-such-program") is None
    assert list(tmp_path.iterdir()) == []
