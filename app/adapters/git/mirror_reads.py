"""The part of a mirror that reviews read: the files and the commits of a change."""
# stands alone: the file of the mirrors is full

from __future__ import annotations

from datetime import UTC, datetime

from app.adapters.git.diffs import changed_files
from app.adapters.git.layout import checked_sha, mirror_path, or_cannot_read
from app.adapters.git.push import Merging
from app.services.ports import ChangedFile, Commit, Repository

MOST_COMMITS = 200
# no commit can hold a NUL
_FORM = "%H%x00%ct%x00%an%x00%s"
_FIELDS = 4


class MirrorReads(Merging):
    """Mirrors as reviews read them."""

    def changed_files(self, repo: Repository, base_sha: str, tip: str) -> list[ChangedFile]:
        """Return the files of a diff, by path. Raises CannotRead."""
        with or_cannot_read("The mirror"):
            base, last = checked_sha(base_sha), checked_sha(tip)
            return changed_files(self._git, mirror_path(self._root, repo), base, last)

    def commits(self, repo: Repository, base_sha: str, tip: str) -> list[Commit]:
        """Return the commits of `base_sha..tip` on its own line, newest first.

        Raises CannotRead.
        """
        with or_cannot_read("The mirror"):
            between = f"{checked_sha(base_sha)}..{checked_sha(tip)}"
            ask = ["log", "-z", "--first-parent", "--no-show-signature", "--no-mailmap"]
            ask += [f"--max-count={MOST_COMMITS}", f"--format=tformat:{_FORM}", between, "--"]
            answer = self._git.run(ask, git_dir=mirror_path(self._root, repo))
        fields = answer.out.decode("utf-8", "replace").split("\0")
        rows = (fields[at : at + _FIELDS] for at in range(0, len(fields) - 1, _FIELDS))
        return [
            Commit(sha, subject, author, datetime.fromtimestamp(int(seconds), UTC))
            for sha, seconds, author, subject in rows
        ]
