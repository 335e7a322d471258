"""Reading and following logs: complete, across lost connections, until the run's end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import threading

from tests.builders.api_samples import RUN_ID, a_run, a_running_run, an_event
from tests.drivers.cli.shells import DEADLINE_SECONDS, ROOT, Here, Shell
from tests.fakes.recorded_server import RecordedServer, Reply

RUN = f"/runs/{RUN_ID}"
STREAM = {"Content-Type": "text/event-stream"}


def a_log(content: bytes, offset: int, until: int, *, is_cut: bool = False) -> Reply:
    """Return a reply with a chunk of a log."""
    return Reply(
        200,
        content[offset:until],
        {
            "X-Log-Size": str(until),
            "X-Log-Next": str(until),
            "X-Log-Truncated": str(is_cut).lower(),
        },
    )


def test_a_followed_log_is_read_on_at_each_event_until_the_run_has_ended(
    here: Here, server: RecordedServer
) -> None:
    content = b"one\ntwo\nthree\n"
    server.on("GET", RUN, a_run())
    server.on(
        "GET",
        f"{RUN}/log",
        *(a_log(content, *cut) for cut in [(0, 4), (4, 4), (4, 8)]),
        a_log(content, 8, 14),
        a_log(content, 14, 14),
    )
    server.on(
        "GET",
        f"{RUN}/events",
        Reply(
            headers=STREAM,
            chunks=[
                an_event("log", 1),
                an_event("log", 2, {"next": 8}),
                an_event("run_succeeded", 3),
            ],
        ),
    )
    done = here("runs", "logs", RUN_ID, "--follow")
    assert (done.code, done.out) == (0, content.decode())
    offsets = [one.query["offset"] for one in server.calls("GET", f"{RUN}/log")]
    assert offsets == [["0"], ["4"], ["4"], ["8"], ["14"]]


def test_a_log_is_followed_over_a_server_that_starts_again(
    here: Here, server: RecordedServer
) -> None:
    content = b"one\ntwo\n"
    stream = Reply(headers=STREAM, chunks=[an_event("log", 1)])
    server.on("GET", f"{RUN}/events", stream)
    server.on("GET", RUN, a_running_run(), Reply(dropped=True), Reply(503, b"soon"), a_run())
    log = [a_log(content, 0, 4), Reply(dropped=True), Reply(503, b"soon"), a_log(content, 4, 8)]
    server.on("GET", f"{RUN}/log", *log, a_log(content, 8, 8))
    done = here("runs", "logs", RUN_ID, "-f")
    assert (done.code, done.out, done.err) == (0, content.decode(), "")


def test_an_interrupted_log_ends_without_a_word(shell: Shell, server: RecordedServer) -> None:
    looked, over = threading.Event(), threading.Event()
    server.on("GET", f"{RUN}/log", a_log(b"all\n", 0, 4), a_log(b"all\n", 4, 4))
    chunks = [b": hello\n\n", looked.set, lambda: over.wait(DEADLINE_SECONDS)]
    server.on("GET", f"{RUN}/events", Reply(headers=STREAM, chunks=chunks))
    process = subprocess.Popen(
        shell.argv("runs", "logs", RUN_ID, "--follow"),
        cwd=ROOT,
        env=shell.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert looked.wait(DEADLINE_SECONDS)
    os.kill(process.pid, signal.SIGINT)
    told = process.communicate(timeout=DEADLINE_SECONDS)
    over.set()
    assert (process.returncode, *told) == (130, "all\n", "")


def test_a_log_in_a_pipe_is_every_byte_in_as_many_pieces_as_it_takes(
    shell: Shell, server: RecordedServer
) -> None:
    pieces = [b"\x1b]0;title\x07\xff\x00", "caf\u00e9 \u202e".encode()]
    size = str(sum(map(len, pieces)))
    ends = [str(len(pieces[0])), size]
    server.on(
        "GET",
        f"{RUN}/log",
        *(
            Reply(200, piece, {"X-Log-Size": size, "X-Log-Next": end, "X-Log-Truncated": "true"})
            for piece, end in zip(pieces, ends, strict=True)
        ),
    )
    done = subprocess.run(
        shell.argv("runs", "logs", RUN_ID),
        cwd=ROOT,
        env=shell.env,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert done.stdout == b"".join(pieces)
    assert b"its middle is missing" in done.stderr


def test_a_log_in_a_pipe_of_a_terminal_holds_nothing_that_can_act_but_by_raw(
    shell: Shell, server: RecordedServer
) -> None:
    text = b"\x1b]0;title\x07plain \x1b[31mred\x1b[0m\n"
    size = str(len(text))
    for words, shown in (((), b"plain red\n"), (("--raw",), text)):
        server.on("GET", f"{RUN}/log", Reply(200, text, {"X-Log-Size": size, "X-Log-Next": size}))
        ours, theirs = pty.openpty()
        try:
            done = subprocess.run(
                shell.argv("runs", "logs", RUN_ID, *words),
                cwd=ROOT,
                env=shell.env,
                stdout=subprocess.PIPE,
                stderr=theirs,
                timeout=DEADLINE_SECONDS,
                check=True,
            )
        finally:
            os.close(ours)
            os.close(theirs)
        assert done.stdout == shown


def test_a_log_that_ended_needs_no_stream(here: Here, server: RecordedServer) -> None:
    server.on("GET", f"{RUN}/log", a_log(b"all\n", 0, 4), a_log(b"all\n", 4, 4))
    server.on("GET", RUN, a_run())
    server.on("GET", f"{RUN}/events", Reply(204))
    assert here("runs", "logs", RUN_ID, "--follow").out == "all\n"


def entries(*told: tuple[str, str, str]) -> bytes:
    """Return NDJSON log entries of (kind, name, text), as the API does."""
    keys = ("kind", "name", "text")
    lines = (json.dumps({"at": 0, **dict(zip(keys, one, strict=True))}) for one in told)
    return "".join(f"{line}\n" for line in lines).encode()


def readable(content: bytes, until: int, size: int) -> Reply:
    """Return a reply with readable entries up to position `until` of a log of `size` bytes."""
    positions = {"X-Log-Next": str(until), "X-Log-Size": str(size), "X-Log-Truncated": "false"}
    return Reply(200, content, {"X-Log-Form": "readable", **positions})


HOSTILE = "\x1b]52;c;ZXZpbA==\x07<b>\u202e\x1b[2J"
TOLD = entries(
    ("note", "", "begins"),
    ("tool", "Bash\x1b[2J", "pytest -q"),
    ("result", "", "\x1b[32m142 passed\x1b[0m"),
    ("failed", "", "exit 1"),
    ("said", "", f"Mended.\r\nAll of it.\r{HOSTILE}"),
    ("later", "", "a kind of a newer server"),
)
SHOWN = """begins
▸ Bash pytest -q
  142 passed
✗ exit 1
Mended.
All of it.
<b>\\u202e
a kind of a newer server
"""


def test_a_readable_log_is_what_the_agent_said_and_did_and_nothing_in_it_can_act(
    shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", f"{RUN}/log", readable(TOLD, 900, 900))
    done = shell.run("runs", "logs", RUN_ID, "--readable")
    assert (done.code, done.out, done.err) == (0, SHOWN, "")
    assert server.calls("GET", f"{RUN}/log")[0].query["form"] == ["readable"]
    shown = shell.run_on_a_terminal("runs", "logs", RUN_ID, "--readable").out
    assert "\x1b[36m▸ Bash \x1b[0mpytest -q\n" in shown
    assert "\x1b[31m✗ exit 1\x1b[0m\n" in shown
    for colour in ("0", "1", "2", "31", "36"):
        shown = shown.replace(f"\x1b[{colour}m", "")
    assert shown == SHOWN


def test_each_entry_begins_with_its_local_time_and_a_new_day_with_its_date(
    shell: Shell, server: RecordedServer
) -> None:
    shell.extra["TZ"] = "Asia/Kathmandu"
    at = ("2026-11-23T18:14:05.000Z", "2026-11-23T18:14:59.000Z", "2026-11-23T18:15:00.000Z", None)
    texts = ("one\nmore of it", "two", "three", "four")
    content = b"".join(
        json.dumps({"at": 0, "time": time, "kind": "said", "name": "", "text": text}).encode()
        + b"\n"
        for time, text in zip(at, texts, strict=True)
    )
    server.on("GET", f"{RUN}/log", readable(content, 900, 900))
    assert shell.run("runs", "logs", RUN_ID, "--readable").out == (
        "23:59:05 one\n         more of it\n23:59:59 two\n"
        "--- 2026-11-24 ---\n00:00:00 three\nfour\n"
    )


def test_a_readable_log_is_followed_past_lines_that_tell_nothing(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", RUN, a_run())
    server.on(
        "GET",
        f"{RUN}/log",
        readable(b"", 500, 900),
        readable(entries(("said", "", "one")), 800, 900),
        # an unfinished line is requested again, and printed once
        readable(b"", 800, 900),
        readable(entries(("said", "", "two")), 950, 950),
        readable(b"", 950, 950),
    )
    stream = [an_event("log", 1, {"next": 950}), an_event("run_succeeded", 2)]
    server.on("GET", f"{RUN}/events", Reply(headers=STREAM, chunks=[*stream]))
    assert here("runs", "logs", RUN_ID, "--readable", "--follow").out == "one\ntwo\n"
    offsets = [one.query["offset"] for one in server.calls("GET", f"{RUN}/log")]
    assert offsets[:4] == [["0"], ["500"], ["800"], ["800"]]


def test_the_log_of_an_agent_without_events_is_shown_as_it_is(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", f"{RUN}/log", a_log(b"one\ntwo\n", 0, 8))
    done = here("runs", "logs", RUN_ID, "--readable")
    assert (done.code, done.out) == (0, "one\ntwo\n")
    assert done.err == "This run's agent writes no events: showing the raw log.\n"


def test_a_log_is_raw_or_readable(here: Here) -> None:
    done = here("runs", "logs", RUN_ID, "--readable", "--raw")
    assert (done.code, done.out) == (2, "")
    assert "Give --readable or --raw, not both." in done.err


def test_words_are_looked_for_in_the_whole_log_on_the_server(
    here: Here, server: RecordedServer
) -> None:
    hits = [
        {"offset": 40 * line, "line": line, "text": f"the \x1b[31merror {line}"} for line in (3, 70)
    ]
    server.on(
        "GET",
        f"{RUN}/log/search",
        {"total": 2, "items": hits[:1], "next_cursor": "120"},
        {"total": 2, "items": hits[1:], "next_cursor": None},
        {"total": 0, "items": [], "next_cursor": None},
    )
    answer = here("runs", "logs", RUN_ID, "--search", "Error")
    assert answer.code == 0
    assert [line.replace("\x1b[31m", "") for line in answer.out.splitlines()] == [
        "3:the error 3",
        "70:the error 70",
    ]
    calls = server.calls("GET", f"{RUN}/log/search")
    assert [call.query.get("cursor") for call in calls] == [None, ["120"]]
    answer = here("runs", "logs", RUN_ID, "--search", "x")
    assert (answer.out, answer.err) == ("", "The log does not contain these words.\n")
    assert here("runs", "logs", RUN_ID, "--search", "x", "--follow").code == 2
