"""Runyard's words on issues at Forgejo and Gitea: one comment for each run, and labels."""

from __future__ import annotations

from typing import cast

from app.adapters.forge.client import Answer, NotThere
from app.adapters.forge.gitea_reader import GiteaReader
from app.adapters.forge.gitea_rows import Row, author_of, path_of, said_by, text_of
from app.domain.json.objects import is_object
from app.domain.tracker.forges import mark_of, runs_marked
from app.services.ports import ForgeSilent, Repository

COLOUR = "#1d76db"
MEANS = {
    "ready-for-agent": "An agent may take it.",
}
WORKING_MEANS = "Runyard's agent is working on it."


class GiteaClaims(GiteaReader):
    """The comments and labels of one forge's issues."""

    # the account whose token this is, once it was asked for
    _own_id: int | None = None

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
        if answer.status == 404:
            return None if self.one(repo, issue) is None else comment
        _taken(answer)
        return comment

    def add_label(self, repo: Repository, number: int, name: str) -> bool:
        """Give an issue a label, which is made if it is missing; False without such an issue."""
        row = self.one(repo, f"/issues/{number}")
        if row is None:
            return False
        if _ids_named(row.get("labels"), name):
            return True
        known = self._labels_named(repo, name)
        chosen = known[0] if known else self._make(repo, name)
        path = f"{path_of(repo)}/issues/{number}/labels"
        answer = _taken(self.client.send("POST", path, {"labels": [chosen]}))
        # an id that is unknown by now adds nothing, and the answer is as good
        if not _ids_named(answer.body, name):
            raise ForgeSilent(f"the label {name} was not added")
        return True

    def drop_label(self, repo: Repository, number: int, name: str) -> None:
        """Take every label of this name off an issue."""
        row = self.one(repo, f"/issues/{number}")
        for label in _ids_named(row.get("labels"), name) if row is not None else ():
            path = f"{path_of(repo)}/issues/{number}/labels/{label}"
            answer = self.client.send("DELETE", path)
            # a label that is gone from the repository is gone from its issues
            if answer.status not in (404, 422):
                _taken(answer)

    def has_label(self, repo: Repository, name: str) -> bool:
        """Return True if a repository, or one of its open issues, has a label of this name."""
        if self._labels_named(repo, name):
            return True
        # its organisation's labels are not in its list
        params = {"type": "issues", "state": "open", "labels": name}
        rows = self.client.walk(f"{path_of(repo)}/issues", params)
        try:
            return any(_ids_named(row.get("labels"), name) for row in rows)
        except NotThere as problem:
            raise self.missing(repo, problem.answer) from problem

    def make_label(self, repo: Repository, name: str) -> None:
        """Make a label in a repository unless it has one of this name."""
        if not self._labels_named(repo, name):
            self._make(repo, name)

    def _make(self, repo: Repository, name: str) -> int:
        body = {"name": name, "color": COLOUR, "description": MEANS.get(name, WORKING_MEANS)}
        return _id_of(_taken(self.client.send("POST", f"{path_of(repo)}/labels", body)).row)

    def _labels_named(self, repo: Repository, name: str) -> list[int]:
        return _ids_named(self.rows(repo, "/labels", {}), name)

    def _own_comment(self, repo: Repository, number: int, run_id: str) -> Row | None:
        """Return the comment with this run's mark that is ours: anybody can copy a mark."""
        for row in self.rows(repo, f"/issues/{number}/comments", {}):
            is_marked = run_id in runs_marked(text_of(row, "body"))
            if is_marked and author_of(row) == self._own_account():
                return row
        return None

    def _own_account(self) -> int:
        if self._own_id is None:
            answer = self.client.get("/user")
            self._own_id = _id_of(_taken(answer).row)
        return self._own_id


def _taken(answer: Answer) -> Answer:
    """Return a good answer. Raises ForgeSilent for another one."""
    if not answer.is_good:
        # what is refused stays refused: only a person can change that
        is_refusal = 400 <= answer.status < 500
        raise ForgeSilent(f"it was not taken: {said_by(answer)}", needs_attention=is_refusal)
    return answer


def _id_of(row: Row) -> int:
    found = row.get("id")
    if not isinstance(found, int):
        raise ForgeSilent("its answer has no id")
    return found


def _ids_named(rows: object, name: str) -> list[int]:
    """Return the ids of the labels of exactly this name, lowest first; there may be several."""
    known = cast(list[object], rows) if isinstance(rows, list) else []
    found = [row for row in known if is_object(row)]
    return sorted(_id_of(row) for row in found if row.get("name") == name)
