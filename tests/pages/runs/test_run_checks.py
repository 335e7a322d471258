"""The checks on a run's page: words for each result, and links into the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nicegui.testing.user import User
from sqlalchemy import update
from sqlmodel import col

from app.domain.projects.checks import Check
from app.domain.words import CheckStatus
from app.records.tables import CheckResult, Run
from tests.builders.run_scenes import ended_run
from tests.drivers.web.page_calls import come_back, lose_next_answer
from tests.pages.conftest import House, html_of, until

TESTS = Check("tests <b>", ("make", "test"))


def add_check(house: House, run_id: str, position: int, **columns: Any) -> None:
    """Add an ended check to a run, as the engine does, with the event that announces it."""
    plane = house.plane
    now = plane.clock()
    defaults: dict[str, Any] = {
        "name": TESTS.name,
        "round": 1,
        "required": True,
        "status": CheckStatus.PASSED,
        "sha": "5" * 40,
        "started_at": now,
        "ended_at": now,
    }
    with plane.stores.owner_of(run_id).transaction() as tx:
        row = CheckResult(run_id=run_id, position=position, **defaults | columns)
        tx.add(row)
        plane.ledgers.runs.append_event(tx, run_id, now, "check_ended", "check ended", {})


async def test_a_runs_checks_are_listed_as_they_end(
    house: House, user: User, tmp_path: Path
) -> None:
    run = await ended_run(house, user, tmp_path)
    await user.open(f"/runs/{run.id}")
    await user.should_not_see(marker="run-checks")
    add_check(house, run.id, 1, log_from=10, log_to=30)
    await user.should_see(marker="run-checks")
    assert "tests &lt;b&gt;" in html_of(user)
    assert f'href="/api/v1/runs/{run.id}/log?offset=10&amp;limit=20"' in html_of(user)
    failed = {"status": CheckStatus.FAILED, "because": "exited 3", "required": False}
    add_check(house, run.id, 2, name="lint", changed_files=list("abcd"), **failed)
    await until(lambda: "not required · exited 3 · changed a, b, c and 1 more" in html_of(user))
    assert "Round" not in html_of(user)
    assert "earlier round" not in html_of(user)
    add_check(house, run.id, 1, round=2)
    await until(lambda: "1 earlier round" in html_of(user))
    last, earlier = (html_of(user).index(f"Round {number}") for number in (2, 1))
    assert last < earlier


async def test_checks_that_could_not_be_read_are_read_when_the_link_is_back(
    house: House, user: User, tmp_path: Path
) -> None:
    run = await ended_run(house, user, tmp_path)
    await user.open(f"/runs/{run.id}")
    lose_next_answer(user, f"/api/v1/runs/{run.id}/checks")
    add_check(house, run.id, 1)
    await until(lambda: "did not answer" in html_of(user))
    await user.should_not_see(marker="run-checks")
    await come_back(user)
    await user.should_see(marker="run-checks")


async def test_a_check_shows_its_command_and_how_it_ended(
    house: House, user: User, tmp_path: Path
) -> None:
    run = await ended_run(house, user, tmp_path)
    checks = [Check("tests", ("sh", "-c", "make <all> && true")).as_data()]
    with house.plane.stores.owner_of(run.id).transaction() as tx:
        plan = {"checks": checks, "rounds": 2, "on_red": "park"}
        tx.exec(update(Run).where(col(Run.id) == run.id).values(checks=plan))
    add_check(house, run.id, 1, name="tests", exit_code=0)
    await user.open(f"/runs/{run.id}")
    await until(lambda: "make &lt;all&gt; &amp;&amp; true" in html_of(user))
    assert "exit code 0" in html_of(user)
    (told,) = await house.api_of(user).checks(run.id)
    assert told.command == ["sh", "-c", "make <all> && true"]
