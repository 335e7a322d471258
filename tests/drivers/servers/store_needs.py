"""The stores that each route of Runyard needs, and its answer while the other one is away.

`{name}` in an address stands for an id of the scene in test_stores_away.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONTROL, RUNS = "control", "runs"
BOTH = CONTROL + RUNS
NEITHER = ""


@dataclass(frozen=True)
class Call:
    """A route, and one request to it.

    `needs` are the stores that its work requires, `tells` those it reads afterwards to describe the
    result. `may_know`: the needed data may be cached.
    """

    method: str
    route: str
    needs: str
    usual: int = 200
    body: Any = None
    tells: str = NEITHER
    may_know: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    # path parameters that take a scene id of another name
    ids: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """The path, with the scene's names for its ids."""
        path = self.route
        for name, other in self.ids:
            path = path.replace(f"{{{name}}}", f"{{{other}}}")
        return path

    @property
    def changes(self) -> bool:
        """True if the request changes something."""
        return self.method != "GET"


def of_run(name: str) -> tuple[tuple[str, str], ...]:
    """Return the `ids` that put this run of the scene into the path."""
    return (("run_id", name),)


UNSEALED = (("batch_id", "unsealed"),)
LINE = b'{"index": 0, "depth_level": "quick", "task": "please wait in vain"}'
NDJSON = (("Content-Type", "application/x-ndjson"),)
OVER = (("Last-Event-ID", "end"),)
PROJECT, ISSUE = "/projects/{project_id}", "/projects/{project_id}/issues/{number}"
CHANGE, OF_CHANGE = "/projects/{project_id}/changes/{number}", (("number", "change"),)
COMMENT, VIEWED = f"{CHANGE}/comments/{{comment_id}}", {"path": "none.txt", "viewed": True}
TEMPLATE, OF_TEMPLATE = "/projects/{project_id}/templates/{name}", (("name", "template"),)
KNOWN_TEMPLATE = {"name": "known", "text": "Do {{task}}."}
IN_PROJECT = {"project_id": "{project_id}"}

RUN_CALLS = (
    Call("GET", "/runs", BOTH),
    Call("POST", "/runs", BOTH, 201, IN_PROJECT | {"task": "please wait once more"}),
    Call("POST", "/runs/preview", BOTH, body=IN_PROJECT | {"task": "please wait once more"}),
    Call("GET", "/runs/totals", BOTH),
    Call("GET", "/runs/export?run_id={run_id}", BOTH),
    Call("GET", "/runs/{run_id}", RUNS, tells=CONTROL, may_know=True),
    Call("GET", "/runs/{run_id}/timeline", RUNS),
    Call("GET", "/runs/{run_id}/report", RUNS),
    Call("GET", "/runs/{run_id}/prompt", RUNS),
    Call("GET", "/runs/{run_id}/checks", RUNS),
    Call("GET", "/runs/{run_id}/pull_request", RUNS, ids=of_run("delivered")),
    Call("GET", "/runs/{run_id}/diff", BOTH),
    Call("GET", "/runs/{run_id}/log", RUNS),
    Call("GET", "/runs/{run_id}/log/search?q=begun", RUNS),
    Call("GET", "/runs/{run_id}/export", BOTH),
    Call("GET", "/runs/{run_id}/events", RUNS, 204, headers=OVER),
    Call("POST", "/runs/{run_id}/stop", RUNS, tells=CONTROL, may_know=True, ids=of_run("queued")),
    Call(
        *("PATCH", "/runs/{run_id}", RUNS, 409),
        body={"start_now": True},
        ids=of_run("queued"),
    ),
    Call("POST", "/runs/{run_id}/retry", BOTH, 201),
    Call("POST", "/runs/{run_id}/resume", RUNS, 409),
    Call("POST", "/runs/{run_id}/deliver", BOTH, 409),
    Call("POST", "/runs/{run_id}/release", BOTH, 409),
    Call("GET", "/inbox", BOTH, may_know=True),
    Call("GET", "/inbox/unread", BOTH, may_know=True),
    Call("POST", "/inbox/read", BOTH, body={"ids": None}),
    Call("GET", "/approvals", CONTROL),
    Call("GET", "/approvals/{approval_id}", CONTROL, 404),
    Call("POST", "/approvals/{approval_id}/approve", CONTROL, 404, {}),
    Call("POST", "/approvals/{approval_id}/reject", CONTROL, 404, {"comment": "no"}),
    Call("GET", "/issues", BOTH),
    Call("GET", "/report", BOTH),
    Call("GET", "/search?q=wait", BOTH),
    Call("GET", "/parked", BOTH),
    Call("POST", "/parked/discard", BOTH, body=IN_PROJECT | {"branch": "-", "confirm": "-"}),
    Call("POST", "/idempotency-keys/{key}/reset", BOTH, body=IN_PROJECT),
    Call("GET", "/quota/runs", BOTH),
    Call("GET", "/quota/people", BOTH),
    Call("GET", "/quota/batches", BOTH),
    Call("GET", "/quota/concurrency?project_id={project_id}", BOTH),
    Call("GET", "/quota/accounts", CONTROL),
    Call("POST", "/quota/accounts/lift", CONTROL, 404, {"agent": "claude", "family": ""}),
)
PUSH = {"endpoint": "https://push.example.org/1", "keys": {"p256dh": "a", "auth": "b"}}
MANY_CALLS = (
    Call("GET", "/batches", BOTH),
    Call("POST", "/batches", BOTH, 202, IN_PROJECT | {"run_count": 1}),
    Call("GET", "/batches/{batch_id}", RUNS, tells=CONTROL, may_know=True),
    Call("GET", "/batches/{batch_id}/items", RUNS, tells=CONTROL, may_know=True),
    Call("POST", "/batches/{batch_id}/items", BOTH, body=LINE, headers=NDJSON, ids=UNSEALED),
    Call("POST", "/batches/{batch_id}/stop", RUNS, tells=CONTROL, may_know=True),
    Call("GET", "/bulk", CONTROL),
    Call("POST", "/bulk", BOTH, 202, {"action": "stop", "filter": IN_PROJECT}),
    Call("GET", "/bulk/{bulk_id}", CONTROL),
    Call("GET", "/bulk/{bulk_id}/items", CONTROL),
    Call("POST", "/bulk/{bulk_id}/abort", CONTROL, 409),
    Call("GET", "/quarantine", BOTH),
    Call("POST", "/quarantine/{key}/retry", BOTH, 404),
    Call("GET", "/notifications", BOTH),
    Call("GET", "/notifications/subscriptions", CONTROL),
    Call("PUT", "/notifications/subscriptions", CONTROL, body={"kinds": ["failed"]}),
    Call("POST", "/notifications/test", NEITHER),
    Call("GET", "/push/key", NEITHER, 409),
    Call("GET", "/push/subscriptions", CONTROL),
    Call("POST", "/push/subscriptions", NEITHER, 409, PUSH),
    Call("DELETE", "/push/subscriptions/{device_id}", CONTROL, 404),
    Call("POST", "/push/subscriptions/{device_id}/test", NEITHER, 409),
    Call("GET", "/retention", RUNS, may_know=True),
    Call("GET", "/forges", CONTROL),
    Call("POST", "/forges", BOTH, 502, {"url": "http://127.0.0.1:9", "token": "none"}),
    Call("GET", "/forges/{forge_id}", CONTROL, 404),
    Call("PATCH", "/forges/{forge_id}", BOTH, 404, {"name": "none"}),
    Call("DELETE", "/forges/{forge_id}", BOTH, 404),
    Call("POST", "/forges/{forge_id}/check", CONTROL, 404),
    Call("GET", "/forges/{forge_id}/repositories", CONTROL, 404),
    Call("POST", "/forges/{forge_id}/hook", BOTH, 404, {}),
    Call("POST", "/hooks/{forge_id}", CONTROL, 401, {}),
    Call("POST", "/secrets/rotate", BOTH),
)
NEW_PROJECT = {"name": "more", "origin": "{origin}", "agent": "claude"}
PROJECT_CALLS = (
    Call("GET", "/projects", BOTH, may_know=True),
    Call("POST", "/projects", CONTROL, 201, NEW_PROJECT, RUNS),
    Call("GET", "/origins?folder={origin}", NEITHER),
    Call("GET", "/origins/forge?origin=http://127.0.0.1:9/acme/shop", CONTROL),
    Call("POST", "/demo-project", CONTROL, 201, tells=RUNS),
    Call("GET", PROJECT, BOTH, may_know=True),
    Call("PATCH", PROJECT, CONTROL, body={"budget_seconds": 601}, tells=RUNS),
    Call("DELETE", PROJECT, BOTH, 409),
    Call("GET", f"{PROJECT}/branches", CONTROL),
    Call("GET", f"{PROJECT}/figures", BOTH),
    Call("GET", f"{PROJECT}/counts", BOTH),
    Call("GET", f"{PROJECT}/issues", BOTH),
    Call("POST", f"{PROJECT}/issues", CONTROL, 201, {"title": "More"}, RUNS),
    Call("GET", ISSUE, BOTH),
    Call("PATCH", ISSUE, CONTROL, body={"title": "Other"}, tells=RUNS),
    Call("GET", f"{ISSUE}/text", CONTROL),
    Call("POST", f"{ISSUE}/approve-text", BOTH, 409, {"sha256": "0" * 64}),
    Call("GET", f"{ISSUE}/comments", CONTROL),
    Call("POST", f"{ISSUE}/comments", CONTROL, 201, {"body": "Said"}),
    Call("GET", f"{PROJECT}/changes", CONTROL),
    Call("GET", CHANGE, CONTROL, ids=OF_CHANGE),
    Call("GET", f"{CHANGE}/diff", CONTROL, ids=OF_CHANGE),
    Call("GET", f"{CHANGE}/files", CONTROL, ids=OF_CHANGE),
    Call("GET", f"{CHANGE}/history", BOTH, ids=OF_CHANGE),
    Call("PUT", f"{CHANGE}/files/viewed", CONTROL, 404, VIEWED, ids=OF_CHANGE),
    Call("GET", f"{CHANGE}/comments", CONTROL, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/comments", CONTROL, 201, {"text": "Why?"}, ids=OF_CHANGE),
    Call("PATCH", COMMENT, CONTROL, 404, {"text": "Why?"}, ids=OF_CHANGE),
    Call("DELETE", COMMENT, CONTROL, 404, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/merge", BOTH, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/cancel-merge", CONTROL, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/close", BOTH, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/undo", CONTROL, 409, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/request-changes", BOTH, 409, {"text": "Shorten it."}, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/resolve", CONTROL, 409, ids=OF_CHANGE),
    Call("POST", f"{CHANGE}/fix-ci", CONTROL, 409, ids=OF_CHANGE),
    Call("GET", f"{PROJECT}/templates", CONTROL),
    Call("POST", f"{PROJECT}/templates", CONTROL, 409, KNOWN_TEMPLATE),
    Call("GET", TEMPLATE, CONTROL, ids=OF_TEMPLATE),
    Call("PATCH", TEMPLATE, CONTROL, body={"text": "Do {{task}} soon."}, ids=OF_TEMPLATE),
    Call("DELETE", TEMPLATE, CONTROL, 404, ids=(("name", "key"),)),
    Call("POST", f"{PROJECT}/checks/try-again", BOTH),
    Call("POST", f"{PROJECT}/check-again", BOTH),
    Call("POST", f"{PROJECT}/ready-label", CONTROL, 422),
    Call("GET", f"{PROJECT}/trust", CONTROL),
    Call("POST", f"{PROJECT}/trust", BOTH, 409, {"commit": "0" * 40}),
    Call("POST", f"{PROJECT}/afk/start", BOTH, 201),
    Call("PUT", f"{PROJECT}/afk/auto", CONTROL, body={"enabled": False}, tells=RUNS),
    Call("POST", f"{PROJECT}/afk/reset", BOTH),
    Call("GET", f"{PROJECT}/next", BOTH),
)
SYSTEM_CALLS = (
    Call("GET", "/events", NEITHER),
    Call("GET", "/system", NEITHER),
    Call("GET", "/doctor?look=anew", NEITHER),
    Call("GET", "/audit", CONTROL),
    Call("POST", "/login-links", BOTH, 201),
    Call("POST", "/logout", NEITHER),
    Call("POST", "/token/rotate", NEITHER, 204),
)
NAMELESS, PASSWORD = {"name": ""}, {"password": "none"}
TOKEN = {"name": "robot", "scopes": ["read"]}
PEOPLE_CALLS = (
    Call("GET", "/audit/export", CONTROL),
    Call("GET", "/organisations", CONTROL),
    Call("POST", "/organisations", NEITHER, 422, NAMELESS),
    Call("PATCH", "/organisations/{organisation_id}", CONTROL, 404, NAMELESS),
    Call("GET", "/people", CONTROL),
    Call("POST", "/people", NEITHER, 422, {"email": "none"}),
    Call("GET", "/people/{person_id}", CONTROL, 404),
    Call("PATCH", "/people/{person_id}", CONTROL, 404, {"role": "user"}),
    Call("POST", "/people/{person_id}/invitation", CONTROL, 404),
    Call("GET", "/people/{person_id}/sessions", CONTROL, 404),
    Call("DELETE", "/people/{person_id}/sessions", CONTROL, 404),
    Call("DELETE", "/people/{person_id}/sessions/{session_id}", CONTROL, 404),
    # in a browser only
    Call("PUT", "/people/me/password", NEITHER, 403, PASSWORD),
    Call("POST", "/people/me/proof", NEITHER, 403, PASSWORD),
    Call("POST", "/people/me/codes", NEITHER, 403),
    Call("PUT", "/people/me/codes", NEITHER, 403, {"code": "0"}),
    Call("DELETE", "/people/me/codes", NEITHER, 403),
    Call("GET", "/tokens", CONTROL),
    Call("POST", "/tokens", CONTROL, 201, TOKEN),
    Call("DELETE", "/tokens/current", NEITHER, 404),
    Call("DELETE", "/tokens/{token_id}", CONTROL, 404),
)
API_CALLS = (*PEOPLE_CALLS, *RUN_CALLS, *MANY_CALLS, *PROJECT_CALLS, *SYSTEM_CALLS)

FORM = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html"))
CARD = (FORM[0], ("X-Runyard-Fragment", "1"))
PAGE = (("Accept", "text/html"),)
# plain-text probes for machines, and the pages without scripts
OPEN_CALLS = (
    Call("GET", "/healthz", NEITHER),
    Call("GET", "/metrics", BOTH),
    Call("GET", "/login", NEITHER, 401),
    # redirects to the host name of the pages
    Call("POST", "/login", NEITHER, 307, b"token=none", headers=FORM),
    Call("GET", "/login/invitation", CONTROL, 401),
    Call("POST", "/login/invitation", NEITHER, 307, b"token=none", headers=FORM),
    Call("POST", "/logout", NEITHER, 303),
    Call("GET", "/plain", BOTH, headers=PAGE),
    Call("POST", "/afk/start/{project:path}", BOTH, 303, b"", headers=FORM),
    Call("POST", "/afk/reset/{project:path}", BOTH, 303, b"", headers=FORM),
    Call("POST", "/afk/auto/{project:path}", CONTROL, 303, b"enabled=false", headers=FORM),
    Call("POST", "/afk/auto/{project:path}", CONTROL, 200, b"enabled=false", RUNS, headers=CARD),
    Call(
        *("POST", "/afk/merge/{number}/{project:path}", BOTH, 303, b""),
        headers=FORM,
        ids=(("number", "second"),),  # the API's own call merges the first
    ),
    Call("POST", "/afk/stop/{run}", RUNS, 303, b"", headers=FORM, ids=(("run", "waiting"),)),
)
