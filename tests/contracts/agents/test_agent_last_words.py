"""The readers of agents' output: how each agent ends, and which events are progress."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.domain.agents.final_output import Failure, LastWord, LimitReached, Progressed, Retrying
from tests.contracts.readings import RECORDED, events_of, report_of


def word_of(stream: str, *pieces: bytes) -> LastWord:
    return report_of(stream, *pieces).last_word


@pytest.mark.parametrize(
    ("file", "is_ok", "failure", "evidence"),
    [
        ("claude.jsonl", True, None, ""),
        ("claude_signed_out.jsonl", False, Failure.AUTH, "Not logged in · Please run /login"),
        ("claude_offline.jsonl", False, Failure.NETWORK, "ECONNREFUSED"),
        ("claude_out_of_turns.jsonl", False, Failure.OTHER, "error_max_turns"),
        ("claude_limited.jsonl", False, None, "You've hit your session limit"),
        ("claude_limited_and_on.jsonl", True, None, ""),
        ("claude_out_of_money.jsonl", False, None, "Credit balance is too low"),
        ("codex.jsonl", True, None, ""),
        ("codex_signed_out.jsonl", False, Failure.AUTH, "401 Unauthorized"),
        # codex keeps retrying and never reports an end
        ("codex_offline.jsonl", None, Failure.NETWORK, "waiting for network"),
        ("codex_limited.jsonl", False, None, "try again at 12:16 PM."),
        ("gemini.jsonl", True, None, ""),
        ("gemini_signed_out.jsonl", None, Failure.AUTH, "Please set an Auth method"),
        ("gemini_offline.jsonl", False, Failure.NETWORK, "fetch failed"),
        ("gemini_limited.jsonl", False, None, "daily quota"),
        # opencode reports only failures as ends
        ("opencode.jsonl", None, None, ""),
        ("opencode_signed_out.jsonl", False, Failure.AUTH, "The key of this provider"),
        ("opencode_offline.jsonl", False, Failure.NETWORK, "Unable to connect."),
        ("opencode_unknown_model.jsonl", False, Failure.OTHER, "Model not found"),
        ("opencode_limited.jsonl", False, None, "insufficient_quota"),
        ("aider.txt", None, None, ""),
        ("aider_signed_out.txt", False, Failure.AUTH, "litellm.AuthenticationError"),
        ("aider_offline.txt", False, Failure.NETWORK, "litellm.APIConnectionError"),
        ("aider_limited.txt", False, None, "litellm.RateLimitError"),
    ],
)
def test_a_recorded_stream_ends_with_a_word(
    file: str, is_ok: bool | None, failure: Failure | None, evidence: str
) -> None:
    stream = file.partition(".")[0].partition("_")[0]
    word = word_of(stream, (RECORDED / file).read_bytes())
    assert (word.is_ok, word.failure) == (is_ok, failure)
    assert evidence in word.evidence
    is_limited = "_limited." in file or "money" in file
    assert (word.limit is not None) is is_limited


@pytest.mark.parametrize(
    ("agent", "line", "is_ok", "evidence"),
    [
        # the final events of Cursor, Amp, Qwen and Copilot, in Claude's shape
        ("claude", '{"type":"result","subtype":"success","is_error":false}', True, ""),
        ("claude", '{"type":"result","is_error":true,"error":{"message":"No"}}', False, "No"),
        ("claude", '{"type":"result","sessionId":"s","exitCode":0}', True, ""),
        ("claude", '{"type":"result","sessionId":"s","exitCode":1}', False, ""),
        ("claude", '{"type":"result","subtype":"error_during_execution","is_error":1}', False, "e"),
        ("codex", '{"type":"turn.failed","error":{"message":"No"}}', False, "No"),
        ("codex", '{"type":"error","message":"No"}', None, ""),
        ("gemini", '{"type":"result","status":"error","error":{"message":"No"}}', False, "No"),
        ("gemini", '{"type":"error","severity":"error","message":"No"}', None, ""),
        ("opencode", '{"type":"error","error":{"name":"UnknownError"}}', False, "UnknownError"),
    ],
)
def test_a_final_event_is_good_or_not(
    agent: str, line: str, is_ok: bool | None, evidence: str
) -> None:
    word = word_of(agent, line.encode())
    assert word.is_ok is is_ok
    assert evidence in word.evidence


@pytest.mark.parametrize(
    ("info", "resets_at", "family"),
    [
        ({"status": "allowed"}, None, None),
        ({"status": "allowed_warning", "resetsAt": 1795276800}, None, None),
        # the normal state of an account without overage
        ({"status": "allowed", "overageStatus": "rejected", "isUsingOverage": False}, None, None),
        ({"status": "allowed", "overageStatus": "rejected"}, None, None),
        ({"status": "rejected"}, None, ""),
        (
            {"status": "rejected", "resetsAt": 1795276800, "rateLimitType": "seven_day_opus"},
            1795276800,
            "seven_day_opus",
        ),
        (
            {"status": "allowed", "isUsingOverage": True, "overageStatus": "rejected"},
            None,
            "",
        ),
        (
            # among exhausted windows the latest reset counts; other windows are ignored
            {
                "status": "rejected",
                "resetsAt": 1795276800,
                "unifiedWindows": {
                    "five_hour": {"utilization": 1, "resetsAt": 1795276800},
                    "seven_day": {"utilization": 1.0, "resetsAt": 1795300000},
                    "overage": {"utilization": 0.99, "resetsAt": 1795900000},
                },
            },
            1795300000,
            "",
        ),
    ],
)
def test_an_event_about_the_quota_is_a_limit_only_where_it_rejects(
    info: dict[str, object], resets_at: int | None, family: str | None
) -> None:
    event = json.dumps({"type": "rate_limit_event", "rate_limit_info": info})
    limit = word_of("claude", event.encode()).limit
    if family is None:
        assert limit is None
        return
    assert limit is not None
    moment = datetime.fromtimestamp(resets_at, UTC) if resets_at else None
    assert (limit.resets_at, limit.family) == (moment, family)
    assert json.loads(limit.evidence)["rate_limit_info"] == info


@pytest.mark.parametrize(
    ("agent", "line", "family", "needs_person"),
    [
        (
            "claude",
            "You've hit your session limit · resets 2:30pm (Europe/Paris)",
            "session",
            False,
        ),
        ("claude", "You've hit your Opus limit · resets 1pm (Asia/Tokyo)", "opus", False),
        ("claude", "You've hit your weekly limit", "weekly", False),
        ("claude", "You've hit your limit · resets 1pm (America/New_York)", "", False),
        ("claude", "You've hit your monthly spend limit", "", True),
        ("claude", "You're out of extra usage · resets 11:30am (Europe/Paris)", "", False),
        ("claude", "Your group's usage limit is set to $0", "", True),
        ("claude", "Credit balance is too low", "", True),
        (
            "codex",
            "You've hit your usage limit. Upgrade to Pro or try again at 1:05 PM.",
            "",
            False,
        ),
        ("codex", "You've hit your usage limit. Upgrade to Plus to continue.", "", False),
        (
            "codex",
            "You've hit your usage limit. To get more access now, send a request to your admin"
            " or try again at 12:16 PM.",
            "",
            False,
        ),
        (
            "codex",
            "You’ve hit your usage limit. To get more access now, send a request to your admin"
            " or try again later.",
            "",
            False,
        ),
        (
            "codex",
            "You've hit your usage limit. To get more access now, send a request to your admin.",
            "",
            True,
        ),
        ("codex", "Quota exceeded. Check your plan and billing details.", "", True),
        ("gemini", "Usage limit reached for gemini-3-pro", "gemini-3-pro", False),
        ("aider", "litellm.RateLimitError: OpenAIException - insufficient_quota", "", True),
        ("opencode", "You exceeded your current quota: insufficient_quota", "", True),
        ("cursor", "You've hit your usage limit", "", False),
        ("amp", "You are out of credits. Buy more to go on.", "", True),
        ("copilot", "You have exceeded your premium request allowance.", "", False),
        ("copilot", "Sorry, you have hit a rate limit", "", False),
        ("qwen", "API Error: 429 You are too fast", "", False),
    ],
)
def test_a_sentence_says_what_it_holds_for_and_how_it_ends(
    agent: str, line: str, family: str, *, needs_person: bool
) -> None:
    limit = word_of(agent, f"{line}\n".encode()).limit
    assert limit is not None
    assert (limit.evidence, limit.family, limit.needs_person) == (line, family, needs_person)


def test_a_long_line_keeps_the_words_about_the_limit() -> None:
    line = f"{'x' * 2000} usage_limit_reached resets_in_seconds: 1234 {'y' * 100}"
    limit = word_of("codex", line.encode()).limit
    assert limit is not None
    assert "usage_limit_reached resets_in_seconds: 1234" in limit.evidence
    assert len(limit.evidence) <= 500


WORK = {
    "claude": b'{"type":"assistant","message":{"content":[{"type":"text","text":"On"}]}}\n',
    "codex": b'{"type":"item.completed","item":{"type":"agent_message","text":"On"}}\n',
    "gemini": b'{"type":"message","role":"assistant","content":"On"}\n',
    "opencode": b'{"type":"text","part":{"text":"On"}}\n',
    "aider": b"Tokens: 1k sent, 1 received.\n",
}
TROUBLES = [
    path
    for path in sorted(RECORDED.iterdir())
    if "_" in path.name and not path.name.endswith("_on.jsonl")
]


@pytest.mark.parametrize("path", TROUBLES, ids=lambda path: path.stem)
def test_an_agent_that_continues_has_said_no_last_word(path: Path) -> None:
    stream = path.name.partition("_")[0]
    assert word_of(stream, path.read_bytes()) != LastWord()
    assert word_of(stream, path.read_bytes(), WORK[stream]) == LastWord()


@pytest.mark.parametrize(
    ("agent", "line", "is_progress", "is_retrying"),
    [
        ("claude", '{"type":"system","subtype":"api_retry","error":"rate_limit"}', False, True),
        ("claude", '{"type":"system","subtype":"init","session_id":"a"}', False, False),
        ("claude", '{"type":"rate_limit_event","rate_limit_info":{}}', False, False),
        ("claude", '{"type":"assistant","error":"unknown","message":{}}', False, False),
        ("claude", '{"type":"user","message":{}}', True, False),
        ("claude", '{"type":"tool_call","subtype":"started","call_id":"c"}', True, False),
        ("claude", '{"type":"assistant.message"}', True, False),
        ("claude", "a line of its own", False, False),
        ("codex", '{"type":"error","message":"Reconnecting... 2/5"}', False, True),
        ("codex", '{"type":"item.started","item":{"type":"reasoning"}}', True, False),
        ("codex", '{"type":"item.completed","item":{"type":"error"}}', False, False),
        ("codex", '{"type":"heartbeat"}', False, False),
        ("gemini", "Attempt 1 failed with status 429. Retrying with backoff...", False, True),
        ("gemini", '{"type":"tool_result","tool_id":"a"}', True, False),
        ("opencode", '{"type":"step_start"}', True, False),
        ("aider", "Retrying in 0.2 seconds...", False, True),
        ("aider", "1 failed, 41 passed", True, False),
    ],
)
def test_output_is_distinguished_from_progress(
    agent: str, line: str, *, is_progress: bool, is_retrying: bool
) -> None:
    told = events_of(agent, f"{line}\n".encode())
    assert any(isinstance(event, Progressed) for event in told) is is_progress
    assert any(isinstance(event, Retrying) for event in told) is is_retrying


@pytest.mark.parametrize(
    ("agent", "lines", "tool"),
    [
        ("claude", 3, "Read"),
        ("claude", 4, ""),
        ("claude", 6, "Write"),
        ("codex", 6, "command_execution"),
        ("codex", 7, ""),
        ("gemini", 5, "read_file"),
        ("gemini", 6, ""),
    ],
)
def test_the_tool_that_is_at_work_is_known(agent: str, lines: int, tool: str) -> None:
    (file,) = RECORDED.glob(f"{agent}.*")
    told = events_of(agent, *file.read_bytes().splitlines(True)[:lines])
    assert [event for event in told if isinstance(event, Progressed)][-1].tool == tool


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Invalid API key: sk-ant-api03-abcdefghijklmnop", "Invalid API key: sk-…"),
        ("401 Unauthorized for Bearer abc.def-ghi_jkl=", "401 Unauthorized for Bearer …"),
        ("Not logged in: ghp_abcdefghijklmnopqrst is no key", "Not logged in: ghp_… is no key"),
        ("Please run /login in task-runner-of-mine", "Please run /login in task-runner-of-mine"),
    ],
)
def test_evidence_holds_no_keys(said: str, kept: str) -> None:
    assert word_of("claude", f"{said}\n".encode()).evidence == kept
    event = {"type": "result", "is_error": True, "result": said}
    assert word_of("claude", json.dumps(event).encode()).evidence == kept


QUOTED = "You've hit your usage limit. You have exhausted your daily quota. rate_limit · resets 1pm"


@pytest.mark.parametrize(
    ("agent", "event"),
    [
        ("claude", {"type": "assistant", "message": {"content": [{"type": "text"}]}}),
        ("claude", {"type": "user", "message": {"content": [{"type": "tool_result"}]}}),
        ("claude", {"type": "result", "is_error": False, "result": ""}),
        ("codex", {"type": "item.completed", "item": {"type": "agent_message"}}),
        ("codex", {"type": "item.completed", "item": {"type": "command_execution"}}),
        ("gemini", {"type": "message", "role": "assistant"}),
        ("gemini", {"type": "tool_result", "tool_id": "a"}),
        ("opencode", {"type": "text", "part": {"type": "text"}}),
        ("opencode", {"type": "tool_use", "part": {"tool": "bash", "state": {}}}),
    ],
)
def test_what_an_agent_or_its_tools_quote_is_no_limit(agent: str, event: dict[str, Any]) -> None:
    line = json.dumps(_quoting(event)).encode() + b"\n"
    told = events_of(agent, line * 2000)
    assert not [one for one in told if isinstance(one, LimitReached)]
    assert word_of(agent, line).limit is None


def _quoting(event: Any) -> Any:
    """Return the event with QUOTED in every text field."""
    if isinstance(event, list):
        return [_quoting(one) for one in event]
    if not isinstance(event, dict):
        return event
    said = dict.fromkeys(("text", "content", "result", "output", "aggregated_output"), QUOTED)
    return said | {name: _quoting(value) for name, value in event.items() if value != ""}
