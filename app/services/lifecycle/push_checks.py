"""The checks before commits leave this machine: each may keep them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.words import Cause
from app.errors import FileTooLarge, NotDeliverable, Refusal, SecretFound
from app.records.tables import Run
from app.services.lifecycle.launch_errors import cause_of
from app.services.ports import CannotRead, Repository, Unfinished

# of a line of a run's timeline, that a person had its commits pushed whatever a check said
PUSH_ANYWAY = "push_anyway"
UNCHECKED = "its commits could not be checked for secrets and large files"
NOT_PUSHED = "not pushed: "
# of a look that took all its time the next one will, too; what was damaged may be put right,
# for which so many looks leave an hour
_LONG_LOOKS, _LOOKS = 3, 12


class Unchecked(CannotRead):
    """A check could not look at commits; after `most_looks` in a row a person decides."""

    def __init__(self, problem: CannotRead) -> None:
        because = str(problem)
        super().__init__(f"{UNCHECKED}: {because[:1].lower()}{because[1:]}")
        self.most_looks = _LONG_LOOKS if isinstance(problem, Unfinished) else _LOOKS


@dataclass(frozen=True)
class Objection:
    """Why commits are not pushed before a person has decided: the run's cause, and a sentence."""

    cause: Cause
    sentence: str


# looks at the commits `base..tip` of a mirror; raises CannotRead where it could not look at all
PushCheck = Callable[[Repository, str, str], Objection | None]


class PushChecks:
    """Every check that stands before a push, in their order."""

    def __init__(self, checks: tuple[PushCheck, ...] = ()) -> None:
        self._checks = checks

    def objection(self, repo: Repository, base_sha: str, tip: str) -> Objection | None:
        """The first objection to pushing `base..tip`, None where there is none.

        Raises Unchecked, and CannotRead on a full disk: nothing is known then, and nothing may be
        pushed.
        """
        found = (check(repo, base_sha, tip) for check in self._checks)
        try:
            return next((one for one in found if one is not None), None)
        except CannotRead as problem:
            if cause_of(problem) is Cause.DISK_FULL:
                raise
            raise Unchecked(problem) from problem


# of these a person decides, who may have the commits pushed anyway
AWAIT_WORD: dict[Cause, type[Refusal]] = {
    Cause.SECRET_FOUND: SecretFound,
    Cause.FILE_TOO_LARGE: FileTooLarge,
}


def awaits_word(run: Run) -> bool:
    """True where a check, or that it could not be made, has kept a run's commits here."""
    if run.cause == Cause.PUSH_REFUSED:
        return (run.because or "").startswith(f"{NOT_PUSHED}{UNCHECKED}")
    return run.cause in AWAIT_WORD


def refusal_of(cause: Cause, sentence: str) -> Refusal:
    """The refusal for commits that are not pushed."""
    return AWAIT_WORD.get(cause, NotDeliverable)(sentence[:1].upper() + sentence[1:])
