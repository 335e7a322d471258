"""An open page's session, and its calls to the API: counted, held back or lost."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from nicegui.testing.user import User


def session_of(user: User) -> Any:
    """Return the open page's `PageSession`."""
    assert user.client is not None
    handlers = user.client.connect_handlers
    sessions = [getattr(handler, "__self__", None) for handler in handlers]
    return next(session for session in sessions if type(session).__name__ == "PageSession")


async def come_back(user: User) -> None:
    """Have the open page do what it does when a lost link is back."""
    await session_of(user)._refresh()


class HeldCalls:
    """The page's calls to one path: `asked` counts them, answers wait for `let_go`."""

    def __init__(self, user: User, path: str) -> None:
        self._path = path
        self.asked = 0
        self._is_free, self._is_asked = asyncio.Event(), asyncio.Event()
        hooks = session_of(user).api.http.event_hooks
        hooks["request"].append(self._count)
        hooks["response"].append(self._hold)

    def let_go(self) -> None:
        """Let all answers through, now and later."""
        self._is_free.set()

    async def next_asked(self, seconds: float) -> None:
        """Wait for the next call. Raises TimeoutError."""
        self._is_asked.clear()
        await asyncio.wait_for(self._is_asked.wait(), seconds)

    async def _count(self, request: httpx.Request) -> None:
        if request.url.path == self._path:
            self.asked += 1
            self._is_asked.set()

    async def _hold(self, answer: httpx.Response) -> None:
        if answer.request.url.path == self._path:
            await self._is_free.wait()


def lose_next_answer(user: User, path: str) -> None:
    """Lose the answer to the page's next call to a path."""
    hooks = session_of(user).api.http.event_hooks["response"]

    async def lose(answer: httpx.Response) -> None:
        if answer.request.url.path == path:
            hooks.remove(lose)
            raise httpx.ReadError("lost by the test", request=answer.request)

    hooks.append(lose)
