"""`runyard demo` and `make demo`: the whole story, and complete cleanup however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.services.projects.demo import BUDGET_SECONDS
from tests.drivers.cli.shells import ROOT, Ended, Shell
from tests.drivers.servers.forked_starts import COMMAND, start_forked
from tests.drivers.servers.processes import RunyardServer

STORY_SECONDS = 170
# what the run that takes too long gets of the demo's budget, which nobody needs to sit out
SHORT_SECONDS = 4
END_SECONDS = 60
HANGING_GIT = """#!/bin/sh
case "$*" in *" fetch "*)
    trap '' TERM
    echo hangs > '{mark}'
    while :; do sleep 1; done
esac
exec '{git}' "$@"
"""


def processes_of(folder: Path) -> list[str]:
    """Return processes whose command line or environment names this folder."""
    found, name = [], os.fsencode(folder)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            if name in words or name in environment:
                found.append(words.decode(errors="replace"))
    return found


def shell_in(folder: Path) -> Shell:
    """Return a shell whose temporary files land in this folder."""
    (folder / "tmp").mkdir()
    hostile = {"RUNYARD_PORT": "1", "RUNYARD_RUNS_DIR": "/nowhere"}
    return Shell(folder, extra={"TMPDIR": str(folder / "tmp"), **hostile})


@pytest.fixture
def demo_shell(tmp_path: Path) -> Shell:
    return shell_in(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    """The result of a complete demo, and its temporary folder."""
    shell = shell_in(tmp_path_factory.mktemp("demo"))
    temporary, reading, writing = shell.folder / "tmp", *os.pipe()
    with TemporaryFile() as out, open(os.devnull) as nothing:
        streams = (nothing.fileno(), out.fileno(), writing)
        process = start_forked(COMMAND, ["demo", "--json"], shell.env, streams)
        os.close(writing)
        with open(reading) as lines:
            printed = "".join(hurry(lines, temporary))
        code = process.wait(STORY_SECONDS)
        out.seek(0)
        return Ended(code, out.read().decode(), printed), temporary


def hurry(lines: Iterable[str], temporary: Path) -> Iterator[str]:
    """Pass on a demo's lines; meanwhile give its third run, which takes too long, less time."""
    runs = 0
    for line in lines:
        yield line
        if re.match(r"\d\d:\d\d:\d\d  spawned", line):
            # a run's budget is that of its start
            runs += 1
            if runs == 2:
                set_budget(temporary, BUDGET_SECONDS, SHORT_SECONDS)
            elif runs == 3:
                set_budget(temporary, SHORT_SECONDS, BUDGET_SECONDS)


def set_budget(temporary: Path, before: int, seconds: int) -> None:
    """Change what a run of the demo's project may take."""
    (folder,) = temporary.iterdir()
    port = urlsplit(json.loads((folder / "server.json").read_text())["url"]).port
    with RunyardServer(folder, port=port or 0).client() as api:
        (project,) = api.get("/projects").json()["items"]
        assert project["budget_seconds"] == before
        change = {"budget_seconds": seconds}
        assert api.patch(f"/projects/{project['id']}", json=change).status_code == 200


@pytest.fixture(scope="module")
def told(whole: tuple[Ended, Path]) -> dict[str, Any]:
    ended, _ = whole
    assert ended.code == 0, ended.err
    return ended.json


def lines_in_order(text: str, *patterns: str) -> None:
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.MULTILINE).search(text, at)
        assert found, f"{pattern!r} is not told after:\n{text[:at][-500:]}\n\nin:\n{text}"
        at = found.end()


@pytest.mark.timeout(STORY_SECONDS + 10)
def test_a_success_three_failures_the_pause_reset_and_a_success(told: dict[str, Any]) -> None:
    runs = [one["run"] for one in told["runs"]]
    assert [(run["issue"], run["trigger"], run["status"], run["cause"]) for run in runs] == [
        (1, "manual", "succeeded", "delivered"),
        (2, "auto", "died", "exit_code"),
        (3, "auto", "timed_out", "budget"),
        (4, "auto", "died", "no_delivery"),
        (5, "auto", "succeeded", "delivered"),
    ]
    assert [run["exit_code"] for run in runs] == [0, 1, None, 0, 0]


@pytest.mark.timeout(STORY_SECONDS + 10)
def test_the_deliveries_of_the_demo_are_real_changes(told: dict[str, Any]) -> None:
    first, *failures, last = told["runs"]
    for one in (first, last):
        assert one["run"]["delivery"]["state"] == "open"
        assert one["run"]["delivery"]["commits"] == 1
        assert one["timeline"][0]["kind"] == "accepted"
        assert "delivered" in [event["kind"] for event in one["timeline"]]
    assert '+def greet(name: str = "you") -> str:' in first["diff"]
    assert "+++ b/hello/goodbye.py" in last["diff"]
    assert [one["run"]["delivery"] for one in failures] == [None] * 3


@pytest.mark.timeout(STORY_SECONDS + 10)
def test_the_pause_has_its_reasons_and_reset_clears_it(told: dict[str, Any]) -> None:
    paused, after = told["paused"], told["project"]
    assert (paused["paused"], paused["strikes"], paused["auto_enabled"]) == (True, 3, True)
    failed = [one["run"] for one in told["runs"][3:0:-1]]
    assert [(one["run_id"], one["because"]) for one in paused["recent_failures"]] == [
        (run["id"], run["because"]) for run in failed
    ]
    assert (after["paused"], after["strikes"], after["live_runs"]) == (False, 0, 0)
    assert told["next"]["would"] is None
    assert {hold["issue"] for hold in told["next"]["holds"]} == {1, 2, 3, 4, 5}


@pytest.mark.timeout(STORY_SECONDS + 10)
def test_the_story_is_told_in_the_words_of_the_cards(whole: tuple[Ended, Path]) -> None:
    ended, _ = whole
    lines_in_order(
        ended.err,
        r"^== Start AFK run",
        *(rf"^\d\d:\d\d:\d\d  {kind}" for kind in ("accepted", "claimed", "spawned", "delivered")),
        r"^diff --git ",
        r"^Succeeded  …\w{6}",
        r"^Delivered: change #6, open, 1 commit",
        r"^== Auto AFK runs: On",
        r"^Died  …\w{6}  .*agent exited 1$",
        r"^Timed out  …\w{6}  .*its time was used up, nothing delivered$",
        r"^No delivery  …\w{6}  .*agent exited 0, nothing delivered$",
        r"^Auto paused · 3 fails$",
        r"^  …\w{6}  #4  No delivery  agent exited 0, nothing delivered  ",
        r"^Nothing starts: auto runs are paused after 3 fails\.$",
        r"^== Reset",
        r"^Delivered: change #7, open, 1 commit",
        r"^  #2: parked: afk/2$",
        r"^== Done in \d+ s$",
    )


@pytest.mark.timeout(STORY_SECONDS + 10)
def test_a_demo_that_is_over_leaves_nothing(whole: tuple[Ended, Path]) -> None:
    _, temporary = whole
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)]
)
def test_an_interrupted_demo_leaves_its_folder_but_no_process_not_even_a_hanging_git(
    number: signal.Signals, demo_shell: Shell
) -> None:
    tools, mark, git = demo_shell.folder / "bin", demo_shell.folder / "mark", shutil.which("git")
    tools.mkdir()
    os.mkfifo(mark)
    (tools / "git").write_text(HANGING_GIT.format(mark=mark, git=git))
    (tools / "git").chmod(0o700)
    demo_shell.extra["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
    # an impatient person presses the keys again
    times = 3 if number == signal.SIGINT else 1
    printed = interrupt(demo_shell, "Creating a small repository", number, times, after=mark)
    check_kept_folder(demo_shell, printed)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("moment", "number", "times"),
    [
        ("Start AFK run", signal.SIGINT, 3),
        ("Start AFK run", signal.SIGTERM, 1),
        ("agent exited 1", signal.SIGINT, 3),
    ],
    ids=["by an impatient person", "while starting", "during the loop"],
)
def test_a_demo_interrupted_later_leaves_its_folder_but_no_process(
    moment: str, number: signal.Signals, times: int, demo_shell: Shell
) -> None:
    check_kept_folder(demo_shell, interrupt(demo_shell, moment, number, times))


def check_kept_folder(shell: Shell, printed: str) -> None:
    [kept] = (shell.folder / "tmp").iterdir()
    assert (kept / "server.log").is_file(), printed
    assert processes_of(shell.folder / "tmp") == []


def interrupt(
    shell: Shell, moment: str, number: signal.Signals, times: int, *, after: Path | None = None
) -> str:
    """Start a demo with `--keep`, signal it at this line of its output, and check its exit code."""
    printed = ""
    with subprocess.Popen(
        shell.argv("demo", "--keep"),
        cwd=ROOT,
        env=shell.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            printed += line
            if moment in line:
                if after:
                    after.read_text()
                for _ in range(times):
                    os.kill(process.pid, number)
                moment = "nothing that is ever printed"
        assert process.wait(END_SECONDS) == 128 + number, printed
    return printed
