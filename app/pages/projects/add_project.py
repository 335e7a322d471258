"""Add project (`/projects/add`): a folder or an address, a name, an agent."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.domain.projects.settings import PROJECT_SETTINGS
from app.pages.components.buttons import add_folder_button, button, link_button
from app.pages.components.chips import correlation_chip_html
from app.pages.components.fields import Field, area_field, text_field
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.projects.forge_fields import ForgeFields
from app.pages.projects.sandbox_fields import MORE, SandboxFields, words_of
from app.pages.shell.frame import forbidden, frame
from app.pages.shell.page_session import PageSession, page_at
from app.state.page.connection import Connection
from app.state.projects.project_form import ProjectForm, name_from

REMOTE = "git@example.org:me/shop.git"
FOLDED = {"base_branch", "setup_command", "budget_minutes", "prompt", *MORE}


def register(connection: Connection) -> None:
    """Define `/projects/add`."""

    @page_at("/projects/add")
    async def add_project_page() -> None:
        session = await PageSession.open(connection)
        if forbidden(session, "add_project", active="projects"):
            return
        crumbs = [("Projects", "/projects")]
        with frame(session, title="Add project", active="projects", crumbs=crumbs):
            AddProjectForm(session)


class AddProjectForm:
    """The form for a new project; a refusal shows at its field and keeps everything typed."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._suggested = self._remote = ""
        # what is code on this machine is left out where this person may not decide on it
        self._has_code = session.may("change_commands")
        self._fields: dict[str, Field] = {}
        with ui.element("div").classes("form"):
            self._draw_first_fields()
            with ui.element("details").classes("fold") as self._fold:
                ui.html("More settings", sanitize=clean, tag="summary")
                self._draw_more_fields()
            self._error = testid(ui.html("", sanitize=clean), "form-error")
            with ui.element("div").classes("foot"):
                link_button("Import many…", "/projects/import", kind="bare", mark="import-many")
                ui.element("span").classes("sp")
                link_button("Cancel", "/projects")
                self._add = button("Add project", self._submit, kind="pri", mark="project-submit")

    def _draw_first_fields(self) -> None:
        self._fields["origin"] = text_field(
            "Folder or address",
            placeholder=f"/home/me/shop or {REMOTE}" if self._has_code else REMOTE,
            hint="A git repository: an absolute path, or an https or ssh address. Agents work in "
            "clones, never in your folder. If you name a folder, branches and merges go into it, "
            "and you push them to its remote yourself. If you name the remote, they go there.",
            mono=True,
            mark="project-origin",
        )
        add_folder_button(self._session, self._fields["origin"].control, mark="project-browse")
        with self._fields["origin"].box:
            self._use_remote = button("", self._take_remote, kind="small long", mark="use-remote")
        self._use_remote.set_visibility(False)
        self._fields["origin"].control.on_value_change(self._suggest_name)
        self._fields["origin"].control.on_value_change(self._offer_remote)
        self._forge = ForgeFields(self._session, self._fields["origin"], self._fields)
        self._fields["name"] = text_field("Name", mark="project-name")
        for name in ("origin", "name"):
            self._fields[name].control.on("keydown.enter", self._submit)
        self._fields["agent"] = text_field(
            "Agent",
            placeholder="claude",
            hint=PROJECT_SETTINGS["agent"].hint,
            mark="project-agent",
        )
        if self._has_code:
            self._draw_code()

    def _draw_code(self) -> None:
        self._fields["agent"].control.on_value_change(self._show_command)
        self._fields["agent_command"] = area_field(
            "Command of the script agent",
            hint=PROJECT_SETTINGS["agent_command"].hint,
            mono=True,
            mark="project-command",
        )
        self._fields["agent_command"].box.set_visibility(False)
        self._sandbox = SandboxFields(self._fields, self._session.system.sandbox)

    def _draw_more_fields(self) -> None:
        self._fields["base_branch"] = text_field(
            "Base branch",
            placeholder="what the repository's HEAD names",
            mono=True,
            mark="project-base_branch",
        )
        if self._has_code:
            self._fields["setup_command"] = area_field(
                "Setup command",
                hint=PROJECT_SETTINGS["setup_command"].hint,
                mono=True,
                mark="project-setup_command",
            )
        self._fields["budget_minutes"] = text_field(
            "Time for a run, in minutes", placeholder="120", mark="project-budget_minutes"
        )
        self._fields["prompt"] = area_field(
            "Prompt", hint=PROJECT_SETTINGS["prompt"].hint, mark="project-prompt"
        )
        if self._has_code:
            self._sandbox.draw_more()

    def _suggest_name(self, event: Any) -> None:
        # a placeholder, never a value: it must not overwrite what the person types
        self._suggested = name_from(event.value or "")
        control = self._fields["name"].control
        control.props["placeholder"] = self._suggested
        control.update()

    async def _offer_remote(self, event: Any) -> None:
        typed = (event.value or "").strip()
        self._use_remote.set_visibility(False)
        remote = None
        if typed.startswith("/"):
            with suppress(ApiProblem, NoAnswer):  # only an offer: errors show on submit
                remote = await self._session.api.remote_of(typed)
        # the field may have changed while the request was under way
        if remote and typed == (self._fields["origin"].control.value or "").strip():
            self._remote = remote
            self._use_remote.set_text(f"Use its remote: {remote}")
            self._use_remote.set_visibility(True)

    def _take_remote(self) -> None:
        self._fields["origin"].control.set_value(self._remote)

    def _show_command(self, event: Any) -> None:
        is_script = (event.value or "").strip() == "script"
        self._fields["agent_command"].box.set_visibility(is_script)

    async def _submit(self) -> None:
        if not self._add.enabled:
            return
        typed = {name: words_of(field.control.value) for name, field in self._fields.items()}
        form = ProjectForm(typed | {"name": typed["name"].strip() or self._suggested})
        if self._refuse_fields(form.problems()):
            return
        self._error.set_content("")
        self._add.disable()
        self._add.set_text("Checking the repository…")
        try:
            if not await self._forge.is_settled():
                self._settle()
                return
            project = await self._session.api.add_project(form.body())
        except (ApiProblem, NoAnswer) as problem:
            self._refuse(problem)
        else:
            self._session.go(f"/projects/{project.id}")
            return
        self._settle()

    def _settle(self) -> None:
        self._add.enable()
        self._add.set_text("Add project")

    def _refuse(self, problem: ApiProblem | NoAnswer) -> None:
        if isinstance(problem, ApiProblem) and self._refuse_fields(ProjectForm.blamed(problem)):
            return
        words = problem.detail if isinstance(problem, ApiProblem) else str(problem)
        chip = correlation_chip_html(problem.correlation_id)
        self._error.set_content(f'<div class="banner stop"><span>{text(words)}</span>{chip}</div>')

    def _refuse_fields(self, problems: dict[str, str]) -> bool:
        for name, sentence in problems.items():
            self._fields[name if name in self._fields else "agent"].refuse(sentence)
        if problems.keys() & FOLDED:
            self._fold.props("open")
        for name in [one for one in problems if one in self._fields][:1]:
            self._fields[name].go_to()
        return bool(problems)
