"""The templates of projects' prompts, in the control store."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, func, select, update
from sqlmodel.sql.expression import SelectOfScalar

from app.records.database.database import Transaction
from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import Project, TemplateRow


class TemplateInUse(Exception):
    """The project has a template of this name."""


class TemplateLedger:
    """Templates by project and name; every change of a text is a version of its own."""

    def __init__(self, stores: Stores) -> None:
        self._control = stores.control

    def newest(self, project_id: str) -> list[TemplateRow]:
        """Return the newest version of each template that is not removed, by name."""
        with self._control.reading() as session:
            rows = session.exec(_versions(project_id)).all()
        return list({row.name: row for row in rows}.values())

    def find(self, project_id: str, name: str, version: int | None = None) -> TemplateRow | None:
        """Return a version of a template, the newest one without `version`, or None.

        A named version is found even if its template has been removed.
        """
        with self._control.reading() as session:
            if version is not None:
                return session.get(TemplateRow, (project_id, name, version))
            return _newest(session, project_id, name)

    def add(self, row: TemplateRow, *, is_default: bool) -> TemplateRow:
        """Add a template; its version follows those of a removed one. Raises TemplateInUse."""
        with self._control.transaction() as tx:
            project = _locked(tx, row.project_id)
            if _newest(tx, row.project_id, row.name) is not None:
                raise TemplateInUse(row.name)
            _write(tx, row)
            if is_default:
                project.default_template = row.name
            _record(tx, row, project)
        return row

    def change(
        self,
        project_id: str,
        name: str,
        *,
        text: str | None,
        is_default: bool | None,
        by: str,
        now: datetime,
    ) -> TemplateRow | None:
        """Add a version with another text, or only change whether it is the default.

        Returns the newest version, None if there is no such template.
        """
        with self._control.transaction() as tx:
            project = _locked(tx, project_id)
            row = _newest(tx, project_id, name)
            if row is None:
                return None
            if text is not None and text != row.text:
                row = TemplateRow(
                    project_id=project_id,
                    name=name,
                    version=row.version,
                    text=text,
                    created_by=by,
                    created_at=now,
                )
                _write(tx, row)
            if is_default is not None:
                _set_default(project, name, is_default)
            _record(tx, row, project)
        return row

    def remove(self, project_id: str, name: str, now: datetime) -> TemplateRow | None:
        """Remove a template, keeping its versions; return its newest one, None without any."""
        with self._control.transaction() as tx:
            project = _locked(tx, project_id)
            row = _newest(tx, project_id, name)
            if row is None:
                return None
            tx.exec(
                update(TemplateRow)
                .where(
                    col(TemplateRow.project_id) == project_id,
                    col(TemplateRow.name) == name,
                    # versions of an earlier template of this name keep their own moment
                    col(TemplateRow.removed_at).is_(None),
                )
                .values(removed_at=now)
            )
            _set_default(project, name, False)
            record(tx, f"{project_id}/templates/{name}", before={"version": row.version})
            tx.publish(ProjectChanged(project_id))
        return row


def _locked(tx: Transaction, project_id: str) -> Project:
    # two writers of one project take turns, so that each version is written once
    return tx.get_one(Project, project_id, with_for_update=True)


def _set_default(project: Project, name: str, wanted: bool) -> None:
    if wanted:
        project.default_template = name
    elif project.default_template == name:
        project.default_template = None


def _write(tx: Transaction, row: TemplateRow) -> None:
    """Write a row as the version after all others of its name."""
    of_name = (col(TemplateRow.project_id) == row.project_id, col(TemplateRow.name) == row.name)
    last = tx.exec(select(func.max(TemplateRow.version)).where(*of_name)).one()
    row.version = (last or 0) + 1
    tx.add(row)


def _record(tx: Transaction, row: TemplateRow, project: Project) -> None:
    told = {"version": row.version, "default": project.default_template == row.name}
    record(tx, f"{row.project_id}/templates/{row.name}", after=told)
    tx.publish(ProjectChanged(row.project_id))


def _versions(project_id: str) -> SelectOfScalar[TemplateRow]:
    return (
        select(TemplateRow)
        .where(col(TemplateRow.project_id) == project_id, col(TemplateRow.removed_at).is_(None))
        .order_by(col(TemplateRow.name), col(TemplateRow.version))
    )


def _newest(session: Session, project_id: str, name: str) -> TemplateRow | None:
    query = (
        select(TemplateRow)
        .where(
            col(TemplateRow.project_id) == project_id,
            col(TemplateRow.name) == name,
            col(TemplateRow.removed_at).is_(None),
        )
        .order_by(col(TemplateRow.version).desc())
    )
    return session.exec(query).first()
