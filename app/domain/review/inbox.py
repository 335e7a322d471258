"""The items of the inbox: what waits for a person, by kind and group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from app.domain.tracker.merge_waits import WAIT_WORDS, dropped_words
from app.domain.words import Cause, MergeWait


class Group(StrEnum):
    """The groups of the inbox, in the order of the page."""

    ATTENTION = "attention"
    REVIEW = "review"
    PARKED = "parked"


class ItemKind(StrEnum):
    """The kinds of inbox items, most urgent first."""

    PAUSED = "paused"
    ACCOUNT_LIMIT = "account_limit"
    REPOSITORY_UNREACHABLE = "repository_unreachable"
    REPOSITORY_BROKEN = "repository_broken"
    PUSH_REFUSED = "push_refused"
    SECRET_FOUND = "secret_found"  # noqa: S105 - a kind, no secret
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"
    CHECKS_FAILED = "checks_failed"
    CHECKS_ERROR = "checks_error"
    QUESTION = "question"
    APPROVAL = "approval"
    QUARANTINED = "quarantined"
    NOTIFICATIONS_FAILING = "notifications_failing"
    DISK_LOW = "disk_low"
    CHANGE = "change"
    PARKED = "parked"


GROUPS = {ItemKind.CHANGE: Group.REVIEW, ItemKind.PARKED: Group.PARKED}
# the main action of each kind, as its button says
ACTIONS = {
    ItemKind.PAUSED: "Reset",
    ItemKind.ACCOUNT_LIMIT: "Try now",
    ItemKind.REPOSITORY_UNREACHABLE: "Locate…",
    ItemKind.REPOSITORY_BROKEN: "Locate…",
    ItemKind.PUSH_REFUSED: "Push again",
    ItemKind.SECRET_FOUND: "Open",
    ItemKind.SANDBOX_UNAVAILABLE: "Set up…",
    ItemKind.CHECKS_FAILED: "Retry",
    ItemKind.CHECKS_ERROR: "Try again",
    ItemKind.QUESTION: "Answer",
    ItemKind.APPROVAL: "Approve",
    ItemKind.QUARANTINED: "Try again",
    ItemKind.NOTIFICATIONS_FAILING: "Settings",
    ItemKind.DISK_LOW: "Settings",
    ItemKind.CHANGE: "Merge",
    ItemKind.PARKED: "Open",
}
CONFLICTS, CI_FAILED = "Conflicts", "CI failed"
# the main action on a change that cannot be merged
RESOLVE = "Have the agent resolve it"
# on a change whose CI failed
FIX_CI = "Have the agent fix it"
# causes of an end that need a person at once; other kept work can wait in its own group
KIND_OF_CAUSE = {
    Cause.PUSH_REFUSED: ItemKind.PUSH_REFUSED,
    Cause.SECRET_FOUND: ItemKind.SECRET_FOUND,
    Cause.FILE_TOO_LARGE: ItemKind.PUSH_REFUSED,
    Cause.CHECKS_FAILED: ItemKind.CHECKS_FAILED,
    Cause.SANDBOX_UNAVAILABLE: ItemKind.SANDBOX_UNAVAILABLE,
}


@dataclass(frozen=True)
class ChangeFacts:
    """Facts about an open change, for its row.

    `checks` counts the required checks of the last round, `red` those of them that did not pass.
    `cost_usd` adds the runs that worked on it, None if none of them reported a cost;
    `cost_unknown` counts those that did not. `conflicts` are the files in which its merge
    conflicts, None while that is unknown. `ci_failed` is what its forge says of its head;
    `reviews_waiting` counts review comments there that no run works through. `merge_waits` is
    what it waits for before it merges by itself, `merge_note` why it will not after all.
    """

    branch: str
    base: str
    agent: str | None
    model: str | None
    commits: int
    files_changed: int
    additions: int
    deletions: int
    draft: bool
    checks: int = 0
    red: int = 0
    cost_usd: float | None = None
    cost_unknown: int = 0
    conflicts: tuple[str, ...] | None = None
    ci_failed: bool = False
    reviews_waiting: int = 0
    merge_waits: MergeWait | None = None
    merge_note: str | None = None

    @property
    def sentence(self) -> str:
        """The size of the change, what its checks said, and whether it conflicts."""
        files = f"{self.files_changed} file{'s' * (self.files_changed != 1)}"
        words = [f"{files}, +{self.additions} −{self.deletions}"]
        if self.checks:
            passed = self.checks - self.red
            words.append(f"{passed} of {self.checks} checks passed")
        if self.ci_failed:
            words.append(CI_FAILED)
        if self.reviews_waiting:
            waiting = self.reviews_waiting
            words.append(f"{waiting} review comment{'s wait' if waiting > 1 else ' waits'}")
        if self.conflicts:
            words.append(CONFLICTS)
        if self.merge_waits is not None:
            words.append(WAIT_WORDS[self.merge_waits])
        elif self.merge_note is not None:
            words.append(dropped_words(self.merge_note))
        return " · ".join(words)


@dataclass(frozen=True)
class Item:
    """One thing that waits for a person; `at` (UTC) is since when, `id` stays the same.

    `project_id` is None for what concerns all projects.
    """

    id: str
    kind: ItemKind
    project_id: str | None
    title: str
    sentence: str
    at: datetime
    url: str
    run_id: str | None = None
    change: int | None = None
    issue: int | None = None
    until: datetime | None = None
    facts: ChangeFacts | None = None
    # what can be answered with a comment, beside the text of an issue or agent configuration
    approval: str | None = None

    @property
    def group(self) -> Group:
        """The group that it is listed in."""
        return GROUPS.get(self.kind, Group.ATTENTION)

    @property
    def action(self) -> str:
        """The words of its main action."""
        if self.facts is not None and self.facts.conflicts:
            # no agent made a change without a run: there is none to ask
            return RESOLVE if self.run_id is not None else ACTIONS[ItemKind.PARKED]
        if self.facts is not None and self.facts.merge_waits is not None:
            return ACTIONS[ItemKind.PARKED]
        if self.kind is ItemKind.REPOSITORY_UNREACHABLE and self.project_id is None:
            return ACTIONS[ItemKind.NOTIFICATIONS_FAILING]  # a forge, not one repository
        return ACTIONS[self.kind]


def change_path(project_id: str, number: int) -> str:
    """Return the path of a change's page."""
    return f"/projects/{project_id}/changes/{number}"


def run_path(run_id: str) -> str:
    """Return the path of a run's page, where its kept work is decided on."""
    return f"/runs/{run_id}"


def is_about(item_id: str, subject: str) -> bool:
    """Return True for the id of an item about a run, a project, or a change (`project:number`)."""
    _, _, named = item_id.partition(":")
    # an item of the quarantine also names the duty that failed
    return named == subject or named.endswith(f".{subject}")


def arranged(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return items by group, the newest first in each."""
    order = list(Group)
    newest_first = sorted(items, key=lambda one: (one.at, one.id), reverse=True)
    return tuple(sorted(newest_first, key=lambda one: order.index(one.group)))


def mark_of(items: Iterable[Item]) -> str:
    """Return a mark that is another once an item comes, goes or waits anew."""
    waits = sorted(f"{one.id} {one.at.isoformat()}" for one in items)
    return sha256("\n".join(waits).encode()).hexdigest()[:16]


def counts_of(items: Iterable[Item]) -> dict[Group, int]:
    """Return how many items each group has."""
    found = Counter(one.group for one in items)
    return {group: found[group] for group in Group}
