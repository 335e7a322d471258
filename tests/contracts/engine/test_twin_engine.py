"""What services rely on in an engine holds for the real one and for its in-memory twin."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.domain.end_causes import ExitReason
from app.services.ports import (
    Engine,
    Kept,
    LaunchFailed,
    LaunchOrder,
    Observation,
    Step,
    ended,
    step_of,
)
from tests.fakes.agents.runs import local_engine, shell, until
from tests.fakes.engine import FakeEngine
from tests.fakes.world import World

RUN = "run_1"
WAIT = "until [ -s code ]; do sleep 0.02; done; exit $(cat code)"
CHECK = Step(1, 1, "check “tests”, round 1")
TURN = Step(2, None, "turn 2")


@dataclass(frozen=True)
class Yard:
    """An engine, and functions that let its newest step write and end."""

    engine: Engine
    workdir: Path
    let_end: Callable[[str, int], None]
    rows: dict[str, Kept] = field(default_factory=dict)

    def look(self, run_id: str = RUN) -> Observation:
        return self.engine.inspect(run_id, self.rows.get(run_id))

    def kill(self, run_id: str = RUN) -> bool:
        return self.engine.kill(run_id, self.rows.get(run_id))

    def launch(self, run_id: str, command: str, step: Step | None = None) -> None:
        self.launch_argv(run_id, shell(command), step or Step())

    def launch_argv(self, run_id: str, argv: list[str], step: Step) -> None:
        (self.workdir / "code").unlink(missing_ok=True)
        launched = self.engine.launch(
            LaunchOrder(
                run_id=run_id,
                argv=argv,
                workdir=self.workdir,
                env={"PATH": "/usr/bin:/bin"},
                budget_seconds=60,
                grace_seconds=0.3,
                log_cap_bytes=10_000,
                prompt="",
                step=step,
            ),
            lambda kept: self.rows.update({run_id: kept}),
        )
        self.rows[run_id] = launched.kept

    def take(self, step: Step, code: int = 0) -> Observation:
        """Have a step of the run executed to its end."""
        self.launch(RUN, WAIT, step)
        self.let_end(RUN, code)
        return self.look()


@pytest.fixture(params=["real", "twin"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Yard]:
    workdir = tmp_path / "copy"
    workdir.mkdir()
    if request.param == "twin":
        world = World()
        yield Yard(FakeEngine(world), workdir, world.end)
        return
    with local_engine(tmp_path / "records", uuid.uuid4().hex) as engine:

        def let_end(run_id: str, code: int) -> None:
            (workdir / "code").write_text(str(code))
            until(lambda: yard.look(run_id).alive is False, "the end of its supervisor")

        yard = Yard(engine, workdir, let_end)
        yield yard


def test_what_never_was_is_gone_and_killing_it_is_proved(yard: Yard) -> None:
    sight = yard.look("run_1")
    assert (sight.alive, sight.exit, sight.tree_gone) == (False, None, True)
    assert yard.kill("run_1")


def test_an_agent_lives_until_it_ends_and_its_end_is_recorded(yard: Yard) -> None:
    yard.launch("run_1", WAIT)
    assert yard.look("run_1").alive
    assert yard.engine.owned() == {"run_1"}
    yard.let_end("run_1", 7)
    sight = yard.look("run_1")
    assert sight.exit is not None
    assert (sight.exit.code, sight.exit.reason) == (7, ExitReason.EXITED)
    assert (sight.alive, sight.tree_gone) == (False, True)


def test_a_kill_is_proved_and_recorded(yard: Yard) -> None:
    yard.launch("run_1", "sleep 60")
    assert yard.kill("run_1")
    sight = yard.look("run_1")
    assert sight.exit is not None
    assert (sight.exit.reason, sight.tree_gone) == (ExitReason.STOPPED, True)
    assert yard.engine.owned() == set()


def test_a_run_is_not_started_twice(yard: Yard) -> None:
    yard.launch("run_1", "sleep 60")
    with pytest.raises(LaunchFailed):
        yard.launch("run_1", "sleep 60")
    yard.kill("run_1")


def test_each_step_has_an_end_of_its_own_and_the_row_says_which_is_the_newest(yard: Yard) -> None:
    seen: list[tuple[Step | None, int | None]] = []
    for step, code in ((Step(), 0), (CHECK, 3), (TURN, 0), (Step(2, 1, "check again"), 4)):
        exit_record = yard.take(step, code).exit
        seen.append((step_of(yard.rows[RUN]), exit_record.code if exit_record else None))
    assert seen == [(Step(), 0), (CHECK, 3), (TURN, 0), (Step(2, 1), 4)]


def test_all_steps_share_a_log_in_which_each_begins_with_its_line(yard: Yard) -> None:
    yard.take(Step())
    seen = yard.take(CHECK)
    line = f"--- {CHECK.label} ---\n".encode()
    assert yard.engine.log(RUN).read().content == line
    assert seen.log_from == yard.engine.log(RUN).size == len(line)


def test_the_time_of_output_is_known_to_the_second_and_of_none_unknown(yard: Yard) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    yard.take(Step())
    assert yard.engine.log(RUN).times([0]) == [None]
    yard.take(CHECK)
    yard.take(TURN)
    log = yard.engine.log(RUN)
    times = log.times([0, log.size - 1])
    assert all(time and before <= time <= datetime.now(UTC) for time in times)
    assert [time for time in times if time and time.microsecond] == []


def test_a_step_that_has_begun_never_begins_again(yard: Yard) -> None:
    yard.take(Step())
    yard.take(CHECK)
    with pytest.raises(LaunchFailed, match="started before"):
        yard.launch(RUN, WAIT, CHECK)


def test_a_step_whose_command_is_missing_has_not_begun_and_may_be_tried_again(yard: Yard) -> None:
    yard.take(Step())
    with pytest.raises(LaunchFailed, match="not found: /nowhere/pytest"):
        yard.launch_argv(RUN, ["/nowhere/pytest"], CHECK)
    seen = yard.look()
    assert (seen.mark, seen.tree_gone, step_of(yard.rows[RUN])) == (None, True, CHECK)
    assert yard.take(CHECK, 5).mark is not None


def test_a_kill_ends_the_newest_step_also_with_the_data_of_an_earlier_one(yard: Yard) -> None:
    yard.take(Step())
    first = yard.rows[RUN]
    yard.launch(RUN, WAIT, CHECK)
    yard.engine.kill(RUN, first)
    until(lambda: yard.look().alive is False, "the end of the check")


def test_a_step_that_a_kill_has_proved_gone_has_begun_all_the_same(yard: Yard) -> None:
    yard.take(Step())
    yard.launch(RUN, WAIT, CHECK)
    assert yard.kill()
    yard.rows[RUN] = ended(yard.rows[RUN])
    seen = yard.look()
    assert (seen.alive, seen.tree_gone) == (False, True)
    assert seen.mark is not None
