"""The check that keeps secrets here: commits that add one wait for a person's word."""

from __future__ import annotations

from app.domain.safe_text import blank
from app.domain.words import Cause
from app.services.ports import Leak, Mirrors, Repository
from app.services.push_checks import Objection
from app.services.secret_values import SecretValues

# of the commits that were looked at last, so that a merge does not read them once more
REMEMBERED = 100
LONGEST_PATH = 200


class SecretCheck:
    """Looks through commits for every secret that is known here."""

    def __init__(self, mirrors: Mirrors, secrets: SecretValues) -> None:
        self._mirrors = mirrors
        self._secrets = secrets
        self._clean: dict[tuple[object, ...], None] = {}

    def look(self, repo: Repository, base_sha: str, tip: str) -> Objection | None:
        """The objection to pushing `base_sha..tip`, None where no secret is in it.

        Raises CannotRead where not all of it could be read.
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
