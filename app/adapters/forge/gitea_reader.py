"""Reading from Forgejo and Gitea: nothing is concluded from what a repository does not show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import sleep
from typing import Any

from app.adapters.forge.client import Answer, ForgeClient, NotThere
from app.adapters.forge.gitea_rows import (
    Row,
    hosted_of,
    is_agent,
    is_own,
    name_of,
    path_of,
    said_by,
    switched_off,
)
from app.domain.json.objects import is_object
from app.services.ports import (
    ForgeSilent,
    HostedRepository,
    Repository,
)

# what a hook tells of
HOOKED = [
    *("issues", "issue_label", "issue_comment", "pull_request", "pull_request_sync"),
    *("pull_request_review", "pull_request_comment", "push", "create"),
]


class GiteaReader:
    """Reads lists and single things of one forge's repositories."""

    def __init__(self, client: ForgeClient, pause: Callable[[float], None] = sleep) -> None:
        self.client = client
        self.pause = pause

    @property
    def refused(self) -> str | None:
        """Why only a person can help, None if nothing is known against it."""
        return self.client.refused

    def repository(self, full_name: str) -> HostedRepository | None:
        """Return a repository as the token sees it, None if it sees none of this name."""
        answer = self.client.get(path_of(Repository("", "", full_name=full_name)))
        if answer.status == 404:
            return None
        if not answer.is_good or not answer.row:
            raise ForgeSilent(f"it answered {answer.status}")
        return hosted_of(answer.row)

    def has_moved(self, full_name: str) -> bool:
        """Return True if a question about this repository was redirected."""
        return path_of(Repository("", "", full_name=full_name)) in self.client.moved

    def repositories(self) -> list[HostedRepository]:
        """Return the repositories that the token sees, by name."""
        try:
            rows = self.client.pages("/user/repos")
        except NotThere as problem:
            raise ForgeSilent(said_by(problem.answer)) from problem
        return sorted(map(hosted_of, rows), key=lambda one: one.full_name)

    def install_hook(self, full_name: str, url: str, secret: str) -> str:
        """Have a repository send hooks to an address, unless it does; return why not, or "".

        That needs admin rights there. Raises ForgeSilent.
        """
        path = f"{path_of(Repository('', '', full_name=full_name))}/hooks"
        try:
            known = self.client.pages(path)
        except NotThere as problem:
            return said_by(problem.answer)
        configs = [one.get("config") for one in known]
        if any(is_object(one) and one.get("url") == url for one in configs):
            return ""
        config = {"url": url, "content_type": "json", "secret": secret}
        made = self.client.send(
            "POST",
            path,
            {"type": "gitea", "config": config, "events": HOOKED, "active": True},
        )
        return "" if made.is_good else said_by(made)

    def pulls(self, repo: Repository, **params: Any) -> list[dict[str, Any]]:
        """Return pull requests whose head is in the repository itself, without those of forks."""
        return [row for row in self.rows(repo, "/pulls", params) if is_own(row)]

    def walk_pulls(self, repo: Repository, **params: Any) -> Iterator[Row]:
        """Yield the same page by page, for as long as they are wanted. Raises ForgeSilent."""
        yield from filter(is_own, self.walk_rows(repo, "/pulls", params))

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
        # those who can be assigned: its collaborators would include readers
        found = self.rows(repo, "/assignees", {})
        return frozenset(
            one["id"] for one in found if isinstance(one.get("id"), int) and not is_agent(repo, one)
        )

    def missing(self, repo: Repository, answer: Answer) -> ForgeSilent:
        """Return the silence about something that a repository does not show."""
        words = f"{name_of(repo)} does not show this: {said_by(answer)}"
        return ForgeSilent(words, needs_attention=True)

    def one(self, repo: Repository, below: str) -> Row | None:
        """Return one thing; None only if the repository itself answers and says there is none."""
        answer = self.client.get(f"{path_of(repo)}{below}")
        if answer.is_good and answer.row:
            return answer.row
        if answer.status != 404:
            raise ForgeSilent(f"it answered {answer.status}")
        home = self.client.get(path_of(repo))
        if not home.is_good or not home.row:
            raise self.missing(repo, home)
        if silence := switched_off(repo, home.row, below):
            raise silence
        return None
