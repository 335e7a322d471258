"""The form that starts a run, on a page or in a dialog; its state is `RunForm`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BranchOut, Finding, IssueOut, ProjectOut, QuotaOut, RunOut
from app.domain.text.durations import rough_words
from app.domain.words import Depth
from app.pages.components.agent_picker import AgentPicker
from app.pages.components.buttons import button
from app.pages.components.fields import Segments, area_field, choice_field, text_field
from app.pages.components.markup import clean, plain
from app.pages.components.testids import testid
from app.pages.runs.form_notices import DraftKeeper, RunFormNotices
from app.pages.runs.plan import learn_zone, plan_fields
from app.pages.runs.told import PromptBox
from app.pages.shell.page_session import PageSession, open_submits, owner_of
from app.state.runs.agent_options import agent_options
from app.state.runs.lock_wait import LockWait
from app.state.runs.run_form import RunForm, issue_names

NO_ISSUE = 0
NOT_SHOWN = "Run is available once the prompt is shown above."
# a select's choice goes into the browser's draft from its own event (assets/draft.js)
PICKED = {
    "branch": "(option) => window.runyardDraft?.put('branch', option?.label ?? '')",
    "framework": "(option) => window.runyardDraft?.put('framework', option?.label ?? '')",
    "issue": "(option) => window.runyardDraft?.put('issue', option?.label ?? '')",
    "template": "(option) => window.runyardDraft?.put('template', option?.label ?? '')",
}
# Ctrl-Enter and Cmd-Enter start the run from every field
SEND_KEYS = (
    "(e) => { if (!(e.ctrlKey || e.metaKey) || e.repeat) return; e.preventDefault(); emit(); }"
)


class RunFormView:
    """The open form; `cancel` is called when the person leaves it."""

    def __init__(
        self,
        session: PageSession,
        form: RunForm,
        branches: Sequence[BranchOut],
        issues: Sequence[IssueOut],
        cancel: Callable[[], object],
        *,
        is_page: bool = False,
    ) -> None:
        self._session, self._form = session, form
        self._branches, self._issues = branches, issues
        self._lock = LockWait(form)
        self._timer: ui.timer | None = None
        self._controls: dict[str, Any] = {}
        self._findings: Sequence[Finding] = ()
        with ui.element("div").classes("stack").props('role=form aria-label="New run"') as box:
            with ui.element("div").classes("form"):
                self._notices = RunFormNotices(session, form, self._lock, self.submit, self._reset)
                self._fields_box = ui.element("div")
                self._draw_fields()
                self._prompt = PromptBox(session, form, self.refresh)
                self._notices.draw_trouble()
                self._draw_foot(lambda: self._leave(cancel))
            self._notices.draw_rate_limit()
        self._box = box
        box.on("keydown.enter", self.submit, js_handler=SEND_KEYS)
        # after the machine slept, the timer is late; the browser's clock may be a little ahead
        box.on("over", lambda: ui.timer(0.5, self._ask_quota, once=True))
        self._keeper = DraftKeeper(session, form, box, branches, self._take_back, is_page=is_page)
        session.on("quota.changed", self._ask_quota)
        session.on("project.changed", self._follow)
        session.on("run.changed", self._on_run)
        session.on_return(self._ask_quota)
        session.on_return(self._check_lock)
        session.on_close(self._forget_timer)
        self.refresh()

    async def submit(self) -> None:
        """Send the form once, and open the page of the new run."""
        form, session = self._form, self._session
        if self._why_not(session.now()) is not None:
            return
        sending = form.submit(session.api, open_submits(), owner_of(session), session.now)
        self._run.set_text("Starting…")
        self._run.props("aria-busy=true").disable()
        self._box.classes("sending")
        run = await sending
        self._lock.sent()
        if session.client.is_deleted:
            return
        if run is not None:
            self._keeper.on_change(is_done=True)
            session.go(f"/runs/{run.id}")
        elif self._box.is_deleted:
            session.notify(form.trouble.sentence if form.trouble else "The run was not started.")
        else:
            self._keeper.on_change()
            self._run.set_text("Run")
            self._run.props(remove="aria-busy")
            self._box.classes(remove="sending")
            await self._ask_quota()
            await self._check_lock()

    def refresh(self) -> None:
        """Update banners, errors and the `Run` button from the form's state."""
        if self._is_gone:
            return
        now = self._session.now()
        self._form.project = self._session.board.get(self._form.project.id) or self._form.project
        why = None if self._form.busy else self._why_not(now)
        self._notices.refresh(now)
        self._why.set_text(why or "")
        self._run.set_enabled(why is None and not self._form.busy)
        self._wake_later()

    @property
    def _is_gone(self) -> bool:
        return self._session.client.is_deleted or self._box.is_deleted

    def _why_not(self, now: datetime) -> str | None:
        """Return why the form cannot be sent; nothing starts from words that nobody saw."""
        has_words = self._form.issue is not None or self._form.task.strip()
        not_shown = None if has_words or self._prompt.is_shown else NOT_SHOWN
        return self._form.why_disabled(now) or not_shown

    def _follow(self, project: ProjectOut) -> None:
        if project.id == self._form.project.id:
            self.refresh()

    async def _ask_quota(self, _: QuotaOut | dict[str, object] | None = None) -> None:
        if self._is_gone:
            return
        try:
            api = self._session.api
            self._form.quota, system = await asyncio.gather(api.quota(), api.system())
            self._session.note_system(system)
        except (ApiProblem, NoAnswer):
            # the server checks the quota anyway; the banner is only a courtesy
            self._form.quota = None
        with self._session.client:
            self.refresh()
        await self._send_what_waits()

    async def _on_run(self, run: RunOut) -> None:
        if not self._box.is_deleted and self._lock.on_change(run):
            await self._continue()

    async def _check_lock(self) -> None:
        if self._is_gone:
            return
        try:
            is_free = await self._lock.refetch(self._session.api)
        except (ApiProblem, NoAnswer):
            return  # the live feed reports the release
        if is_free:
            await self._continue()

    async def _continue(self) -> None:
        """Handle a free branch: send the waiting form, or announce that the branch is free."""
        with self._session.client:
            self.refresh()
        if not self._lock.is_due:
            self._session.announce("The branch is free.")
        await self._send_what_waits()

    async def _send_what_waits(self) -> None:
        # a closed page looks like a lost link, so send only while the page is connected
        self._lock.check()
        client, now = self._session.client, self._session.now()
        is_there = client.has_socket_connection and not self._box.is_deleted
        if is_there and self._lock.is_due and self._why_not(now) is None:
            with client:
                await self.submit()

    def _leave(self, cancel: Callable[[], object]) -> None:
        self._lock.cancel()
        cancel()

    def _wake_later(self) -> None:
        # One check when the countdown ends, on the server's clock: a sleeping tab cannot miss it.
        self._forget_timer()
        now = self._session.now()
        wakes_at = self._form.wakes_at(now)
        if wakes_at is not None:
            with self._fields_box:
                delay = max(0.05, (wakes_at - now).total_seconds() + 0.05)
                self._timer = ui.timer(delay, self._ask_quota, once=True)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _reset(self) -> None:
        self._form.reset()
        self._lock.cancel()
        self._show_fields()
        self._notices.hide_note()
        self._keeper.on_change()
        self.refresh()

    def _take_back(self, *, is_arrival: bool) -> None:
        self._show_fields()
        if self._form.delay:
            with self._fields_box:
                ui.timer(0, partial(learn_zone, self._form), once=True)
        if is_arrival:
            self._notices.show_return()

    def _show_fields(self) -> None:
        """Copy the form's state into the existing controls."""
        form = self._form
        self._key.set_content(self._key_html())
        self._depth.choose(form.depth)
        self._open_options()
        self._show_agents()
        self._name_templates()
        for name, control in self._controls.items():
            value = getattr(form, name) or (NO_ISSUE if name == "issue" else "")
            if isinstance(control, ui.select) and value not in control.options:
                shown = f"#{value}" if name == "issue" else plain(value)
                control.set_options(dict(control.options) | {value: shown}, value=value)
            else:
                control.set_value(value)
        self._prompt.now()

    def _draw_fields(self) -> None:
        self._fields_box.clear()
        with self._fields_box:
            self._draw_task()
            with ui.element("div").classes("trio"):
                self._draw_branch()
                self._draw_depth()
                self._draw_framework()
            with ui.element("div").classes("pair"):
                self._draw_issue()
                self._agents = AgentPicker(self._choose_agent, self._look_for_agents)
            self._draw_options()
            ui.timer(0, partial(self._look_for_agents, "no"), once=True)
        self._show_agents()

    def _draw_branch(self) -> None:
        form = self._form
        names = {branch.name: plain(branch.name) for branch in self._branches}
        for name in (form.project.base_branch, form.branch):
            names.setdefault(name, plain(name))
        count = len(self._branches)
        hint = f"Search {count} branches" if count > 1 else ""
        with ui.element("div").classes("branch"):
            field = choice_field("Branch", names, form.branch, hint=hint, mark="branch-picker")
        control = field.control
        control.props("use-input hide-selected fill-input input-debounce=0").classes("mono")
        self._keep(control, "branch")

    def _draw_depth(self) -> None:
        self._depth = Segments("Depth", Depth, self._press_depth, mark="depth-level")
        self._depth.choose(self._form.depth)

    def _press_depth(self, depth: str) -> None:
        self._form.depth = Depth(depth)
        self._notice_change()

    def _notice_change(self) -> None:
        """Stop waiting for the branch if the form no longer equals what was sent."""
        self._name_templates()
        self._prompt.later()
        self._lock.check()
        self._notices.show_wait()
        if self._why.text != (self._why_not(self._session.now()) or ""):
            self.refresh()

    def _draw_framework(self) -> None:
        form = self._form
        names = {name: plain(name) for name in form.frameworks()}
        field = choice_field("Target framework", names, form.framework, mark="target-framework")
        self._keep(field.control, "framework")

    def _draw_issue(self) -> None:
        form = self._form
        found = issue_names(self._issues).items()
        names = {NO_ISSUE: "No issue"} | {number: plain(words) for number, words in found}
        if form.issue is not None:
            names.setdefault(form.issue, f"#{form.issue}")
        field = choice_field("Issue (optional)", names, form.issue or NO_ISSUE, mark="issue-picker")
        self._keep(field.control, "issue", empty=None)

    def _draw_template(self) -> None:
        form = self._form
        names = form.template_names()
        field = choice_field("Template", names, form.template, mark="template-picker")
        self._keep(field.control, "template")

    def _name_templates(self) -> None:
        """Name the template of a run without a choice: task and issue decide which one it is."""
        control, names = self._controls["template"], self._form.template_names()
        if control.options != names:
            control.set_options(names)

    def _draw_task(self) -> None:
        form = self._form
        field = area_field(
            "Task (optional)",
            form.task,
            placeholder="What to do. Empty: the template alone.",
            mark="task",
        )
        field.control.props("rows=2 autofocus")
        self._keep(field.control, "task")

    def _choose_agent(self, agent: str) -> None:
        self._form.agent = agent
        self._show_agents()
        self._notice_change()
        # another agent means another account, with its own limit
        self.refresh()

    def _show_agents(self) -> None:
        form = self._form
        chosen = "" if form.agent == form.project.agent else form.agent
        now, mine = self._session.now(), self._session.system.agents
        options = agent_options(form.project, self._findings, now, chosen, mine)
        self._agents.show(options, chosen)

    async def _look_for_agents(self, look: str = "stale") -> None:
        """Ask what is installed: the last look at once, a fresh one when the list is opened."""
        try:
            self._findings = (await self._session.api.doctor(look)).items
        except (ApiProblem, NoAnswer):
            return  # the list keeps what it knows
        if not self._is_gone:
            self._show_agents()

    def _draw_options(self) -> None:
        form = self._form
        with ui.element("details").classes("fold") as fold:
            testid(fold, "run-options")
            self._options = fold
            self._open_options()
            ui.html(options_html(form.project), sanitize=clean, tag="summary")
            with ui.element("div").classes("pair"):
                model = text_field("Model", form.model, placeholder="default", mark="model-picker")
                self._keep(model.control, "model")
                model.control.on_value_change(self.refresh)
                self._draw_template()
            for name, control in plan_fields(form).items():
                self._keep(control, name)

    def _open_options(self) -> None:
        form = self._form
        if form.model or form.template or form.delay or form.ttl or form.tags:
            self._options.props["open"] = True

    def _keep(self, control: Any, name: str, empty: str | None = "") -> None:
        """Copy each change of a control into the form's state."""
        self._controls[name] = control
        if name in PICKED:
            control.on("update:model-value", js_handler=PICKED[name])

        def take(change: ValueChangeEventArguments[Any]) -> None:
            setattr(self._form, name, change.value or empty)
            self._notice_change()

        control.on_value_change(take)

    def _draw_foot(self, cancel: Callable[[], object]) -> None:
        with ui.element("div").classes("foot"):
            self._key = ui.html(self._key_html(), sanitize=clean, tag="span")
            ui.element("span").classes("sp")
            button("Cancel", cancel)
            with ui.element("span").props("data-needs-link"):
                self._run = button("Run", self.submit, kind="pri", mark="run-submit")
                self._run.props["aria-keyshortcuts"] = "Control+Enter"
                self._run.props["title"] = "Ctrl+Enter or Cmd+Enter"
        lost = "Not connected. What you type is kept in this tab until the link is back."
        ui.label(lost).classes("why when-lost")
        self._why = ui.label("").classes("why").props("role=tooltip")
        self._run.props(f"aria-describedby={self._why.html_id}")

    def _key_html(self) -> str:
        key = self._form.key
        title = f"Key {key}: a retry sends it again, so nothing starts twice"
        return f'<span class="chip" title="{title}">key {key[:4]}…{key[-2:]}</span>'


def options_html(project: ProjectOut) -> str:
    """Return the heading of the folded options, with the limits that apply without them."""
    limit = rough_words(project.budget_seconds)
    return f'Options <span class="sub">{limit} limit · {project.sandbox}</span>'
