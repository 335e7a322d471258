"""A project's charts: drawn from its statistics, updated live, readable as tables."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui
from nicegui.testing.user import User

from tests.builders.run_scenes import DIES, add_project, start, until_status
from tests.pages.conftest import House, html_of, until


def drawn(user: User) -> dict[str, ui.echart]:
    """Return the charts that have data, by name."""
    assert user.client is not None
    cards = [e for e in user.client.elements.values() if "chart" in e._markers]
    return {
        str(card.props["data-chart"]): chart
        for card in cards
        for chart in card.descendants()
        if isinstance(chart, ui.echart)
    }


def tables(user: User) -> list[str]:
    return [part for part in html_of(user).split("\n") if part.startswith('<table class="t"')]


async def test_a_run_that_ends_draws_its_bar_without_a_reload(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await user.open(f"/projects/{project.id}?tab=charts&days=7")
    await user.should_see(marker="no-figures")
    assert "No run has ended in the last 7 days. Press New run" in html_of(user)
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "died")
    await until(lambda: "1</td>" in "".join(tables(user)))
    await user.should_not_see(marker="no-figures")
    assert drawn(user).keys() == {"outcomes", "time"}
    outcomes, durations = drawn(user)["outcomes"], drawn(user)["time"]
    assert [one["name"] for one in outcomes.options["series"]] == ["Died"]
    assert outcomes.options["series"][0]["data"] == [None] * 6 + [1]
    assert len(outcomes.options["xAxis"]["data"]) == 7
    assert len(durations.options["series"][0]["data"]) == 7
    assert "No agent reported a cost." in html_of(user)
    again = await start(house, user, project, "k2", task="again")
    await until_status(house, again.id, "died")
    await until(lambda: outcomes.options["series"][0]["data"][-1] == 2)
    assert drawn(user)["outcomes"] is outcomes, "a chart is changed in place"


async def test_what_is_drawn_has_only_keys_of_our_own(
    house: House, user: User, tmp_path: Path
) -> None:
    # NiceGUI before 3.19 evaluates values whose key begins with a colon
    name = ":formatter"
    project = await add_project(house, user, tmp_path, DIES, name)
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "died")
    await user.open(f"/projects/{project.id}?tab=charts")
    await until(lambda: drawn(user))
    for chart in drawn(user).values():
        assert name not in str(chart.options)
        assert ":" not in "".join(keys_of(chart.options))


def keys_of(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*map(str, value), *(key for one in value.values() for key in keys_of(one))]
    if isinstance(value, list):
        return [key for one in value for key in keys_of(one)]
    return []


async def test_a_list_of_runs_says_what_its_page_used(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "died")
    await user.open(f"/projects/{project.id}?tab=runs")
    assert '<span title="not reported">–</span>' in html_of(user)
    house.plane.ledgers.runs.update_usage(run.id, input_tokens=61_000, cost_usd=0.0)
    await until(
        lambda: "On this page: 61 k tokens · $0.00, reported by 1 of 1 run" in html_of(user)
    )
