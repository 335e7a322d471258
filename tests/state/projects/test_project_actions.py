"""Actions on projects' auto loops: shown at once, sent once, undone exactly if refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.api.client.client import ApiClient
from app.api.schemas import ProjectOut
from app.state.projects.card_words import Act
from app.state.projects.project_actions import ProjectActs
from app.state.projects.project_board import ProjectBoard
from app.state.runs.run_form import TroubleKind
from tests.builders.run_samples import NOON, project_of, run_of

PAUSED = project_of(
    strikes=3,
    paused=True,
    recent_failures=[
        {"run_id": "run_1", "status": "died", "label": "Died", "because": "agent exited 1"}
    ],
)
Answer = Callable[[httpx.Request], httpx.Response]


class Server:
    """Fake server: answers with `answer` when its gate is open, and records requests."""

    def __init__(self, answer: Answer, project: ProjectOut = PAUSED) -> None:
        self.answer = answer
        self.heard: list[tuple[str, str, str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = NOON
        self.said: list[str] = []
        self.drawn: list[tuple[ProjectOut | None, dict[Act, str]]] = []
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.handle), base_url="http://x")
        self.board = ProjectBoard([project])
        self.acts = ProjectActs(ApiClient(http), self.board, lambda: self.now, self.said.append)
        self.board.on_change(
            lambda _: self.drawn.append((self.board.get("proj_a"), self.acts.busy("proj_a")))
        )

    async def handle(self, request: httpx.Request) -> httpx.Response:
        key = request.headers.get("x-idempotency-key", "")
        path = request.url.path.rpartition("/proj_a/")[2]
        self.heard.append((request.method, path, key, json.loads(request.content or "{}")))
        await self.gate.wait()
        return self.answer(request)

    @property
    def keys(self) -> list[str]:
        return [key for _, _, key, _ in self.heard]

    def trouble(self) -> str:
        trouble = self.acts.trouble("proj_a")
        return trouble.sentence if trouble else ""


def starts(_: httpx.Request) -> httpx.Response:
    return httpx.Response(201, content=run_of(2, issue=7).model_dump_json())


def answers(**changes: Any) -> Answer:
    project = PAUSED.model_copy(update=changes)
    return lambda _: httpx.Response(200, content=project.model_dump_json())


def refuses(status: int, **members: Any) -> Answer:
    return lambda _: httpx.Response(status, json=members, headers={"X-Correlation-Id": "corr-1"})


def is_silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("lost on its way back", request=request)


async def test_each_press_of_start_has_a_key_of_its_own() -> None:
    server = Server(starts)
    for _ in range(2):
        run = await server.acts.start("proj_a")
        assert run is not None
        assert run.issue == 7
    assert len(set(server.keys)) == 2
    assert [uuid.UUID(key).version for key in server.keys] == [4, 4]
    assert server.heard[0][1] == "afk/start"


@pytest.mark.parametrize("lost", [is_silent, refuses(503, error="store_unavailable", detail="-")])
async def test_a_start_whose_end_is_not_known_is_asked_again_under_the_same_key(
    lost: Answer,
) -> None:
    server = Server(lost)
    assert await server.acts.start("proj_a") is None
    server.answer = starts
    assert await server.acts.start("proj_a") is not None
    await server.acts.start("proj_a")
    first, second, third = server.keys
    assert first == second != third


async def test_a_chosen_issue_and_the_next_one_are_two_presses() -> None:
    server = Server(is_silent)
    await server.acts.start("proj_a", 9)
    await server.acts.start("proj_a")
    assert [body for *_, body in server.heard] == [{"issue": 9}, {}]
    assert len(set(server.keys)) == 2


async def test_a_second_press_while_it_starts_sends_nothing() -> None:
    server = Server(starts)
    server.gate.clear()
    first = asyncio.create_task(server.acts.start("proj_a"))
    await asyncio.sleep(0)
    assert await server.acts.start("proj_a") is None
    assert server.acts.busy("proj_a") == {Act.START: "Starting…"}
    server.gate.set()
    assert await first is not None
    assert server.acts.busy("proj_a") == {}
    assert len(server.heard) == 1


async def test_the_feed_shows_through_while_a_start_waits_for_its_answer() -> None:
    server = Server(starts)
    server.gate.clear()
    first = asyncio.create_task(server.acts.start("proj_a"))
    await asyncio.sleep(0)
    server.board.apply(PAUSED.model_copy(update={"live_runs": 1}))
    shown = server.board.get("proj_a")
    assert shown is not None
    assert shown.live_runs == 1
    server.gate.set()
    await first


@pytest.mark.parametrize(
    ("act", "word", "at_once", "answer"),
    [
        ("toggle", {Act.AUTO: "Saving…"}, {"auto_enabled": True}, answers(auto_enabled=True)),
        (
            "reset",
            {Act.RESET: "Resetting…"},
            {"strikes": 0, "paused": False, "recent_failures": []},
            answers(strikes=0, paused=False, recent_failures=[]),
        ),
    ],
)
async def test_it_is_shown_at_once_sent_once_and_stays(
    act: str, word: dict[Act, str], at_once: dict[str, Any], answer: Answer
) -> None:
    server = Server(answer)
    server.gate.clear()
    do = getattr(server.acts, act)
    first = asyncio.create_task(do("proj_a"))
    await asyncio.sleep(0)
    changed = PAUSED.model_copy(update=at_once)
    assert server.drawn[-1] == (changed, word)
    await do("proj_a")
    server.gate.set()
    await first
    assert server.drawn[-1] == (changed, {})
    assert len(server.heard) == 1


@pytest.mark.parametrize("act", ["toggle", "reset"])
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (refuses(409, error="project_archived", detail="This project is archived."), "archived"),
        (is_silent, "The server did not answer. Press it again."),
    ],
)
async def test_what_was_refused_is_exactly_undone_and_says_why(
    act: str, answer: Answer, sentence: str
) -> None:
    server = Server(answer)
    await getattr(server.acts, act)("proj_a")
    assert server.drawn[-1] == (PAUSED, {})
    assert sentence in server.trouble()
    assert server.said == [server.trouble()], "it is read aloud once"
    trouble = server.acts.trouble("proj_a")
    assert trouble is not None
    assert trouble.correlation_id


async def test_a_refusal_goes_when_the_project_changes_or_it_is_tried_again() -> None:
    nothing = refuses(409, error="nothing_ready", detail="No ready-for-agent issues to start.")
    server = Server(nothing)
    for _ in range(2):
        await server.acts.start("proj_a")
        assert server.trouble() == "No ready-for-agent issues to start."
    server.board.apply(PAUSED.model_copy(update={"ready_count": 1}))
    assert server.trouble() == ""
    await server.acts.start("proj_a")
    server.answer = starts
    await server.acts.start("proj_a")
    assert server.trouble() == ""


async def test_a_refusal_stays_while_a_run_goes_on_and_goes_when_one_has_ended() -> None:
    server = Server(
        refuses(409, error="concurrency_limit", detail="Wait."),
        PAUSED.model_copy(update={"live_runs": 3}),
    )
    await server.acts.start("proj_a")
    going_on = {"live_runs": 3, "hold": "its agent starts"}
    server.board.apply(PAUSED.model_copy(update=going_on))
    assert server.trouble() == "Wait."
    server.board.apply(PAUSED.model_copy(update={"live_runs": 2}))
    assert server.trouble() == ""


async def test_a_lost_answer_is_still_told_when_the_feed_brings_its_run() -> None:
    server = Server(is_silent)
    await server.acts.start("proj_a")
    server.board.apply(PAUSED.model_copy(update={"live_runs": 1}))
    assert "it sends the same key, so nothing can start twice" in server.trouble()


async def test_a_rate_limit_is_told_until_it_ends() -> None:
    reset_at = NOON + timedelta(seconds=42)
    server = Server(refuses(429, error="rate_limited", reset_at=reset_at.isoformat()))
    await server.acts.start("proj_a")
    server.board.apply(PAUSED.model_copy(update={"live_runs": 1}))
    trouble = server.acts.trouble("proj_a")
    assert trouble is not None
    assert trouble.kind is TroubleKind.RATE_LIMITED
    server.now = NOON + timedelta(seconds=44)
    assert server.acts.trouble("proj_a") is None


async def test_a_rate_limit_is_heard_as_the_countdown_that_is_shown() -> None:
    reset_at = NOON + timedelta(seconds=3233)
    detail = "Rate limit reached. Retry in 3234 s."
    members = {"detail": detail, "reset_at": reset_at.isoformat()}
    server = Server(refuses(429, error="rate_limited", **members))
    await server.acts.start("proj_a")
    assert server.said == ["Rate limit reached. Retry in 53:54."]


async def test_a_lock_names_the_run_that_holds_it() -> None:
    server = Server(refuses(409, error="pr_lock", detail="-", holder="run_9"))
    await server.acts.start("proj_a", 4)
    trouble = server.acts.trouble("proj_a")
    assert trouble is not None
    assert (trouble.sentence, trouble.run_id) == ("pr_lock contention", "run_9")


async def test_undo_lets_agents_run_without_again_and_shows_so_before_it_is_answered() -> None:
    contained = project_of(sandbox="contained", sandbox_notice=True)
    server = Server(refuses(503, error="store_unavailable", detail="Away."), contained)
    await server.acts.undo_containment("proj_a")
    assert [body for *_, body in server.heard] == [{"sandbox": "none"}]
    shown = [(row.sandbox, row.sandbox_notice) for row, _ in server.drawn if row is not None]
    assert ("none", False) in shown
    # restored after the refusal
    assert (shown[-1], server.trouble()) == (("contained", True), "Away.")


async def test_an_upgrade_that_was_read_is_told_no_more_unless_that_was_refused() -> None:
    contained = project_of(sandbox="contained", sandbox_notice=True)
    server = Server(refuses(503, error="store_unavailable", detail="Away."), contained)
    await server.acts.dismiss_notice("proj_a")
    row = server.board.get("proj_a")
    assert row is not None
    assert (row.sandbox_notice, server.trouble()) == (True, "Away.")
    server.answer = lambda _: httpx.Response(
        200, content=contained.model_copy(update={"sandbox_notice": False}).model_dump_json()
    )
    await server.acts.dismiss_notice("proj_a")
    row = server.board.get("proj_a")
    assert row is not None
    assert (row.sandbox, row.sandbox_notice, server.trouble()) == ("contained", False, "")
    assert [body for *_, body in server.heard] == [{"sandbox_notice": False}] * 2
