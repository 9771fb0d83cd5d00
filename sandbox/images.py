"""Container images without a registry: built here once, imported into each node's containerd.

Three cached steps, each under the hash of its recipe: a Debian base (about a minute), the pause
image taken out of it, and the stand-in, a thin layer over it (under a second). A node is told the
very references that a stack names, so the kubelet finds every image and pulls none.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from sandbox import oci
from sandbox.errors import SandboxError
from sandbox.files import locked
from sandbox.paths import cache_dir
from sandbox.tools import Report

PAUSE = "localhost/ado-sandbox/pause:1"
"""What containerd's `sandbox_image` names; load `pause_archive` under it."""

SUITE = "bookworm"
BASE_PACKAGES = (
    "catatonit",  # the pause program: statically linked, waits, reaps
    "python3-minimal",
    "python3-aiohttp",
    "python3-asyncpg",
    "python3-prometheus-client",
    "python3-redis",
    "python3-yaml",
)
UNWANTED = (  # directories whose contents no container reads: half of a Debian system
    "boot",
    "dev",
    "proc",
    "sys",
    "usr/lib/*/gconv",
    "usr/share/doc",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg/info",
    "var/log",
)

STANDIN_ROLES = ("api-gateway", "dashboard", "orchestrator", "worker")
STANDIN_SOURCE = Path(__file__).parent / "standin"
STANDIN_CONFIG: dict[str, Any] = {
    "Entrypoint": ["/usr/bin/python3", "-m", "standin"],
    "Env": [
        "PATH=/usr/bin:/bin",
        "HOME=/tmp",  # the one directory that a hardened pod may write to
        "PYTHONPATH=/opt",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
    ],
    "User": "10001:10001",
}

UNUSED_FOR = 7 * 24 * 3600
"""Seconds after which an archive that no sandbox asked for may go."""


def pause_archive(report: Report) -> Path:
    """The archive of the pod sandbox image: one static program that waits for SIGTERM.

    Raises SandboxError when the Debian base cannot be built.
    """
    config = {"Entrypoint": ["/pause", "-P"], "User": "65535:65535"}

    def build(target: Path, scratch: Path) -> None:
        with tarfile.open(_base_layer(report)) as base:
            program = base.extractfile("./usr/bin/catatonit")
            if program is None:
                raise SandboxError("The Debian base has no usr/bin/catatonit to make pause from.")
            layer = scratch / "layer.tar"
            oci.write_layer(layer, {"pause": (program.read(), 0o755)})
        oci.write_archive(target, [oci.Image(PAUSE, config, [layer])])

    return _cached("pause", [*_base_recipe(), json.dumps(config)], build)


def standin_archive(report: Report) -> Path:
    """The archive of the stand-in: one program, and an image for each role that it plays.

    Raises SandboxError when the Debian base cannot be built.
    """
    program = {path.name: path.read_bytes() for path in sorted(STANDIN_SOURCE.glob("*.py"))}
    recipe = [*_base_recipe(), json.dumps(STANDIN_CONFIG)]
    recipe += [f"{name}\n{source!r}" for name, source in program.items()]
    version = _hash(recipe)

    def build(target: Path, scratch: Path) -> None:
        layer = scratch / "layer.tar"
        files = {f"opt/standin/{name}": (source, 0o644) for name, source in program.items()}
        oci.write_layer(layer, files)
        layers = [_base_layer(report), layer]
        report("packing the stand-in")
        images = [
            oci.Image(
                f"localhost/ado-sandbox/{role}:{version}", _standin_config(role, version), layers
            )
            for role in STANDIN_ROLES
        ]
        oci.write_archive(target, images)

    return _cached("standin", recipe, build)


def archive_for(reference: str, report: Report) -> Path:
    """The archive with the image that stands for a reference, built when it is missing.

    Raises SandboxError for a reference that nothing here stands for.
    """
    if _last_segment(reference) in STANDIN_ROLES:
        return standin_archive(report)
    raise SandboxError(
        f"The sandbox has no registry and nothing that stands for the image {reference}. "
        f"It knows images whose last path segment is one of: {', '.join(STANDIN_ROLES)}."
    )


def provide(containerd_sockets: Sequence[Path], references: Sequence[str], report: Report) -> None:
    """Build what stands for the references and load it into every node.

    Raises SandboxError as `archive_for` and `load` do, before anything is loaded.
    """
    by_archive: defaultdict[Path, list[str]] = defaultdict(list)
    for reference in references:
        by_archive[archive_for(reference, report)].append(reference)
    for archive, of_archive in by_archive.items():
        load(containerd_sockets, archive, of_archive, report)


def load(
    containerd_sockets: Sequence[Path], archive: Path, references: Sequence[str], report: Report
) -> None:
    """Make every containerd know the archive's images by exactly these references.

    A reference gets the image of the archive that has the same last path segment, whatever its
    tag or digest: the kubelet looks an image up by its name and does not compare the digest in
    it. Nothing is copied to a node that has the same content already.

    Raises SandboxError when the archive has no such image or a containerd refuses.
    """
    images = oci.digests(archive)
    by_segment = {_last_segment(name): name for name in images}
    sources = {}
    for reference in references:
        segment = _last_segment(reference)
        if segment not in by_segment:
            raise SandboxError(f"{archive.name} has no image that stands for {reference}.")
        sources[_normalised(reference)] = by_segment[segment]

    def load_node(socket: Path) -> None:
        known = _known_images(socket)
        missing = {
            reference: name
            for reference, name in sources.items()
            if known.get(reference) != images[name]
        }
        if not missing:
            return
        if any(known.get(name) != images[name] for name in missing.values()):
            report(f"importing {archive.stem} into {socket.parent.name}")
            _ctr(socket, "images", "import", str(archive))
        for reference, name in missing.items():
            if reference != name:
                _ctr(socket, "images", "tag", "--force", name, reference)

    with ThreadPoolExecutor(max_workers=max(1, len(containerd_sockets))) as pool:
        list(pool.map(load_node, containerd_sockets))


def _known_images(socket: Path) -> dict[str, str]:
    """What a containerd has: reference → digest."""
    lines = _ctr(socket, "images", "ls").splitlines()[1:]
    return {columns[0]: columns[2] for columns in map(str.split, lines)}


def _ctr(socket: Path, *arguments: str) -> str:
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(
            f"containerd at {socket} refused `ctr {' '.join(arguments)}`: "
            f"{done.stderr.strip()[-600:]}"
        )
    return done.stdout


def _last_segment(reference: str) -> str:
    """`registry:5000/ado/worker:1.2@sha256:…` → `worker`."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _normalised(reference: str) -> str:
    """The full form under which the kubelet's runtime looks a reference up.

    The rules of the reference grammar: a first segment without dot, colon or `localhost` is no
    host, the default host and its `library/` are filled in, and a digest outweighs a tag.
    """
    name, at, digest = reference.partition("@")
    host, slash, path = name.partition("/")
    if not slash or not (host == "localhost" or "." in host or ":" in host):
        host, path = "docker.io", name if slash else f"library/{name}"
    if at:
        path = path.partition(":")[0]
    return f"{host}/{path}{at}{digest}"


def _standin_config(role: str, version: str) -> dict[str, Any]:
    itself = [f"STANDIN_ROLE={role}", f"STANDIN_VERSION={version}"]
    return STANDIN_CONFIG | {"Env": [*STANDIN_CONFIG["Env"], *itself]}


def _base_recipe() -> list[str]:
    return [SUITE, *BASE_PACKAGES, *UNWANTED]


def _base_layer(report: Report) -> Path:
    """The layer tar of the Debian base that all images share."""

    def build(target: Path, scratch: Path) -> None:
        root = scratch / "root"
        root.mkdir()
        root.chmod(0o755)  # becomes the container's `/`, whatever the umask says here
        _debootstrap(root, report)
        report("packing the Debian base")
        with tarfile.open(target, "w") as layer:
            layer.add(root, ".", filter=_wanted)

    return _cached("base", _base_recipe(), build)


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Drop what is in an unwanted directory; the empty directory stays."""
    directory = str(PurePosixPath(entry.name).parent)
    if any(fnmatch(directory, pattern) for pattern in UNWANTED):
        return None
    entry.uname = entry.gname = ""  # numbers only: names would mean this machine's users
    return entry


def _debootstrap(root: Path, report: Report) -> None:
    # Namespaces of its own: what it mounts is never seen here and ends with it, as do its
    # children, however it or this process dies.
    isolated = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
    isolated += ["--kill-child", "--mount-proc"]
    packages = ",".join(BASE_PACKAGES)
    debootstrap = ["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(root)]
    last_lines: list[str] = []
    with subprocess.Popen(
        [*isolated, *debootstrap], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                last_lines = [*last_lines[-9:], line.rstrip()]
                report(f"Debian base: {line.strip().removeprefix('I: ')}")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise SandboxError("debootstrap failed; its last lines:\n" + "\n".join(last_lines))


def _cached(kind: str, recipe: Sequence[str], build: Callable[[Path, Path], None]) -> Path:
    """The file made by this recipe: from the cache, else by `build(target, scratch directory)`.

    It appears under its name when it is whole, and one process at a time builds a kind.
    """
    directory = cache_dir() / "images"
    directory.mkdir(exist_ok=True)
    cached = directory / f"{kind}-{_hash(recipe)}.tar"
    if not cached.exists():
        with locked(directory / f"{kind}.lock", lambda: None):
            if not cached.exists():
                scratch = directory / f"{kind}.partial"
                shutil.rmtree(scratch, ignore_errors=True)  # an interrupted build's
                scratch.mkdir()
                try:
                    build(scratch / "result.tar", scratch)
                    (scratch / "result.tar").rename(cached)
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
                _forget_unused(directory, kind)
    os.utime(cached)  # not touch, which would make an empty one of a file just forgotten
    return cached


def _forget_unused(directory: Path, kind: str) -> None:
    """Every change of a program makes another archive: those of old changes go."""
    for path in directory.glob(f"{kind}-*.tar"):
        if path.stat().st_mtime < time.time() - UNUSED_FOR:
            path.unlink()


def _hash(recipe: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
