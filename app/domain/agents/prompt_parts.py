"""The parts of a prompt that come from people and earlier runs, each quoted or on one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.domain.safe_text import blank
from app.domain.words import Side

INSTRUCTIONS_FILE = "RUNYARD.md"
MAX_INSTRUCTIONS_BYTES = 32 * 1024
# of all comments together; the newest are kept
MAX_COMMENTS_BYTES = 256 * 1024
AROUND = 3
# of a line of code that a review quotes
MAX_LINE = 500


@dataclass(frozen=True)
class Comment:
    """A comment on an issue; `is_new` if it came after the last run of the issue."""

    author: str
    at: datetime
    body: str
    is_new: bool = False


@dataclass(frozen=True)
class ClosedChange:
    """A change for the issue that was closed without a merge, and the reason for that."""

    number: int
    at: datetime
    because: str


@dataclass(frozen=True)
class ReviewComment:
    """A comment on a line of a change; without a line on the whole file, without a file on all.

    `lines` are lines of the file on that side, from line number `first` on; the prompt quotes three
    before and after the commented one. With `is_outdated`, they are those of the commit that it was
    written on.
    """

    text: str
    author: str
    file: str = ""
    line: int | None = None
    side: Side = Side.NEW
    lines: tuple[str, ...] = ()
    first: int = 1
    is_outdated: bool = False


@dataclass(frozen=True)
class DeliveredRound:
    """Commits that an earlier run added to a change, up to the commit `head`."""

    title: str
    at: datetime
    head: str
    commits: int
    files_changed: int
    additions: int
    deletions: int


@dataclass(frozen=True)
class ChangeBrief:
    """The change request on whose branch a run works, with what earlier runs added to it."""

    number: int
    title: str
    branch: str
    base: str
    closes: int | None = None
    rounds: tuple[DeliveredRound, ...] = ()


@dataclass(frozen=True)
class MergeBrief:
    """A merge of `base` in the working copy that stopped at conflicts in `files`."""

    base: str
    files: tuple[str, ...]


def as_text(words: str) -> str:
    """Return words as a file, an argument and a database can hold them: without NUL, in UTF-8."""
    return words.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def comments_text(comments: Sequence[Comment]) -> str:
    """Return an issue's comments, oldest first, each quoted below a line that names its author.

    Of more than `MAX_COMMENTS_BYTES` the newest are kept, and a line says how many are left out.
    """
    kept: list[str] = []
    size = 0
    for one in reversed(comments):
        text = _comment_text(one)
        size += len(text.encode(errors="replace"))
        if size > MAX_COMMENTS_BYTES:
            break
        kept.append(text)
    left_out = len(comments) - len(kept)
    if left_out:
        noun = "comment is" if left_out == 1 else "comments are"
        kept.append(f"({left_out} older {noun} left out: together they are too long.)")
    return "\n\n".join(reversed(kept))


def _comment_text(one: Comment) -> str:
    new = " (new)" if one.is_new else ""
    return f"Comment by {_one_line(one.author)}, {_when(one.at)}{new}\n{_quoted(one.body)}"


def closed_text(changes: Sequence[ClosedChange]) -> str:
    """Return the reasons of closed changes, in their order."""
    return "\n\n".join(
        f"Change #{one.number} was closed without a merge, {_when(one.at)}:\n{_quoted(one.because)}"
        for one in changes
    )


def review_text(comments: Sequence[ReviewComment]) -> str:
    """Return review comments: `path:line`, the lines around it quoted, and the words."""
    return "\n\n".join(map(_review_text, comments))


def _review_text(one: ReviewComment) -> str:
    file = _one_line(one.file)
    place = f"{file}:{one.line}" if file and one.line else file or "The whole change"
    words = f"{_one_line(one.author)}{_when_written(one)}:"
    return "\n".join((place, *_around(one), words, _quoted(one.text)))


def _when_written(one: ReviewComment) -> str:
    what = "line" if one.line else "file"
    if one.is_outdated:
        return f", outdated: on this {what} as it was when the comment was written"
    return f", on this {what} as it was before the change" if one.side is Side.OLD else ""


def _around(one: ReviewComment) -> Iterable[str]:
    """Return the lines around a comment, each quoted."""
    if not (one.file and one.line):
        return ()
    at = one.line - one.first
    lines = one.lines[max(0, at - AROUND) : max(0, at + 1 + AROUND)]
    return (f"> {_cut(_one_line(line))}".rstrip() for line in lines)


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…"


def change_text(change: ChangeBrief, *, takes_commits: bool = True) -> str:
    """Return which change a run works on, and what earlier runs delivered to it.

    `takes_commits` is False for a run that only reports.
    """
    closes = f" It closes issue #{change.closes}." if change.closes else ""
    parts = [
        f"You work on change request #{change.number}, “{_one_line(change.title)}”: branch "
        f"{change.branch}, to be merged into {change.base}.{closes}"
    ]
    if takes_commits:
        parts[0] += (
            " Your commits go to this change request: Runyard adds them to it when you are done."
        )
    if change.rounds:
        parts.append("What earlier runs delivered to it:")
        parts.append("\n".join(map(_round_text, change.rounds)))
    return "\n\n".join(parts)


def merge_text(merge: MergeBrief) -> str:
    """Return what to do about a merge that stopped at conflicts."""
    return (
        f"Git is in the middle of merging {merge.base} into this branch. The merge stopped at"
        f" conflicts in these files:\n\n{_files_text(merge)}\n\n"
        "In each, the lines after `<<<<<<<` are this branch's, those before `>>>>>>>` are"
        f" {merge.base}'s. Resolve each conflict so that what both sides were meant to do still"
        " works, and leave no conflict marker. Then `git add` these files and conclude the merge"
        " with `git commit --no-edit`. Do not abort the merge, and do not rebase: work in which a"
        " marker is left, or whose merge is not concluded, is not delivered."
    )


def merged_text(merge: MergeBrief) -> str:
    """Return what an agent has to know of a merge that was concluded earlier in its run."""
    return (
        f"{merge.base} was merged into this branch earlier in this run, and the conflicts in these"
        f" files were resolved and committed:\n\n{_files_text(merge)}\n\n"
        "That merge is concluded: keep it, and do not rebase."
    )


def _files_text(merge: MergeBrief) -> str:
    return "\n".join(f"- {_cut(_one_line(name))}" for name in merge.files)


def _round_text(one: DeliveredRound) -> str:
    size = f"commits: {one.commits}, files: {one.files_changed}"
    lines = f"+{one.additions} −{one.deletions}"
    return f"- {_when(one.at)}, “{_one_line(one.title)}”: {size} ({lines}), up to {one.head[:7]}"


def instructions_text(from_repository: str, from_settings: str) -> str:
    """Return the project's instructions: its file's before those of its settings."""
    parts = (from_repository.strip(), from_settings.strip())
    return "\n\n".join(part for part in parts if part)


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _one_line(words: str) -> str:
    # a name must not look like the head line of another comment
    return blank(words).rstrip()


def _quoted(words: str) -> str:
    # so that no line of a comment looks like the head line of another one, wherever a line may end
    lines = words.strip().splitlines() or [""]
    return "\n".join(f"> {line}".rstrip() for line in lines)
