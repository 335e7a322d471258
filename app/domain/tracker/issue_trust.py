"""Trust in the text of a forge's issue: who labelled it, and who changed it afterwards."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

# an issue is touched this long after the event that its history tells, at most
SLACK = timedelta(seconds=2)
# how the sentences about texts that wait for a person end
LOOK = ": look and approve"


class CountedText(Protocol):
    """The text that counts, and what is known of its label."""

    event: int
    labelled_by: str
    may_label: bool
    edited_by: str | None
    approved_sha256: str | None


class SeenText(CountedText, Protocol):
    """The same, and the digest of the text at the last look."""

    seen_sha256: str


class Retitling(Protocol):
    """A change of the title."""

    @property
    def by(self) -> str:
        """The person who made it."""
        ...

    @property
    def may_write(self) -> bool:
        """True if that person may write to the repository."""
        ...


@dataclass(frozen=True)
class Touched:
    """An issue at the first look since it was labelled.

    `stranger` is its author without write access, else empty; `was_changed` is True if its text
    may have been changed after the label, None if that is unknown; `told_at` is the last event
    that its history tells.
    """

    stranger: str
    labelled_at: datetime | None
    updated_at: datetime | None
    told_at: datetime | None
    was_changed: bool | None


def digest_of(title: str, body: str) -> str:
    """Return the sha256 by which a person approves a text: of the title, a newline and the body."""
    return hashlib.sha256(f"{title}\n{body}".encode("utf-8", "surrogatepass")).hexdigest()


class Said(Protocol):
    """A comment on an issue."""

    @property
    def author(self) -> str:
        """The person who wrote it."""
        ...

    @property
    def body(self) -> str:
        """Its text."""
        ...


def remark_digest(said: Said) -> str:
    """Return the sha256 by which a person ticks a comment: of author, a newline and the body."""
    return digest_of(said.author, said.body)


def needs_history(stranger: str, labelled_at: datetime | None, updated_at: datetime | None) -> bool:
    """Return True if only the history of a text can tell that it stood there at the label."""
    if not stranger:
        return False
    return not labelled_at or not updated_at or updated_at > labelled_at + SLACK


def retitled_by(retitled: Sequence[Retitling]) -> str | None:
    """Return who gave an issue its title since the label without the right to, None if nobody."""
    # whoever may write and gave it the last one has seen the others
    return retitled[-1].by if retitled and not retitled[-1].may_write else None


def changed_by(issue: Touched) -> str | None:
    """Return who may have changed a text after its label, None if nobody can have."""
    # a text is changed by its author, or by people who may write
    if not issue.stranger:
        return None
    if issue.was_changed is not None:
        return issue.stranger if issue.was_changed else None
    if not needs_history(issue.stranger, issue.labelled_at, issue.updated_at):
        return None
    if issue.updated_at is None or issue.told_at is None:
        return issue.stranger
    # without a history, an event that explains the time has to do
    return issue.stranger if issue.updated_at > issue.told_at + SLACK else None


def doubt_of(text: CountedText, sha256: str) -> str:
    """Return why a person must look at an issue before it starts by itself, "" if nobody must."""
    if text.approved_sha256 == sha256:
        return ""
    if not text.event and not text.may_label:
        return f"nobody is known to have labelled it{LOOK}"
    if not text.may_label:
        return f"Labelled by {text.labelled_by}, who may not write there{LOOK}"
    if text.edited_by is not None:
        return f"Edited by {text.edited_by} after it was labelled{LOOK}"
    return ""


def doubt_as_seen(text: SeenText | None, stranger: str) -> str:
    """Return the doubt about an issue as it was last looked at, "" if nobody must look.

    Without a look, its author counts, who could change the text after the label was set: `stranger`
    is one without write access.
    """
    if text is not None:
        return doubt_of(text, text.seen_sha256)
    return f"written by {stranger}: look, and start it by hand" if stranger else ""


def waits_for_approval(hold: str | None) -> bool:
    """Return True if an issue with this hold starts by itself once a person approves its text."""
    return hold is not None and hold.endswith(LOOK)


def text_difference(title_was: str | None, body_was: str | None, title: str, body: str) -> str:
    """Return how a text differs from what was labelled, all of it if that is not known."""
    now = [title, *body.splitlines()]
    if title_was is None or body_was is None:
        return "\n".join(now)
    was = [title_was, *body_was.splitlines()]
    found = difflib.unified_diff(was, now, "when it was labelled", "now", n=len(was), lineterm="")
    return "\n".join(found) or "\n".join(now)
