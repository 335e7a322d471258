"""Client calls for the auto loop: AFK runs, retries, parked work and usage limits."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import httpx
from pydantic import BaseModel

from app.api import schemas

Model = TypeVar("Model", bound=BaseModel)


class Caller(Protocol):
    """The transport that the call mixins are built on."""

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
        """Send one request below the base path."""
        ...

    async def ask(self, model: type[Model], path: str, **params: Any) -> Model:
        """GET a path and parse the response as `model`."""
        ...

    async def tell(
        self, model: type[Model], method: str, path: str, body: Any = None, key: str | None = None
    ) -> Model:
        """Send a change and parse the response as `model`."""
        ...


class LoopCalls:
    """Calls for the auto loop; each call that creates a run takes an idempotency key."""

    async def start_afk(
        self: Caller, project_id: str, *, issue: int | None = None, key: str | None = None
    ) -> schemas.RunOut:
        """Start an AFK run for the given issue, or for the lowest claimable one."""
        path, body = f"/projects/{project_id}/afk/start", {"issue": issue} if issue else {}
        return await self.tell(schemas.RunOut, "POST", path, body, key)

    async def set_auto(self: Caller, project_id: str, *, enabled: bool) -> schemas.ProjectOut:
        """Switch a project's auto loop on or off."""
        path, body = f"/projects/{project_id}/afk/auto", {"enabled": enabled}
        return await self.tell(schemas.ProjectOut, "PUT", path, body)

    async def reset(self: Caller, project_id: str) -> schemas.ProjectOut:
        """Reset a project's strikes to zero."""
        return await self.tell(schemas.ProjectOut, "POST", f"/projects/{project_id}/afk/reset", {})

    async def next_plan(self: Caller, project_id: str) -> schemas.NextPlan:
        """Return what the next sweep would do with a project."""
        return await self.ask(schemas.NextPlan, f"/projects/{project_id}/next")

    async def parked(self: Caller) -> list[schemas.ParkedOut]:
        """Return all parked work, oldest first."""
        return (await self.ask(schemas.Parked, "/parked")).items

    async def discard(
        self: Caller, project_id: str, branch: str, confirm: str | None
    ) -> schemas.Discarded:
        """Delete parked work; `confirm` repeats the branch name."""
        body = {"project_id": project_id, "branch": branch, "confirm": confirm}
        return await self.tell(schemas.Discarded, "POST", "/parked/discard", body)

    async def stuck(self: Caller) -> list[schemas.StuckOut]:
        """Return everything in quarantine, oldest first."""
        return (await self.ask(schemas.QuarantineOut, "/quarantine")).items

    async def try_again(self: Caller, key: str) -> schemas.StuckOut:
        """Take an item out of quarantine so that it is tried again."""
        return await self.tell(schemas.StuckOut, "POST", f"/quarantine/{key}/retry", {})

    async def deliver(
        self: Caller, run_id: str, key: str | None = None, *, push_anyway: bool = False
    ) -> schemas.RunOut:
        """Push a run's kept commits and open its change; `push_anyway` overrides a failed check."""
        body = {"push_anyway": True} if push_anyway else {}
        return await self.tell(schemas.RunOut, "POST", f"/runs/{run_id}/deliver", body, key)

    async def release(self: Caller, run_id: str) -> schemas.RunOut:
        """Release an ended run without proof that all its processes are gone."""
        return await self.tell(schemas.RunOut, "POST", f"/runs/{run_id}/release", {})

    async def retry(
        self: Caller,
        run_id: str,
        *,
        key: str | None = None,
        correlation_id: str | None = None,
        **wishes: Any,
    ) -> schemas.RunOut:
        """Retry a run as a new run; `agent`, `model` and `from` override the copied values."""
        body = {name: value for name, value in wishes.items() if value is not None}
        answer = await self.send(
            "POST", f"/runs/{run_id}/retry", body=body, key=key, correlation_id=correlation_id
        )
        return schemas.RunOut.model_validate_json(answer.content)

    async def resume(
        self: Caller, run_id: str, *, key: str | None = None, correlation_id: str | None = None
    ) -> schemas.RunOut:
        """Resume a run that ended at a usage limit, now and as a new run."""
        answer = await self.send(
            "POST", f"/runs/{run_id}/resume", body={}, key=key, correlation_id=correlation_id
        )
        return schemas.RunOut.model_validate_json(answer.content)

    async def account_holds(self: Caller) -> list[schemas.AccountHoldOut]:
        """Return the accounts that are held at their usage limit."""
        return (await self.ask(schemas.AccountHolds, "/quota/accounts")).items

    async def lift_hold(self: Caller, agent: str, family: str) -> list[schemas.AccountHoldOut]:
        """Lift a hold by hand; return the remaining holds."""
        body = {"agent": agent, "family": family}
        return (await self.tell(schemas.AccountHolds, "POST", "/quota/accounts/lift", body)).items
