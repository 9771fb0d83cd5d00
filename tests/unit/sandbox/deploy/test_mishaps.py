"""What interrupted a deployment is told once, and in words."""

from __future__ import annotations

import pytest

from sandbox.deploy.mishaps import interrupted, of_engine, told

URN = 'resource "urn:pulumi:dev::ado::ado:index:AdoPlatform$kubernetes:core/v1:Secret::redis" '
DIED = (
    "Detected that /tools/pulumi-resource-kubernetes exited prematurely. \n"
    "       This is *always* a bug in the provider. Please report the issue to the author.\n"
    "       To assist with debugging we have dumped the STDOUT and STDERR streams of the plugin:\n"
)
UNANSWERED = (
    "was not successfully created by the Kubernetes API server: "
    'Patch "https://127.0.0.1:38375/api/v1/namespaces/ado-system/secrets/redis": unexpected EOF'
)


def test_a_provider_that_died_is_told_once_and_without_the_words_of_its_connections() -> None:
    lines = told(
        [
            "gateway: error reading from server: connection reset by peer",
            'worker: connection error: desc = "transport: Error while dialing: dial tcp"',
            "dashboard: Deployment is refused",
            DIED,
        ]
    )
    assert lines == [
        "dashboard: Deployment is refused",
        "pulumi-resource-kubernetes ended in the middle of its work; it was killed, or failed.",
    ]


def test_what_a_provider_printed_before_it_died_is_told() -> None:
    assert "panic: no memory" in told([f"{DIED}panic: no memory\n"])


def test_an_api_server_that_went_away_is_told_once_with_the_objects_it_was_asked_about() -> None:
    lines = told([f"redis: {URN}{UNANSWERED}", f"config: {URN}{UNANSWERED}", "update failed"])
    assert lines == [
        "The API server went away while it was asked about config, redis (unexpected EOF).",
    ]


def test_an_api_server_that_has_just_started_is_no_refusal() -> None:
    refused = (
        'hpa: the Kubernetes API server reported that "ado/hpa" failed to become '
        'live: horizontalpodautoscalers.a "hpa" is forbidden: not yet ready to handle request'
    )
    (line,) = told([refused])
    assert line.startswith(
        "The API server went away while it was asked about hpa (not yet ready to"
    )
    assert interrupted([refused])


def test_a_webhook_that_does_not_answer_is_not_the_api_server() -> None:
    failed = 'redis: failed calling webhook "x": Post "https://x.y.svc:443/": connection refused'
    assert told([failed]) == [failed]
    assert not interrupted([failed])


def test_any_other_error_is_told_without_the_engines_long_name_of_the_object() -> None:
    made = f"redis: {URN}was not created: denied by policy"
    changed = "redis: 1 error occurred:\n\t* update of " + URN + "failed: denied by policy\n\n"
    assert told([made, changed]) == [
        "redis: was not created: denied by policy",
        "redis: denied by policy",
    ]
    assert told(["update failed"]) == ["update failed"]


def test_only_a_mishap_interrupts() -> None:
    assert interrupted([DIED])
    assert interrupted([f"redis: {URN}{UNANSWERED}", "update failed"])
    assert not interrupted(["dashboard: Deployment is refused", "update failed"])


def test_an_engine_that_was_killed_is_told_in_one_line_whatever_it_had_printed() -> None:
    printed = "\n".join(f" +  ado object-{number} created" for number in range(190))
    why = of_engine(f"\n code: -9\n stdout: {printed}\n stderr: ")
    assert told([why]) == ["pulumi ended in the middle of its work; it was killed, or failed."]
    assert interrupted([why])


@pytest.mark.parametrize(
    ("printed", "complaint", "why"),
    [
        ("Updating (dev):", "error: no such stack\n", "error: no such stack"),
        ("x\n" * 190 + "error: disk full", "", "\n".join(["x"] * 14 + ["error: disk full"])),
        ("", "", "pulumi failed with exit code 255 and did not say why."),
    ],
)
def test_of_an_engine_that_failed_the_end_of_what_it_said_is_told(
    printed: str, complaint: str, why: str
) -> None:
    result = f"\n code: 255\n stdout: {printed}\n stderr: {complaint}"
    assert of_engine(result) == why
    assert not interrupted([why])
