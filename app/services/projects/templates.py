"""The templates of projects: reading, adding, changing and removing them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.agents import templates
from app.domain.agents.templates import Template
from app.errors import Invalid, NameTaken, NotFound, ProjectArchived
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.template_ledger import TemplateInUse, TemplateLedger
from app.records.tables import Project, TemplateRow
from app.services.runs.prechecks import setting_of


@dataclass(frozen=True)
class TemplateView:
    """A template as it stands now."""

    name: str
    version: int
    text: str
    is_default: bool
    is_built_in: bool = False
    created_by: str | None = None
    created_at: datetime | None = None


class TemplateService:
    """Manages named templates; every version stays known to the runs that used it."""

    def __init__(self, projects: ProjectLedger) -> None:
        self._projects = projects
        self._ledger = TemplateLedger(projects.stores)

    def all(self, project_id: str) -> list[TemplateView]:
        """Return a project's templates, the built-in ones first. Raises NotFound."""
        project = self._find(project_id)
        own = self._ledger.newest(project_id)
        setting = setting_of(project)
        has_own_default = project.default_template is not None
        built_in = [_built_in(templates.BUILT_IN, setting is None and not has_own_default)]
        if setting is not None:
            built_in.append(_built_in(setting, not has_own_default))
        return [*built_in, *(_view(row, project) for row in own)]

    def one(self, project_id: str, name: str, version: int | None = None) -> TemplateView:
        """Return a template, or an earlier version of it. Raises NotFound."""
        project = self._find(project_id)
        if name not in templates.RESERVED:
            row = self._ledger.find(project_id, name, version)
            if row is not None:
                return _view(row, project)
        for view in self.all(project_id):
            if (view.name, version or view.version) == (name, view.version):
                return view
        raise NotFound(f"This project has no template called {name}.")

    def add(
        self, project_id: str, name: str, text: str, by: str, now: datetime, *, is_default: bool
    ) -> TemplateView:
        """Add a template. Raises a Refusal."""
        self._writable(project_id)
        wrong = {"name": templates.name_problem(name), "text": templates.template_problem(text)}
        _refuse(wrong)
        row = TemplateRow(
            project_id=project_id,
            name=name,
            version=1,
            text=text,
            created_by=by,
            created_at=now,
        )
        try:
            added = self._ledger.add(row, is_default=is_default)
        except TemplateInUse as taken:
            sentence = "This project has a template of this name."
            errors = [{"field": "name", "message": sentence}]
            raise NameTaken(sentence, errors=errors) from taken
        return _view(added, self._find(project_id))

    def change(
        self,
        project_id: str,
        name: str,
        by: str,
        now: datetime,
        *,
        text: str | None = None,
        is_default: bool | None = None,
    ) -> TemplateView:
        """Give a template another text, as a new version, or make it the default or not.

        Raises a Refusal.
        """
        self._writable(project_id)
        _refuse_reserved(name)
        if text is not None:
            _refuse({"text": templates.template_problem(text)})
        row = self._ledger.change(
            project_id, name, text=text, is_default=is_default, by=by, now=now
        )
        if row is None:
            raise NotFound(f"This project has no template called {name}.")
        return _view(row, self._find(project_id))

    def remove(self, project_id: str, name: str, now: datetime) -> TemplateView:
        """Remove a template; runs that wait keep their version of it. Raises a Refusal."""
        self._writable(project_id)
        _refuse_reserved(name)
        row = self._ledger.remove(project_id, name, now)
        if row is None:
            raise NotFound(f"This project has no template called {name}.")
        return _view(row, self._find(project_id))

    def _find(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project

    def _writable(self, project_id: str) -> None:
        if self._find(project_id).archived_at is not None:
            raise ProjectArchived


def _refuse_reserved(name: str) -> None:
    if name in templates.RESERVED:
        raise Invalid.field("name", templates.RESERVED[name])


def _refuse(wrong: dict[str, str | None]) -> None:
    found = {name: problem for name, problem in wrong.items() if problem}
    if found:
        raise Invalid.fields(found)


def _built_in(template: Template, is_default: bool) -> TemplateView:
    return TemplateView(template.name, template.version, template.text, is_default, True)


def _view(row: TemplateRow, project: Project) -> TemplateView:
    return TemplateView(
        name=row.name,
        version=row.version,
        text=row.text,
        is_default=project.default_template == row.name,
        created_by=row.created_by,
        created_at=row.created_at,
    )
