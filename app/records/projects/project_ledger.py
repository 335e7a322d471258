"""The ledger of projects."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import case, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from app.domain.sandbox.levels import HOLDING, SandboxLevel
from app.domain.words import BUILTIN, PAUSE_THRESHOLD
from app.records.database.database import Transaction
from app.records.feed import (
    ProjectBroke,
    ProjectChanged,
    ProjectNamed,
    ProjectPaused,
)
from app.records.people.audit_ledger import (
    acting,
    acting_organisation,
    by_loop,
    current_act,
    record,
)
from app.records.projects.project_names import ProjectNames
from app.records.projects.project_reading import (
    ProjectUnreadable,
    read_all,
    read_one,
    stand_in,
)
from app.records.stores.routing import Stores
from app.records.stores.sessions import control_of, every
from app.records.tables import IssueRow, Project, Run

CONTAIN = "contain"
CHANGED_AT = "checks_changed_at"
# columns that Runyard sets, not people
_FOUND = frozenset(
    {
        *("id", "state", "state_because", "strikes", "paused_because", "known_branches"),
        *("next_number", "archived_at", "created_at", "checks_error", "suggested_checks"),
        *(CHANGED_AT, "prompt_version", "default_template", "forge_hold"),
        *("trusted_commit", "judged_commit", "trust_hold", "organisation_id"),
    }
)

# in `owner_hooks`: the hooks are not the ones that were trusted
HOOKS_CHANGED = "changed"


class NameInUse(Exception):
    """Another project has this name."""


class ProjectLedger:
    """All projects, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.names = ProjectNames(stores.control)

    def find(self, project_id: str, session: Session | None = None) -> Project | None:
        """Return the project with this id, or None; read through `session` if given.

        Raises ProjectUnreadable.
        """
        if session is not None:
            return read_one(control_of(session), project_id)
        with self.stores.control.reading() as session:
            return read_one(session, project_id)

    def find_named(self, name: str) -> Project | None:
        """Return the project with this name, archived or not, or None."""
        with self.stores.control.reading() as session:
            return session.exec(select(Project).where(Project.name == name)).first()

    def all(self) -> list[Project]:
        """Return every readable project, including archived ones, by name."""
        with self.stores.control.reading() as session:
            return read_all(session, select(Project).order_by(col(Project.name)))[0]

    def all_to_show(self, session: Session) -> list[Project]:
        """Return the same, with a stand-in for each unreadable project: for display only."""
        query, control = select(Project).order_by(col(Project.name)), control_of(session)
        good, bad = read_all(control, query)
        if not bad:
            return good
        control.rollback()  # for names as they are now; the good rows are not in it anymore
        names = self.names.of([one.project_id for one in bad], control)
        shown = [stand_in(one, names.get(one.project_id, one.project_id)) for one in bad]
        return sorted([*good, *shown], key=lambda one: one.name)

    def find_to_show(self, project_id: str, session: Session) -> Project | None:
        """Return the project with this id, or a stand-in if it is unreadable: for display only."""
        try:
            return self.find(project_id, session)
        except ProjectUnreadable as problem:
            control = control_of(session)
            control.rollback()  # or PostgreSQL refuses what follows
            names = self.names.of([project_id], control)
            return stand_in(problem, names.get(project_id, project_id))

    def is_any_unsandboxed(self) -> bool:
        """Return True if a project that is not archived runs its agents without a sandbox.

        An unknown sandbox level counts as none.
        """
        query = select(Project.id).where(
            col(Project.sandbox).not_in(HOLDING),
            col(Project.archived_at).is_(None),
        )
        with self.stores.control.reading() as session:
            return session.exec(query.limit(1)).first() is not None

    def unsandboxed_names(self) -> list[str]:
        """Return the names of projects without a sandbox, archived ones excepted, in order."""
        query = select(Project.name).where(
            col(Project.sandbox).not_in(HOLDING), col(Project.archived_at).is_(None)
        )
        with self.stores.control.reading() as session:
            return list(session.scalars(query.order_by(col(Project.name))).all())

    def swept(self) -> list[Project]:
        """Return the projects to sweep: auto runs on, not paused, not archived, with an open issue.

        Projects with an external tracker are always included: only the tracker knows its open
        issues.
        """
        open_issue = select(IssueRow.number).where(
            IssueRow.project_id == Project.id, IssueRow.state == "open"
        )
        query = select(Project).where(
            col(Project.auto_enabled).is_(True),
            col(Project.archived_at).is_(None),
            col(Project.strikes) < PAUSE_THRESHOLD,
            or_(col(Project.tracker) != BUILTIN, open_issue.exists()),
        )
        with self.stores.control.reading() as session:
            return read_all(session, query.order_by(col(Project.id)))[0]

    def insert(self, project: Project) -> None:
        """Register a project. Raises NameInUse."""
        try:
            project.organisation_id = acting_organisation()
            with self.stores.control.transaction() as tx:
                tx.add(project)
                record(tx, project.id, after=_settings_of(project.model_dump()))
                tx.publish(ProjectChanged(project.id), ProjectNamed(project.id))
        except IntegrityError as error:
            raise NameInUse(project.name) from error

    def change(self, project_id: str, **columns: Any) -> Project | None:
        """Update columns of a project; return the new row, or None. Raises NameInUse."""
        try:
            with self.stores.control.transaction() as tx:
                if _settings_of(columns):
                    told = {name: columns[name] for name in columns if name != CHANGED_AT}
                    record(tx, before=self._before(tx, project_id, told), after=told)
                changed = tx.scalars(
                    update(Project)
                    .where(col(Project.id) == project_id)
                    .values(**columns, **_counted(columns))
                    .returning(Project)
                ).one_or_none()
                tx.publish(ProjectChanged(project_id))
                if "name" in columns:
                    tx.publish(ProjectNamed(project_id))
                if changed is not None and columns.get("state") == "broken":
                    tx.record_event(ProjectBroke(project_id, changed.state_because or ""))
                return changed
        except IntegrityError as error:
            raise NameInUse(str(columns.get("name"))) from error

    def archive(self, project_id: str, now: datetime) -> Project | None:
        """Archive a project; return None if it has an open run, even one accepted just now."""
        open_run = select(Run.id).where(
            Run.project_id == project_id, col(Run.released_at).is_(None)
        )
        with self.stores.spanning(project_id, "archive") as tx:
            # accepting a run spans both stores too, so none can be accepted in between
            if any(one.exec(open_run.limit(1)).first() for one in every(tx)):
                return None
            tx.publish(ProjectChanged(project_id))
            record(tx, before={"archived": False}, after={"archived": True})
            return tx.scalars(
                update(Project)
                .where(col(Project.id) == project_id)
                .values(archived_at=now)
                .returning(Project)
            ).one_or_none()

    def contain_unchosen(self, now: datetime) -> list[str]:
        """Set projects at `none`, if no person chose that, to `contained`; return their ids."""
        unchosen = col(Project.sandbox) == SandboxLevel.NONE, col(Project.sandbox_chosen).is_(False)
        with self.stores.control.reading() as session:
            # select only the id: another column of the row may be unreadable
            ids = list(session.scalars(select(Project.id).where(*unchosen)).all())
        columns = {"sandbox": SandboxLevel.CONTAINED.value, "sandbox_notice": True}
        return [one for one in ids if self._contain(one, unchosen, columns, now)]

    def _contain(
        self, project_id: str, terms: Iterable[Any], columns: dict[str, Any], now: datetime
    ) -> bool:
        with (
            acting(by_loop(CONTAIN, uuid.uuid4().hex, now)),
            self.stores.control.transaction() as tx,
        ):
            # another server, or a person, may have changed the level first
            found = tx.scalars(
                update(Project)
                .where(col(Project.id) == project_id, *terms)
                .values(**columns, checks_error=None, checks_changed_at=now)
                .returning(col(Project.id))
            ).one_or_none()
            if found is None:
                return False
            record(tx, project_id, before={"sandbox": SandboxLevel.NONE.value}, after=columns)
            tx.publish(ProjectChanged(project_id))
            return True

    def set_origin(
        self, project_id: str, because: str | None, since: datetime | None, *, unreachable: bool
    ) -> bool:
        """Record if origin can be reached, and why not; return False if nothing changed."""
        with self.stores.control.transaction() as tx:
            row = tx.get(Project, project_id)
            if row is None or (row.origin_because, row.unreachable) == (because, unreachable):
                return False
            row.origin_because, row.origin_since = because, since
            row.unreachable = unreachable
            tx.publish(ProjectChanged(project_id))
            return True

    def set_changed_hooks(self, project_id: str, trusted: str | None) -> None:
        """Record that the hooks differ from `trusted`, unless they were trusted again since."""
        is_as_read = (col(Project.id) == project_id, col(Project.owner_hooks) == trusted)
        query = update(Project).where(*is_as_read).values(owner_hooks=HOOKS_CHANGED)
        with self.stores.control.transaction() as tx:
            if tx.scalars(query.returning(col(Project.id))).one_or_none() is not None:
                tx.publish(ProjectChanged(project_id))

    def unarchive(self, project_id: str) -> Project | None:
        """Restore an archived project, with auto runs off; return the new row, or None."""
        with self.stores.control.transaction() as tx:
            tx.publish(ProjectChanged(project_id), ProjectNamed(project_id))
            return tx.scalars(
                update(Project)
                .where(col(Project.id) == project_id)
                .values(archived_at=None, auto_enabled=False)
                .returning(Project)
            ).one_or_none()

    def switch_auto(self, tx: Transaction, project_id: str, *, enabled: bool) -> None:
        """Switch auto runs on or off."""
        self._update_fields(tx, project_id, auto_enabled=enabled)
        tx.exec(update(Project).where(col(Project.id) == project_id).values(auto_enabled=enabled))
        tx.publish(ProjectChanged(project_id))

    def clear_strikes(self, tx: Transaction, project_id: str) -> None:
        """Set the strikes to zero, which ends a pause."""
        self._update_fields(tx, project_id, strikes=0, paused_because=None)
        tx.exec(
            update(Project)
            .where(col(Project.id) == project_id)
            .values(strikes=0, paused_because=None)
        )
        tx.publish(ProjectChanged(project_id))

    def _update_fields(self, tx: Transaction, project_id: str, **columns: Any) -> None:
        """Add the old and new values of these columns to the current audit entry."""
        if (act := current_act()) is not None and not act.is_written:
            act.change(self._before(tx, project_id, columns), columns)

    @staticmethod
    def _before(tx: Transaction, project_id: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        if current_act() is None:
            return {}
        # select only these: another column of the row may be unreadable
        asked = [col(getattr(Project, name)) for name in columns]
        query = Select[*tuple[Any, ...]](*asked).where(col(Project.id) == project_id)
        found = tx.exec(query).first()
        return dict(zip(columns, found, strict=True)) if found is not None else {}

    def add_strike(self, tx: Transaction, project_id: str, because: str) -> None:
        """Count one failure; the addition is done in SQL, so that concurrent strikes all count.

        `because` becomes the reason of the pause if the project is paused now, or stays so.
        """
        counted = col(Project.strikes) + 1
        strikes = tx.scalars(
            update(Project)
            .where(col(Project.id) == project_id)
            .values(
                strikes=counted,
                paused_because=case((counted >= PAUSE_THRESHOLD, because), else_=None),
            )
            .returning(col(Project.strikes))
        ).one_or_none()
        tx.publish(ProjectChanged(project_id))
        if strikes == PAUSE_THRESHOLD:
            tx.record_event(ProjectPaused(project_id, because))


def _counted(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt_version": col(Project.prompt_version) + 1} if "prompt" in columns else {}


def _settings_of(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if name not in _FOUND}
