"""Rows and refusals of a GitHub twin that several of its parts tell."""

from __future__ import annotations

from typing import Any

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
