"""A run's page: status, timeline, log, diff, pull request, Stop."""

from __future__ import annotations

import asyncio
import re
from html import escape
from pathlib import Path

import httpx
import pytest
from nicegui.testing.user import User

from app.api.client.client import DiffText
from app.api.schemas import DeliveryOut, ReportOut
from app.domain.ids import shorten
from app.domain.words import Delivers, Depth, Status
from app.pages.runs.delivery import card_html, safe_href
from app.pages.runs.diff_panel import save_html
from app.pages.runs.facts import short_facts
from app.pages.runs.header import chips_html
from tests.builders.run_samples import project_of, run_of
from tests.builders.run_scenes import (
    DELIVERS,
    WAITS,
    add_project,
    ended_run,
    start,
    until_status,
)
from tests.drivers.web.page_calls import session_of
from tests.pages.conftest import PATIENCE_SECONDS, House, html_of, until


async def test_a_run_is_followed_from_its_start_to_its_stop(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1", task="Reject expired coupons")
    await user.open(f"/runs/{run.id}")
    await user.should_see("Reject expired coupons")
    await until(lambda: "Running · <time data-since=" in html_of(user))
    await until(lambda: "waiting\n" in html_of(user))
    await until(lambda: "Agent started" in html_of(user))
    assert "2:00:00" in html_of(user)
    assert "The pull request opens when the agent is done." in html_of(user)
    user.find(marker="stop-run").click()
    await user.should_see("Stop now?")
    assert (await house.api_of(user).run(run.id)).status == "running"
    user.find(marker="stop-run").click()
    await until(lambda: "Stopped · " in html_of(user))
    await until(lambda: "Synced at" in html_of(user))
    await user.should_not_see(marker="stop-run")
    assert "Run did not complete — no PR created" in html_of(user)


async def test_a_delivered_run_shows_its_change_request_and_merges_it(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    run = await start(house, user, project, "k1")
    await user.open(f"/runs/{run.id}")
    await until_status(house, run.id, "succeeded")
    await until(lambda: "Change request #" in html_of(user))
    assert "1 file changed" in html_of(user)
    await until(lambda: '<span class="k2">142 passed</span> &lt;b&gt;&amp;amp;' in html_of(user))
    user.find(marker="merge").click()
    await until(lambda: "Merged" in html_of(user))
    await user.should_not_see(marker="merge")
    (change,) = await house.api_of(user).changes(project.id)
    assert change.state == "merged"


async def test_the_diff_is_text_and_read_when_it_is_looked_at(
    house: House, user: User, tmp_path: Path
) -> None:
    run = await ended_run(house, user, tmp_path, DELIVERS, "succeeded")
    await user.open(f"/runs/{run.id}")
    assert "fixed.txt" not in html_of(user)
    user.find(marker="tab-diff").click()
    await until(lambda: "fixed.txt" in html_of(user))
    assert escape("<script>alert(1)</script>") in html_of(user)
    assert "<script" not in html_of(user)
    assert f'download="{run.id}.patch"' in html_of(user)


@pytest.mark.parametrize(
    ("diff", "is_cut", "name", "note"),
    [
        ("+Binary files a and b differ\n", False, "Save patch", ""),
        ("Binary files a/x and b/x differ\n", False, "Save diff", "It lacks binary files."),
        ("+x\n", True, "Save diff", "It lacks what lies beyond its first 2 MB."),
    ],
)
def test_only_what_can_be_applied_is_called_a_patch(
    diff: str, name: str, note: str, *, is_cut: bool
) -> None:
    html = save_html("run_c0", DiffText(diff, is_cut))
    assert f">{name}</a>" in html
    assert (note in html) if note else ("lacks" not in html)


async def test_a_working_copy_can_be_gone_to_while_it_is_there(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1")
    await user.open(f"/runs/{run.id}")
    await until(lambda: 'data-testid="working-copy"' in html_of(user))
    assert f'{run.id}" title="cd {house.plane.settings.runs_root}' in html_of(user)
    await house.api_of(user).stop(run.id)
    await until(lambda: house.plane.ledgers.runs.find(run.id).released_at is not None)
    await until(lambda: 'data-testid="working-copy"' not in html_of(user))


async def test_a_death_says_why_in_the_head_and_in_the_timeline(
    house: House, user: User, tmp_path: Path
) -> None:
    run = await ended_run(house, user, tmp_path)
    await user.open(f"/runs/{run.id}")
    assert "Agent exited 3." in html_of(user)
    assert "fatal: boom" in html_of(user)
    assert 'data-testid="env-provenance"' in html_of(user)
    kinds = [e.props["data-kind"] for e in user.find(marker="timeline-event").elements]
    assert {"accepted", "claimed", "spawned", "exited", "reaped"} <= set(kinds)


async def test_a_run_that_ended_without_a_word_promises_no_more_of_them(
    house: House, user: User, tmp_path: Path
) -> None:
    run = await ended_run(house, user, tmp_path, "exit 3")
    await user.open(f"/runs/{run.id}")
    await user.should_see("Nothing was written.")
    await user.should_not_see("Nothing was written yet.")


async def test_a_snapshot_that_comes_late_takes_nothing_back_that_was_told_meanwhile(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "running")
    await user.open(f"/runs/{run.id}")
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def hold_back(answer: httpx.Response) -> None:
        asked.set()
        await may_answer.wait()

    session = session_of(user)
    hooks = session.api.http.event_hooks["response"]
    hooks.append(hold_back)
    returning = [
        asyncio.ensure_future(coming)
        for coming in (handler() for handler in session._returns)
        if coming is not None  # some handlers have nothing to fetch
    ]
    await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
    hooks.remove(hold_back)
    await house.api_of(user).stop(run.id)
    await until(lambda: "Stopped · " in html_of(user))
    steps = len(user.find(marker="timeline-event").elements)
    may_answer.set()
    await asyncio.gather(*returning)
    assert "Stopped · " in html_of(user)
    assert len(user.find(marker="timeline-event").elements) >= steps


async def test_an_unknown_run_is_a_page_with_404(user: User) -> None:
    answer = await user.http_client.get("/runs/run_nothing")
    assert answer.status_code == 404


DELIVERY = DeliveryOut(kind="pull_request", number=7, url="https://forge.test/7", state="open")


@pytest.mark.parametrize(
    ("status", "changes", "words"),
    [
        (Status.DELIVERING, {}, "Creating pull request…"),
        (Status.DIED, {}, "Run did not complete — no PR created"),
        (Status.STOPPED, {}, "Run did not complete — no PR created"),
        (Status.RUNNING, {"pr_number": 4}, "An open PR already exists for this branch."),
        (Status.SUCCEEDED, {"delivers": Delivers.REPORT}, "opens no pull request"),
        (Status.SUCCEEDED, {"delivery": DELIVERY}, "Pull request #7"),
    ],
)
def test_the_pull_request_card_has_words_for_each_state(
    status: Status, changes: dict[str, object], words: str
) -> None:
    assert words in card_html(run_of(1, status, **changes))


@pytest.mark.parametrize(
    ("url", "href"),
    [
        ("https://forge.test/7", "https://forge.test/7"),
        ("/projects/p/changes/1", "/projects/p/changes/1"),
        ("javascript:alert(1)", ""),
        ("JaVaScRiPt:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//evil.test/x", ""),
        ("/\\evil.test/x", ""),
        ("https://", ""),
        ("http://[bad", ""),
    ],
)
def test_a_hostile_link_is_no_link(url: str, href: str) -> None:
    assert safe_href(url) == href


def links_of(html: str) -> dict[str, str]:
    """Return the address of each chip by its text."""
    found = re.findall(r'<a class="chip" href="([^"]*)"[^>]*>([^<]*)</a>', html)
    return {words: href.replace("&amp;", "&") for href, words in found}


def test_a_runs_issue_and_branch_lead_there_in_one_press() -> None:
    run = run_of(7, issue=67, work_branch="afk/67", retry_of=run_of(3).id)
    assert links_of(chips_html(run, project_of())) == {
        "Issue #67": "/projects/proj_a/issues/67",
        "afk/67": "/runs?project=proj_a&branch=afk%2F67",
        "retry of …000003": f"/runs/{run_of(3).id}",
    }
    told = {"number": 4, "url": "/projects/proj_a/changes/4", "state": "open"}
    delivered = run_of(7, work_branch="afk/67", delivery=DeliveryOut(kind="change", **told))
    shown = links_of(chips_html(delivered, project_of()))
    assert shown["Change #4"] == "/projects/proj_a/changes/4"
    assert shown["afk/67"] == "/runs?project=proj_a&branch=afk%2F67"


def test_a_chip_is_shown_for_what_differs_from_the_default() -> None:
    usual = run_of(7, depth_level=Depth.STANDARD, target_framework="auto")
    assert "standard" not in chips_html(usual, project_of())
    deep = run_of(7, depth_level=Depth.DEEP, target_framework="django")
    shown = chips_html(deep, project_of())
    assert ">deep depth<" in shown
    assert ">django<" in shown


def test_an_issue_that_is_kept_elsewhere_leads_to_its_runs() -> None:
    run = run_of(7, issue=67, work_branch="<b>")
    html = chips_html(run, project_of(tracker="github"))
    assert links_of(html)["Issue #67"] == "/runs?project=proj_a&issue=67"
    assert "<b>" not in html


@pytest.mark.parametrize("key", ["nightly-2026-11-22", "nigh/ly?2026//11/22"])
async def test_the_key_of_a_run_is_shown_and_reset_with_two_presses(
    house: House, user: User, tmp_path: Path, key: str
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, key)
    await until_status(house, run.id, "running")
    await user.open(f"/runs/{run.id}")
    await user.should_see(marker="reset-key")
    assert f'data-copy="{key}"' in html_of(user)
    assert "key nigh…22" in html_of(user)
    user.find(marker="reset-key").click()
    await user.should_see("Reset now?")
    user.find(marker="reset-key").click()
    await user.should_not_see(marker="reset-key")
    assert key not in html_of(user)
    assert (await house.api_of(user).run(run.id)).status == "running"
    second = await start(house, user, project, key, task="again")
    assert second.id != run.id
    for each in (run, second):
        await house.api_of(user).stop(each.id)
        await until(lambda each=each: house.plane.ledgers.runs.find(each.id).released_at)


async def test_the_person_who_started_a_run_is_named(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    run = await start(house, user, project, "k1")
    await user.open(f"/runs/{run.id}")
    await until(lambda: ">operator</a> (you)</dd>" in html_of(user))
    assert f"/audit?person={run.created_by}" in html_of(user)
    assert f">{run.created_by}<" not in html_of(user)


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        ({}, []),
        (
            {"sandbox": "contained", "sandbox_means": "bubblewrap", "network": "all"},
            ["<dt>Sandbox</dt><dd>contained · bubblewrap</dd>", "<dt>Network</dt><dd>all</dd>"],
        ),
        (
            {"sandbox": "sandboxed", "limits": "2048 MB of memory"},
            ["<dd>sandboxed</dd>", "<dt>Limits</dt><dd>2048 MB of memory</dd>", "sandbox-chip"],
        ),
        (
            {"sandbox": "contained", "allow": "docker, dbus"},
            ["<dt>Allowed</dt><dd>docker, dbus</dd>", '"chip wait"', ">docker, dbus allowed</a>"],
        ),
        ({"sandbox": "none"}, ['<span class="alarm">Unsandboxed</span>', ">Unsandboxed</a>"]),
    ],
)
def test_a_run_tells_what_surrounded_its_agent(made: dict[str, str], shown: list[str]) -> None:
    run = run_of(1)
    run.provenance = run.provenance.model_copy(update=made)
    facts = dict(short_facts(run, ReportOut(sentence="")))
    html = chips_html(run, project_of()) + "".join(
        f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value
    )
    assert [words for words in shown if words not in html] == []
    assert made or "<dt>Sandbox</dt>" not in html
    # open states come first: on a phone the other chips are scrolled out of view
    first = chips_html(run, project_of()).index(shorten(run.id))
    assert "chip stop" not in html[first:]
    assert "chip wait" not in html[first:]
