"""Issues that forges keep: read by a duty, and shown from what was read."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from app.records.feed import FeedBroke, ForgesChanged, Numbered, ProjectNamed
from app.records.projects.forge_issue_ledger import ForgeIssueLedger
from app.records.tables import ForgeIssue, ForgeListing, Project
from app.services.concurrency import SingleFlight
from app.services.context import Context, repository_of
from app.services.ports import ForgeSilent, Issue, IssueLists, Listed, Ready
from app.services.system.issue_trust import IssueTrust
from app.services.system.ownership import Leases

log = structlog.get_logger()
# until a list is read as a whole again, whatever its changes tell
WHOLE = timedelta(hours=1)
# between two questions about changes, for each project of a forge: 600 an hour for all of them
APART = timedelta(seconds=6)
# between two notes that nothing has changed
NOTED = timedelta(minutes=5)
# lists that one round reads as a whole; the others follow in the next ones
MOST_WHOLE = 25
MOST_OPEN = 5000
# texts of one list that are looked at in one round; the others follow in later ones
MOST_JUDGED = 100
MOST_CHARS = 100_000
LARGEST_NUMBER = 2**31 - 1
# a list without changes does not tell these
_NOT_TOLD = ("dependencies", "blocked_elsewhere", "stranger")


class ForgeIssues:
    """Reads the lists of all forges' projects; only the server that sweeps asks."""

    def __init__(self, context: Context, leases: Leases) -> None:
        self.ledger = ForgeIssueLedger(context.stores)
        self._projects = context.ledgers.projects
        self._forges = context.adapters.forges
        self._workers = context.workers
        self._clock = context.clock
        self._leases = leases
        self._trust = IssueTrust(context.stores, context.adapters.forges)
        self._rounds = SingleFlight(lambda _: self.look_once(self._clock()))
        self._guard = threading.Lock()
        # when each project is asked for changes next, and those that something was heard of
        self._next: dict[str, datetime] = {}
        self._hinted: set[str] = set()
        # a mark of what each project had ready when the loop asked
        self._ready: dict[str, int] = {}
        context.feed.subscribe(self._on_change, (ProjectNamed, ForgesChanged, FeedBroke))

    def _on_change(self, told: Numbered) -> None:
        # a project is new, or a forge may answer again
        if not isinstance(told.change, ProjectNamed):
            with self._guard:
                self._next.clear()
        self.request()

    def request(self) -> None:
        """Look soon, on a worker thread."""
        self._rounds.request(self._workers)

    def hint(self, project_ids: Iterable[str]) -> None:
        """Read these projects' lists as a whole at the next look, which comes soon."""
        with self._guard:
            self._hinted.update(project_ids)
        self.request()

    def compare(self, ready: Mapping[str, Ready]) -> None:
        """Read the lists anew of projects where the loop found other ready issues than before."""
        if not ready:
            return
        told = {one: hash(found.issues) for one, found in ready.items()}
        with self._guard:
            news = [one for one, mark in told.items() if self._ready.get(one, mark) != mark]
            self._ready |= told
        if news:
            self.hint(news)

    def look_once(self, now: datetime) -> int:
        """Read every list that is due; return how many were news.

        A forge that is silent says nothing: its lists stay as they are, with the time since when.
        """
        if not self._forges.is_any() or not self._leases.may_sweep(now):
            return 0
        projects = self._due(now)
        listings = self.ledger.listings() if projects else {}
        with self._guard:
            hinted, self._hinted = self._hinted, set()
        look = _Look(now, listings, hinted)
        for project in projects:
            self._look_at(project, look)
        if look.same:
            self.ledger.note_read(look.same, now)
        for because, project_ids in look.silent.items():
            self.ledger.note_silence(project_ids, because, now)
        return look.news

    def _look_at(self, project: Project, look: _Look) -> None:
        known, now = look.listings.get(project.id), look.now
        is_hinted = project.id in look.hinted
        is_whole = is_hinted or _is_whole_due(known, now)
        if is_whole and look.whole >= MOST_WHOLE:
            self._put_off(project.id, now, is_hinted=is_hinted)
            return
        try:
            read = self._read(project, None if is_whole else known, now)
        except ForgeSilent as silence:
            log.info("forge_silent", project_id=project.id, because=silence)
            if is_hinted:
                self._put_off(project.id, now, is_hinted=True)
            if known is None or known.silent_since is None:
                look.silent[str(silence)].append(project.id)
            return
        except Exception:
            log.exception("issues_not_read", project_id=project.id)
            return
        look.whole += read is not None
        look.news += bool(read)
        if read is None and _is_noted_late(known, now):
            look.same.append(project.id)

    def _due(self, now: datetime) -> list[Project]:
        by_forge: dict[str, list[Project]] = defaultdict(list)
        for project in self._projects.all():
            if project.forge_id is not None and project.archived_at is None:
                by_forge[project.forge_id].append(project)
        found: list[Project] = []
        with self._guard:
            for projects in by_forge.values():
                for project in projects:
                    if project.id in self._hinted or self._next.get(project.id, now) <= now:
                        self._next[project.id] = now + APART * len(projects)
                        found.append(project)
        return found

    def _put_off(self, project_id: str, now: datetime, *, is_hinted: bool) -> None:
        with self._guard:
            self._next[project_id] = now
            if is_hinted:
                self._hinted.add(project_id)

    def _read(self, project: Project, known: ForgeListing | None, now: datetime) -> bool | None:
        """Read a list; return whether it is news, None if the forge says that nothing changed.

        Without `known` it is read as a whole. Raises ForgeSilent.
        """
        lists = self._forges.lists_of(project)
        if lists is None:
            return None
        repo = repository_of(project)
        if known is not None and known.newest_at is not None:
            changed = _rows_of(project, lists.changed_since(repo, known.newest_at), now)
            if not self.ledger.differs(project.id, changed, _NOT_TOLD):
                return None
        return self._read_whole(project, lists, now)

    def _read_whole(self, project: Project, lists: IssueLists, now: datetime) -> bool:
        listing = self.ledger.listings().get(project.id)
        since = listing.newest_at if listing is not None and listing.whole_at else None
        found = lists.listing(repository_of(project), since)
        is_news = self.ledger.keep_whole(project.id, _kept(project, found, now), now)
        try:
            # the sooner after the label, the surer it is what a person saw
            self._trust.judged(project, found.open, most=MOST_JUDGED)
        except ForgeSilent as silence:
            log.info("issues_not_judged", project_id=project.id, because=silence)
            if not silence.needs_attention:
                self._put_off(project.id, now, is_hinted=True)
        except Exception:
            log.exception("issues_not_judged", project_id=project.id)
        return is_news


@dataclass
class _Look:
    """One round: what was known before, and what it has found so far."""

    now: datetime
    listings: Mapping[str, ForgeListing]
    hinted: Collection[str]
    news: int = 0
    whole: int = 0
    same: list[str] = field(default_factory=list[str])
    silent: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def _kept(project: Project, found: Listed, now: datetime) -> list[ForgeIssue]:
    opened = _rows_of(project, found.open, now)
    if len(opened) > MOST_OPEN:
        log.warning("issues_left_out", project_id=project.id, found=len(opened), kept=MOST_OPEN)
        opened = opened[-MOST_OPEN:]
    known = {one.number for one in opened}
    closed = [one for one in _rows_of(project, found.closed, now) if one.number not in known]
    return opened + closed


def _rows_of(project: Project, issues: Iterable[Issue], now: datetime) -> list[ForgeIssue]:
    return [
        ForgeIssue(
            project_id=project.id,
            number=one.number,
            title=one.title[:1000],
            body=one.body[:MOST_CHARS],
            labels=[label[:200] for label in one.labels],
            state=one.state,
            priority=one.priority,
            url=one.url and one.url[:2000],
            assignees=[name[:200] for name in one.assignees],
            milestone=one.milestone[:300],
            dependencies=list(one.dependencies),
            blocked_elsewhere=[name[:300] for name in one.blocked_elsewhere],
            stranger=one.stranger[:200],
            created_at=one.created_at or now,
            updated_at=one.updated_at or one.created_at or now,
            closed_at=one.closed_at if one.state == "closed" else None,
        )
        for one in issues
        if 0 < one.number <= LARGEST_NUMBER
    ]


def _is_whole_due(known: ForgeListing | None, now: datetime) -> bool:
    return known is None or known.whole_at is None or now - known.whole_at >= WHOLE


def _is_noted_late(known: ForgeListing | None, now: datetime) -> bool:
    if known is None or known.silent_since is not None:
        return True
    return known.read_at is None or now - known.read_at >= NOTED
