"""The state of a working copy before checks run in it, and the way back to that state."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from app.adapters.git.diffs import Look
from app.adapters.git.folder_copies import (
    Allowance,
    copy_folder,
    digest_folder,
    digest_of,
    link_of,
    made_folder,
    match_folder,
    write_copy,
    write_link,
    write_new,
)
from app.adapters.git.layout import is_made_so, opened, opened_file, read_file, remove_tree
from app.adapters.git.refs import read_tip
from app.adapters.git.temp_folders import aside, clear_asides
from app.failpoints import failpoint
from app.services.ports import CannotRead, CopyChange, Tampered

_FOLDER, _MANIFEST = "before", "manifest.json"
# parts of a copy's git folder that only grow, or are no state of the repository itself
_SKIPPED = ("objects", "modules", "lfs")
_MOST_ENTRIES, _MOST_BYTES = 60_000, 256 * 1024 * 1024
_MANIFEST_CAP = 256 * 1024 * 1024
# an ignore list that is put back shows further files
_ROUNDS = 4


@dataclass(frozen=True)
class LeftFile:
    """A file in no commit; `kind` is file, link, gone or other, `seen` what tells of changes.

    `text` is a file's digest or where a link leads, None if its content was not copied.
    """

    name: str
    kind: str
    seen: list[int]
    text: str | None = None
    number: int = 0


@dataclass(frozen=True)
class Manifest:
    """A manifest: the commit, the branch that was at it, and the files in no commit."""

    tip: str
    branch: str
    left: dict[str, LeftFile]


class CopySnapshot:
    """The snapshot of one copy, in our folder for it, where neither agents nor checks work.

    It holds the copy's git folder without its objects, and the files that are in no commit: the
    smallest first, as many as fit in 256 MiB. Of the others only changes are seen.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._home = look.git_dir
        self._folder = look.git_dir / _FOLDER

    @property
    def is_kept(self) -> bool:
        """True from `keep` until `drop`."""
        return self._folder.is_dir()

    def keep(self, copy: int, *, branch: str, tip: str) -> None:
        """Take the snapshot, completely or not at all. Raises OSError, GitFailed, Tampered."""
        self.drop()
        changed, new = self._look.uncommitted(tip)
        with aside(self._home, _FOLDER) as unfinished:
            for name in ("git", "info", "files"):
                (unfinished / name).mkdir()
            allowed = Allowance(_MOST_ENTRIES, _MOST_BYTES)
            with opened(copy, ".git") as git_dir:
                with opened(unfinished / "git") as target:
                    copy_folder(git_dir, target, allowed, skip=_SKIPPED)
                borrowed = opened(git_dir, "objects", "info")
                with borrowed as info, opened(unfinished / "info") as target:
                    copy_folder(info, target, allowed)
            with opened(unfinished / "files") as files:
                left = _copy_left(copy, files, changed | new)
            kept: dict[str, Any] = {
                "tip": tip,
                "branch": branch,
                "left": [asdict(one) for one in left],
            }
            with opened(unfinished) as folder:
                kept["digests"] = _digests(folder)
            (unfinished / _MANIFEST).write_text(json.dumps(kept))
            unfinished.rename(self._folder)

    def compare(self, copy: int) -> CopyChange:
        """Return what differs from the snapshot. Raises OSError, GitFailed, CannotRead."""
        kept = self._read()
        changed, _ = self._look.uncommitted(kept.tip)
        files = changed - kept.left.keys()
        files |= {one.name for one in kept.left.values() if _differs(copy, one)}
        return CopyChange(tuple(sorted(files)), _is_moved(copy, kept))

    def put_back(self, copy: int, *, is_over: bool) -> None:
        """Restore branches, index and files; with `is_over` delete new files, too. Repeatable.

        Raises OSError, GitFailed, CannotRead.
        """
        kept = self._read()
        with made_folder(copy, ".git") as git_dir, opened(self._folder) as folder:
            with opened(folder, "git") as source:
                match_folder(source, git_dir, skip=_SKIPPED)
            with opened(folder, "info") as source, made_folder(git_dir, "objects", "info") as info:
                match_folder(source, info)
        failpoint("copy.half_put_back")
        for _ in range(_ROUNDS):
            changed, new = self._look.uncommitted(kept.tip)
            foreign = changed - kept.left.keys()
            links = self._look.links(kept.tip) & foreign if foreign else set[str]()
            left = [one for one in kept.left.values() if _is_restorable(copy, one)]
            added = {name for name in new if not _is_known(name, kept.left)} | links
            if not (foreign - links or left or (is_over and added)):
                return
            if foreign - links:
                self._look.check_out(kept.tip, foreign - links)
            self._restore(copy, left)
            if is_over and not foreign - links:
                _clear(copy, added, links)
        raise CannotRead("What a check changed could not be put back.")

    def drop(self) -> None:
        """Delete the snapshot, if there is one, at once or not at all. Raises OSError."""
        clear_asides(self._home, _FOLDER)
        if self.is_kept:
            with aside(self._home, _FOLDER) as old:
                self._folder.rename(old / _FOLDER)

    def _read(self) -> Manifest:
        """Read the manifest. Raises CannotRead if anything differs from what was written."""
        try:
            with opened(self._folder) as folder:
                found = json.loads(read_file(folder, _MANIFEST, cap=_MANIFEST_CAP) or "")
                is_whole = found["digests"] == _digests(folder)
            left = {one["name"]: LeftFile(**one) for one in found["left"]}
            is_whole = is_whole and not any(".." in name.split("/") for name in left)
        except (ValueError, KeyError, TypeError) as problem:
            raise CannotRead("The state before its checks could not be read.") from problem
        if not is_whole:
            raise CannotRead("The state before its checks is damaged.")
        return Manifest(found["tip"], found["branch"], left)

    def _restore(self, copy: int, left: Collection[LeftFile]) -> None:
        # what was gone goes first: it may be a folder in the place of a file
        for one in sorted(left, key=lambda one: one.kind != "gone"):
            *folders, name = one.name.split("/")
            if one.kind == "gone":
                with suppress(FileNotFoundError), opened(copy, *folders) as folder:
                    remove_tree(folder, name)
                continue
            with made_folder(copy, *folders) as folder:
                if one.kind == "link":
                    write_link(one.text or "", folder, name)
                    continue
                copies = opened(self._folder / "files")
                with copies as files, opened_file(files, str(one.number)) as fd:
                    write_copy(fd, folder, name)


def _digests(folder: int) -> list[str]:
    found: list[str] = []
    for name in ("git", "info", "files"):
        with opened(folder, name) as part:
            found.append(digest_folder(part))
    return found


def _copy_left(copy: int, files: int, names: Collection[str]) -> list[LeftFile]:
    """Describe these files, and copy as many as there is room for."""
    found = [LeftFile(name, *_look_at(copy, name)) for name in names]
    room, left = _MOST_BYTES, list[LeftFile]()
    for number, one in enumerate(sorted(found, key=lambda one: (one.seen[1:2], one.name))):
        *folders, name = one.name.split("/")
        text: str | None = None
        if one.kind in ("file", "link"):
            size = one.seen[1]
            with suppress(PermissionError), opened(copy, *folders) as folder:
                if one.kind == "link":
                    text = link_of(folder, name)
                elif size <= room:
                    with opened_file(folder, name) as fd:
                        text = write_new(fd, files, str(number))
                    room -= size
        left.append(LeftFile(one.name, one.kind, one.seen, text, number))
    return left


def _look_at(copy: int, path: str) -> tuple[str, list[int]]:
    """Return the kind of a file, and numbers that change whenever the file does."""
    *folders, name = path.split("/")
    if ".." in folders or name in ("", ".."):
        return "other", []
    try:
        with opened(copy, *folders) as folder:
            seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as problem:
        if is_made_so(problem):
            return "gone", []
        raise
    told = [seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]
    if stat.S_ISREG(seen.st_mode):
        return "file", told
    return ("link", told) if stat.S_ISLNK(seen.st_mode) else ("other", [])


def _differs(copy: int, one: LeftFile) -> bool:
    """Return True if a file in no commit is not as the agent left it."""
    kind, seen = _look_at(copy, one.name)
    if (kind, seen) == (one.kind, one.seen):
        return False
    if kind != one.kind or one.text is None:
        return True
    *folders, name = one.name.split("/")
    with opened(copy, *folders) as folder:
        if kind == "link":
            return link_of(folder, name) != one.text
        # a file of another size is not read: it may be larger than any disk
        return seen[:2] != one.seen[:2] or digest_of(folder, name) != one.text


def _is_restorable(copy: int, one: LeftFile) -> bool:
    return (one.kind == "gone" or one.text is not None) and _differs(copy, one)


def _is_known(name: str, left: Collection[str]) -> bool:
    """Return True if a new file, or one in the new repository `name/`, was there before."""
    return name in left or (name.endswith("/") and any(one.startswith(name) for one in left))


def _is_moved(copy: int, kept: Manifest) -> bool:
    try:
        with opened(copy, ".git") as git_dir:
            return read_tip(git_dir, kept.branch) != kept.tip
    except (OSError, Tampered):
        return True


def _clear(copy: int, names: Collection[str], links: Collection[str]) -> None:
    """Delete new files and repositories, and empty submodules that were filled."""
    for path in names:
        *folders, name = path.rstrip("/").split("/")
        with opened(copy, *folders) as folder:
            remove_tree(folder, name)
            if path in links:
                os.mkdir(name, 0o755, dir_fd=folder)
