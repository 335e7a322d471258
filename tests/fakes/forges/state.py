"""What one repository of a forge twin holds, and what people do there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.forges.desk import Desk
from tests.fakes.forges.git_side import GitSide
from tests.fakes.forges.history import History
from tests.fakes.forges.people import Person, stamp
from tests.fakes.forges.protection import LaterMerge, Protection


@dataclass
class HostedState:
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
    protection: Protection = field(default_factory=Protection)
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

    def lacking(self, row: dict[str, Any]) -> list[str]:
        """Return the checks that the base of a pull request demands and its head has not passed."""
        return self.protection.lacking(self.desk.statuses.get(row["head"]["sha"], []))

    def merge_later(self, number: int, order: LaterMerge) -> None:
        """Have the forge merge a pull request once its checks have passed."""
        self.protection.later[number] = order
        self.history.add(self.pulls[number], "pull_scheduled_merge", order.by)

    def cancel_later(self, number: int, by: str = "acme") -> bool:
        """Have the forge no longer merge a pull request by itself; False if it was not to."""
        if self.protection.later.pop(number, None) is None:
            return False
        self.history.add(self.pulls[number], "pull_cancel_scheduled_merge", by)
        return True

    def check(self, number: int, state: str = "success") -> None:
        """Have CI report all demanded checks of a pull request's head."""
        row = self.pulls[number]
        self._refresh(row)
        for name in self.protection.required:
            self.desk.report(row["head"]["sha"], name, state)
        self.merge_by_itself()

    def merge_by_itself(self) -> None:
        """Make the merges that waited for checks which have passed by now, at the present head."""
        for number, order in [*self.protection.later.items()]:
            row = self.pulls[number]
            self._refresh(row)
            if row["state"] == "open" and not self.lacking(row):
                del self.protection.later[number]
                self.merge(number, order.words, order.by, order.style)
                self.history.add(row, "merge_pull", order.by)

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
            "draft": is_draft(title),
            "html_url": f"{self.home}/{self.name}/{kind}/{number}",
            "created_at": stamp(),
            "updated_at": stamp(),
            "closed_at": None,
        }

    def _next(self) -> int:
        self.last += 1
        return self.last


def is_draft(title: str) -> bool:
    """Return True for the title of a draft."""
    return title.startswith(("WIP:", "[WIP]"))
