"""Reading from GitHub: nothing is concluded from what a repository does not show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from time import sleep
from typing import Any

from app.adapters.forge.client import Answer, NotThere
from app.adapters.forge.gitea_rows import (
    Row,
    is_agent,
    name_of,
    part_of,
    path_of,
    said_by,
    switched_off,
    text_of,
)
from app.adapters.forge.github.app import AppSignIn
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.rows import home_of, is_own, refusal_of, repository_of
from app.services.ports import ForgeSilent, HostedRepository, Repository

# gone: an issue that was deleted, or issues that are switched off
_MISSING = (404, 410)
# what a hook tells of
HOOKED = [
    *("issues", "issue_comment", "pull_request", "pull_request_review"),
    *("pull_request_review_comment", "push", "status", "check_suite"),
]


class GithubReader:
    """Reads lists and single things of GitHub's repositories."""

    def __init__(self, client: GithubClient, pause: Callable[[float], None] = sleep) -> None:
        self.client = client
        self.pause = pause

    @property
    def refused(self) -> str | None:
        """Why only a person can help, None if nothing is known against it."""
        return self.client.refused or self.client.sign_in.refused

    def repository(self, full_name: str) -> HostedRepository | None:
        """Return a repository as the token sees it, None if it sees none of this name."""
        answer = self.client.get(path_of(Repository("", "", full_name=full_name)))
        if answer.status in _MISSING:
            return None
        if not answer.is_good or not answer.row:
            raise ForgeSilent(f"it answered {answer.status}")
        found, sign_in = repository_of(answer.row), self.client.sign_in
        if isinstance(sign_in, AppSignIn):
            owner = full_name.partition("/")[0]
            found = replace(found, may_push=sign_in.may_push(owner))
        return found

    def has_moved(self, full_name: str) -> bool:
        """Return True if a question about this repository was redirected."""
        return path_of(Repository("", "", full_name=full_name)) in self.client.moved

    def repositories(self) -> list[HostedRepository]:
        """Return the repositories that the token sees, or where the App is installed, by name."""
        sign_in = self.client.sign_in
        found = self._of_app(sign_in) if isinstance(sign_in, AppSignIn) else self._of_person()
        return sorted(found, key=lambda one: one.full_name)

    def _of_person(self) -> list[HostedRepository]:
        try:
            return [repository_of(row) for row in self.client.pages("/user/repos")]
        except NotThere as problem:
            raise ForgeSilent(said_by(problem.answer)) from problem

    def _of_app(self, sign_in: AppSignIn) -> list[HostedRepository]:
        found: list[HostedRepository] = []
        for place in sign_in.installations():
            if place.is_suspended:
                continue
            # this list names no account in its path
            token = TokenSignIn(sign_in.bearer(place.owner))
            meter = self.client.meter
            with closing(GithubClient(self.client.api, token, meter=meter)) as client:
                rows = client.entries("/installation/repositories", "repositories")
                found += (replace(repository_of(row), may_push=place.may_push) for row in rows)
        return found

    def install_hook(self, full_name: str, url: str, secret: str) -> str:
        """Have a repository send hooks to an address, unless it does; return why not, or "".

        That needs admin rights there. Raises ForgeSilent.
        """
        path = f"{path_of(Repository('', '', full_name=full_name))}/hooks"
        try:
            known = self.client.pages(path)
        except NotThere as problem:
            return said_by(problem.answer)
        if any(part_of(one, "config").get("url") == url for one in known):
            return ""
        config = {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
        body = {"name": "web", "active": True, "events": HOOKED, "config": config}
        made = self.client.send("POST", path, body)
        return "" if made.is_good else refusal_of(made)

    def pulls(self, repo: Repository, **params: Any) -> list[dict[str, Any]]:
        """Return pull requests whose head is in the repository itself, without those of forks."""
        return [row for row in self.rows(repo, "/pulls", params) if is_own(row)]

    def walk_rows(self, repo: Repository, below: str, params: Mapping[str, Any]) -> Iterator[Row]:
        """Yield a list below a repository page by page. Raises ForgeSilent."""
        try:
            yield from self.client.walk(f"{path_of(repo)}{below}", params)
        except NotThere as problem:
            raise self.missing(repo, problem.answer) from problem

    def rows(self, repo: Repository, below: str, params: Mapping[str, Any]) -> list[Any]:
        """Return a list below a repository. Raises ForgeSilent, also if it is not shown."""
        try:
            return self.client.pages(f"{path_of(repo)}{below}", params)
        except NotThere as problem:
            raise self.missing(repo, problem.answer) from problem

    def writers(self, repo: Repository) -> frozenset[int]:
        """Return the ids of the people who may write to a repository. Raises ForgeSilent."""
        # `author_association` would not do: a member of an organisation may only read there
        rows = self.rows(repo, "/collaborators", {"permission": "push"})
        return frozenset(
            one["id"]
            for one in rows
            if isinstance(one.get("id"), int)
            and part_of(one, "permissions").get("push") is True
            and not is_agent(repo, one)
        )

    def question(self, repo: Repository, query: str, **variables: Any) -> Row:
        """Ask one GraphQL question about a repository, as `$owner` and `$name`.

        Returns what it says of it. Raises ForgeSilent.
        """
        owner, _, name = name_of(repo).partition("/")
        given = {"owner": owner, "name": name, **variables}
        answer = self.client.graphql(owner, query, given)
        return part_of(part_of(answer.row, "data"), "repository")

    def missing(self, repo: Repository, answer: Answer) -> ForgeSilent:
        """Return the silence about something that a repository does not show."""
        words = f"{name_of(repo)} does not show this: {said_by(answer)}"
        return ForgeSilent(words, needs_attention=True)

    def one(self, repo: Repository, below: str) -> Row | None:
        """Return one thing; None only if the repository itself answers and says there is none."""
        answer = self.client.get(f"{path_of(repo)}{below}")
        if answer.is_good and answer.row:
            return answer.row if self._is_from(repo, answer.row) else None
        if answer.status not in _MISSING:
            raise ForgeSilent(f"it answered {answer.status}")
        if silence := switched_off(repo, self.home(repo), below):
            raise silence
        return None

    def home(self, repo: Repository) -> Row:
        """Return the repository's own row. Raises ForgeSilent."""
        answer = self.client.get(path_of(repo))
        if not answer.is_good or not answer.row:
            raise self.missing(repo, answer)
        return answer.row

    def _is_from(self, repo: Repository, row: Row) -> bool:
        """Return False for an issue that was moved to another repository: GitHub leads there."""
        name = home_of(row).lower()
        if name in ("", name_of(repo).lower()):
            return True
        # unless the repository itself has another name now
        return name == text_of(self.home(repo), "full_name").lower()
