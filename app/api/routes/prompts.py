"""Routes of prompts: preview, what a run was told, and the templates of projects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.api.http.dependencies import Key, order_of_run, requester_of, require_role
from app.api.http.gate import visitor_of
from app.api.schemas import (
    NewTemplate,
    PromptOut,
    PromptPreview,
    RunOrder,
    TemplateChange,
    TemplateOut,
    Templates,
    TurnOut,
)
from app.services.container import Services
from app.services.projects.templates import TemplateView
from app.services.rows import nothing_done

Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


def routes(services: Services) -> APIRouter:
    """Build the routes of prompts and templates."""
    router = APIRouter()
    for some in (_of_runs, _of_projects):
        router.routes.extend(some(services).routes)
    return router


def _of_runs(services: Services) -> APIRouter:
    router = APIRouter(tags=["runs"])

    @router.post("/runs/preview")
    def preview(
        body: RunOrder,
        request: Request,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> PromptPreview:
        """The prompt that a run of this body would get now; nothing is written.

        The body is checked as by `POST /runs`, apart from quota and limits.
        """
        nothing_done()
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key)
        require_role(services, request, "preview", body.project_id)
        requester = requester_of(services, request, *keys)
        made = services.prompts.preview(order_of_run(body), requester, services.clock())
        size = len(made.text.encode())
        return PromptPreview(
            text=made.text,
            template=made.template and made.template.name,
            version=made.template and made.template.version,
            bytes=size,
        )

    @router.get("/runs/{run_id}/prompt")
    def prompt(run_id: str) -> PromptOut:
        """The prompts that the run's agent got, turn by turn; none before its first turn."""
        services.listing.find(run_id)
        return prompt_out(services, run_id)

    return router


def prompt_out(services: Services, run_id: str) -> PromptOut:
    """Build what a run was told."""
    turns = [TurnOut.model_validate(one) for one in services.prompts.of_run(run_id)]
    return PromptOut(turns=turns)


def _of_projects(services: Services) -> APIRouter:
    router = APIRouter(tags=["templates"])
    one = "/projects/{project_id}/templates/{name}"

    @router.get("/projects/{project_id}/templates")
    def list_them(project_id: str) -> Templates:
        """A project's templates, each in its newest version, the built-in ones first."""
        return Templates(items=[_out(view) for view in services.templates.all(project_id)])

    @router.get(one)
    def show(project_id: str, name: str, version: Version = None) -> TemplateOut:
        """A template, or an earlier version of it."""
        return _out(services.templates.one(project_id, name, version))

    @router.post("/projects/{project_id}/templates", status_code=201)
    def add(project_id: str, body: NewTemplate, request: Request) -> TemplateOut:
        """Add a template; a default one takes the place of the one before."""
        by, now = visitor_of(request).name, services.clock()
        added = services.templates.add(
            project_id, body.name, body.text, by, now, is_default=body.default
        )
        return _out(added)

    @router.patch(one)
    def change(project_id: str, name: str, body: TemplateChange, request: Request) -> TemplateOut:
        """Give a template another text, which makes a new version, or make it the default."""
        by, now = visitor_of(request).name, services.clock()
        changed = services.templates.change(
            project_id, name, by, now, text=body.text, is_default=body.default
        )
        return _out(changed)

    @router.delete(one)
    def remove(project_id: str, name: str) -> TemplateOut:
        """Remove a template; runs that wait keep their version of it."""
        return _out(services.templates.remove(project_id, name, services.clock()))

    return router


def _out(view: TemplateView) -> TemplateOut:
    return TemplateOut(
        name=view.name,
        version=view.version,
        text=view.text,
        default=view.is_default,
        built_in=view.is_built_in,
        created_by=view.created_by,
        created_at=view.created_at,
    )
