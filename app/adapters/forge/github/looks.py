"""Changes at GitHub since the last look: one question for many repositories of an owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time

from app.adapters.forge.gitea_rows import Row, moment_of, name_of, part_of, text_of
from app.adapters.forge.github.client import GithubClient
from app.domain.json.objects import is_array, is_object
from app.services.ports import ForgeSilent, Ready, Repository

# of fewer repositories the lists themselves are asked for: by ETag that costs nothing
MANY = 25
# repositories of one question
MOST_AT_ONCE = 100
# a list is read as a whole at least this often, seconds: not every change shows in a look
WHOLE = 3600.0
# what changed a moment ago may change again without another time, seconds
FRESH = 3.0
_NEWEST = "(first: 1, orderBy: {field: UPDATED_AT, direction: DESC})"
_TOLD = (
    "{ nameWithOwner hasIssuesEnabled"
    f" issues{_NEWEST} {{ totalCount nodes {{ updatedAt }} }}"
    " open: issues(states: OPEN) { totalCount }"
    f" pullRequests{_NEWEST} {{ totalCount nodes {{ updatedAt }} }} }}"
)


@dataclass(frozen=True)
class _Kept:
    """A repository's list as it was when a look found this, and until when that is good."""

    look: str
    ready: Ready
    until: float


class Looks:
    """The ready issues of repositories, kept for as long as nothing changed there."""

    def __init__(self, client: GithubClient) -> None:
        self._client = client
        self._kept: dict[str, _Kept] = {}

    def take(self, repos: Collection[Repository]) -> dict[Repository, str]:
        """Return what tells one state of a repository from another, where there is such a thing.

        It is taken before a list is read, so that a change in between shows at the next look.
        """
        by_owner: dict[str, list[Repository]] = defaultdict(list)
        for repo in repos:
            if repo.full_name:
                by_owner[repo.full_name.partition("/")[0].lower()].append(repo)
        found: dict[Repository, str] = {}
        for owner, own in by_owner.items():
            if len(own) >= MANY:
                for at in range(0, len(own), MOST_AT_ONCE):
                    found |= self._ask(owner, own[at : at + MOST_AT_ONCE])
        return found

    def known(self, repo: Repository, look: str | None) -> Ready | None:
        """Return what was read, None if it has to be read anew."""
        kept = self._kept.get(name_of(repo)) if look else None
        is_good = kept is not None and kept.look == look and self._client.now() < kept.until
        return kept.ready if kept is not None and is_good else None

    def keep(self, repo: Repository, look: str | None, ready: Ready) -> None:
        """Keep what was read after a look."""
        # a blocker that is closed in another repository does not show here
        if look and not any(one.blocked_elsewhere for one in ready.issues):
            until = self._client.now() + WHOLE
            self._kept[name_of(repo)] = _Kept(look, ready, until)
        else:
            self._kept.pop(repo.full_name or "", None)

    def _ask(self, owner: str, repos: Sequence[Repository]) -> dict[Repository, str]:
        names = [name_of(repo).partition("/")[2] for repo in repos]
        given = {f"n{at}": name for at, name in enumerate(names)}
        params = "".join(f", ${one}: String!" for one in given)
        asked = " ".join(f"{one}: repository(owner: $owner, name: ${one}) {_TOLD}" for one in given)
        query = f"query($owner: String!{params}) {{ {asked} }}"
        try:
            # one that is gone is no answer for the others
            answer = self._client.graphql(owner, query, {"owner": owner, **given}, is_partial=True)
        except ForgeSilent:
            return {}  # the lists themselves will tell
        data = part_of(answer.row, "data")
        told = {repo: part_of(data, one) for one, repo in zip(given, repos, strict=True)}
        return {repo: repr(row) for repo, row in told.items() if self._is_sure(repo, row)}

    def _is_sure(self, repo: Repository, row: Row) -> bool:
        """Return True for a state that cannot change without showing it."""
        # one with another name is asked by REST, which says so
        if text_of(row, "nameWithOwner").lower() != name_of(repo).lower():
            return False
        now = time() + self._client.ahead
        return all(now - one.timestamp() > FRESH for one in _moments(row))


def _moments(row: Row) -> Iterator[datetime]:
    for name in ("issues", "pullRequests"):
        nodes = part_of(row, name).get("nodes")
        for node in nodes if is_array(nodes) else ():
            if is_object(node) and (moment := moment_of(node.get("updatedAt"))) is not None:
                yield moment
