"""One repository of a GitHub twin: the state of a `Hosted`, answered as GitHub does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.forges.github.description import filled
from tests.fakes.forges.hosted import Hosted, Person, stamp

Made = tuple[int, Any]


def said(status: int, message: str, **more: Any) -> Made:
    """Return a refusal as GitHub words it."""
    return status, {"message": message, "documentation_url": "https://docs.github.test", **more}


def invalid(message: str = "", field: str = "", code: str = "custom") -> Made:
    """Return what GitHub says about a body that it cannot take."""
    told = {"message": message} if message else {}
    error = {"resource": "PullRequest", "code": code, **({"field": field} if field else {}), **told}
    return said(422, "Validation Failed", errors=[error])


NOT_FOUND = said(404, "Not Found")
_ALLOWED = {"merge": "allow_merge_commit", "squash": "allow_squash_merge"}
_ALLOWED |= {"rebase": "allow_rebase_merge"}
_REFUSED = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}


@dataclass
class GithubHosted(Hosted):
    """A repository at GitHub; `default` is its default branch."""

    default: str = "main"
    readers: tuple[str, ...] = ()
    # not every plan has drafts
    has_drafts: bool = True
    # an older server keeps no dependencies
    has_dependencies: bool = True
    styles: tuple[str, ...] = ("merge", "squash", "rebase")
    used_style: str = ""
    # issues that were moved: the repository they are in now
    moved: dict[int, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The account that it belongs to."""
        return self.name.partition("/")[0]

    def may_push(self, login: str) -> bool:
        """Return True if somebody may write to it."""
        return login in (self.owner, *self.writers)

    # --- what people do ------------------------------------------------------------------------

    def merge(self, number: int, words: str = "Merge", by: str = "acme") -> str:
        """Merge a pull request; only one into the default branch closes its issue."""
        row = self.pulls[number]
        body = row["body"]
        if row["base"]["ref"] != self.default:
            row["body"] = ""
        try:
            return super().merge(number, words, by)
        finally:
            row["body"] = body

    # --- rows ----------------------------------------------------------------------------------

    def user(self, login: str) -> dict[str, Any]:
        """Return somebody as GitHub shows them."""
        kind = "Bot" if login.endswith("[bot]") else "User"
        return {"login": login, "id": Person(login).row()["id"], "type": kind}

    def home_row(self, login: str, kind: str = "full-repository") -> dict[str, Any]:
        """Return the repository."""
        may = self.may_push(login)
        given: dict[str, Any] = {
            "id": self.id,
            "name": self.name.partition("/")[2],
            "full_name": self.name,
            "owner": self.user(self.owner),
            "clone_url": self.clone_url,
            "html_url": f"{self.home}/{self.name}",
            "default_branch": self.default,
            "has_issues": self.has_issues,
            "permissions": {"admin": False, "push": may, "pull": True},
        }
        given |= {_ALLOWED[style]: style in self.styles for style in _ALLOWED}
        return filled(kind, given)

    def issue_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return an issue, or a pull request as the lists of issues show one."""
        waits = self.blockers.get(row["number"], [])
        api = f"{self.home}/api/v3/repos/{self.name}"
        labels = [{"name": one["name"], "id": one["id"]} for one in row.get("labels", ())]
        given: dict[str, Any] = {
            **{name: row[name] for name in ("id", "number", "title", "body", "state", "html_url")},
            **{name: row[name] for name in ("created_at", "updated_at", "closed_at")},
            "user": self.user(row["user"]["login"]),
            "labels": labels,
            "repository_url": api,
            "author_association": "NONE",
        }
        if self.has_dependencies:
            is_open = sum(one["state"] == "open" for one in waits)
            counts = {"blocked_by": is_open, "blocking": 0}
            counts |= {"total_blocked_by": len(waits), "total_blocking": 0}
            given["issue_dependencies_summary"] = counts
        if row["number"] in self.pulls:
            at = f"{api}/pulls/{row['number']}"
            given["pull_request"] = dict.fromkeys(("url", "html_url", "diff_url", "patch_url"), at)
        return filled("issue", given)

    def pull_row(self, row: dict[str, Any], *, is_whole: bool) -> dict[str, Any]:
        """Return a pull request, whole or as lists show one."""
        self._refresh(row)
        home = self.home_row("", "repository")
        ends: dict[str, Any] = {}
        for end in ("head", "base"):
            branch = row[end]["label"]
            label = f"{self.owner}:{branch}"
            ends[end] = {"label": label, "ref": branch, "sha": row[end]["sha"], "repo": home}
            ends[end]["user"] = self.user(self.owner)
        given: dict[str, Any] = {
            **{name: row[name] for name in ("id", "number", "title", "body", "state", "html_url")},
            **{name: row[name] for name in ("created_at", "updated_at", "closed_at")},
            **ends,
            "node_id": f"PR_{row['id']}",
            "draft": row["draft"],
            "user": self.user(row["user"]["login"]),
            "merged_at": row["merged_at"],
            # of an open one, GitHub tells its trial
            "merge_commit_sha": row["merge_commit_sha"] or "f" * 40,
            "author_association": "CONTRIBUTOR",
        }
        if not is_whole:
            return filled("pull-request-simple", given)
        is_known = not self.computing
        given |= {name: row[name] for name in ("merged", "additions", "deletions", "changed_files")}
        given["mergeable"] = row["mergeable"] if is_known else None
        given["mergeable_state"] = "clean" if row["mergeable"] else "dirty"
        if row["draft"]:
            given["mergeable_state"] = "draft"
        return filled("pull-request", given)

    # --- answers -------------------------------------------------------------------------------

    def answer(self, method: str, below: str, query: Any, body: Any, login: str) -> Made:
        """Return status and JSON of a call below `/repos/{owner}/{name}`."""
        if not below:
            return 200, self.home_row(login)
        if method != "GET" and not self.may_push(login):
            return said(403, "Resource not accessible")
        for pattern, answer in (
            (r"/issues", self._list_issues),
            (r"/issues/(\d+)", self._one_issue),
            (r"/issues/(\d+)/comments", self._comments),
            (r"/issues/(\d+)/dependencies/blocked_by", self._blocked_by),
            (r"/issues/(\d+)/labels", self._give_label),
            (r"/issues/comments/(\d+)", self._change_comment),
            (r"/labels", self._all_labels),
            (r"/collaborators", self._collaborators),
            (r"/hooks", self._hooks),
            (r"/pulls", self._list_pulls),
            (r"/pulls/(\d+)", self._one_pull),
            (r"/pulls/(\d+)/merge", self._merge_one),
        ):
            if match := re.fullmatch(pattern, below):
                numbers = [int(one) for one in match.groups()]
                return answer(method, query, body, login, *numbers)
        if match := re.fullmatch(r"/issues/(\d+)/labels/(.+)", below):
            return self._take_label(int(match[1]), match[2])
        if match := re.fullmatch(r"/compare/([^.]+)\.\.\.([^.]+)", below):
            parted = self.git.base_of(self.place, match[1], match[2])
            given = {"merge_base_commit": {"sha": parted}}
            return 200, filled("commit-comparison", given)
        return NOT_FOUND

    def _list_issues(self, _: str, query: Any, *__: Any) -> Made:
        if not self.has_issues:
            return said(410, "Issues are disabled for this repo")
        both = [*self.issues.values(), *self.pulls.values()]
        rows = [row for row in self._by_state(both, query) if row["number"] not in self.moved]
        # labels are compared without regard to case
        wanted = {one.lower() for one in query.get("labels", [""])[0].split(",") if one}
        rows = [
            row for row in rows if wanted <= {one["name"].lower() for one in row.get("labels", ())}
        ]
        newest_first = query.get("direction", ["desc"])[0] == "desc"
        rows.sort(key=lambda row: row["number"], reverse=newest_first)
        return 200, [self.issue_row(row) for row in rows]

    def _one_issue(self, method: str, _: Any, body: Any, __: str, number: int) -> Made:
        row = self.issues.get(number) or self.pulls.get(number)
        if number in self.moved:
            return 301, f"/api/v3/repos/{self.moved[number]}/issues/{number}"
        if row is None:
            return NOT_FOUND
        if not self.has_issues and number in self.issues:
            return said(410, "Issues are disabled for this repo")
        if method == "PATCH" and body.get("state") == "closed":
            self.close(number)
        return 200, self.issue_row(row)

    def _comments(self, method: str, _: Any, body: Any, login: str, number: int) -> Made:
        if number not in self.issues and number not in self.pulls:
            return NOT_FOUND
        if method == "POST":
            return 201, self._comment_row(self.say(number, login, body["body"]))
        return 200, [self._comment_row(one) for one in self.comments.get(number, [])]

    def _change_comment(self, _: str, __: Any, body: Any, login: str, number: int) -> Made:
        for row in (one for said_ in self.comments.values() for one in said_):
            if row["id"] == number:
                row |= {"body": body["body"], "updated_at": stamp()}
                return 200, self._comment_row(row)
        return NOT_FOUND

    def _all_labels(self, method: str, _: Any, body: Any, __: str) -> Made:
        if method == "GET":
            return 200, [filled("label", one) for one in self.labels]
        if any(one["name"].lower() == body["name"].lower() for one in self.labels):
            return invalid(field="name", code="already_exists")
        return 201, filled("label", self.add_label(body["name"]))

    def _give_label(self, _: str, __: Any, body: Any, ___: str, number: int) -> Made:
        labels = self.issues[number]["labels"]
        known = {one["name"]: one for one in self.labels}
        has = {one["name"] for one in labels}
        labels += [known[name] for name in body["labels"] if name not in has]
        return 200, [filled("label", one) for one in labels]

    def _take_label(self, number: int, name: str) -> Made:
        labels = self.issues[number]["labels"]
        if name not in [one["name"] for one in labels]:
            return said(404, "Label does not exist")
        labels[:] = [one for one in labels if one["name"] != name]
        return 200, [filled("label", one) for one in labels]

    def _comment_row(self, row: dict[str, Any]) -> dict[str, Any]:
        told = {name: row[name] for name in ("id", "body", "created_at", "updated_at")}
        given = {**told, "user": self.user(row["user"]["login"]), "author_association": "NONE"}
        return filled("issue-comment", given)

    def _blocked_by(self, _: str, __: Any, ___: Any, ____: str, number: int) -> Made:
        if not self.has_dependencies or number not in self.issues:
            return NOT_FOUND
        rows: list[Any] = []
        for one in self.blockers.get(number, []):
            api = f"{self.home}/api/v3/repos/{one['repository']['full_name']}"
            rows.append(self.issue_row(one) | {"repository_url": api})
        return 200, rows

    def _collaborators(self, _: str, query: Any, __: Any, login: str) -> Made:
        if not self.may_push(login):
            return said(403, "Must have push access to view repository collaborators.")
        writers = dict.fromkeys([*self.writers, self.owner])
        names = dict.fromkeys(writers, True) | dict.fromkeys(self.readers, False)
        only_writers = query.get("permission", [""])[0] == "push"
        return 200, [
            filled(
                "collaborator",
                self.user(name)
                | {"permissions": {"admin": False, "push": may, "pull": True}}
                | {"role_name": "write" if may else "read"},
            )
            for name, may in names.items()
            if may or not only_writers
        ]

    def _hooks(self, method: str, _: Any, body: Any, login: str) -> Made:
        if login != self.owner:
            return NOT_FOUND
        if method == "GET":
            return 200, [filled("hook", one) for one in self.hooks]
        self.hooks.append({**body, "id": len(self.hooks) + 1})
        return 201, filled("hook", self.hooks[-1])

    def _list_pulls(self, method: str, query: Any, body: Any, login: str) -> Made:
        if method == "POST":
            return self._open_one(body, login)
        rows = self._by_state([*self.pulls.values()], query)
        owner, _, branch = query.get("head", [""])[0].partition(":")
        if branch:
            rows = [row for row in rows if row["head"]["label"] == branch and owner == self.owner]
        rows.sort(key=lambda row: -row["number"])
        return 200, [self.pull_row(row, is_whole=False) for row in rows]

    def _open_one(self, body: Any, login: str) -> Made:
        branch, base = body["head"], body["base"]
        if self.unknown_branches or not self.git.tip(self.place, branch):
            self.unknown_branches = max(0, self.unknown_branches - 1)
            return invalid(field="head", code="invalid")
        if not body.get("title"):
            return invalid(field="title", code="missing_field")
        if body.get("draft") and not self.has_drafts:
            return invalid("Draft pull requests are not supported in this repository.")
        ends = [(row["head"]["label"], row["base"]["ref"]) for row in self.pulls.values()
                if row["state"] == "open"]  # fmt: skip
        if (branch, base) in ends:
            return invalid(f"A pull request already exists for {self.owner}:{branch}.")
        number = self.open(branch, base, body["title"], body.get("body", ""), login)
        row = self.pulls[number]
        row["draft"] = bool(body.get("draft"))
        return 201, self.pull_row(row, is_whole=True)

    def _one_pull(self, method: str, _: Any, body: Any, __: str, number: int) -> Made:
        row = self.pulls.get(number)
        if row is None:
            return NOT_FOUND
        if method == "PATCH":
            if body.get("state") == "closed":
                self.close(number)
            row |= {name: body[name] for name in ("title", "body") if name in body}
            row["updated_at"] = stamp()
        return 200, self.pull_row(row, is_whole=True)

    def _merge_one(self, _: str, __: Any, body: Any, login: str, number: int) -> Made:
        row = self.pulls.get(number)
        if row is None:
            return NOT_FOUND
        self._refresh(row)
        style = body.get("merge_method", "merge")
        if style not in self.styles:
            return said(405, f"{_REFUSED[style]} are not allowed on this repository.")
        if row["state"] != "open" or row["draft"] or self.computing or not row["mergeable"]:
            self.computing = max(0, self.computing - 1)
            return said(405, "Pull Request is not mergeable")
        if body.get("sha") not in (None, row["head"]["sha"]):
            return said(409, "Head branch was modified. Review and try the merge again.")
        self.used_style = style
        sha = self.merge(number, body.get("commit_title") or "Merge", login)
        return 200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
