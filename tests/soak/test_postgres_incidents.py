"""PostgreSQL after incidents that its commands cannot undo alone, mended as the runbooks have it.

Each test leaves one pod the primary and the other one following, whichever.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.deployment import NAMESPACE
from tests.cluster.pair import STATE, Pair, pod
from tests.cluster.runbooks import typed
from tests.cluster.test_postgres_services import led
from tests.cluster.writing import patiently


def test_a_deleted_record_is_made_anew_and_written_down(pair: Pair) -> None:
    """Finding 6: the documented cure, as typed in "Lost record", loses nothing."""
    pair.led_by(1)  # else the record's defaults would be right by chance
    deployment = pair.deployment
    deployment.kubectl("delete", "configmap", STATE, "-n", NAMESPACE)
    gone = pair.ops("status")
    assert gone.returncode == 1
    assert "`pulumi up --refresh` makes it anew" in gone.stderr
    # A pod that starts meanwhile cannot mount what is not there.
    deployment.kubectl("delete", "pod", "-n", NAMESPACE, pod(0))
    deployment.write()
    outcome = deployment.engine().up()  # looks at the cluster first, as `--refresh` does
    assert outcome.succeeded, outcome.errors
    assert "data" not in deployment.objects()["ConfigMap", STATE]
    pair.delete_pods(1)
    for ordinal in (0, 1):
        pair.says(ordinal, "postgresql-state says nothing, and this volume was in use")
    found = pair.ops("status")
    assert found.returncode == 3
    assert "Lost record" in found.stdout

    words = typed("Lost record", "patch configmap")
    assert words[:3] == ["kubectl", "-n", NAMESPACE]
    deployment.kubectl(*(word.replace('"primary": "0"', '"primary": "1"') for word in words[1:]))
    pair.healthy()
    assert pair.primary == 1
    assert led(pair) == (1, 0)
    assert pair.kept()


def test_a_first_install_whose_image_was_wrong_at_first_is_told_and_what_it_waits_for(
    pair: Pair,
) -> None:
    """Pods as at a first `up`: both volumes are empty, and nothing is recorded."""
    pair.led_by(0)
    right = _image(pair)
    for ordinal in (0, 1):
        pair.did("fence", pod(ordinal))
        pair.empty_volume(ordinal)
    _set_image(pair, f"{right}-that-there-is-not")  # of which pod 1 alone gets a new one
    pair.delete_pods(0)
    pair.record(initialised=None, fenced=None, primary=None)
    _set_image(pair, right)
    pair.says(1, f"waiting: a primary at {pod(0)}")
    remedy = f"kubectl -n {NAMESPACE} delete pod {pod(0)}"
    patiently(lambda: _is_told(pair, f"{pod(0)} is still as an earlier `pulumi up` made it"))
    assert f"`{remedy}`" in pair.findings()[0]
    pair.deployment.kubectl(*remedy.split()[1:])
    # No `pulumi up` runs that would write it down.
    patiently(lambda: _is_told(pair, f"{pod(0)} has a new database, which {STATE} does not name"))
    pair.record(initialised="true")
    pair.healthy()
    assert pair.primary == 0
    assert "making an empty database" in pair.log(0)


def _image(pair: Pair) -> str:
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    command = ("get", "statefulset", "postgresql", "-n", NAMESPACE, "-o", path)
    return pair.deployment.kubectl(*command)


def _set_image(pair: Pair, image: str) -> None:
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
    command = ("patch", "statefulset", "postgresql", "-n", NAMESPACE, "--type=json")
    pair.deployment.kubectl(*command, "--patch", json.dumps(patch))


def _is_told(pair: Pair, words: str) -> None:
    found = pair.findings()
    assert any(words in line for line in found), found


def test_a_primary_that_was_rolled_back_waits_and_its_standby_keeps_the_rows(pair: Pair) -> None:
    """Finding 5: its volume is as it was some time ago, and the standby has what came since."""
    pair.led_by(0)
    pgdata = pair.volume(0) / "pgdata"
    aside = pair.volume(0) / "pgdata.aside"
    pair.did("fence", pod(0))
    subprocess.run(["cp", "-a", str(pgdata), str(aside)], check=True)
    pair.did("unfence", pod(0))
    pair.healthy()
    # More than a page, which is as well as a stopped one knows where its WAL ends.
    more = "INSERT INTO kept SELECT 'newer ' || n FROM generate_series(1, 2000) AS n"
    assert pair.ask_as_ado(more) == ""
    patiently(lambda: _has_received(pair))
    pair.did("fence", pod(0))
    shutil.rmtree(pgdata)
    aside.rename(pgdata)
    pair.did("unfence", pod(0))

    pair.says(0, f"waiting: {pod(1)} has more than this volume, which was rolled back")
    remedy = f"promote {pod(1)} --accept-loss"
    found = pair.ops("status")
    assert found.returncode == 3
    assert f"that the primary {pod(0)} lacks" in found.stdout
    assert f"`{remedy}`" in found.stdout
    pair.did(*remedy.split())
    pair.did("rejoin", pod(0))
    pair.healthy()
    assert pair.primary == 1
    assert pair.ask_as_ado("SELECT count(*) FROM kept") == "2001"


def test_a_copy_that_does_not_fit_is_not_begun_and_says_what_makes_room(pair: Pair) -> None:
    """Finding 4: it ran for ever, and what `status` said of it did nothing."""
    primary, standby = pair.primary, 1 - pair.primary
    pair.did("fence", pod(standby))
    pair.give_up_wal()
    volume = pair.volume(standby)
    # Room for what is there and little more: no second copy fits beside it, a first one does.
    with _smaller(volume, _mebibytes(volume) + 12, copied=True):
        pair.delete_pods(standby)
        pair.says(standby, f"waiting: {pod(standby)} is fenced")
        pair.did("unfence", pod(standby))
        pair.says(standby, "MiB are lacking")
        remedy = f"rejoin {pod(standby)} --reclone"
        assert (
            f"`ado-ops postgres {remedy}` deletes what is here first" in pair.ops("status").stdout
        )
        refused = pair.ops("rejoin", pod(standby))
        assert refused.returncode == 1
        assert "--reclone" in refused.stderr
        pair.did(*remedy.split())
        told = pair.ops("status").stdout
        (line,) = [each for each in told.splitlines() if each.startswith("- ")]
        assert line.startswith(f"- The volume of {pod(standby)} has only ")
        pair.did("fence", pod(standby))
    # And with none: deleting helps nobody, as there is nothing.
    with _smaller(volume, 12, copied=False):
        pair.delete_pods(standby)
        pair.says(standby, f"waiting: {pod(standby)} is fenced")
        pair.did("unfence", pod(standby))
        pair.says(standby, "MiB are lacking, see docs/data-runbooks.md, Growing a volume")
        told = pair.ops("status").stdout
        assert "Growing a volume" in told
        assert "--reclone" not in told
        pair.did("fence", pod(standby))
    pair.delete_pods(standby)
    pair.did("rejoin", pod(standby), "--reclone")  # its own volume is as old as before
    pair.healthy()
    assert pair.primary == primary
    assert pair.kept()


def _has_received(pair: Pair) -> None:
    written = pair.ask(0, "SELECT pg_current_wal_flush_lsn()")
    assert pair.ask(1, "SELECT pg_last_wal_replay_lsn()") == written


def _mebibytes(directory: Path) -> int:
    used = subprocess.run(
        ["du", "-sm", str(directory)], check=True, capture_output=True, text=True
    ).stdout
    return int(used.split()[0])


@contextmanager
def _smaller(volume: Path, mebibytes: int, *, copied: bool) -> Generator[None]:
    """A volume has so little room for pods that start during the block.

    The nodes see this machine's own mounts; a pod has what was there when it started.
    """
    size = f"size={mebibytes}m,mode=0755"
    options = ["-t", "tmpfs", "-o", size, "tmpfs"]
    before = volume.with_name(f"{volume.name}-before")
    before.mkdir()
    subprocess.run(["mount", "--bind", str(volume), str(before)], check=True)
    # Else what is mounted over the one may show in the other.
    subprocess.run(["mount", "--make-private", str(before)], check=True)
    try:
        subprocess.run(["mount", *options, str(volume)], check=True)
        try:
            if copied:
                subprocess.run(["cp", "-a", f"{before}/.", str(volume)], check=True)
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(volume)], check=True)
    finally:
        subprocess.run(["umount", str(before)], check=True)
        before.rmdir()
