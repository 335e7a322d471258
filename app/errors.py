"""Refusals: every expected "no", with its code, HTTP status and sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Refusal(Exception):
    """Not possible."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 409

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().splitlines()[0]
        self.members = members
        super().__init__(self.detail)


class NotSignedIn(Refusal):
    """Sign in first: open the link printed at start, or run `runyard login-link`."""

    code, status = "not_signed_in", 401


class NotSignedByForge(Refusal):
    """This is not signed with the secret of that forge's hooks."""

    code, status = "not_signed", 401


class Forbidden(Refusal):
    """You may not do this, or not from that page."""

    code, status = "forbidden", 403


class OnlyOwnIssue(Forbidden):
    """A run's token reads the run's own issue and comments on it, and does nothing else."""


class BrowserNeeded(Forbidden):
    """While a project is unsandboxed, its agents can read the token: do this in the browser."""


class OwnApproval(Forbidden):
    """You started the run of this change: another person has to approve it."""


class NotFound(Refusal):
    """There is nothing with that id."""

    code, status = "not_found", 404


class KeyMismatch(Refusal):
    """Two different idempotency keys were sent."""

    code, status = "key_mismatch", 400


class Invalid(Refusal):
    """The request is malformed."""

    code, status = "invalid", 422

    @classmethod
    def field(cls, name: str, sentence: str) -> Invalid:
        """Return the refusal of one invalid field."""
        return cls(sentence, errors=[{"field": name, "message": sentence}])

    @classmethod
    def fields(cls, wrong: Mapping[str, str]) -> Invalid:
        """Return the refusal of several invalid fields, `wrong` mapping each to its sentence."""
        errors = [{"field": name, "message": sentence} for name, sentence in wrong.items()]
        if len(errors) == 1:
            return cls(errors[0]["message"], errors=errors)
        return cls(" ".join(f"{name}: {said}" for name, said in wrong.items()), errors=errors)


class KeyReused(Refusal):
    """This form has already started a run."""

    code, status = "key_reused", 422


class ConfirmMismatch(Refusal):
    """The confirmation does not repeat the branch name."""

    code, status = "confirm_mismatch", 422


class ConcurrencyLimit(Refusal):
    """This repository is at maximum concurrency. Wait for an active run to complete and retry."""

    code = "concurrency_limit"


class PrLock(Refusal):
    """Another run is writing to this branch."""

    code = "pr_lock"


class BeingReleased(PrLock):
    """A run that has ended is still being cleaned up. Try again in a moment."""

    def __init__(self, run_id: str, detail: str | None = None, **members: Any) -> None:
        super().__init__(detail, **members)
        self.run_id = run_id


class NoReceivers(Refusal):
    """No receiver is set: add its URL to RUNYARD_NOTIFY_URLS and restart."""

    code = "no_receivers"


class PushOff(Refusal):
    """Notifications on devices need RUNYARD_PUBLIC_URL, the https address of the pages."""

    code = "push_off"


class NothingReady(Refusal):
    """No ready-for-agent issues to start."""

    code = "nothing_ready"


class Parked(Refusal):
    """Kept work holds this branch: continue from it, deliver it or discard it first."""

    code = "parked"


class InReview(Refusal):
    """The change of this issue is open: merge or close it first."""

    code = "in_review"

    @classmethod
    def of(cls, project_id: str, number: int) -> InReview:
        """Return the refusal that names the change."""
        sentence = f"Change request #{number} is open: merge or close it first."
        return cls(sentence, change=number, project_id=project_id)


class ChangeClosed(Refusal):
    """This change request is no longer open."""

    code = "change_closed"

    @classmethod
    def of(cls, number: int, state: str) -> ChangeClosed:
        """Return the refusal that names the change and its state."""
        return cls(f"Change request #{number} is {state}.", change=number, state=state)


class NoRun(Refusal):
    """No agent run made this change request, so there is none to go back to."""

    code = "no_run"


class NotMerged(Refusal):
    """Only a merged change request can be undone."""

    code = "not_merged"


class AlreadyUndone(Refusal):
    """This change request has been undone already."""

    code = "already_undone"


class NotUndone(Refusal):
    """This merge cannot be undone automatically."""

    code = "not_undone"


class NoConflict(Refusal):
    """This change request has no conflicts to resolve: merge it."""

    code = "no_conflict"


class CiNotFailed(Refusal):
    """CI has not failed for this change request: there is nothing to fix."""

    code = "ci_not_failed"


class IssueClosed(Refusal):
    """This issue is closed."""

    code = "issue_closed"


class IssueBlocked(Refusal):
    """This issue is blocked by an open issue."""

    code = "issue_blocked"


class EditedMeanwhile(Refusal):
    """Another person changed this issue. Nothing was saved: review their version first."""

    code = "edited_meanwhile"


class NotThisState(Refusal):
    """The repository's base has moved on: look at its newest commit first."""

    code = "not_this_state"


class AlreadyRunning(Refusal):
    """An identical run is already in progress."""

    code = "already_running"


class AlreadyStarted(Refusal):
    """This run is no longer waiting for its start time: it has started or ended."""

    code = "already_started"


class AlreadyEnded(Refusal):
    """This run has already ended."""

    code = "already_ended"


class AlreadyAnswered(Refusal):
    """This has been answered already."""

    code = "already_answered"


class ApprovalNeeded(Refusal):
    """This change needs approval before it is merged."""

    code = "approval_needed"


class StillLive(Refusal):
    """This run is still in progress."""

    code = "still_live"


class NameTaken(Refusal):
    """Name already in use"""

    code = "name_taken"


class KeyTaken(Refusal):
    """This idempotency key is in use by someone else."""

    code = "key_taken"


class AgentUnavailable(Refusal):
    """The agent is missing on this machine, or signed out."""

    code = "agent_unavailable"


class AgentNotAllowed(Refusal):
    """This agent may not be started here."""

    code, status = "agent_not_allowed", 403


class SandboxNotHere(Refusal):
    """This sandbox level is not available on this machine."""

    code = "sandbox_unavailable"


class AccountHeld(Refusal):
    """The agent's account is at its usage limit."""

    code = "account_held"


class NotResumable(Refusal):
    """Only a run that was ended by a usage limit can be resumed. Retry it instead."""

    code = "not_resumable"


class ProjectArchived(Refusal):
    """This project is archived."""

    code = "project_archived"


class ProjectBroken(Refusal):
    """This project's repository could not be cloned."""

    code = "project_broken"


class ProjectBusy(Refusal):
    """A run of this project is still in progress."""

    code = "project_busy"


class MergeConflict(Refusal):
    """The change cannot be merged without conflicts. Nothing was changed."""

    code = "merge_conflict"


class NotDeliverable(Refusal):
    """This run has no commits to deliver."""

    code = "not_deliverable"


class SecretFound(Refusal):
    """These commits contain a secret. Push them anyway, or discard them."""

    code = "secret_found"


class FileTooLarge(Refusal):
    """These commits contain a file that is larger than the project allows."""

    code = "file_too_large"


class NotChecked(Refusal):
    """These commits could not be checked for secrets and large files."""

    code = "not_checked"


class NotDiscarded(Refusal):
    """This kept work could not be deleted."""

    code = "not_discarded"


class RateLimited(Refusal):
    """Rate limit reached."""

    code, status = "rate_limited", 429


class NoPlaces(Refusal):
    """The limit is 0, so this is never allowed."""

    code, status = "rate_limited", 429


class BatchOverQuota(Refusal):
    """This batch has more items than the limit of batches allows."""

    code, status = "batch_over_quota", 422


class BadLine(Refusal):
    """A line of the batch cannot be read. The lines before it are kept."""

    code, status = "bad_line", 400


class ForgeUnavailable(Refusal):
    """The repository's server did not answer."""

    code, status = "forge_unavailable", 502


class StoreUnavailable(Refusal):
    """The database did not answer. Nothing was changed; try again shortly."""

    code, status = "store_unavailable", 503


class OutcomeUnknown(StoreUnavailable):
    """The database stopped answering before this was confirmed. Check whether it was done."""
