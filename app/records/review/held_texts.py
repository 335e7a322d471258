"""Texts of forges' issues that wait for a person, over all projects whose loops are on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from app.domain.tracker.issue_trust import doubt_of
from app.domain.words import READY_LABEL
from app.records.tables import ForgeIssue, IssueText, Project


@dataclass(frozen=True)
class HeldText:
    """An issue that starts by itself once a person has approved its text; `at` in UTC."""

    project_id: str
    number: int
    title: str
    doubt: str
    at: datetime


def held_texts(session: Session) -> list[HeldText]:
    """Return the open ready issues whose text, as it was last seen, is not to be trusted."""
    same = and_(
        col(ForgeIssue.project_id) == col(IssueText.project_id),
        col(ForgeIssue.number) == col(IssueText.number),
    )
    query = (
        select(IssueText, col(ForgeIssue.title), col(ForgeIssue.labels), col(ForgeIssue.updated_at))
        .join(ForgeIssue, same)
        .join(Project, col(Project.id) == col(IssueText.project_id))
        .where(
            col(Project.auto_enabled).is_(True),
            col(Project.archived_at).is_(None),
            ForgeIssue.state == "open",
            or_(col(IssueText.may_label).is_(False), col(IssueText.edited_by).is_not(None)),
            or_(
                col(IssueText.approved_sha256).is_(None),
                col(IssueText.approved_sha256) != col(IssueText.seen_sha256),
            ),
        )
    )
    return [
        HeldText(
            text.project_id,
            text.number,
            title,
            doubt_of(text, text.seen_sha256),
            updated_at,
        )
        for text, title, labels, updated_at in session.exec(query).all()
        if READY_LABEL in labels
    ]
