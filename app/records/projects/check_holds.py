"""The hold of a project's loop after a check that could not be started."""
# stands alone: the ledger of projects is full, and effects of runs and services write it

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from app.domain.projects.checks import not_started_words
from app.records.database.database import Transaction
from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import record
from app.records.tables import Project


def hold_for_check(tx: Transaction, project_id: str, data: Mapping[str, Any]) -> None:
    """Hold the loop for a check that could not be started.

    `data` holds the check's `name`, `because`, when it `began`, and `checks` as the run knew them:
    where a person has changed the project's checks or sandbox since, nothing is held.
    """
    asked = col(Project.checks), col(Project.checks_changed_at)
    found = tx.exec(Select[*tuple[Any, ...]](*asked).where(col(Project.id) == project_id)).first()
    checks, changed_at = found or (None, None)
    if checks != data["checks"]:
        return
    # an effect of an earlier version does not say when its check began
    began = data.get("began")
    if began and changed_at and changed_at > datetime.fromisoformat(began):
        return
    sentence = not_started_words(str(data["name"]), str(data["because"]))
    tx.exec(update(Project).where(col(Project.id) == project_id).values(checks_error=sentence))
    tx.publish(ProjectChanged(project_id))


def lift_check_hold(tx: Transaction, project_id: str) -> bool:
    """Lift the hold; return False if there is none."""
    held = col(Project.id) == project_id, col(Project.checks_error).is_not(None)
    before = tx.exec(select(Project.checks_error).where(*held)).one_or_none()
    if before is None:
        return False
    tx.exec(update(Project).where(*held).values(checks_error=None))
    record(tx, before={"checks_error": before}, after={"checks_error": None})
    tx.publish(ProjectChanged(project_id))
    return True
