"""How runs are found among a million: each filter is one walk, or a few, along an index.

A walk goes from the newest entry on and keeps what passes, so a page costs what a page holds. What
no index leads to, words of a title and the beginning of a branch, is looked for among the newest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, String, Table, literal_column, or_, select

from app.domain.ids import SEEN, minted_between
from app.domain.lifecycle import DONE, LIVE, WAITING
from app.domain.words import Phase
from app.records.tables import Run

PHASES = {Phase.WAITING: WAITING, Phase.LIVE: LIVE, Phase.DONE: DONE}
RUNS: Table = Run.metadata.tables["runs"]
# among so many of the newest, of the project where one is named, titles are looked through
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
    passing = _passing(wanted, statuses, RUNS)
    if text := (wanted.text or "").strip().lstrip("…#"):
        newest = _newest(wanted.project_id)
        among = walk(newest).where(_resembles(text, newest), *_passing(wanted, statuses, newest))
        return [among, *(walk(RUNS).where(*led, *passing) for led in _led_to(text))]
    if wanted.branch:
        columns = RUNS.c.branch_name, RUNS.c.work_branch
        return [walk(RUNS).where(column == wanted.branch, *passing) for column in columns]
    if statuses is None or wanted.batch_id:
        return [walk(RUNS).where(*passing)]
    # the entries of one status are in order, those of several are not
    return [walk(RUNS).where(*_passing(wanted, [status], RUNS)) for status in statuses]


def _statuses(wanted: RunFilter) -> list[str] | None:
    """In which the runs may be; None for any."""
    if wanted.phase is None:
        return list(dict.fromkeys(wanted.statuses)) or None
    of_phase = sorted(PHASES[wanted.phase])
    return [status for status in of_phase if not wanted.statuses or status in wanted.statuses]


def _passing(wanted: RunFilter, statuses: list[str] | None, runs: FromClause) -> Conditions:
    """What is asked of every run, as a walk along these comes to it."""
    columns = runs.c
    found: Conditions = []
    if wanted.project_id:
        found.append(columns.project_id == wanted.project_id)
    if statuses is not None:
        one = len(statuses) == 1
        found.append(columns.status == statuses[0] if one else columns.status.in_(statuses))
    if wanted.trigger:
        found.append(columns.trigger == wanted.trigger)
    if wanted.branch and wanted.text:
        found.append(
            or_(columns.branch_name == wanted.branch, columns.work_branch == wanted.branch)
        )
    if wanted.batch_id:
        found.append(columns.batch_id == wanted.batch_id)
    if wanted.is_last_try:
        found.append(columns.retried_by.is_(None))
    return found


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
