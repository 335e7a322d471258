"""View models of the parked, doctor and quota pages."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.client.client import ApiClient
from app.api.schemas import (
    AccountHoldOut,
    Finding,
    ParkedOut,
    PeopleQuotas,
    ProjectOut,
    QuotaOut,
    RunOut,
    SystemOut,
)
from app.domain.formatting import size_words
from app.domain.lifecycle import LIVE, WAITING
from app.state.page.optimistic import OptimisticRows

DISCARDING, DELIVERING = "Discarding…", "Delivering…"


PARTS = {"machine": "This machine", "server": "This server"}


def key_of(row: ParkedOut) -> str:
    """Return the key of a row: each branch occurs once per project."""
    return f"{row.project_id} {row.branch}"


class ParkedBoard:
    """Parked work by project and branch, oldest first."""

    def __init__(self) -> None:
        self._rows: OptimisticRows[ParkedOut] = OptimisticRows(key_of, _order)

    def load(self, items: Iterable[ParkedOut]) -> None:
        """Replace the rows by a fresh snapshot; pending changes stay."""
        self._rows.load(items)

    def rows(self) -> list[ParkedOut]:
        """Return the rows as shown, without those being discarded."""
        shown = [row for row in self._rows.visible() if self.word_of(row) != DISCARDING]
        return shown[::-1]

    def find(self, key: str) -> ParkedOut | None:
        """Return the row with this key, None without one."""
        return self._rows.get(key)

    def word_of(self, row: ParkedOut) -> str:
        """Return the busy word of a row, "" if nothing is pending."""
        return self._rows.word_of(key_of(row))

    async def discard(
        self, row: ParkedOut, act: Callable[[], Awaitable[Any]], show: Callable[[], object]
    ) -> None:
        """Hide a row at once, and bring it back if `act` fails. Raises what `act` raises."""
        await self._rows.attempt(row, self._dropping(row, act), word=DISCARDING, show=show)

    async def deliver(
        self, row: ParkedOut, act: Callable[[], Awaitable[RunOut]], show: Callable[[], object]
    ) -> RunOut | None:
        """Deliver a row's commits; return the run, None if that is already pending."""
        made: list[RunOut] = []

        async def deliver() -> None:
            made.append(await act())

        await self._rows.attempt(row, deliver, word=DELIVERING, show=show)
        return made[0] if made else None

    def summary(self) -> str:
        """Return the total size: `1.8 GB`, and how many rows are not measured."""
        sizes = [row.bytes for row in self.rows()]
        known = [size for size in sizes if size is not None]
        unknown = len(sizes) - len(known)
        parts = [size_words(sum(known))] if sum(known) else []
        return " · ".join([*parts, f"{unknown} of unknown size"] if unknown else parts)

    def _dropping(
        self, row: ParkedOut, act: Callable[[], Awaitable[Any]]
    ) -> Callable[[], Awaitable[None]]:
        async def drop() -> None:
            await act()
            self._rows.drop(key_of(row))

        return drop


def loss_words(row: ParkedOut) -> str:
    """Return the warning before a discard: what would be lost and what follows."""
    requeues = f" Issue #{row.issue} becomes claimable again." if row.issue else ""
    sure = "No safety checks apply and there is no undo."
    return f"{row.branch} holds {row.holds}. {sure}{requeues}"


def _order(row: ParkedOut) -> tuple[Any, ...]:
    return row.kept_since, row.project_id, row.branch


@dataclass(frozen=True)
class AgentSeen:
    """One installed agent with its findings."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def words(self) -> str:
        """The agent's state in a word or two."""
        levels = {one.check: one.level for one in self.findings}
        if levels.get("sign-in") == "look":
            return "Signed out"
        if "look" in levels.values():
            return "Needs attention"
        return "Ready" if levels.get("sign-in") == "ok" else "Installed"

    @property
    def tone(self) -> str:
        """The tone of that state."""
        if any(one.level == "look" for one in self.findings):
            return "wait"
        return "go" if self.words == "Ready" else "idle"


@dataclass(frozen=True)
class DoctorBoard:
    """Doctor's findings grouped: installed agents, absent agents, and the other parts."""

    agents: tuple[AgentSeen, ...]
    absent: tuple[Finding, ...]
    parts: tuple[tuple[str, tuple[Finding, ...]], ...]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> DoctorBoard:
        """Group the findings, keeping their order."""
        of_agents: dict[str, list[Finding]] = defaultdict(list)
        of_parts: dict[str, list[Finding]] = defaultdict(list)
        for one in findings:
            (of_parts if one.about in PARTS else of_agents)[one.about].append(one)
        here = {name: found for name, found in of_agents.items() if not _is_absent(found)}
        return cls(
            agents=tuple(AgentSeen(name, tuple(found)) for name, found in here.items()),
            absent=tuple(found[0] for name, found in of_agents.items() if name not in here),
            parts=tuple((PARTS[name], tuple(found)) for name, found in of_parts.items()),
        )

    @property
    def to_fix(self) -> int:
        """The number of findings that need attention."""
        everything = [one for agent in self.agents for one in agent.findings]
        everything += [one for _, found in self.parts for one in found]
        return sum(one.level == "look" for one in everything)


def _is_absent(findings: list[Finding]) -> bool:
    return [one.level for one in findings] == ["none"]


@dataclass(frozen=True)
class Occupied:
    """A project's open runs and its concurrency limit."""

    project: ProjectOut
    active: int
    max: int


@dataclass(frozen=True)
class QuotaBoard:
    """The data of the quota page, fetched at one time."""

    quota: QuotaOut
    batches: QuotaOut
    system: SystemOut
    busy: tuple[Occupied, ...]
    holds: tuple[AccountHoldOut, ...] = ()
    # of everybody in the organisation, for admins
    people: PeopleQuotas | None = None

    @classmethod
    async def ask(cls, api: ApiClient, *, everybody: bool = False) -> QuotaBoard:
        """Fetch the data, for an admin of everybody too. Raises ApiProblem or NoAnswer."""
        (quota, batches, system), projects, holds, people = await asyncio.gather(
            asyncio.gather(api.quota(), api.batch_quota(), api.system()),
            api.projects(),
            api.account_holds(),
            api.people_quotas() if everybody else _nobody(),
        )
        busy = sorted(filter(_may_have_open_runs, projects), key=lambda p: p.name.casefold())
        counts = await asyncio.gather(*(api.concurrency(project.id) for project in busy))
        occupied = (
            Occupied(project, count.active, count.max)
            for project, count in zip(busy, counts, strict=True)
        )
        return cls(
            quota=quota,
            batches=batches,
            system=system,
            busy=tuple(one for one in occupied if one.active),
            holds=tuple(holds),
            people=people,
        )


async def _nobody() -> None:
    """Ask for the quotas of nobody."""


def _may_have_open_runs(project: ProjectOut) -> bool:
    last = project.last_run
    is_open = last is not None and last.status in (*LIVE, *WAITING)
    return project.live_runs > 0 or is_open
