"""Noting the states of agent configuration that a person looked at, and the hold of the loop."""
# stands alone like the hold of checks: the ledger of projects is full

from __future__ import annotations

from sqlalchemy import update
from sqlmodel import col

from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import Project


def note_judged(
    stores: Stores, project: Project, commit: str, hold: str | None, *, is_first: bool
) -> bool:
    """Note that a commit of base was compared with what a person looked at; `hold` says why not.

    The first one counts as looked at. Nothing is noted, and False returned, if a person has looked
    or chosen another base since the project was read.
    """
    columns = {"judged_commit": commit, "trust_hold": hold}
    as_read = col(Project.trusted_commit) == project.trusted_commit
    if is_first:
        columns["trusted_commit"] = commit
        as_read = col(Project.trusted_commit).is_(None)
    with stores.control.transaction() as tx:
        theirs = col(Project.id) == project.id, col(Project.base_branch) == project.base_branch
        done = tx.exec(update(Project).where(*theirs, as_read).values(**columns))
        is_noted = bool(done.rowcount)
        if is_noted and hold != project.trust_hold:
            tx.publish(ProjectChanged(project.id))
    return is_noted


def trust_commit(stores: Stores, project: Project, commit: str) -> None:
    """Note that a person trusts a commit, and lift the hold."""
    columns = {"trusted_commit": commit, "judged_commit": commit, "trust_hold": None}
    with stores.control.transaction() as tx:
        tx.exec(update(Project).where(col(Project.id) == project.id).values(**columns))
        record(
            tx,
            project.id,
            before={"trusted_commit": project.trusted_commit},
            after={"trusted_commit": commit},
        )
        tx.publish(ProjectChanged(project.id))
