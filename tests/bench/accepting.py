"""The speed at which runs are accepted, compared with a POST that does nothing.

Both are called through httpx over a kept-alive connection, as scripts do, and, for the notes, over
a bare socket, which costs nearly nothing itself and so is the harder comparison.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any
from uuid import uuid4

import httpx

from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.bench.wire import BROKEN, Reply, build_request, drive, expect, p50, p99
from tests.bench.yard import LATER_SECONDS, Yard

CREW, CROWD = 16, 64
POSTS_ALONE, POSTS_CREW, POSTS_CROWD = 100, 400, 2000
NOOP = "/noop", {"task": "Measure"}


def measure_accepting(yard: Yard, noop_port: int, project_id: str, *, is_short: bool) -> Found:
    """Measure accept p50, rate, tail, replay and errors; none of these runs starts an agent."""
    _by_script(yard, noop_port, project_id, posts=CREW)
    scripted = median_of_pairs(lambda: _by_script(yard, noop_port, project_id))
    bare = median_of_pairs(lambda: _by_socket(yard, noop_port, project_id))
    yard.history.end_waiting_runs()
    posts = POSTS_CROWD // 10 if is_short else POSTS_CROWD
    crowd = drive(yard.server.port, _orders(yard, project_id, posts), clients=CROWD)
    yard.history.end_waiting_runs()
    times = f"{scripted['created_ms']:.1f} / {scripted['idle_ms']:.2f} ms by httpx"
    rates = f"{scripted['per_second']:.0f} / {scripted['idle_per_second']:.0f} a second by httpx"
    return {
        "accept": Measured(
            scripted["accept"],
            f"{times}; {bare['created_ms']:.1f} / {bare['idle_ms']:.2f} ms over a bare socket",
        ),
        "rate": Measured(
            scripted["rate"],
            f"{rates}; {bare['per_second']:.0f} / {bare['idle_per_second']:.0f} over bare sockets",
        ),
        "tail": Measured(bare["tail"], "over bare sockets"),
        "replay": Measured(bare["replay"], "over a bare socket"),
        "errors": Measured(sum(reply.status != 201 for reply in crowd), _worst(crowd)),
    }


def _by_script(
    yard: Yard, noop_port: int, project_id: str, *, posts: int = POSTS_CREW
) -> dict[str, float]:
    yard.history.end_waiting_runs()
    noop = f"http://127.0.0.1:{noop_port}"
    return asyncio.run(_ask_as_scripts(yard, noop, project_id, posts))


async def _ask_as_scripts(yard: Yard, noop: str, project_id: str, crew: int) -> dict[str, float]:
    path = "/api/v1/runs"
    body = {"project_id": project_id, "task": "Measure", "delay": LATER_SECONDS}
    headers = {"Authorization": f"Bearer {yard.server.token}"}
    alone = min(POSTS_ALONE, crew)
    async with (
        httpx.AsyncClient(base_url=noop, trust_env=False) as idler,
        httpx.AsyncClient(base_url=yard.server.url, headers=headers, trust_env=False) as requester,
    ):
        idle, _ = await _post(idler, *NOOP, count=alone, clients=1)
        created, _ = await _post(requester, path, body, count=alone, clients=1)
        _, idle_rate = await _post(idler, *NOOP, count=crew, clients=CREW)
        _, rate = await _post(requester, path, body, count=crew, clients=CREW)
    return {
        "accept": created / idle,
        "rate": rate / idle_rate,
        "created_ms": created * 1000,
        "idle_ms": idle * 1000,
        "per_second": rate,
        "idle_per_second": idle_rate,
    }


async def _post(
    client: httpx.AsyncClient, path: str, body: Any, *, count: int, clients: int
) -> tuple[float, float]:
    """Return the median seconds of an answer, and the answers per second."""
    replies: list[Reply] = []

    async def ask(times: int) -> None:
        for _ in range(times):
            began = perf_counter()
            answer = await client.post(path, json=body, headers={"x-idempotency-key": _key()})
            taken = perf_counter() - began
            replies.append(Reply(answer.status_code, taken, answer.content))

    began = perf_counter()
    await asyncio.gather(*(ask(count // clients) for _ in range(clients)))
    taken = perf_counter() - began
    return p50(expect(replies, 201)), len(replies) / taken


def _by_socket(yard: Yard, noop_port: int, project_id: str) -> dict[str, float]:
    yard.history.end_waiting_runs()
    port, noop = yard.server.port, build_request("POST", NOOP[0], body=NOOP[1])
    orders = _orders(yard, project_id, POSTS_ALONE)
    idle = p50(expect(drive(noop_port, [noop] * POSTS_ALONE), 201))
    created = p50(expect(drive(port, orders), 201))
    replayed = p50(expect(drive(port, orders), 200))
    yard.history.end_waiting_runs()
    idle_rate, _ = _crew(noop_port, [noop] * POSTS_CREW)
    rate, replies = _crew(port, _orders(yard, project_id, POSTS_CREW))
    return {
        "replay": replayed / created,
        "tail": p99(replies) / p50(replies),
        "created_ms": created * 1000,
        "idle_ms": idle * 1000,
        "per_second": rate,
        "idle_per_second": idle_rate,
    }


def _orders(yard: Yard, project_id: str, count: int) -> list[bytes]:
    return [yard.order_of(project_id, key=_key()) for _ in range(count)]


def _key() -> str:
    return str(uuid4())


def _crew(port: int, requests: list[bytes]) -> tuple[float, list[Reply]]:
    """Return the answers per second with 16 clients, and the answers."""
    began = perf_counter()
    replies = expect(drive(port, requests, clients=CREW), 201)
    return len(replies) / (perf_counter() - began), replies


def _worst(replies: list[Reply]) -> str:
    broken = sum(reply.status == BROKEN for reply in replies)
    slowest = max(reply.seconds for reply in replies)
    return f"{broken} connections broke; slowest {slowest:.1f} s"
