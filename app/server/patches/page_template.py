"""Answer a page with its content as HTML, and with few scripts that are cached for ever.

Replaces: `templates` as `nicegui.client` sees it, by one that renders assets/page.jinja.
Why: NiceGUI answers with an empty page, and a person reads only once 18 files have come and run.
Gain: words on the screen before any script; half the answers.
Tested: nicegui>=3.18,<3.19
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nicegui import Client, client
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.pages.shell.first_content import first_content
from app.server.page_files import SCRIPT, STYLE, VUE, PageFiles

log = structlog.get_logger()

TEMPLATE = "page.jinja"
LOOK_COOKIE = "runyard_look"
LOOKS = {"light": "False", "dark": "True"}


class PageTemplate:
    """Renders every page that NiceGUI answers with."""

    def __init__(self, folder: Path, files: PageFiles) -> None:
        self._files = files
        self._template = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined
        ).get_template(TEMPLATE)

    def TemplateResponse(
        self,
        *,
        request: Request,
        name: str,
        context: Mapping[str, Any],
        status_code: int,
        headers: Mapping[str, str],
    ) -> HTMLResponse:
        """Return the page of the client that the context names."""
        client_id = context["socket_io_js_query_params"]["client_id"]
        chosen = getattr(request.state, "preferences", None)
        look = (chosen and chosen.look) or request.cookies.get(LOOK_COOKIE, "")
        imports = json.loads(context["imports"]) | {"vue": self._files.address(VUE)}
        html = self._template.render(
            {
                **context,
                "content": _content_of(client_id),
                # the person's, which no cookie keeps: the next one here has another
                "chosen": None if chosen is None else chosen.look or "",
                "dark": LOOKS.get(look, "None"),
                "head_html": self._files.with_versions(context["head_html"]),
                "imports": json.dumps(imports),
                "look": look if look in LOOKS else "",
                # the first of them is NiceGUI's own address of Vue
                "modules": context["js_imports_urls"][1:],
                "script": self._files.address(SCRIPT),
                "zone": (chosen.time_zone if chosen else None) or "",
                "style": self._files.address(STYLE),
                "vue": self._files.address(VUE),
            }
        )
        return HTMLResponse(html, status_code, headers)


def _content_of(client_id: str) -> str:
    try:
        return first_content(Client.instances[client_id])
    except Exception as error:
        # the page is drawn all the same, once its scripts have come
        log.error("first_content_failed", exc_info=error)
        return ""


def render_pages(folder: Path, files: PageFiles) -> None:
    """Put the patch in; safe to call twice."""
    setattr(client, "templates", PageTemplate(folder, files))  # noqa: B010 (not our name for it)
