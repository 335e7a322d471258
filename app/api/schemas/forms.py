"""Pages without scripts: the fields of their forms, and the values that they show.

Each form may also have the session's `csrf` and the return path `next`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.api.schemas import ProjectOut, Provenance, RunOut
from app.api.schemas.inbox import InboxItem
from app.api.schemas.parts import Body, KeyedBody, Number, Remark


class NothingMore(Body):
    """The content of `POST /afk/reset/{project}`."""


class StartForm(KeyedBody):
    """The content of `POST /afk/start/{project}`; without an issue the first is taken."""

    issue: Number | None = None


class AutoForm(Body):
    """The content of `POST /afk/auto/{project}`: `on` or `off`."""

    enabled: bool


class StopForm(Body):
    """The content of `POST /afk/stop/{run}`."""

    because: Remark | None = None


@dataclass(frozen=True)
class PlainCard:
    """A project's card with its forms.

    `runs` are open ones and `unseen` counts those left out; `csrf` is the session's secret,
    `new_key` makes an idempotency key for each form that starts a run. `may` tells if the person
    may do a deed in the project.
    """

    project: ProjectOut
    runs: Sequence[RunOut]
    unseen: int
    csrf: str | None
    new_key: Callable[[], str]
    now: datetime
    may: Callable[[str], bool]


@dataclass(frozen=True)
class PlainInbox:
    """The items that wait for a person, with a form for what can be done without scripts.

    `may` tells if the person may do a deed in a project.
    """

    items: Sequence[InboxItem]
    projects: Sequence[ProjectOut]
    csrf: str | None
    now: datetime
    may: Callable[[str, str | None], bool]


@dataclass(frozen=True)
class PlainPage:
    """The page around parts that are already HTML; `notice` and `tone` are of the last form."""

    inbox: str
    cards: Sequence[str]
    archived: Sequence[str]
    notice: str
    tone: str
    look: str
    made: Provenance
    now: datetime
