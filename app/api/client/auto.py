"""What the API's client asks of the loop: AFK runs, retries, and work that is kept."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import httpx
from pydantic import BaseModel

from app.api import schemas

Model = TypeVar("Model", bound=BaseModel)


class Caller(Protocol):
    """What these calls stand on."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Any = None,
        key: str | None = None,
        correlation_id: str | None = None,
    ) -> httpx.Response:
        """One call below the base path."""
        ...

    async def ask(self, model: type[Model], path: str, **params: Any) -> Model:
        """GET a model."""
        ...

    async def tell(
        self, model: type[Model], method: str, path: str, body: Any = None, key: str | None = None
    ) -> Model:
        """Change something and read the model that comes back."""
        ...


class LoopCalls:
    """Calls on the auto loop; every call that makes a run takes a key."""

    async def start_afk(
        self: Caller, project_id: str, *, issue: int | None = None, key: str | None = None
    ) -> schemas.RunOut:
        """Start the chosen issue, or the lowest claimable one."""
        path, body = f"/projects/{project_id}/afk/start", {"issue": issue} if issue else {}
        return await self.tell(schemas.RunOut, "POST", path, body, key)

    async def set_auto(self: Caller, project_id: str, *, enabled: bool) -> schemas.ProjectOut:
        """Switch a project's loop on or off."""
        path, body = f"/projects/{project_id}/afk/auto", {"enabled": enabled}
        return await self.tell(schemas.ProjectOut, "PUT", path, body)

    async def reset(self: Caller, project_id: str) -> schemas.ProjectOut:
        """Set a project's count of failures to zero."""
        return await self.tell(schemas.ProjectOut, "POST", f"/projects/{project_id}/afk/reset", {})

    async def next_plan(self: Caller, project_id: str) -> schemas.NextPlan:
        """What the next sweep would do with a project."""
        return await self.ask(schemas.NextPlan, f"/projects/{project_id}/next")

    async def parked(self: Caller) -> list[schemas.ParkedOut]:
        """Everything that is kept, oldest first."""
        return (await self.ask(schemas.Parked, "/parked")).items

    async def discard(
        self: Caller, project_id: str, branch: str, confirm: str | None
    ) -> schemas.Discarded:
        """Delete kept work; `confirm` repeats the branch."""
        body = {"project_id": project_id, "branch": branch, "confirm": confirm}
        return await self.tell(schemas.Discarded, "POST", "/parked/discard", body)

    async def stuck(self: Caller) -> list[schemas.StuckOut]:
        """What is left to a person, oldest first."""
        return (await self.ask(schemas.QuarantineOut, "/quarantine")).items

    async def try_again(self: Caller, key: str) -> schemas.StuckOut:
        """Let something that was left to a person be tried again."""
        return await self.tell(schemas.StuckOut, "POST", f"/quarantine/{key}/retry", {})

    async def deliver(
        self: Caller, run_id: str, key: str | None = None, *, push_anyway: bool = False
    ) -> schemas.RunOut:
        """Push a run's kept commits, `push_anyway` all that a check objects to; open its change."""
        body = {"push_anyway": True} if push_anyway else {}
        return await self.tell(schemas.RunOut, "POST", f"/runs/{run_id}/deliver", body, key)

    async def release(self: Caller, run_id: str) -> schemas.RunOut:
        """Give up on proving that nothing of an ended run lives."""
        return await self.tell(schemas.RunOut, "POST", f"/runs/{run_id}/release", {})

    async def retry(
        self: Caller,
        run_id: str,
        *,
        key: str | None = None,
        correlation_id: str | None = None,
        **wishes: Any,
    ) -> schemas.RunOut:
        """Run it again as a new run: agent, model, `from` override what is copied."""
        body = {name: value for name, value in wishes.items() if value is not None}
        answer = await self.send(
            "POST", f"/runs/{run_id}/retry", body=body, key=key, correlation_id=correlation_id
        )
        return schemas.RunOut.model_validate_json(answer.content)

    async def resume(
        self: Caller, run_id: str, *, key: str | None = None, correlation_id: str | None = None
    ) -> schemas.RunOut:
        """Go on now with a run that a usage limit ended, as a new run."""
        answer = await self.send(
            "POST", f"/runs/{run_id}/resume", body={}, key=key, correlation_id=correlation_id
        )
        return schemas.RunOut.model_validate_json(answer.content)

    async def account_holds(self: Caller) -> list[schemas.AccountHoldOut]:
        """The accounts that are at their usage limit."""
        return (await self.ask(schemas.AccountHolds, "/quota/accounts")).items

    async def lift_hold(self: Caller, agent: str, family: str) -> list[schemas.AccountHoldOut]:
        """End a hold by hand; those that are left."""
        body = {"agent": agent, "family": family}
        return (await self.tell(schemas.AccountHolds, "POST", "/quota/accounts/lift", body)).items
