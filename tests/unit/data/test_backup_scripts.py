"""The scripts of PostgreSQL's backup in a real shell, with made-up servers behind the commands."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest

FILES = Path(str(resources.files("ado_infra.data.postgres"))) / "files"
PASSWORD = "p@ss:w\\rd 'x'"
FAKES = {
    # As the real one of a service's objects: what is not there is taken for an empty directory.
    "rclone": """
        at() { case "$1" in backup:*) echo "$WORK/${1#backup:}" ;; *) echo "$1" ;; esac; }
        case "$1" in
        copyto)
            [ -e "$(at "$2")" ] || exit 0
            mkdir -p "$(dirname "$(at "$3")")" && cp "$(at "$2")" "$(at "$3")"
            case "$3" in backup:*.dump) [ -z "$TAMPER" ] || echo more >>"$(at "$3")" ;; esac ;;
        hashsum) [ "$3" = --download ] && sha256sum "$(at "$4")" ;;
        lsf) [ "$2" = --files-only ] && { ls -p "$(at "$3")" 2>/dev/null | grep -v / || true; } ;;
        deletefile) rm "$(at "$2")" ;;
        esac""",
    "pg_dump": """
        cp "$PGPASSFILE" "$WORK/passfile" && echo "a dump" >"${*##*--file=}" """,
    "pg_restore": """
        for file in "$@"; do :; done
        [ "$1" != --list ] || grep -q "a dump" "$file" """,
    "psql": """
        cp "$PGPASSFILE" "$WORK/passfile"; echo "$THERE" """,
}
LOGGED = """#!/bin/sh
echo "${0##*/} $*" | tr '\\n' ' ' >>"$WORK/asked"
echo >>"$WORK/asked"
[ "$FAIL" != "${0##*/} $1" ] || exit 7
"""


@dataclass
class World:
    """A directory with the pod's own files, a bucket, and what the commands were asked."""

    root: Path

    def run(
        self, script: str, *arguments: str, keep: int = 2, **told: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script as the pod does. FAIL: a command that fails; TAMPER: of uploads."""
        environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "WORK": str(self.root),
            "BACKUP": str(self.root / "backup"),
            "CONFIG": str(FILES),
            "KEEP": str(keep),
            "PGDATABASE": "ado",
            "PGPASSFILE": str(self.root / "pgpass"),
            "PGUSER": "ado",
            "REMOTE": "backup:bucket/some/prefix",
            "SECRETS": str(self.root / "secrets"),
        }
        return subprocess.run(
            ["/bin/sh", str(FILES / script), *arguments],
            env=environment | {"FAIL": "", "TAMPER": "", "THERE": ""} | told,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @property
    def prefix(self) -> Path:
        return self.root / "bucket" / "some" / "prefix"

    def stored(self) -> set[str]:
        """What is in the bucket below the prefix."""
        return {path.name for path in self.prefix.glob("*")}

    def asked(self) -> list[str]:
        """What the commands were asked since the last time."""
        log = self.root / "asked"
        lines = [line.strip() for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def has_dump(self, name: str, content: str = "a dump\n") -> None:
        """What dump.sh leaves for upload.sh."""
        (self.root / "backup" / "dump").write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        (self.root / "backup" / "sha256").write_text(f"{digest}  {name}.dump\n")

    def store(self, *names: str) -> None:
        """Objects that are in the bucket already."""
        self.prefix.mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.prefix / name).write_text("old")


@pytest.fixture
def world(tmp_path: Path) -> World:
    for name in ("bin", "backup", "secrets", "bucket"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets" / "password").write_text(PASSWORD)
    for name, body in FAKES.items():
        fake = tmp_path / "bin" / name
        fake.write_text(LOGGED + body)
        fake.chmod(0o755)
    return World(tmp_path)


def _both(*names: str) -> set[str]:
    return {f"{name}.{kind}" for name in names for kind in ("dump", "sha256")}


OLD, NEWER, NEWEST = "20260101T030000Z", "20260102T030000Z", "20260103T030000Z"


class TestDump:
    def test_it_is_read_before_its_checksum_makes_it_a_backup(self, world: World) -> None:
        done = world.run("dump.sh")
        assert done.returncode == 0, done.stderr
        asked = [line.split() for line in world.asked()]
        assert [command[0] for command in asked] == ["pg_dump", "pg_restore"]
        assert "--format=custom" in asked[0]
        assert asked[1] == ["pg_restore", "--list", "dump"]
        digest, name = (world.root / "backup" / "sha256").read_text().split()
        assert digest == hashlib.sha256(b"a dump\n").hexdigest()
        assert re.fullmatch(r"\d{8}T\d{6}Z\.dump", name)

    @pytest.mark.parametrize("fail", ["pg_dump --format=custom", "pg_restore --list"])
    def test_one_that_cannot_be_made_or_read_is_never_uploaded(
        self, world: World, fail: str
    ) -> None:
        assert world.run("dump.sh", FAIL=fail).returncode != 0
        world.asked()
        assert world.run("upload.sh").returncode != 0  # had Kubernetes started it all the same
        assert world.asked() == []

    def test_the_password_is_in_a_file_of_its_own_and_nowhere_else(self, world: World) -> None:
        done = world.run("dump.sh")
        assert (world.root / "passfile").read_text() == "*:*:*:ado:p@ss\\:w\\\\rd 'x'\n"
        assert stat.S_IMODE((world.root / "pgpass").stat().st_mode) == 0o600
        assert "p@ss" not in done.stdout + done.stderr + str(world.asked())


class TestUpload:
    def test_it_is_read_back_before_anything_is_deleted(self, world: World) -> None:
        world.store(*_both(OLD))
        world.has_dump(NEWEST)
        done = world.run("upload.sh", keep=1)
        assert done.returncode == 0, done.stderr
        verbs = [line.split()[1] for line in world.asked()]
        assert verbs == ["lsf", "copyto", "hashsum", "copyto", "deletefile", "deletefile"]
        assert world.stored() == _both(NEWEST)

    def test_what_was_changed_on_its_way_is_no_backup_and_costs_none(self, world: World) -> None:
        world.store(*_both(OLD, NEWER))
        world.has_dump(NEWEST)
        done = world.run("upload.sh", keep=1, TAMPER="yes")
        assert done.returncode == 1
        assert "is not what was uploaded; no older backup is deleted" in done.stderr
        assert world.stored() == {*_both(OLD, NEWER), f"{NEWEST}.dump"}
        assert NEWEST not in world.run("list.sh").stdout

    @pytest.mark.parametrize("named", [OLD, NEWER])
    def test_a_node_whose_clock_is_behind_deletes_nothing_its_own_backup_neither(
        self, world: World, named: str
    ) -> None:
        world.store(*_both(NEWER, NEWEST))
        world.has_dump(named)
        done = world.run("upload.sh", keep=1)
        assert done.returncode == 1
        assert f"{named} is not newer than {NEWEST}" in done.stderr
        assert "Nothing is uploaded" in done.stderr
        assert world.stored() == _both(NEWER, NEWEST)

    @pytest.mark.parametrize("fail", ["rclone copyto", "rclone hashsum", "rclone lsf"])
    def test_whatever_fails_deletes_nothing(self, world: World, fail: str) -> None:
        world.store(*_both(OLD, NEWER))
        world.has_dump(NEWEST)
        assert world.run("upload.sh", keep=1, FAIL=fail).returncode == 7
        assert world.stored() >= _both(OLD, NEWER)

    @pytest.mark.parametrize(
        ("keep", "kept"), [(1, {NEWEST}), (2, {NEWER, NEWEST}), (3, {OLD, NEWER, NEWEST})]
    )
    def test_the_newest_are_kept(self, world: World, keep: int, kept: set[str]) -> None:
        world.store(*_both(OLD, NEWER))
        world.has_dump(NEWEST)
        world.run("upload.sh", keep=keep)
        assert world.stored() == _both(*kept)

    def test_with_fewer_than_that_all_are_kept(self, world: World) -> None:
        world.has_dump(NEWEST)
        assert world.run("upload.sh", keep=7).returncode == 0
        assert world.stored() == _both(NEWEST)

    def test_a_dump_without_a_checksum_counts_for_none_and_goes_with_its_time(
        self, world: World
    ) -> None:
        world.store(*_both(OLD), f"{NEWER}.dump", "20251231T030000Z.dump")
        world.has_dump(NEWEST)
        world.run("upload.sh", keep=2)
        assert world.stored() == {*_both(OLD, NEWEST), f"{NEWER}.dump"}

    def test_nothing_else_in_the_bucket_is_touched(self, world: World) -> None:
        foreign = {"readme", "0.dump", f"x{OLD}.dump", f"{OLD}.dump.old", f"{OLD}.sql"}
        world.store(*_both(OLD), *foreign)
        (world.prefix / "below").mkdir()
        (world.prefix / "below" / f"{OLD}.dump").touch()
        beside = world.prefix.parent / f"{OLD}.dump"
        beside.touch()
        world.has_dump(NEWEST)
        world.run("upload.sh", keep=1)
        assert world.stored() == {*_both(NEWEST), *foreign, "below"}
        assert beside.exists()
        assert (world.prefix / "below" / f"{OLD}.dump").exists()

    def test_a_checksum_goes_before_its_dump(self, world: World) -> None:
        world.store(*_both(OLD))
        world.has_dump(NEWEST)
        world.run("upload.sh", keep=1)
        deleted = [line.rpartition("/")[2] for line in world.asked() if "deletefile" in line]
        assert deleted == [f"{OLD}.sha256", f"{OLD}.dump"]


class TestRestore:
    def _fetched(self, world: World) -> None:
        world.has_dump(OLD)
        world.run("upload.sh")
        for path in (world.root / "backup").iterdir():
            path.unlink()
        done = world.run("download.sh", OLD)
        assert done.returncode == 0, done.stderr
        world.asked()

    def test_whole_backups_are_listed_newest_first(self, world: World) -> None:
        world.store(*_both(OLD, NEWEST), f"{NEWER}.dump", "readme.sha256")
        assert world.run("list.sh").stdout.split() == [NEWEST, OLD]

    @pytest.mark.parametrize("there", [set[str](), {f"{OLD}.dump"}, {f"{OLD}.sha256"}])
    def test_one_that_is_not_there_is_named(self, world: World, there: set[str]) -> None:
        world.store(*there)
        done = world.run("download.sh", OLD)
        assert done.returncode == 1
        assert f"there is no backup {OLD} in backup:bucket/some/prefix" in done.stderr

    def test_it_goes_into_an_empty_database_in_one_transaction(self, world: World) -> None:
        self._fetched(world)
        done = world.run("restore.sh", OLD)
        assert done.returncode == 0, done.stderr
        listed, queried, restored = world.asked()
        assert (listed, queried.split()[0]) == ("pg_restore --list dump", "psql")
        options = restored.split()
        assert {"--single-transaction", "--exit-on-error", "--no-owner"} <= set(options)
        assert options[-1] == "dump"
        assert "--clean" not in options
        assert (world.root / "passfile").read_text().startswith("*:*:*:ado:")

    @pytest.mark.parametrize("damage", ["a dump, more or less\n", "garbage", ""])
    @pytest.mark.parametrize("options", [(), ("--clean",)])
    def test_a_damaged_one_is_refused_before_the_database_is_asked(
        self, world: World, damage: str, options: tuple[str, ...]
    ) -> None:
        self._fetched(world)
        (world.root / "backup" / "dump").write_text(damage)
        done = world.run("restore.sh", OLD, *options)
        assert done.returncode == 1
        assert f"backup {OLD} is damaged" in done.stderr
        assert world.asked() == []

    def test_one_that_pg_restore_cannot_read_is_refused_too(self, world: World) -> None:
        self._fetched(world)
        done = world.run("restore.sh", OLD, FAIL="pg_restore --list")
        assert done.returncode == 1
        assert "is damaged" in done.stderr
        assert world.asked() == ["pg_restore --list dump"]

    def test_a_database_that_is_not_empty_is_refused(self, world: World) -> None:
        self._fetched(world)
        done = world.run("restore.sh", OLD, THERE="runs, tasks")
        assert done.returncode == 1
        assert "database ado is not empty (runs, tasks): nothing is changed" in done.stderr
        assert [line.split()[0] for line in world.asked()] == ["pg_restore", "psql"]

    def test_unless_it_is_told_to_replace(self, world: World) -> None:
        self._fetched(world)
        done = world.run("restore.sh", OLD, "--clean", "--if-exists", THERE="runs, tasks")
        assert done.returncode == 0, done.stderr
        assert "--clean --if-exists" in world.asked()[-1]

    @pytest.mark.parametrize("fail", ["psql --no-psqlrc", "pg_restore --single-transaction"])
    def test_what_fails_is_no_success(self, world: World, fail: str) -> None:
        self._fetched(world)
        assert world.run("restore.sh", OLD, FAIL=fail).returncode == 7
        restored = [line for line in world.asked() if "--single-transaction" in line]
        assert bool(restored) == ("pg_restore" in fail)
