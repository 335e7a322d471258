"""The list of runs: live rows, filters in the address, paging, rows being submitted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nicegui.testing.user import User

from tests.builders.run_scenes import DAY, DIES, WAITS, add_project, start, until_status
from tests.pages.conftest import House, html_of, until


def rows(user: User) -> list[tuple[str, str]]:
    """Return (run id, status) of each row, from top to bottom."""
    assert user.client is not None
    made = [e for e in user.client.elements.values() if "run-row" in e._markers]
    if not made:
        return []
    slot = made[0].parent_slot
    assert slot is not None
    shown = [child for child in slot.children if child in made]
    return [(str(row.props["data-run"]), str(row.props["data-status"])) for row in shown]


async def test_an_empty_list_says_what_to_press(user: User) -> None:
    await user.open("/runs")
    await user.should_see("No runs yet.")
    assert rows(user) == []


async def test_a_row_follows_its_run_and_stays_the_same_element(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    await user.open("/runs")
    run = await start(house, user, project, "k1")
    await until(lambda: rows(user) == [(run.id, "running")])
    (row,) = user.find(marker="run-row").elements
    await house.api_of(user).stop(run.id)
    await until(lambda: rows(user) == [(run.id, "stopped")])
    assert user.find(marker="run-row").elements == {row}
    await until_status(house, run.id, "stopped")


async def test_newer_runs_come_on_top(house: House, user: User, tmp_path: Path) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    first = await start(house, user, project, "k1", task="one")
    await user.open("/runs")
    second = await start(house, user, project, "k2", task="two")
    await until(lambda: [run for run, _ in rows(user)] == [second.id, first.id])
    await until(lambda: {status for _, status in rows(user)} == {"died"})


async def test_stop_in_the_row_wants_two_presses(house: House, user: User, tmp_path: Path) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "running")
    await user.open("/runs")
    user.find(marker="row-stop").click()
    await user.should_see("Stop now?")
    assert (await house.api_of(user).run(run.id)).status == "running"
    user.find(marker="row-stop").click()
    await until(lambda: rows(user) == [(run.id, "stopped")])


async def test_filters_are_read_from_the_address_and_hold_for_the_feed(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    other = await add_project(house, user, tmp_path, DIES, "other")
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "died")
    await user.open(f"/runs?project={project.id}&status=died")
    assert rows(user) == [(run.id, "died")]
    foreign = await start(house, user, other, "k2")
    await until_status(house, foreign.id, "died")
    again = await start(house, user, project, "k3", task="again")
    await until(lambda: [run for run, _ in rows(user)] == [again.id, run.id])
    assert 'href="/runs?project=' in html_of(user)
    await user.open("/runs?status=succeeded")
    await user.should_see("No run passes these filters.")


async def test_what_is_searched_for_is_in_the_address_and_holds_for_the_feed(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    run = await start(house, user, project, "k1", task="Mend the greeting")
    other = await start(house, user, project, "k2", task="Count the sheep")
    await user.open("/runs?trigger=manual")
    await until(lambda: len(rows(user)) == 2)
    user.find(marker="list-search").type("greeting")
    await until(lambda: [found for found, _ in rows(user)] == [run.id])
    assert 'href="/runs?trigger=manual&amp;q=greeting&amp;status=died"' in html_of(user)
    later = await start(house, user, project, "k3", task="Greeting of sheep")
    await until(lambda: [found for found, _ in rows(user)] == [later.id, run.id])
    user.find(marker="list-search").clear()
    await until(lambda: len(rows(user)) == 3)
    await user.open(f"/runs?q={other.id[-6:]}")
    assert [found for found, _ in rows(user)] == [other.id]
    await user.open("/runs?q=nothing+of+it")
    await user.should_see("No run passes these filters.")
    for each in (run, other, later):
        await until_status(house, each.id, "died")


async def test_pages_go_by_cursor(house: House, user: User, tmp_path: Path) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    for number in range(3):
        await start(house, user, project, f"k{number}", task=str(number), delay=DAY)
    page = await house.api_of(user).runs(limit=2)
    await user.open(f"/runs?cursor={page.next_cursor}")
    assert len(rows(user)) == 1
    assert "‹ Newer" in html_of(user)
    first_page = await house.sign_in()
    await first_page.open("/runs")
    newest = await start(house, user, project, "k9", task="newest", delay=DAY)
    await until(lambda: newest.id in dict(rows(first_page)))
    assert len(rows(user)) == 1, "a later page takes no new rows"


async def test_a_submit_is_on_top_of_the_list_in_another_tab_until_it_is_a_run(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    await user.open("/runs")
    stranger = await house.sign_in()
    await stranger.open("/runs")
    form = User(user.http_client)
    await form.open(f"/projects/{project.id}/run?task=x")
    form.find(marker="run-submit").click()
    seen: list[list[str]] = []
    elsewhere: set[str] = set()
    while not form.back_history[-1].startswith("/runs/"):
        if (now := [status for _, status in rows(user)]) not in seen:
            seen.append(now)
        elsewhere |= {status for _, status in rows(stranger)}
        assert form.client  # reading an attribute of a User points ui.navigate at it
        await asyncio.sleep(0)
    assert ["submitting"] in seen
    assert all(len(statuses) <= 1 for statuses in seen), "one submit showed as two rows"
    assert "submitting" not in elsewhere
    run_id = form.back_history[-1].removeprefix("/runs/")
    await until(lambda: rows(user) == rows(stranger) == [(run_id, "running")])
    await house.api_of(user).stop(run_id)
