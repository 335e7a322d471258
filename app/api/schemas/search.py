"""Schemas of the search over everything."""

from __future__ import annotations

from typing import Literal

from app.api.schemas.parts import Answer, Moment
from app.api.schemas.runs import RunItem


class ProjectFound(Answer):
    """A project whose name has all words."""

    id: str
    name: str


class TitleFound(Answer):
    """An issue or a change request of the built-in tracker."""

    kind: Literal["issue", "change"]
    project_id: str
    project_name: str
    number: int
    title: str
    state: Literal["open", "closed", "merged"]
    is_ready: bool
    created_at: Moment


class SearchOut(Answer):
    """Answer of a search, at most eight of each group."""

    projects: list[ProjectFound]
    titles: list[TitleFound]
    runs: list[RunItem]
