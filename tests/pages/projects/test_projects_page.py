"""The projects page: three ways to start, live cards and their actions."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nicegui.testing.user import User

from app.api.schemas import NewIssue, NewProject, ProjectOut, RecentFailure, RunOrder
from app.pages.projects.card import card_html, facts_html
from app.pages.projects.project import banner_html
from app.services.ports import Capability
from app.state.runs.run_form import Trouble, TroubleKind
from tests.builders.repositories import make_origin
from tests.builders.run_samples import NOON, project_of
from tests.builders.run_scenes import WAITS, add_project
from tests.fakes.world import no_sandbox
from tests.pages.conftest import House, html_of, until

HOSTILE = '";alert(1)//<img src=x onerror=alert(1)>'


async def add(house: House, user: User, folder: Path, name: str, *agent_command: str) -> ProjectOut:
    """Add a project with a new repository, wait until it is ready, and return it."""
    origin = make_origin(folder / f"origin{len(list(folder.iterdir()))}")
    api = house.api_of(user)
    project = await api.add_project(
        NewProject(
            name=name,
            origin=str(origin),
            agent="script",
            agent_command=list(agent_command) or ["true"],
        )
    )
    await until(lambda: house.plane.ledgers.projects.find(project.id).state == "ready")
    return await api.project(project.id)


def cards(user: User) -> list[str]:
    """Return the project ids of the cards, in order."""
    found = user.find(marker="project-card").elements
    slots = {id(slot): slot for card in found if (slot := card.parent_slot)}
    shown = [child for slot in slots.values() for child in slot.children if child in found]
    return [card.props["data-project"] for card in shown]


def card_of(user: User, project_id: str) -> Any:
    """Return a project's card element."""
    found = user.find(marker="project-card").elements
    return next(card for card in found if card.props["data-project"] == project_id)


def section(user: User, project_id: str) -> str:
    """Return the test id of the section that a card is in."""
    above = card_of(user, project_id).ancestors()
    return next(one.props["data-testid"] for one in above if one.tag == "section")


def facts(user: User, project_id: str) -> str:
    """Return the facts shown on a card."""
    return card_of(user, project_id).props["facts"]


def words(user: User, project_id: str) -> list[str]:
    """Return the labels of a card's buttons, such as `Start AFK run (1 ready)`."""
    presses = card_of(user, project_id).props["presses"]
    return [f"{head}{rest}{tail} {note}".strip() for _, head, rest, tail, note, *_ in presses]


def press(user: User, project_id: str, act: str) -> None:
    """Press the button with this test id on a card."""
    # `find` matches all cards and would trigger each, so keep only this one
    found = user.find(marker="project-card")
    found.elements.intersection_update({card_of(user, project_id)})
    found.trigger("press", act)


async def write_issues(house: House, user: User, project_id: str, count: int) -> None:
    """Create ready issues."""
    for number in range(count):
        issue = NewIssue(title=f"Do {number}", labels=["ready-for-agent"])
        await house.api_of(user).add_issue(project_id, issue)


async def fail_three_times(house: House, user: User, project_id: str) -> list[str]:
    """Run three AFK runs that die; return their ids."""
    api = house.api_of(user)
    await write_issues(house, user, project_id, 4)
    ids, find = [], house.plane.ledgers.runs.find
    for _ in range(3):
        run = await api.start_afk(project_id)
        await until(lambda run_id=run.id: find(run_id).released_at is not None)
        ids.append(run.id)
    return ids


async def test_an_empty_runyard_offers_three_ways_in(user: User) -> None:
    await user.open("/projects")
    await user.should_see(marker="demo-project")
    await user.should_see(marker="add-project")
    await user.should_see("Open the guide")
    await user.should_not_see(marker="project-card")


async def test_the_demo_project_is_one_click_away(house: House, user: User) -> None:
    await user.open("/projects")
    user.find(marker="demo-project").click()
    await user.should_see(marker="project-card")
    (project,) = await house.api_of(user).projects()
    assert project.name == "demo"


async def test_a_hostile_name_is_text_on_every_page(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, HOSTILE)
    await user.open("/projects")
    assert card_of(user, project.id).props["name"] == HOSTILE
    assert "<img" not in facts(user, project.id)
    for path in (f"/projects/{project.id}", f"/projects/{project.id}?tab=settings"):
        await user.open(path)
        assert escape(HOSTILE) in html_of(user)
        assert "<img" not in html_of(user)


async def test_a_card_shows_settings_status_and_ready_issues(
    house: House, user: User, tmp_path: Path
) -> None:
    shop = await add(house, user, tmp_path, "shop")
    await user.open("/projects")
    assert "main · builtin · script" in facts(user, shop.id)
    assert 'data-testid="card-status"><span>Idle</span>' in facts(user, shop.id)
    assert words(user, shop.id) == ["Start AFK run (0 ready)", "Auto AFK runs: Off"]
    press(user, shop.id, "start-afk")
    await until(lambda: "No ready-for-agent issues to start." in facts(user, shop.id))
    assert "correlation-chip" in facts(user, shop.id)
    await write_issues(house, user, shop.id, 1)
    await until(lambda: "Start AFK run (1 ready)" in words(user, shop.id))
    assert "No ready-for-agent" not in facts(user, shop.id), "it is not true any more"


async def test_a_press_of_start_makes_a_run_that_everybody_sees(
    house: House, user: User, tmp_path: Path
) -> None:
    shop = await add(house, user, tmp_path, "shop", "sleep", "600")
    await write_issues(house, user, shop.id, 2)
    other = await house.sign_in()
    for person in (user, other):
        await person.open("/projects")
    press(user, shop.id, "start-afk")
    press(user, shop.id, "start-afk")
    await until(lambda: "AFK run of #1 started." in html_of(user))
    (run,) = (await house.api_of(user).runs(project_id=shop.id)).items
    assert f'href="/runs/{run.id}"' in html_of(user)
    for person in (user, other):
        await until(lambda person=person: "Running #1" in facts(person, shop.id))
        assert "Start AFK run (1 ready)" in words(person, shop.id)
    await house.api_of(user).stop(run.id)


async def test_the_loop_is_switched_by_one_and_seen_by_the_other(
    house: House, user: User, tmp_path: Path
) -> None:
    shop = await add(house, user, tmp_path, "shop")
    other = await house.sign_in()
    for person in (user, other):
        await person.open("/projects")
    press(user, shop.id, "auto-toggle")
    await until(lambda: "Auto AFK runs: On" in words(other, shop.id))
    assert (await house.api_of(user).project(shop.id)).auto_enabled
    press(other, shop.id, "auto-toggle")
    await until(lambda: "Auto AFK runs: Off" in words(user, shop.id))


async def test_a_paused_project_says_why_and_reset_is_on_its_card_until_pressed(
    house: House, user: User, tmp_path: Path
) -> None:
    shop = await add(house, user, tmp_path, "shop", "false")
    runs = await fail_three_times(house, user, shop.id)
    await user.open("/projects")
    shown = facts(user, shop.id)
    assert "Auto paused · 3 fails" in shown
    assert [f'href="/runs/{run_id}"' in shown for run_id in runs] == [True] * 3
    assert shown.count("agent exited 1") == 2 * 3, "the reason, and once more as title"
    assert section(user, shop.id) == "projects-needs-you"
    assert words(user, shop.id)[0] == "Reset"
    press(user, shop.id, "reset")
    await until(lambda: "Auto paused" not in facts(user, shop.id))
    await until(lambda: words(user, shop.id)[0].startswith("Start AFK run"))
    await until(lambda: section(user, shop.id) == "projects-idle")
    assert (await house.api_of(user).project(shop.id)).strikes == 0


async def test_the_menu_offers_reset_always_and_starts_a_chosen_issue(
    house: House, user: User, tmp_path: Path
) -> None:
    shop = await add(house, user, tmp_path, "shop", "sleep", "600")
    await write_issues(house, user, shop.id, 3)
    await user.open("/projects")
    press(user, shop.id, "card-menu")
    await user.should_see(marker="reset")
    user.find(marker="choose-issue").click()
    await user.should_see(marker="issue-picker")
    user.find(marker="issue-picker").click()
    user.find("#2 Do 1").click()
    user.find(marker="start-issue").click()
    await until(lambda: "Running #2" in facts(user, shop.id))
    (run,) = (await house.api_of(user).runs(project_id=shop.id)).items
    assert run.issue == 2
    await house.api_of(user).stop(run.id)


async def test_what_one_person_does_shows_on_the_page_of_another(
    house: House, user: User, tmp_path: Path
) -> None:
    first = await add(house, user, tmp_path, "b first")
    await user.open("/projects")
    kept = user.find(marker="project-card").elements.pop()
    other = await house.sign_in()
    second = await add(house, other, tmp_path, "a second")
    await until(lambda: cards(user) == [second.id, first.id])
    await house.api_of(other).archive_project(second.id)
    await until(lambda: cards(user) == [first.id])
    assert user.find(marker="project-card").elements == {kept}, "the card was made anew"


async def test_archived_projects_are_behind_the_chip(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, "shop")
    await house.api_of(user).archive_project(project.id)
    await user.open("/projects")
    await user.should_not_see(marker="project-card")
    user.find("Show archived").click()
    assert cards(user) == [project.id]
    assert "Archived" in facts(user, project.id)
    assert "new-run" not in facts(user, project.id)
    assert words(user, project.id) == []


async def test_archiving_wants_to_be_pressed_twice(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, "shop")
    await user.open("/projects")
    press(user, project.id, "card-menu")
    await user.should_see("Archive")
    user.find("Archive").click()
    await user.should_see("Press again to archive")
    assert (await house.api_of(user).project(project.id)).archived_at is None
    user.find("Press again to archive").click()
    await until(lambda: not _sees(user, "project-card"))
    await user.should_see("Archived. Its history can still be read.")
    assert (await house.api_of(user).project(project.id)).archived_at is not None


def _sees(user: User, marker: str) -> bool:
    try:
        return bool(user.find(marker=marker).elements)
    except AssertionError:
        return False


async def test_new_run_opens_the_form_of_the_only_project_over_the_page(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, "shop")
    await user.open("/projects")
    user.find(marker="new-run-anywhere").click()
    await user.should_see(f"Run {project.name}")
    await user.should_see(marker="run-submit")
    assert user.back_history[-1] == "/projects"


async def test_new_run_asks_which_project_where_there_are_several(
    house: House, user: User, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        await add(house, user, tmp_path, name)
    await user.open("/projects")
    user.find(marker="new-run-anywhere").click()
    await user.should_see(marker="run-in")
    assert len(user.find(marker="run-in").elements) == 2


def test_no_word_of_a_card_hides_anything_wherever_it_stands() -> None:
    tag, filler = "\U000e0041", "\uffa0"
    failed = {"run_id": "run_1", "status": "died", "label": "Died", "because": f"no{tag} {filler}"}
    project = project_of(
        origin=f"/srv/{filler}x", base_branch=f"main{tag}", strikes=3, paused=True
    ).model_copy(update={"recent_failures": [RecentFailure.model_validate(failed)]})
    for html in (card_html(project, None, NOON), banner_html(project, NOON)):
        assert tag not in html
        assert filler not in html
        assert "\\uffa0" in html


def test_pages_that_show_a_project_in_the_same_second_share_its_drawing() -> None:
    project, soon = project_of(name="a"), NOON + timedelta(milliseconds=900)
    drawn = facts_html(project, None, NOON)
    assert facts_html(project, None, NOON + timedelta(hours=1)) is drawn
    failed = {"run_id": "run_1", "status": "died", "label": "Died", "because": "no"}
    failure = RecentFailure.model_validate(failed | {"ended_at": NOON})
    changed = project.model_copy(update={"paused": True, "recent_failures": [failure]})
    failing = facts_html(changed, None, NOON)
    assert facts_html(changed, None, soon) is failing
    assert "1 min ago" in facts_html(changed, None, NOON + timedelta(minutes=1))
    trouble = Trouble(TroubleKind.REFUSED, "Not now.")
    assert "Not now." in facts_html(project, trouble, NOON)
    assert facts_html(project, None, NOON) is drawn


async def test_the_demo_says_that_its_agent_will_run_unsandboxed_where_there_is_no_other_way(
    house: House, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    await user.open("/projects")
    assert "Its agent will run unsandboxed." not in html_of(user)
    sandboxes = house.plane.services.projects.sandboxes
    monkeypatch.setattr(sandboxes, "_sandbox", no_sandbox())
    await user.open("/projects")
    assert "Its agent will run unsandboxed. bubblewrap is not installed." in html_of(user)


LACKS = "bubblewrap is not installed. Install bubblewrap (Debian: `apt install bubblewrap`)."
SHOWN = LACKS.replace("`apt install bubblewrap`", "<code>apt install bubblewrap</code>")


async def test_a_missing_sandbox_has_its_way_out_on_the_card_and_from_the_inbox(
    house: House, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await add_project(house, user, tmp_path, WAITS, sandbox="contained")
    api, alerts = house.api_of(user), house.plane.services.alerts
    alerts.check_once()
    await user.open("/projects")
    machine = house.plane.services.projects.sandboxes._sandbox
    with monkeypatch.context() as missing:
        because, _, remedy = LACKS.partition(". ")
        none = SimpleNamespace(capability=Capability(None, (), f"{because}.", remedy))
        missing.setattr(machine, "_inspect", lambda **_: none)
        await api.doctor("anew")
        alerts.check_once()
        await until(lambda: SHOWN in facts(user, project.id))
        assert section(user, project.id) == "projects-needs-you"
        press(user, project.id, "set-up")
        await until(lambda: "Set up the sandbox" in html_of(user))
        assert 'data-copy="apt install bubblewrap"' in html_of(user)
        await user.open(f"/projects/{project.id}?do=set-up")
        await until(lambda: "Set up the sandbox" in html_of(user))
    other = await house.sign_in()
    await other.open("/projects")
    assert SHOWN in facts(other, project.id)
    user.find(marker="setup-check").click()
    await until(lambda: "The sandbox is ready." in html_of(user))
    alerts.check_once()
    await until(lambda: "bubblewrap" not in facts(other, project.id))


async def test_time_alone_sends_nothing_to_a_page_with_an_idle_project(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, "shop", "false")
    run = await house.api_of(user).start_run(RunOrder(project_id=project.id), "k")
    await until(lambda: house.plane.ledgers.runs.find(run.run.id).status == "died")
    await user.open("/projects")
    await until(lambda: section(user, project.id) == "projects-idle")
    card = card_of(user, project.id)
    client = user.client
    assert client is not None
    sent = dict(client.outbox.updates)
    for _ in range(5):
        card._session._offset += timedelta(minutes=1)
        card.show(card._session.board.get(project.id))
    assert dict(client.outbox.updates) == sent
    assert "now" in facts(user, project.id)
