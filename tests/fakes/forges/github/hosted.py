"""One repository of a GitHub twin: the state of a `Hosted`, answered as GitHub does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.fakes.forges.github.description import filled
from tests.fakes.forges.github.desk import GithubDesk
from tests.fakes.forges.github.rows import NOT_FOUND, Made, event_row, invalid, said, user
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.people import stamp

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
    has_pull_requests: bool = True
    # rules of a branch that refuse a merge, in GitHub's words
    refuses_merges: str = ""
    # an older server keeps no dependencies
    has_dependencies: bool = True
    styles: tuple[str, ...] = ("merge", "squash", "rebase")
    used_style: str = ""
    # issues that were moved: the repository they are in now
    moved: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.github_desk = GithubDesk(self.home)
        self.desk = self.github_desk

    @property
    def owner(self) -> str:
        """The account that it belongs to."""
        return self.name.partition("/")[0]

    def may_push(self, login: str) -> bool:
        """Return True if somebody may write to it."""
        return login in (self.owner, *self.writers)

    # --- what people do ------------------------------------------------------------------------

    def merge(
        self, number: int, words: str = "Merge", by: str = "acme", style: str = "merge"
    ) -> str:
        """Merge a pull request; only one into the default branch closes its issue."""
        row = self.pulls[number]
        body = row["body"]
        if row["base"]["ref"] != self.default:
            row["body"] = ""
        try:
            return super().merge(number, words, by, style)
        finally:
            row["body"] = body

    def merge_by_itself(self) -> None:
        """Have what waited for its checks enter the queue where there is one, else merge it."""
        rules = self.protection
        if not rules.has_queue:
            super().merge_by_itself()
            return
        for number in [*rules.later]:
            if not self.lacking(self.pulls[number]):
                rules.queue[number] = rules.later.pop(number)

    def run_queue(self, number: int, because: str = "") -> None:
        """Have the queue merge a pull request, or drop it for a reason."""
        order = self.protection.queue.pop(number)
        if because:
            self.protection.dropped[number] = because
        else:
            self.merge(number, order.words, order.by, order.style)

    # --- rows ----------------------------------------------------------------------------------

    def home_row(self, login: str, kind: str = "full-repository") -> dict[str, Any]:
        """Return the repository."""
        # GitHub says so of every App, whatever it was granted
        may = self.may_push(login) and not login.endswith("[bot]")
        given: dict[str, Any] = {
            "id": self.id,
            "name": self.name.partition("/")[2],
            "full_name": self.name,
            "owner": user(self.owner),
            "clone_url": self.clone_url,
            "html_url": f"{self.home}/{self.name}",
            "default_branch": self.default,
            "has_issues": self.has_issues,
            "has_pull_requests": self.has_pull_requests,
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
            "user": user(row["user"]["login"]),
            "labels": labels,
            "assignees": [user(one["login"]) for one in row.get("assignees") or ()],
            "repository_url": api,
            "author_association": "NONE",
        }
        if row.get("milestone"):
            given["milestone"] = filled("nullable-milestone", {"title": row["milestone"]["title"]})
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
        if row.get("pushed") != row["head"]["sha"]:
            # the base stays as it was at the last push to the head
            row |= {"pushed": row["head"]["sha"], "base_then": row["base"]["sha"]}
        home = self.home_row("", "repository")
        ends: dict[str, Any] = {}
        for end in ("head", "base"):
            branch = row[end]["label"]
            label = f"{self.owner}:{branch}"
            ends[end] = {"label": label, "ref": branch, "sha": row[end]["sha"], "repo": home}
            ends[end]["user"] = user(self.owner)
        ends["base"]["sha"] = row["base_then"]
        given: dict[str, Any] = {
            **{name: row[name] for name in ("id", "number", "title", "body", "state", "html_url")},
            **{name: row[name] for name in ("created_at", "updated_at", "closed_at")},
            **ends,
            "node_id": f"PR_{row['id']}",
            "draft": row["draft"],
            "user": user(row["user"]["login"]),
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
        if row["mergeable"] and (self.lacking(row) or self.protection.has_queue):
            given["mergeable_state"] = "blocked"
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
        beside = self.desk.answer(method, below, query, body, user(login), stamp())
        if beside is not None:
            if method != "GET" and (match := re.match(r"/pulls/(\d+)", below)):
                self._touch(int(match[1]))
            return beside
        for pattern, answer in (
            (r"/issues", self._list_issues),
            (r"/issues/(\d+)", self._one_issue),
            (r"/issues/(\d+)/comments", self._comments),
            (r"/issues/(\d+)/events", self._events),
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
            return self._take_label(int(match[1]), match[2], login)
        if match := re.fullmatch(r"/git/ref/heads/(.+)", below):
            return self._tip(match[1])
        if match := re.fullmatch(r"/compare/([^.]+)\.\.\.([^.]+)", below):
            return self._compare(match[1], match[2], query)
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
        if since := query.get("since", [""])[0]:
            # only what was changed after this second
            rows = [row for row in rows if _moment(row["updated_at"]) > _moment(since)]
        newest_first = query.get("direction", ["desc"])[0] == "desc"
        by = "updated_at" if query.get("sort", [""])[0] == "updated" else "number"
        rows.sort(key=lambda row: (row[by], row["number"]), reverse=newest_first)
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

    def _events(self, _: str, __: Any, ___: Any, ____: str, number: int) -> Made:
        if number not in self.issues:
            return NOT_FOUND
        told = [event_row(one) for one in self.history.timelines.get(number, ())]
        return 200, [one for one in told if one is not None]

    def _tip(self, branch: str) -> Made:
        sha = self.git.tip(self.place, branch)
        return (200, filled("git-ref", {"object": {"sha": sha}})) if sha else NOT_FOUND

    def _compare(self, base: str, head: str, query: Any) -> Made:
        parted = self.git.base_of(self.place, base, head)
        if not parted:
            return said(404, f"No common ancestor between {base} and {head}.")
        given: dict[str, Any] = {"merge_base_commit": {"sha": parted}}
        if query.get("page", ["1"])[0] == "1":
            given["files"] = [{"filename": "mended.txt", "patch": "@@ -0,0 +1 @@\n+mended"}]
        return 200, filled("commit-comparison", given)

    def look(self) -> dict[str, Any]:
        """Return what GraphQL tells of how the repository stands."""

        def newest(rows: list[dict[str, Any]]) -> dict[str, Any]:
            times = [{"updatedAt": row["updated_at"]} for row in rows]
            times.sort(key=lambda one: one["updatedAt"], reverse=True)
            return {"totalCount": len(rows), "nodes": times[:1]}

        for row in self.pulls.values():
            self._refresh(row)
        is_open = [row for row in self.issues.values() if row["state"] == "open"]
        return {
            "nameWithOwner": self.name,
            "hasIssuesEnabled": self.has_issues,
            "issues": newest([*self.issues.values()]),
            "open": {"totalCount": len(is_open)},
            "pullRequests": newest([*self.pulls.values()]),
        }

    def edits(self, number: int) -> dict[str, Any]:
        """Return when a text was changed, and by whom, newest first."""
        issue = self.issues[number]
        first = (issue["created_at"], issue["user"]["login"])
        late = self.history.edits.get(number, [])
        nodes = [
            {"editedAt": at, "editor": {"databaseId": user(login)["id"]}}
            # the first text is told only once it was changed
            for at, login in reversed([first, *late] if late else [])
        ]
        told = {"totalCount": len(nodes), "nodes": nodes[:100]}
        last = late[-1][0] if late else None
        return {"createdAt": first[0], "lastEditedAt": last, "userContentEdits": told}

    def _give_label(self, _: str, __: Any, body: Any, login: str, number: int) -> Made:
        labels = self.issues[number]["labels"]
        # names that differ by case only are the same
        known = {one["name"].casefold(): one for one in self.labels}
        has = {one["name"].casefold() for one in labels}
        for name in body["labels"]:
            if name.casefold() not in has:
                # one that the repository does not have is made
                self.label(number, known.get(name.casefold()) or self.add_label(name), login)
        return 200, [filled("label", one) for one in labels]

    def _take_label(self, number: int, name: str, login: str) -> Made:
        labels = self.issues[number]["labels"]
        found = next((one for one in labels if one["name"] == name), None)
        if found is None:
            return said(404, "Label does not exist")
        self.unlabel(number, found, login)
        return 200, [filled("label", one) for one in labels]

    def _comment_row(self, row: dict[str, Any]) -> dict[str, Any]:
        told = {name: row[name] for name in ("id", "body", "created_at", "updated_at")}
        given = {**told, "user": user(row["user"]["login"]), "author_association": "NONE"}
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
        # an App may write by its installation, and is no collaborator
        names = {name: may for name, may in names.items() if not name.endswith("[bot]")}
        only_writers = query.get("permission", [""])[0] == "push"
        return 200, [
            filled(
                "collaborator",
                user(name)
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
        if row is None or not self.has_pull_requests:
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
        if self.refuses_merges:
            return said(405, self.refuses_merges)
        style = body.get("merge_method", "merge")
        if style not in self.styles:
            return said(405, f"{_REFUSED[style]} are not allowed on this repository.")
        if self.protection.has_queue:
            return said(405, "Changes must be made through the merge queue")
        if lacks := self.lacking(row):
            states = self.protection.states(self.desk.statuses.get(row["head"]["sha"], []))
            how = "failing" if states[lacks[0]] in ("failure", "error") else "expected"
            return said(405, f'Required status check "{lacks[0]}" is {how}.')
        if row["state"] != "open" or row["draft"] or self.computing or not row["mergeable"]:
            self.computing = max(0, self.computing - 1)
            return said(405, "Pull Request is not mergeable")
        if body.get("sha") not in (None, row["head"]["sha"]):
            return said(409, "Head branch was modified. Review and try the merge again.")
        self.used_style = style
        sha = self.merge(number, body.get("commit_title") or "Merge", login, style)
        return 200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


def _moment(said_at: str) -> datetime:
    return datetime.fromisoformat(said_at)
