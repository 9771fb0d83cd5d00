from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox.build import debian, images, oci
from sandbox.errors import SandboxError

TINY_DEBIAN = (
    "dev/x",
    "etc/redis/redis.conf",
    "usr/bin/catatonit",
    "usr/lib/arch/libLLVM.so.19",
    "usr/lib/dev/kept",
    "usr/share/doc/x/copyright",
)
FOREIGN_DIGEST = "sha256:" + "ab" * 32


def silent(_: str) -> None:
    """A report nobody reads."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ado-sandbox" / "images"


@pytest.fixture
def bootstrapped(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A tiny Debian instead of minutes of downloads; how often it was made."""
    made: list[Path] = []

    def debootstrap(root: Path, _: object) -> None:
        made.append(root)
        for name in TINY_DEBIAN:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)

    monkeypatch.setattr(debian, "_debootstrap", debootstrap)
    return made


def contents(archive: Path) -> dict[str, bytes]:
    """Every file of a tar."""
    with tarfile.open(archive) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar)
        return {name: file.read() for name, file in files if file}


def configs(archive: Path) -> dict[str, Any]:
    """Image name → its `config`, following the digests as a runtime does."""
    files = contents(archive)

    def blob(descriptor: dict[str, Any]) -> bytes:
        content = files["blobs/" + descriptor["digest"].replace(":", "/")]
        assert len(content) == descriptor["size"]
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
        return content

    found = {}
    for entry in json.loads(files["index.json"])["manifests"]:
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        layers = [layer["digest"] for layer in manifest["layers"]]
        assert config["rootfs"]["diff_ids"] == layers
        assert all(blob(layer) for layer in manifest["layers"])
        found[entry["annotations"]["io.containerd.image.name"]] = config["config"]
    return found


def last_segment(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


@pytest.mark.usefixtures("bootstrapped")
def test_the_archive_holds_a_valid_image_for_everything_that_the_platform_runs() -> None:
    archive = images.platform_archive(silent)
    found = {last_segment(name): config for name, config in configs(archive).items()}
    assert set(found) == {*images.STANDIN_ROLES, "postgres", "redis"}
    for role in images.STANDIN_ROLES:
        assert f"STANDIN_ROLE={role}" in found[role]["Env"]
        assert found[role]["User"] == "10001:10001"
    blobs = [name for name in contents(archive) if name.startswith("blobs/")]
    layers = {"base", "standin", "postgres", "redis"}
    assert len(blobs) == len(layers) + 2 * len(found)  # once each; a config, a manifest per image


@pytest.mark.usefixtures("bootstrapped")
def test_database_images_start_nothing_and_are_nobodys_by_themselves() -> None:
    found = {last_segment(n): c for n, c in configs(images.platform_archive(silent)).items()}
    for name in ("postgres", "redis"):
        assert not {"Entrypoint", "Cmd", "User"} & found[name].keys()
        path = dict(entry.split("=", 1) for entry in found[name]["Env"])["PATH"].split(":")
        # Before Debian's wrappers of the same names, which need a Perl that is not there.
        assert path.index("/usr/lib/postgresql/17/bin") < path.index("/usr/bin")


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_the_server_runs_as_uid_999_and_the_image_knows_its_name(name: str) -> None:
    users = images._users(name, "/home")
    assert f"{name}:x:999:999::/home:/bin/sh" in users["etc/passwd"][0].decode().splitlines()
    assert f"{name}:x:999:" in users["etc/group"][0].decode().splitlines()


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize(("name", "beside"), [("kubectl", False), ("rclone", True)])
def test_an_image_of_one_program_has_a_shell_where_the_official_one_has(
    name: str,
    beside: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / name).write_text("the program")
    monkeypatch.setattr(images.tools, "ensure", lambda *_: {name: tmp_path / name})
    archive = images.archive_for(f"registry.example.com/{name}/{name}:1", silent)
    ((reference, config),) = configs(archive).items()
    assert last_segment(reference) == name
    assert config == {"Entrypoint": [f"/usr/bin/{name}"], "Env": ["PATH=/usr/bin"]}
    layers = len([n for n in contents(archive) if n.startswith("blobs/")]) - 2
    assert layers == 1 + beside


@pytest.mark.usefixtures("bootstrapped")
def test_the_pause_image_runs_as_nobody_in_particular() -> None:
    (config,) = configs(images.pause_archive(silent)).values()
    assert config["Entrypoint"][0] == "/pause"
    assert config["User"] not in {"", "0", "0:0"}


def test_the_base_is_built_once_and_without_what_no_container_reads(
    cache: Path, bootstrapped: list[Path]
) -> None:
    images.pause_archive(silent)
    images.platform_archive(silent)
    assert len(bootstrapped) == 1
    (base,) = cache.glob("base-*.tar")
    with tarfile.open(base) as tar:
        names = set(tar.getnames())
    assert {"./usr/bin/catatonit", "./usr/lib/dev/kept", "./dev", "./usr/share/doc"} <= names
    unwanted = {"./dev/x", "./etc/redis", "./usr/share/doc/x", "./usr/lib/arch/libLLVM.so.19"}
    assert not unwanted & names


def test_packages_are_told_to_start_nothing_and_to_make_no_cluster_before_they_are_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared: dict[str, tuple[str, int]] = {}

    def debootstrap(root: Path, _: object) -> None:
        for path in (path for path in root.rglob("*") if path.is_file()):
            mode = stat.S_IMODE(path.stat().st_mode)
            prepared[str(path.relative_to(root))] = (path.read_text(), mode)
        assert {stat.S_IMODE(path.stat().st_mode) for path in [root, *root.glob("**/")]} == {0o755}

    monkeypatch.setattr(debian, "_debootstrap", debootstrap)
    before = os.umask(0o077)
    try:
        debian.layer(silent)
    finally:
        os.umask(before)
    assert prepared == debian.PREPARED


def test_a_changed_program_makes_a_new_archive_on_the_same_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bootstrapped: list[Path]
) -> None:
    (tmp_path / "standin.py").write_text("print(1)")
    monkeypatch.setattr(images, "STANDIN_SOURCE", tmp_path)
    first = images.platform_archive(silent)
    assert images.platform_archive(silent) == first
    (tmp_path / "standin.py").write_text("print(2)")
    assert images.platform_archive(silent) != first
    assert len(bootstrapped) == 1


@pytest.mark.usefixtures("bootstrapped")
def test_an_interrupted_build_leaves_nothing_that_is_used_later(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_write = oci.write_archive

    def interrupted(path: Path, _: object) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(oci, "write_archive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        images.platform_archive(silent)
    assert [path.name for path in cache.glob("platform*")] == ["platform.lock"]
    monkeypatch.setattr(oci, "write_archive", whole_write)
    assert configs(images.platform_archive(silent))


@pytest.mark.usefixtures("bootstrapped")
def test_what_a_killed_build_left_behind_is_removed(cache: Path) -> None:
    leftover = cache / "base.partial" / "root" / "old"
    leftover.mkdir(parents=True)
    images.pause_archive(silent)
    assert not (cache / "base.partial").exists()


def test_two_sandboxes_at_once_build_the_base_once(bootstrapped: list[Path]) -> None:
    with ThreadPoolExecutor(4) as pool:
        archives = set(pool.map(images.pause_archive, [silent] * 4))
    assert len(archives) == 1
    assert len(bootstrapped) == 1


@pytest.mark.usefixtures("bootstrapped")
def test_archives_of_long_gone_programs_are_removed_by_the_next_build(cache: Path) -> None:
    cache.mkdir(parents=True)
    old, recent = cache / "platform-0ld.tar", cache / "platform-recent.tar"
    old.touch()
    recent.touch()
    os.utime(old, (0, 0))
    images.platform_archive(silent)
    assert not old.exists()
    assert recent.exists()


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("worker:1", "docker.io/library/worker:1"),
        ("ado/worker:1", "docker.io/ado/worker:1"),
        ("localhost/worker:1", "localhost/worker:1"),
        ("registry.example/a/b/worker:1", "registry.example/a/b/worker:1"),
        ("registry:5000/worker:1", "registry:5000/worker:1"),
        (f"ado/worker@{FOREIGN_DIGEST}", f"docker.io/ado/worker@{FOREIGN_DIGEST}"),
        (f"registry:5000/worker:1@{FOREIGN_DIGEST}", f"registry:5000/worker@{FOREIGN_DIGEST}"),
    ],
)
def test_a_reference_is_stored_in_the_form_that_the_runtime_looks_up(
    reference: str, full: str
) -> None:
    assert images._normalised(reference) == full


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize("role", images.STANDIN_ROLES)
@pytest.mark.parametrize("form", ["{}:1", "registry:5000/team/{}:1", "ado/{}@" + FOREIGN_DIGEST])
def test_the_last_path_segment_decides_what_stands_for_an_image(role: str, form: str) -> None:
    assert images.archive_for(form.format(role), silent) == images.platform_archive(silent)


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize(
    "reference",
    [
        "postgres:17",
        "postgres:17.12-trixie",
        "registry:5000/mirror/postgres:17.2",
        "redis:8.0.5-bookworm",
        f"redis@{FOREIGN_DIGEST}",
        f"postgres:17.12@{FOREIGN_DIGEST}",
    ],
)
def test_a_database_of_the_same_major_version_has_an_image(reference: str) -> None:
    assert images.archive_for(reference, silent) == images.platform_archive(silent)


@pytest.mark.parametrize(
    ("reference", "own"),
    [
        ("postgres:16.9", "postgres is version 17"),
        ("postgres:170", "postgres is version 17"),
        ("registry:5000/postgres", "postgres is version 17"),
        ("postgres:latest", "postgres is version 17"),
        ("redis:7.4-bookworm", "redis is version 8"),
        (f"redis:7.4@{FOREIGN_DIGEST}", "redis is version 8"),
    ],
)
def test_a_database_of_another_major_version_is_refused_naming_both(
    reference: str, own: str, bootstrapped: list[Path]
) -> None:
    with pytest.raises(SandboxError, match=f"{reference}.*{own}"):
        images.archive_for(reference, silent)
    assert not bootstrapped


@pytest.mark.parametrize("reference", ["registry.example/ado/scheduler:1", "worker/other:1"])
def test_an_unknown_image_is_named(reference: str, bootstrapped: list[Path]) -> None:
    with pytest.raises(SandboxError, match=f"{reference}.*api-gateway"):
        images.archive_for(reference, silent)
    assert not bootstrapped


CTR = """#!/usr/bin/env python3
# A containerd that remembers images: `reference digest` lines beside its socket.
import json, pathlib, sys, tarfile
_, _, socket, _, namespace, _, action, *rest = sys.argv
assert namespace == "k8s.io"
store = pathlib.Path(socket).with_suffix(".json")
known = json.loads(store.read_text()) if store.exists() else {}
with pathlib.Path(socket).with_suffix(".log").open("a") as log:
    print(action, file=log)
if action == "ls":
    print("REF TYPE DIGEST SIZE PLATFORMS LABELS")
    for reference, digest in known.items():
        print(reference, "type", digest, "1 MiB linux/amd64 -")
elif action == "import":
    if pathlib.Path(socket).with_suffix(".full").exists():
        sys.exit("no space left on device")
    with tarfile.open(rest[0]) as tar:
        for entry in json.load(tar.extractfile("index.json"))["manifests"]:
            known[entry["annotations"]["io.containerd.image.name"]] = entry["digest"]
else:
    assert rest[0] == "--force"
    known[rest[2]] = known[rest[1]]
store.write_text(json.dumps(known))
"""


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sockets of two nodes whose containerds a program on PATH plays."""
    program = tmp_path / "bin" / "ctr"
    program.parent.mkdir()
    program.write_text(CTR)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    sockets = [tmp_path / node / "containerd.sock" for node in ("n1", "n2")]
    for socket in sockets:
        socket.parent.mkdir()
    return sockets


def known(socket: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(socket.with_suffix(".json").read_text())
    return found


def calls(socket: Path) -> list[str]:
    return socket.with_suffix(".log").read_text().split()


@pytest.mark.usefixtures("bootstrapped")
def test_every_node_knows_each_reference_as_the_image_of_its_role(nodes: list[Path]) -> None:
    references = ["ado/worker:1", f"registry:5000/api-gateway@{FOREIGN_DIGEST}"]
    images.provide(nodes, references, silent)
    digests = oci.digests(images.platform_archive(silent))
    by_role = {last_segment(name): digest for name, digest in digests.items()}
    for socket in nodes:
        assert known(socket)["docker.io/ado/worker:1"] == by_role["worker"]
        of_gateway = known(socket)[f"registry:5000/api-gateway@{FOREIGN_DIGEST}"]
        assert of_gateway == by_role["api-gateway"]


@pytest.mark.usefixtures("bootstrapped")
def test_a_node_that_has_everything_is_only_asked(nodes: list[Path]) -> None:
    images.provide(nodes, ["ado/worker:1"], silent)
    images.provide(nodes, ["ado/worker:1"], silent)
    assert calls(nodes[0]) == ["ls", "import", "tag", "ls"]


@pytest.mark.usefixtures("bootstrapped")
def test_another_tag_of_a_known_image_copies_nothing(nodes: list[Path]) -> None:
    images.provide(nodes, ["ado/worker:1"], silent)
    images.provide(nodes, ["ado/worker:2"], silent)
    assert calls(nodes[0]).count("import") == 1
    assert "docker.io/ado/worker:2" in known(nodes[0])


@pytest.mark.usefixtures("bootstrapped")
def test_a_changed_image_replaces_the_old_one_under_the_same_reference(
    nodes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.provide(nodes, ["ado/worker:1"], silent)
    before = known(nodes[0])["docker.io/ado/worker:1"]
    (tmp_path / "changed.py").write_text("print()")
    monkeypatch.setattr(images, "STANDIN_SOURCE", tmp_path)
    images.provide(nodes, ["ado/worker:1"], silent)
    assert known(nodes[0])["docker.io/ado/worker:1"] != before


@pytest.mark.usefixtures("bootstrapped")
def test_pause_is_loaded_under_the_name_that_containerd_is_configured_with(
    nodes: list[Path],
) -> None:
    images.load(nodes, images.pause_archive(silent), [images.PAUSE], silent)
    assert set(known(nodes[1])) == {images.PAUSE}


@pytest.mark.usefixtures("bootstrapped")
def test_a_refusing_containerd_is_quoted(nodes: list[Path]) -> None:
    nodes[1].with_suffix(".full").touch()
    with pytest.raises(SandboxError, match=r"n2/containerd\.sock.*no space left"):
        images.provide(nodes, ["ado/worker:1"], silent)


@pytest.mark.usefixtures("bootstrapped")
def test_an_archive_without_the_image_is_refused_before_any_node_is_touched(
    nodes: list[Path],
) -> None:
    with pytest.raises(SandboxError, match="ado/worker:1"):
        images.load(nodes, images.pause_archive(silent), ["ado/worker:1"], silent)
    assert not nodes[0].with_suffix(".log").exists()
