"""The readers of agents' output: recorded streams, hostile ones, and bytes split anywhere."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.agents.formats import FORMATS
from app.domain.agents.final_output import LimitReached
from app.domain.agents.reports import Report
from tests.contracts.readings import RECORDED, events_of, reader_of, report_of

CLAUDE_SESSION = "588898eb-ae05-43cc-8aff-699c2ec0bbc0"
LINES = [line for path in sorted(RECORDED.iterdir()) for line in path.read_bytes().splitlines(True)]


@pytest.mark.parametrize(
    ("file", "report"),
    [
        (
            "claude.jsonl",
            Report(
                tools_used=5,
                files_edited=2,
                input_tokens=60_040,
                output_tokens=1_460,
                cost_usd=0.3812,
                session_id=CLAUDE_SESSION,
                final_message="Expired coupons are refused at checkout.\n142 tests pass.",
                is_ok=True,
            ),
        ),
        (
            "claude_signed_out.jsonl",
            Report(
                cost_usd=0.0,
                input_tokens=0,
                output_tokens=0,
                session_id=CLAUDE_SESSION,
                final_message="Not logged in · Please run /login",
                failure="auth",
                failure_words="Not logged in · Please run /login",
                is_ok=False,
            ),
        ),
        (
            "codex.jsonl",
            Report(
                tools_used=2,
                files_edited=2,
                input_tokens=24_763,
                output_tokens=1_220,
                session_id="01a1fd14-0ee8-75d2-b191-08a7735574af",
                final_message="The boundary is mended.",
                is_ok=True,
            ),
        ),
        (
            "gemini.jsonl",
            Report(
                tools_used=2,
                files_edited=1,
                input_tokens=17_900,
                output_tokens=500,
                session_id="3b2f8f0e-0f7a-4f0e-9f5d-2a7a3d1c9a44",
                final_message="It is mended.",
                is_ok=True,
            ),
        ),
        (
            "opencode.jsonl",
            Report(
                tools_used=2,
                files_edited=1,
                input_tokens=19_000,
                output_tokens=300,
                cost_usd=0.03,
                session_id="ses_3b11bfdcdffeITCXse4fCuIRnU",
                final_message="Mended and committed.",
            ),
        ),
        (
            "aider.txt",
            Report(files_edited=2, input_tokens=19_600, output_tokens=1_289, cost_usd=0.12),
        ),
    ],
)
def test_a_recorded_stream_is_summed(file: str, report: Report) -> None:
    stream = file.partition(".")[0].partition("_")[0]
    assert report_of(stream, (RECORDED / file).read_bytes()) == report


@pytest.mark.parametrize(
    ("file", "evidence", "resets_at"),
    [
        ("claude_limited.jsonl", '"status": "rejected"', datetime(2026, 11, 21, 16, tzinfo=UTC)),
        ("claude_limited.jsonl", "You've hit your session limit · resets 2:30pm", None),
        ("codex_limited.jsonl", "try again at 12:16 PM.", None),
        ("gemini_limited.jsonl", "You have exhausted your daily quota on this model.", None),
        ("opencode_limited.jsonl", "insufficient_quota", None),
        ("aider_limited.txt", "litellm.RateLimitError", None),
    ],
)
def test_a_limit_is_reported_with_its_evidence(
    file: str, evidence: str, resets_at: datetime | None
) -> None:
    told = events_of(file.partition("_")[0], (RECORDED / file).read_bytes())
    assert any(
        isinstance(event, LimitReached)
        and evidence in event.evidence
        and event.resets_at == resets_at
        for event in told
    )


def test_the_moment_of_a_reset_is_kept_though_later_words_do_not_tell_it() -> None:
    report = report_of("claude", (RECORDED / "claude_limited.jsonl").read_bytes())
    assert report.limit == "You've hit your session limit · resets 2:30pm (Europe/Paris)"
    assert report.limit_resets_at == "2026-11-21T16:00:00+00:00"


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "opencode", "aider"])
def test_an_ordinary_stream_tells_of_no_limit(name: str) -> None:
    (file,) = RECORDED.glob(f"{name}.*")
    assert report_of(name, file.read_bytes()).limit is None


@pytest.mark.parametrize(
    ("agent", "line", "is_limit"),
    [
        ("claude", "You've hit your session limit · resets 2:30pm (Europe/Paris)", True),
        ("claude", "You've hit your limit · resets 1pm (America/New_York)", True),
        ("claude", "You’ve hit your weekly limit · resets Nov 24", True),
        ("claude", "You've hit your monthly spend limit", True),
        ("claude", "You're out of extra usage · resets 11:30am (Europe/Paris)", True),
        ("claude", "Claude AI usage limit reached|1795276800", True),
        ("claude", "Your group's usage limit is set to $0", True),
        ("claude", "Credit balance is too low", True),
        ("claude", "API Error: 529 overloaded", False),
        ("claude", "There is a limit to everything", False),
        ("codex", "You've hit your usage limit. Upgrade to Pro or try again at 12:16 PM.", True),
        ("codex", "Quota exceeded. Check your plan and billing details.", True),
        ("codex", "exceeded retry limit, last status: 429 Too Many Requests", True),
        ("codex", "Reconnecting... waiting for network ...", False),
        ("gemini", "You have exhausted your daily quota on this model.", True),
        ("gemini", "Usage limit reached for gemini-3-pro", True),
        ("gemini", "You have exhausted your capacity", True),
        ("gemini", "got status: 429 RESOURCE_EXHAUSTED, retrying", False),
        ("opencode", "Error: rate limit exceeded", True),
        ("opencode", "Error: model not found", False),
        ("aider", "litellm.exceptions.RateLimitError: OpenAIException", True),
        ("aider", "I add a rate limit to the login page.", False),
    ],
)
def test_the_sentences_of_a_limit(agent: str, line: str, *, is_limit: bool) -> None:
    told = events_of(agent, f"{line}\n".encode())
    assert any(isinstance(event, LimitReached) for event in told) is is_limit


def test_the_old_sentence_tells_its_moment() -> None:
    (told,) = events_of("claude", b"Claude AI usage limit reached|1795276800")
    assert told == LimitReached(
        "Claude AI usage limit reached|1795276800", datetime(2026, 11, 21, 16, tzinfo=UTC)
    )


def test_an_answer_in_several_events_is_counted_once_and_a_live_run_has_its_tokens() -> None:
    lines = (RECORDED / "claude.jsonl").read_bytes().splitlines(True)
    so_far = report_of("claude", *lines[:6])
    assert (so_far.input_tokens, so_far.output_tokens) == (8_012 + 8_010, 88 + 240)
    assert so_far.cost_usd is None


# --- hostile streams -----------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b'{"type":' + b"[" * depth


HOSTILE = [
    b"\xff\xfe\x00" * 100,
    b'{"type":"assistant","message":' * 200,
    nested(200_000),
    b'{"type":"result","usage":{"input_tokens":' + b"9" * 5_000 + b"}}",
    b'{"type":"result","usage":{"input_tokens":1e999,"output_tokens":NaN},"total_cost_usd":-1}',
    b'{"type":"result","result":"\\ud800\\u0000","session_id":"--help; rm -rf /"}',
    b'{"type":"assistant","message":{"content":"text","usage":[1]}}',
    b'{"type":"assistant","message":{"id":[],"content":[1,{"type":"tool_use","input":7}]}}',
    b'{"type":["result"],"part":3,"item":[],"stats":"x","sessionID":{}}',
    b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1e300}}',
    b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":NaN}}',
    b'{"type":"step_finish","part":{"tokens":{"input":-5,"cache":[]},"cost":"much"}}',
    b'{"type":"item.completed","item":{"type":"file_change","changes":{"path":1}}}',
    b'{"type":"item.started","item":{"type":[]}}',
    b'{"type":"item.completed","item":{"type":{}}}',
    b'{"type":"message","role":"assistant","content":{},"delta":"yes"}',
    b"Tokens: 9999999999999999999k sent, 1 received.",
    b"[1, 2]",
    b"null",
    b"\r\n\r\r\n \x00",
]


@pytest.mark.parametrize("stream", sorted(FORMATS))
@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_never_raises_and_what_follows_is_read(stream: str, line: bytes) -> None:
    (file,) = RECORDED.glob(f"{stream}.*")
    report = report_of(stream, line + b"\n" + file.read_bytes())
    assert report.files_edited == report_of(stream, file.read_bytes()).files_edited
    for number in (report.input_tokens, report.output_tokens, report.cost_usd):
        assert number is None or 0 <= number < 2**31
    assert "\0" not in json.dumps(report.as_data())
    str(report.final_message).encode()
    assert report.session_id is None or not report.session_id.startswith("-")


@pytest.mark.parametrize("stream", sorted(FORMATS))
def test_a_line_of_ten_megabytes_is_passed_over_in_bounded_memory(stream: str) -> None:
    reader = reader_of(stream)
    tracemalloc.start()
    try:
        reader.feed(b'{"type":"user","x":"')
        for _ in range(160):
            reader.feed(b"x" * 65_536)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024
    (file,) = RECORDED.glob(f"{stream}.*")
    told = reader.feed(b'"}\n' + file.read_bytes()) + reader.finish()
    assert told == events_of(stream, file.read_bytes())


def test_a_million_answers_are_kept_in_little() -> None:
    reader = reader_of("claude")
    line = '{"type":"assistant","message":{"id":"%d","usage":{"input_tokens":1}}}\n'
    tracemalloc.start()
    try:
        for n in range(0, 20_000, 100):
            told = reader.feed("".join(line % (n + i) for i in range(100)).encode())
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told[-2].input_tokens == 20_000  # type: ignore[union-attr]
    assert held < 1_000_000


@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.sampled_from(LINES) | st.binary(max_size=40), max_size=12),
    st.data(),
)
def test_bytes_tell_the_same_however_they_are_cut(
    stream: str, parts: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[begin:end] for begin, end in pairwise(edges)]
    assert events_of(stream, *pieces) == events_of(stream, whole)


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "opencode", "aider"])
def test_a_stream_in_single_bytes_is_the_same_stream(name: str) -> None:
    (file,) = RECORDED.glob(f"{name}.*")
    content = file.read_bytes()
    assert events_of(name, *(bytes([one]) for one in content)) == events_of(name, content)
