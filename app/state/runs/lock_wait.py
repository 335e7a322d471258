"""A form whose branch another run writes: it learns when that one is gone, and can wait for it."""

from __future__ import annotations

from app.api.client.client import ApiClient
from app.api.schemas import RunOut
from app.state.runs.run_form import RunForm, TroubleKind


class LockWait:
    """Follows the run that a form was refused for (`pr_lock`).

    `is_on` while the person waits, `is_due` from then on when the branch is free: the same submit
    is to be sent, once. A form that was changed does not wait any more.
    """

    def __init__(self, form: RunForm) -> None:
        self._form = form
        self._gone: set[str] = set()
        self.is_on = False
        self.is_due = False

    @property
    def holder(self) -> str:
        """The id of the run that has the branch, empty where none is known to."""
        trouble = self._form.trouble
        return trouble.run_id if trouble and trouble.kind is TroubleKind.PR_LOCK else ""

    def begin(self) -> None:
        """Wait from now on."""
        self.is_on = bool(self.holder)

    def cancel(self) -> None:
        """Wait no longer; what has been sent is not taken back."""
        self.is_on = self.is_due = False

    def check(self) -> None:
        """Wait no longer where the form is not what was sent."""
        if self.is_on and not self._form.is_as_sent():
            self.cancel()

    def hear(self, run: RunOut) -> bool:
        """Take a run as the feed tells it; True where it had the branch and has it no more.

        Then the form's trouble is over, and `is_due` says whether it goes again.
        """
        if run.id != self.holder or run.released_at is None:
            return False
        self._gone.add(run.id)
        self._form.trouble = None
        self.check()
        self.is_due = self.is_on
        return True

    async def look(self, api: ApiClient) -> bool:
        """Ask once, for what the feed told before the refusal was here; as `hear`.

        Raises ApiProblem and NoAnswer: then nothing is known, and the feed still tells.
        """
        holder = self.holder
        return bool(holder) and self.hear(await api.run(holder))

    def sent(self) -> None:
        """The form has the answer of a submit: another lock is waited for, nothing else is."""
        self.is_due = False
        # refused for a run that is gone: to ask again at once would ask for ever
        if not self.holder or self.holder in self._gone:
            self.is_on = False
