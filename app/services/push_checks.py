"""Checks before commits leave this machine; each may hold them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.words import Cause
from app.errors import FileTooLarge, NotDeliverable, Refusal, SecretFound
from app.records.tables import Run
from app.services.launch_errors import cause_of
from app.services.ports import CannotRead, Repository, Unfinished

# event data key: a person had the commits pushed despite an objection
PUSH_ANYWAY = "push_anyway"
UNCHECKED = "its commits could not be checked for secrets and large files"
NOT_PUSHED = "not pushed: "
# a check that ran out of time will do so again; damaged data may be repaired within the hour that
# 12 attempts take
_LONG_LOOKS, _LOOKS = 3, 12
# causes that a person may override with a push anyway
AWAIT_WORD: dict[Cause, type[Refusal]] = {
    Cause.SECRET_FOUND: SecretFound,
    Cause.FILE_TOO_LARGE: FileTooLarge,
}


class Unchecked(CannotRead):
    """Raised if a check could not inspect commits; after `most_looks` in a row a person decides."""

    def __init__(self, problem: CannotRead) -> None:
        because = str(problem)
        super().__init__(f"{UNCHECKED}: {because[:1].lower()}{because[1:]}")
        self.most_looks = _LONG_LOOKS if isinstance(problem, Unfinished) else _LOOKS


@dataclass(frozen=True)
class Objection:
    """An objection holding commits back until a person decides: the run's cause and a sentence."""

    cause: Cause
    sentence: str


# checks the commits `base..tip` of a mirror; raises CannotRead if it could not inspect them
PushCheck = Callable[[Repository, str, str], Objection | None]


class PushChecks:
    """All checks before a push, in order."""

    def __init__(self, checks: tuple[PushCheck, ...] = ()) -> None:
        self._checks = checks

    def objection(self, repo: Repository, base_sha: str, tip: str) -> Objection | None:
        """Return the first objection to pushing `base..tip`, None if there is none.

        Raises Unchecked, and CannotRead on a full disk: in both cases nothing may be pushed.
        """
        found = (check(repo, base_sha, tip) for check in self._checks)
        try:
            return next((one for one in found if one is not None), None)
        except CannotRead as problem:
            if cause_of(problem) is Cause.DISK_FULL:
                raise
            raise Unchecked(problem) from problem


def awaits_word(run: Run) -> bool:
    """Return True if a check, or a failure to check, has held a run's commits back."""
    if run.cause == Cause.PUSH_REFUSED:
        # no column says more about the cause: these two constants stand in rows and must stay
        return (run.because or "").startswith(f"{NOT_PUSHED}{UNCHECKED}")
    return run.cause in AWAIT_WORD


def refusal_of(cause: Cause, sentence: str) -> Refusal:
    """Return the refusal for commits that are not pushed."""
    return AWAIT_WORD.get(cause, NotDeliverable)(sentence[:1].upper() + sentence[1:])
