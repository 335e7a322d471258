"""The run form: one key per run, and each refusal shown in its place."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.api.client.client import ApiClient
from app.api.schemas import QuotaOut, RunOut, RunsPage, UsageLimit
from app.domain.quota import QuotaBanner, QuotaLevel
from app.domain.words import Depth
from app.state.page.submits import Submits
from app.state.runs.run_board import RunBoard, RunFilters, Submitting
from app.state.runs.run_form import NO_ANSWER, RunForm, Trouble, TroubleKind
from tests.builders.run_samples import NOON, project_of, run_of


class Server:
    """Fake server of the form: answers with `answer` and records requests."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answer = answer
        self.keys: list[str] = []
        self.correlation_ids: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.submits = Submits()
        self.board = RunBoard(RunFilters())
        self.board.load(RunsPage(items=[run_of(1)]))
        self.submits.watch("me", self.board, lambda: None)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.handle), base_url="http://x")
        self.api = ApiClient(http)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers["x-idempotency-key"])
        self.correlation_ids.append(request.headers["X-Correlation-Id"])
        self.bodies.append(json.loads(request.content))
        await self.gate.wait()
        return self.answer(request)

    async def submit(self, form: RunForm, now: datetime = NOON) -> RunOut | None:
        return await form.submit(self.api, self.submits, "me", lambda: now)


def accepts(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201, content=run_of(2).model_dump_json())


def refuses(status: int, **members: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=members, headers={"X-Correlation-Id": "corr-1"})

    return answer


def falls_silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("gone", request=request)


def form_of(**query: str) -> RunForm:
    return RunForm.open(project_of(), query)


def quota_of(remaining: int, reset_at: datetime | None = None) -> QuotaOut:
    return QuotaOut(
        limit=20, remaining=remaining, used=20 - remaining, window_seconds=3600, reset_at=reset_at
    )


async def test_a_new_form_has_a_new_uuid_and_keeps_it_over_retries() -> None:
    server, form = Server(falls_silent), form_of()
    assert uuid.UUID(form.key).version == 4
    await server.submit(form)
    await server.submit(form)
    assert server.keys == [form.key, form.key]
    assert len(set(form.sent)) == 2
    assert server.correlation_ids == list(form.sent)
    assert form_of().key != form.key


def test_reset_form_takes_a_new_key_and_empties_the_fields() -> None:
    form = form_of(task="do it", branch="dev")
    form.quota = quota_of(5)
    key = form.key
    form.reset()
    assert form.key != key
    assert (form.task, form.branch, form.trouble) == ("", "main", None)
    assert form.quota is not None


def test_a_deep_link_fills_the_fields_it_names_rightly() -> None:
    form = form_of(
        branch="dev", depth="deep", framework="pytest", issue="12", agent="a", model="m", task="t"
    )
    assert form.order().model_dump(exclude_unset=True) == {
        "project_id": "proj_a",
        "depth_level": Depth.DEEP,
        "target_framework": "pytest",
        "branch": "dev",
        "issue": 12,
        "agent": "a",
        "model": "m",
        "task": "t",
    }


@pytest.mark.parametrize(
    "query", [{"depth": "abyss"}, {"framework": "<b>"}, {"issue": "-1"}, {"issue": "1e9"}]
)
def test_a_deep_link_with_nonsense_leaves_the_defaults(query: dict[str, str]) -> None:
    form = form_of(**query)
    assert (form.depth, form.framework, form.issue) == (Depth.STANDARD, "auto", None)


async def test_a_double_click_sends_once() -> None:
    server, form = Server(accepts), form_of()
    server.gate.clear()
    first = asyncio.create_task(server.submit(form))
    while not server.keys:
        await asyncio.sleep(0)
    assert await server.submit(form) is None
    assert isinstance(server.board.rows()[0], Submitting)
    server.gate.set()
    run = await first
    assert run is not None
    assert len(server.keys) == 1
    assert [row.id for row in server.board.rows() if isinstance(row, RunOut)] == [
        run_of(2).id,
        run_of(1).id,
    ]


@pytest.mark.parametrize(
    ("answer", "kind", "sentence", "run_id"),
    [
        (refuses(409, error="concurrency_limit", detail="Full."), "concurrency_limit", "Full.", ""),
        (refuses(409, error="pr_lock", holder="run_x"), "pr_lock", "pr_lock contention", "run_x"),
        (
            refuses(422, error="key_reused", run_id="run_y"),
            "key_reused",
            "This form has already started a run.",
            "run_y",
        ),
        (refuses(422, error="invalid", detail="No such branch."), "refused", "No such branch.", ""),
        (refuses(500, title="Fault"), "refused", "Fault", ""),
    ],
)
async def test_each_refusal_has_its_sentence_and_takes_only_its_own_row_away(
    answer: Callable[[httpx.Request], httpx.Response], kind: str, sentence: str, run_id: str
) -> None:
    server, form = Server(answer), form_of(task="kept")
    assert await server.submit(form) is None
    assert form.trouble == Trouble(TroubleKind(kind), sentence, "corr-1", None, run_id)
    assert form.inline() is form.trouble
    assert form.why_disabled(NOON) is None
    assert form.task == "kept"
    assert server.board.rows() == [run_of(1)]


async def test_no_answer_is_not_no() -> None:
    server, form = Server(falls_silent), form_of()
    await server.submit(form)
    assert form.trouble is not None
    assert form.trouble.kind is TroubleKind.NO_ANSWER
    assert form.trouble.sentence == NO_ANSWER
    assert form.trouble.correlation_id


async def test_a_rate_limit_holds_run_back_to_the_second_it_ends_rounded_up() -> None:
    reset_at = (NOON + timedelta(seconds=41.2)).isoformat()
    server, form = Server(refuses(429, error="rate_limited", reset_at=reset_at)), form_of()
    await server.submit(form)
    form.quota = quota_of(0, NOON + timedelta(seconds=41.2))
    until = NOON + timedelta(seconds=42)
    assert form.banner(NOON) is form.trouble
    assert form.inline() is None
    assert form.wakes_at(NOON) == until
    assert form.why_disabled(until - timedelta(milliseconds=1))
    assert form.why_disabled(until) is None
    assert form.banner(until) is None


def test_the_quota_is_followed_while_the_form_is_open() -> None:
    form = form_of()
    reset_at = NOON + timedelta(minutes=5)
    form.quota = quota_of(2, reset_at)
    assert form.banner(NOON) == QuotaBanner(QuotaLevel.CLOSE, 2, reset_at)
    assert form.why_disabled(NOON) is None
    form.quota = quota_of(0, reset_at)
    assert form.why_disabled(NOON)
    assert form.wakes_at(NOON) == reset_at
    form.quota = quota_of(3, reset_at)
    assert form.banner(NOON) is None


async def test_a_form_that_cannot_be_sent_says_so_without_asking() -> None:
    server, form = Server(accepts), form_of(task="x" * 40_000)
    assert await server.submit(form) is None
    assert form.trouble is not None
    assert form.trouble.sentence.startswith("task:")
    assert server.keys == []


async def test_a_client_that_leaves_in_the_middle_leaves_no_row_behind() -> None:
    server, form = Server(accepts), form_of()
    server.gate.clear()
    task = asyncio.create_task(server.submit(form))
    while not server.keys:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert server.board.rows() == [run_of(1)]
    assert not form.busy


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("family", "until", "agent", "model", "is_held"),
    [
        ("", NOON + HOUR, "", "", True),
        ("", NOON + HOUR, " claude ", "opus", True),
        ("", None, "", "", True),
        ("", NOON, "", "", False),
        ("", NOON + HOUR, "codex", "", False),
        ("opus", NOON + HOUR, "", "claude-opus-4-5", True),
        ("opus", NOON + HOUR, "", "sonnet", False),
        ("opus", NOON + HOUR, "", "", True),
    ],
)
def test_an_account_at_its_usage_limit_is_told_of_where_this_run_would_need_it(
    family: str, until: datetime | None, agent: str, model: str, *, is_held: bool
) -> None:
    limit = UsageLimit(agent="claude", family=family, until=until)
    form = RunForm.open(project_of(agent="claude", usage_limit=limit), {})
    form.agent, form.model = agent, model
    assert form.held(NOON) == (limit if is_held else None)
    assert form.wakes_at(NOON) == (until if is_held else None)
    assert form.why_disabled(NOON) is None


def test_the_form_wakes_at_whichever_ends_first() -> None:
    limit = UsageLimit(agent="script", family="", until=NOON + HOUR)
    form = RunForm.open(project_of(agent="script", usage_limit=limit), {})
    for minutes, wakes_at in ((30, NOON + HOUR / 2), (90, NOON + HOUR)):
        reset_at = NOON + timedelta(minutes=minutes)
        form.quota = quota_of(0, reset_at)
        assert form.wakes_at(NOON) == wakes_at
