"""The rule of autoland: whether a change is merged without a person, and why it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.projects.autoland import Autoland
from app.domain.safe_text import reveal
from app.domain.tracker.ci import CiState

# of a file name that a sentence shows
MOST_NAME = 200
_LANDED, _LEFT = "Landed by itself: ", "Not landed by itself: "


@dataclass(frozen=True)
class ChangeFacts:
    """Everything known about a change without reading its files.

    `by_run` is False unless a run of an agent opened it, `was_forced` True if a person had it
    pushed despite an objection. `required` are the project's required checks; `passed` are those
    that passed in the last round of the newest run, at the commit that would be merged, and
    `all_passed` is True if none of that round's required ones did otherwise, and
    `are_checks_older` if one ran before the checks or their sandbox were last changed. `conflicts`
    is None while unknown for the present base, `ci` what its forge says of its head, and
    `ci_unread` why it does not, if a person has to help. `reviews_waiting` counts the review
    comments there that no run works through.
    """

    by_run: bool
    is_open: bool = True
    is_draft: bool = False
    was_forced: bool = False
    is_worked_on: bool = False
    last_succeeded: bool = False
    unsent_comments: int = 0
    required: Sequence[str] = ()
    passed: Sequence[str] = ()
    all_passed: bool = False
    are_checks_older: bool = False
    conflicts: Sequence[str] | None = None
    ci: CiState = CiState.UNKNOWN
    ci_unread: str = ""
    reviews_waiting: int = 0


@dataclass(frozen=True)
class ChangeSize:
    """The files of a change as read from git; `lines` is None if one is not counted in lines.

    `protected` is the first path that a pattern protects, `unreadable` is True if a name in it
    cannot be compared with patterns.
    """

    files: int
    lines: int | None
    protected: str | None = None
    unreadable: bool = False

    @property
    def words(self) -> str:
        """The size in words: `3 files, 40 lines`."""
        return f"{_counted(self.files, 'file')}, {_counted(self.lines or 0, 'line')}"


def why_left(rules: Autoland, facts: ChangeFacts) -> str | None:
    """Return why a person decides, "" if it is only too early, None if the files decide."""
    if not rules.enabled or not facts.is_open or facts.is_worked_on:
        return ""
    if not facts.by_run:
        return "no run of an agent opened it."
    if facts.is_draft:
        return "it is a draft."
    if facts.was_forced:
        return "a person had its commits pushed despite an objection."
    return _why_unchecked(facts) or _why_unmerged(facts)


def _why_unchecked(facts: ChangeFacts) -> str | None:
    if not facts.required:
        return "this project has no required check."
    if not facts.last_succeeded:
        return "the last run on it did not succeed."
    missing = [name for name in facts.required if name not in facts.passed]
    if missing:
        return f"check “{_shown(missing[0])}” has not passed for its last commit."
    if not facts.all_passed:
        return "a required check has not passed for its last commit."
    return "the checks have changed since they ran." if facts.are_checks_older else None


def _why_unmerged(facts: ChangeFacts) -> str | None:
    if facts.unsent_comments:
        return "it has comments that are not sent yet."
    if facts.reviews_waiting:
        waiting = _counted(facts.reviews_waiting, "review comment")
        return f"{waiting} {'waits' if facts.reviews_waiting == 1 else 'wait'} for a person."
    if facts.ci is CiState.FAILED:
        return "its CI failed."
    if facts.ci_unread:
        return f"its CI cannot be read: {_shown(facts.ci_unread).rstrip('.')}."
    if facts.conflicts is None or facts.ci is CiState.PENDING:
        return ""
    return f"it conflicts in {_shown(facts.conflicts[0])}." if facts.conflicts else None


def why_too_much(rules: Autoland, size: ChangeSize) -> str | None:
    """Return why the files of a change leave it to a person, None if they do not."""
    if size.protected is not None:
        return f"touches {_shown(size.protected)}, which is protected."
    if size.unreadable:
        return "a file name in it is not UTF-8."
    if not size.files:
        return "it changes no file."
    if size.files > rules.max_files:
        return f"{_counted(size.files, 'file')}, more than {rules.max_files:,}."
    if size.lines is None:
        return "it holds a file that is not counted in lines."
    if size.lines > rules.max_lines:
        return f"{_counted(size.lines, 'line')}, more than {rules.max_lines:,}."
    return None


def left_words(because: str) -> str:
    """Return the sentence of a change that is left to a person."""
    return f"{_LEFT}{because}"


def landed_words(reason: str) -> str:
    """Return the sentence of a change that was merged without a person."""
    return f"{_LANDED}{reason}."


def timeline_words(landed: str) -> str:
    """Return that sentence as a line of the timeline."""
    return landed[:1].lower() + landed[1:].removesuffix(".")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _shown(name: str) -> str:
    name = reveal(name)
    return name if len(name) <= MOST_NAME else f"{name[:MOST_NAME]}…"
