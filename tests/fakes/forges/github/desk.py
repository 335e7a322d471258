"""The desk of a GitHub twin: statuses, check runs and reviews as GitHub tells them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from tests.fakes.forges.desk import Desk, Made
from tests.fakes.forges.github.description import filled
from tests.fakes.forges.github.rows import NOT_FOUND, said, user

_STATES = {"REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
# as a check run that is over ends; anything else is a state of one that is not
_ENDS = ("success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required")


@dataclass
class GithubDesk(Desk):
    """The statuses and check runs of commits, and the reviews; logs of jobs are elsewhere."""

    # by check run
    annotations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    # commits with jobs that wait for another one: they have no check run yet
    waiting: set[str] = field(default_factory=set)
    # what no token may read here: "status", "check-runs" or "check-suites"
    hidden: tuple[str, ...] = ()

    # --- what people and CI do -----------------------------------------------------------------

    def report(self, sha: str, context: str, state: str, url: str = "") -> None:
        """Report a state of one job for a commit; GitHub takes whole addresses only."""
        super().report(sha, context, state, urljoin(self.home, url) if url else "")

    def run_job(self, sha: str, name: str, conclusion: str, log: str) -> None:
        """Run a job, which is a check run with what it says of its end."""
        number = self._next()
        self.jobs.append({"id": number, "name": name, "conclusion": conclusion, "head_sha": sha})
        self.logs[number] = log

    def note(self, name: str, path: str, line: int, message: str) -> None:
        """Annotate a line in the newest job of a name."""
        number = max(one["id"] for one in self.jobs if one["name"] == name)
        row = {"path": path, "start_line": line, "end_line": line, "message": message}
        self.annotations.setdefault(number, []).append(row)

    def threads(self, number: int) -> list[dict[str, Any]]:
        """Return the threads on lines of a pull request as GraphQL tells them."""
        firsts = [row for row in self._lines_of(number) if "in_reply_to_id" not in row]
        return [
            {
                "isResolved": row["resolver"] is not None,
                "comments": {"nodes": [{"id": f"PRRC_{row['id']}"}]},
            }
            for row in firsts
        ]

    # --- answers -------------------------------------------------------------------------------

    def answer(
        self, method: str, below: str, query: Any, body: Any, author: dict[str, Any], at: str
    ) -> Made | None:
        """Return status and JSON of a call below a repository, None if it is not about these."""
        if match := re.fullmatch(r"/commits/([^/]+)/(status|check-runs|check-suites)", below):
            return self._of_commit(match[1], match[2], query)
        if match := re.fullmatch(r"/check-runs/(\d+)/annotations", below):
            known = self.annotations.get(int(match[1]), [])
            return 200, [filled("check-annotation", one) for one in known]
        if match := re.fullmatch(r"/pulls/(\d+)/reviews", below):
            number = int(match[1])
            if method == "POST":
                return self._add_review(number, body, author, at)
            shown = [one for one in self.reviews.get(number, ()) if one["state"] != "PENDING"]
            return 200, [self._review_row(one) for one in shown]
        if match := re.fullmatch(r"/pulls/(\d+)/comments", below):
            return 200, [self._line_row(one) for one in self._lines_of(int(match[1]))]
        if match := re.fullmatch(r"/pulls/(\d+)/comments/(\d+)/replies", below):
            return self._reply(int(match[1]), int(match[2]), body["body"], author, at)
        return None

    def _of_commit(self, sha: str, what: str, query: Any) -> Made:
        if what in self.hidden:
            return said(403, "Resource not accessible by personal access token")
        if sha == "0" * 40:
            lost = f"No commit found for SHA: {sha}"
            return NOT_FOUND if what == "status" else said(422, lost)
        size, page = (int(query.get(name, ["1"])[0]) for name in ("per_page", "page"))
        cut = slice((page - 1) * size, page * size)
        if what == "check-runs":
            jobs = [one for one in self.jobs if one["head_sha"] == sha]
            runs = [filled("check-run", self._run_row(one)) for one in jobs[cut]]
            return 200, {"total_count": len(jobs), "check_runs": runs}
        if what == "check-suites":
            return 200, {"total_count": 2, "check_suites": self._suites(sha)[cut]}
        newest = {one["context"]: one for one in self.statuses.get(sha, ())}
        told = [
            {"id": number, "context": one["context"], "state": one["status"]}
            | {"target_url": one["target_url"] or None}
            for number, one in enumerate(newest.values(), 1)
        ]
        given = {"state": "pending", "sha": sha, "total_count": len(told), "statuses": told[cut]}
        return 200, filled("combined-commit-status", given)

    def _suites(self, sha: str) -> list[dict[str, Any]]:
        """Return the suite of the workflow, and that of an App which runs nothing."""
        runs = [self._run_row(one) for one in self.jobs if one["head_sha"] == sha]
        is_over = sha not in self.waiting and all(one["status"] == "completed" for one in runs)
        rows = [
            {"id": 1, "status": "completed", "conclusion": "success"}
            if is_over
            else {"id": 1, "status": "in_progress", "conclusion": None},
            {"id": 2, "status": "queued", "conclusion": None},
        ]
        counts = (len(runs), 0)
        return [
            filled("check-suite", row | {"head_sha": sha, "latest_check_runs_count": count})
            for row, count in zip(rows, counts, strict=True)
        ]

    def _run_row(self, job: dict[str, Any]) -> dict[str, Any]:
        is_over = job["conclusion"] in _ENDS
        noted = len(self.annotations.get(job["id"], ()))
        output = {"title": "It ended", "summary": self.logs[job["id"]], "text": None}
        return {
            **{name: job[name] for name in ("id", "name", "head_sha")},
            "html_url": f"{self.home}/acme/shop/runs/{job['id']}",
            "status": "completed" if is_over else job["conclusion"],
            "conclusion": job["conclusion"] if is_over else None,
            "output": output | {"annotations_count": noted},
        }

    def _add_review(self, number: int, body: Any, author: Any, at: str) -> Made:
        lines = body.get("comments", [])
        words = body.get("body", "")
        if (lines and self.refuses_lines) or not (lines or words):
            return said(422, "Unprocessable Entity", errors=["Line could not be resolved"])
        rows = [
            {"path": one["path"], "body": one["body"]}
            | {"old_position" if one.get("side") == "LEFT" else "new_position": one["line"]}
            for one in lines
        ]
        self.review(number, author, body["event"], words, *rows, at=at)
        return 200, self._review_row(self.reviews[number][-1])

    def _reply(self, number: int, first: int, body: str, author: Any, at: str) -> Made:
        known = {row["id"]: row for row in self._lines_of(number)}
        if self.refuses_lines or first not in known:
            return NOT_FOUND
        root = known[first]
        line = {"path": root["path"], "body": body, "sha": root["commit_id"]}
        line |= {"new_position": root["position"], "old_position": root["original_position"]}
        (made,) = self.review(number, author, "COMMENT", "", line, at=at)
        (row,) = [one for one in self._lines_of(number) if one["id"] == made]
        row["in_reply_to_id"] = first
        return 201, self._line_row(row)

    def _lines_of(self, number: int) -> list[dict[str, Any]]:
        found = [
            row
            for one in self.reviews.get(number, ())
            if one["state"] != "PENDING"
            for row in self.lines[one["id"]]
        ]
        return sorted(found, key=lambda row: row["id"])

    def _review_row(self, row: dict[str, Any]) -> dict[str, Any]:
        state = "DISMISSED" if row["dismissed"] else _STATES.get(row["state"], row["state"])
        given = {name: row[name] for name in ("id", "body", "submitted_at")}
        given |= {"user": user(row["user"]["login"]), "state": state}
        return filled("pull-request-review", given)

    def _line_row(self, row: dict[str, Any]) -> dict[str, Any]:
        review = next(number for number, rows in self.lines.items() if row in rows)
        line = row["position"] or row["original_position"]
        given: dict[str, Any] = {
            **{name: row[name] for name in ("id", "body", "path", "created_at", "updated_at")},
            "node_id": f"PRRC_{row['id']}",
            "user": user(row["user"]["login"]),
            "pull_request_review_id": review,
            "original_commit_id": row["commit_id"],
            "commit_id": row["commit_id"],
            "original_line": line,
            "side": "RIGHT" if row["position"] else "LEFT",
        }
        if not row.get("is_outdated"):
            given["line"] = line
        if "in_reply_to_id" in row:
            given["in_reply_to_id"] = row["in_reply_to_id"]
        return filled("pull-request-review-comment", given)
