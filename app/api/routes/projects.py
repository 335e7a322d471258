"""Routes of projects, their branches and their statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.http.dependencies import require_browser, require_role, switch_auto
from app.api.http.openapi import IN_A_BROWSER
from app.api.schemas import (
    Branches,
    BranchOut,
    DayFigures,
    FiguresOut,
    NewProject,
    OriginOut,
    ProjectChange,
    ProjectCounts,
    ProjectFigures,
    ProjectOut,
    Projects,
    StateOut,
    TrustOrder,
)
from app.api.views import project_out
from app.domain.names import OriginKind, origin_kind
from app.domain.projects.setting import CODE
from app.domain.projects.tags import MAX_TAG, has_tag
from app.domain.sandbox.levels import SandboxLevel
from app.domain.statistics import NOTHING, Figures
from app.services.container import Services
from app.services.projects.browser_rule import GUARDED

MAX_DAYS = 366


def routes(services: Services) -> APIRouter:
    """Build the project routes, including `/origins` and `/demo-project`."""
    router = APIRouter()
    router.routes.extend(_project_routes(services).routes)
    router.routes.extend(_setting_routes(services).routes)
    router.routes.extend(_check_routes(services).routes)
    router.routes.extend(_trust_routes(services).routes)
    return router


def _project_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["projects"])

    @router.get("/projects")
    def list_them(
        include_archived: bool = False,
        tag: Annotated[str | None, Query(min_length=1, max_length=MAX_TAG)] = None,
    ) -> Projects:
        """All projects by name; archived ones only on request, with `tag` those that have it."""
        views = services.overview.all()
        shown = [one for one in views if include_archived or one.project.archived_at is None]
        if tag is not None:
            shown = [one for one in shown if has_tag(one.project.tags, tag)]
        mask = services.secrets.mask()
        return Projects(items=[project_out(view, mask) for view in shown])

    @router.post("/projects", status_code=201, responses=IN_A_BROWSER)
    def add(body: NewProject, request: Request, response: Response) -> ProjectOut:
        """Register a repository; its mirror is cloned in the background."""
        settings = body.model_dump(exclude={"name", "origin", "tracker"}, exclude_none=True)
        _refuse_new_code(services, request, body.origin, settings)
        settings |= _tracker_of(services, body)
        project = services.projects.add(body.name, body.origin, services.clock(), **settings)
        response.headers["Location"] = f"/projects/{project.id}"
        return _project_out_of(services, project.id)

    @router.get("/origins")
    def look_at_folder(folder: Annotated[str, Query(min_length=1, max_length=2000)]) -> OriginOut:
        """The remote of a folder's repository; nothing that its git config names is run."""
        return OriginOut(folder=folder, remote=services.projects.remote_of(folder))

    @router.post("/demo-project", status_code=201)
    def add_demo(request: Request) -> ProjectOut:
        """Create the demo repository with its issues, and register it."""
        require_role(services, request, "change_commands", None)
        return _project_out_of(services, services.demo.add(services.clock()).id)

    @router.get("/projects/{project_id}")
    def show(project_id: str) -> ProjectOut:
        """A project."""
        return _project_out_of(services, project_id)

    return router


def _refuse_new_code(
    services: Services, request: Request, origin: str, settings: Mapping[str, Any]
) -> None:
    """Raise Forbidden for a project that brings code, unless this person may do that here."""
    if settings.get("sandbox") == SandboxLevel.NONE or settings.get("owner_hooks"):
        require_browser(services, request, "/projects/add")
    if not CODE.isdisjoint(settings) or origin_kind(origin) is OriginKind.PATH:
        require_role(services, request, "change_commands", None)


def _refuse_code(
    services: Services, request: Request, project_id: str, settings: Mapping[str, Any]
) -> None:
    """Raise Forbidden for settings that are code, unless this person may change those here."""
    if not (GUARDED | {"archived"}).isdisjoint(settings):
        require_browser(services, request, f"/projects/{project_id}?tab=settings")
    if not CODE.isdisjoint(settings):
        require_role(services, request, "change_commands", project_id)


def _setting_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["projects"])

    @router.patch("/projects/{project_id}", responses=IN_A_BROWSER)
    def change(project_id: str, body: ProjectChange, request: Request) -> ProjectOut:
        """Change a project's settings; fields that are not given stay as they are.

        `archived: false` unarchives the project, with auto runs off.
        """
        settings = body.model_dump(exclude_unset=True)
        _refuse_code(services, request, project_id, settings)
        auto, archived = settings.pop("auto_enabled", None), settings.pop("archived", None)
        if archived is False:
            services.projects.unarchive(project_id)
        if origin := settings.pop("origin", None):
            services.relocation.locate(project_id, origin)
        if settings or archived is None:
            services.projects.change(project_id, **settings)
        if auto is not None:
            switch_auto(services, request, project_id, enabled=auto)
        if archived:
            services.projects.archive(project_id, services.clock())
        return _project_out_of(services, project_id)

    @router.delete("/projects/{project_id}", responses=IN_A_BROWSER)
    def archive(project_id: str, request: Request) -> ProjectOut:
        """Archive a project; its history is kept."""
        require_browser(services, request, f"/projects/{project_id}?tab=settings")
        services.projects.archive(project_id, services.clock())
        return _project_out_of(services, project_id)

    @router.get("/projects/{project_id}/branches")
    def branches(project_id: str) -> Branches:
        """The branches of origin, base first."""
        base = services.projects.find(project_id).base_branch
        return Branches(
            items=[
                BranchOut(name=one.name, is_base=one.name == base, updated_at=one.updated_at)
                for one in services.projects.branches(project_id)
            ]
        )

    return router


def _check_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["projects"])

    @router.post("/projects/{project_id}/checks/try-again")
    def try_checks_again(project_id: str) -> ProjectOut:
        """Have the loop go on although a check could not be started; without a hold, do nothing."""
        services.projects.try_checks_again(project_id)
        return _project_out_of(services, project_id)

    @router.post("/projects/{project_id}/ready-label")
    def make_ready_label(project_id: str) -> ProjectOut:
        """Make the label `ready-for-agent` in its repository at a forge, unless there is one."""
        services.repositories.make_label(project_id)
        return _project_out_of(services, project_id)

    @router.post("/projects/{project_id}/check-again")
    def check_again(project_id: str) -> ProjectOut:
        """Look for the project's repository now; a clone that failed is made again."""
        services.relocation.check_again(project_id)
        return _project_out_of(services, project_id)

    return router


def _trust_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["projects"])

    @router.get("/projects/{project_id}/trust")
    def state(project_id: str) -> StateOut:
        """The newest known commit of base, and what changed for agents since a person looked."""
        found = services.states.state(project_id)
        return StateOut(
            commit=found.commit,
            trusted_commit=found.trusted,
            hold=found.hold,
            files=list(found.files),
            diff=found.diff.text if found.diff else "",
            is_cut=found.diff is not None and found.diff.is_cut,
        )

    @router.post("/projects/{project_id}/trust", responses=IN_A_BROWSER)
    def trust(project_id: str, body: TrustOrder, request: Request) -> ProjectOut:
        """Trust the agent configuration of this commit, the newest of base; the loop goes on.

        409 `not_this_state` if base has moved on.
        """
        require_browser(services, request, f"/projects/{project_id}")
        services.states.trust(project_id, body.commit)
        services.sweep.request()
        return _project_out_of(services, project_id)

    return router


def _project_out_of(services: Services, project_id: str) -> ProjectOut:
    return project_out(services.overview.of(project_id), services.secrets.mask())


def _tracker_of(services: Services, body: NewProject) -> dict[str, Any]:
    """Return the columns that say who keeps a new project's issues. Raises a Refusal."""
    remote = services.projects.remote_of(body.origin)
    return services.forges.choose(body.tracker, body.origin, remote).columns


def statistics_routes(services: Services) -> APIRouter:
    """Build `/projects/{id}/figures` and `/projects/{id}/counts`."""
    router = APIRouter(tags=["projects"])

    @router.get("/projects/{project_id}/figures")
    def figures(
        project_id: str, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 30
    ) -> ProjectFigures:
        """Outcomes, durations, tokens and cost of the last days (UTC, today included)."""
        found = services.statistics.of_project(project_id, days, services.clock())
        return ProjectFigures(
            items=[DayFigures(day=day, **_out_of(one)) for day, one in found.items()],
            totals=FiguresOut(**_out_of(sum(found.values(), NOTHING))),
        )

    @router.get("/projects/{project_id}/counts")
    def counts(project_id: str) -> ProjectCounts:
        """Numbers of a project's runs, open issues and open change requests."""
        return ProjectCounts.model_validate(services.statistics.counts(project_id))

    return router


def _out_of(figures: Figures) -> dict[str, Any]:
    told = {name: getattr(figures, name) for name in FiguresOut.model_fields}
    if not figures.told_tokens:
        told |= {"input_tokens": None, "output_tokens": None}
    return told
