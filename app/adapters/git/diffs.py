"""Diffs and statistics of commits, and of a working copy's files through our own git folder."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from app.adapters.git.command import Git, GitFailed
from app.adapters.git.layout import checked_sha, mirror_path, or_cannot_read
from app.adapters.git.reverts import Reverting
from app.domain.words import FileStatus
from app.services.ports import ChangedFile, Commit, Diff, DiffStat, FileText, Repository, Tampered

DIFF_CAP = 2 * 1024 * 1024
PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty")
_SHAPE = ("--src-prefix=a/", "--dst-prefix=b/", "-M", "-l400")
_COUNT = re.compile(r"(\d+) (file|insertion|deletion)")
_FILE_MODES = ("100644", "100755")
_LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}
_GLOB = {"GIT_GLOB_PATHSPECS": "1"}
_INDEX_CAP = 128 * 1024 * 1024
_MOST_NEW_FILES = 20_000
_STATUSES = {
    "A": FileStatus.ADDED,
    "C": FileStatus.ADDED,
    "D": FileStatus.DELETED,
    "R": FileStatus.RENAMED,
}
MOST_COMMITS = 200
# no commit can hold a NUL
_COMMIT_FORM = "%H%x00%ct%x00%an%x00%s"
_COMMIT_FIELDS = 4
# the mark of an untracked file in a list by `ls-files -t`
_NEW = "?"


def diff_between(git: Git, git_dir: Path, base: str, tip: str, paths: Sequence[str] = ()) -> Diff:
    """Return the unified diff from the merge base to `tip`, at most 2 MiB. Raises GitFailed."""
    return run_diff(git, [_fork(git, git_dir, base, tip), tip], git_dir, paths=paths, env=_LITERAL)


def changed_files(git: Git, git_dir: Path, base: str, tip: str) -> list[ChangedFile]:
    """Return the files that `diff_between` shows, by path. Raises GitFailed."""
    what = ["diff", *PLAIN, "-M", "-l400", "-z", "--raw", "--numstat", "--no-abbrev"]
    answer = git.run(
        [*what, _fork(git, git_dir, base, tip), tip, "--"], git_dir=git_dir, output_cap=_INDEX_CAP
    )
    fields = iter(answer.out.decode("utf-8", "replace").split("\0"))
    found: dict[str, ChangedFile] = {}
    for one in fields:
        if one.startswith(":"):
            _, _, _, blob, status = one.split(" ")
            previous = next(fields) if status[0] in "RC" else None
            path = next(fields)
            found[path] = ChangedFile(
                path,
                "" if status == "D" else blob,
                previous,
                status=_STATUSES.get(status[0], FileStatus.MODIFIED),
            )
        elif one:
            added, deleted, path = one.split("\t", 2)
            if not path:  # of a rename both paths follow
                _, path = next(fields), next(fields)
            counts = [None if count == "-" else int(count) for count in (added, deleted)]
            found[path] = replace(found[path], additions=counts[0], deletions=counts[1])
    return sorted(found.values(), key=lambda one: one.path)


def run_diff(
    git: Git,
    what: list[str],
    git_dir: Path,
    *,
    work_tree: Path | None = None,
    env: Mapping[str, str] | None = None,
    paths: Sequence[str] = (),
) -> Diff:
    """Run `git diff` on `what`, cut at the last whole line within 2 MiB. Raises GitFailed.

    `paths` limit it to these files; `env` must then have git take them literally.
    """
    answer = git.run(
        ["diff", *PLAIN, *_SHAPE, *what, "--", *paths],
        git_dir=git_dir,
        work_tree=work_tree,
        env=env,
        check=False,
        output_cap=DIFF_CAP,
    )
    if answer.code and not answer.is_cut:
        raise GitFailed("git diff failed", answer.err)
    out = answer.out[: answer.out.rfind(b"\n") + 1] if answer.is_cut else answer.out
    return Diff(out.decode("utf-8", "replace"), answer.is_cut)


def read_file(git: Git, git_dir: Path, sha: str, name: str, most: int) -> FileText | None:
    """Return up to `most` bytes of a file of a commit, None if it has no such file.

    A link or a folder of this name is no file. Raises GitFailed.
    """
    listed = git.run(["ls-tree", "-z", sha, "--", name], git_dir=git_dir, env=_LITERAL).text
    mode, kind, blob = (*listed.partition("\t")[0].split(), "", "", "")[:3]
    if kind != "blob" or mode not in _FILE_MODES:
        return None
    answer = git.run(["cat-file", "blob", blob], git_dir=git_dir, check=False, output_cap=most)
    if answer.code and not answer.is_cut:
        raise GitFailed("git cat-file failed", answer.err)
    # a character that the cut went through is dropped
    text = answer.out.decode("utf-8", "ignore" if answer.is_cut else "replace")
    return FileText(text.removeprefix("\ufeff"), answer.is_cut)


def stat_between(git: Git, git_dir: Path, base: str, tip: str) -> DiffStat:
    """Count the commits of `base..tip`, and the files and lines that `diff_between` shows."""
    count = ["rev-list", "--count", "--left-right", f"{base}...{tip}"]
    missing, commits = git.run(count, git_dir=git_dir).text.split()
    # a tip that has all commits of the base forked there
    fork = _fork(git, git_dir, base, tip) if int(missing) else base
    line = git.run(["diff", *PLAIN, "-M", "-l400", "--shortstat", fork, tip], git_dir=git_dir).text
    counts = {what: int(number) for number, what in _COUNT.findall(line)}
    return DiffStat(
        commits=int(commits),
        files_changed=counts.get("file", 0),
        additions=counts.get("insertion", 0),
        deletions=counts.get("deletion", 0),
    )


def _fork(git: Git, git_dir: Path, base: str, tip: str) -> str:
    answer = git.run(["merge-base", base, tip], git_dir=git_dir, check=False)
    if answer.code not in {0, 1}:
        raise GitFailed("git merge-base failed", answer.err)
    return answer.text or base


@dataclass(frozen=True)
class Look:
    """A view of one working copy: `git_dir` is ours, `files` are the agent's."""

    git: Git
    git_dir: Path
    files: Path

    def uncommitted(self, tip: str) -> tuple[set[str], set[str]]:
        """Return the tracked files that differ from `tip`, and new ones that are not ignored.

        Raises GitFailed.
        """
        with self._index(tip) as env:
            listed = ["ls-files", "-z", "-t", "--modified", "--others", "--exclude-standard"]
            marked = [entry.partition(" ")[::2] for entry in self._names(listed, env)]
            new = {name for mark, name in marked if mark == _NEW}
            changed = {name for mark, name in marked if mark != _NEW}
            return changed | self._filled_submodules(env), new

    def links(self, tip: str) -> set[str]:
        """Return the paths of the submodules of `tip`. Raises GitFailed."""
        with self._index(tip) as env:
            return self._submodules(env)

    def check_out(self, tip: str, names: Collection[str]) -> None:
        """Write these files as they are in `tip`, whatever stands there. Raises GitFailed."""
        with self._index(tip) as env:
            feed = "\0".join(names).encode("utf-8", "surrogateescape")
            self._run(["checkout-index", "-f", "-q", "-z", "--stdin"], env, feed)

    def diff(self, base: str) -> Diff:
        """Return the unified diff of the files against `base`. Raises GitFailed, Tampered."""
        with self._index(base) as env:
            new = self._names(["ls-files", "-z", "--others", "--exclude-standard"], env)
            is_cut = len(new) > _MOST_NEW_FILES
            # a trailing slash marks a nested repository
            paths = [name for name in new[:_MOST_NEW_FILES] if not name.endswith("/")]
            if paths:
                add = ["add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"]
                self._run(add, env, "\0".join(paths).encode("utf-8", "surrogateescape"))
            changed = self._names(["diff-index", *PLAIN, "-z", "--name-only", base, "--"], env)
            self._check_kinds(changed)
            found = run_diff(self.git, [base], self.git_dir, work_tree=self.files, env=env)
            return Diff(found.text, found.is_cut or is_cut)

    @contextmanager
    def _index(self, commit: str) -> Generator[dict[str, str]]:
        # one index per call, so that concurrent calls do not interfere; copied with its mtime,
        # which git compares with the files' to decide what to read again
        index = self.git_dir / f"index.{secrets.token_hex(6)}"
        shutil.copy2(self.git_dir / "index", index)
        env = {"GIT_INDEX_FILE": str(index), **_LITERAL}
        try:
            self._run(["read-tree", "--reset", commit], env)
            yield env
        finally:
            index.unlink(missing_ok=True)

    def _run(self, args: list[str], env: dict[str, str], feed: bytes | None = None) -> bytes:
        return self.git.run(
            args,
            git_dir=self.git_dir,
            work_tree=self.files,
            env=env,
            input=feed,
            output_cap=_INDEX_CAP,
        ).out

    def _names(self, args: list[str], env: dict[str, str]) -> list[str]:
        text = self._run(args, env).decode("utf-8", "surrogateescape")
        return [name for name in text.split("\0") if name]

    def _filled_submodules(self, env: dict[str, str]) -> set[str]:
        # never entered: anything inside counts as uncommitted work
        return {name for name in self._submodules(env) if _holds_something(self.files / name)}

    def _submodules(self, env: dict[str, str]) -> set[str]:
        entries = self._names(["ls-files", "-z", "--stage"], env)
        return {entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")}

    def _check_kinds(self, names: list[str]) -> None:
        # reading a pipe or a device could block forever
        for name in names:
            try:
                mode = (self.files / name).lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
                raise Tampered(f"{name} is not a plain file.")


def _holds_something(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False


class MirrorReads(Reverting):
    """Mirrors as reviews read them."""

    def changed_files(self, repo: Repository, base_sha: str, tip: str) -> list[ChangedFile]:
        """Return the files of a diff, by path. Raises CannotRead."""
        with or_cannot_read("The mirror"):
            base, last = checked_sha(base_sha), checked_sha(tip)
            return changed_files(self._git, mirror_path(self._root, repo), base, last)

    def changed_between(
        self, repo: Repository, old: str, new: str, patterns: Sequence[str]
    ) -> list[str] | None:
        """Return the files among `patterns` in which two commits differ, None without the old one.

        Raises CannotRead.
        """
        git_dir = mirror_path(self._root, repo)
        with or_cannot_read("The mirror"):
            old, new = checked_sha(old), checked_sha(new)
            known = self._git.run(
                ["cat-file", "-e", f"{old}^{{commit}}"], git_dir=git_dir, check=False
            )
            if known.code:
                return None
            what = ["diff", *PLAIN, "--no-renames", "--name-only", "-z", old, new, "--", *patterns]
            answer = self._git.run(what, git_dir=git_dir, env=_GLOB, output_cap=_INDEX_CAP)
        return sorted(filter(None, answer.out.decode("utf-8", "replace").split("\0")))

    def diff_between(self, repo: Repository, old: str, new: str, patterns: Sequence[str]) -> Diff:
        """Return the unified diff of those files. Raises CannotRead."""
        with or_cannot_read("The mirror"):
            what = [checked_sha(old), checked_sha(new)]
            git_dir = mirror_path(self._root, repo)
            return run_diff(self._git, what, git_dir, paths=patterns, env=_GLOB)

    def commits(self, repo: Repository, base_sha: str, tip: str) -> list[Commit]:
        """Return the commits of `base_sha..tip` on its own line, newest first.

        Raises CannotRead.
        """
        with or_cannot_read("The mirror"):
            between = f"{checked_sha(base_sha)}..{checked_sha(tip)}"
            ask = ["log", "-z", "--first-parent", "--no-show-signature", "--no-mailmap"]
            ask += [
                f"--max-count={MOST_COMMITS}",
                f"--format=tformat:{_COMMIT_FORM}",
                between,
                "--",
            ]
            answer = self._git.run(ask, git_dir=mirror_path(self._root, repo))
        fields = answer.out.decode("utf-8", "replace").split("\0")
        rows = (
            fields[at : at + _COMMIT_FIELDS] for at in range(0, len(fields) - 1, _COMMIT_FIELDS)
        )
        return [
            Commit(sha, subject, author, datetime.fromtimestamp(int(seconds), UTC))
            for sha, seconds, author, subject in rows
        ]
