"""Checks that hang, flood, fork or want a person: the run goes on, and nothing of them stays."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime

import pytest

from app.adapters.engine import local
from app.domain.projects.checks import Check
from app.services.lifecycle.steps import OVERDUE_SECONDS
from tests.drivers.checked_runs import begin, check, ends, results, to_the_end
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.agents.runs import carrying

MB = 1024**2
LOG_CAP = MB
# wants a terminal, then an answer; a program that got either would hang or end otherwise
ASKS = "tty; (: < /dev/tty) 2>/dev/null && exit 9; read answer && exit 8; echo asked in vain"
STUBBORN = "trap '' TERM; echo here; while :; do sleep 0.05; done; : {tmp_path}"
# has a session of its own, no environment and no open file of the check
DAEMON = "setsid env -i /bin/sh -c 'echo $$ > ../daemon; sleep 300' >/dev/null 2>&1 </dev/null &"
COUNTS = "echo begun >> ../begun"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane that keeps little of each log."""
    with real_plane(tmp_path, log_cap_mb=1) as plane:
        yield plane


def log_of(plane: RealPlane, run_id: str) -> str:
    return plane.adapters.engine.log(run_id).read().content.decode()


@pytest.mark.parametrize("megabytes", [20, pytest.param(5000, marks=pytest.mark.soak)])
def test_f25_a_check_that_floods_its_log_is_cut_and_its_last_lines_are_told(
    plane: RealPlane, megabytes: int
) -> None:
    flood = (
        f"yes 'one more line of output' | head -c {megabytes}M; echo; echo the last line; exit 3"
    )
    # the second prompt replaces the first one
    agent = "cp $RUNYARD_PROMPT_FILE ../told; echo $$ > new.txt; git add -A; git commit -qm Work"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = begin(plane, agent, check(flood), check_rounds=1)
    run = to_the_end(plane, run, seconds=60 + megabytes / 4)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (run.status, run.cause) == ("died", "checks_failed")
    log = plane.adapters.engine.log(run.id)
    assert log.size > 2 * megabytes * MB
    files = (plane.settings.runs_root / "records" / run.id).glob("[lt][oa][gi]*")
    assert sum(file.stat().st_size for file in files) <= LOG_CAP
    told = (plane.copy(run).parent / "told").read_text()
    # the other two of the last 200 are a part of a line and the last one
    assert told.splitlines().count("one more line of output") == 198
    assert told.endswith("\nthe last line\n")
    assert grown < 50 * 1024


def test_f24_a_check_that_wants_a_terminal_or_an_answer_gets_neither_and_ends(
    plane: RealPlane,
) -> None:
    run = to_the_end(plane, begin(plane, COMMIT, check(ASKS)))
    assert (run.status, ends(plane, run)) == ("succeeded", [(1, "tests", "passed")])
    assert log_of(plane, run.id).endswith("not a tty\nasked in vain\n")


@pytest.mark.parametrize("ended_by", ["its time", "a stop"])
def test_f16_a_check_that_ignores_term_is_ended_all_the_same(
    plane: RealPlane, tmp_path: Path, ended_by: str
) -> None:
    seconds = 1 if ended_by == "its time" else 600
    stubborn = check(STUBBORN.format(tmp_path=tmp_path), timeout_seconds=seconds)
    run = begin(plane, COMMIT, stubborn, check_rounds=0)
    plane.see_end(run)
    if ended_by == "a stop":
        plane.ears.wait_for_text(run.id, b"here\n")
        plane.stop_run(run)
    run = to_the_end(plane, run)
    expected = ("died", "timed_out") if ended_by == "its time" else ("stopped", "stopped")
    assert (run.status, results(plane, run)[0].status) == expected
    assert not carrying(str(tmp_path / "data"))
    assert run.parked


def test_f17_a_daemon_of_a_check_without_session_or_environment_is_ended_before_the_next_one(
    plane: RealPlane,
) -> None:
    serve = check(f"{DAEMON} until [ -s ../daemon ]; do sleep 0.02; done", "serve")
    run = to_the_end(plane, begin(plane, COMMIT, serve, check("! kill -0 $(cat ../daemon)")))
    assert (run.status, run.cause) == ("succeeded", "delivered"), plane.lines(run)


@pytest.mark.parametrize(
    ("program", "because"),
    [("", "The command was not found: "), ("no program", "The command cannot be executed: ")],
)
def test_f23_a_check_that_cannot_be_started_says_why_and_holds_the_loop(
    plane: RealPlane, tmp_path: Path, program: str, because: str
) -> None:
    if program:
        (tmp_path / "make").write_text(program)
    missing = Check("tests", (str(tmp_path / "make"), "test"))
    run = to_the_end(plane, begin(plane, COMMIT, missing))
    assert (run.status, run.cause) == ("died", "checks_error")
    hold = plane.project(run.project_id).checks_error
    assert (hold or "").startswith(f"Check “tests” could not be started: {because}{tmp_path}/make")


def test_a_check_whose_supervisor_was_stopped_is_ended_by_the_server(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = check("echo here; sleep 300", timeout_seconds=60)
    run = plane.see_end(begin(plane, COMMIT, hangs, check_rounds=0))
    plane.ears.wait_for_text(run.id, b"here\n")
    os.kill((run.supervisor or {})["pid"], signal.SIGSTOP)
    later = 61 + OVERDUE_SECONDS
    plane.clock.advance(later)
    # the clock of the wall alone ends nothing
    assert plane.reap(run).status == "checking"
    monkeypatch.setattr(local, "boot_clock", lambda: clock_gettime(CLOCK_BOOTTIME) + later)
    plane.reap(run)
    run = to_the_end(plane, run)
    assert (run.status, run.cause) == ("died", "checks_failed")
    assert run.because == "check “tests” timed out: it ran for more than 60 s"


def test_a_check_that_removes_the_record_of_its_start_is_not_run_again(plane: RealPlane) -> None:
    records = plane.settings.runs_root / "records"
    started = f"{records}/$RUNYARD_RUN_ID/started.1.c1"
    line = f"{COUNTS}; until grep -q 'agent.: *{{' {started}; do sleep 0.01; done; rm {started}"
    run = to_the_end(plane, begin(plane, COMMIT, check(line)))
    assert (run.status, ends(plane, run)) == ("succeeded", [(1, "tests", "passed")])
    assert (plane.copy(run).parent / "begun").read_text() == "begun\n"


# sees nothing of Runyard and no process but its own, writes in its copy, and finds its commits
FENCED = """
[ -e {data}/token ] || [ -e {records}/$RUNYARD_RUN_ID/started ] && exit 5
[ $(ls -d /proc/[0-9]* | wc -l) -lt 12 ] || exit 6
echo built > built && git log -1 --format=%s || exit 7
"""
ADDS_A_LINE = "echo line >> new.txt && git add new.txt && git commit -qm Work"


@pytest.mark.parametrize("level", ["contained", "sandboxed"])
def test_checks_and_follow_ups_are_fenced_in_like_their_agent(plane: RealPlane, level: str) -> None:
    (plane.settings.data_dir / "token").write_text("the token of the operator")
    records = plane.settings.runs_root / "records"
    fenced = FENCED.format(data=plane.settings.data_dir, records=records)
    # its first turn leaves one line, which is too few for the check
    two_lines = check(f"{fenced}[ $(grep -c line new.txt) = 2 ]")
    run = to_the_end(plane, begin(plane, fenced + ADDS_A_LINE, two_lines, sandbox=level))
    assert (run.status, run.cause) == ("succeeded", "delivered"), log_of(plane, run.id)
    assert ends(plane, run) == [(1, "tests", "failed"), (2, "tests", "passed")]
    assert [one.because for one in results(plane, run)] == ["exit code 1", None]
    assert run.provenance["sandbox"] == level
