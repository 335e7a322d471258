"""A form whose work branch is locked by another run: detects the release and can wait for it."""

from __future__ import annotations

from app.api.client.client import ApiClient
from app.api.schemas import RunOut
from app.state.runs.run_form import RunForm, TroubleKind


class LockWait:
    """Follows the run that caused a form's `pr_lock` refusal.

    `is_on` while the person waits; `is_due` once the branch is free and the same submit must be
    sent, once. Editing the form ends the wait.
    """

    def __init__(self, form: RunForm) -> None:
        self._form = form
        self._gone: set[str] = set()
        self.is_on = False
        self.is_due = False

    @property
    def holder(self) -> str:
        """The id of the run that holds the branch, "" if none is known."""
        trouble = self._form.trouble
        return trouble.run_id if trouble and trouble.kind is TroubleKind.PR_LOCK else ""

    @property
    def _can_be_waited_for(self) -> bool:
        return bool(self.holder) and self.holder not in self._gone

    def begin(self) -> None:
        """Start waiting, if a holder is known that has not released the branch yet."""
        self.is_on = self._can_be_waited_for

    def cancel(self) -> None:
        """Stop waiting; a submit already sent is not undone."""
        self.is_on = self.is_due = False

    def check(self) -> None:
        """Stop waiting if the form differs from the last submit."""
        if self.is_on and not self._form.is_as_sent():
            self.cancel()

    def on_change(self, run: RunOut) -> bool:
        """Handle a run from the feed; return True if it has just released the branch.

        Then the form's trouble is cleared, and `is_due` is set if the form still waits.
        """
        if run.id != self.holder or run.released_at is None:
            return False
        self._gone.add(run.id)
        self._form.trouble = None
        self.check()
        self.is_due = self.is_on
        return True

    async def refetch(self, api: ApiClient) -> bool:
        """Fetch the holder once, in case it was released before the refusal; return as `on_change`.

        Raises ApiProblem and NoAnswer; the feed still reports a later release.
        """
        holder = self.holder
        return bool(holder) and self.on_change(await api.run(holder))

    def sent(self) -> None:
        """Handle the response of a submit: keep waiting only for a new holder."""
        self.is_due = False
        # refused for a run that is already gone: resubmitting at once would loop forever
        self.is_on = self.is_on and self._can_be_waited_for
