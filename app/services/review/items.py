"""Inbox items made from rows: titles and sentences that say what is so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from app.domain.projects.approvals import read_answers
from app.domain.review.inbox import (
    KIND_OF_CAUSE,
    ChangeFacts,
    Item,
    ItemKind,
    change_path,
    run_path,
)
from app.domain.rules import is_paused
from app.domain.tracker.ci import CiState
from app.domain.usage_limits import Stand
from app.domain.words import Cause, MergeWait, Status
from app.records.people.approval_ledger import page_of
from app.records.review.held_texts import HeldText
from app.records.review.open_changes import Work
from app.records.tables import Approval, ChangeRequest, Run, Stuck
from app.services.kept.parked import why_kept
from app.services.limits.usage_limits import HoldView
from app.services.projects.alerts import DISK, FORGE, NOTIFICATIONS, Alert
from app.services.projects.overview import ProjectView

_ALERTS = {
    NOTIFICATIONS: (ItemKind.NOTIFICATIONS_FAILING, "Notifications do not get through"),
    DISK: (ItemKind.DISK_LOW, "Low disk space"),
    FORGE: (ItemKind.REPOSITORY_UNREACHABLE, "A forge refused its token"),
}
# the dialogs that the project's page opens: where the repository is, what the sandbox lacks
_DIALOGS = {
    ItemKind.REPOSITORY_BROKEN: "locate",
    ItemKind.REPOSITORY_UNREACHABLE: "locate",
    ItemKind.SANDBOX_UNAVAILABLE: "set-up",
}
_KEPT = {
    ItemKind.PUSH_REFUSED: "push refused",
    ItemKind.SECRET_FOUND: "secret found",
    ItemKind.SANDBOX_UNAVAILABLE: "did not start",
    ItemKind.CHECKS_FAILED: "checks failed",
}


def of_project(view: ProjectView) -> Iterator[Item]:
    """Yield what a project needs a person for."""
    project = view.project
    path, name = f"/projects/{project.id}", project.name

    def item(kind: ItemKind, what: str, sentence: str, at: datetime | None) -> Item:
        since = at or _last_end(view) or project.created_at
        url = f"{path}?do={_DIALOGS[kind]}" if kind in _DIALOGS else path
        return Item(
            f"{kind}:{project.id}", kind, project.id, f"{name} {what}", sentence, since, url
        )

    if is_paused(project.strikes):
        what = f"is paused: {project.strikes} failures in a row"
        at = view.failures[0].ended_at if view.failures else None
        yield item(ItemKind.PAUSED, what, _waiting_issues(view.ready_count), at)
    if project.state == "broken":
        because = project.state_because or "Its repository could not be cloned."
        yield item(ItemKind.REPOSITORY_BROKEN, "could not be cloned", because, None)
    if project.unreachable:
        because = project.origin_because or "Its repository does not answer."
        what = "cannot reach its repository"
        yield item(ItemKind.REPOSITORY_UNREACHABLE, what, because, project.origin_since)
    if project.checks_error is not None:
        yield item(ItemKind.CHECKS_ERROR, "cannot run its checks", project.checks_error, None)
    if project.auto_enabled and project.trust_hold is not None:
        what = "has new agent configuration"
        yield item(ItemKind.APPROVAL, what, project.trust_hold, None)
    if view.sandbox_problem is not None:
        what = "cannot start its sandbox"
        yield item(ItemKind.SANDBOX_UNAVAILABLE, what, view.sandbox_problem, None)
    elif last := _without_sandbox(view):
        yield _of_run(ItemKind.SANDBOX_UNAVAILABLE, last, name)


def of_account(hold: HoldView, views: Iterable[ProjectView]) -> Item | None:
    """Return the item of an account at its usage limit, None if runs may try it by themselves."""
    row = hold.hold
    if hold.stand is not Stand.HELD:
        return None
    projects = sum(any(one.agent == row.agent for one in view.holds) for view in views)
    what = f"{row.agent} ({row.family})" if row.family else row.agent
    waiting = [_counted(hold.waiting, "run")] if hold.waiting else []
    waiting += [_counted(projects, "project")] if projects else []
    verb = "waits" if hold.waiting + projects == 1 else "wait"
    return Item(
        id=f"{ItemKind.ACCOUNT_LIMIT}:{row.agent}:{row.family}",
        kind=ItemKind.ACCOUNT_LIMIT,
        project_id=None,
        title=f"{what} reached its usage limit",
        sentence=f"{' and '.join(waiting)} {verb}." if waiting else "Nothing waits for it.",
        at=row.since,
        url="/quota",
        until=row.until,
    )


def of_alert(alert: Alert) -> Item | None:
    """Return the item of an alert, None for one that its projects show themselves."""
    if alert.part not in _ALERTS:
        return None
    kind, title = _ALERTS[alert.part]
    return Item(f"{kind}:{alert.about}", kind, None, title, alert.what, alert.since, "/settings")


def of_held_text(text: HeldText) -> Item:
    """Return the item of an issue whose text a person has to approve."""
    return Item(
        id=f"{ItemKind.APPROVAL}:{text.project_id}:{text.number}",
        kind=ItemKind.APPROVAL,
        project_id=text.project_id,
        title=text.title,
        sentence=f"#{text.number}: {text.doubt}",
        at=text.at,
        url=f"/projects/{text.project_id}/issues/{text.number}?do=approve",
        issue=text.number,
    )


def of_approvals(rows: Iterable[Approval], views: Iterable[ProjectView]) -> Iterator[Item]:
    """Yield what waits for approval in these projects."""
    needed = {view.project.id: view.project.approve_merge for view in views}
    for row in rows:
        if row.project_id in needed:
            yield of_approval(row, needed[row.project_id])


def of_approval(row: Approval, needed: int) -> Item:
    """Return the item of a start or a merge that waits for approval."""
    if row.change is not None:
        has = sum(one.approves for one in read_answers(row.answers))
        sentence = f"Change {row.change} waits for approval: {has} of {needed}."
        about = f"{row.project_id}:{row.change}"
    else:
        what = f"the run for #{row.issue}" if row.issue else "a run"
        sentence = f"The start of {what} waits for approval."
        about = row.run_id
    return Item(
        # another than that of an issue's text
        id=f"{ItemKind.APPROVAL}:{row.kind}.{about}",
        kind=ItemKind.APPROVAL,
        project_id=row.project_id,
        title=row.title,
        sentence=sentence,
        at=row.created_at,
        url=page_of(row),
        run_id=row.run_id if row.change is None else None,
        approval=row.id,
    )


def of_stuck(row: Stuck, names: Mapping[str, str]) -> Item:
    """Return the item of a row that Runyard could not work on."""
    name = names.get(row.project_id or "", "Runyard")
    path = run_path(row.run_id) if row.run_id else f"/projects/{row.project_id}"
    return Item(
        id=f"{ItemKind.QUARANTINED}:{row.key}",
        kind=ItemKind.QUARANTINED,
        project_id=row.project_id,
        title=f"{name}: one step failed {_counted(row.tries, 'time')}",
        sentence=row.because,
        at=row.held_at or row.last_at,
        url=path if row.run_id or row.project_id else "/settings",
        run_id=row.run_id,
    )


def of_kept_work(run: Run, name: str) -> Item:
    """Return the item of a branch or copy that a run left behind."""
    # a change that was closed keeps its branch, whatever its run ended with
    cause = Cause(run.cause) if run.cause and not run.delivery else None
    kind = KIND_OF_CAUSE.get(cause, ItemKind.PARKED) if cause else ItemKind.PARKED
    return _of_run(kind, run, name)


def of_change(change: ChangeRequest, work: Work | None) -> Item:
    """Return the item of an open change request."""
    facts = ChangeFacts(
        branch=change.branch,
        base=change.base,
        agent=work.agent if work else None,
        model=work.model if work else None,
        commits=change.commits,
        files_changed=change.files_changed,
        additions=change.additions,
        deletions=change.deletions,
        draft=change.draft,
        checks=work.checks if work else 0,
        red=work.red if work else 0,
        cost_usd=work.cost_usd if work else None,
        cost_unknown=work.cost_unknown if work else 0,
        conflicts=None if change.conflicts is None else tuple(change.conflicts),
        ci_failed=change.ci["state"] == CiState.FAILED,
        reviews_waiting=change.reviews_waiting,
        merge_waits=MergeWait(change.merge_waits) if change.merge_waits else None,
        merge_note=change.merge_note,
    )
    return Item(
        id=f"{ItemKind.CHANGE}:{change.project_id}:{change.number}",
        kind=ItemKind.CHANGE,
        project_id=change.project_id,
        title=change.title,
        sentence=facts.sentence,
        at=change.created_at,
        url=change_path(change.project_id, change.number),
        run_id=work.run_id if work else change.run_id,
        change=change.number,
        issue=change.closes,
        facts=facts,
    )


def _of_run(kind: ItemKind, run: Run, name: str) -> Item:
    subject = run.title if run.issue is None else f"#{run.issue}"
    title = f"{name} {subject}: {_KEPT[kind]}" if kind in _KEPT else run.title
    return Item(
        id=f"{kind}:{run.id}",
        kind=kind,
        project_id=run.project_id,
        title=title,
        sentence=why_kept(run),
        at=run.ended_at or run.created_at,
        url=run_path(run.id),
        run_id=run.id,
        issue=run.issue,
    )


def _without_sandbox(view: ProjectView) -> Run | None:
    """Return the project's newest run if it did not start for want of a sandbox."""
    last = next(iter(view.newest), None)
    if last is None or last.status != Status.NOT_STARTED:
        return None
    return last if last.cause == Cause.SANDBOX_UNAVAILABLE else None


def _last_end(view: ProjectView) -> datetime | None:
    return next((run.ended_at for run in view.newest if run.ended_at is not None), None)


def _waiting_issues(ready: int | None) -> str:
    if not ready:
        return "Auto runs wait."
    return f"Auto runs wait. {_counted(ready, 'issue')} {'is' if ready == 1 else 'are'} ready."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
