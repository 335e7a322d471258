"""The directory: the organisation of each project and person, and the reach of each visitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from app.domain.quota import Counted, SetLimits
from app.records.database.database import DatabaseSilent
from app.records.feed import Feed, FeedBroke, Numbered, PeopleChanged, ProjectNamed
from app.records.people.people_ledger import PeopleLedger, Standing
from app.records.people.reach import Reach
from app.records.tables import Organisation
from app.services.people.visitor import Visitor

# by person id and by what they count
Limits = Mapping[str, Mapping[Counted, SetLimits]]
Agents = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _Known:
    """The answers of the database: the organisation of each project and person, and names."""

    organisations: Mapping[str, str]
    projects: Mapping[str, str]
    people: Mapping[str, Standing]
    limits: Limits
    agents: Agents
    names: Mapping[str, str]
    of: Mapping[str, frozenset[str]]


class Directory:
    """Remembers which organisation has what, and names, until a project or a person changes.

    While the database is silent, what was read last holds. Raises DatabaseSilent before the first
    reading.
    """

    def __init__(self, ledger: PeopleLedger, feed: Feed) -> None:
        self._ledger = ledger
        self._lock = Lock()
        self._known: _Known | None = None
        self._is_stale = True
        # True while it is certain that there is one organisation
        self.is_alone = False
        # names for screens, by id, as of the last look
        self.names: Mapping[str, str] = {}
        self.organisation_names: Mapping[str, str] = {}
        # those of people who have any; None from a change of people to the next reading
        self.limits: Limits | None = None
        # the only agents of people who may not start any; None as above
        self.agents: Agents | None = None
        self._changes = 0
        feed.subscribe(self._on_change, (ProjectNamed, PeopleChanged, FeedBroke))

    @property
    def is_current(self) -> bool:
        """True if the next question needs no look at the database."""
        return not self._is_stale

    def load(self) -> None:
        """Read the directory if it changed. Raises DatabaseSilent before the first reading."""
        self._read()

    @property
    def is_single(self) -> bool:
        """True if there is only one organisation, so that nothing has to be kept apart."""
        return len(self._read().organisations) == 1

    def organisations(self) -> Sequence[str]:
        """Return the ids of all organisations."""
        return list(self._read().organisations)

    def name_of(self, person_id: str) -> str:
        """Return a person's name for screens, or the id if it is unknown."""
        return self._read().names.get(person_id, person_id)

    def reach_of(self, visitor: Visitor) -> Reach | None:
        """Return what this visitor's requests can see, None for everything."""
        if visitor.projects is not None:
            return Reach(visitor.organisation_id, lambda: self._chosen(visitor))
        if self.is_single:
            return None
        return Reach(visitor.organisation_id, lambda: self.projects_of(visitor.organisation_id))

    def projects_of(self, organisation_id: str) -> frozenset[str]:
        """Return the ids of an organisation's projects."""
        return self._read().of.get(organisation_id, frozenset())

    def of_project(self, project_id: str) -> str | None:
        """Return a project's organisation, None if there is no such project."""
        return self._read().projects.get(project_id)

    def of_person(self, person_id: str) -> str | None:
        """Return a person's organisation, None if there is no such person, or a disabled one."""
        standing = self._read().people.get(person_id)
        return standing and standing.organisation_id

    def read_limits(self) -> Limits:
        """Return the limits that are set for people and their roles."""
        return self._read().limits

    def read_agents(self) -> Agents:
        """Return the only agents that people may start, of those who may not start any."""
        return self._read().agents

    def knows(self, person_id: str, project_id: str) -> bool:
        """Return True if this person is not disabled and may know of this project."""
        place = self.of_person(person_id)
        return place is not None and place == self.of_project(project_id)

    def _chosen(self, visitor: Visitor) -> frozenset[str]:
        return self.projects_of(visitor.organisation_id) & (visitor.projects or frozenset())

    def _read(self) -> _Known:
        with self._lock:
            known, changes = self._known, self._changes
            if known is not None and not self._is_stale:
                return known
        try:
            fresh = self._ask()
        except DatabaseSilent:
            if known is None:
                raise
            with self._lock:
                # once the database answers again, a change is announced
                self._is_stale, self.is_alone = False, len(known.organisations) == 1
            return known
        with self._lock:
            self._known = fresh
            # a change during the read must not be hidden by the result
            self._is_stale = changes != self._changes
            self.names, self.organisation_names = fresh.names, fresh.organisations
            if not self._is_stale:
                self.limits, self.agents = fresh.limits, fresh.agents
            self.is_alone = not self._is_stale and len(fresh.organisations) == 1
        return fresh

    def _ask(self) -> _Known:
        projects, people = self._ledger.projects(), self._ledger.standings()
        of: dict[str, set[str]] = {}
        for project_id, organisation_id in projects.items():
            of.setdefault(organisation_id, set()).add(project_id)
        places = {one.id: one for one in self._ledger.organisations()}
        return _Known(
            organisations={one.id: one.name for one in places.values()},
            projects=projects,
            people=people,
            limits={
                person_id: limits
                for person_id, its in people.items()
                if (limits := _limits(its, places.get(its.organisation_id)))
            },
            agents={person_id: its.agents for person_id, its in people.items() if its.agents},
            names=self._ledger.all_names(),
            of={one: frozenset(its) for one, its in of.items()},
        )

    def _on_change(self, told: Numbered) -> None:
        with self._lock:
            if not isinstance(told.change, ProjectNamed):
                self.limits = self.agents = None
            self._changes += 1
            self._is_stale, self.is_alone = True, False


def _limits(person: Standing, place: Organisation | None) -> dict[Counted, SetLimits] | None:
    """Return a person's limits, None if neither the person nor the role has any."""
    runs, batches = (place.run_quotas, place.batch_quotas) if place else ({}, {})
    limits = {
        Counted.RUNS: SetLimits(person.run_quota, runs.get(person.role)),
        Counted.BATCHES: SetLimits(person.batch_quota, batches.get(person.role)),
    }
    return limits if any(one != SetLimits() for one in limits.values()) else None
