"""What is taken from the publishers, with a server on loopback that has their paths.

The paths and formats are written out here as the publishers' documents have them.
"""

from __future__ import annotations

import hashlib
import io
import platform
import socket
import tarfile
import time
import zipfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest
from rich.console import Console

from sandbox import progress
from sandbox.build import downloads
from sandbox.build.downloads import HOSTS, Publishers
from sandbox.errors import SandboxError

Capture = pytest.CaptureFixture[str]
PROGRAM = b"#!/bin/sh\necho a program\n"
PATIENCE = 30  # seconds with the server, where nothing is tested that ends by waiting


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tar_gz(members: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def kubernetes(program: str, arch: str) -> dict[str, bytes]:
    """A bare binary and, beside it, a bare checksum without even the end of a line."""
    path = f"/release/v1.37.2/bin/linux/{arch}/{program}"
    return {path: PROGRAM, f"{path}.sha256": sha256(PROGRAM).encode()}


def etcd(arch: str) -> dict[str, bytes]:
    """An archive with a directory; one document for all of a release."""
    root = f"etcd-v3.7.3-linux-{arch}"
    archive = tar_gz(
        {f"{root}/README.md": b"read", f"{root}/etcd": PROGRAM, f"{root}/etcdctl": b""}
    )
    directory = "/etcd-io/etcd/releases/download/v3.7.3"
    sums = f"{'0' * 64}  etcd-v3.7.3-darwin-{arch}.zip\n{sha256(archive)}  {root}.tar.gz\n"
    return {f"{directory}/{root}.tar.gz": archive, f"{directory}/SHA256SUMS": sums.encode()}


def coredns(arch: str) -> dict[str, bytes]:
    """An archive of the program alone; a document for it alone."""
    name = f"coredns_1.15.0_linux_{arch}.tgz"
    path = f"/coredns/coredns/releases/download/v1.15.0/{name}"
    archive = tar_gz({"coredns": PROGRAM})
    return {path: archive, f"{path}.sha256": f"{sha256(archive)}  {name}\n".encode()}


def rclone(arch: str) -> dict[str, bytes]:
    """A zip; the document is signed in the clear."""
    root = f"rclone-v1.76.0-linux-{arch}"
    archive = zipped({f"{root}/rclone.1": b"manual", f"{root}/rclone": PROGRAM})
    sums = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\n"
        f"{'0' * 64}  rclone-v1.76.0-freebsd-{arch}.zip\n{sha256(archive)}  {root}.zip\n"
        "-----BEGIN PGP SIGNATURE-----\n\niF0EARECAB0WIQT79zfs6fir=\n-----END PGP SIGNATURE-----\n"
    )
    return {f"/v1.76.0/{root}.zip": archive, "/v1.76.0/SHA256SUMS": sums.encode()}


def pulumi(arch: str) -> dict[str, bytes]:
    """An archive whose name calls amd64 otherwise, with language hosts."""
    name = f"pulumi-v3.259.0-linux-{ {'amd64': 'x64'}.get(arch, arch) }.tar.gz"
    archive = tar_gz(
        {
            "pulumi/pulumi": PROGRAM,
            "pulumi/pulumi-language-go": b"not wanted",
        }
    )
    directory = "/pulumi/pulumi/releases/download/v3.259.0"
    sums = f"{sha256(archive)}  {name}\n"
    return {
        f"{directory}/{name}": archive,
        f"{directory}/pulumi-3.259.0-checksums.txt": sums.encode(),
    }


def provider(arch: str) -> dict[str, bytes]:
    """What GoReleaser makes of it."""
    name = f"pulumi-resource-kubernetes-v4.25.0-linux-{arch}.tar.gz"
    archive = tar_gz({"LICENSE": b"text", "pulumi-resource-kubernetes": PROGRAM})
    directory = "/pulumi/pulumi-kubernetes/releases/download/v4.25.0"
    sums = f"{sha256(archive)}  {name}\n"
    return {
        f"{directory}/{name}": archive,
        f"{directory}/pulumi-kubernetes_4.25.0_checksums.txt": sums.encode(),
    }


def release(program: str, arch: str = "amd64") -> dict[str, bytes]:
    """Path → what the publisher has there: the file first, then the checksums."""
    others = {
        "etcd": etcd,
        "coredns": coredns,
        "rclone": rclone,
        "pulumi": pulumi,
        "pulumi-resource-kubernetes": provider,
    }
    return others[program](arch) if program in others else kubernetes(program, arch)


VERSIONS = {
    "kube-apiserver": "v1.37.2",
    "kube-controller-manager": "v1.37.2",
    "kube-scheduler": "v1.37.2",
    "kube-proxy": "v1.37.2",
    "kubelet": "v1.37.2",
    "kubectl": "v1.37.2",
    "etcd": "v3.7.3",
    "coredns": "v1.15.0",
    "rclone": "v1.76.0",
    "pulumi": "v3.259.0",
    "pulumi-resource-kubernetes": "4.25.0",  # with the v or without
}


class Server:
    """Serves what it is given by path, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.lengths: dict[str, int] = {}
        """How much is announced where it is not what is sent."""
        self.held: set[str] = set()
        """What is not answered, or not to the end when a length is announced for it."""
        self.meeting: Barrier | None = None
        """What requests for the root meet at before they are answered."""
        self.asked: list[str] = []
        self._closing = Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if self.path in outer.held - set(outer.lengths):
                    outer._closing.wait()
                if self.path == "/" and outer.meeting:
                    outer.meeting.wait(PATIENCE)
                content = outer.files.get(self.path)
                if self.path in outer.moved:
                    self.send_response(302)
                    self.send_header("Location", outer.moved[self.path])
                elif content is None:
                    self.send_response(404)
                else:
                    self.send_response(200)
                    length = outer.lengths.get(self.path, len(content))
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(content or b"")
                self.wfile.flush()
                if self.path in outer.held:
                    outer._closing.wait()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def publishers(self) -> dict[str, str]:
        """Every host of theirs is this server."""
        return {"kubernetes": f"{self.url}/release", "github": self.url, "rclone": self.url}

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def mute() -> Generator[tuple[str, socket.socket]]:
    """A host that takes connections and never answers: nobody accepts them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening


def connections(listening: socket.socket) -> int:
    """How many came since this was asked last."""
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("SANDBOX_DOWNLOADS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    made = Server()
    yield made
    made.close()


@pytest.fixture(params=[("x86_64", "amd64"), ("aarch64", "arm64")], ids=["amd64", "arm64"])
def arch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, server: Server) -> str:
    """The machine's architecture, as Go calls it."""
    del server  # which has chosen one
    machine, name = request.param
    monkeypatch.setattr(platform, "machine", lambda: machine)
    return name


@pytest.fixture
def said() -> list[str]:
    return []


def fetch(server: Server, program: str, target: Path, said: list[str]) -> bool:
    publishers = Publishers(server.publishers, answer=PATIENCE)
    return publishers.fetch(program, VERSIONS[program], target, said.append)


@pytest.mark.parametrize("program", VERSIONS)
def test_a_program_is_what_its_publisher_has_for_this_machine(
    server: Server, arch: str, program: str, tmp_path: Path, said: list[str]
) -> None:
    server.files = release(program, arch)
    target = tmp_path / "cache" / program
    assert fetch(server, program, target, said)
    assert target.read_bytes() == PROGRAM
    assert target.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in target.parent.iterdir()] == [program]
    assert said == [f"downloading {program}"]


def test_a_file_that_its_publisher_keeps_elsewhere_is_followed(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    for path, content in release("etcd").items():
        server.moved[path] = f"/elsewhere{path}"
        server.files[f"/elsewhere{path}"] = content
    assert fetch(server, "etcd", tmp_path / "etcd", said)


@pytest.mark.parametrize("program", VERSIONS)
def test_a_corrupted_file_is_refused_and_that_is_said(
    server: Server, program: str, tmp_path: Path, said: list[str], capsys: Capture
) -> None:
    server.files = release(program)
    path = next(iter(server.files))
    content = server.files[path]
    server.files[path] = content[:-1] + bytes([content[-1] ^ 1])
    assert not fetch(server, program, tmp_path / program, said)
    assert list(tmp_path.iterdir()) == []
    told = capsys.readouterr().err  # and no later progress takes its place
    assert f"{server.url}{path} is not used" in told
    assert "checksum" in told


def test_a_file_without_a_sha256_is_not_downloaded(
    server: Server, tmp_path: Path, said: list[str], capsys: Capture
) -> None:
    server.files = release("etcd")
    path, sums = server.files
    server.files[sums] = f"{'a' * 40}  {path.rpartition('/')[2]}\n".encode()
    assert not fetch(server, "etcd", tmp_path / "etcd", said)
    assert path not in server.asked
    assert "no SHA-256" in capsys.readouterr().err


def test_of_two_checksums_for_one_file_none_is_believed(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    server.files = release("etcd")
    path, sums = server.files
    server.files[sums] += f"{'0' * 64}  {path.rpartition('/')[2]}\n".encode()
    assert not fetch(server, "etcd", tmp_path / "etcd", said)


def test_only_the_program_is_taken_out_of_an_archive(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    archive = tar_gz({"../../outside": b"evil", "coredns": PROGRAM, "/tmp/outside": b"evil"})  # noqa: S108
    path, sums = release("coredns")
    server.files = {path: archive, sums: sha256(archive).encode()}
    target = tmp_path / "a" / "b" / "coredns"
    assert fetch(server, "coredns", target, said)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [target]


@pytest.mark.parametrize(
    "archive", [tar_gz({"something": PROGRAM}), zipped({"something": PROGRAM}), b"no archive"]
)
def test_an_archive_without_the_program_is_refused_and_that_is_said(
    server: Server, archive: bytes, tmp_path: Path, said: list[str], capsys: Capture
) -> None:
    path, sums = release("coredns")
    server.files = {path: archive, sums: sha256(archive).encode()}
    assert not fetch(server, "coredns", tmp_path / "coredns", said)
    assert list(tmp_path.iterdir()) == []
    assert "is not used" in capsys.readouterr().err


def test_what_the_publisher_does_not_have_is_left_to_others(
    server: Server, tmp_path: Path, said: list[str], capsys: Capture
) -> None:
    publishers = Publishers(server.publishers, answer=PATIENCE)
    assert not publishers.fetch("etcd", "v3.7.3", tmp_path / "etcd", said.append)
    assert "is not used: HTTP Error 404" in capsys.readouterr().err
    server.files = release("coredns")  # and its host is still asked for other files
    assert publishers.fetch("coredns", "v1.15.0", tmp_path / "coredns", said.append)


@pytest.mark.parametrize("program", ["metrics-server", "pulumi-resource-random", "no-such-program"])
def test_for_a_program_without_published_checksums_nobody_is_asked(
    server: Server, program: str, tmp_path: Path, said: list[str]
) -> None:
    publishers = Publishers(server.publishers, answer=PATIENCE)
    assert not publishers.fetch(program, "v1.2.3", tmp_path / program, said.append)
    assert server.asked == []


def test_on_a_machine_that_nothing_is_published_for_nobody_is_asked(
    server: Server, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not fetch(server, "etcd", tmp_path / "etcd", said)
    assert server.asked == []


def test_when_the_user_says_no_no_request_is_made(
    server: Server, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = release("etcd")
    monkeypatch.setenv("SANDBOX_DOWNLOADS", "no")
    assert not fetch(server, "etcd", tmp_path / "etcd", said)
    assert server.asked == []
    monkeypatch.setenv("SANDBOX_DOWNLOADS", "yes")
    assert fetch(server, "etcd", tmp_path / "etcd", said)


def test_another_value_of_the_switch_is_refused(
    server: Server, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_DOWNLOADS", "off")
    with pytest.raises(SandboxError, match=r"SANDBOX_DOWNLOADS is 'off'.* no .* yes"):
        fetch(server, "etcd", tmp_path / "etcd", said)
    assert server.asked == []


def test_a_host_that_never_answers_costs_its_time_once(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    with mute() as (url, listening):
        publishers = Publishers(server.publishers | {"github": url}, answer=0.2)
        begun = time.monotonic()
        for program in ("etcd", "coredns", "pulumi"):
            assert not publishers.fetch(program, VERSIONS[program], tmp_path / "x", said.append)
        assert time.monotonic() - begun < 10  # the silence that an answer may have is longer
        assert connections(listening) == 1
    assert said == []


def test_hosts_are_tried_at_the_same_time(server: Server, tmp_path: Path, said: list[str]) -> None:
    server.files = {"/": b"", **release("etcd")}
    server.meeting = Barrier(2)  # none is answered before both are asked
    hosts = {"github": server.url, "rclone": server.url}
    publishers = Publishers(hosts, answer=PATIENCE / 10)
    assert publishers.fetch("etcd", "v3.7.3", tmp_path / "etcd", said.append)


def test_silent_hosts_are_all_known_after_the_first_program(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    with mute() as (first, one), mute() as (second, two), mute() as (third, three):
        hosts = {"kubernetes": first, "github": second, "rclone": third}
        publishers = Publishers(hosts, answer=0.2)
        for program, expected in (("etcd", [1, 1, 1]), ("rclone", [0, 0, 0])):
            assert not publishers.fetch(program, VERSIONS[program], tmp_path / "x", said.append)
            assert [connections(listening) for listening in (one, two, three)] == expected
    assert server.asked == []


def test_a_host_that_refuses_connections_is_not_asked_again_and_the_others_are(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    with mute() as (url, _):
        pass
    hosts = server.publishers | {"github": url}  # where nobody listens any more
    publishers = Publishers(hosts, answer=PATIENCE)
    assert not publishers.fetch("etcd", "v3.7.3", tmp_path / "etcd", said.append)
    hosts["github"] = server.url
    server.files = release("etcd") | release("kubectl")
    assert not publishers.fetch("etcd", "v3.7.3", tmp_path / "etcd", said.append)
    assert publishers.fetch("kubectl", "v1.37.2", tmp_path / "kubectl", said.append)


@pytest.mark.parametrize("stops", ["ends", "pauses"])
def test_a_host_that_stops_in_the_middle_is_given_up_and_leaves_nothing(
    server: Server, stops: str, tmp_path: Path, said: list[str], capsys: Capture
) -> None:
    server.files = release("etcd")
    path = next(iter(server.files))
    server.lengths[path] = len(server.files[path]) + 1
    server.held = {path} if stops == "pauses" else set()
    publishers = Publishers(server.publishers, answer=PATIENCE, silence=1)
    begun = time.monotonic()
    assert not publishers.fetch("etcd", "v3.7.3", tmp_path / "etcd", said.append)
    assert time.monotonic() - begun < PATIENCE
    assert list(tmp_path.iterdir()) == []
    assert said == ["downloading etcd"]
    assert "is not used" in capsys.readouterr().err
    asked = len(server.asked)
    assert not publishers.fetch("etcd", "v3.7.3", tmp_path / "etcd", said.append)
    assert len(server.asked) == asked


def test_a_host_that_falls_silent_is_not_asked_again(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    server.files = release("etcd") | release("coredns")
    server.held = set(release("etcd"))
    publishers = Publishers(server.publishers, answer=1)
    assert not publishers.fetch("etcd", "v3.7.3", tmp_path / "etcd", said.append)
    asked = len(server.asked)
    assert not publishers.fetch("coredns", "v1.15.0", tmp_path / "coredns", said.append)
    assert len(server.asked) == asked


def test_what_a_killed_download_left_is_in_nobodys_way(
    server: Server, tmp_path: Path, said: list[str]
) -> None:
    server.files = release("etcd")
    (tmp_path / ".etcd.partial").mkdir()
    (tmp_path / ".etcd.partial" / "file").write_bytes(b"half of it")
    assert fetch(server, "etcd", tmp_path / "etcd", said)
    assert [path.name for path in tmp_path.iterdir()] == ["etcd"]


def test_users_meet_the_publishers_themselves() -> None:
    assert all(url.startswith("https://") for url in HOSTS.values())
    assert downloads.fetch.__self__._hosts is HOSTS


def test_why_a_file_is_not_used_is_printed_above_the_line_that_moves(capsys: Capture) -> None:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=80)
    with progress.step(console, "Programs") as report:
        report("downloading etcd")
        progress.say_unused("etcd", "it is not what SHA256SUMS has")
        report("compiling etcd")
    assert "etcd is not used: it is not what SHA256SUMS has\n" in printed.getvalue()
    assert capsys.readouterr().err == ""
