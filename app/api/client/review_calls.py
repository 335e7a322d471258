"""The calls of the inbox and the report; see `app/api/client/calls.py`."""
# stands alone: that file is full

from __future__ import annotations

from typing import TYPE_CHECKING

from app.api.client.protocol import Call

if TYPE_CHECKING:
    from app.api.schemas.inbox import InboxItem, ReportOfRuns


def inbox() -> Call[list[InboxItem]]:
    """Return everything over all projects that waits for a person."""
    return Call("GET", "/inbox", "InboxOut", takes_items=True)


def report() -> Call[ReportOfRuns]:
    """Return the sums of the runs that ended since this person's last visit."""
    return Call("GET", "/report", "ReportOfRuns")
