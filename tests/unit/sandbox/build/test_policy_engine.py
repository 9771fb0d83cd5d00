"""What of the policy engine's module the sandbox makes different."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import files
from sandbox.build import policy_engine, tools
from sandbox.errors import SandboxError


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """All of the module that is told apart."""
    source = tmp_path / "source"
    for name, replaced in policy_engine._REPLACED.items():
        files.write(source / name, "".join(f"{before}\n" for before in replaced))
    files.write(source / "go.mod", f"module {policy_engine.MODULE}")
    files.write(source / "pkg" / "networkpolicy" / "nri.go", "links a client of the runtime")
    return source


def test_the_engine_reads_a_kubeconfig_and_asks_which_queue_there_is(
    module: Path, tmp_path: Path
) -> None:
    (room,) = policy_engine.copied(module, tmp_path / "room").values()
    main = (room / "cmd" / "main.go").read_text()
    assert "InClusterConfig" not in main
    assert 'clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))' in main
    package = room / "pkg" / "networkpolicy"
    assert "queueStatement(c.config)" in (package / "controller.go").read_text()
    assert "func queueStatement(" in (package / "queue.go").read_text()
    assert "links a client" not in (package / "nri.go").read_text()
    assert (room / "go.mod").exists()


@pytest.mark.parametrize("name", [*policy_engine._REPLACED])
def test_another_module_than_it_was_written_for_is_refused(
    module: Path, tmp_path: Path, name: str
) -> None:
    (module / name).write_text("package other")
    with pytest.raises(SandboxError, match=f"{name} is not as"):
        policy_engine.copied(module, tmp_path / "room")


def test_it_shares_the_libraries_of_kubernetes() -> None:
    """Alone it takes six minutes to compile, with theirs half a minute."""
    (shared,) = (w for w in tools._WORKSPACES if tools.POLICY_ENGINE in w)
    assert tools.KUBERNETES in shared
