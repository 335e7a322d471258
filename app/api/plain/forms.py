"""The form actions of pages without scripts, and `/plain`, the page with these forms."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Annotated, Protocol

import structlog
from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app import errors
from app.api.http.dependencies import (
    Key,
    audited_act,
    requester_of,
    require_browser,
    require_role,
    switch_auto,
)
from app.api.http.gate import visitor_of
from app.api.http.problems import answer_for, refusal_of_silence
from app.api.plain import pages
from app.api.plain.form_content import Sent, SentForm
from app.api.schemas import ProjectOut, Provenance
from app.api.schemas.forms import (
    AutoForm,
    NothingMore,
    PlainCard,
    PlainInbox,
    PlainPage,
    StartForm,
    StopForm,
)
from app.api.schemas.inbox import InboxItem
from app.api.views import masked, project_out, run_out
from app.domain.lifecycle import DONE, LIVE
from app.domain.review.inbox import change_path
from app.domain.words import Status
from app.errors import Forbidden, RateLimited, Refusal, StoreUnavailable
from app.services.container import Services
from app.services.people.visitor import may
from app.services.rows import DatabaseSilent, Run, nothing_done

log = structlog.get_logger()
RUNS_A_CARD = 10
Numbered = Annotated[int, Path(ge=1, le=2**31 - 1)]
NOT_POST = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
# no script may run on this page and only our own styles may load; its forms send their own
# address as referrer, which the gate and the redirect back rely on
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}


STARTED, REPLAYED = "started", "started_before"
AUTO_ON, AUTO_OFF = "auto_on", "auto_off"
RESET, STOPPED, MERGED, SCHEDULED = "was_reset", "was_stopped", "was_merged", "is_scheduled"

_NOTICES = {
    STARTED: "The run is accepted. Reload to see its progress.",
    REPLAYED: "This form already started its run; nothing new was started.",
    AUTO_ON: "Auto AFK runs are on.",
    AUTO_OFF: "Auto AFK runs are off. Live runs continue.",
    RESET: "The failure count is reset. Auto AFK runs continue if they are on.",
    STOPPED: "The run is stopped. Its work is kept.",
    MERGED: "The change is merged.",
    SCHEDULED: "Its forge will merge the change by itself.",
}


class Plain(Protocol):
    """Renders HTML from API models; every value is escaped."""

    def card(self, card: PlainCard) -> str:
        """Return a project's card with its forms."""
        ...

    def inbox(self, inbox: PlainInbox) -> str:
        """Return what waits for a person, with its forms."""
        ...

    def page(self, page: PlainPage) -> str:
        """Return the whole page around its parts."""
        ...


@dataclass(frozen=True)
class _Done:
    """A finished action: the project whose card shows it, and a notice code."""

    project_id: str
    notice: str


def routes(services: Services, plain: Plain) -> APIRouter:
    """Build `/plain` and the four actions below `/afk`; the gate must be in front of them."""
    router = APIRouter(include_in_schema=False)
    forms = _Forms(services, plain)

    @router.api_route("/plain", methods=["GET", "HEAD"])
    def page(request: Request, notice: str = "") -> Response:
        try:
            return HTMLResponse(forms.page(request, notice), headers=_HEADERS)
        except DatabaseSilent as error:
            return pages.refusal_page(refusal_of_silence(error))

    @router.post("/afk/reset/{project:path}")
    def reset(project: str, sent: Sent) -> Response:
        return forms.answer(sent, lambda: forms.reset(project, sent))

    @router.post("/afk/start/{project:path}")
    def start(
        project: str, sent: Sent, x_idempotency_key: Key = None, idempotency_key: Key = None
    ) -> Response:
        keys = (x_idempotency_key, idempotency_key)
        return forms.answer(sent, lambda: forms.start(project, sent, *keys))

    @router.post("/afk/auto/{project:path}")
    def set_auto(project: str, sent: Sent) -> Response:
        return forms.answer(sent, lambda: forms.set_auto(project, sent))

    @router.post("/afk/stop/{run}")
    def stop(run: str, sent: Sent) -> Response:
        return forms.answer(sent, lambda: forms.stop(run, sent))

    @router.post("/afk/merge/{number}/{project:path}")
    def merge(number: Numbered, project: str, sent: Sent) -> Response:
        return forms.answer(sent, lambda: forms.merge(project, number, sent))

    # explicit, since the page routes behind these would answer other methods with 404
    for path in ("reset", "start", "auto", "stop", "merge"):
        router.add_api_route(f"/afk/{path}/{{it:path}}", _refuse_method, methods=NOT_POST)
    return router


def _refuse_method() -> Response:
    raise HTTPException(405, "Send this as a form, with POST.", {"Allow": "POST"})


class _Forms:
    """Executes form actions and builds their responses."""

    def __init__(self, services: Services, plain: Plain) -> None:
        self._services = services
        self._plain = plain

    # --- actions -------------------------------------------------------------------------------

    def reset(self, project: str, sent: SentForm) -> _Done:
        """Reset the strikes to zero."""
        project_id = self._id_for("reset", project, sent)
        sent.read(NothingMore)
        because = "the count of failures was reset"
        deed = audited_act(sent.request, "reset", because, project_id=project_id)
        self._services.afk.reset(project_id, deed, self._services.clock())
        return _Done(project_id, RESET)

    def start(self, project: str, sent: SentForm, *keys: str | None) -> _Done:
        """Start a run for an issue; `keys` are the idempotency keys of the headers."""
        project_id = self._id_for("start", project, sent)
        form = sent.read(StartForm)
        requester = requester_of(self._services, sent.request, *keys, form.x_idempotency_key)
        accepted = self._services.afk.start(
            project_id, form.issue, requester, self._services.clock()
        )
        log.info("run_accepted", run_id=accepted.run.id, issue=accepted.run.issue)
        if accepted.replayed:
            nothing_done()
        return _Done(project_id, REPLAYED if accepted.replayed else STARTED)

    def set_auto(self, project: str, sent: SentForm) -> _Done:
        """Switch the auto loop."""
        project_id = self._id_for("auto", project, sent)
        is_on = sent.read(AutoForm).enabled
        switch_auto(self._services, sent.request, project_id, enabled=is_on)
        return _Done(project_id, AUTO_ON if is_on else AUTO_OFF)

    def stop(self, run_id: str, sent: SentForm) -> _Done:
        """Stop a run."""
        because = sent.read(StopForm).because or f"stopped by {visitor_of(sent.request).name}"
        stopped = self._services.stopper.stop(run_id, because, self._services.clock())
        return _Done(stopped.project_id, STOPPED)

    def merge(self, project: str, number: int, sent: SentForm) -> _Done:
        """Merge a change request whose push checks pass."""
        project_id = self._id_for("merge", project, sent)
        sent.read(NothingMore)
        require_browser(self._services, sent.request, change_path(project_id, number))
        self._services.changes.refuse_archived(project_id)
        done = self._services.changes.merge(project_id, number, self._services.clock())
        return _Done(project_id, MERGED if done.state == "merged" else SCHEDULED)

    def _id_for(self, deed: str, project: str, sent: SentForm) -> str:
        """Return the id of a project in which this person may do this. Raises a Refusal."""
        project_id = self._services.projects.find_named(project).id
        require_role(self._services, sent.request, deed, project_id)
        return project_id

    # --- responses -----------------------------------------------------------------------------

    def answer(self, sent: SentForm, act: Callable[[], _Done]) -> Response:
        """Check the CSRF secret, run `act`, and respond with a card, a redirect or a refusal."""
        try:
            sent.check_secret()
            done = act()
            if sent.wants_card:
                return HTMLResponse(self._fresh_card(sent.request, done.project_id), 200, _HEADERS)
        except DatabaseSilent as error:
            return _refused(sent, refusal_of_silence(error))
        except Refusal as refusal:
            log.info("request_refused", path=sent.request.url.path, code=refusal.code)
            return _refused(sent, refusal)
        return RedirectResponse(sent.way_back(done.notice), 303)

    def page(self, request: Request, notice: str) -> str:
        """Return the page with every project's card, archived projects apart."""
        runs: dict[str, list[Run]] = {}
        for run in self._services.listing.asked_for():
            runs.setdefault(run.project_id, []).append(run)
        cards: dict[bool, list[str]] = {True: [], False: []}
        mask = self._services.secrets.mask()
        listed: list[ProjectOut] = []
        for view in self._services.overview.all():
            project = project_out(view, mask)
            listed.append(project)
            drawn = self._card(request, project, runs.get(project.id, []))
            cards[project.archived_at is not None].append(drawn)
        words, tone = notice_of(notice)
        return self._plain.page(
            PlainPage(
                inbox=self._inbox(request, listed),
                cards=cards[False],
                archived=cards[True],
                notice=words + self._when(request, notice),
                tone=tone,
                look=look_of(request),
                made=Provenance.model_validate(self._services.identity),
                now=self._services.clock(),
            )
        )

    def _inbox(self, request: Request, listed: list[ProjectOut]) -> str:
        items = [InboxItem.model_validate(one) for one in self._services.inbox.all()]
        visitor, now = visitor_of(request), self._services.clock()
        return self._plain.inbox(
            PlainInbox(items, listed, visitor.csrf, now, partial(may, visitor))
        )

    def _when(self, request: Request, notice: str) -> str:
        if notice != RateLimited.code:
            return ""
        window = self._services.listing.window(
            visitor_of(request).person_id, self._services.clock()
        )
        # with a limit of 0, nothing that leaves the window makes room
        free = (window.free_at or window.reset_at) if window.limit else None
        return f" Retry after {free.astimezone(UTC):%H:%M:%S} UTC." if free else ""

    def _fresh_card(self, request: Request, project_id: str) -> str:
        project = project_out(self._services.overview.of(project_id), self._services.secrets.mask())
        return self._card(request, project, self._services.listing.open_runs(project_id))

    def _card(self, request: Request, project: ProjectOut, runs: list[Run]) -> str:
        going = [run for run in runs if Status(run.status) not in DONE]
        going.sort(key=lambda run: Status(run.status) not in LIVE)
        mask = self._services.secrets.mask()
        shown = [masked(run_out(run, project.name), mask) for run in going[:RUNS_A_CARD]]
        return self._plain.card(
            PlainCard(
                project=project,
                runs=shown,
                unseen=len(going) - len(shown),
                csrf=visitor_of(request).csrf,
                new_key=lambda: str(uuid.uuid4()),
                now=self._services.clock(),
                may=partial(may, visitor_of(request), project_id=project.id),
            )
        )


def look_of(request: Request) -> str:
    """Return the look that the person chose for all browsers, or else this browser's."""
    chosen = visitor_of(request).preferences
    return (chosen and chosen.look) or request.cookies.get("runyard_look", "")


def _refused(sent: SentForm, refusal: Refusal) -> Response:
    nothing_done()  # the redirect back looks like that of a success, but nothing was done
    if sent.wants_problem:
        return answer_for(refusal)
    if isinstance(refusal, Forbidden | StoreUnavailable):
        # redirecting back would end here again, so these get a page of their own
        return pages.refusal_page(refusal)
    return RedirectResponse(sent.way_back(refusal.code), 303)


def notice_of(code: str) -> tuple[str, str]:
    """Return the sentence and tone (`go` or `stop`) of a code; two empty strings if unknown."""
    if code in _NOTICES:
        return _NOTICES[code], "go"
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Refusal) and kind.code == code:
            return str(kind()), "stop"
    return "", ""
