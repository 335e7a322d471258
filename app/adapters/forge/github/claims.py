"""Runyard's words on issues at GitHub: one comment for each run, and labels."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from app.adapters.forge.client import Answer
from app.adapters.forge.gitea_rows import Row, login_of, path_of, text_of
from app.adapters.forge.github.app import AppSignIn
from app.adapters.forge.github.reader import GithubReader
from app.adapters.forge.github.rows import refusal_of
from app.domain.json.objects import is_array, is_object
from app.domain.tracker.forges import mark_of, runs_marked
from app.domain.words import READY_LABEL
from app.services.ports import ForgeSilent, Repository

COLOUR = "1d76db"
MEANS = {READY_LABEL: "An agent may take it."}
WORKING_MEANS = "Runyard's agent is working on it."


class GithubClaims(GithubReader):
    """The comments and labels of GitHub's issues."""

    # the account that writes here, once it was asked for
    _own_login: str | None = None

    def tell(
        self, repo: Repository, number: int, run_id: str, text: str, comment: int | None
    ) -> int | None:
        """Write a run's one comment on an issue, or change it to this text; return its id.

        None if there is no such issue. One that a person removed is not written again.
        """
        issue = f"/issues/{number}"
        body = f"{text}\n\n{mark_of(run_id)}"
        if comment is None:
            if self.one(repo, issue) is None:
                return None
            # an answer may have been lost, or this server before it was kept
            known = self._own_comment(repo, number, run_id)
            if known is None:
                path = f"{path_of(repo)}{issue}/comments"
                return _id_of(_taken(self.client.send("POST", path, {"body": body})).row)
            comment = _id_of(known)
            if text_of(known, "body") == body:
                return comment
        path = f"{path_of(repo)}/issues/comments/{comment}"
        answer = self.client.send("PATCH", path, {"body": body})
        if answer.status in (404, 410):
            return None if self.one(repo, issue) is None else comment
        _taken(answer)
        return comment

    def add_label(self, repo: Repository, number: int, name: str) -> bool:
        """Give an issue a label, which is made if it is missing; False without such an issue."""
        row = self.one(repo, f"/issues/{number}")
        if row is None:
            return False
        if _same(row.get("labels"), name) is None:
            if self._known_as(repo, name) is None:
                self._make(repo, name)
            path = f"{path_of(repo)}/issues/{number}/labels"
            _taken(self.client.send("POST", path, {"labels": [name]}))
        return True

    def drop_label(self, repo: Repository, number: int, name: str) -> None:
        """Take a label off an issue."""
        row = self.one(repo, f"/issues/{number}")
        known = None if row is None else _same(row.get("labels"), name)
        if known is not None:
            path = f"{path_of(repo)}/issues/{number}/labels/{quote(known, safe='')}"
            answer = self.client.send("DELETE", path)
            # a label that is gone from the repository is gone from its issues
            if answer.status != 404:
                _taken(answer)

    def has_label(self, repo: Repository, name: str) -> bool:
        """Return True if a repository has a label of exactly this name."""
        return name in _names(self.rows(repo, "/labels", {}))

    def make_label(self, repo: Repository, name: str) -> None:
        """Make a label in a repository unless it has one of this name."""
        known = self._known_as(repo, name)
        if known is None:
            self._make(repo, name)
        elif known != name:
            said = f"this label is called {known} there: rename it to {name}"
            raise ForgeSilent(said, needs_attention=True)

    def _known_as(self, repo: Repository, name: str) -> str | None:
        return _same(self.rows(repo, "/labels", {}), name)

    def _make(self, repo: Repository, name: str) -> None:
        body = {"name": name, "color": COLOUR, "description": MEANS.get(name, WORKING_MEANS)}
        answer = self.client.send("POST", f"{path_of(repo)}/labels", body)
        # somebody else made it a moment ago
        if not (answer.status == 422 and self._known_as(repo, name) is not None):
            _taken(answer)

    def _own_comment(self, repo: Repository, number: int, run_id: str) -> Row | None:
        """Return the comment with this run's mark that is ours: anybody can copy a mark."""
        for row in self.rows(repo, f"/issues/{number}/comments", {}):
            is_marked = run_id in runs_marked(text_of(row, "body"))
            if is_marked and login_of(row).lower() == self.own_account():
                return row
        return None

    def own_account(self) -> str:
        """Return the login that writes here, in lower case. Raises ForgeSilent."""
        if self._own_login is None:
            sign_in = self.client.sign_in
            if isinstance(sign_in, AppSignIn):
                login = f"{sign_in.slug()[0]}[bot]"
            else:
                login = text_of(_taken(self.client.get("/user")).row, "login")
            if not login:
                raise ForgeSilent("GitHub does not say whose token this is")
            self._own_login = login.lower()
        return self._own_login


def _taken(answer: Answer) -> Answer:
    """Return a good answer. Raises ForgeSilent for another one."""
    if not answer.is_good:
        # what is refused stays refused: only a person can change that
        is_refusal = 400 <= answer.status < 500
        said = f"it was not taken: {refusal_of(answer)}"
        raise ForgeSilent(said, needs_attention=is_refusal)
    return answer


def _id_of(row: Row) -> int:
    found = row.get("id")
    if not isinstance(found, int):
        raise ForgeSilent("its answer has no id")
    return found


def _names(rows: Any) -> list[str]:
    return [text_of(row, "name") for row in rows if is_object(row)] if is_array(rows) else []


def _same(rows: Any, name: str) -> str | None:
    """Return the label that GitHub does not tell from this one: names may differ by case."""
    return next((one for one in _names(rows) if one.casefold() == name.casefold()), None)
