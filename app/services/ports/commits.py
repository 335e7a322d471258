"""Commits as git reports them: sizes, diffs, files, and secrets in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.words import FileStatus


@dataclass(frozen=True)
class DiffStat:
    """The size of a change: counts of commits, files and lines."""

    commits: int = 0
    files_changed: int = 0
    additions: int = 0
    deletions: int = 0


@dataclass(frozen=True)
class Diff:
    """A unified diff; `is_cut` if it was longer than the cap."""

    text: str
    is_cut: bool = False


@dataclass(frozen=True)
class ChangedFile:
    """A file that a change adds, edits, renames or deletes.

    `previous` is its path before a rename, else None. The counts are None for a binary file. `blob`
    names its new content, and is empty if it was deleted.
    """

    path: str
    blob: str = ""
    previous: str | None = None
    additions: int | None = 0
    deletions: int | None = 0
    status: FileStatus = FileStatus.MODIFIED


@dataclass(frozen=True)
class Commit:
    """A commit with the first line of its message; `at` (UTC) is when it was committed."""

    sha: str
    subject: str
    author: str
    at: datetime


@dataclass(frozen=True)
class LargeFile:
    """A file in commits, with its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Leak:
    """A secret in a commit, by its name: in a line of a file, or (line 0) in the file's name.

    Without a path it is in the commit itself, such as its message or author.
    """

    name: str
    commit: str
    path: str = ""
    line: int = 0


@dataclass(frozen=True)
class FileText:
    """The text of a file in a commit; `is_cut` if the file is longer."""

    text: str = ""
    is_cut: bool = False
