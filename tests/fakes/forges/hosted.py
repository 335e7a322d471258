"""One repository of a forge twin as its API shows it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from tests.fakes.forges.people import Person, stamp
from tests.fakes.forges.protection import LaterMerge
from tests.fakes.forges.state import HostedState, is_draft

Made = tuple[int, Any]
NOT_FOUND: Made = (404, {"message": "not found"})
REFUSED: Made = (403, {"message": "user should have a permission to write to a repo"})


class Hosted(HostedState):
    """A repository, with the answers of the API about it."""

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
            if body.get("state") == "closed":
                self.close(number)
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
        return (200, known) if number in self.issues or number in self.pulls else NOT_FOUND

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
        targets = {(row["head"]["label"], row["base"]["ref"]) for row in is_there}
        if (branch, body["base"]) in targets:
            return 409, {"message": "pull request already exists for these targets"}
        number = self.open(branch, body["base"], body["title"], body.get("body", ""), login)
        return 201, self.pulls[number]

    def _pull(self, method: str, _: Any, body: Any, __: str, number: int) -> Made:
        row = self.pulls.get(number)
        if row is None or not self.has_pulls:
            return NOT_FOUND
        self._refresh(row)
        if method == "PATCH":
            if body.get("state") == "closed":
                self.close(number)
            row |= {name: body[name] for name in ("title", "body") if name in body}
            row |= {"draft": is_draft(row["title"]), "updated_at": stamp()}
            return 201, row
        return 200, row

    def _merge(self, method: str, _: Any, body: Any, login: str, number: int) -> Made:
        row = self.pulls.get(number)
        if method == "DELETE":
            return self._cancel(login, number)
        if row is None or (row["state"] != "open" and not row["merged"]):
            return NOT_FOUND
        self._refresh(row)
        if row["merged"]:
            return 405, {"message": "The PR is already merged"}
        if row["draft"]:
            return 405, {"message": "Work in progress PRs cannot be merged"}
        if self.computing or not row["mergeable"]:
            self.computing = max(0, self.computing - 1)
            return 405, {"message": "Please try again later"}
        words = body.get("MergeTitleField") or f"Merge #{number}"
        if body.get("merge_when_checks_succeed"):
            return self._schedule(row, LaterMerge(words, login, body["Do"]))
        if self.lacking(row):
            lack = "Not all required status checks successful"
            is_old = self.desk.kind == "forgejo"
            return 405, {"message": f"not allowed to merge [reason: {lack}]" if is_old else lack}
        if body.get("head_commit_id") not in (None, row["head"]["sha"]):
            return 409, {"message": "head out of date"}
        if body["Do"] not in self.styles:
            refusal = f"{body['Do']} is not allowed an allowed merge style for this repository"
            return 405, {"message": refusal}
        self.merge(number, words, login, style=body["Do"])
        return 200, None

    def _schedule(self, row: dict[str, Any], order: LaterMerge) -> Made:
        """Merge once the checks pass, whatever the head is by then."""
        number = row["number"]
        if number in self.protection.later:
            said = "pull request is already scheduled to auto merge when checks succeed"
            return 409, {"message": f"{said} [pull_id: {row['id']}]"}
        self.merge_later(number, order)
        self.merge_by_itself()
        return 201, None

    def _cancel(self, login: str, number: int) -> Made:
        if self.cancel_later(number, login):
            return 204, None
        lost = {"errors": None, "message": "The target couldn't be found."}
        return (404, lost) if self.desk.kind == "forgejo" else NOT_FOUND
