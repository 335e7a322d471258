"""Rows and refusals of a GitHub twin that several of its parts tell."""

from __future__ import annotations

from typing import Any

from tests.fakes.forges.github.description import filled
from tests.fakes.forges.people import Person

Made = tuple[int, Any]


def said(status: int, message: str, **more: Any) -> Made:
    """Return a refusal as GitHub words it."""
    return status, {"message": message, "documentation_url": "https://docs.github.test", **more}


def invalid(message: str = "", field: str = "", code: str = "custom") -> Made:
    """Return what GitHub says about a body that it cannot take."""
    told = {"message": message} if message else {}
    error = {"resource": "PullRequest", "code": code, **({"field": field} if field else {}), **told}
    return said(422, "Validation Failed", errors=[error])


NOT_FOUND = said(404, "Not Found")


def user(login: str) -> dict[str, Any]:
    """Return somebody as GitHub shows them."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"login": login, "id": Person(login).row()["id"], "type": kind}


def event_row(row: dict[str, Any]) -> dict[str, Any] | None:
    """Return an event of an issue; a comment is none."""
    given: dict[str, Any] = {"id": row["id"], "created_at": row["created_at"]}
    given["actor"] = user(row["user"]["login"])
    if row["type"] == "label":
        event = "labeled" if row["body"] else "unlabeled"
        given |= {"event": event, "label": {"name": row["label"]["name"], "color": "00aabb"}}
        return filled(f"{event}-issue-event", given)
    if row["type"] == "change_title":
        rename = {"from": row["old_title"], "to": row["new_title"]}
        return filled("renamed-issue-event", given | {"event": "renamed", "rename": rename})
    return None
