"""A run's page (`/runs/{id}`): status, steps, summary, log, diff and pull request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ApprovalsPage, ChangeOut, ParkedOut, ProjectOut, RunOut
from app.domain.projects.approvals import WAITING
from app.domain.words import Phase
from app.pages.approvals.approval_box import ApprovalBox
from app.pages.components.markup import clean, plain
from app.pages.review.change_dialogs import say_merged
from app.pages.review.inbox_unread import OpenedItems
from app.pages.runs.checks import ChecksCard
from app.pages.runs.delivery import PullRequestCard
from app.pages.runs.diff_panel import DiffPanel
from app.pages.runs.facts import Facts, LastWords, title_of
from app.pages.runs.header import RESETTING_KEY, RunDeeds, RunHeader, export_html
from app.pages.runs.log_panel import LogPanel
from app.pages.runs.steps import RunSteps
from app.pages.runs.tabs import RunTabs
from app.pages.runs.told import Told
from app.pages.shell.frame import frame, refused
from app.pages.shell.page_session import PageSession, open_submits, owner_of, page_at
from app.pages.shell.theme import dress_log, dress_runs, look_of
from app.pages.tracker.push_anyway import Push, PushAnywayDialog
from app.state.page.connection import Connection
from app.state.runs.retries import Retries, Source
from app.state.runs.run_record import RunRecord, Snapshot


def register(connection: Connection) -> None:
    """Define `/runs/{id}`."""

    @page_at("/runs/{run_id}")
    async def run_page(run_id: str) -> None:
        session = await PageSession.open(connection, run_id)
        try:
            snapshot = await take_snapshot(session, run_id)
        except ApiProblem as problem:
            refused(session, problem, active="runs")
            return
        log = LogPanel(session, run_id)
        await log.load()
        RunScreen(session, snapshot, log).draw()


async def take_snapshot(session: PageSession, run_id: str) -> Snapshot:
    """Fetch the run, its timeline and its report. Raises ApiProblem, NoAnswer."""
    api = session.api
    return Snapshot(
        *await asyncio.gather(api.run(run_id), api.timeline(run_id), api.report(run_id))
    )


class RunScreen:
    """One open run page."""

    def __init__(self, session: PageSession, snapshot: Snapshot, log: LogPanel) -> None:
        self.session, self._id, self._log = session, snapshot.run.id, log
        self._record = RunRecord(snapshot)
        self._runs = self._record.rows
        self._said = snapshot.run.status
        self._look_at_approval = session.looker(
            lambda: session.api.approvals(run_id=self._id), self._take_approval
        )
        self._retries = Retries(session.api, open_submits(), owner_of(session), session.now)

    @property
    def run(self) -> RunOut:
        """The run as shown."""
        return self._record.run

    def draw(self) -> None:
        """Draw the page and subscribe to changes."""
        session, run = self.session, self.run
        dress_runs()
        dress_log()
        crumbs = [("Runs", "/runs"), (plain(run.project_name), f"/projects/{run.project_id}")]
        with frame(session, title=title_of(run), active="runs", crumbs=crumbs) as self._page:
            deeds = RunDeeds(self._stop, self._release, self._retry, self._reset_key)
            self._header = RunHeader(session, self._page, run.project_id, deeds)
            self._approval = ApprovalBox(session, run.project_id, self._come_back)
            self._steps = RunSteps(session)
            self._delivery = PullRequestCard(
                session, run.project_id, self._merge, self._deliver_or_ask
            )
            self._checks = ChecksCard(session, run.id)
            self._words = LastWords()
            self._told = Told(session, run.id)
            self._draw_tabs()
            may_push = session.may("deliver", run.project_id)
            self._push_dialog = PushAnywayDialog() if may_push else None
        self._show()
        session.on("run.changed", self._on_change)
        session.on("run.event", self._on_timeline_event)
        session.on("run.log", self._on_log)
        session.on("run.report", self._on_report)
        session.on("project.changed", self._on_project)
        session.on_return(self._come_back)
        session.on_arrival(self._show_checks)
        OpenedItems(session, run.id)

    def _draw_tabs(self) -> None:
        shown = "diff" if self.session.client.request.query_params.get("show") == "diff" else "log"
        with ui.element("div") as holder:
            self._tabs = RunTabs(holder, shown)
            with self._tabs.panel("log"):
                self._log.draw()
            with self._tabs.panel("diff"):
                self._diff = DiffPanel(self.session, self.run.id, self._tabs.set_diff_size)
            with self._tabs.panel("details"):
                self._facts = Facts(self.session)
                export = ui.html(export_html(self.run.id), sanitize=clean)
                export.classes("only-narrow export")
        self._tabs.when_opened("diff", self._diff.open)
        if shown == "diff":
            self.session.on_arrival(self._diff.open)

    def _show(self) -> None:
        if self.session.client.is_deleted:
            return
        run = self.run
        self._page.set_title(title_of(run))
        self._show_header()
        self._show_approval()
        self._delivery.show(run, self._runs.word_of(self._id))
        self._show_report()
        self._diff.show(run)
        self._tabs.show(run)
        self._log.show(run)
        self._announce(run)
        if run.phase is Phase.DONE:
            self._page.badge.show_synced(self.session.now())

    def _show_header(self) -> None:
        words = (
            *(self._runs.word_of(self._id), self._retries.word_of(self._id)),
            self._retries.words_for(self.run),
        )
        self._header.show(self.run, *words)

    def _show_approval(self) -> None:
        if self.run.hold == WAITING and self.run.phase is Phase.WAITING:
            self.session.start(self._look_at_approval())
        else:
            self._approval.show(None)

    def _take_approval(self, page: ApprovalsPage) -> None:
        if self.run.phase is Phase.WAITING:
            self._approval.show(next(iter(page.items), None))

    def _show_report(self) -> None:
        run, report = self.run, self._record.report
        self._show_timeline()
        self._words.show(report)
        self._facts.show(run, report)

    def _show_timeline(self) -> None:
        record = self._record
        self._steps.show(record.run, record.events, record.report.sentence)

    def _announce(self, run: RunOut) -> None:
        if run.status != self._said:
            self._said = run.status
            self.session.announce(f"{title_of(run)}: {look_of(run.status, run.cause).word}")

    def _take(self, run: RunOut) -> None:
        if self._record.take(run):
            self._show()

    async def _on_change(self, run: RunOut) -> None:
        has_moved = (run.status, run.parked) != (self.run.status, self.run.parked)
        self._take(run)
        if has_moved:
            await self._load_report()
            await self._told.refresh()
        if run.phase is Phase.DONE:
            # the last lines may have been written after the last log event
            await self._log.catch_up()

    def _on_project(self, project: ProjectOut) -> None:
        # the header shows when the usage limit ends, which is part of the project
        if project.id == self.run.project_id:
            self._show_header()

    async def _on_timeline_event(self, data: dict[str, Any]) -> None:
        self._record.add([data["event"]])
        self._show_timeline()
        await self._show_checks()

    async def _show_checks(self) -> None:
        await self._checks.show(self._record.events)

    def _on_report(self, data: dict[str, Any]) -> None:
        self._record.report = data["report"]
        self._show_report()

    async def _load_report(self) -> None:
        # the report names the working copy, which is made at launch and removed at the end
        try:
            self._record.report = await self.session.api.report(self._id)
        except (ApiProblem, NoAnswer) as problem:
            self.session.refuse(problem)
            return
        if not self.session.client.is_deleted:
            with self.session.client:
                self._show_report()

    async def _on_log(self, _: dict[str, object]) -> None:
        await self._log.catch_up()

    async def _come_back(self) -> None:
        try:
            await self._record.refresh(lambda: take_snapshot(self.session, self._id))
        except (ApiProblem, NoAnswer) as problem:
            self.session.refuse(problem)
            return
        with self.session.client:
            self._show()
        await self._show_checks()
        await self._told.refresh()
        await self._log.catch_up()

    async def _stop(self) -> None:
        api = self.session.api
        await self._attempt("Stopping…", lambda: api.stop(self._id, "stopped from its page"))

    async def _retry(self, source: Source | None) -> None:
        try:
            made = await self._retries.press(self.run, source, show=self._show)
        except (ApiProblem, NoAnswer) as problem:
            self.session.refuse(problem)
            return
        if made is not None:
            self.session.go(f"/runs/{made.id}")

    async def _release(self) -> None:
        api = self.session.api
        if await self._attempt("Releasing…", lambda: api.release(self._id)):
            self.session.notify("Released. Its branch is parked.")

    async def _reset_key(self) -> None:
        api, run = self.session.api, self.run
        if run.idempotency_key is None:
            return
        key = run.idempotency_key

        async def reset() -> RunOut:
            await api.reset_key(run.project_id, key)
            return await api.run(run.id)

        if await self._attempt(RESETTING_KEY, reset):
            self.session.notify("The key is free: its next use starts a new run.")

    async def _deliver_or_ask(self, kept: ParkedOut) -> None:
        if kept.needs_push_anyway and self._push_dialog:
            self._push_dialog.open(kept.branch, kept.because, partial(self._deliver, True))
        else:
            await self._deliver()

    async def _deliver(self, push_anyway: bool = False) -> None:
        deliver = partial(self.session.api.deliver, self._id, push_anyway=push_anyway)
        if await self._attempt("Delivering…", deliver, anyway=partial(self._deliver, True)):
            self.session.notify("Delivered. Its change request can be merged.")

    async def _merge(self, push_anyway: bool = False) -> None:
        api, run = self.session.api, self.run
        delivery = run.delivery
        if delivery is None:
            return

        answers: list[ChangeOut] = []

        async def merge() -> RunOut:
            place = run.project_id, delivery.number
            answers.append(await api.merge(*place, push_anyway=push_anyway))
            return await api.run(run.id)

        anyway = partial(self._merge, True)
        if await self._attempt("Merging…", merge, anyway=anyway, verb="Merge"):
            say_merged(self.session, run.project_id, answers[-1])

    async def _attempt(
        self,
        word: str,
        act: Callable[[], Awaitable[RunOut]],
        *,
        anyway: Push | None = None,
        verb: str = "Push",
    ) -> bool:
        try:
            return bool(await self._runs.attempt(self.run, act, word=word, show=self._show))
        except (ApiProblem, NoAnswer) as problem:
            asks = isinstance(problem, ApiProblem) and problem.asks_to_push
            if anyway and asks and self._push_dialog:
                self._push_dialog.open(self.run.work_branch, str(problem), anyway, verb=verb)
            else:
                self.session.refuse(problem)
            return False
