"""One repository of a forge twin: its issues, comments, labels and pull requests."""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.fakes.forges.desk import Desk
from tests.fakes.forges.git_side import GitSide
from tests.fakes.forges.history import History

Made = tuple[int, Any]
NOT_FOUND: Made = (404, {"message": "not found"})
REFUSED: Made = (403, {"message": "user should have a permission to write to a repo"})


def stamp(*, for_headers: bool = False) -> str:
    """Return the time now, in whole seconds."""
    now = datetime.now(UTC)
    return email.utils.format_datetime(now, usegmt=True) if for_headers else f"{now:%FT%TZ}"


@dataclass(frozen=True)
class Token:
    """Whose token it is, and what it may."""

    login: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """A person or a bot."""

    login: str

    def row(self) -> dict[str, Any]:
        """Return the person as the API shows one."""
        number = crc32(self.login.encode())
        return {"id": number, "login": self.login, "full_name": "", "is_admin": False}


@dataclass
class Hosted:
    """A repository; its parts are rows as the API shows them."""

    name: str
    id: int
    home: str
    place: Path
    git: GitSide
    writers: tuple[str, ...]
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    labels: list[dict[str, Any]] = field(default_factory=list)
    blockers: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    admins: tuple[str, ...] = ("acme",)
    # how its forge lets merge
    styles: tuple[str, ...] = ("merge", "squash", "rebase")
    has_issues: bool = True
    has_pulls: bool = True
    renamed_to: str = ""
    # how often a merge is answered with "try again later"
    computing: int = 0
    # how many opened requests are answered as if their branch were not known yet
    unknown_branches: int = 0
    last: int = 0
    history: History = field(default_factory=lambda: History(lambda it: Person(it).row(), stamp))

    def __post_init__(self) -> None:
        self.desk = Desk(self.home)

    # --- what people do ------------------------------------------------------------------------

    @property
    def clone_url(self) -> str:
        """Its address for git."""
        return f"{self.home}/{self.name}.git"

    def add_label(self, name: str) -> dict[str, Any]:
        """Add a label to the repository; two of one name are allowed."""
        made = {"id": len(self.labels) + 1, "name": name, "color": "00aabb", "description": ""}
        self.labels.append(made)
        return made

    def write(
        self, title: str, body: str = "", *labels: str, by: str = "acme", labelled_by: str = "acme"
    ) -> int:
        """Write an issue that somebody gives these labels; return its number."""
        number = self._next()
        known = {one["name"]: one for one in self.labels}
        self.issues[number] = self._texts(number, title, body, by, "issues") | {
            "labels": [],
            "assignees": None,
            "pull_request": None,
            "repository": {"id": self.id, "name": self.name.partition("/")[2]}
            | {"owner": self.name.partition("/")[0], "full_name": self.name},
        }
        for name in labels:
            self.label(number, known.get(name) or self.add_label(name), labelled_by)
        return number

    def label(self, number: int, label: dict[str, Any], by: str, at: str = "") -> None:
        """Give an issue a label."""
        self.issues[number]["labels"].append(label)
        self.history.add(self.issues[number], "label", by, at, body="1", label=label)

    def unlabel(self, number: int, label: dict[str, Any], by: str) -> None:
        """Take a label from an issue."""
        self.issues[number]["labels"].remove(label)
        self.history.add(self.issues[number], "label", by, body="", label=label)

    def edit(self, number: int, by: str, at: str = "", **texts: str) -> None:
        """Change an issue's title or body."""
        self.history.edit(self.issues[number], by, texts, at)

    def close(self, number: int) -> None:
        """Close an issue or a pull request."""
        row = self.issues.get(number) or self.pulls[number]
        row |= {"state": "closed", "closed_at": stamp(), "updated_at": stamp()}

    def reopen(self, number: int) -> None:
        """Open a closed issue or pull request again."""
        row = self.issues.get(number) or self.pulls[number]
        row |= {"state": "open", "closed_at": None, "updated_at": stamp()}

    def say(self, number: int, author: str, body: str) -> dict[str, Any]:
        """Comment on an issue or a pull request."""
        said = self.comments.setdefault(number, [])
        made = {"id": self.id * 10000 + self._next(), "user": Person(author).row(), "body": body}
        said.append(made | {"created_at": stamp(), "updated_at": stamp()})
        if number in self.issues:
            self.history.add(self.issues[number], "comment", author, body=body)
        self._touch(number)
        return said[-1]

    def review(
        self, number: int, author: str, body: str = "", *lines: tuple[str, int, str]
    ) -> list[int]:
        """Ask for changes of a pull request, on lines too: file, line and words of each."""
        head = self.pulls[number]["head"]["sha"]
        rows = [
            {"path": file, "new_position": line, "body": words, "sha": head}
            for file, line, words in lines
        ]
        person = Person(author).row()
        made = self.desk.review(number, person, "REQUEST_CHANGES", body, *rows, at=stamp())
        self._touch(number)
        return made

    def _touch(self, number: int) -> None:
        row = self.issues.get(number) or self.pulls.get(number)
        if row is not None:
            row["updated_at"] = stamp()

    def open(self, branch: str, base: str, title: str, body: str, by: str = "bot") -> int:
        """Open a pull request; nothing prevents a second one at the same moment."""
        number = self._next()
        head, onto = self.git.tip(self.place, branch), self.git.tip(self.place, base)
        own = {"repo_id": self.id, "repo": {"id": self.id, "full_name": self.name}}
        self.pulls[number] = self._texts(number, title, body, by, "pulls") | {
            "merged": False,
            "merged_at": None,
            "merge_commit_sha": None,
            "mergeable": True,
            "additions": 1,
            "deletions": 0,
            "changed_files": 1,
            "base": {"label": base, "ref": base, "sha": onto, **own},
            "head": {"label": branch, "ref": branch, "sha": head, **own},
            "merge_base": self.git.base_of(self.place, head, onto),
        }
        return number

    def row(self, login: str) -> dict[str, Any]:
        """Return the repository as the API shows it."""
        may = login in self.writers or login == self.name.partition("/")[0]
        return {
            "id": self.id,
            "name": self.name.partition("/")[2],
            "full_name": self.name,
            "owner": Person(self.name.partition("/")[0]).row(),
            "clone_url": self.clone_url,
            "html_url": f"{self.home}/{self.name}",
            "default_branch": "main",
            "archived": False,
            "private": False,
            "permissions": {"admin": False, "push": may, "pull": True},
            "has_issues": self.has_issues,
            "has_pull_requests": self.has_pulls,
        }

    # --- answers -------------------------------------------------------------------------------

    def answer(self, method: str, below: str, query: Any, body: Any, login: str) -> Made:
        """Return status and JSON of a call below `/repos/{owner}/{name}`."""
        if not below:
            return 200, self.row(login)
        if method != "GET" and not self.row(login)["permissions"]["push"]:
            return REFUSED
        beside = self.desk.answer(method, below, query, body, Person(login).row(), stamp())
        if beside is not None:
            if method != "GET" and (match := re.match(r"/pulls/(\d+)", below)):
                self._touch(int(match[1]))
            return beside
        for pattern, answer in (
            (r"/issues", self._list_or_write),
            (r"/issues/(\d+)", self._issue),
            (r"/issues/(\d+)/comments", self._talk),
            (r"/issues/(\d+)/dependencies", self._dependencies),
            (r"/issues/comments/(\d+)", self._comment),
            (r"/issues/(\d+)/labels", self._label),
            (r"/issues/(\d+)/labels/(\d+)", self._unlabel),
            (r"/issues/(\d+)/timeline", self._timeline),
            (r"/labels", self._labels),
            (r"/hooks", self._hooks),
            (r"/assignees", self._assignees),
            (r"/pulls", self._pulls),
            (r"/pulls/(\d+)", self._pull),
            (r"/pulls/(\d+)/merge", self._merge),
        ):
            if match := re.fullmatch(pattern, below):
                numbers = [int(one) for one in match.groups()]
                return answer(method, query, body, login, *numbers)
        return 404, None

    def _list_or_write(self, method: str, query: Any, body: Any, login: str) -> Made:
        if method == "POST":
            if not body.get("title"):
                return 422, {"message": "[Title]: Required"}
            return 201, self.issues[self.write(body["title"], body.get("body", ""), by=login)]
        if not self.has_issues:
            return NOT_FOUND
        rows = self._by_state([*self.issues.values()], query)
        if query.get("type", [""])[0] != "issues":
            pulls = [
                row | {"pull_request": {"merged": row["merged"]}} for row in self.pulls.values()
            ]
            rows += self._by_state(pulls, query)
        # a label that the repository does not have is no filter at all
        known = {one["name"] for one in self.labels}
        wanted = {*query.get("labels", [""])[0].split(",")} & known
        rows = [row for row in rows if wanted <= {one["name"] for one in row.get("labels", ())}]
        if since := query.get("since", [""])[0]:
            # inclusive, in whole seconds
            begin = datetime.fromisoformat(since)
            rows = [row for row in rows if datetime.fromisoformat(row["updated_at"]) >= begin]
        return 200, sorted(rows, key=lambda row: -row["number"])

    def _issue(self, method: str, _: Any, body: Any, __: str, number: int) -> Made:
        row = self.issues.get(number)
        if row is None and number in self.pulls:
            row = self.pulls[number] | {"pull_request": {"merged": False}}
        if row is None or not self.has_issues:
            return NOT_FOUND
        if method == "PATCH":
            row |= body | {"updated_at": stamp()}
            return 201, row
        return 200, row

    def _talk(self, method: str, _: Any, body: Any, login: str, number: int) -> Made:
        if number not in self.issues and number not in self.pulls:
            return (500, {"message": ""}) if method == "POST" else NOT_FOUND
        if method == "POST":
            return 201, self.say(number, login, body["body"])
        return 200, self.comments.get(number, [])

    def _comment(self, method: str, _: Any, body: Any, login: str, wanted: int) -> Made:
        said = [(one, row) for one, rows in self.comments.items() for row in rows]
        found = next(((one, row) for one, row in said if row["id"] == wanted), None)
        if found is None:
            return NOT_FOUND
        number, row = found
        if row["user"]["login"] != login:
            return 403, None
        if method == "DELETE":
            self.comments[number].remove(row)
            return 204, None
        row |= {"body": body["body"], "updated_at": stamp()}
        return 200, row

    def _dependencies(self, _: str, __: Any, ___: Any, ____: str, number: int) -> Made:
        return (200, self.blockers.get(number, [])) if number in self.issues else NOT_FOUND

    def _label(self, _: str, __: Any, body: Any, login: str, number: int) -> Made:
        known = {one["id"]: one for one in self.labels}
        for one in body["labels"]:
            if one in known:
                self.label(number, known[one], login)
        return 200, self.issues[number]["labels"]

    def _timeline(self, _: str, __: Any, ___: Any, ____: str, number: int) -> Made:
        known = self.history.timelines.get(number, [])
        return (200, known) if number in self.issues else NOT_FOUND

    def _unlabel(self, _: str, __: Any, ___: Any, ____: str, number: int, label: int) -> Made:
        if label not in {one["id"] for one in self.labels}:
            return 404, {"message": f"label does not exist [label_id: {label}]"}
        row = self.issues[number]
        row["labels"] = [one for one in row["labels"] if one["id"] != label]
        return 204, None

    def _assignees(self, *_: Any) -> Made:
        names = dict.fromkeys([*self.writers, self.name.partition("/")[0]])
        return 200, [Person(name).row() for name in names]

    def _hooks(self, method: str, _: Any, body: Any, login: str) -> Made:
        if login not in self.admins:
            said = "user should be an owner or a collaborator with admin write of a repository"
            return 403, {"message": said}
        if method == "GET":
            hidden = [
                one | {"config": {key: one["config"][key] for key in ("url", "content_type")}}
                for one in self.hooks
            ]
            return 200, hidden
        if body.get("type") != "gitea":
            return 422, {"message": f"Invalid hook type: {body.get('type')}"}
        self.hooks.append({**body, "id": len(self.hooks) + 1})
        return 201, self.hooks[-1]

    def _labels(self, method: str, _: Any, body: Any, __: str) -> Made:
        if method != "POST":
            return 200, self.labels
        if not body.get("color"):
            return 422, {"message": "[Color]: Required"}
        return 201, self.add_label(body["name"])

    def _pulls(self, method: str, query: Any, body: Any, login: str) -> Made:
        if not self.has_pulls:
            return NOT_FOUND
        if method == "GET":
            for row in self.pulls.values():
                self._refresh(row)
            rows = self._by_state([*self.pulls.values()], query)
            return 200, sorted(rows, key=lambda row: -row["number"])
        branch = body.get("head", "")
        if self.unknown_branches or not self.git.tip(self.place, branch):
            self.unknown_branches = max(0, self.unknown_branches - 1)
            return 404, {"message": f'ref "{branch}" does not exist'}
        if not body.get("title"):
            return 422, {"message": "[Title]: Required"}
        is_there = (row for row in self.pulls.values() if row["state"] == "open")
        if any(row["head"]["label"] == branch for row in is_there):
            return 409, {"message": "pull request already exists for these targets"}
        number = self.open(branch, body["base"], body["title"], body.get("body", ""), login)
        return 201, self.pulls[number]

    def _pull(self, method: str, _: Any, body: Any, __: str, number: int) -> Made:
        row = self.pulls.get(number)
        if row is None:
            return NOT_FOUND
        self._refresh(row)
        if method == "PATCH":
            if body.get("state") == "closed":
                self.close(number)
            row |= {name: body[name] for name in ("title", "body") if name in body}
            row |= {"draft": _is_draft(row["title"]), "updated_at": stamp()}
            return 201, row
        return 200, row

    def _merge(self, _: str, __: Any, body: Any, login: str, number: int) -> Made:
        row = self.pulls.get(number)
        if row is None or (row["state"] != "open" and not row["merged"]):
            return NOT_FOUND
        self._refresh(row)
        if row["merged"]:
            return 405, {"message": "The PR is already merged"}
        if row["draft"]:
            return 405, {"message": "Work in progress PRs cannot be merged"}
        if body.get("head_commit_id") not in (None, row["head"]["sha"]):
            return 409, {"message": "head out of date"}
        if self.computing or not row["mergeable"]:
            self.computing = max(0, self.computing - 1)
            return 405, {"message": "Please try again later"}
        words = body.get("MergeTitleField") or f"Merge #{number}"
        if body["Do"] not in self.styles:
            refusal = f"{body['Do']} is not allowed an allowed merge style for this repository"
            return 405, {"message": refusal}
        self.merge(number, words, login, style=body["Do"])
        return 200, None

    def merge(
        self, number: int, words: str = "Merge", by: str = "acme", style: str = "merge"
    ) -> str:
        """Merge a pull request and close what it closes; return the commit on its base."""
        row = self.pulls[number]
        self._refresh(row)
        base, head = row["base"]["ref"], row["head"]["sha"]
        sha = self.git.merge(self.place, base, head, words, is_flat=style != "merge")
        row |= {"merged": True, "merged_at": stamp(), "merge_commit_sha": sha}
        row["merged_by"] = Person(by).row()
        self.close(number)
        for found in re.findall(r"[Cc]loses #(\d+)", row["body"]):
            if int(found) in self.issues:
                self.close(int(found))
        return sha

    def _refresh(self, row: dict[str, Any]) -> None:
        """Bring an open request up to date with its branch."""
        if row["state"] != "open":
            return
        tip = self.git.tip(self.place, row["head"]["label"])
        if not tip:
            row["head"]["ref"] = f"refs/pull/{row['number']}/head"
            return
        base = self.git.tip(self.place, row["base"]["ref"])
        if (row["head"]["sha"], row["base"]["sha"]) != (tip, base) or "seen" not in row:
            row["head"]["sha"], row["base"]["sha"] = tip, base
            row["mergeable"] = self.git.is_mergeable(self.place, base, tip)
            row |= {"merge_base": self.git.base_of(self.place, base, tip), "seen": True}
            row["updated_at"] = stamp()

    def _by_state(self, rows: list[Any], query: Any) -> list[Any]:
        state = query.get("state", ["open"])[0]
        return [row for row in rows if state == "all" or row["state"] == state]

    def _texts(self, number: int, title: str, body: str, by: str, kind: str) -> dict[str, Any]:
        return {
            "id": self.id * 10000 + number,
            "number": number,
            "title": title,
            "body": body,
            "user": Person(by).row(),
            "state": "open",
            "draft": _is_draft(title),
            "html_url": f"{self.home}/{self.name}/{kind}/{number}",
            "created_at": stamp(),
            "updated_at": stamp(),
            "closed_at": None,
        }

    def _next(self) -> int:
        self.last += 1
        return self.last


def _is_draft(title: str) -> bool:
    return title.startswith(("WIP:", "[WIP]"))
