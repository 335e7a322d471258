"""Permission middleware: roles are looked at before a call's body, its object and its state.

Calls of people of several organisations also get their reach here, so that nothing inside a call
can read rows of another organisation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http.audit_recorder import Recorder, doing_of, doings_of
from app.api.http.request_info import SAFE_METHODS
from app.domain.people.deeds import ASKED_BY_ROUTES, READ
from app.errors import Forbidden, StoreUnavailable
from app.services.container import Services
from app.services.people.directory import Directory
from app.services.people.visitor import (
    Visitor,
    may,
    may_somewhere,
    require_fresh,
    sentence_for,
)
from app.services.rows import DatabaseSilent, within

# reading that needs more than the role of a viewer
_READS = (
    (re.compile(r"/api/v1/audit(?:/export)?\Z|/audit\Z"), "read_audit"),
    (re.compile(r"/api/v1/(?:doctor|retention)\Z|/metrics\Z"), "read_doctor"),
    (re.compile(r"/api/v1/quota/people\Z"), "read_people"),
    (re.compile(r"/api/v1/origins/forge\Z"), "add_project"),
    (re.compile(r"/api/v1/origins\Z"), "read_machine"),
)
_PERSON = re.compile(r"/api/v1/people(?:/([^/]+)(?:/.*)?)?\Z")
_PROJECT = re.compile(r"/api/v1/projects/([^/]+)(?:/.*)?\Z")
_RUN = re.compile(r"/api/v1/runs/(run_[0-9a-z]+)(?:/.*)?\Z")
_BATCH = re.compile(r"/api/v1/batches/(batch_[0-9a-z]+)(?:/.*)?\Z")
ME = "me"
# changes of oneself
_MINE = {"GET": READ, "HEAD": READ, "PATCH": "change_myself", "DELETE": "remove_session"}


class Permissions:
    """Middleware between the gate and the audit; `routes` maps mount paths to routes.

    `project_of_run` and `project_of_batch` return the project of one, None for an unknown one.
    """

    def __init__(
        self,
        app: ASGIApp,
        directory: Directory,
        now: Callable[[], datetime],
        project_of_run: Callable[[str], str | None],
        project_of_batch: Callable[[str], str | None],
        routes: Mapping[str, Iterable[object]],
    ) -> None:
        self._app = app
        self._directory = directory
        self._now = now
        self._owners = ((_RUN, project_of_run), (_BATCH, project_of_batch))
        self._doings = doings_of(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a permitted call on, within its reach. Raises Forbidden and StoreUnavailable."""
        visitor: Visitor | None = scope.get("state", {}).get("visitor")
        # with one organisation, nothing is kept from the local operator
        if visitor is None or (visitor.may_all and self._directory.is_alone):
            await self._app(scope, receive, send)
            return
        if not self._directory.is_current:
            try:
                await run_in_threadpool(self._directory.load)
            except DatabaseSilent as silence:
                raise StoreUnavailable(retry_after=2) from silence
        with within(self._directory.reach_of(visitor)):
            if scope["type"] == "http":
                await self._check(scope, visitor)
            await self._app(scope, receive, send)

    async def _check(self, scope: Scope, visitor: Visitor) -> None:
        path, method = scope["path"], scope["method"]
        deed = self._deed_of(path, method, visitor)
        scope["state"]["deed"] = deed
        if not await self._may(visitor, deed, path):
            raise Forbidden(sentence_for(deed))
        require_fresh(visitor, deed, self._now())

    async def _may(self, visitor: Visitor, deed: str, path: str) -> bool:
        if not may_somewhere(visitor, deed):
            return False
        if may(visitor, deed) and (visitor.projects is None or deed == READ):
            return True  # of what a token may not see, nothing is found
        # the role in the organisation is not enough: only one in the project of the object is
        if found := _PROJECT.match(path):
            return may(visitor, deed, found[1])
        for pattern, project_of in self._owners:
            if found := pattern.match(path):
                return may(visitor, deed, await run_in_threadpool(project_of, found[1]))
        return deed in ASKED_BY_ROUTES or may(visitor, deed)

    def _deed_of(self, path: str, method: str, visitor: Visitor) -> str:
        if person := _PERSON.match(path):
            is_own = person[1] in (ME, visitor.person_id)
            if is_own and not path.endswith("/invitation"):
                return _MINE.get(method, "change_myself")
            if method in SAFE_METHODS:
                return "read_people"
            if path.endswith("/invitation"):
                return "invite_again"
            return "change_person" if person[1] else "add_person"
        if method in SAFE_METHODS:
            return next((deed for ways, deed in _READS if ways.match(path)), READ)
        if visitor.may_all:
            return READ  # nothing is refused to the local operator
        return self._word_of(path, method)

    def _word_of(self, path: str, method: str) -> str:
        found = doing_of(self._doings, path, method)
        # no such call: the answer says so
        return READ if found is None else found[0].word(method)


def guarded(
    app: ASGIApp, services: Services, routes: Mapping[str, Iterable[object]]
) -> Permissions:
    """Put an application behind the audit and the permissions; `routes` are its own by mount."""
    recorder = Recorder(app, services.audit, services.clock, routes)
    owners = services.listing.project_of, services.batches.project_of
    return Permissions(recorder, services.directory, services.clock, *owners, routes)
