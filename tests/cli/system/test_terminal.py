"""Hostile text on a terminal: none of it may take effect (attacks A23, A24)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.output.log_filter import LogFilter
from app.cli.output.terminal import NARROWEST, cells, clean, cut
from tests.builders.api_samples import RUN_ID, a_report, a_run, some_stages
from tests.drivers.cli.shells import Shell
from tests.fakes.recorded_server import RecordedServer, Reply

ATTACKS = {
    "colour": ("a\x1b[31mred", "ared"),
    "title": ("a\x1b]0;owned\x07b", "ab"),
    "link": ("\x1b]8;;https://evil.example\x1b\\text\x1b]8;;\x1b\\", "text"),
    "clipboard": ("a\x1b]52;c;ZXZpbA==\x07b", "ab"),
    "status query": ("a\x1bP$qm\x1b\\b", "ab"),
    "pasted end": ("a\x1b[201~b", "ab"),
    "screen": ("a\x1b[2J\x1b[Hb\x1bc", "ab"),
    "8-bit CSI": ("a\x9b2Jb", "ab"),
    "8-bit OSC": ("a\x9d0;owned\x9cb", "ab"),
    "unfinished": ("a\x1b]0;", "a"),
    "lone": ("a\x1b", "a"),
    "controls": ("a\x00\x08\x07\x0e\x7fb\r", "ab"),
    "forged line": ("a\nrun succeeded", "a\\nrun succeeded"),
    "bidi": ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
    "odd space": ("main\u3000x\u200b", "main\\u3000x\\u200b"),
    "half": ("a\ud800", "a\\ud800"),
    "tag": ("a\U000e0041", "a\\U000e0041"),
    "innocent": ("caf\u00e9 \u2713 \u5de5 ok", "caf\u00e9 \u2713 \u5de5 ok"),
}


@pytest.mark.parametrize(("hostile", "safe"), ATTACKS.values(), ids=ATTACKS)
def test_a_line_keeps_its_text_and_loses_its_teeth(hostile: str, safe: str) -> None:
    assert clean(hostile) == safe


@given(st.text(alphabet="\x1b\x9b\x9d\x90[]P;m0?\x07\\ \r\nab\u202e", max_size=60))
def test_nothing_that_could_act_is_ever_left(text: str) -> None:
    assert not set(clean(text)) & set("\x1b\x9b\x9d\x90\x07\r\n\u202e")


@given(
    st.text(alphabet="\x1b\x9b[]P;m31\x07\\ \r\nab\u00e9\u202e", max_size=60),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_a_log_is_as_safe_however_it_is_cut(text: str, cuts: list[int]) -> None:
    whole = LogFilter(keep_colours=True)
    expected = whole.feed(text.encode()) + whole.finish()
    content, at = text.encode(), [0, *sorted(cuts), 10_000]
    pieces = LogFilter(keep_colours=True)
    shown = "".join(pieces.feed(content[a:b]) for a, b in pairwise(at))
    assert shown + pieces.finish() == expected


def test_an_endless_sequence_hides_no_output_for_ever() -> None:
    log = LogFilter(keep_colours=True)
    shown = log.feed(b"\x1b]0;" + b"x" * 20_000) + log.feed(b"\nreal output\n") + log.finish()
    assert "real output" in shown
    assert "\x1b" not in shown


def test_a_log_keeps_colours_sets_them_back_and_drops_the_rest() -> None:
    log = LogFilter(keep_colours=True)
    shown = log.feed(b"\x1b[1;31mred\x1b]0;x\x07\x1b[2J\r\n50%\r100%\n") + log.finish()
    assert shown == "\x1b[1;31mred\n50%\n100%\n\x1b[0m"


@pytest.fixture
def hostile_server(server: RecordedServer) -> RecordedServer:
    """A server with control sequences in every text."""
    run = a_run(
        title="\x1b]0;owned\x07fine\nSucceeded",
        work_branch="afk/3\u202e\u3000x",
        label="Succeeded\x1b[2J",
        because="\x9b31mno",
        delivery=None,
    )
    stages = some_stages("accepted")
    stages[0]["sentence"] = "\x1b]52;c;ZXZpbA==\x07said\r\n03:14:02  delivered"
    server.on("GET", "/runs", {"items": [run]})
    server.on("GET", f"/runs/{RUN_ID}", run)
    server.on("GET", f"/runs/{RUN_ID}/timeline", {"items": stages})
    report = a_report(final_message="\x1b[2JDone.\nSucceeded\x9b1m", sentence="\u202eall")
    server.on("GET", f"/runs/{RUN_ID}/report", report)
    problem = {"detail": "no\x1b[2J\x1b]0;x\x07 \u202e", "error": "refused"}
    server.on("POST", f"/runs/{RUN_ID}/stop", Reply(409, problem, {"X-Correlation-Id": "c1"}))
    return server


@pytest.mark.parametrize("words", [["list"], ["show", RUN_ID], ["stop", RUN_ID]], ids=" ".join)
def test_no_text_of_the_server_acts_on_the_terminal(
    words: list[str], shell: Shell, hostile_server: RecordedServer
) -> None:
    shown = shell.run_on_a_terminal("runs", *words).out
    assert shown
    for colour in ("0", "1", "2", "31", "32", "33", "36"):
        shown = shown.replace(f"\x1b[{colour}m", "")
    assert not set(shown) & set("\x1b\x9b\x07\r\u202e\u3000")
    assert not any(line.strip() == "Succeeded" for line in shown.splitlines())


def test_json_on_a_terminal_is_ascii(shell: Shell, hostile_server: RecordedServer) -> None:
    ended = shell.run_on_a_terminal("runs", "show", RUN_ID, "--json")
    assert ended.out.isascii()
    assert ended.json["work_branch"] == "afk/3\u202e\u3000x"
    assert "\x1b" not in ended.out


@pytest.mark.parametrize(
    ("words", "env", "shown"),
    [
        ([], {}, "\x1b[32mok\x1b[0m \\u202e\n\x1b[0m"),
        ([], {"NO_COLOR": "1"}, "ok \\u202e\n"),
        (["--raw"], {}, "\x1b[32mok\x1b[0m\x1b]0;owned\x07 \u202e\n"),
    ],
    ids=["filtered", "without colours", "raw"],
)
def test_a_log_on_a_terminal(
    words: list[str], env: dict[str, str], shown: str, shell: Shell, server: RecordedServer
) -> None:
    content = "\x1b[32mok\x1b[0m\x1b]0;owned\x07 \u202e\n".encode()
    size = str(len(content))
    headers = {"X-Log-Size": size, "X-Log-Next": size, "X-Log-Truncated": "false"}
    server.on("GET", f"/runs/{RUN_ID}/log", Reply(200, content, headers))
    shell.extra |= env
    assert shell.run_on_a_terminal("runs", "logs", RUN_ID, *words).out == shown


@pytest.mark.parametrize(
    ("env", "on_a_terminal", "in_a_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    env: dict[str, str], on_a_terminal: bool, in_a_pipe: bool, shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": [a_run()]})
    shell.extra |= env
    shown = shell.run_on_a_terminal("runs", "list").out
    assert ("\x1b[32mSucceeded" in shown) == on_a_terminal
    assert ("\x1b[" in shell.run("runs", "list").out) == in_a_pipe


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_table_gives_way_to_the_terminal(
    columns: int, shell: Shell, server: RecordedServer
) -> None:
    runs = [
        a_run(title="A title that goes on and on, much longer than any line " * 3),
        a_run(work_branch=f"run/{RUN_ID}", project_name="a-project-with-a-rather-long-name"),
        a_run(title="\t\u5de5\u4f5c" * 30, work_branch="e\u0301" * 30),
    ]
    server.on("GET", "/runs", {"items": runs})
    shell.extra["NO_COLOR"] = "1"
    lines = shell.run_on_a_terminal("runs", "list", columns=columns).out.splitlines()
    assert len(lines) == 4
    least = 7 * NARROWEST + 12  # the width that seven columns need at least
    assert all(cells(line) <= max(columns, least) for line in lines)
    assert all("\t" not in line for line in lines)
    assert "…7f3k1a" in lines[1]
    if columns == 120:
        assert "run/…7f3k1a" in lines[2]


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("\u5de5\u4f5c", 4, "\u5de5\u4f5c"),
        ("\u5de5\u4f5c", 3, "\u5de5…"),
        ("\u5de5\u4f5c", 2, "…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_a_text_is_cut_by_the_columns_it_takes(text: str, room: int, shown: str) -> None:
    assert cut(text, room) == shown
    assert cells(shown) <= room


def test_a_narrow_alphabet_is_no_reason_to_fail(shell: Shell, server: RecordedServer) -> None:
    server.on("GET", "/runs", {"items": [a_run(title="caf\u00e9")]})
    shell.extra["PYTHONIOENCODING"] = "ascii"
    ended = shell.run("runs", "list")
    assert ended.code == 0
    assert "caf\\xe9" in ended.out
