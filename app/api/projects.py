"""Projects and their branches over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.asking import require_browser, switch_auto
from app.api.description import IN_A_BROWSER
from app.api.schemas import (
    Branches,
    BranchOut,
    NewProject,
    OriginOut,
    ProjectChange,
    ProjectOut,
    Projects,
)
from app.api.views import project_out
from app.domain.sandboxes import SandboxLevel
from app.errors import Invalid
from app.services.browser_rule import GUARDED
from app.services.plane import Services


def routes(services: Services) -> APIRouter:
    """Everything below `/projects`."""
    router = APIRouter()
    router.include_router(_project_routes(services), tags=["projects"])
    router.include_router(_setting_routes(services), tags=["projects"])
    return router


def _project_routes(services: Services) -> APIRouter:
    router = APIRouter()

    @router.get("/projects")
    def list_them(include_archived: bool = False) -> Projects:
        """Every project by name; archived ones only where they are asked for."""
        views = services.overview.all()
        shown = [one for one in views if include_archived or one.project.archived_at is None]
        mask = services.secrets.mask()
        return Projects(items=[project_out(view, mask) for view in shown])

    @router.post("/projects", status_code=201, responses=IN_A_BROWSER)
    def add(body: NewProject, request: Request, response: Response) -> ProjectOut:
        """Register a repository; its mirror is made in the background."""
        settings = body.model_dump(exclude={"name", "origin"}, exclude_none=True)
        if settings.get("sandbox") == SandboxLevel.NONE or settings.get("owner_hooks"):
            require_browser(services, request, "/projects/add")
        _refuse_what_is_to_come(settings)
        project = services.projects.add(body.name, body.origin, services.clock(), **settings)
        response.headers["Location"] = f"/projects/{project.id}"
        return _told(services, project.id)

    @router.get("/origins")
    def look_at_folder(folder: Annotated[str, Query(min_length=1, max_length=2000)]) -> OriginOut:
        """A folder's own remote, read without running anything that the folder's config names."""
        return OriginOut(folder=folder, remote=services.projects.remote_of(folder))

    @router.post("/demo-project", status_code=201)
    def add_demo() -> ProjectOut:
        """Make the demo repository with its issues, and register it."""
        return _told(services, services.demo.add(services.clock()).id)

    @router.get("/projects/{project_id}")
    def show(project_id: str) -> ProjectOut:
        """One project."""
        return _told(services, project_id)

    return router


def _setting_routes(services: Services) -> APIRouter:
    router = APIRouter()

    @router.patch("/projects/{project_id}", responses=IN_A_BROWSER)
    def change(project_id: str, body: ProjectChange, request: Request) -> ProjectOut:
        """Change a project's settings; only what is given is changed.

        `archived: false` takes an archived project back, with its loop off.
        """
        settings = body.model_dump(exclude_unset=True)
        if not (GUARDED | {"archived"}).isdisjoint(settings):
            require_browser(services, request, f"/projects/{project_id}?tab=settings")
        _refuse_what_is_to_come(settings)
        auto, archived = settings.pop("auto_enabled", None), settings.pop("archived", None)
        if archived is False:
            services.projects.unarchive(project_id)
        if settings or archived is None:
            services.projects.change(project_id, **settings)
        if auto is not None:
            switch_auto(services, request, project_id, enabled=auto)
        if archived:
            services.projects.archive(project_id, services.clock())
        return _told(services, project_id)

    @router.delete("/projects/{project_id}", responses=IN_A_BROWSER)
    def archive(project_id: str, request: Request) -> ProjectOut:
        """Archive a project; its history stays."""
        require_browser(services, request, f"/projects/{project_id}?tab=settings")
        services.projects.archive(project_id, services.clock())
        return _told(services, project_id)

    @router.get("/projects/{project_id}/branches")
    def branches(project_id: str) -> Branches:
        """Branches of origin, base first."""
        base = services.projects.find(project_id).base_branch
        return Branches(
            items=[
                BranchOut(name=one.name, is_base=one.name == base, updated_at=one.updated_at)
                for one in services.projects.branches(project_id)
            ]
        )

    return router


def _told(services: Services, project_id: str) -> ProjectOut:
    return project_out(services.overview.of(project_id), services.secrets.mask())


def _refuse_what_is_to_come(settings: dict[str, object]) -> None:
    if settings.get("tracker", "builtin") != "builtin":
        raise Invalid.field("tracker", "Only the built-in tracker can be chosen yet.")
    if settings.get("open_pr", "runyard") != "runyard":
        raise Invalid.field("open_pr", "Only Runyard itself can open change requests yet.")
