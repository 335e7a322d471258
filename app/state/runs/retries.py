"""Retries and resumes from one page; each click has a key, kept while the outcome is unknown."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.client.protocol import new_correlation_id
from app.api.schemas import RunItem, RunOut
from app.domain.words import Trigger
from app.state.page.submits import Submits
from app.state.runs.run_board import Submitting

RETRYING = "Retrying…"
UNANSWERED = (
    "The server did not answer. Press it again: it sends the same key, so nothing can start twice."
)
Source = Literal["parked", "fresh", "resume"]
Press = tuple[str, Source | None]


class RetryUnanswered(NoAnswer):
    """No response to a retry or resume; the message says that it is safe to press again."""

    def __init__(self, correlation_id: str) -> None:
        super().__init__(correlation_id)
        self.args = (UNANSWERED,)


class Retries:
    """The Retry and Resume actions; `owner` is the browser whose lists show them as pending."""

    def __init__(
        self, api: ApiClient, submits: Submits, owner: str, now: Callable[[], datetime]
    ) -> None:
        self._api = api
        self._submits = submits
        self._owner = owner
        self._now = now
        self._keys: dict[Press, str] = {}
        self._sent: dict[str, tuple[str, ...]] = {}
        self._busy: set[str] = set()
        # runs with an open retry, as the server reported: the next click means a second one
        self._doubled: set[str] = set()

    def word_of(self, run_id: str) -> str:
        """Return the busy word of a run that is being retried, "" otherwise."""
        return RETRYING if run_id in self._busy else ""

    def words_for(self, run: RunItem) -> str:
        """Return the button's label, which guards against an accidental second retry."""
        if run.id in self._doubled:
            return "Retry anyway"
        return "Retry again" if run.retried_by else "Retry"

    async def press(
        self, run: RunItem, source: Source | None = None, *, show: Callable[[], object]
    ) -> RunOut | None:
        """Retry or resume a run; return the new run, None while a request for it is pending.

        Calls `show()` at the start and at the end. Raises ApiProblem, and RetryUnanswered, after
        which a second click cannot start a second run. If a retry is already open, the first click
        is refused and the next one starts another run.
        """
        if run.id in self._busy:
            return None
        self._busy.add(run.id)
        try:
            show()
            return await self._ask(run, source)
        finally:
            self._busy.discard(run.id)
            show()

    async def _ask(self, run: RunItem, source: Source | None) -> RunOut:
        press: Press = (run.id, source)
        correlation_id = new_correlation_id()
        key = self._keys.setdefault(press, str(uuid.uuid4()))
        self._sent[key] = (*self._sent.get(key, ()), correlation_id)
        submit = self._submits.begin(self._owner, self._placeholder(run, key, source))
        try:
            if source == "resume":
                made = await self._api.resume(run.id, key=key, correlation_id=correlation_id)
            else:
                wishes = {"from": source, "again": run.id in self._doubled or None}
                made = await self._api.retry(
                    run.id, key=key, correlation_id=correlation_id, **wishes
                )
        except NoAnswer as silence:
            raise RetryUnanswered(silence.correlation_id) from silence
        except ApiProblem as problem:
            # a 5xx may come after the run was stored, so its key is kept
            if problem.status < 500:
                self._forget(press)
            if problem.code == "already_running":
                self._doubled.add(run.id)
            raise
        else:
            self._forget(press)
            self._doubled.discard(run.id)
            submit.confirm(made)
            return made
        finally:
            submit.restore()

    def _forget(self, press: Press) -> None:
        self._sent.pop(self._keys.pop(press), None)

    def _placeholder(self, run: RunItem, key: str, source: Source | None) -> Submitting:
        return Submitting(
            key=key,
            project_id=run.project_id,
            project_name=run.project_name,
            branch=run.branch,
            depth_level=run.depth_level,
            target_framework=run.target_framework,
            issue=run.issue,
            began_at=self._now(),
            correlation_ids=self._sent[key],
            trigger=Trigger.RESUME if source == "resume" else Trigger.RETRY,
            retry_of=run.id,
            title=run.title,
            agent=run.agent,
            model=run.model,
        )
