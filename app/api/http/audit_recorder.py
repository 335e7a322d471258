"""Audit middleware: every call that changes something is recorded once, with the person.

The action comes from the route, so no route can be forgotten: one that writes no audit row in its
own transaction gets one before its response.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.request_info import PROVIDER_BACK_PATH, SAFE_METHODS
from app.logs import correlation
from app.services.people.audit import AuditService
from app.services.people.visitor import Visitor
from app.services.rows import Act, DatabaseSilent, acting

log = structlog.get_logger()
SIGN_IN = "/login"
FAILED = "sign_in_failed"
MINUTE, MOST_FAILED = timedelta(minutes=1), 60
LONGEST_OBJECT = 200
# names that the path alone would get wrong
WORDS = {
    "/runs": "start",
    "/batches/{batch_id}/items": "add_items",
    "/bulk/{bulk_id}/abort": "abort_bulk",
    "/demo-project": "add_project",
    "/forges/{forge_id}/check": "check_forge",
    "/forges/{forge_id}/hook": "show_hook",
    "/secrets/rotate": "rotate_secrets",
    "/people": "add_person",
    "/people/{person_id}": "change_person",
    "/people/{person_id}/invitation": "invite_again",
    "/people/me/password": "change_password",
    "/people/me/proof": "sign_in_again",
    "/idempotency-keys/{key}/reset": "reset_key",
    "/login": "sign_in",
    "/login-links": "make_login_link",
    "/logout": "sign_out",
    "/notifications/test": "test_notifications",
    "/push/subscriptions": "add_device",
    "/push/subscriptions/{device_id}": "remove_device",
    "/push/subscriptions/{device_id}/test": "test_device",
    "/quarantine/{key}/retry": "retry_stuck",
    "/tokens/current": "end_token",
    "/projects/{project_id}/checks/try-again": "try_checks_again",
    "/projects/{project_id}/ready-label": "make_ready_label",
    "/projects/{project_id}/check-again": "check_again",
    "/projects/{project_id}/trust": "trust",
    "/projects/{project_id}/issues/{number}/approve-text": "approve_text",
    "/projects/{project_id}/changes/{number}/request-changes": "request_changes",
    "/projects/{project_id}/changes/{number}/resolve": "resolve_conflicts",
    "/projects/{project_id}/changes/{number}/fix-ci": "fix_ci",
    "/projects/{project_id}/changes/{number}/cancel-merge": "cancel_merge",
}
_VERBS = {"POST": "add", "PATCH": "change", "PUT": "set", "DELETE": "remove"}
_SINGULAR = re.compile(r"(?<=ch)es$|(?<=[^s])s$")


@dataclass(frozen=True)
class Doing:
    """A state-changing route: derives an action name and an object from a request path."""

    methods: frozenset[str]
    pattern: re.Pattern[str]
    template: str

    def word(self, method: str) -> str:
        """Return the action name of a call: `stop`, `merge`, `add_issue`, `change_project`."""
        if self.template == "/projects/{project_id}" and method == "DELETE":
            return "archive"
        if self.template in WORDS:
            return WORDS[self.template]
        parts = self.template.strip("/").split("/")
        names = [part for part in parts if not part.startswith("{")]
        noun = _SINGULAR.sub("", names[-1]).replace("-", "_")
        is_plain_form = self.template.startswith("/afk/")
        if is_plain_form or (noun == names[-1] and not parts[-1].startswith("{")):
            return noun  # the path ends with the action
        return f"{_VERBS[method]}_{noun}"

    def object_in(self, path: str) -> str:
        """Return the object of a call as in its path, from the first id to the last; "" if none."""
        found = self.pattern.fullmatch(path)
        if found is None or not found.re.groups:
            return ""
        return path[found.start(1) : found.end(found.re.groups)][:LONGEST_OBJECT]


def doings_of(routes: Mapping[str, Iterable[object]]) -> list[tuple[str, Doing]]:
    """Return every route that may change something, each with its mount path."""
    return [
        (mount, Doing(frozenset(route.methods or ()), route.path_regex, route.path_format))
        for mount, some in routes.items()
        for route in _flat(some)
        if not SAFE_METHODS.issuperset(route.methods or ())
    ]


def doing_of(
    doings: Iterable[tuple[str, Doing]], path: str, method: str
) -> tuple[Doing, str] | None:
    """Return the route of a call and its path below the mount, None if there is none."""
    for mount, doing in doings:
        own = path.removeprefix(mount) if path.startswith(mount) else None
        if own is not None and method in doing.methods and doing.pattern.fullmatch(own):
            return doing, own
    return None


def _flat(routes: Iterable[object]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from _flat(included.routes)


class Recorder:
    """Middleware between the gate and the application; `routes` maps mount paths to routes."""

    def __init__(
        self,
        app: ASGIApp,
        audit: AuditService,
        now: Callable[[], datetime],
        routes: Mapping[str, Iterable[object]],
    ) -> None:
        self._app = app
        self._audit = audit
        self._now = now
        self._doings = doings_of(routes)
        self._failed: deque[datetime] = deque(maxlen=MOST_FAILED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the call as an audited act if it may change something."""
        act = self._act_of(scope) if scope["type"] == "http" else None
        if act is None:
            await self._app(scope, receive, send)
            return
        known = act

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._see_end(known, scope, message)
            await send(message)

        with acting(act):
            await self._app(scope, receive, answer)

    def _act_of(self, scope: Scope) -> Act | None:
        path, method = scope["path"], scope["method"]
        visitor: Visitor | None = scope.get("state", {}).get("visitor")
        is_sign_in = (path == PROVIDER_BACK_PATH and method == "GET") or (
            path == SIGN_IN and (method == "POST" or b"token=" in scope["query_string"])
        )
        if is_sign_in:
            return self._begin(scope, None, WORDS[SIGN_IN], "")
        if visitor is None or method in SAFE_METHODS:
            return None
        if (found := doing_of(self._doings, path, method)) is None:
            return None
        doing, own = found
        return self._begin(scope, visitor, doing.word(method), doing.object_in(own))

    def _begin(self, scope: Scope, visitor: Visitor | None, word: str, object_: str) -> Act:
        has_token = visitor is not None and visitor.csrf is None
        agent = dict(scope["headers"]).get(b"user-agent", b"")
        is_person = visitor is not None and visitor.own_issue is None
        is_cli = is_person and agent.startswith(b"runyard-cli")
        client = scope.get("client")
        return Act(
            at=self._now(),
            person=visitor.person_id if visitor and is_person else None,
            role=visitor.role.value if visitor and is_person else None,
            organisation=visitor.organisation_id if visitor else None,
            via=("cli" if is_cli else "token") if has_token else "browser",
            deed=word,
            correlation_id=correlation.get(),
            token=visitor.token if visitor else None,
            address=client[0] if client else None,
            object=object_,
        )

    async def _see_end(self, act: Act, scope: Scope, message: Message) -> None:
        is_refused = message["status"] >= 400 or act.is_nothing
        if is_refused and act.deed == WORDS[SIGN_IN] and self._may_log_failure(act.at):
            act.deed = FAILED
        elif is_refused or (b"idempotency-replayed", b"true") in message["headers"]:
            return
        if act.is_written:
            return
        try:
            await run_in_threadpool(self._audit.add, act)
        except DatabaseSilent as silence:
            # the action is done and cannot be undone: at least log it
            log.warning("act_not_audited", act=act.deed, object=act.object, because=silence)

    def _may_log_failure(self, now: datetime) -> bool:
        """Return False if too many sign-ins failed within a minute to record another one."""
        if len(self._failed) == MOST_FAILED and now - self._failed[0] < MINUTE:
            log.warning("failed_sign_ins_not_audited", because="too many within a minute")
            return False
        self._failed.append(now)
        return True
