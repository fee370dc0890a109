from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from places import ROOT

from rtmbench.cli.completion import SHELLS, completion
from rtmbench.cli.explain import explain as command
from rtmbench.errors import ConfigurationError
from rtmbench.report.explanations import closest, explain, explanations
from rtmbench.results import Status

EVIDENCE = ROOT / "docs" / "claims.json"
SEEN = {
    observation["code"]
    for outcome in json.loads(EVIDENCE.read_text("utf-8"))["outcomes"]
    if (observation := outcome["observation"]) and observation["code"]
}
"""Every code that an engine answered a claim with."""

MET = (
    "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST",
    "STDS_FAILED_TO_READ_OPERATOR_METADATA",
    "CHECKPOINT_FORMAT_V1_NOT_SUPPORTED",
    "STATE_STORE_CHECKPOINT_LOCATION_NOT_EMPTY",
    "UNSUPPORTED_STREAMING_OPERATOR_WITHOUT_WATERMARK",
    "UNSUPPORTED_STREAMING",
    "NoResourceAvailable",
    "BufferRecycler",
    "KAFKA_DATA_LOSS.START_OFFSET_RESET",
    "JAVA_GATEWAY_EXITED",
    "LinkageError",
    "InvalidTxnTimeoutException",
    "NOT_ENOUGH_REPLICAS",
    "getSubject is not supported",
    "STREAMING_REAL_TIME_MODE.SOMETHING_NEW",
    *(status.value for status in Status),
    *map(str, (0, 1, 2, 3, 4, 5, 130, 143)),
)


@pytest.mark.parametrize("code", MET)
def test_what_users_meet_is_explained(code):
    found = explain(code)
    assert found is not None
    assert min(len(found.meaning), len(found.why)) > 4
    assert found.do


@pytest.mark.parametrize("code", sorted(SEEN))
def test_what_an_engine_answered_a_claim_with_is_explained(code):
    assert explain(code) is not None


def test_a_session_window_is_not_told_to_use_the_mode_that_it_was_refused_in():
    found = explain("STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION")
    assert "session" in found.why
    assert "use update mode" not in found.do


def test_codes_are_found_however_they_are_written():
    assert explain(" [stds_failed_to_read_operator_metadata] ") is explain("STDS_FAILED_TO_READ_OPERATOR_METADATA")
    assert explain("no-verdict") is explain("no verdict")


def test_no_code_is_explained_twice():
    names = [name for one in explanations() for name in (one.code, *one.aliases)]
    assert len({name.upper() for name in names}) == len(names)


def test_an_unknown_code_names_the_closest():
    assert closest("STREAMING_REALTIME_MODE.SINK_NOT_SUPORTED")[0] == "STREAMING_REAL_TIME_MODE.SINK_NOT_SUPPORTED"
    result = CliRunner().invoke(command, ["CHECKPOINT_FORMAT_V2_NOT_SUPPORTED"])
    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.exit_code == 2
    assert "CHECKPOINT_FORMAT_V1_NOT_SUPPORTED" in str(result.exception)


def test_a_hostile_code_is_shown_harmless():
    result = CliRunner().invoke(command, ["\x1b[31m<script>" + "x" * 10_000])
    assert "\x1b" not in str(result.exception)
    assert len(str(result.exception)) < 600


@pytest.mark.parametrize("code", [one.code for one in explanations()])
def test_an_explanation_fits_a_terminal(code):
    output = CliRunner().invoke(command, [code], env={"COLUMNS": "100"}).output
    assert output.startswith(code)
    assert max(map(len, output.splitlines())) <= 100


def test_an_explanation_as_it_is_shown(snapshot):
    output = CliRunner().invoke(command, ["contended"], env={"COLUMNS": "80"}).output
    assert output == snapshot


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_call_the_program(shell):
    output = CliRunner().invoke(completion, [shell]).output
    assert f"_RTMBENCH_COMPLETE={shell}_complete" in output
    assert "rtmbench" in output


def test_completion_completes_commands(monkeypatch):
    from rtmbench.cli import rtmbench  # noqa: PLC0415 - the group

    for name, value in {"_RTMBENCH_COMPLETE": "bash_complete", "COMP_WORDS": "rtmbench ex", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    output = CliRunner().invoke(rtmbench, [], prog_name="rtmbench").output
    assert output == "plain,explain\n"
