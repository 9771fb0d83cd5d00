"""Each command of README and docs/*.md is run by a test, or it is said here why none does.

Those of the pages about data are in `ops/test_page_commands.py`, and hold for every page. What a
test does by other means than a shell, as `make up` by the module that it starts, it does all the
same. `docs/transcripts` are records of what was typed on a day, and tell nobody to type it.
"""

from __future__ import annotations

import re

import pytest
import yaml

from tests.cluster.runbooks import PROGRAMS, commands, in_blocks
from tests.support.recording import ROOT, settings_of
from tests.unit.ops import test_page_commands as data

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
ANY = (*PROGRAMS, "export", "make", "pip", "python", "python3")

CLUSTER, SOAK, UNIT = data.CLUSTER, data.SOAK, data.UNIT
LIFE = CLUSTER + "life_of_a_stack.py::test_production_from_its_first_up_to_its_destroy"
UP = CLUSTER + "platform_running.py::test_a_second_up_changes_nothing"
OWN = CLUSTER + (
    "own_cluster.py::test_a_stack_with_no_more_than_what_is_needed_comes_up_and_goes_without_a_trace"
)
RENDERED = UNIT + "render/test_render.py::test_it_is_the_same_every_time_and_asks_nobody"
IMAGES = UNIT + "render/test_render.py::test_images_are_those_of_every_container_once"
SANDBOX = UNIT + "sandbox/test_sandbox.py::"
LIFECYCLE = CLUSTER + "sandbox_lifecycle.py::"
PLAN = UNIT + "sandbox/deploy/test_preview.py::"
STAYS = CLUSTER + "secrets_stay_secret.py::"
SITE = "tests/package/test_documentation.py::"
REVIEW = UNIT + "review/test_review_command.py::"
PREVIEWS = CLUSTER + "previews.py::"
KEPT = (
    CLUSTER
    + "existing_secrets.py::"
    + ("test_it_comes_up_has_no_secret_of_its_own_and_follows_another_password")
)
DAY_TWO = CLUSTER + "day_two.py::"
SEEN = CLUSTER + "status_anywhere.py::test_with_the_printed_role_all_of_the_platform_is_seen"
DRIFT = DAY_TWO + "test_nothing_has_drifted_after_an_up_and_what_is_changed_by_hand_is_named"
PAUSE = DAY_TWO + "test_a_pause_leaves_no_writer_and_resume_brings_back_as_many_of_each"
FOR_NODES = UNIT + (
    "ops/test_rights.py::"
    "test_what_no_role_can_give_is_asked_for_without_a_namespace_and_printed_when_asked"
)
RIGHTS = PREVIEWS + "test_the_shipped_rights_suffice_to_look_for_drift_and_change_nothing"
PACK = PREVIEWS + "test_the_policy_pack_passes_what_is_good_or_waived_and_refuses_the_rest"
REPORT = PREVIEWS + "test_a_report_says_what_the_engines_own_preview_says"
BESIDE = PREVIEWS + "test_a_pull_request_has_an_environment_beside_dev_and_leaves_nothing"

RUN = {
    "make up": UP,
    r"make up \[STACK=dev\\\|prod\]": LIFE,
    "make up STACK=prod": LIFE,
    "make preview": PLAN + "test_each_change_is_one_line_with_its_paths_and_no_value",
    r"make preview (\[DIFF=1\]|DIFF=1)": PLAN + "test_the_engines_whole_text_is_shown_on_demand",
    "make status": CLUSTER
    + "life_of_a_stack.py::test_what_was_deleted_by_hand_is_missed_and_made_anew",
    "make picture": UNIT + "ops/test_picture.py::test_the_picture_can_be_read_out",
    "make destroy": LIFE,
    "make down": LIFECYCLE + "test_down_leaves_nothing_after_a_kill",
    "make render STACK=prod( OUT=[a-z/]+)?": RENDERED,
    "make report": UNIT + "test_report.py::test_every_scenario_is_recorded_by_a_test",
    "make settings": UNIT
    + "settings/test_schema.py::test_the_page_and_the_schema_are_those_of_the_settings",
    "make docs": SITE + "test_the_site_is_built_without_a_warning",
    "ado-ops render": RENDERED,
    "ado-ops render --stack prod --out rendered/prod": RENDERED,
    "ado-ops render --stack prod --images": IMAGES,
    "kubectl apply --server-side( -[fk] .*)?": CLUSTER
    + "rendered.py::test_what_kubectl_applies_differs_from_what_up_makes_where_the_page_says",
    "ado-ops status( --stack prod)?": SEEN,
    "ado-ops picture --stack prod": SEEN,
    "ado-ops postgres status --stack prod": UNIT
    + "ops/test_remedies.py::test_programs_are_told_the_same_and_by_the_exit_code",
    "ado-ops redis status --stack prod": UNIT
    + "ops/test_redis.py::test_programs_are_told_the_same",
    "ado-ops --install-completion": UNIT
    + "ops/test_command.py::test_a_shell_completes_commands_and_the_stacks_that_have_a_file",
    "ado-ops drift": DRIFT,
    "ado-ops (pause|resume)": PAUSE,
    "ado-ops rotate-model-key (default|POOL)( --stdin)?": CLUSTER
    + "model_gateway.py::"
    + "test_a_pool_asks_with_its_own_key_follows_another_one_and_has_no_providers",
    "kubectl -n ado-system rollout restart statefulset/(postgresql|redis)": KEPT,
    r"ado-ops role --nodes( --namespace ado-system \| kubectl apply -f -)?": FOR_NODES,
    "ado-ops policies( --stack prod)?": UNIT
    + "ops/test_policies.py::"
    + "test_findings_have_remedies_waivers_reasons_and_the_exit_code_is_one",
    "ado-ops review( --base (origin/)?main)?": REVIEW + "test_nothing_is_one_line",
    "ado-ops review --base origin/main --out review.md": REVIEW + "test_it_is_written_to_a_file",
    "ado-ops review( --base origin/main)? --preview( prod.json)?": REPORT,
    "ado-ops review --base origin/main --stack prod --fail-on policy": REVIEW
    + "test_a_branch_that_is_refused_is_told_and_fails_where_policies_must_hold",
    r"pulumi preview --json( --stack prod > prod\.json)?": REPORT,
    "pulumi preview --refresh( --diff| --expect-no-changes)?": RIGHTS,
    "pulumi (preview|up) --policy-pack policies|make policies/.venv/ready": PACK,
    "pulumi destroy --yes --remove --stack pr-123|sed .* Pulumi.pr.yaml > .*": BESIDE,
    "ado-ops schema": UNIT
    + "ops/test_command.py::test_what_a_stack_may_say_is_printed_without_a_cluster",
    r"export (ADO_STACK=(dev|prod)|KUBECONFIG=\$\(python -m sandbox kubeconfig\))": UNIT
    + "ops/test_target.py::test_a_command_says_which_cluster_and_namespace_it_talks_to",
    "export PULUMI_CONFIG_PASSPHRASE=…": OWN,
    r"python3 -m venv \.venv && pip install (-r requirements\.txt)": OWN,
    "python -m build": UNIT
    + "test_package.py::test_the_wheel_has_all_files_of_the_package_and_nothing_else",
    "python -m sandbox kubectl( get pods -A)?": SANDBOX
    + "test_kubectl_gets_its_own_options_and_the_sandboxs_kubeconfig",
    r"cat \$\(find /sys/fs/cgroup .*\) \| sort -u \| xargs kill -(STOP|CONT)": SANDBOX
    + "test_the_pages_commands_freeze_a_node_and_let_it_go_on",
    "python -m sandbox status --cluster": LIFECYCLE + "test_status_says_what_runs",
    "python -m sandbox logs PROGRAM": SANDBOX + "test_every_command_has_help",
    "python -m sandbox start --help": SANDBOX + "test_every_command_has_help",
    "python -m sandbox secret KEY( --stack prod)?": UNIT
    + "sandbox/deploy/test_secret.py::test_it_is_kept_until_it_is_forgotten",
    "pulumi login": OWN,
    "pulumi preview": OWN,
    "pulumi destroy": OWN,
    "pulumi config set kubernetes:context my-cluster": OWN,
    "pulumi config set ado:protectData false": OWN,
    "pulumi config set --secret ((ado:)?anthropicApiKey|objectStorage(Access|Secret)Key)": OWN,
    "pulumi config set --secret googleApiKey": STAYS
    + "test_new_secrets_roll_their_readers_and_the_old_passwords_are_refused",
    "pulumi config rm profile": LIFE,
    "kubectl -n ado-system port-forward service/ado-dashboard 8080:80": OWN,
    "PULUMI_K8S_ENABLE_PATCH_FORCE=true pulumi up": CLUSTER
    + "interrupted_up.py::test_what_a_killed_up_has_written_gives_way_to_force",
    "(pulumi cancel|pulumi refresh --clear-pending-creates)": CLUSTER
    + "interrupted_up.py::test_an_up_killed_at_four_moments_is_finished_by_the_next",
    "PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true pulumi up": CLUSTER
    + "platform_running.py::test_an_up_that_knows_nothing_of_what_is_there_takes_it_over",
    "kubectl get --raw '/apis/external.metrics.k8s.io/.*'": CLUSTER
    + "worker_autoscaling.py::test_the_length_of_the_queue_sets_the_number_of_workers",
    r"pulumi config set --path [\w.]+ \S+": data.UNIT
    + "test_page_commands.py::test_a_setting_of_the_pages_is_one_of_the_programs",
}
"""A whole command, as a pattern → the test that runs it."""

READS = "kubectl's own, and only reads"
ABSENT = "needs what a sandbox does not have: an ingress controller, cert-manager, Prometheus"
NOT_RUN = {
    "make (test|unit|soak|lint)": "runs the tests and checks, of which this is one",
    "make bench( (ONLY=(deploy|growth|render)|RUNS=1))?": (
        "takes ten minutes; what it writes is tested"
    ),
    r"pulumi config get|pulumi stack export --show-secrets|kubectl (edit|describe pod)": (
        "named, with what it shows or does; nobody is told to type it"
    ),
    "pulumi config set --secret ado:KEY": "the form of the commands for each key, which are run",
    r"kubectl -n ado-system describe hpa [\w-]+": READS,
    "kubectl -n ado-system (get endpointslices|logs deployment/ado-orchestrator)": READS,
    "kubectl -n ado-system logs job/ado-migrations-<digest>": READS,
    "kubectl get pods": READS,
    "kubectl create (clusterrolebinding ado-ops-nodes|token ado-preview) .*": (
        "kubectl's own; what it binds is printed, compared and tried by tests"
    ),
    r"printf .* \| curl -sS http://litellm\.models\.svc:4000/key/generate .*": (
        "needs LiteLLM; the page says that nobody has run it here"
    ),
    "pulumi stack init pr": "as for prod, which is run",
    "kubectl -n ado-system describe (ingress ado-ingress|certificate ado-tls)": ABSENT,
    "kubectl get (ingressclass|prometheus .*)": ABSENT,
    "kubectl -n ado-system port-forward service/ado-api-gateway 3000:80": (
        "as for the dashboard's Service, which is run"
    ),
    "kubectl -n ado-system delete job ado-migrations-<digest>": (
        "kubectl's own; that an `up` makes a missing object anew is tested with others"
    ),
    "kubectl -n ado-system rollout restart": "the form of the commands for each, which are run",
    r"kubectl (apply -[fk].*|kustomize|rollout restart)": (
        "kubectl's own; the files are compared with what the engine is given"
    ),
    r"python3 -m venv \.venv && pip install '\.\[ops\]'": (
        "asks the package registry; the wheel and its extra are tested"
    ),
}
"""A whole command, as a pattern → why no test runs it."""

COMMANDS = sorted(
    {
        data.named(command)
        for page in PAGES
        for text in [page.read_text()]
        for command in commands(text, ANY) + in_blocks(text)
    }
)
SETTINGS = [
    command
    for command in COMMANDS
    if command.startswith("pulumi config set --path")
    and not any(re.fullmatch(pattern, command) for pattern in data.PATTERNS)
]


def test_the_pages_commands_are_found() -> None:
    assert len(COMMANDS) > 100
    assert {command.partition(" ")[0] for command in COMMANDS} >= {"make", *PROGRAMS[:3]}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_is_run_or_it_is_said_why_not(command: str) -> None:
    tests = {
        test for pattern, test in (data.PATTERNS | RUN).items() if re.fullmatch(pattern, command)
    }
    reasons = {why for pattern, why in NOT_RUN.items() if re.fullmatch(pattern, command)}
    assert tests or reasons, f"no test runs {command!r}: name one in {__name__}, or say why not"
    for test in tests:
        path, _, name = test.partition("::")
        assert name in data.known_tests(path), f"there is no test {test}"


@pytest.mark.parametrize("pattern", [*RUN, *NOT_RUN])
def test_every_row_is_on_a_page(pattern: str) -> None:
    assert any(re.fullmatch(pattern, command) for command in COMMANDS)


@pytest.mark.parametrize("command", SETTINGS, ids=lambda command: command[25:])
def test_a_setting_of_the_pages_is_one_of_the_programs(command: str) -> None:
    path, value = command.split()[-2:]
    room, *keys = path.split(".")
    changed = yaml.safe_load(value)
    for key in reversed(keys):
        changed = {key: changed}
    found = settings_of("dev", {f"ado:{room}": changed}).model_dump(by_alias=True)[room]
    for key in keys:
        found = found[key]
    assert found == yaml.safe_load(value)
