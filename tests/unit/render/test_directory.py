"""Where a rendering is written: whole or not at all, and never over what is somebody's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ado_infra.render import directory
from ado_infra.render.directory import MARKER, write
from ado_infra.render.errors import RenderError

FILES = {"a.yaml": "a\n", "secrets/b.yaml": "b\n"}


def held(out: Path) -> dict[str, str]:
    """What is in a directory, but for the list of it."""
    found = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    return {name: path.read_text() for name, path in found.items() if name != MARKER}


def written(path: Path) -> tuple[int, int]:
    """Which file it is and when it was written; that it is read counts for nothing."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "out"


@pytest.fixture(params=["exchanged", "renamed"], autouse=True)
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "renamed":
        monkeypatch.setattr(directory, "_exchange", lambda *_: False)


def test_it_is_made_and_what_is_no_more_goes(out: Path) -> None:
    assert write(out, FILES)
    assert held(out) == FILES
    assert write(out, {"c.yaml": "c\n"})
    assert held(out) == {"c.yaml": "c\n"}
    assert not (out / "secrets").exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_the_same_again_touches_nothing(out: Path) -> None:
    assert write(out, FILES)
    before = written(out), written(out / "a.yaml")
    assert not write(out, FILES)
    assert (written(out), written(out / "a.yaml")) == before


def test_it_is_as_open_as_whoever_renders_wants(out: Path) -> None:
    write(out, FILES)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~mask


def test_an_empty_directory_is_taken(out: Path) -> None:
    out.mkdir(parents=True)
    assert write(out, FILES)
    assert held(out) == FILES


def test_a_link_leads_to_the_directory(out: Path, tmp_path: Path) -> None:
    write(out, FILES)
    (tmp_path / "link").symlink_to(out)
    assert write(tmp_path / "link", {"c.yaml": "c\n"})
    assert (tmp_path / "link").is_symlink()
    assert held(out) == {"c.yaml": "c\n"}


def test_what_is_not_empty_and_not_rendered_is_refused(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(RenderError, match="is not empty, and was not rendered here"):
        write(out, FILES)
    assert held(out) == {"mine.txt": "mine"}
    (out / MARKER).write_text("")
    with pytest.raises(RenderError, match="is not empty, and was not rendered here"):
        write(out, FILES)


@pytest.mark.parametrize("changed", ["secrets/b.yaml", "mine.txt", "secrets/mine/x"])
def test_what_somebody_put_there_is_refused_by_name(out: Path, changed: str) -> None:
    write(out, FILES)
    (out / changed).parent.mkdir(exist_ok=True)
    (out / changed).write_text("the real value")
    with pytest.raises(RenderError, match=f"or was changed since: {changed}. It would be lost"):
        write(out, {"c.yaml": "c\n"})
    assert held(out) == {**FILES, changed: "the real value"}


def test_a_link_among_the_files_is_somebodys(out: Path, tmp_path: Path) -> None:
    write(out, FILES)
    (tmp_path / "a").write_text("a\n")
    (out / "a.yaml").unlink()
    (out / "a.yaml").symlink_to(tmp_path / "a")
    with pytest.raises(RenderError, match=r"changed since: a\.yaml"):
        write(out, FILES)


def test_a_file_that_was_deleted_comes_back(out: Path) -> None:
    write(out, FILES)
    (out / "a.yaml").unlink()
    assert write(out, FILES)
    assert held(out) == FILES


def test_a_file_is_no_directory(out: Path) -> None:
    out.parent.mkdir()
    out.write_text("mine")
    with pytest.raises(RenderError, match="is no directory"):
        write(out, FILES)
    assert out.read_text() == "mine"


def test_what_fails_on_the_way_leaves_all_as_it_was(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(out, FILES)
    real, written = Path.write_bytes, list[Path]()

    def full(path: Path, content: bytes) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RenderError, match="cannot be written: No space left on device"):
        write(out, {"c.yaml": "c\n", "d.yaml": "d\n"})
    assert held(out) == FILES
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_what_cannot_be_put_in_its_place_leaves_the_former(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(out, FILES)
    real = Path.rename

    def broken(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(directory, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(RenderError, match="Input/output error"):
        write(out, {"c.yaml": "c\n"})
    assert held(out) == FILES
