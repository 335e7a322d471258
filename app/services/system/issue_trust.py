"""Trust in the labelled issues of forges: an outsider's text starts nothing by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from app.domain.tracker.issue_trust import (
    Touched,
    changed_by,
    digest_of,
    doubt_as_seen,
    doubt_of,
    needs_history,
    remark_digest,
    retitled_by,
)
from app.domain.words import READY_LABEL
from app.records.projects.issue_texts import IssueTexts
from app.records.stores.routing import Stores
from app.records.tables import IssueText, Project
from app.services.context import repository_of
from app.services.ports import (
    Forges,
    ForgeSilent,
    Issue,
    IssueHistories,
    Labelled,
    Ready,
    Remark,
    Repository,
    Said,
)

log = structlog.get_logger()


@dataclass(frozen=True)
class TextToApprove:
    """An issue's text with its digest, and why a person must look at it, "" if nobody must.

    What stood there when it was labelled is None if that was changed before anybody looked.
    """

    because: str
    sha256: str
    title: str
    body: str
    title_was: str | None
    body_was: str | None
    comments: tuple[OthersComment, ...] = ()


@dataclass(frozen=True)
class OthersComment:
    """A comment by somebody without write access, and whether a person wants it in prompts."""

    sha256: str
    author: str
    body: str
    created_at: datetime
    ticked: bool


class IssueTrust:
    """Says of a forge's labelled issues whether a person must look at them first.

    A forge is asked for an issue's history once per label, and again when the issue was changed.
    """

    def __init__(self, stores: Stores, forges: Forges) -> None:
        self._texts = IssueTexts(stores)
        self._forges = forges

    def judged(
        self, project: Project, issues: Sequence[Issue], *, most: int | None = None
    ) -> list[Issue]:
        """Return the issues with what a person must look at; `most` limits the questions.

        Raises ForgeSilent.
        """
        labelled = [one for one in issues if _is_ready(one)] if project.forge_id else []
        if not labelled:
            return list(issues)
        histories = self._forges.histories_of(project)
        known = self._texts.of(project.id, [one.number for one in labelled])
        doubts: dict[int, str] = {}
        repo, writers, asked = repository_of(project), None, 0
        for issue in labelled:
            if histories is None:
                doubts[issue.number] = doubt_as_seen(None, issue.stranger)
                continue
            sha256, seen = digest_of(issue.title, issue.body), known.get(issue.number)
            is_news = seen is None or (seen.updated_at, seen.seen_sha256) != (
                issue.updated_at,
                sha256,
            )
            if is_news and asked == most:
                doubts[issue.number] = doubt_as_seen(seen, issue.stranger)
                continue
            if seen is None or is_news:
                asked += 1
                writers = histories.writers(repo) if writers is None else writers
                history = _History(histories, repo, issue, writers)
                seen = self._look(history, seen)
            doubts[issue.number] = doubt_of(seen, sha256)
        return [replace(one, doubt=doubts.get(one.number, "")) for one in issues]

    def as_seen(self, project_id: str, issues: Sequence[Issue]) -> list[Issue]:
        """Return issues with what their last look found for a person, without asking a forge."""
        known = self._texts.of(project_id, [one.number for one in issues if _is_ready(one)])
        return [
            replace(one, doubt=doubt_as_seen(known.get(one.number), one.stranger))
            if _is_ready(one)
            else one
            for one in issues
        ]

    def judged_ready(self, project: Project, ready: Ready | None) -> Ready | None:
        """Return what is ready with the issues judged, None while the forge is silent."""
        if ready is None:
            return None
        try:
            return replace(ready, issues=tuple(self.judged(project, ready.issues)))
        except ForgeSilent as silence:
            log.info("issues_not_judged", project_id=project.id, because=silence)
            return None

    def to_approve(self, project: Project, issue: Issue, said: Said) -> TextToApprove:
        """Return an issue's text, and what there is to look at. Raises ForgeSilent."""
        (judged,) = self.judged(project, [issue])
        seen = self._texts.of(project.id, [issue.number]).get(issue.number)
        return TextToApprove(
            because=judged.doubt,
            sha256=digest_of(issue.title, issue.body),
            title=issue.title,
            body=issue.body,
            title_was=seen.title if seen else None,
            body_was=seen.body if seen else None,
            comments=tuple(_comment(one, seen.ticked if seen else ()) for one in said.others),
        )

    def approve(
        self, project_id: str, number: int, text: TextToApprove, ticked: Collection[str] | None
    ) -> None:
        """Keep that a person has approved an issue's text, and the comments that it may bring."""
        said: dict[str, object] = {"approved_sha256": text.sha256} if text.because else {}
        if ticked is not None:
            said["ticked"] = sorted(ticked)
        if said:
            self._texts.approve(project_id, number, **said)

    def heard(self, project_id: str, number: int, said: Said) -> tuple[Remark, ...]:
        """Return the comments that a prompt may have: by people who may write, and ticked ones."""
        seen = self._texts.of(project_id, [number]).get(number)
        ticked = seen.ticked if seen else ()
        wanted = [one for one in said.others if remark_digest(one) in ticked]
        return tuple(sorted([*said.comments, *wanted], key=lambda one: one.created_at))

    def _look(self, history: _History, seen: IssueText | None) -> IssueText:
        label = history.labelled()
        if seen is None or seen.event != label.event or not label.event:
            looked = _first(history.issue, label, history.changed_by(label))
        else:
            looked = _again(history.issue, label, seen, history.rewritten_by(label, seen))
        looked.project_id = history.repo.project_id
        return self._texts.keep(looked)


@dataclass(frozen=True)
class _History:
    """The history of one labelled issue, as far as its forge tells it."""

    _histories: IssueHistories
    repo: Repository
    issue: Issue
    _writers: Collection[int]

    def labelled(self) -> Labelled:
        """Return who set the label."""
        return self._histories.labelled(self.repo, self.issue.number, READY_LABEL, self._writers)

    def changed_by(self, label: Labelled) -> str | None:
        """Return who may have changed the text between its label and the first look."""
        issue = self.issue
        touched = Touched(issue.stranger, label.at, issue.updated_at, label.newest_at, None)
        if issue.stranger and (
            self._histories.tells_editors
            or needs_history(issue.stranger, label.at, issue.updated_at)
        ):
            touched = replace(touched, was_changed=self._was_changed(label))
        return changed_by(touched)

    def rewritten_by(self, label: Labelled, seen: IssueText) -> str | None:
        """Return who may have changed the body since the look before."""
        issue = self.issue
        if seen.sha256 is None or issue.body == seen.body or not issue.stranger:
            return None
        # else its author counts, who could
        is_told = self._histories.tells_editors and self._was_changed(label) is False
        return None if is_told else issue.stranger

    def _was_changed(self, label: Labelled) -> bool | None:
        repo, number = self.repo, self.issue.number
        return self._histories.was_text_changed(repo, number, label.at, self._writers)


def _first(issue: Issue, label: Labelled, changed: str | None) -> IssueText:
    """Return what counts at the first look since the label: the text that stands there."""
    retitled = retitled_by(label.retitled)
    edited_by = retitled or changed
    title_was = label.retitled[0].old_title if retitled else issue.title
    return IssueText(
        project_id="",
        number=issue.number,
        event=label.event,
        labelled_by=label.by,
        # an import tells nothing, and nobody else can label
        may_label=label.may_write or not (label.event or issue.stranger),
        title=title_was,
        body=None if changed else issue.body,
        sha256=None if edited_by else digest_of(issue.title, issue.body),
        edited_by=edited_by,
        seen_sha256=digest_of(issue.title, issue.body),
        updated_at=issue.updated_at,
    )


def _again(issue: Issue, label: Labelled, seen: IssueText, rewritten_by: str | None) -> IssueText:
    """Return what counts at a later look, at an issue that was changed meanwhile."""
    sha256 = digest_of(issue.title, issue.body)
    retitled, edited_by = retitled_by(label.retitled), seen.edited_by
    if seen.sha256 is not None:
        edited_by = rewritten_by or (retitled if issue.title != seen.title else None)
    elif not issue.stranger and retitled is None:
        edited_by = None
    return IssueText(
        project_id="",
        number=issue.number,
        event=seen.event,
        labelled_by=seen.labelled_by,
        may_label=seen.may_label,
        title=issue.title if edited_by is None else seen.title,
        body=issue.body if edited_by is None else seen.body,
        sha256=sha256 if edited_by is None else seen.sha256,
        edited_by=edited_by,
        seen_sha256=sha256,
        updated_at=issue.updated_at,
    )


def _comment(said: Remark, ticked: Collection[str]) -> OthersComment:
    sha256 = remark_digest(said)
    return OthersComment(sha256, said.author, said.body, said.created_at, sha256 in ticked)


def _is_ready(issue: Issue) -> bool:
    return issue.state == "open" and READY_LABEL in issue.labels
