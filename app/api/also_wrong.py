"""Finding what else is wrong with a body whose shape is refused, to say it all in one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.errors import Refusal
from app.services.plane import Services

Look = Callable[[str, str, Mapping[str, Any], Mapping[str, Any]], list[dict[str, str]]]


def finder(services: Services) -> Look:
    """Looks at what is well-formed in a body, by method, route and the words in its address."""

    def look(
        method: str, route: str, path: Mapping[str, Any], fit: Mapping[str, Any]
    ) -> list[dict[str, str]]:
        try:
            wrong = _wrong(services, f"{method} {route}", path, fit)
        except Refusal:
            # whoever may not see the project, or cannot ask its origin, learns of the shape alone
            return []
        return [{"field": name, "message": sentence} for name, sentence in wrong.items()]

    return look


def _wrong(
    services: Services, call: str, path: Mapping[str, Any], fit: Mapping[str, Any]
) -> dict[str, str]:
    match call:
        case "POST /runs":
            project_id, words = fit.get("project_id"), _words(fit)
            if not isinstance(project_id, str):
                return {}
            return services.trigger.wrong(
                project_id, words.get("agent"), words.get("target_framework"), words.get("branch")
            )
        case "POST /projects":
            return services.projects.wrong(None, _words(fit))
        case "PATCH /projects/{project_id}":
            project = services.projects.find(str(path["project_id"]))
            return services.projects.wrong(project, _words(fit))
        case _:
            return {}


def _words(fit: Mapping[str, Any]) -> dict[str, str]:
    """Those of its members that are text, as the schemas read it."""
    return {name: value.strip() for name, value in fit.items() if isinstance(value, str)}
