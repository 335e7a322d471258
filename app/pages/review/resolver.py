"""The press of `Have the agent resolve it`, on a change's page and in the inbox."""

from __future__ import annotations

import uuid

from app.api.client.client import ApiProblem, NoAnswer
from app.pages.shell.page_session import PageSession


class Resolver:
    """Has an agent resolve conflicts; a change's key is kept until a run was answered for it."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._keys: dict[tuple[str, int], str] = {}

    async def resolve(self, project_id: str, number: int) -> None:
        """Start a run that resolves a change's conflicts, and say so, or why not."""
        change = project_id, number
        key = self._keys.setdefault(change, str(uuid.uuid4()))
        try:
            run = await self._session.api.resolve_conflicts(*change, key)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        del self._keys[change]
        self._session.notify("The agent resolves it.", go=("Open the run", f"/runs/{run.id}"))
