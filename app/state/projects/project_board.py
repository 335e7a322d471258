"""The projects that one person sees, updated by the live feed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from app.api.schemas import ProjectOut
from app.api.schemas.projects import LastRun
from app.domain.lifecycle import LIVE
from app.state.page.optimistic import OptimisticRows

SAVING, RESETTING, TRYING, LOOKING = "Saving…", "Resetting…", "Trying again…", "Checking…"
LABELLING = "Making the label…"
SAVING_SETTINGS = "Saving settings…"
Listener = Callable[[set[str]], None]


@dataclass(frozen=True, slots=True)
class _Part:
    """One project, and its place in the listing."""

    project: ProjectOut
    place: tuple[bool, str, str]


def _part_of(project: ProjectOut) -> _Part:
    place = (project.archived_at is not None, project.name.casefold(), project.id)
    return _Part(project, place)


class _Sight:
    """Totals over all projects, each computed on first access.

    `before` are the parts of an earlier sight: only projects that have changed since are read.
    """

    def __init__(self, projects: Iterable[ProjectOut], before: Mapping[str, _Part]) -> None:
        self.parts: dict[str, _Part] = {}
        for project in projects:
            known = before.get(project.id)
            is_same = known is not None and known.project is project
            self.parts[project.id] = known if is_same and known else _part_of(project)
        self._sorted = sorted(self.parts.values(), key=_place_of)
        self.everything = tuple(part.project for part in self._sorted)
        self.shown = tuple(p for p in self.everything if p.archived_at is None)

    @cached_property
    def live_runs(self) -> int:
        return sum(p.live_runs for p in self.everything)

    @cached_property
    def ready(self) -> int | None:
        known = [p.ready_count for p in self.shown if p.ready_count is not None]
        return sum(known) if known else None

    @cached_property
    def parked(self) -> int:
        return sum(p.parked_count for p in self.everything)

    @cached_property
    def to_review(self) -> int:
        return sum(p.review_count for p in self.shown)


def _place_of(part: _Part) -> tuple[bool, str, str]:
    return part.place


class ProjectBoard:
    """Projects by id; listeners get the ids that changed, appeared or disappeared."""

    def __init__(self, items: Iterable[ProjectOut] = ()) -> None:
        self._rows: OptimisticRows[ProjectOut] = OptimisticRows(lambda p: p.id, lambda p: p.id)
        self._rows.load(items)
        self._listeners: list[Listener] = []
        self._seen, self._sight = self._rows.version, _Sight(self._rows.unsorted(), {})

    def get(self, project_id: str) -> ProjectOut | None:
        """Return one project as it is shown."""
        return self._rows.shown(project_id)

    def listing(self, *, archived: bool = False) -> Sequence[ProjectOut]:
        """Return projects by name, so that no card moves on an event; archived ones last."""
        sight = self._look()
        return sight.everything if archived else sight.shown

    @property
    def archived_count(self) -> int:
        """The number of archived projects."""
        sight = self._look()
        return len(sight.everything) - len(sight.shown)

    @property
    def live_runs(self) -> int:
        """The number of live runs in all projects, including archived ones."""
        return self._look().live_runs

    def running(self) -> list[tuple[ProjectOut, LastRun]]:
        """Return the projects whose newest live run has begun, with that run, the longest first."""
        found = [
            (project, run)
            for project in self._look().everything
            if (run := project.last_run) and run.status in LIVE
        ]
        return sorted(found, key=lambda pair: pair[1].started_at or pair[1].created_at)

    @property
    def ready_count(self) -> int | None:
        """The number of ready issues, None while no project knows its own."""
        return self._look().ready

    @property
    def parked_count(self) -> int:
        """The number of parked branches in all projects, including archived ones."""
        return self._look().parked

    @property
    def review_count(self) -> int:
        """The number of changes to review in all projects that are not archived."""
        return self._look().to_review

    def _look(self) -> _Sight:
        """Return the totals, recomputed only after a change."""
        if self._seen != self._rows.version:
            rows, known = self._rows.unsorted(), self._sight.parts
            self._seen, self._sight = self._rows.version, _Sight(rows, known)
        return self._sight

    def on_change(self, listener: Listener) -> None:
        """Call `listener` with the changed ids after every change."""
        self._listeners.append(listener)

    def detach(self) -> None:
        """Remove all listeners, when their page is closed."""
        self._listeners.clear()

    def apply(self, project: ProjectOut) -> set[str]:
        """Update one project; return the ids that changed."""
        if self._rows.get(project.id) == project:
            return set()
        self._rows.put(project)
        return self._notify({project.id})

    def replace(self, items: Iterable[ProjectOut]) -> set[str]:
        """Replace all projects by a fresh snapshot; return the ids that changed."""
        before = {item.id: item for item in self._rows.settled()}
        fresh = {item.id: item for item in items}
        self._rows.load(fresh.values())
        return self._notify({i for i in fresh | before if fresh.get(i) != before.get(i)})

    async def archive(
        self, project_id: str, act: Callable[[], Awaitable[ProjectOut]], now: datetime
    ) -> None:
        """Archive at once, and roll back if `act` fails. Raises what `act` raises."""
        await self._attempt(project_id, {"archived_at": now}, act, "Archiving…")

    async def set_auto(
        self, project_id: str, act: Callable[[], Awaitable[ProjectOut]], *, enabled: bool
    ) -> None:
        """Switch the auto loop at once, and roll back if `act` fails. Raises what `act` raises."""
        await self._attempt(project_id, {"auto_enabled": enabled}, act, SAVING)

    async def change(
        self,
        project_id: str,
        change: Mapping[str, Any],
        act: Callable[[], Awaitable[ProjectOut]],
    ) -> ProjectOut | None:
        """Show changed settings at once, and roll back if `act` fails.

        Returns None while the project has a pending change. Raises what `act` raises.
        """
        return await self._attempt(project_id, change, act, SAVING_SETTINGS)

    async def reset(self, project_id: str, act: Callable[[], Awaitable[ProjectOut]]) -> None:
        """Show zero strikes at once, and roll back if `act` fails. Raises what `act` raises."""
        clean: dict[str, Any] = {"strikes": 0, "paused": False, "recent_failures": []}
        await self._attempt(project_id, clean, act, RESETTING)

    async def look_again(self, project_id: str, act: Callable[[], Awaitable[ProjectOut]]) -> None:
        """Show that the repository is being looked for. Raises what `act` raises."""
        await self._attempt(project_id, {}, act, LOOKING)

    async def make_label(self, project_id: str, act: Callable[[], Awaitable[ProjectOut]]) -> None:
        """Show that the label is being made. Raises what `act` raises."""
        await self._attempt(project_id, {}, act, LABELLING)

    async def try_checks(self, project_id: str, act: Callable[[], Awaitable[ProjectOut]]) -> None:
        """Lift the hold of a check at once, and roll back if `act` fails. Raises its errors."""
        await self._attempt(project_id, {"checks_error": None}, act, TRYING)

    def word_of(self, project_id: str) -> str:
        """Return the busy word of a project with a pending change (`Saving…`), "" otherwise."""
        return self._rows.word_of(project_id)

    def touch(self, project_id: str) -> None:
        """Have a project redrawn although its row is unchanged."""
        self._notify({project_id})

    async def _attempt(
        self,
        project_id: str,
        changes: Mapping[str, Any],
        act: Callable[[], Awaitable[ProjectOut]],
        word: str,
    ) -> ProjectOut | None:
        project = self.get(project_id)
        if project is None:
            return None
        changed = project.model_copy(update=changes)
        show = partial(self._notify, {project_id})
        return await self._rows.attempt(changed, act, word=word, show=show)

    def _notify(self, changed: set[str]) -> set[str]:
        for listener in self._listeners if changed else ():
            listener(changed)
        return changed
