"""The Debian system below every image: built here once, in about two minutes.

It carries what the stand-in imports and the real servers of the data tier. PostgreSQL and Redis
are of the major versions that the official images have, so that what runs on them here is what
will run on them elsewhere.
"""

from __future__ import annotations

import subprocess
import tarfile
from fnmatch import fnmatch
from pathlib import Path

from sandbox.build import recipes
from sandbox.errors import SandboxError
from sandbox.progress import Report

SUITE = "trixie"
POSTGRESQL, REDIS = 17, 8
"""Major versions of the suite's servers."""
PACKAGES = (
    "catatonit",  # the pause program: statically linked, waits, reaps
    "libnss-wrapper",  # by which the official image of PostgreSQL names any user, too
    f"postgresql-{POSTGRESQL}",
    "python3-minimal",
    "python3-aiohttp",
    "python3-asyncpg",
    "python3-awscrt",
    "python3-prometheus-client",
    "python3-redis",
    "python3-yaml",
    "redis-server",
)
UNWANTED = (  # what no container reads: two thirds of the system
    "./boot/*",
    "./dev/*",
    "./proc/*",
    "./run/*",
    "./sys/*",
    # Debian's own settings of the servers, which only its users may enter: the official images
    # have none, and a pod may mount its files there.
    "./etc/postgresql*",
    "./etc/redis*",
    "./var/lib/postgresql*",
    "./var/lib/redis*",
    "./usr/lib/*/gconv/*",
    # The compiler of queries, which servers work without, and what Debian's wrappers of their
    # commands are written in: PATH leads to the commands themselves.
    "./usr/bin/perl*",
    "./usr/lib/*/libLLVM*",
    "./usr/lib/*/libperl*",
    "./usr/lib/*/libz3*",
    "./usr/lib/*/perl/*",
    "./usr/lib/*/perl-base/*",
    "./usr/lib/postgresql/*/lib/bitcode/*",
    "./usr/lib/postgresql/*/lib/llvmjit*",
    "./usr/share/doc/*",
    "./usr/share/i18n/*",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./usr/share/perl/*",
    "./var/cache/*",
    "./var/lib/apt/*",
    "./var/lib/dpkg/info/*",
    "./var/log/*",
)
PREPARED = {  # what the packages' scripts are told before they run: path → (content, mode)
    "etc/postgresql-common/createcluster.conf": ("create_main_cluster = false\n", 0o644),
    "usr/sbin/policy-rc.d": ("#!/bin/sh\nexit 101\n", 0o755),  # 101: start nothing
}


def recipe() -> list[str]:
    """All that decides what the layer holds."""
    return [SUITE, *PACKAGES, *UNWANTED, *(content for content, _ in PREPARED.values())]


def layer(report: Report) -> Path:
    """The layer tar that all images share.

    Raises SandboxError with debootstrap's last lines when it fails.
    """

    def build(target: Path, scratch: Path) -> None:
        root = scratch / "root"
        root.mkdir()
        root.chmod(0o755)  # becomes the container's `/`, whatever the umask says here
        _prepare(root)
        _debootstrap(root, report)
        report("packing the Debian base")
        with tarfile.open(target, "w") as tar:
            tar.add(root, ".", filter=_wanted)

    return recipes.made("base", recipe(), build)


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if any(fnmatch(entry.name, pattern) for pattern in UNWANTED):
        return None
    entry.uname = entry.gname = ""  # numbers only: names would mean this machine's users
    return entry


def _prepare(root: Path) -> None:
    for name, (content, mode) in PREPARED.items():
        path = root / name
        for directory in reversed(path.relative_to(root).parents[:-1]):
            (root / directory).mkdir(exist_ok=True)
            (root / directory).chmod(0o755)
        path.write_text(content)
        path.chmod(mode)


def _debootstrap(root: Path, report: Report) -> None:
    # Namespaces of its own: what it mounts is never seen here and ends with it, as do its
    # children, however it or this process dies.
    isolated = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
    isolated += ["--kill-child", "--mount-proc"]
    packages = ",".join(PACKAGES)
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
