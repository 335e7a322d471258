"""Parked work on its page and on its run's: discarded by name, delivered, restored, released."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing.user import User

from app.api.schemas import ProjectOut, RunOut
from app.domain.lifecycle import Signal
from app.domain.words import Status
from app.pages.runs.header import is_unproved, why_html
from tests.builders.run_samples import NOON, run_of
from tests.builders.run_scenes import DELIVERS, DIES, WAITS, add_project, start, until_status
from tests.pages.conftest import House, html_of, until

SURE = "No safety checks apply and there is no undo."
DIES_WITH_A_COMMIT = f"{DELIVERS}\n{DIES}"


async def keep(
    house: House, user: User, folder: Path, agent: str = DIES_WITH_A_COMMIT, **more: Any
) -> tuple[ProjectOut, RunOut]:
    """Add a project with a run of an issue that died and is parked."""
    project = await add_project(house, user, folder, agent, **more)
    labels = ["ready-for-agent"]
    issue = house.plane.services.issues.add(project.id, "Mend it", "", labels, house.plane.clock())
    run = await start(house, user, project, f"key-{project.id}", issue=issue.number)
    await until(lambda: house.plane.ledgers.runs.find(run.id).parked)
    return project, run


def rows(user: User) -> list[ui.element]:
    """Return the elements of the visible rows."""
    return list(user.find(marker="parked-row").elements)


async def test_nothing_parked_says_so(user: User) -> None:
    await user.open("/parked")
    assert "Nothing is parked." in html_of(user)


async def test_kept_work_is_discarded_only_by_its_name(
    house: House, user: User, tmp_path: Path
) -> None:
    project, run = await keep(house, user, tmp_path)
    await user.open("/parked")
    [row] = rows(user)
    assert (row.props["data-branch"], row.props["data-project"]) == ("afk/1", project.id)
    html = html_of(user)
    assert "1 commit" in html
    assert "agent exited 3" in html
    assert f'href="/runs/{run.id}"' in html
    assert f'<a href="/runs/{run.id}?show=diff"' in html
    user.find(marker="discard").click()
    await user.should_see("Type the branch name")
    await until(lambda: SURE in html_of(user))
    assert "Issue #1 becomes claimable again." in html_of(user)
    [sure] = user.find(marker="discard-confirm").elements
    assert isinstance(sure, ui.button)
    field = user.find(marker="discard-branch")
    field.type("afk/2").trigger("keydown.enter")
    await until(lambda: "This is not the branch name." in html_of(user))
    assert not sure.enabled
    field.clear().type("afk/1")
    await until(lambda: sure.enabled)
    user.find(marker="discard-confirm").click()
    await until(lambda: "Nothing is parked." in html_of(user))
    await until(lambda: "afk/1 was deleted." in html_of(user))
    assert house.plane.services.parked.all(house.plane.clock()) == []


async def test_an_issue_whose_branch_is_empty_is_freed_at_one_press(
    house: House, user: User, tmp_path: Path
) -> None:
    project, run = await keep(house, user, tmp_path, DIES)
    await user.open("/parked")
    await until(lambda: "no commits, no files" in html_of(user))
    [press] = user.find(marker="discard").elements
    assert isinstance(press, ui.button)
    assert (press.text, press.props["aria-label"]) == (
        "Free the issue",
        f"Free the issue of afk/1 of {project.name}",
    )
    user.find(marker="discard").click()
    await until(lambda: "Nothing is parked." in html_of(user))
    await until(lambda: "Issue #1 is free." in html_of(user))
    assert not house.plane.ledgers.runs.find(run.id).parked
    plane = house.plane
    assert plane.services.issues.claimable(plane.ledgers.projects.find(project.id)) == [1]


async def test_a_refused_discard_brings_the_row_back_and_says_why(
    house: House, user: User, tmp_path: Path
) -> None:
    project, _ = await keep(house, user, tmp_path)
    await user.open("/parked")
    (house.plane.settings.runs_root / "mirrors" / f"{project.id}.git" / "HEAD").unlink()
    user.find(marker="discard").click()
    user.find(marker="discard-branch").type("afk/1")
    user.find(marker="discard-confirm").click()
    await until(lambda: "The mirror could not be read" in html_of(user))
    assert len(rows(user)) == 1


async def test_kept_commits_are_delivered_from_the_list(
    house: House, user: User, tmp_path: Path
) -> None:
    _, run = await keep(house, user, tmp_path)
    await user.open("/parked")
    user.find(marker="deliver").click()
    await until(lambda: "Nothing is parked." in html_of(user))
    assert house.plane.ledgers.runs.find(run.id).delivery["state"] == "open"
    await until(lambda: "afk/1 is now change request #2." in html_of(user))


async def test_the_list_follows_the_feed(house: House, user: User, tmp_path: Path) -> None:
    await user.open("/parked")
    await keep(house, user, tmp_path)
    await until(lambda: "agent exited 3" in html_of(user))
    other = await house.sign_in()
    await other.open("/")
    await until(lambda: "Parked" in html_of(other))


async def test_a_runs_page_delivers_what_it_left(house: House, user: User, tmp_path: Path) -> None:
    _, run = await keep(house, user, tmp_path)
    await user.open(f"/runs/{run.id}")
    html = html_of(user)
    assert "Run did not complete — no PR created" in html
    assert '<a href="/parked">Its branch is parked.</a>' in html
    await until(lambda: "It left 1 commit." in html_of(user))
    user.find(marker="deliver").click()
    await until(lambda: "Change request #2" in html_of(user))
    await user.should_not_see(marker="deliver")
    await user.should_see(marker="merge")


async def test_a_run_that_left_no_commit_has_nothing_to_deliver(
    house: House, user: User, tmp_path: Path
) -> None:
    _, run = await keep(house, user, tmp_path, DIES)
    await user.open(f"/runs/{run.id}")
    await user.should_not_see(marker="deliver")
    await user.should_not_see(marker="release-run")


async def test_an_end_without_proof_is_released_by_two_presses(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "running")
    runs, plane = house.plane.ledgers.runs, house.plane
    with plane.database.transaction() as tx:
        ended = {"kind": "reaped", "sentence": "stopped", "because": "stopped"}
        runs.move(tx, runs.find(run.id), Signal.STOP, now=plane.clock(), **ended)
    runs.update_fields(run.id, project.id, hold="Couldn't confirm that its processes have exited")
    await user.open(f"/runs/{run.id}")
    assert "Couldn't confirm that its processes have exited." in unescape(html_of(user))
    user.find(marker="release-run").click()
    await user.should_see("Release without proof?")
    assert runs.find(run.id).released_at is None
    user.find(marker="release-run").click()
    await until(lambda: runs.find(run.id).released_at is not None)
    await until(lambda: "Its branch is parked." in html_of(user))
    await user.should_not_see(marker="release-run")
    assert plane.adapters.engine.kill(run.id, runs.find(run.id).supervisor)


@pytest.mark.parametrize(
    ("status", "changes", "unproved"),
    [
        (Status.RUNNING, {"hold": "x"}, False),
        (Status.STOPPED, {}, False),
        (Status.STOPPED, {"hold": "Couldn't confirm that its processes have exited"}, True),
        (Status.STOPPED, {"hold": "x", "released_at": NOON}, False),
    ],
)
def test_only_an_end_without_proof_can_be_released(
    status: Status, changes: dict[str, Any], unproved: bool
) -> None:
    run = run_of(1, status, **changes)
    assert is_unproved(run) == unproved
    assert ("Release frees its branch" in why_html(run)) == unproved
