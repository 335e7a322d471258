"""Checks of the commits before a push: file sizes and known secrets."""

from __future__ import annotations

from app.domain.formatting import size_words
from app.domain.safe_text import blank
from app.domain.sandbox.settings import largest_delivered_mb
from app.domain.words import Cause
from app.records.projects.project_ledger import ProjectLedger
from app.services.lifecycle.launch_spec import policy_of
from app.services.ports import LargeFile, Leak, Mirrors, Repository
from app.services.push_checks import Objection
from app.services.secret_values import SecretValues

_NAMED = 5
_MAX_NAME = 80
_MB = 1000**2
# clean commit ranges remembered, so that a merge does not read them again
REMEMBERED = 100
LONGEST_PATH = 200


class DeliveredFiles:
    """Check before a push: file sizes against the project's `file_mb`, or the default limit."""

    def __init__(self, projects: ProjectLedger, mirrors: Mirrors) -> None:
        self._projects = projects
        self._mirrors = mirrors

    def check(self, repo: Repository, base_sha: str, tip: str) -> Objection | None:
        """Return the objection to files too large in any of the commits. Raises CannotRead."""
        project = self._projects.find(repo.project_id)
        if project is None:
            return None
        most = largest_delivered_mb(policy_of(project).limits)
        large = self._mirrors.large_files(repo, base_sha, tip, above=most * _MB)
        return Objection(Cause.FILE_TOO_LARGE, too_large_words(large, most)) if large else None


def too_large_words(large: list[LargeFile], most: int) -> str:
    """Return the sentence for files larger than `most` MB."""
    named = ", ".join(f"{_short(one.name)} ({size_words(one.size)})" for one in large[:_NAMED])
    more = len(large) - _NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    whose = "a file is" if len(large) == 1 else "files are"
    return f"{whose} larger than the {most:,} MB that a delivery may hold: {named}{rest}"


def _short(name: str) -> str:
    plain = " ".join(blank(name).split()) or "a file without a name"
    return plain if len(plain) <= _MAX_NAME else f"…{plain[1 - _MAX_NAME :]}"


class SecretCheck:
    """Check before a push: no commit may contain a secret known to Runyard."""

    def __init__(self, mirrors: Mirrors, secrets: SecretValues) -> None:
        self._mirrors = mirrors
        self._secrets = secrets
        self._clean: dict[tuple[object, ...], None] = {}

    def check(self, repo: Repository, base_sha: str, tip: str) -> Objection | None:
        """Return the objection to pushing `base_sha..tip`, None if it contains no secret.

        Raises CannotRead if part of it could not be read.
        """
        mask = self._secrets.mask()
        asked = (repo, base_sha, tip, mask)
        if not mask or asked in self._clean:
            return None
        leak = self._mirrors.find_leak(repo, base_sha, tip, mask)
        if leak is not None:
            return Objection(
                Cause.SECRET_FOUND, f"not pushed: {_place(leak)} contains a secret ({leak.name})"
            )
        self._clean[asked] = None
        while len(self._clean) > REMEMBERED:
            self._clean.pop(next(iter(self._clean)), None)
        return None


def _place(leak: Leak) -> str:
    commit = f"commit {leak.commit[:7]}"
    if not leak.path:
        return f"the message or author of {commit}"
    path = blank(leak.path)
    short = path if len(path) <= LONGEST_PATH else f"…{path[1 - LONGEST_PATH :]}"
    return f"{short} line {leak.line} of {commit}" if leak.line else f"the name {short} in {commit}"
