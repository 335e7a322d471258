"""Follow-ups of an agent that keeps sessions: how it is resumed, what it is told, what it costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.agents.prompt_parts import as_text
from app.domain.projects.checks import Check
from tests.drivers.checked_runs import to_the_end
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.agents.replays import find_replays_in

SESSION = "588898eb-ae05-43cc-8aff-699c2ec0bbc0"
# writes down how it was called and what it was told, works, and reports as Claude Code does
PROGRAM = """#!{python} -IS
import json, os, pathlib, subprocess, sys
folder = pathlib.Path({folder!r})
turn = len(list(folder.glob("called.*"))) + 1
(folder / f"called.{{turn}}").write_text(json.dumps(sys.argv[1:]))
(folder / f"told.{{turn}}").write_text(sys.stdin.read())
say = lambda **event: print(json.dumps(event), flush=True)
say(type="system", subtype="init", session_id={session!r})
pathlib.Path("answer.txt").write_text("right" if turn > 1 else "wrong")
subprocess.run(["git", "add", "answer.txt"], check=True)
subprocess.run(["git", "commit", "--quiet", "--message", f"Turn {{turn}}"], check=True)
usage = {{"input_tokens": 100 * turn, "output_tokens": 10 * turn}}
say(type="result", subtype="success", is_error=False, result=f"Turn {{turn}} is done.",
    session_id={session!r}, total_cost_usd=0.25 * turn, usage=usage)
"""
TESTS = Check("tests", ("/bin/sh", "-c", "echo answer.txt:1; grep -q right answer.txt"))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a `claude` in PATH, with what each of its calls was."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "claude"
    program.write_text(PROGRAM.format(python=sys.executable, folder=str(folder), session=SESSION))
    program.chmod(0o755)
    find_replays_in(folder, monkeypatch)
    return folder


@pytest.fixture
def plane(tmp_path: Path, program: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


def called(program: Path, turn: int) -> Any:
    return json.loads((program / f"called.{turn}").read_text())


def test_a_follow_up_resumes_the_session_with_new_words_only_and_adds_up_the_costs(
    plane: RealPlane, program: Path
) -> None:
    project = plane.add_project(checks=[TESTS.as_data()])
    run = plane.start_running(project, agent="claude", model="opus", task="Answer it.")
    run = to_the_end(plane, run)
    assert (run.status, run.cause, run.turn) == ("succeeded", "delivered", 2), run.because
    usual = ["--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"]
    first = ["--model", "opus", "-p", *usual]
    assert [called(program, turn) for turn in (1, 2)] == [first, [*first, "--resume", SESSION]]
    told = [(program / f"told.{turn}").read_text() for turn in (1, 2)]
    assert told[0].startswith("Answer it.\n")
    assert told[1].startswith("Your commits were checked before their delivery")
    assert "Check “tests” failed: exit code 1\n" in told[1]
    assert told[1].endswith("\nanswer.txt:1\n")
    assert "Answer it." not in told[1]
    kept = plane.services.prompts.of_run(run.id)
    assert [as_text(one.text) for one in kept] == told
    assert (run.session_id, run.input_tokens, run.output_tokens) == (SESSION, 300, 30)
    assert run.cost_usd == pytest.approx(0.75)
    report = plane.services.reporter.of(run)
    assert (report.final_message, report.cost_usd) == ("Turn 2 is done.", pytest.approx(0.75))
