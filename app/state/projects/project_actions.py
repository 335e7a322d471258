"""Project actions of one open page: idempotency keys, busy words, and failures."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.schemas import ProjectChange, ProjectOut, RunOut
from app.domain.sandbox.levels import SandboxLevel
from app.state.projects.card_words import Act
from app.state.projects.project_board import (
    LABELLING,
    LOOKING,
    RESETTING,
    SAVING,
    TRYING,
    ProjectBoard,
)
from app.state.runs.run_form import Trouble, TroubleKind, trouble_of

STARTING = "Starting…"
NO_ANSWER = "The server did not answer. Press it again."
START_UNANSWERED = (
    "The server did not answer. Press it again: it sends the same key, so nothing can start twice."
)
WORDS = {
    SAVING: Act.AUTO,
    RESETTING: Act.RESET,
    TRYING: Act.TRY_CHECKS,
    LOOKING: Act.LOOK,
    LABELLING: Act.LABEL,
}
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Failed:
    """A failure, the project at that time, and if it outlasts changes of the project."""

    trouble: Trouble
    project: ProjectOut | None
    lasts: bool


class ProjectActs:
    """Start, auto switch and reset; a refusal is kept as the project's trouble, never raised.

    `announce` passes its sentence to screen readers.
    """

    def __init__(
        self,
        api: ApiClient,
        board: ProjectBoard,
        now: Callable[[], datetime],
        announce: Callable[[str], None],
    ) -> None:
        self._api = api
        self._board = board
        self._now = now
        self._announce = announce
        self._starting: set[str] = set()
        self._keys: dict[tuple[str, int | None], str] = {}
        self._failed: dict[str, _Failed] = {}

    def busy(self, project_id: str) -> dict[Act, str]:
        """Return the busy words of a project's buttons."""
        word = self._board.word_of(project_id)
        words = {WORDS[word]: word} if word in WORDS else {}
        return words | ({Act.START: STARTING} if project_id in self._starting else {})

    def trouble(self, project_id: str) -> Trouble | None:
        """Return the last failure, None once it was retried, expired or no longer applies."""
        failed = self._failed.get(project_id)
        if failed is None:
            return None
        trouble = failed.trouble
        if trouble.until is not None and trouble.until <= self._now():
            return None
        is_past = not failed.lasts and _has_moved(failed.project, self._board.get(project_id))
        return None if is_past else trouble

    async def start(self, project_id: str, issue: int | None = None) -> RunOut | None:
        """Start the given issue, or the first claimable one; return None if nothing was started.

        The key of a call without a response is kept, so a second click cannot start a second run.
        """
        if project_id in self._starting:
            return None
        self._starting.add(project_id)
        try:
            return await self._try(
                project_id, lambda: self._start(project_id, issue), START_UNANSWERED
            )
        finally:
            self._starting.discard(project_id)
            self._board.touch(project_id)

    async def toggle(self, project_id: str) -> None:
        """Switch the auto loop on or off."""
        project = self._board.get(project_id)
        if project is None:
            return
        enabled = not project.auto_enabled
        await self._try(
            project_id,
            lambda: self._board.set_auto(
                project_id,
                lambda: self._api.set_auto(project_id, enabled=enabled),
                enabled=enabled,
            ),
        )

    async def reset(self, project_id: str) -> None:
        """Reset the strikes to zero."""
        await self._try(
            project_id,
            lambda: self._board.reset(project_id, lambda: self._api.reset(project_id)),
        )

    async def try_checks(self, project_id: str) -> None:
        """Have the loop go on after a check that could not be started."""

        def act() -> Awaitable[ProjectOut]:
            return self._api.try_checks_again(project_id)

        await self._try(project_id, lambda: self._board.try_checks(project_id, act))

    async def check_again(self, project_id: str) -> None:
        """Have the project's repository looked for now."""

        def act() -> Awaitable[ProjectOut]:
            return self._api.check_again(project_id)

        await self._try(project_id, lambda: self._board.look_again(project_id, act))

    async def make_label(self, project_id: str) -> None:
        """Have the label that starts runs made in the project's repository."""

        def act() -> Awaitable[ProjectOut]:
            return self._api.make_ready_label(project_id)

        await self._try(project_id, lambda: self._board.make_label(project_id, act))

    async def undo_containment(self, project_id: str) -> None:
        """Set the level to `none`, as it was before the upgrade."""
        change = {"sandbox": SandboxLevel.NONE, "sandbox_notice": False}
        await self._change(project_id, change, ProjectChange(sandbox=SandboxLevel.NONE))

    async def dismiss_notice(self, project_id: str) -> None:
        """Dismiss the notice that agents now run contained."""
        body = ProjectChange(sandbox_notice=False)
        await self._change(project_id, {"sandbox_notice": False}, body)

    async def _change(self, project_id: str, shown: dict[str, Any], body: ProjectChange) -> None:
        def act() -> Awaitable[ProjectOut]:
            return self._api.change_project(project_id, body)

        await self._try(project_id, lambda: self._board.change(project_id, shown, act))

    async def _start(self, project_id: str, issue: int | None) -> RunOut:
        press = project_id, issue
        key = self._keys.setdefault(press, str(uuid.uuid4()))
        try:
            run = await self._api.start_afk(project_id, issue=issue, key=key)
        except ApiProblem as problem:
            # a 5xx may come after the run was stored, so its key is kept
            if problem.status < 500:
                del self._keys[press]
            raise
        del self._keys[press]
        return run

    async def _try(
        self, project_id: str, act: Callable[[], Awaitable[Answer]], unanswered: str = NO_ANSWER
    ) -> Answer | None:
        self._failed.pop(project_id, None)
        self._board.touch(project_id)
        try:
            return await act()
        except ApiProblem as problem:
            trouble = trouble_of(problem, self._now())
            lasts = trouble.kind is TroubleKind.RATE_LIMITED
        except NoAnswer as silence:
            trouble = Trouble(TroubleKind.NO_ANSWER, unanswered, silence.correlation_id)
            lasts = unanswered == START_UNANSWERED
        self._failed[project_id] = _Failed(trouble, self._board.get(project_id), lasts)
        self._board.touch(project_id)
        self._announce(trouble.sentence)
        return None


def _has_moved(before: ProjectOut | None, now: ProjectOut | None) -> bool:
    """Return True if the cause of a failure may be gone; progress of a run does not count."""
    if before is None or now is None:
        return True
    return now.live_runs < before.live_runs or _way_of(now) != _way_of(before)


def _way_of(project: ProjectOut) -> tuple[object, ...]:
    return (
        project.ready_count,
        project.auto_enabled,
        project.strikes,
        project.state,
        project.archived_at,
    )
