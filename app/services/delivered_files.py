"""The largest file that a delivery may hold: larger ones stay here until a person has decided."""

from __future__ import annotations

from app.domain.safe_text import blank
from app.domain.sandbox_rules import largest_delivered_mb
from app.domain.sizes import size_words
from app.domain.words import Cause
from app.records.project_ledger import ProjectLedger
from app.services.ports import LargeFile, Mirrors, Repository
from app.services.push_checks import Objection
from app.services.sandbox_policy import policy_of

_NAMED = 5
_MAX_NAME = 80
_MB = 1000**2


class DeliveredFiles:
    """A check before a push: `file_mb` of the project, or what no repository should hold."""

    def __init__(self, projects: ProjectLedger, mirrors: Mirrors) -> None:
        self._projects = projects
        self._mirrors = mirrors

    def check(self, repo: Repository, base_sha: str, tip: str) -> Objection | None:
        """The objection to files that are too large, in any of the commits. Raises CannotRead."""
        project = self._projects.find(repo.project_id)
        if project is None:
            return None
        most = largest_delivered_mb(policy_of(project).limits)
        large = self._mirrors.large_files(repo, base_sha, tip, above=most * _MB)
        return Objection(Cause.FILE_TOO_LARGE, too_large_words(large, most)) if large else None


def too_large_words(large: list[LargeFile], most: int) -> str:
    """The sentence for files larger than `most` MB."""
    named = ", ".join(f"{_short(one.name)} ({size_words(one.size)})" for one in large[:_NAMED])
    more = len(large) - _NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    whose = "a file is" if len(large) == 1 else "files are"
    return f"{whose} larger than the {most:,} MB that a delivery may hold: {named}{rest}"


def _short(name: str) -> str:
    plain = " ".join(blank(name).split()) or "a file without a name"
    return plain if len(plain) <= _MAX_NAME else f"…{plain[1 - _MAX_NAME :]}"
