"""Shell completion: commands and options, names from the server, nothing a shell would execute."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.api_samples import RUN_ID, a_dead_run, a_project, a_run
from tests.drivers.cli.shells import DEADLINE_SECONDS, ROOT, Here, Shell
from tests.fakes.recorded_server import RecordedServer, Reply

OTHER_ID = "run_c0123456789abcdefghabc123"
R_ID = "run_c0123456789abcdefghr4c123"


@pytest.fixture
def asking(shell: Shell, here: Here) -> Callable[..., list[str]]:
    """Return the completions that bash gets for a line; its last word is being typed."""

    def ask(*words: str) -> list[str]:
        shell.extra |= {
            "_RUNYARD_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["runyard", *words]),
            "COMP_CWORD": str(len(words)),
        }
        ended = here()
        assert (ended.code, ended.err) == (0, "")
        return ended.out.split()

    return ask


@pytest.fixture
def yard(server: RecordedServer) -> RecordedServer:
    """A server with projects and runs."""
    names = ("shop", "shed", "café", "$(touch hacked)", "a b", "-rf", "*")
    projects = [a_project(id=f"proj_{n}", name=name) for n, name in enumerate(names)]
    server.on("GET", "/projects", {"items": projects})
    server.on(
        "GET",
        "/runs",
        {"items": [a_run(), a_dead_run(id=OTHER_ID), a_run(id=R_ID), a_run(id="`id`")]},
    )
    return server


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ru"], ["runs"]),
        (["runs", "tri"], ["trigger"]),
        (["runs", "list", "--ph"], ["--phase"]),
        (["runs", "list", "--phase", "d"], ["done"]),
        (["runs", "show", ""], ["7f3k1a", "abc123", "r4c123"]),
        (["runs", "stop", "7f"], ["7f3k1a"]),
        (["runs", "stop", "r4"], ["r4c123"]),
        (["runs", "logs", "run_"], [RUN_ID, OTHER_ID, R_ID]),
        (["projects", "show", "sh"], ["shop", "shed"]),
        (["issues", "list", "-p", "c"], ["café"]),
        # for names a shell would interpret, the id is offered
        (["afk", "start", "proj"], ["proj_3", "proj_4", "proj_5", "proj_6"]),
    ],
    ids=lambda one: " ".join(one),
)
def test_a_shell_is_told_what_may_come_next(
    words: list[str], told: list[str], asking: Callable[..., list[str]], yard: RecordedServer
) -> None:
    assert asking(*words) == told


@pytest.mark.parametrize(
    "answer",
    [Reply(500, b"broken"), Reply(401, {}), Reply(200, b"<html>"), Reply(dropped=True), [1]],
    ids=["broken", "a stranger", "another program", "lost", "nonsense"],
)
@pytest.mark.parametrize("words", [["runs", "show", ""], ["projects", "show", ""]], ids=" ".join)
def test_a_server_that_gives_no_answer_proposes_nothing(
    words: list[str], answer: object, asking: Callable[..., list[str]], server: RecordedServer
) -> None:
    for path in ("/runs", "/projects"):
        server.on("GET", path, answer)
    assert asking(*words) == []


def test_a_server_that_is_away_proposes_nothing(lonely_shell: Shell) -> None:
    lonely_shell.extra |= {
        "_RUNYARD_COMPLETE": "complete_bash",
        "COMP_WORDS": "runyard runs show ",
        "COMP_CWORD": "3",
    }
    ended = lonely_shell.run()
    assert (ended.code, ended.out.strip(), ended.err) == (0, "", "")


def test_a_server_that_is_slow_is_not_waited_for(
    asking: Callable[..., list[str]], server: RecordedServer
) -> None:
    over = threading.Event()
    server.on("GET", "/runs", Reply(chunks=[lambda: over.wait(DEADLINE_SECONDS)]))
    assert asking("runs", "show", "") == []
    assert not over.is_set()
    over.set()


def test_bash_completes_with_the_script_that_is_shown(
    shell: Shell, yard: RecordedServer, tmp_path: Path
) -> None:
    program = tmp_path / "runyard"
    program.write_text(f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -m app.cli.main "$@"\n')
    program.chmod(0o700)
    script = (
        f"eval \"$('{program}' --show-completion; true)\"\n"
        f"COMP_WORDS=(runyard runs show 7f); COMP_CWORD=3; _runyard_completion '{program}'\n"
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=shell.env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("7f3k1a\n", "")
