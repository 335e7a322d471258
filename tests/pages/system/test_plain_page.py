"""The HTML of the plain page: every state of a card, all foreign text escaped."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from app.api.schemas import LastRun, ProjectOut, RecentFailure, RunOut
from app.api.schemas.forms import PlainCard, PlainInbox, PlainPage
from app.domain.words import Status, label_of
from app.pages.system.plain import PlainPages
from tests.builders.run_samples import NOON, project_of, run_of
from tests.drivers.servers.processes import ROOT
from tests.state.review.test_inbox_board import facts, item

NOW = NOON + timedelta(seconds=401)
HOSTILE = '"><script>alert(1)</script>\u202e\x1b]0;x\x07{{ csrf }}'


@pytest.fixture(scope="module")
def plain() -> PlainPages:
    return PlainPages(ROOT / "assets" / "plain")


def anything(*_: object) -> bool:
    return True


def draw(
    plain: PlainPages, project: ProjectOut, *runs: RunOut, unseen: int = 0, csrf: str | None = "S"
) -> str:
    return plain.card(
        PlainCard(project, runs, unseen, csrf, new_key=lambda: "K", now=NOW, may=anything)
    )


def page(plain: PlainPages, *cards: str, archived: tuple[str, ...] = (), **changes: Any) -> str:
    given: dict[str, Any] = {"notice": "", "tone": "", "look": "", "now": NOW}
    made = run_of(1).provenance
    return plain.page(PlainPage("", cards, archived, made=made, **given | changes))


def last(status: Status) -> LastRun:
    return LastRun(
        id="run_1",
        status=status,
        label=label_of(status),
        issue=128,
        created_at=NOON,
        started_at=NOON,
    )


def failure(status: Status, because: str, **told: Any) -> RecentFailure:
    return RecentFailure(
        run_id="1", status=status, label=label_of(status, None), because=because, **told
    )


def text_of(html: str) -> str:
    """Return the text without tags, whitespace collapsed."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Idle"),
        ({"last_run": last(Status.RUNNING), "live_runs": 1}, "Running #128 · 06:41"),
        ({"last_run": last(Status.QUEUED)}, "Queued"),
        ({"paused": True, "strikes": 3}, "Auto paused · 3 fails"),
        ({"state": "cloning", "clone_percent": 42}, "Cloning 42 %"),
        ({"state": "broken"}, "Broken"),
        ({"archived_at": NOON}, "Archived"),
    ],
)
def test_the_pill_is_that_of_the_live_card(
    plain: PlainPages, changes: dict[str, Any], words: str
) -> None:
    card = draw(plain, project_of(**changes))
    assert f'data-testid="card-status"><span>{words}</span>' in card


@pytest.mark.parametrize(
    ("ready", "words"),
    [(None, "Start AFK run of"), (0, "Start AFK run (0 ready) of"), (4, "Start AFK run (4 ready)")],
)
def test_what_is_ready_is_counted_and_the_unknown_is_not_zero(
    plain: PlainPages, ready: int | None, words: str
) -> None:
    card = draw(plain, project_of(ready_count=ready))
    assert words in text_of(card)
    assert ('class="btn weak"' in card) is (ready == 0)


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        ({}, {"start", "auto"}),
        ({"strikes": 1}, {"start", "auto", "reset"}),
        ({"strikes": 3, "paused": True}, {"start", "auto", "reset"}),
        ({"state": "broken"}, set()),
        ({"state": "broken", "strikes": 3}, {"reset"}),
        ({"archived_at": NOON, "strikes": 3}, set()),
    ],
)
def test_a_card_offers_what_can_be_done(
    plain: PlainPages, changes: dict[str, Any], actions: set[str]
) -> None:
    card = draw(plain, project_of(**changes))
    assert set(re.findall(r'action="/afk/(\w+)/', card)) == actions


def test_the_last_reasons_stand_on_the_card(plain: PlainPages) -> None:
    failures = [
        failure(Status.DIED, "agent exited 1", issue=31, ended_at=NOON - timedelta(minutes=5)),
        failure(Status.TIMED_OUT, "its budget is used up"),
        failure(Status.NOT_STARTED, ""),
    ]
    paused = project_of(strikes=4, paused=True, recent_failures=failures)
    assert (
        "Auto paused · 4 fails #31 · Died · agent exited 1 · 11 min ago"
        " Timed out · its budget is used up Not started"
    ) in text_of(draw(plain, paused))
    one = project_of(strikes=1, recent_failures=failures[:1])
    assert "Failed in a row · 1 fail #31 · Died" in text_of(draw(plain, one))


def test_each_open_run_can_be_stopped_and_says_where_it_stands(plain: PlainPages) -> None:
    live = run_of(1, started_at=NOON, issue=128, title="Reject expired coupons")
    waits = run_of(2, Status.QUEUED, hold="3 of 3 runs are live.")
    card = draw(plain, project_of(), live, waits, unseen=7)
    assert re.findall(r'action="/afk/stop/(\w+)"', card) == [live.id, waits.id]
    words = text_of(card)
    assert "Running · 06:41" in words
    assert "Reject expired coupons" in words
    assert "Stop run #128 of checkout-api" in words
    assert "3 of 3 runs are live." in words
    assert "and 7 more" in words


def test_every_form_has_the_secret_and_each_start_a_key_of_its_own(plain: PlainPages) -> None:
    keys = iter("abc")
    content = PlainCard(
        project_of(strikes=1),
        [run_of(1)],
        unseen=0,
        csrf="secret",
        new_key=lambda: next(keys),
        now=NOW,
        may=anything,
    )
    card = plain.card(content)
    assert card.count("<form") == card.count('name="csrf" value="secret"') == 5
    assert re.findall(r'name="x_idempotency_key" value="(\w)"', card) == ["a", "b"]
    assert "csrf" not in draw(plain, project_of(), csrf=None)


def test_words_of_others_are_text_and_nothing_hides_in_them(plain: PlainPages) -> None:
    failures = [failure(Status.DIED, HOSTILE)]
    project = project_of(
        name=HOSTILE,
        base_branch=HOSTILE,
        agent=HOSTILE,
        state_because=HOSTILE,
        state="broken",
        strikes=3,
        paused=True,
        recent_failures=failures,
    )
    whole = page(
        plain, draw(plain, project, run_of(1, title=HOSTILE, hold=HOSTILE)), notice=HOSTILE
    )
    assert "<script" not in whole
    assert not set(whole) & {"\u202e", "\x1b", "\x07"}
    assert "\\u202e\\x1b]0;x\\x07{{ csrf }}" in whole


@pytest.mark.parametrize(
    ("look", "marked"), [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"')]
)
def test_a_pinned_look_is_worn(plain: PlainPages, look: str, marked: str) -> None:
    assert f'<html lang="en"{marked}>' in page(plain, look=look)


@pytest.mark.parametrize("look", ["", "auto", '"><script>'])
def test_any_other_look_follows_the_system(plain: PlainPages, look: str) -> None:
    assert '<html lang="en">' in page(plain, look=look)


def test_the_page_loads_nothing_but_styles_and_an_icon_of_ours(plain: PlainPages) -> None:
    whole = page(plain, draw(plain, project_of()), archived=(draw(plain, project_of()),))
    linked = re.findall(r'(?:href|src)="([^"]*)"', whole)
    assert {link for link in linked if link.startswith("/assets/")} == {
        "/assets/icon.svg",
        "/assets/theme.css",
        "/assets/plain/plain.css",
    }
    assert all(link.startswith("/") for link in linked)
    for word in ("<script", "style=", "javascript:", "<iframe", "<img", "http-equiv"):
        assert word not in whole


def test_without_projects_the_page_says_how_to_add_one(plain: PlainPages) -> None:
    assert "No projects yet. Add one with runyard projects add" in text_of(page(plain))


def test_a_change_in_conflict_has_no_button_that_would_be_refused(plain: PlainPages) -> None:
    items = [
        item(1, project_id="p", run_id="r", facts=facts()),
        item(2, project_id="p", run_id="r", facts=facts(conflicts=["a.py"])),
    ]
    html = plain.inbox(PlainInbox(items, [], "S", NOW, anything))
    assert "/afk/merge/1/p" in html
    assert "Change 2" in html
    assert "/afk/merge/2/p" not in html


def test_a_project_whose_agent_is_missing_says_so_and_its_start_is_weak(plain: PlainPages) -> None:
    missing = "claude is not installed."
    project = project_of(agent_ready=False, agent_problem=missing, ready_count=2)
    card = draw(plain, project)
    assert missing in text_of(card)
    assert 'class="btn weak" data-testid="start-afk"' in card
    # what is being done counts more
    assert missing not in text_of(
        draw(plain, project.model_copy(update={"last_run": last(Status.RUNNING)}))
    )
