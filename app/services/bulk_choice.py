"""Which runs an order for many is about, as they are when it is given."""

from __future__ import annotations

from dataclasses import replace

from app.domain.batches import BulkAction
from app.domain.lifecycle import DONE, WAITING
from app.domain.words import Status
from app.errors import Invalid
from app.records.routing import Stores
from app.records.run_pages import list_runs
from app.records.run_walks import RunFilter

MAX_RUNS = 10_000
AT_ONCE = 500
NOT_ALL = "Among more than {:,} runs these cannot all be found: name a project or a time, too."
CAN_BE = {
    BulkAction.STOP: sorted(set(Status) - DONE),
    BulkAction.RETRY: sorted(DONE - {Status.SUCCEEDED}),
}


def runs_meant(stores: Stores, action: BulkAction, wanted: RunFilter) -> list[str]:
    """The ids of the runs that it can be done to, in the order in which it is. Raises Invalid."""
    # an empty list of states would mean any
    if not (statuses := [one for one in CAN_BE[action] if one in (wanted.statuses or Status)]):
        return []
    meant = replace(wanted, statuses=statuses, is_last_try=action is BulkAction.RETRY)
    # of thousands of rows nothing is kept but what is asked of them
    found: list[tuple[str, bool]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = list_runs(stores, meant, limit=AT_ONCE, cursor=cursor)
        if page.looked_among is not None:
            # what nobody looked at might be meant, too
            raise Invalid.field("filter", NOT_ALL.format(page.looked_among))
        found += [(run.id, run.status in WAITING) for run in page.items]
        if len(found) > MAX_RUNS:
            raise Invalid.field("filter", f"More than {MAX_RUNS} runs: narrow the filter.")
        cursor = page.next_cursor
    if action is BulkAction.RETRY:
        return [run_id for run_id, _ in reversed(found)]
    # what works is stopped first, then what came last, before it begins
    return [run_id for run_id, _ in sorted(found, key=lambda one: one[1])]
