"""Live events: changes as API models, built from the rows of many changes read together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, singledispatch
from typing import Any

import structlog
from pydantic import BaseModel

from app.api.views import event_out, masked, named_run_out, project_out, report_out
from app.domain.review.inbox import Item, counts_of, mark_of
from app.domain.secret_masks import SecretMask
from app.errors import NotFound
from app.services.container import Services
from app.services.people.visitor import Visitor
from app.services.rows import (
    BulkChanged,
    Change,
    DevicesChanged,
    FeedBroke,
    FindingsChanged,
    ItemsRead,
    LogGrew,
    Numbered,
    ProjectChanged,
    QuotaChanged,
    Run,
    RunChanged,
    RunEventAppended,
    RunReported,
    StoresChanged,
    StuckChanged,
    SubscriptionsChanged,
)

log = structlog.get_logger()
# an organisation and a project, None where there is none to respect
Place = tuple[str | None, str | None]
NO_PLACE: Place = (None, None)
# changes may have been missed: subscribers must fetch a snapshot
FEED_BROKE = "feed.broke"
# the kinds that `GET /events` streams; the feed remembers their changes
INBOX_CHANGED = "inbox.changed"
# for pages only: items came, went or wait anew, whatever their counts are
INBOX_ITEMS = "inbox.items"
STREAMED = frozenset({"run.changed", "project.changed", "quota.changed", INBOX_CHANGED})
STREAMED_CHANGES = (RunChanged, ProjectChanged, QuotaChanged)


@dataclass(frozen=True)
class LiveEvent:
    """One change: its kind, its model or members, and the number in the feed to resume after.

    `organisation_id` and `project_id` limit who gets it; None for everybody.
    """

    number: int
    kind: str
    data: Any
    run_id: str | None = None
    organisation_id: str | None = None
    project_id: str | None = None

    def is_for(self, visitor: Visitor) -> bool:
        """Return True if this person may get it."""
        if self.organisation_id not in (None, visitor.organisation_id):
            return False
        limits = visitor.projects
        return limits is None or self.kind == FEED_BROKE or self.project_id in limits

    @cached_property
    def json(self) -> str:
        """The data as JSON, written once for all event streams."""
        return json_of(self.data)


def inbox_event(
    items: Sequence[Item], number: int, organisation_id: str | None = None
) -> LiveEvent:
    """Announce that the inbox changed, with its counts by group."""
    counts = {"counts": counts_of(items)}
    return LiveEvent(number, INBOX_CHANGED, counts, organisation_id=organisation_id)


def items_event(
    items: Sequence[Item], number: int, organisation_id: str | None = None
) -> LiveEvent:
    """Announce that other items wait in the inbox than before, or that some wait anew."""
    mark = {"mark": mark_of(items)}
    return LiveEvent(number, INBOX_ITEMS, mark, organisation_id=organisation_id)


def json_of(data: Any) -> str:
    """Return a model or its members as JSON."""
    return data.model_dump_json() if isinstance(data, BaseModel) else json.dumps(data)


def build_events(changes: Sequence[Numbered], services: Services) -> list[LiveEvent]:
    """Return the events for different changes, from the current rows, which are read together."""
    rows = _Rows([one.change for one in changes], services)
    events: list[LiveEvent] = []
    for one in changes:
        try:
            event = _event_of(one.change, one.number, rows)
        except Exception:
            # one failing event must not block the others
            log.exception("change_not_sent", change=one.change)
        else:
            events += [_addressed(event, rows.place(one.change))] if event is not None else []
    return events


def _addressed(event: LiveEvent, place: Place) -> LiveEvent:
    # nearly all servers have one organisation, and no token that is limited to projects
    if place == NO_PLACE:
        return event
    return replace(event, organisation_id=place[0], project_id=place[1])


class _Rows:
    """The runs that some changes are about, read with one statement per store."""

    def __init__(self, changes: Sequence[Change], services: Services) -> None:
        self.services = services
        self._changes = changes

    @cached_property
    def mask(self) -> SecretMask:
        return self.services.secrets.mask()

    def place(self, change: Change) -> Place:
        """Return the organisation and the project that a change belongs to."""
        directory = self.services.directory
        match change:
            case RunChanged() | ProjectChanged():
                project_id = change.project_id
            case RunEventAppended() | LogGrew() | RunReported():
                if directory.is_alone:
                    # only pages get these, and pages are limited by no project
                    return NO_PLACE
                project_id = self.services.listing.project_of(change.run_id) or ""
            case QuotaChanged(person_id=""):
                return NO_PLACE  # the counters, or a role's limit: it names nobody
            case QuotaChanged() | SubscriptionsChanged() | ItemsRead():
                is_known = directory.is_alone
                return NO_PLACE if is_known else (directory.of_person(change.person_id) or "", None)
            case BulkChanged():
                return NO_PLACE if directory.is_alone else ("", None)
            case _:
                return NO_PLACE
        organisation_id = None if directory.is_alone else directory.of_project(project_id) or ""
        return organisation_id, project_id

    def run(self, run_id: str) -> Run | None:
        if self._runs is None:
            return self.services.listing.find_or_none(run_id)
        return self._runs.get(run_id)

    @cached_property
    def _runs(self) -> dict[str, Run] | None:
        asked = (RunChanged, RunReported)
        ids = {one.run_id for one in self._changes if isinstance(one, asked)}
        try:
            return self.services.listing.find_all(ids)
        except Exception:
            # a row that cannot be read must not hide the others: each is then read by itself
            return None


@singledispatch
def _event_of(change: Change, number: int, rows: _Rows) -> LiveEvent | None:
    """Return the event of a change, by its type; None for one that no page shows.

    Texts are masked here, because pages get them without passing the API's masking middleware.
    """
    return None


@_event_of.register
def run_changed(change: RunChanged, number: int, rows: _Rows) -> LiveEvent | None:
    """Describe a run by its current row."""
    run = rows.run(change.run_id)
    if run is None:
        return None
    out = named_run_out(rows.services, run)
    return LiveEvent(number, "run.changed", masked(out, rows.mask), run.id)


@_event_of.register
def run_event_appended(change: RunEventAppended, number: int, rows: _Rows) -> LiveEvent | None:
    """Describe a run's new timeline event."""
    lines = [change.event] if change.event else []
    # one that another server appended is read
    lines = lines or rows.services.listing.timeline(change.run_id, after=change.event_id - 1)[:1]
    if not lines:
        return None
    data = {"run_id": change.run_id, "event": masked(event_out(lines[0]), rows.mask)}
    return LiveEvent(number, "run.event", data, change.run_id)


@_event_of.register
def run_reported(change: RunReported, number: int, rows: _Rows) -> LiveEvent | None:
    """Describe what a run's agent has reported so far."""
    run = rows.run(change.run_id)
    if run is None:
        return None
    report = masked(report_out(rows.services, run), rows.mask)
    return LiveEvent(number, "run.report", {"run_id": run.id, "report": report}, run.id)


@_event_of.register
def log_grew(change: LogGrew, number: int, rows: _Rows) -> LiveEvent:
    """Name the run whose log grew."""
    return LiveEvent(number, "run.log", {"run_id": change.run_id}, change.run_id)


@_event_of.register
def project_changed(change: ProjectChanged, number: int, rows: _Rows) -> LiveEvent | None:
    """Describe a project by its current rows."""
    try:
        view = rows.services.overview.of(change.project_id)
        out = project_out(view, rows.mask)
    except NotFound:
        return None
    return LiveEvent(number, "project.changed", out)


@_event_of.register
def bulk_changed(change: BulkChanged, number: int, rows: _Rows) -> LiveEvent:
    """Name the bulk action that changed."""
    return LiveEvent(number, "bulk.changed", {"bulk_id": change.bulk_id})


@_event_of.register
def quota_changed(change: QuotaChanged, number: int, rows: _Rows) -> LiveEvent:
    """Name the person whose quota changed."""
    return LiveEvent(number, "quota.changed", {"person_id": change.person_id})


@_event_of.register
def stores_changed(change: StoresChanged, number: int, rows: _Rows) -> LiveEvent:
    """Say why nothing can be written, or None once it can."""
    return LiveEvent(number, "stores.changed", {"trouble": change.trouble or None})


@_event_of.register
def findings_changed(change: FindingsChanged, number: int, rows: _Rows) -> LiveEvent:
    """Announce that doctor's findings changed."""
    return LiveEvent(number, "doctor.changed", {})


@_event_of.register
def stuck_changed(change: StuckChanged, number: int, rows: _Rows) -> LiveEvent:
    """Announce that the quarantine changed."""
    return LiveEvent(number, "quarantine.changed", {})


@_event_of.register
def subscriptions_changed(change: SubscriptionsChanged, number: int, rows: _Rows) -> LiveEvent:
    """Name the person who chose other notifications."""
    return LiveEvent(number, "subscriptions.changed", {"person_id": change.person_id})


@_event_of.register
def devices_changed(change: DevicesChanged, number: int, rows: _Rows) -> LiveEvent:
    """Name the person whose devices changed."""
    return LiveEvent(number, "devices.changed", {"person_id": change.person_id})


@_event_of.register
def items_read(change: ItemsRead, number: int, rows: _Rows) -> LiveEvent:
    """Name the person who read something, and the item if it was one."""
    data = {"person_id": change.person_id, "item_id": change.item_id or None}
    return LiveEvent(number, "inbox.read", data)


@_event_of.register
def feed_broke(change: FeedBroke, number: int, rows: _Rows) -> LiveEvent:
    """Announce that changes may have been missed."""
    return LiveEvent(number, FEED_BROKE, {})
