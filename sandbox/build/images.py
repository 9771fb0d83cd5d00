"""Container images without a registry: built here once, imported into each node's containerd.

Cached steps, each under the hash of its recipe: a Debian base (see `debian`), the pause image
taken out of it, the platform's images, thin layers over it (a second), and images of one program
of the sandbox's own tools, as the official ones are. A node is told the very references that a
stack names, so the kubelet finds every image and pulls none.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.build import debian, oci, recipes, tools
from sandbox.build.gobuild import GoModule
from sandbox.errors import SandboxError
from sandbox.progress import Report

PAUSE = "localhost/ado-sandbox/pause:1"
"""What containerd's `sandbox_image` names; load `pause_archive` under it."""

STANDIN_ROLES = ("api-gateway", "dashboard", "orchestrator", "worker")
STANDIN_SOURCE = Path(__file__).parents[1] / "standin"
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

DATABASES = {  # the official image's name → its server's major version and its user's home
    "postgres": (debian.POSTGRESQL, "/var/lib/postgresql"),
    "redis": (debian.REDIS, "/data"),
}
DATABASE_USER = 999
"""The official images' user of the server's name."""
DATABASE_CONFIG: dict[str, Any] = {
    "Env": [f"PATH=/usr/lib/postgresql/{debian.POSTGRESQL}/bin:/usr/bin:/bin", "LANG=C.UTF-8"]
}
"""No user, as in the official images: a pod must say that it does not run as root."""

PROGRAMS = {"kubectl": tools.KUBERNETES, "rclone": tools.RCLONE}
"""The official image's name → the module that its one program is built from."""
WITH_SHELL = {"rclone"}
"""Official images that have a shell and its tools beside the program."""


def prepare(report: Report) -> Path:
    """The pause image's archive; it and the platform's are there afterwards.

    Raises SandboxError when the Debian base cannot be built.
    """
    platform_archive(report)
    return pause_archive(report)


def pause_archive(report: Report) -> Path:
    """The archive of the pod sandbox image: one static program that waits for SIGTERM.

    Raises SandboxError when the Debian base cannot be built.
    """
    config = {"Entrypoint": ["/pause", "-P"], "User": "65535:65535"}

    def build(target: Path, scratch: Path) -> None:
        with tarfile.open(debian.layer(report)) as base:
            program = base.extractfile("./usr/bin/catatonit")
            if program is None:
                raise SandboxError("The Debian base has no usr/bin/catatonit to make pause from.")
            layer = scratch / "layer.tar"
            oci.write_layer(layer, {"pause": (program.read(), 0o755)})
        oci.write_archive(target, [oci.Image(PAUSE, config, [layer])])

    return recipes.made("pause", [*debian.recipe(), json.dumps(config)], build)


def platform_archive(report: Report) -> Path:
    """The archive of what the platform's pods run: the stand-in in each of its roles, databases.

    One for all, so that a node reads the base that they share once.

    Raises SandboxError when the Debian base cannot be built.
    """
    program = {
        f"opt/standin/{path.name}": (path.read_bytes(), 0o644)
        for path in sorted(STANDIN_SOURCE.glob("*.py"))
    }
    recipe = [*debian.recipe(), json.dumps([STANDIN_CONFIG, DATABASES, DATABASE_CONFIG])]
    recipe += [f"{name}\n{source!r}" for name, source in program.items()]
    version = recipes.version(recipe)

    def build(target: Path, scratch: Path) -> None:
        base = debian.layer(report)
        report("packing the platform's images")

        def image(name: str, config: dict[str, Any], layer: Path) -> oci.Image:
            return oci.Image(f"localhost/ado-sandbox/{name}:{version}", config, [base, layer])

        standin = scratch / "standin.tar"
        oci.write_layer(standin, program)
        found = [image(role, _standin_config(role, version), standin) for role in STANDIN_ROLES]
        for name, (_, home) in DATABASES.items():
            layer = scratch / f"{name}.tar"
            oci.write_layer(layer, _users(name, home))
            found.append(image(name, DATABASE_CONFIG, layer))
        oci.write_archive(target, found)

    return recipes.made("platform", recipe, build)


def program_archive(name: str, module: GoModule, report: Report) -> Path:
    """The archive of an image with one of the sandbox's own tools, and Debian's or nothing else.

    Raises SandboxError when the program or the Debian base cannot be built.
    """
    config = {"Entrypoint": [f"/usr/bin/{name}"], "Env": ["PATH=/usr/bin"]}
    recipe = [module.build, json.dumps(config), *(debian.recipe() if name in WITH_SHELL else [])]

    def build(target: Path, scratch: Path) -> None:
        program = tools.ensure([module], report)[name]
        below = [debian.layer(report)] if name in WITH_SHELL else []
        layer = scratch / "layer.tar"
        oci.write_layer(layer, {f"usr/bin/{name}": (program.read_bytes(), 0o755)})
        image = f"localhost/ado-sandbox/{name}:{module.version}"
        oci.write_archive(target, [oci.Image(image, config, [*below, layer])])

    return recipes.made(name, recipe, build)


def archive_for(reference: str, report: Report) -> Path:
    """The archive with the image that stands for a reference, built when it is missing.

    Raises SandboxError for a reference that nothing here stands for, and for another major
    version of a database than there is.
    """
    segment = _last_segment(reference)
    if segment in PROGRAMS:
        return program_archive(segment, PROGRAMS[segment], report)
    if segment in DATABASES:
        _require_major(reference, DATABASES[segment][0])
    elif segment not in STANDIN_ROLES:
        known = ", ".join((*STANDIN_ROLES, *DATABASES, *PROGRAMS))
        raise SandboxError(
            f"The sandbox has no registry and nothing that stands for the image {reference}. "
            f"It knows images whose last path segment is one of: {known}."
        )
    return platform_archive(report)


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


def _require_major(reference: str, major: int) -> None:
    """Refuse a tag of another major version; a digest alone says nothing about versions."""
    name, _, digest = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    seen = re.match(r"\d+", tag)
    if (tag or not digest) and not (seen and int(seen[0]) == major):
        raise SandboxError(
            f"The sandbox has nothing that stands for the image {reference}: its own "
            f"{_last_segment(reference)} is version {major}, and the tag {tag or 'latest'!r} does "
            "not begin with that."
        )


def _users(name: str, home: str) -> dict[str, tuple[bytes, int]]:
    """User and group of the official image instead of the Debian package's; initdb wants them."""
    users = {"root": (0, "/root"), name: (DATABASE_USER, home), "nobody": (65534, "/nonexistent")}
    passwd = "".join(f"{n}:x:{i}:{i}::{home}:/bin/sh\n" for n, (i, home) in users.items())
    group = "".join(f"{n}:x:{i}:\n" for n, (i, _) in users.items())
    return {"etc/passwd": (passwd.encode(), 0o644), "etc/group": (group.encode(), 0o644)}


def _standin_config(role: str, version: str) -> dict[str, Any]:
    itself = [f"STANDIN_ROLE={role}", f"STANDIN_VERSION={version}"]
    return STANDIN_CONFIG | {"Env": [*STANDIN_CONFIG["Env"], *itself]}
