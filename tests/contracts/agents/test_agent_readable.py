"""Agents' output as a person reads it: recorded streams, odd events, arbitrary bytes."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.agents.formats import JSON_FORMATS
from app.adapters.agents.formats.entries import entries_of
from app.adapters.agents.presets import AgentPresets
from app.domain.agents.reports import MAX_LINE_CHARS, MAX_TEXT_CHARS, Entry, EntryKind
from tests.contracts.readings import AGENTS, RECORDED

LINES = [line for path in sorted(RECORDED.iterdir()) for line in path.read_bytes().splitlines(True)]
SIGNS = {"tool": "▸", "failed": "✗", "end": "■", "note": "·", "thought": "·", "result": "←"}


def shown(entries: list[Entry]) -> list[str]:
    parts = [(SIGNS.get(one.kind, ""), one.name, one.text) for one in entries]
    return [" ".join(filter(None, part)) for part in parts]


def told(stream: str, *lines: bytes) -> list[Entry]:
    return [entry for line in lines for entry in entries_of(line, JSON_FORMATS[stream])]


def said_by(stream: str, **event: Any) -> list[str]:
    return shown(told(stream, json.dumps(event).encode()))


def of_file(name: str) -> list[str]:
    stream = "".join(takewhile(str.isalpha, name))
    return shown(told(stream, *(RECORDED / name).read_bytes().splitlines()))


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        (
            "claude.jsonl",
            [
                "· started · claude-opus-4-5",
                "· The boundary compares naive and aware dates.",
                "▸ Read /copy/src/coupons/validate.py",
                "▸ Edit /copy/src/coupons/validate.py",
                "▸ Write /copy/tests/test_coupons.py",
                "· retry 1 of 10 · rate_limit",
                "▸ Edit /copy/src/coupons/validate.py",
                "▸ Bash pytest -q",
                "· summarized the conversation so far",
                "■ Done · 62 k tokens · $0.38",
            ],
        ),
        (
            "claude_limited.jsonl",
            [
                "· started · claude-opus-4-5",
                "✗ usage limit reached · five_hour",
                "✗ You've hit your session limit · resets 2:30pm (Europe/Paris)",
                "■ Failed · $0.00",
            ],
        ),
        (
            "claude_out_of_turns.jsonl",
            [
                "· started · claude-opus-4-5",
                "▸ Bash pytest -q",
                "✗ error_max_turns",
                "■ Failed · 100 tokens · $0.02",
            ],
        ),
        (
            "codex.jsonl",
            [
                "Reading additional input from stdin...",
                "· Reconnecting... 2/5 (stream disconnected before completion: failed to lookup"
                " address information: Name does not resolve)",
                "· **Looking for the boundary**",
                "▸ Run pytest -q",
                "✗ exit 1 · 1 failed",
                "▸ Edit src/validate.py",
                "▸ Write tests/test_validate.py",
                "The boundary is mended.",
                "■ Done · 26 k tokens",
            ],
        ),
        (
            "gemini.jsonl",
            [
                "YOLO mode is enabled. All tool calls will be automatically approved.",
                "· started · gemini-3-pro",
                "I look first.",
                "▸ read_file src/validate.py",
                "▸ replace src/validate.py",
                "· Loop detected, stopping execution",
                "It is ",
                "mended.",
                "■ Done · 18 k tokens",
            ],
        ),
        (
            "opencode.jsonl",
            [
                "! permission requested: edit (src/*); auto-approved",
                "▸ read /copy/src/validate.py",
                "▸ edit /copy/src/validate.py",
                "Mended and committed.",
                "■ Done · last step · 10 k tokens · $0.02",
            ],
        ),
        (
            "opencode_unknown_model.jsonl",
            ["✗ Model not found: anthropic/no-such-model."],
        ),
    ],
)
def test_a_recorded_stream_reads_as_what_happened(file: str, lines: list[str]) -> None:
    assert of_file(file) == lines


def results(**event: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": "t", "content": event.pop("content", "")}
    return {"type": "user", "message": {"content": [block | event.pop("block", {})]}, **event}


@pytest.mark.parametrize(
    ("stream", "event", "lines"),
    [
        (
            "claude",
            results(content="Exit code 1\n..F\n3 failed\n", block={"is_error": True}),
            ["✗ Exit code 1 · 3 failed"],
        ),
        (
            "claude",
            results(content=[{"type": "text", "text": "No such file"}], block={"is_error": True}),
            ["✗ No such file"],
        ),
        ("claude", results(content="def validate(): ..."), []),
        ("claude", results(tool_use_result={"stdout": "...\n142 passed\n"}), ["← 142 passed"]),
        ("claude", {"type": "user", "message": {"content": "Mend it"}}, []),
        ("claude", {"type": "assistant", "message": {"content": "Mended."}}, ["Mended."]),
        (
            "claude",
            {"type": "tool_call", "subtype": "started", "call_id": "c",
             "tool_call": {"shellToolCall": {"args": {"command": "make"}}}},
            ["▸ Shell make"],
        ),
        (
            "claude",
            {"type": "tool_call", "subtype": "completed",
             "tool_call": {"shellToolCall": {"result": {"error": {"message": "no make"}}}}},
            ["✗ no make"],
        ),
        ("claude", {"type": "result", "exitCode": 1}, ["■ Failed"]),
        ("claude", {"type": "stream_event", "event": {"delta": "x"}}, []),
        ("claude", {"type": "system", "subtype": "hook_response"}, ["· system/hook_response"]),
        ("claude", {"type": "message", "role": "assistant", "text": "Mended."}, ["Mended."]),
        ("claude", {"type": "heartbeat"}, ["· heartbeat"]),
        (
            "claude",
            {"type": "session.log", "data": {"message": "warm\nup"}},
            ["· session.log · warm"],
        ),
        (
            "codex",
            {"type": "item.completed", "item": {"type": "command_execution", "exit_code": 0,
                                                "aggregated_output": "..\n2 passed\n\n"}},
            ["← 2 passed"],
        ),
        (
            "codex",
            {"type": "item.started", "item": {"type": "mcp_tool_call", "server": "github",
                                              "tool": "search", "arguments": {"query": "x"}}},
            ["▸ github.search x"],
        ),
        (
            "codex",
            {"type": "item.completed", "item": {"type": "file_change", "changes": [
                {"path": "a", "kind": "delete"}]}},
            ["▸ Delete a"],
        ),
        ("codex", {"type": "turn.failed", "error": {"message": "quota"}}, ["✗ quota"]),
        ("codex", {"type": "turn.paused"}, ["· turn.paused"]),
        (
            "gemini",
            {"type": "tool_result", "tool_id": "run_shell_command-1", "status": "success",
             "output": "a\nb\n"},
            ["← b"],
        ),
        (
            "gemini",
            {"type": "tool_result", "tool_id": "replace-1", "status": "error",
             "error": {"message": "no match"}},
            ["✗ no match"],
        ),
        (
            "opencode",
            {"type": "tool_use", "part": {"tool": "bash", "state": {
                "status": "error", "input": {"command": ["sh", "-c", "x"]}, "error": "denied"}}},
            ["▸ bash sh -c x", "✗ denied"],
        ),
        ("opencode", {"type": "step_finish", "part": {"reason": "tool-calls"}}, []),
    ],
)  # fmt: skip
def test_an_event_is_what_a_person_wants_of_it(
    stream: str, event: dict[str, Any], lines: list[str]
) -> None:
    assert said_by(stream, **event) == lines


@pytest.mark.parametrize(
    "line",
    [
        "plain \x1b[32mgreen\x1b[0m <b>text</b>",
        '{"type":"assistant","message":{"content":[{"type":"te',
        '{"no":"type"}',
        '{"type":7}',
        "[1, 2]",
        "null",
        "",
        "   indented",
    ],
)
@pytest.mark.parametrize("stream", sorted(JSON_FORMATS))
def test_what_is_no_event_is_text_as_it_is(stream: str, line: str) -> None:
    assert told(stream, line.encode()) == [Entry(EntryKind.TEXT, line)]


def test_a_line_of_ten_megabytes_says_how_much_of_it_is_not_shown() -> None:
    (entry,) = told("claude", b"x" * (10 << 20))
    hidden = (10 << 20) - MAX_LINE_CHARS
    assert entry.text == "x" * MAX_LINE_CHARS + f" … {hidden:,} more bytes: see the download"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"\xff" * 9_000, MAX_LINE_CHARS),
        ("é".encode() * 9_000, MAX_LINE_CHARS * 2),
        ("🙂".encode() * 9_000, MAX_LINE_CHARS * 4),
        (b"\xe9t\xe9 " * 9_000, MAX_LINE_CHARS),
    ],
    ids=["no text", "two bytes", "four bytes", "latin-1"],
)
def test_what_is_not_shown_of_a_line_is_counted_in_the_bytes_that_were_written(
    line: bytes, shown: int
) -> None:
    (entry,) = told("claude", line)
    assert entry.text.endswith(f" … {len(line) - shown:,} more bytes: see the download")


def test_words_and_arguments_are_cut() -> None:
    tool_use = {"type": "tool_use", "name": "Bash", "input": {"command": "z" * 9_999}}
    message = {"content": [{"type": "text", "text": "y" * 100_000}, tool_use]}
    said, tool = told("claude", json.dumps({"type": "assistant", "message": message}).encode())
    assert said.text == "y" * MAX_TEXT_CHARS + " … 92,000 more characters"
    assert len(tool.text) == 200


def test_pieces_of_a_message_keep_their_ends() -> None:
    event = {"type": "message", "role": "assistant", "delta": True, "content": " is\n"}
    assert told("gemini", json.dumps(event).encode()) == [
        Entry(EntryKind.SAID, " is\n", is_piece=True)
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "subtype", "message", "content", "item", "part", "state", "error", "input"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = sorted({json.loads(line)["type"] for line in LINES if line.startswith(b'{"')})


@given(kind=st.sampled_from(KINDS), rest=JSON, stream=st.sampled_from(sorted(JSON_FORMATS)))
def test_no_event_whatever_it_holds_makes_a_teller_raise(kind: str, rest: Any, stream: str) -> None:
    event = {**(rest if isinstance(rest, dict) else {"item": rest, "part": rest}), "type": kind}
    for entry in told(stream, json.dumps(event).encode()):
        entry.text.encode()
        entry.name.encode()


@given(
    line=st.binary(max_size=80) | st.sampled_from(LINES), stream=st.sampled_from(list(JSON_FORMATS))
)
def test_no_bytes_make_a_teller_raise(line: bytes, stream: str) -> None:
    told(stream, line)


def test_agents_that_write_events_are_named_and_no_others() -> None:
    agents = AgentPresets({})
    without = {name for name in agents.names() if agents.entry_parser(name) is None}
    assert without == {"script", "aider"}
    assert {AGENTS[name].stream for name in AGENTS} - set(JSON_FORMATS) == {"aider"}
