"""The presses that have an agent repair a change: its conflicts, and what CI found wrong."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import RunOut
from app.pages.shell.page_session import PageSession

# starts a run on a change of a project, under a key
Start = Callable[[str, int, str], Awaitable[RunOut]]


class Resolver:
    """Has an agent work on a change; a change's key is kept until a run was answered for it."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._keys: dict[tuple[str, str, int], str] = {}

    async def resolve(self, project_id: str, number: int) -> None:
        """Start a run that resolves a change's conflicts, and say so, or why not."""
        start = self._session.api.resolve_conflicts
        await self._start("resolve", start, project_id, number, "The agent resolves it.")

    async def fix_ci(self, project_id: str, number: int) -> None:
        """Start a run that fixes what CI found wrong with a change, and say so, or why not."""
        start = self._session.api.fix_ci
        await self._start("fix-ci", start, project_id, number, "The agent fixes it.")

    async def _start(
        self, what: str, start: Start, project_id: str, number: int, said: str
    ) -> None:
        change = what, project_id, number
        key = self._keys.setdefault(change, str(uuid.uuid4()))
        try:
            run = await start(project_id, number, key)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        del self._keys[change]
        self._session.notify(said, go=("Open the run", f"/runs/{run.id}"))
