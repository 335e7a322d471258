"""The checks before commits leave this machine: each may keep them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.words import Cause
from app.errors import FileTooLarge, NotDeliverable, Refusal, SecretFound
from app.services.ports import Repository

# of a line of a run's timeline, that a person had its commits pushed whatever a check said
PUSH_ANYWAY = "push_anyway"


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

        Raises CannotRead: nothing is known then, and nothing may be pushed.
        """
        found = (check(repo, base_sha, tip) for check in self._checks)
        return next((one for one in found if one is not None), None)


# of these a person decides, who may have the commits pushed anyway
AWAIT_WORD: dict[Cause, type[Refusal]] = {
    Cause.SECRET_FOUND: SecretFound,
    Cause.FILE_TOO_LARGE: FileTooLarge,
}


def refusal_of(cause: Cause, sentence: str) -> Refusal:
    """The refusal for commits that are not pushed."""
    return AWAIT_WORD.get(cause, NotDeliverable)(sentence[:1].upper() + sentence[1:])
