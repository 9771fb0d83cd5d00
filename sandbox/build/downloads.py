"""The publishers' own binaries of exactly the pinned versions: what needs no compiling.

A file is used when its publisher gives a SHA-256 of it; signatures are not looked at, so a
checksum is worth what the connection to its host is. Left out are metrics-server, whose releases
have binaries without checksums, and the random provider, whose checksums are SHA-1. Where files
and checksums are, and what they are called, is from these documents of the publishers:

- Kubernetes: kubernetes.io/docs/tasks/tools/install-kubectl-linux, and for every program
  kubernetes.io/docs/tasks/administer-cluster/verify-signed-artifacts
- etcd: etcd.io/docs/v3.7/install, and scripts/release.sh of its repository
- CoreDNS: Makefile.release of its repository
- rclone: rclone.org/install and rclone.org/release_signing
- Pulumi: .github/workflows/sign.yml of its repository
- its Kubernetes provider: .goreleaser.yml of its repository, goreleaser.com/customization/checksum
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tarfile
import urllib.request
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from threading import Lock, Thread
from urllib.error import HTTPError

from sandbox.build.oci import ARCHITECTURES
from sandbox.errors import SandboxError
from sandbox.progress import Report, say_unused

HOSTS: Mapping[str, str] = {
    "kubernetes": "https://dl.k8s.io/release",
    "github": "https://github.com",
    "rclone": "https://downloads.rclone.org",
}
_BLOCK = 1 << 20


@dataclass(frozen=True)
class _File:
    """A file of a publisher.

    In its texts `{number}` is the version without its v, `{arch}` the architecture as Go calls
    it, and `{cpu}` as Pulumi does.
    """

    host: str
    path: str
    sums: str
    """The file, beside it, that has its checksum."""
    member: str = ""
    """The program in it; empty where the file is the program itself."""


def _release(repository: str, name: str, sums: str, member: str) -> _File:
    return _File("github", f"{repository}/releases/download/v{{number}}/{name}", sums, member)


_ETCD = "etcd-v{number}-linux-{arch}"
_COREDNS = "coredns_{number}_linux_{arch}.tgz"
_RCLONE = "rclone-v{number}-linux-{arch}"
_KUBERNETES = ("apiserver", "controller-manager", "scheduler", "proxy")

_FILES: Mapping[str, _File] = {
    name: _File("kubernetes", f"v{{number}}/bin/linux/{{arch}}/{name}", f"{name}.sha256")
    for name in ("kubectl", "kubelet", *(f"kube-{part}" for part in _KUBERNETES))
} | {
    "etcd": _release("etcd-io/etcd", f"{_ETCD}.tar.gz", "SHA256SUMS", f"{_ETCD}/etcd"),
    "coredns": _release("coredns/coredns", _COREDNS, f"{_COREDNS}.sha256", "coredns"),
    "rclone": _File("rclone", f"v{{number}}/{_RCLONE}.zip", "SHA256SUMS", f"{_RCLONE}/rclone"),
    "pulumi": _release(
        "pulumi/pulumi",
        "pulumi-v{number}-linux-{cpu}.tar.gz",
        "pulumi-{number}-checksums.txt",
        "pulumi/pulumi",
    ),
    "pulumi-resource-kubernetes": _release(
        "pulumi/pulumi-kubernetes",
        "pulumi-resource-kubernetes-v{number}-linux-{arch}.tar.gz",
        "pulumi-kubernetes_{number}_checksums.txt",
        "pulumi-resource-kubernetes",
    ),
}


def enabled() -> bool:
    """Whether the user lets programs be downloaded; SandboxError when the answer is neither."""
    answer = os.environ.get("SANDBOX_DOWNLOADS") or "yes"
    if answer not in {"yes", "no"}:
        raise SandboxError(
            f"SANDBOX_DOWNLOADS is {answer!r}: set it to no to build every program from its "
            "source; with yes, or unset, its publisher's binary is tried first."
        )
    return answer == "yes"


class Publishers:
    """The hosts that files are fetched from; one that failed to answer once is asked no more.

    They have `answer` seconds to begin an answer, and may pause in it for `silence` seconds.
    """

    def __init__(
        self, hosts: Mapping[str, str] = HOSTS, *, answer: float = 2, silence: float = 30
    ) -> None:
        self._hosts = hosts
        self._answer = answer
        self._silence = silence
        self._lock = Lock()
        self._answering: set[str] | None = None

    def fetch(self, program: str, version: str, target: Path, report: Report) -> bool:
        """Make `target` the publisher's program, whole; False, and no file, when that cannot be.

        The caller keeps others from fetching the same target meanwhile. Why a file is not used is
        printed to stand, unlike what is reported; that a host did not answer at all is not.
        """
        file, arch = _FILES.get(program), ARCHITECTURES.get(platform.machine())
        if not enabled() or file is None or arch is None or file.host not in self._those_asked():
            return False
        cpu = "x64" if arch == "amd64" else arch
        url, sums, member = (
            text.format(number=version.removeprefix("v"), arch=arch, cpu=cpu)
            for text in (f"{self._hosts[file.host]}/{file.path}", file.sums, file.member)
        )
        room = target.with_name(f".{target.name}.partial")
        try:
            digest = self._published_digest(url, sums)
            report(f"downloading {program}")
            shutil.rmtree(room, ignore_errors=True)  # what a killed one left
            room.mkdir(parents=True)
            if self._save(url, room / "file") != digest:
                raise LookupError(f"it is not what {sums} has the checksum of")  # noqa: TRY301
            _place(room, member, target)
        except HTTPError as refused:
            refused.close()
            say_unused(url, refused)
        except (LookupError, tarfile.TarError, zipfile.BadZipFile) as unfit:
            say_unused(url, unfit)
        except (OSError, HTTPException) as failed:
            say_unused(url, failed)
            self._those_asked().discard(file.host)
        else:
            return True
        finally:
            shutil.rmtree(room, ignore_errors=True)
        return False

    def _those_asked(self) -> set[str]:
        """The hosts not known to be silent.

        They are tried at the same time, once: a machine without the internet waits for no more.
        """
        with self._lock:
            if self._answering is None:
                with ThreadPoolExecutor() as pool:
                    answered = pool.map(self._answers, self._hosts.values())
                hosts = zip(self._hosts, answered, strict=True)
                self._answering = {host for host, answer in hosts if answer}
            return self._answering

    def _answers(self, url: str) -> bool:
        try:
            self._get(url).close()
        except HTTPError as refused:
            refused.close()
        except (OSError, HTTPException):
            return False
        return True

    def _published_digest(self, url: str, sums: str) -> str:
        """The SHA-256 that a document beside a file gives: on a line alone, or with its name."""
        directory, _, name = url.rpartition("/")
        with self._get(f"{directory}/{sums}") as response:
            text = response.read(_BLOCK).decode(errors="replace")
        lines = re.findall(r"^([0-9a-fA-F]{64})(?:[ \t]+\*?(?:\./)?(\S+))?\s*$", text, re.MULTILINE)
        found = {digest.lower() for digest, of in lines if of in {"", name}}
        if len(found) != 1:
            raise LookupError(f"{sums} has no SHA-256 of it")
        return found.pop()

    def _save(self, url: str, path: Path) -> str:
        """Write what is there to a file; its SHA-256."""
        digest = hashlib.sha256()
        with self._get(url) as response, path.open("wb") as sink:
            while block := response.read(_BLOCK):
                digest.update(block)
                sink.write(block)
            if response.length:  # an answer that breaks off ends like a whole one
                raise IncompleteRead(b"", response.length)
        return digest.hexdigest()

    def _get(self, url: str) -> HTTPResponse:
        """The answer, once it begins; TimeoutError when it does not in time.

        No timeout of sockets holds for the look-up of a name, nor for several addresses and
        redirections together: a thread is left alone with them.
        """
        begun: Future[HTTPResponse] = Future()

        def ask() -> None:
            try:
                response = urllib.request.urlopen(url, timeout=self._silence)  # noqa: S310 - HOSTS
            except (OSError, HTTPException) as failed:
                if begun.set_running_or_notify_cancel():
                    begun.set_exception(failed)
            else:
                if begun.set_running_or_notify_cancel():
                    begun.set_result(response)
                else:
                    response.close()

        Thread(target=ask, daemon=True).start()
        try:
            return begun.result(self._answer)
        except TimeoutError:
            if begun.cancel():
                raise TimeoutError(f"no answer within {self._answer:g} s") from None
            return begun.result()


def _place(room: Path, member: str, target: Path) -> None:
    """Move the program, which may be in an archive, to its place."""
    file = program = room / "file"
    if member:
        program = room / "program"
        with zipfile.ZipFile(file) if zipfile.is_zipfile(file) else tarfile.open(file) as archive:
            take = archive.open if isinstance(archive, zipfile.ZipFile) else archive.extractfile
            source = take(member)
            if source is None:
                raise LookupError(f"{member} is no file in it")
            with source, program.open("wb") as sink:
                shutil.copyfileobj(source, sink, _BLOCK)
    program.chmod(0o755)
    program.replace(target)


fetch = Publishers().fetch
