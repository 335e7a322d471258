"""The desk of a forge twin: reports of CI on commits, and reviews of pull requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

Made = tuple[int, Any]
NOT_FOUND: Made = (404, {"message": "not found"})
PAGE = 50


@dataclass
class Desk:
    """The statuses of commits, the jobs of Actions with their logs, and the reviews."""

    home: str
    kind: str = "gitea"
    # by commit, one row for each report
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[int, str] = field(default_factory=dict)
    reviews: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    lines: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    # comments on lines that the forge takes no more
    refuses_lines: bool = False
    last: int = 500

    # --- what people and CI do -----------------------------------------------------------------

    def report(self, sha: str, context: str, state: str, url: str = "") -> None:
        """Report a state of one job for a commit; the newest of each context counts."""
        rows = self.statuses.setdefault(sha, [])
        rows.append({"id": len(rows) + 1, "status": state, "target_url": url, "context": context})

    def run_job(self, sha: str, name: str, conclusion: str, log: str) -> None:
        """Run a job of Actions, which reports with a path as its address."""
        number = self._next()
        state = "success" if conclusion == "success" else "failure"
        self.report(sha, f"ci.yml / {name} (push)", state, f"/acme/shop/actions/runs/1/{number}")
        self.jobs.append({"id": number, "name": name, "conclusion": conclusion, "head_sha": sha})
        self.logs[number] = log

    def review(
        self,
        number: int,
        author: dict[str, Any],
        state: str,
        body: str = "",
        *lines: dict[str, Any],
        at: str,
    ) -> list[int]:
        """Review a pull request with comments on lines; return the ids of these."""
        made = {"id": self._next(), "user": author, "state": state, "body": body}
        made |= {"comments_count": len(lines), "dismissed": False, "submitted_at": at}
        self.reviews.setdefault(number, []).append(made)
        rows = self.lines.setdefault(made["id"], [])
        for line in lines:
            told = {"user": author, "resolver": None, "created_at": at, "updated_at": at}
            places = {"position": line.get("new_position", 0), "path": line["path"]}
            places["original_position"] = line.get("old_position", 0)
            told |= {"id": self._next(), "body": line["body"], "commit_id": line.get("sha", "")}
            rows.append(told | places)
        return [row["id"] for row in rows]

    def said_on_lines(self, number: int, login: str) -> list[dict[str, Any]]:
        """Return what somebody said on lines of a pull request."""
        return [
            row
            for review in self.reviews.get(number, ())
            for row in self.lines[review["id"]]
            if row["user"]["login"] == login
        ]

    # --- answers -------------------------------------------------------------------------------

    def answer(
        self, method: str, below: str, query: Any, body: Any, author: dict[str, Any], at: str
    ) -> Made | None:
        """Return status and JSON of a call below a repository, None if it is not about these."""
        if match := re.fullmatch(r"/commits/(.+)/status", below):
            limit, page = (int(query.get(name, ["1"])[0]) for name in ("limit", "page"))
            return self._sum(match[1], min(limit, PAGE), page)
        if match := re.fullmatch(r"/pulls/(\d+)/reviews", below):
            number = int(match[1])
            if method == "GET":
                return 200, self.reviews.get(number, [])
            if body["comments"] and self.refuses_lines:
                return 422, {"message": "line does not exist"}
            made = body["event"], body["body"], *body["comments"]
            self.review(number, author, *made, at=at)
            return 200, self.reviews[number][-1]
        if match := re.fullmatch(r"/pulls/\d+/reviews/(\d+)/comments", below):
            return (200, self.lines[int(match[1])]) if int(match[1]) in self.lines else NOT_FOUND
        return self._actions(below, query) if below.startswith("/actions/") else None

    def _sum(self, sha: str, limit: int, page: int) -> Made:
        newest = {one["context"]: one for one in self.statuses.get(sha, ())}
        is_known = len(sha) == 40 and sha != "0" * 40
        if not newest:
            if self.kind == "forgejo":
                return 200, {"state": "", "sha": "", "total_count": 0, "statuses": None}
            return (200, _summed("pending", sha, [])) if is_known else NOT_FOUND
        rows = list(newest.values())
        shown = rows[(page - 1) * limit : page * limit]
        return 200, _summed("failure", sha, rows) | {"statuses": shown or None}

    def _actions(self, below: str, query: Any) -> Made:
        if self.kind == "forgejo":
            return 404, None
        if below == "/actions/runs":
            sha = query.get("head_sha", [""])[0]
            own = [one for one in self.jobs if one["head_sha"] == sha]
            runs = [{"id": 1, "head_sha": sha, "conclusion": "failure"}] if own else []
            return 200, {"total_count": len(runs), "workflow_runs": runs}
        if below == "/actions/runs/1/jobs":
            return 200, {"total_count": len(self.jobs), "jobs": self.jobs}
        match = re.fullmatch(r"/actions/jobs/(\d+)/logs", below)
        if match and int(match[1]) in self.logs:
            return 200, Text(self.logs[int(match[1])])
        return NOT_FOUND

    def _next(self) -> int:
        self.last += 1
        return self.last


class Text(str):
    """An answer in plain text."""

    __slots__ = ()


def _summed(state: str, sha: str, rows: list[Any]) -> dict[str, Any]:
    return {"state": state, "sha": sha, "total_count": len(rows), "statuses": rows or None}
