"""Each command of docs/data*.md is run by a test: which one is said here, command by command.

At cluster level where it needs a kubelet; else what it does is tried without one. What a test does
by other means than a shell, as `pulumi up` by the engine's own interface, it does all the same.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
import yaml

from tests.cluster.runbooks import PAGES, commands, of_tables
from tests.support.recording import ROOT, settings_of

CLUSTER, SOAK, UNIT = "tests/cluster/test_", "tests/soak/test_", "tests/unit/"
OPS = UNIT + "ops/test_"
TAKEOVER, RELIABILITY = CLUSTER + "postgres_takeover.py::", CLUSTER + "postgres_reliability.py::"
BACKUP, REPAIR = CLUSTER + "backup.py::", SOAK + "redis_repair.py::"
RUNBOOKS, INCIDENTS = SOAK + "runbooks.py::", SOAK + "postgres_incidents.py::"
STATE, PULUMI = SOAK + "lost_state.py::", SOAK + "typed_with_pulumi.py::"
EXTERNAL, NODE = UNIT + "data/test_external_stores.py::", SOAK + "lost_node.py::"

PROMOTED = TAKEOVER + "test_promotion_under_a_writer_that_never_stops"
REJOINED = TAKEOVER + "test_a_former_primary_serves_no_more_also_when_it_starts_first"
EMPTY = RELIABILITY + (
    "test_an_empty_volume_of_the_primary_is_never_made_a_database_but_filled_from_the_next"
)
RECLONED = RUNBOOKS + "test_of_two_databases_that_of_the_primary_is_the_truth"
FENCED = RUNBOOKS + "test_of_two_primaries_the_other_one_is_the_truth"
RECORD = INCIDENTS + "test_a_deleted_record_is_made_anew_and_written_down"
BOTH = BACKUP + "test_both_volumes_lost_a_backup_brings_everything_back"
ANOTHERS = BACKUP + "test_a_backup_of_another_stack_is_restored_by_its_prefix"
REFUSED = BACKUP + "test_what_cannot_be_restored_is_refused_and_nothing_is_changed"
LOOKED = RUNBOOKS + "test_what_is_typed_to_look_answers_as_it_stands"
ROTATED = PULUMI + (
    "test_a_rotated_password_is_told_to_the_stack_and_one_of_the_stack_to_the_database"
)
GROWN = PULUMI + "test_the_volumes_of_both_stores_grow_and_their_data_stays"
COPIED = STATE + "test_a_copy_of_the_state_brings_it_back"
ADOPTED = STATE + "test_a_lost_state_is_made_anew_and_nothing_that_lives_is_touched"
DAMAGED = REPAIR + "test_a_damaged_log_is_cut_off_where_it_is_damaged"
REPLACED = REPAIR + "test_the_slots_of_a_lost_volume_are_given_out_anew_when_somebody_says_so"
EXCHANGED = REPAIR + "test_a_replica_and_its_master_are_exchanged_without_a_loss"
FORGOTTEN = SOAK + "redis_failovers.py::test_replicas_that_were_given_up_and_forgotten_come_back"
CLAIM = RUNBOOKS + "test_the_claim_of_a_lost_volume_is_deleted_and_another_one_is_filled"
TOLD = NODE + "test_pods_of_a_lost_node_go_once_the_cluster_is_told_and_come_back_with_it"
DRAINED = CLUSTER + (
    "data_tier.py::test_a_drained_node_ends_its_pods_and_gets_them_back_the_primarys_and_its_replicas"
)
DAY_TWO = CLUSTER + (
    "day_two.py::test_a_drained_node_hands_over_under_a_writer_and_gets_its_pods_back"
)
PAUSED = (
    CLUSTER + "day_two.py::test_a_pause_leaves_no_writer_and_resume_brings_back_as_many_of_each"
)
KEPT = BACKUP + "test_only_the_last_ones_are_kept_and_what_cannot_be_uploaded_is_none"
OF_EACH_KIND = OPS + "page_commands.py::test_the_settings_of_the_pages_are_the_programs"

POSTGRES = {
    "ado-ops role": UNIT
    + "ops/test_rights.py::test_the_role_has_every_right_that_any_command_asks_for",
    "ado-ops postgres status": RELIABILITY + "test_a_fresh_pair_has_a_record_and_no_finding",
    "ado-ops postgres promote POD": PROMOTED,
    "ado-ops postgres promote POD --accept-loss": EMPTY,
    "ado-ops postgres promote POD --node-is-off": CLUSTER
    + "postgres_fencing.py::test_a_server_whose_node_was_deleted_is_not_taken_for_ended",
    "ado-ops postgres rejoin POD": REJOINED,
    "ado-ops postgres rejoin POD --reclone": RECLONED,
    "ado-ops postgres fence POD": FENCED,
    "ado-ops postgres unfence POD": REJOINED,
    "ado-ops postgres rotate": ROTATED,
    "pulumi config get databasePassword | ado-ops postgres rotate --stdin": ROTATED,
    "ado-ops postgres backup": KEPT,
    "ado-ops postgres restore --list": ANOTHERS,
    "ado-ops postgres restore NAME": BOTH,
    "ado-ops postgres restore NAME --into-non-empty": REFUSED,
    "ado-ops postgres restore --list --from shop/postgresql": ANOTHERS,
    "ado-ops postgres restore NAME --from shop/postgresql": ANOTHERS,
    "ado-ops postgres start-writers": UNIT
    + "ops/test_backups.py::test_cut_off_it_is_named_and_the_same_command_or_start_writers_goes_on",
}
REDIS = {
    "ado-ops redis status": CLUSTER
    + "redis_reliability.py::test_the_operators_command_finds_it_whole",
    "ado-ops redis heal": FORGOTTEN,
    "ado-ops redis replace POD": REPAIR
    + "test_a_node_that_lost_its_nodes_conf_gets_its_slots_again_with_its_keys",
    "ado-ops redis replace POD --accept-loss": REPLACED,
    "ado-ops redis failover POD": EXCHANGED,
    "ado-ops redis failover POD --accept-loss": REPAIR
    + "test_without_its_master_a_replica_takes_over_when_somebody_says_so",
    "redis-cli -h redis-1.redis-headless": LOOKED,
}
KUBECTL = {
    r"logs POD": RECORD,
    r"logs -l app.kubernetes.io/component=redis-cluster-create": LOOKED,
    r"logs --all-containers .*=postgresql-backup": KEPT,
    r"exec -it POD -- sh -c .*psql -h postgresql -U ado ado'": LOOKED,
    r"exec -it POD -- sh -c .*REDISCLI_AUTH.*": LOOKED,
    r"describe pod POD": LOOKED,
    r"get pods -o wide": LOOKED,
    r"delete pod POD": CLAIM,
    r"delete pvc data-POD --wait=false": CLAIM,
    r"patch configmap postgresql-state .*\"initialised\": (null|\"true\")}}'": BOTH,
    r"patch configmap postgresql-state .*\"primary\": \"0\"}}'": RECORD,
    r"wait pod/POD --for=condition=Ready --timeout=10m": BOTH,
    r"patch pvc data-POD .*\"40Gi\".*": GROWN,
    r"delete statefulset postgresql --cascade=orphan": GROWN,
    r"get pod POD -o 'jsonpath=.*\.image}'": DAMAGED,
    r"run redis-check-aof .* --fix /data/.*\.manifest": DAMAGED,
    r"drain NODE --ignore-daemonsets --delete-emptydir-data": DRAINED,
    r"uncordon NODE": DRAINED,
    r"taint node NAME .*out-of-service(=nodeshutdown:NoExecute|-)": TOLD,
    r"delete node NAME": TOLD,
}
"""What follows `kubectl` and the namespace, as a pattern."""
OTHERS = {
    "ado-ops pause": PAUSED,
    "ado-ops resume": PAUSED,
    "ado-ops --help": OPS + "command.py::test_it_lists_its_commands_under_its_name",
    "ado-ops adopt": ADOPTED,
    "ado-ops drain NODE": DAY_TWO,
    "ado-ops drain NODE --dry-run": DAY_TWO,
    "ado-ops drain NODE --undo": DAY_TWO,
    "ado-ops adopt --secrets": UNIT
    + "ops/test_adoption.py::test_secrets_are_set_by_standard_input",
    "pulumi preview --diff": ADOPTED,
    "pulumi refresh": GROWN,
    "pulumi up": GROWN,
    "pulumi up --refresh": COPIED,
    "pulumi stack ls": COPIED,
    "pulumi stack init prod": COPIED,
    "pulumi stack import --file COPY": COPIED,
    "pulumi stack export --file COPY": COPIED,
    "pulumi stack rm --force --preserve-config prod": COPIED,
    "pulumi config set --secret databasePassword": ROTATED,
    "pulumi config set --path postgres.volume.size 40Gi": GROWN,
    "pulumi config set --path redis.replicasPerMaster 1": OF_EACH_KIND,
    "pulumi config set --path redis.replicasPerMaster 0": OF_EACH_KIND,
    "pulumi config set --path postgres.backup.bucket NAME": OF_EACH_KIND,
    "pulumi config set --secret backupAccessKey": UNIT
    + "data/test_backup.py::test_those_of_its_own_are_read_by_the_upload_alone",
    "pulumi config set --secret backupSecretKey": UNIT
    + "data/test_backup.py::test_those_of_its_own_are_read_by_the_upload_alone",
    "pulumi config rm redis": EXTERNAL + "test_what_a_store_would_be_made_of_is_not_there",
    "pulumi config set --path redis.mode external": EXTERNAL
    + "test_what_a_store_would_be_made_of_is_not_there",
    "pulumi config set --secret redisUrl": EXTERNAL + "test_their_urls_arrive_and_stay_secret",
    "pulumi config set --path 'redis.nodes[0]' redis-0.example.com:6379": EXTERNAL
    + "test_nodes_of_a_cluster_are_told",
}
PATTERNS = {
    **{re.escape(command): test for command, test in (POSTGRES | REDIS | OTHERS).items()},
    **{f"kubectl (-n ado-system )?{rest}": test for rest, test in KUBECTL.items()},
}
"""A whole command, as a pattern → the test that runs it."""


def named(command: str) -> str:
    """The same with a placeholder for each pod and each backup."""
    command = command.replace(".venv/bin/", "")
    command = re.sub(r"\b20260102T030000Z\b", "NAME", command)
    return re.sub(r"\b(postgresql|redis)-\d\b(?!\.)", "POD", command)


COMMANDS = sorted(
    {
        named(command)
        for page in PAGES
        for command in commands(page.read_text()) + of_tables(page.read_text())
    }
)


@cache
def known_tests(path: str) -> frozenset[str]:
    """The names of the tests in a file, which is not run."""
    parsed = ast.parse((ROOT / path).read_text())
    functions = (node.name for node in ast.walk(parsed) if isinstance(node, ast.FunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


def test_the_pages_commands_are_found() -> None:
    assert len(COMMANDS) > 50
    assert {command.partition(" ")[0] for command in COMMANDS} >= {"ado-ops", "kubectl", "pulumi"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_is_run_by_a_test_that_there_is(command: str) -> None:
    tests = {test for pattern, test in PATTERNS.items() if re.fullmatch(pattern, command)}
    assert tests, f"no test runs {command!r}: write one, and name it in {__name__}"
    for test in tests:
        path, _, name = test.partition("::")
        assert name in known_tests(path), f"there is no test {test}"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_command_of_the_table_is_on_a_page(pattern: str) -> None:
    assert any(re.fullmatch(pattern, command) for command in COMMANDS)


@pytest.mark.parametrize(
    "setting", [c for c, test in OTHERS.items() if test == OF_EACH_KIND], ids=lambda c: c[24:]
)
def test_the_settings_of_the_pages_are_the_programs(setting: str) -> None:
    path, value = setting.replace("NAME", "some-bucket").split()[-2:]
    section, *keys = path.split(".")
    changed = yaml.safe_load(value)
    for key in reversed(keys):
        changed = {key: changed}
    found = settings_of("dev", {f"ado:{section}": changed}).model_dump(by_alias=True)[section]
    for key in keys:
        found = found[key]
    assert found == yaml.safe_load(value)
