"""The calls of prompts and templates; see `app/api/client/calls.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from app.api.client.protocol import Call, only_given

if TYPE_CHECKING:
    from app.api import schemas
    from app.api.client.protocol import Body


def _templates(project_id: str, name: str | None = None) -> str:
    below = "" if name is None else f"/{quote(name, safe='')}"
    return f"/projects/{quote(project_id, safe='')}/templates{below}"


def preview(order: Body) -> Call[schemas.PromptPreview]:
    """Return the prompt that a run of this order would get."""
    return Call("POST", "/runs/preview", "PromptPreview", body=order)


def prompt(run_id: str) -> Call[schemas.PromptOut]:
    """Return what a run was told, turn by turn."""
    return Call("GET", f"/runs/{quote(run_id, safe='')}/prompt", "PromptOut")


def templates(project_id: str) -> Call[list[schemas.TemplateOut]]:
    """Return a project's templates, the built-in ones first."""
    return Call("GET", _templates(project_id), "Templates", takes_items=True)


def template(project_id: str, name: str, version: int | None = None) -> Call[schemas.TemplateOut]:
    """Return a template, or an earlier version of it."""
    params = only_given({"version": version})
    return Call("GET", _templates(project_id, name), "TemplateOut", params=params)


def add_template(
    project_id: str, name: str, text: str, *, default: bool = False
) -> Call[schemas.TemplateOut]:
    """Add a template."""
    body = {"name": name, "text": text, "default": default}
    return Call("POST", _templates(project_id), "TemplateOut", body=body)


def change_template(
    project_id: str, name: str, *, text: str | None = None, default: bool | None = None
) -> Call[schemas.TemplateOut]:
    """Give a template another text, or make it the default or not."""
    body = only_given({"text": text, "default": default})
    return Call("PATCH", _templates(project_id, name), "TemplateOut", body=body)


def remove_template(project_id: str, name: str) -> Call[schemas.TemplateOut]:
    """Remove a template."""
    return Call("DELETE", _templates(project_id, name), "TemplateOut")
