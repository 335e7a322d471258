"""Steps of a run after its agent's first turn: records of their own, and one log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.engine.processes import ProcessTable, TableUnreadable
from app.domain.end_causes import ExitReason
from app.domain.sandbox.levels import SandboxLevel
from app.services.ports import LaunchFailed, NotYet, Observation, Step, step_of
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, run_to_end, shell, until

CHECK = Step(1, 1, 'check "tests", round 1')


def take(
    engine: KeepingEngine, workdir: Path, step: Step, text: str, **terms: float
) -> Observation:
    """Have a later step of the run executed to its end."""
    engine.start(replace(order(RUN, workdir, shell(text), **terms), step=step))
    until(lambda: engine.see(RUN).tree_gone, "the end of the step")
    return engine.see(RUN)


def test_steps_have_records_of_their_own_and_share_a_log(
    engine: KeepingEngine, ears: Ears, workdir: Path, tmp_path: Path
) -> None:
    run_to_end(engine, ears, workdir, shell("printf first"))
    red = take(engine, workdir, CHECK, "echo red; exit 3")
    again = take(engine, workdir, Step(2, None, "turn 2"), "echo second; cat $RUNYARD_PROMPT_FILE")
    green = take(engine, workdir, Step(2, 1, 'check "tests", round 2'), "echo green")
    codes = [one.exit.code for one in (red, again, green) if one.exit]
    assert codes == [3, 0, 0]
    log = engine.log(RUN).read().content.decode()
    assert log == (
        'first\n--- check "tests", round 1 ---\nred\n--- turn 2 ---\nsecond\nDo it.\n'
        '--- check "tests", round 2 ---\ngreen\n'
    )
    assert red.log_from is not None
    assert log[red.log_from :].startswith("red\n")
    ended = {"exit.1", "exit.1.c1", "exit.2", "exit.2.c1"}
    assert {path.name for path in (tmp_path / "runs" / RUN).glob("exit*")} == ended
    # short as it is, all of it is the log's beginning
    assert not [*(tmp_path / "runs" / RUN).glob("tail*")]
    assert step_of(engine.kept(RUN)) == Step(2, 1)


def test_a_later_step_is_reported_killed_and_proved_like_the_first(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    run_to_end(engine, ears, workdir, shell("exit 0"))
    engine.start(replace(order(RUN, workdir, shell("echo ready; sleep 60 & wait")), step=CHECK))
    engine.follow(RUN)
    ears.wait_for_text(RUN, b"ready")
    assert engine.end(RUN)
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.tree_gone) == (ExitReason.STOPPED, True)


def test_a_step_that_cannot_start_says_why_and_leaves_the_log(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    run_to_end(engine, ears, workdir, shell("echo first"))
    with pytest.raises(LaunchFailed, match="not found: /nowhere/pytest"):
        engine.start(replace(order(RUN, workdir, ["/nowhere/pytest"]), step=CHECK))
    assert engine.see(RUN).mark is None
    assert engine.log(RUN).read().content.startswith(b"first\n")
    # nothing of it has begun, so it may be tried again
    assert take(engine, workdir, CHECK, "exit 0").mark is not None


def test_a_step_that_has_begun_never_begins_again(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    run_to_end(engine, ears, workdir, shell("exit 0"))
    take(engine, workdir, CHECK, "echo once")
    with pytest.raises(LaunchFailed, match="started before"):
        engine.start(replace(order(RUN, workdir, shell("echo twice")), step=CHECK))
    assert b"twice" not in engine.log(RUN).read().content


def test_the_log_of_all_steps_keeps_to_one_cap(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    flood = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end of $0"
    run_to_end(engine, ears, workdir, shell(flood), log_cap_bytes=100_000)
    last = take(engine, workdir, CHECK, "echo said by the check", log_cap_bytes=100_000)
    for position in (2, 3, 4):
        take(engine, workdir, Step(1, position, f"check {position}"), flood, log_cap_bytes=100_000)
    content = engine.log(RUN).read().content
    assert len(content) < 120_000
    assert engine.log(RUN).size > 1_200_000
    assert last.log_from is not None
    assert last.log_from > 300_000


@pytest.mark.parametrize("engine", [(None, SandboxLevel.NONE)], indirect=True)
@pytest.mark.parametrize("end", ["exit 3", "exec sleep 60"])
def test_a_step_that_removes_the_record_of_its_start_has_begun_all_the_same(
    engine: KeepingEngine, ears: Ears, workdir: Path, tmp_path: Path, end: str
) -> None:
    run_to_end(engine, ears, workdir, shell("exit 0"))
    record = tmp_path / "runs" / RUN / f"started{CHECK.suffix}"
    removal = f"until grep -q 'agent.: *{{' {record}; do sleep 0.01; done; rm {record}"
    engine.start(replace(order(RUN, workdir, shell(f"{removal}; {end}")), step=CHECK))
    until(lambda: not record.exists(), "the removal")
    assert engine.end(RUN)
    assert engine.see(RUN).mark is not None
    # a server that was killed before it had read the supervisor's second answer knows less
    early = {**(engine.kept(RUN) or {}), "begun": False}
    engine.keep(RUN, early)
    assert engine.see(RUN).mark is not None


@pytest.mark.parametrize("engine", [(None, SandboxLevel.NONE)], indirect=True)
def test_a_step_waits_while_processes_of_the_one_before_may_be_left(
    engine: KeepingEngine, ears: Ears, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_end(engine, ears, workdir, shell("exit 0"))
    check = replace(order(RUN, workdir, shell("exit 0")), step=CHECK)

    def unreadable(*_: object) -> bool:
        raise TableUnreadable

    with monkeypatch.context() as hindered:
        hindered.setattr(ProcessTable, "end", lambda *_: False)
        hindered.setattr(ProcessTable, "carriers", lambda *_: ["a process that cannot be killed"])
        with pytest.raises(NotYet, match="still there"):
            engine.start(check)
        hindered.setattr(ProcessTable, "end", unreadable)
        with pytest.raises(NotYet, match="could not be read"):
            engine.start(check)
    assert engine.start(check)
