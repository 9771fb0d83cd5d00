"""PostgreSQL's start script in a real shell, with a made-up server and peer behind the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest

FILES = Path(str(resources.files("ado_infra.data.postgres"))) / "files"
SYSTEM = "7418"
FAKES = {
    # What the peer answers is a file for each question; a server's own clients ask nothing here.
    "psql": """
        case "$*" in
        *IDENTIFY_SYSTEM*) answer=identify ;;
        *in_hot_standby*) answer=role ;;
        *READ_REPLICATION_SLOT*) answer=slot ;;
        *pg_database_size*) answer=size ;;
        *max_connections*) answer=connections ;;
        *cluster_name*) answer=empty ;;
        *) exit 0 ;;
        esac
        cat "$WORK/peer/$answer" 2>/dev/null""",
    "pg_controldata": """
        echo "Database system identifier: 7418"
        echo "Latest checkpoint's REDO WAL file: 000000010000000000000003"
        echo "Latest checkpoint's REDO location: 0/3000028"
        echo "Latest checkpoint's TimeLineID: 1"
        echo "Min recovery ending loc's timeline: 0"
        echo "Minimum recovery ending location: 0/0"
        echo "max_connections setting: 100" """,
    "pg_waldump": """
        echo "pg_waldump: error: error in WAL record at 0/3000100: invalid record length at" \\
            "$(cat "$WORK/end"): expected at least 24, got 0" >&2""",
    "pg_isready": "exit 2",
    "pg_ctl": "",
    "initdb": """
        case "$2" in *blank) ;; *) echo "$*" >"$WORK/initialised" ;; esac
        mkdir -p "$2" && echo 17 >"$2/PG_VERSION" """,
    "postgres": """
        case "$1" in
        --version) echo "postgres (PostgreSQL) 17.5" && exit ;;
        esac
        case "$*" in
        *cluster_name=*) echo "$*" >"$WORK/says_empty" && exec /bin/sleep 2 ;;
        *) echo "$*" >"$WORK/served" && exit "$(cat "$WORK/ends")" ;;
        esac""",
    "pg_basebackup": """
        for option in "$@"; do
            case "$before" in --pgdata) target=$option ;; esac
            before=$option
        done
        mkdir -p "$target" && echo 17 >"$target/PG_VERSION"
        echo copied >>"$WORK/copies"
        /bin/sleep 0.3 # in which whoever watches sees it grow
        [ "$(wc -l <"$WORK/copies")" -gt "$(cat "$WORK/fail" 2>/dev/null || echo 0)" ]""",
    # More lines than one are the answers one after the other.
    "df": """
        echo "Filesystem     1048576-blocks  Used Available Capacity Mounted on"
        echo "/dev/x                 10000   200     $(sed -n 1p "$WORK/free")      20% /volume"
        [ "$(wc -l <"$WORK/free")" -le 1 ] || sed -i 1d "$WORK/free" """,
    # Nobody waits in earnest: so often, and then whoever waits is ended.
    "sleep": """
        [ "$1" != 15 ] || exec /bin/sleep 0.05
        echo "$1" >>"$WORK/slept"
        [ "$(wc -l <"$WORK/slept")" -le "$(cat "$WORK/patience")" ] || exit 9""",
}


@dataclass
class World:
    """A pod's files, what its peer answers, and how its container has ended."""

    root: Path
    code: int = 0

    def has(self, **files: str) -> None:
        """Writes files, by their path with `__` for `/`."""
        for name, content in files.items():
            path = self.root / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def start(self, ordinal: int) -> str:
        """What the script says until it serves, or has no patience left."""
        done = self.run(ordinal, "start.sh")
        self.code = done.returncode
        return done.stderr

    def run(self, ordinal: int, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a script as that pod does."""
        environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "WORK": str(self.root),
            "CONFIG": str(FILES),
            "HEADLESS_SERVICE": "postgresql-headless",
            "PGDATA": str(self.root / "volume/pgdata"),
            "POD_NAME": f"postgresql-{ordinal}",
            "SECRETS": str(self.root / "secrets"),
            "SOCKET": str(self.root / "socket"),
            "STATE": str(self.root / "state"),
        }
        return subprocess.run(
            ["/bin/sh", str(FILES / script), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @property
    def serves(self) -> bool:
        """Whether the server was started so that others can reach it."""
        return (self.root / "served").exists()

    def copies(self) -> int:
        """How often a copy was begun."""
        log = self.root / "copies"
        return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Pod 0 is the primary by the record; both pods have data."""
    made = World(tmp_path)
    for name in ("bin", "socket", "volume"):
        (tmp_path / name).mkdir()
    for name, body in FAKES.items():
        fake = tmp_path / "bin" / name
        fake.write_text(f"#!/bin/sh\n{body}\n")
        fake.chmod(0o755)
    made.has(
        secrets__password="x",
        **{"secrets__replication-password": "y"},
        state__initialised="true",
        state__primary="0",
        volume__pgdata__PG_VERSION="17\n",
        volume__pgdata__pg_wal__000000010000000000000003="",
        volume__recorded="",
        end="0/3000100",
        ends="0",
        free="500",
        patience="3",
    )
    return made


def _standby(world: World, identity: str) -> None:
    """Such is the peer, in recovery: system, timeline and where it is."""
    world.has(peer__role="on\n", peer__identify=f"{identity}|\n")


def _primary(world: World, *, size: int = 100) -> None:
    world.has(peer__role="off\n", peer__identify=f"{SYSTEM}|1|0/5000000|\n")
    world.has(peer__slot="physical|0/1000000|1\n", peer__size=f"{size}\n")


class TestPrimaryThatWasRolledBack:
    def test_it_waits_while_its_standby_has_more(self, world: World) -> None:
        _standby(world, f"{SYSTEM}|1|0/3008000")
        said = world.start(0)
        assert not world.serves
        assert "postgresql-1 has more than this volume, which was rolled back" in said
        assert "`ado-ops postgres promote postgresql-1 --accept-loss`" in said
        assert (world.root / "socket/waiting").read_text().startswith("postgresql-1 has more")

    def test_it_waits_where_its_standby_has_followed_a_later_primary(self, world: World) -> None:
        _standby(world, f"{SYSTEM}|2|0/2000000")  # behind, of a history that this one never saw
        assert "which was rolled back" in world.start(0)
        assert not world.serves

    @pytest.mark.parametrize(
        "peer",
        [
            f"{SYSTEM}|1|0/3000100",  # all of it
            f"{SYSTEM}|1|0/3001F00",  # the same page: its end is not known better
            f"{SYSTEM}|1|0/2000000",  # behind
            "1|1|0/3008000",
            "1|2|0/3008000",
        ],
    )
    def test_any_other_serves(self, world: World, peer: str) -> None:
        _standby(world, peer)
        world.start(0)
        assert world.serves

    def test_it_serves_where_nobody_can_say(self, world: World) -> None:
        world.start(0)
        assert world.serves


class TestCopy:
    def test_one_that_does_not_fit_beside_what_is_there_is_never_begun_and_says_what_makes_room(
        self, world: World
    ) -> None:
        world.has(volume__pgdata__standby="", volume__stale="")
        (world.root / "volume/pgdata/standby").rename(world.root / "volume/pgdata/standby.signal")
        _primary(world, size=700)
        said = world.start(1)
        assert world.copies() == 0
        assert "201 MiB are lacking" in said
        assert "`ado-ops postgres rejoin postgresql-1 --reclone`" in said

    def test_where_nothing_is_there_to_be_deleted_the_volume_is_to_grow(self, world: World) -> None:
        shutil.rmtree(world.root / "volume/pgdata")
        _primary(world, size=700)
        said = world.start(1)
        assert world.copies() == 0
        assert "201 MiB are lacking, see docs/data-runbooks.md, Growing a volume" in said
        assert "--reclone" not in said

    def test_one_that_fits_is_made_and_served(self, world: World) -> None:
        shutil.rmtree(world.root / "volume/pgdata")
        _primary(world)
        world.start(1)
        assert world.copies() == 1
        assert world.serves
        assert not (world.root / "socket/waiting").exists()
        assert (world.root / "socket/copying").exists()  # by which the probes let it be

    def test_one_that_fails_is_tried_again_less_and_less_often(self, world: World) -> None:
        shutil.rmtree(world.root / "volume/pgdata")
        _primary(world)
        world.has(fail="100", patience="8")
        said = world.start(1)
        waits = [int(each) for each in (world.root / "slept").read_text().split() if each != "2"]
        assert waits[:4] == [5, 10, 20, 40]
        assert "the last one failed" in said
        assert not (world.root / "volume/pgdata.new").exists()


class TestFullVolume:
    FULL = "the volume is full, and without room no server starts"

    @pytest.mark.parametrize("fails", ["postgres", "pg_ctl"])
    def test_a_server_that_ended_for_want_of_room_is_started_again_once_there_is_some(
        self, world: World, fails: str
    ) -> None:
        world.has(ends="1", free="3\n3\n3\n500\n")
        if fails == "pg_ctl":
            (world.root / "bin/pg_ctl").write_text("#!/bin/sh\nexit 1\n")
        said = world.start(0)
        assert world.serves == (fails == "postgres")
        assert said.count(self.FULL) == 1
        assert "docs/data-runbooks.md, Growing a volume" in said
        assert world.code == 1  # the kubelet starts the next

    def test_while_there_is_none_operators_are_told_and_no_other_is_tried(
        self, world: World
    ) -> None:
        world.has(ends="1", free="3")
        world.start(0)
        assert world.code == 9  # nobody had more patience
        assert self.FULL in (world.root / "socket/waiting").read_text()

    def test_one_that_starts_in_a_full_volume_all_the_same_is_let_serve(self, world: World) -> None:
        world.has(free="3")
        assert self.FULL not in world.start(0)
        assert (world.serves, world.code) == (True, 0)

    def test_one_that_ended_for_another_reason_is_started_again_at_once(self, world: World) -> None:
        world.has(ends="2")
        assert "full" not in world.start(0)
        assert world.code == 2

    def test_a_reserve_is_kept_where_there_is_room_and_given_up_before_anybody_waits(
        self, world: World
    ) -> None:
        reserve = world.root / "volume/reserve"
        world.start(0)
        assert not reserve.exists()
        world.has(free="600")
        world.start(0)
        assert reserve.stat().st_size == 64 * 2**20
        world.has(ends="1", free="3\n67\n")
        said = world.start(0)
        assert not reserve.exists()
        assert "the server gets its last 64 MiB" in said
        assert self.FULL not in said
        assert world.code == 1

    def test_operators_are_told_how_much_room_there_is(self, world: World) -> None:
        world.has(free="3")
        done = world.run(0, "look.sh", "10")
        assert done.returncode == 0, done.stderr
        assert "room=3" in done.stdout.splitlines()

    def test_df_is_played_as_it_is(self, world: World) -> None:
        def columns(command: Path | str) -> list[list[str]]:
            told = {"WORK": str(world.root), "PATH": os.environ["PATH"]}
            done = subprocess.run(
                [command, "-Pm", str(world.root)],
                env=told,
                capture_output=True,
                text=True,
                check=True,
            )
            return [line.split() for line in done.stdout.splitlines()]

        head, line = columns("df")
        assert [head, len(line)] == [columns(world.root / "bin/df")[0], 6]
        assert line[3].isdecimal()


def _new(world: World) -> None:
    """No record, and a volume that was never in use."""
    (world.root / "state/initialised").unlink()
    (world.root / "state/primary").unlink()
    shutil.rmtree(world.root / "volume/pgdata")
    (world.root / "volume/recorded").unlink()


class TestSilentLoss:
    """The record is lost, and pod 0's volume with it; pod 1 has the data."""

    def test_an_empty_pod_makes_no_database_while_its_peer_says_nothing(self, world: World) -> None:
        _new(world)
        said = world.start(0)  # pod 1 is away, or waits with its data
        assert not (world.root / "initialised").exists()
        assert not world.serves
        assert "postgresql-1 has not said that it has no data either" in said
        assert "Lost record" in (world.root / "socket/waiting").read_text()

    def test_another_that_has_got_the_peers_address_does_not_count(self, world: World) -> None:
        _new(world)
        world.has(peer__empty="postgresql-0\n")
        world.start(0)
        assert not world.serves

    def test_a_peer_that_serves_is_named_with_the_command_that_goes_on_with_it(
        self, world: World
    ) -> None:
        _new(world)
        (world.root / "bin/pg_isready").write_text("#!/bin/sh\nexit 0\n")
        assert "`ado-ops postgres promote postgresql-1 --accept-loss`" in world.start(0)
        assert not world.serves

    def test_a_fresh_pair_comes_up_by_itself(self, world: World) -> None:
        _new(world)
        world.start(1)
        assert "cluster_name=postgresql-1" in (world.root / "says_empty").read_text()
        world.has(peer__empty="postgresql-1\n")
        (world.root / "slept").unlink()
        assert "making an empty database" in world.start(0)
        assert world.serves

    @pytest.mark.parametrize("disk", ["in use", "data", "half", "recorded"])
    def test_only_an_empty_volume_that_was_never_in_use_is_called_empty(
        self, world: World, disk: str
    ) -> None:
        _new(world)
        if disk == "in use":
            world.has(volume__recorded="")
        elif disk == "data":
            world.has(volume__pgdata__PG_VERSION="17\n")
        elif disk == "half":
            world.has(volume__rejoining="")
        else:
            world.has(state__initialised="true")
        world.start(1)
        assert not (world.root / "says_empty").exists()

    def test_a_pod_that_gets_data_says_no_more_that_it_is_empty(self, world: World) -> None:
        _new(world)
        # Its primary is there at the second look.
        (world.root / "bin/psql").write_text(
            '#!/bin/sh\n[ -s "$WORK/slept" ] || exit 0\n' + FAKES["psql"] + "\n"
        )
        _primary(world)
        world.start(1)
        assert world.copies() == 1
        assert (world.root / "says_empty").exists()
        assert not (world.root / "volume/blank").exists()


class TestHalfADatabase:
    """Files without a version are neither a database nor nothing."""

    @pytest.fixture
    def half(self, world: World) -> World:
        (world.root / "volume/pgdata/PG_VERSION").unlink()
        return world

    def _kept(self, world: World) -> bool:
        return (world.root / "volume/pgdata/pg_wal/000000010000000000000003").exists()

    def test_no_database_is_made_over_it_and_its_peer_is_not_told_that_it_is_empty(
        self, half: World
    ) -> None:
        for name in ("state/initialised", "state/primary", "volume/recorded"):
            (half.root / name).unlink()
        half.has(peer__empty="postgresql-1\n")
        for ordinal in (0, 1):
            assert "half a database is here" in half.start(ordinal)
            assert self._kept(half)
        assert not (half.root / "initialised").exists()
        assert not (half.root / "says_empty").exists()

    def test_a_copy_does_not_delete_it_unasked(self, half: World) -> None:
        _primary(half)
        assert "`ado-ops postgres rejoin postgresql-1 --reclone`" in half.start(1)
        assert self._kept(half)
        assert half.copies() == 0

    def test_where_it_is_the_primarys_the_command_named_is_one_that_is_not_refused(
        self, half: World
    ) -> None:
        said = half.start(0)
        assert "`ado-ops postgres promote postgresql-1 --accept-loss`" in said
        assert "--reclone" not in said
        assert not (half.root / "socket/needs-copy").exists()
        assert "disk=half" in half.run(0, "look.sh", "10").stdout.splitlines()

    def test_a_directory_with_nothing_in_it_is_nothing(self, world: World) -> None:
        _new(world)
        (world.root / "volume/pgdata").mkdir()
        world.has(peer__empty="postgresql-1\n")
        world.start(0)
        assert world.serves
        assert (world.root / "volume/pgdata/PG_VERSION").exists()


class TestMark:
    """Who saw the record in force does not believe an empty one later."""

    def _forgets(self, world: World) -> str:
        for name in ("state/initialised", "state/primary", "state/fenced"):
            (world.root / name).unlink(missing_ok=True)
        (world.root / "slept").unlink(missing_ok=True)
        (world.root / "served").unlink(missing_ok=True)
        return world.start(0)

    @pytest.mark.parametrize(
        "record",
        [
            {"initialised": "true", "primary": "1"},  # its former primary, never Ready again
            {"initialised": "true", "primary": "0", "fenced": "0"},
            {"initialised": "true"},
            {"primary": "1"},
        ],
    )
    def test_a_pod_that_was_never_ready_under_a_record_keeps_it_in_mind(
        self, world: World, record: dict[str, str]
    ) -> None:
        for name in ("state/initialised", "state/primary", "volume/recorded"):
            (world.root / name).unlink()
        world.has(**{f"state__{key}": value for key, value in record.items()})
        world.start(0)
        assert "this volume was in use, last as primary" in self._forgets(world)
        assert not world.serves

    def test_a_new_database_that_is_not_recorded_yet_starts_again(self, world: World) -> None:
        _new(world)
        world.has(peer__empty="postgresql-1\n")
        world.start(0)
        assert "fresh=yes" in world.run(0, "look.sh", "10").stdout.splitlines()
        self._forgets(world)
        assert world.serves

    def test_an_empty_volume_has_nothing_to_keep_in_mind(self, world: World) -> None:
        shutil.rmtree(world.root / "volume/pgdata")
        (world.root / "volume/recorded").unlink()
        world.start(1)
        assert not (world.root / "volume/recorded").exists()

    def test_a_full_volume_stops_nobody(self, world: World) -> None:
        (world.root / "volume/recorded").unlink()
        (world.root / "bin/touch").write_text("#!/bin/sh\nexit 1\n")
        (world.root / "bin/touch").chmod(0o755)
        assert "cannot leave a mark" in world.start(0)
        assert world.serves


class TestChangedPassword:
    """Of replication, while a pod waits: for days, perhaps."""

    PSQL = """
        case "$*" in
        *IDENTIFY_SYSTEM* | *in_hot_standby* | *cluster_name*)
            cat "$PGPASSFILE" >>"$WORK/asked"
            [ "$(wc -l <"$WORK/asked")" -lt 2 ] || printf new >"$SECRETS/replication-password"
        esac"""

    @pytest.fixture
    def asks(self, world: World) -> World:
        (world.root / "bin/psql").write_text(f"#!/bin/sh\n{self.PSQL}\n")
        _new(world)
        return world

    def test_it_is_read_anew(self, asks: World) -> None:
        asks.start(0)
        asked = (asks.root / "asked").read_text().split()
        assert [line.rpartition(":")[2] for line in asked][:3] == ["y", "y", "new"]

    def test_the_word_that_a_pod_is_empty_is_given_to_who_has_the_new_one(
        self, asks: World
    ) -> None:
        (asks.root / "bin/initdb").write_text(
            "#!/bin/sh\n"
            'case "$*" in *--pwfile*) cat "$6" >>"$WORK/told"; echo >>"$WORK/told" ;; esac\n'
            f"{FAKES['initdb']}\n"
        )
        asks.has(patience="4")
        asks.start(1)
        assert (asks.root / "told").read_text().split() == ["y", "new"]


def test_hugepages_on_a_node_do_not_stop_initdb(world: World) -> None:
    _new(world)
    world.has(peer__empty="postgresql-1\n")
    world.start(0)
    assert "--set huge_pages=off" in (world.root / "initialised").read_text()
    assert "\nhuge_pages = off\n" in (FILES / "postgresql.conf").read_text()


def test_what_waits_says_so_for_operators_and_no_more_once_it_goes_on(world: World) -> None:
    world.has(state__fenced="0")
    assert "postgresql-0 is fenced" in world.start(0)
    assert "`ado-ops postgres unfence postgresql-0`" in (world.root / "socket/waiting").read_text()
    world.has(state__fenced="")
    (world.root / "slept").unlink()
    world.start(0)
    assert world.serves
    assert not (world.root / "socket/waiting").exists()


class TestNeedsACopy:
    """What nothing but `rejoin --reclone` ends is known by a mark."""

    def _told(self, world: World) -> bool:
        done = world.run(1, "look.sh", "10")
        assert done.returncode == 0, done.stderr
        return "needs_copy=yes" in done.stdout.splitlines()

    @pytest.mark.parametrize("why", ["room", "database", "cut off"])
    def test_it_is_there_while_that_is_so(self, world: World, why: str) -> None:
        _primary(world, size=700)
        world.has(**{"volume__pgdata__standby.signal": ""})
        if why == "room":
            world.has(volume__stale="")
        elif why == "database":
            world.has(peer__identify="1|1|0/5000000|\n")
        else:
            world.has(volume__rejoining="")
        said = world.start(1)
        assert "`ado-ops postgres rejoin postgresql-1 --reclone`" in said
        assert self._told(world)

    def test_it_is_gone_with_the_next_start_and_with_another_reason(self, world: World) -> None:
        world.has(**{"socket__needs-copy": ""}, state__fenced="1")
        assert "is fenced" in world.start(1)
        assert not self._told(world)

    def test_every_sentence_that_says_so_has_it_and_no_other(self) -> None:
        text = (FILES / "start.sh").read_text().replace("\\\n", "")
        for line in text.splitlines():
            if "\\`ado-ops" in line and "`rejoin`" not in line:
                marked = "wait_for_reclone" in line or 'echo "reclone' in line
                assert marked == ("--reclone" in line), line


class TestAnyUser:
    """as_any_user.sh: the cluster has chosen the uid, which this system does not know."""

    UID = os.getuid()

    def _run(self, world: World, name: str, *, library: bool = True) -> str:
        """What it says; `name`: what the uid is called."""
        script = world.root / "as_any_user.sh"
        text = (FILES / script.name).read_text()
        script.write_text(text.replace("/usr/lib", str(world.root / "lib")))
        world.has(
            bin__id=f"""#!/bin/sh
                case "$1" in
                -un) [ "{name}" ] && echo "{name}" ;;
                *) exec /usr/bin/id "$@" ;;
                esac""",
            config__start__sh="",
        )
        (world.root / "bin/id").chmod(0o755)
        started = world.root / "config/start.sh"
        started.write_text('echo "started with ${LD_PRELOAD:-nothing}"')
        if library:
            world.has(**{"lib__x86_64__libnss_wrapper.so": "library"})
        done = subprocess.run(
            ["/bin/sh", str(script)],
            env={
                "PATH": f"{world.root / 'bin'}:{os.environ['PATH']}",
                "CONFIG": str(world.root / "config"),
                "PGDATA": str(world.root / "volume/pgdata"),
                "SOCKET": str(world.root / "socket"),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        self.code = done.returncode
        # A library that is none is complained of by the loader.
        return done.stdout + "".join(x for x in done.stderr.splitlines() if "LD_PRELOAD" not in x)

    @pytest.mark.parametrize("name", ["", "1000680000"])
    def test_a_uid_of_no_name_or_another_is_called_postgres(self, world: World, name: str) -> None:
        said = self._run(world, name)
        assert said == f"started with {world.root}/lib/x86_64/libnss_wrapper.so\n"
        entry = (world.root / "socket/passwd").read_text()
        assert entry.startswith(f"postgres:x:{self.UID}:{os.getgid()}:")

    def test_who_is_postgres_already_needs_nothing(self, world: World) -> None:
        assert self._run(world, "postgres", library=False) == "started with nothing\n"

    def test_an_image_that_cannot_say_so_is_refused_with_what_to_do(self, world: World) -> None:
        said = self._run(world, "", library=False)
        assert self.code == 1
        assert "this image has no libnss_wrapper.so" in said
        assert "`securityContext: restricted`" in said

    def test_data_of_another_user_is_refused_with_what_to_do(self, world: World) -> None:
        world.has(
            bin__stat="#!/bin/sh\necho 999",
        )
        (world.root / "bin/stat").chmod(0o755)
        said = self._run(world, "")
        assert self.code == 1
        assert f"belongs to uid 999, and this is uid {self.UID}" in said
        assert "Set `securityContext` back" in said
