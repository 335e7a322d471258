"""How runs are found among a million: each filter is one walk, or a few, along an index.

A walk goes from the newest entry on and keeps what passes, so a page costs what a page holds.
Projects, statuses and triggers lead to all of it, however they are combined. What has no index, as
words of a title, the beginning of a branch, and a branch beside other filters, is looked for among
the newest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    String,
    Table,
    func,
    literal_column,
    or_,
    select,
)

from app.domain.ids import SEEN, minted_between
from app.domain.lifecycle import DONE, LIVE, WAITING
from app.domain.words import Phase, Status
from app.records.tables import Run

PHASES = {Phase.WAITING: WAITING, Phase.LIVE: LIVE, Phase.DONE: DONE}
RUNS: Table = Run.metadata.tables["runs"]
# among so many of the newest, of the project where one is named, titles are looked through; among
# so many of a branch, and of what the other filters lead to, those that are both
LOOKED_THROUGH = 20_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MILLISECOND - 1
# in the words of its index, and what an id can end with
ENDING = "substr(runs.id, length(runs.id) - 5)"
ENDINGS = re.compile(rf"[0-9a-v_]{{{SEEN},40}}", re.ASCII)

Conditions = list[ColumnElement[bool]]
# the runs after a place and the order they come in, for the columns they are taken from
Walk = Callable[[FromClause], Select[Any, Any]]


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; empty means any."""

    project_id: str | None = None
    statuses: Sequence[str] = ()
    phase: Phase | None = None
    trigger: str | None = None
    branch: str | None = None
    text: str | None = None
    batch_id: str | None = None
    # True for those alone that no other run has repeated
    is_last_try: bool = False


def walks(wanted: RunFilter, walk: Walk) -> list[Select[Any, Any]]:
    """Statements that find ids and moments: together every run that is wanted, some twice."""
    statuses = _statuses(wanted)
    if statuses is not None and not statuses:
        return []
    if text := (wanted.text or "").strip().lstrip("…#"):
        newest = _newest(wanted.project_id)
        among = walk(newest).where(_resembles(text, newest), *_passing(wanted, statuses, newest))
        passing = _passing(wanted, statuses, RUNS)
        return [among, *(walk(RUNS).where(*led, *passing) for led in _led_to(text))]
    if wanted.batch_id:
        of_batch = RUNS.c.batch_id == wanted.batch_id
        return [walk(RUNS).where(of_batch, *_passing(wanted, statuses, RUNS))]
    led_to = _led_to_filtered(wanted, statuses)
    is_last = _of_last_tries(wanted, RUNS)
    if not wanted.branch:
        return [walk(RUNS).where(*led, *is_last) for led in led_to]
    of_branch = [[column == wanted.branch] for column in (RUNS.c.branch_name, RUNS.c.work_branch)]
    if not any(led_to):
        return [walk(RUNS).where(*led, *is_last) for led in of_branch]
    passing = _passing(wanted, statuses, RUNS)
    if len(led_to) > 1:
        led_to = [[RUNS.c.project_id == wanted.project_id]] if wanted.project_id else []
    return [walk(RUNS).where(*led, _is_among_newest(led), *passing) for led in of_branch + led_to]


def _statuses(wanted: RunFilter) -> list[str] | None:
    """In which the runs may be; None for any."""
    if wanted.phase is None:
        return list(dict.fromkeys(wanted.statuses)) or None
    of_phase = sorted(PHASES[wanted.phase])
    return [status for status in of_phase if not wanted.statuses or status in wanted.statuses]


def _led_to_filtered(wanted: RunFilter, statuses: list[str] | None) -> list[Conditions]:
    """Where indexes lead to by project, status and trigger: to all of what passes, in order."""
    runs = RUNS.c
    found: Conditions = []
    if wanted.project_id:
        found.append(runs.project_id == wanted.project_id)
    if wanted.trigger:
        found.append(runs.trigger == wanted.trigger)
        # the entries of one trigger lie by status
        statuses = statuses or [str(status) for status in Status]
    # the entries of one status are in order, those of several are not
    return [found] if statuses is None else [[*found, runs.status == one] for one in statuses]


def _passing(wanted: RunFilter, statuses: list[str] | None, runs: FromClause) -> Conditions:
    """What is asked of every run, as a walk along these comes to it; none of it leads a walk."""
    found: Conditions = []
    if wanted.project_id:
        found.append(_is_found(runs, "project_id", wanted.project_id))
    if statuses is not None:
        found.append(_is_found(runs, "status", *statuses))
    if wanted.trigger:
        found.append(_is_found(runs, "trigger", wanted.trigger))
    if wanted.branch:
        columns = ("branch_name", "work_branch")
        found.append(or_(*(_is_found(runs, name, wanted.branch) for name in columns)))
    if wanted.batch_id:
        found.append(_is_found(runs, "batch_id", wanted.batch_id))
    return found + _of_last_tries(wanted, runs)


def _of_last_tries(wanted: RunFilter, runs: FromClause) -> Conditions:
    return [runs.c.retried_by.is_(None)] if wanted.is_last_try else []


def _is_found(runs: FromClause, name: str, *values: str) -> ColumnElement[bool]:
    # in words of no index: a database takes what most columns lead to, however much that is
    column = func.coalesce(runs.c[name], "")
    return column == values[0] if len(values) == 1 else column.in_(values)


def _is_among_newest(led: Conditions) -> ColumnElement[bool]:
    """Whether a run is as new as the newest of those that are led to."""
    at, order = RUNS.c.created_at, (RUNS.c.created_at.desc(), RUNS.c.id.desc())
    newest = select(at).where(*led).order_by(*order).limit(LOOKED_THROUGH).subquery()
    return at >= select(func.min(newest.c.created_at)).scalar_subquery()


def _led_to(text: str) -> list[Conditions]:
    """Where indexes lead to by a text: a branch, an issue, the beginning or ending of an id."""
    runs, id_text = RUNS.c, text.lower()
    found: list[Conditions] = [[runs.work_branch == text]]
    if text.isascii() and text.isdigit() and len(text) < 10:
        found.append([runs.issue == int(text)])
    if ENDINGS.fullmatch(id_text):
        whole = runs.id.endswith(id_text, autoescape=True)
        ending = literal_column(ENDING, String)
        found.append([ending == id_text[-SEEN:], whole])
    if (minted := minted_between(id_text)) is not None:
        # an id begins with its run's moment, so those with one beginning lie together in time
        begin, end = (EPOCH + min(at, LAST) * MILLISECOND for at in minted)
        within = runs.created_at.between(begin - MILLISECOND, end + MILLISECOND)
        found.append([within, runs.id.startswith(id_text, autoescape=True)])
    return found


def _newest(project_id: str | None) -> FromClause:
    """The newest runs, with what is looked at of them."""
    runs = RUNS.c
    looked_at = (runs.id, runs.created_at, runs.title, runs.project_id, runs.status, runs.trigger)
    query = select(*looked_at, runs.branch_name, runs.work_branch, runs.batch_id, runs.retried_by)
    if project_id:
        query = query.where(runs.project_id == project_id)
    query = query.order_by(runs.created_at.desc(), runs.id.desc())
    return query.limit(LOOKED_THROUGH).subquery("newest")


def _resembles(text: str, runs: FromClause) -> ColumnElement[bool]:
    return or_(
        runs.c.id.endswith(text.lower(), autoescape=True),
        runs.c.work_branch.istartswith(text, autoescape=True),
        runs.c.title.icontains(text, autoescape=True),
    )
