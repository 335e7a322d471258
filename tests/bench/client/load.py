"""A client that costs little itself: reads a plan as JSON, prints what it measured as JSON.

Each of its clients keeps one connection and sends the next request when the answer is there.
It runs as a process of its own, in the environment that scripts/make-bench-client makes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from uuid import uuid4

import aiohttp
import uvloop

from tests.bench.client.phase import BROKEN, Phase, Plan, processor_seconds

PATIENCE_SECONDS = 60
# a server is at rest once it used next to nothing between three looks in a row
LOOK_SECONDS, NEXT_TO_NOTHING, RESTFUL_LOOKS, MOST_LOOKS = 0.01, 0.0003, 3, 100


class Clients:
    """Clients of one server, each with one connection."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._body = plan.body.encode() or None

    async def send(self, requests: int, clients: int) -> Phase:
        """Send so many requests in all, and return what was measured."""
        phase, left = Phase(), iter(range(requests))

        async def work() -> None:
            # all clients draw from one supply, so that none is idle while another has work left
            for _ in left:
                await self._measure(phase)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(clients)))
        phase.seconds = time.perf_counter() - began
        return phase

    async def _measure(self, phase: Phase) -> None:
        pid = self._plan.pid
        used = await _rest(pid) if pid else 0.0
        began = time.perf_counter()
        status, problem = await self._ask()
        phase.times.append(time.perf_counter() - began)
        if pid:
            phase.processor.append(processor_seconds(pid) - used)
        phase.answers[status] = phase.answers.get(status, 0) + 1
        phase.first_error = phase.first_error or problem

    async def _ask(self) -> tuple[str, str]:
        """Send one request; return its status, and how the answer begins if it is an error."""
        plan = self._plan
        headers = {plan.key_header: plan.key or uuid4().hex} if plan.key_header else None
        try:
            async with self._session.request(
                plan.method, plan.url, data=self._body, headers=headers
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as problem:
            return BROKEN, repr(problem)[:300]
        return str(answer.status), "" if answer.ok else body[:300].decode(errors="replace")


async def _rest(pid: int) -> float:
    """Wait until a process is at rest, or a second at most; return its processor time."""
    used, restful = processor_seconds(pid), 0
    for _ in range(MOST_LOOKS):
        await asyncio.sleep(LOOK_SECONDS)
        now = processor_seconds(pid)
        restful = restful + 1 if now - used < NEXT_TO_NOTHING else 0
        used = now
        if restful == RESTFUL_LOOKS:
            break
    return used


async def carry_out(plan: Plan) -> Phase:
    """Open the connections and warm the server up, then measure."""
    headers = {"Content-Type": "application/json", **plan.headers} if plan.body else plan.headers
    async with aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=plan.clients),
        timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
    ) as session:
        clients = Clients(plan, session)
        await clients.send(plan.warm_up, plan.clients)
        return await clients.send(plan.requests, plan.clients)


def main() -> None:
    """Carry out the plan on standard input."""
    print(json.dumps(asdict(uvloop.run(carry_out(Plan(**json.load(sys.stdin)))))))


if __name__ == "__main__":
    main()
