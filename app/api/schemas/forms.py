"""Fields of the plain forms; each may also have the session's `csrf` and the return path `next`."""

from __future__ import annotations

from app.api.schemas.parts import Body, KeyedBody, Number, Remark


class NothingMore(Body):
    """The content of `POST /afk/reset/{project}`."""


class StartForm(KeyedBody):
    """The content of `POST /afk/start/{project}`; without an issue the lowest is taken."""

    issue: Number | None = None


class AutoForm(Body):
    """The content of `POST /afk/auto/{project}`: `on` or `off`."""

    enabled: bool


class StopForm(Body):
    """The content of `POST /afk/stop/{run}`."""

    because: Remark | None = None
