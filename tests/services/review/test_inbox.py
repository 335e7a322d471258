"""The inbox: what waits for a person, over all projects, one item for each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import thread_time
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from app.domain.review.inbox import Group, Item, ItemKind, counts_of
from app.domain.words import Cause
from app.records.feed import ProjectChanged
from app.records.tables import ChangeRequest, Project, Run
from app.services.projects.alerts import Alert
from app.services.review.items import of_alert
from tests.drivers.planes import COMMIT
from tests.fakes.planes import TwinPlane
from tests.fakes.world import no_sandbox


def items(twin: TwinPlane) -> list[Item]:
    """Return the items of the inbox as they are now."""
    return list(twin.services.inbox.all())


def kinds(twin: TwinPlane) -> list[ItemKind]:
    """Return the kinds of the items, in their order."""
    return [one.kind for one in items(twin)]


def died(twin: TwinPlane, project: Project, cause: Cause, because: str) -> Run:
    """Return a run whose work is kept and that ended with this cause."""
    run = twin.finish(project, issue=twin.add_issue(project).number)
    twin.ledgers.runs.update_fields(run.id, project.id, parked=True, cause=cause, because=because)
    return run


def test_a_delivered_run_waits_for_a_review_with_its_facts(twin: TwinPlane) -> None:
    project = twin.add_project(name="shop")
    issue = twin.add_issue(project)
    run = twin.finish(project, issue=issue.number)
    twin.ledgers.runs.update_fields(run.id, project.id, cost_usd=0.38)
    [item] = items(twin)
    assert (item.kind, item.group, item.action) == (ItemKind.CHANGE, Group.REVIEW, "Merge")
    assert (item.id, item.url) == (f"change:{project.id}:2", f"/projects/{project.id}/changes/2")
    assert (item.title, item.run_id, item.change, item.issue) == (issue.title, run.id, 2, 1)
    assert item.facts is not None
    assert (item.facts.branch, item.facts.base, item.facts.agent) == ("afk/1", "main", "script")
    assert item.facts.cost_usd == pytest.approx(0.38)
    assert item.sentence == "1 file, +1 −0"


def test_a_cost_that_a_run_did_not_report_is_counted_as_unknown(twin: TwinPlane) -> None:
    project = twin.add_project()
    issue = twin.add_issue(project)
    run = twin.finish(project, issue=issue.number)
    change = items(twin)[0].change
    twin.ledgers.runs.update_fields(run.id, project.id, cost_usd=0.38)
    again = twin.finish(project, issue=twin.add_issue(project).number)
    twin.ledgers.runs.update_fields(
        again.id, project.id, work_branch=run.work_branch, pr_number=change
    )
    facts = next(one.facts for one in items(twin) if one.change == change)
    assert facts is not None
    assert (facts.cost_usd, facts.cost_unknown) == (pytest.approx(0.38), 1)


def test_a_merged_or_closed_change_leaves_the_reviews_at_once(twin: TwinPlane) -> None:
    project = twin.add_project()
    for _ in range(2):
        twin.finish(project, issue=twin.add_issue(project).number)
    merged, closed = (item.change for item in items(twin))
    assert merged is not None
    assert closed is not None
    twin.services.changes.merge(project.id, merged, twin.clock())
    assert [item.change for item in items(twin)] == [closed]
    twin.services.changes.close(project.id, closed, twin.clock())
    # the work of a closed change is kept
    assert kinds(twin) == [ItemKind.PARKED]


@pytest.mark.parametrize(
    ("cause", "kind", "group"),
    [
        (Cause.PUSH_REFUSED, ItemKind.PUSH_REFUSED, Group.ATTENTION),
        (Cause.FILE_TOO_LARGE, ItemKind.PUSH_REFUSED, Group.ATTENTION),
        (Cause.SECRET_FOUND, ItemKind.SECRET_FOUND, Group.ATTENTION),
        (Cause.CHECKS_FAILED, ItemKind.CHECKS_FAILED, Group.ATTENTION),
        (Cause.EXIT_CODE, ItemKind.PARKED, Group.PARKED),
    ],
)
def test_kept_work_needs_attention_by_what_ended_its_run(
    twin: TwinPlane, cause: Cause, kind: ItemKind, group: Group
) -> None:
    project = twin.add_project(name="shop")
    run = died(twin, project, cause, "develop is protected")
    twin.services.changes.close(project.id, 2, twin.clock())
    twin.ledgers.runs.update_fields(run.id, project.id, delivery=None)
    [item] = items(twin)
    assert (item.kind, item.group, item.run_id) == (kind, group, run.id)
    assert item.sentence == "develop is protected"


def test_a_paused_project_needs_attention_until_it_is_reset(twin: TwinPlane) -> None:
    project = twin.add_project(name="ledger")
    twin.ledgers.projects.change(project.id, strikes=3)
    twin.add_issue(project)
    [item] = items(twin)
    assert (item.kind, item.action) == (ItemKind.PAUSED, "Reset")
    assert item.title == "ledger is paused: 3 failures in a row"
    assert item.sentence == "Auto runs wait. 1 issue is ready."


def test_what_concerns_a_project_names_the_project(twin: TwinPlane) -> None:
    project = twin.add_project(name="legacy")
    since = twin.clock() - timedelta(hours=2)
    twin.ledgers.projects.change(
        project.id,
        unreachable=True,
        origin_because="There is no repository at /srv/legacy.",
        origin_since=since,
        checks_error="Check “tests” could not be started: make: not found",
    )
    checks, origin = items(twin)
    assert (checks.kind, checks.title) == (ItemKind.CHECKS_ERROR, "legacy cannot run its checks")
    assert (origin.kind, origin.at) == (ItemKind.REPOSITORY_UNREACHABLE, since)
    assert origin.sentence == "There is no repository at /srv/legacy."


def test_an_archived_project_asks_for_nobody(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.finish(project, issue=twin.add_issue(project).number)
    twin.services.projects.archive(project.id, twin.clock())
    assert items(twin) == []


def test_groups_come_in_order_and_the_newest_first_in_each(twin: TwinPlane) -> None:
    project, other = twin.add_project(name="one"), twin.add_project(name="two")
    for at in (project, other, project):
        twin.clock.advance(60)
        twin.finish(at, issue=twin.add_issue(at).number)
    twin.ledgers.projects.change(other.id, strikes=3)
    found = items(twin)
    assert [one.group for one in found] == [Group.ATTENTION, *[Group.REVIEW] * 3]
    assert [one.project_id for one in found[1:]] == [project.id, other.id, project.id]
    assert counts_of(found) == {Group.ATTENTION: 1, Group.REVIEW: 3, Group.PARKED: 0}


def test_a_change_that_conflicts_says_so(twin: TwinPlane) -> None:
    project = twin.add_project()
    changes = [twin.finish(project, issue=twin.add_issue(project).number) for _ in range(2)]
    twin.world.clashes[changes[1].head_sha or ""] = ("src/a.py", "src/b.py")
    assert "Conflicts" not in items(twin)[0].sentence
    twin.services.changes.merge(project.id, 2, twin.clock())
    twin.rest()
    [item] = items(twin)
    assert item.sentence == "1 file, +1 −0 · Conflicts"
    assert item.facts is not None
    assert item.facts.conflicts == ("src/a.py", "src/b.py")


def test_five_hundred_open_changes_cost_little_more_than_their_rows_and_no_call_to_git(
    twin: TwinPlane,
) -> None:
    project = twin.add_project()
    run = twin.finish(project, issue=twin.add_issue(project).number)
    like = twin.services.changes.all(project.id)[0].model_dump()
    with twin.stores.control.transaction() as tx:
        for number in range(10, 510):
            own = {"number": number, "run_id": f"run_{number}", "branch": f"afk/{number}"}
            seen: dict[str, Any] = like | own | {"conflicts_seen": ["src/a.py"]}
            tx.add(ChangeRequest(**seen))
    twin.world.is_silent = True
    # of this thread alone, because a busy machine is no slower inbox; in turns, because its
    # processor may become slower
    took: list[float] = []
    rows: list[float] = []
    found: list[Item] = []
    for _ in range(5):
        began = thread_time()
        with twin.stores.control.reading() as session:
            assert len(session.exec(select(ChangeRequest)).all()) == 501
        rows.append(thread_time() - began)
        twin.feed.publish([ProjectChanged(project.id)])
        began = thread_time()
        found = items(twin)
        took.append(thread_time() - began)
    twin.world.is_silent = False
    assert sum("Conflicts" in one.sentence for one in found) == 500
    assert run.id in {one.run_id for one in found}
    assert min(took) < 6 * min(rows), (took, rows)


def test_an_unchanged_inbox_is_not_read_again(twin: TwinPlane) -> None:
    project = twin.add_project(COMMIT)
    twin.finish(project, issue=twin.add_issue(project).number)
    first = items(twin)
    statements: list[str] = []

    def count(*args: object) -> None:
        statements.append(str(args[2]))

    engines = [engine for one in twin.stores.all() for engine in one.engines]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", count)
    assert items(twin) == first
    assert statements == []
    # a change is read again, and seen by the same count
    twin.add_issue(project)
    statements.clear()
    items(twin)
    assert statements != []
    for engine in engines:
        event.remove(engine, "before_cursor_execute", count)


def test_a_sandbox_that_the_machine_lacks_is_told_before_any_run(
    twin: TwinPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = twin.add_project(name="shop", sandbox="contained")
    bare = twin.add_project(name="bare", sandbox="none")
    assert kinds(twin) == []
    monkeypatch.setattr(twin.services.projects.sandboxes, "_sandbox", no_sandbox())
    twin.services.feed.publish([ProjectChanged(project.id)])
    [item] = items(twin)
    assert (item.kind, item.action) == (ItemKind.SANDBOX_UNAVAILABLE, "Set up…")
    assert (item.id, item.project_id) == (f"sandbox_unavailable:{project.id}", project.id)
    assert item.title == "shop cannot start its sandbox"
    assert item.sentence == "bubblewrap is not installed. Install the package bubblewrap."
    assert item.url == f"/projects/{project.id}?do=set-up"
    [alert] = twin.services.alerts.all()
    assert (alert.part, alert.what) == ("sandbox", f"{item.sentence} Needed by shop.")
    assert bare.name not in alert.what


def test_an_alert_stays_the_same_item_while_its_figures_change() -> None:
    found = [
        of_alert(Alert("disk", datetime(2026, 11, 23, tzinfo=UTC), f"{size} free", "/data"))
        for size in ("3 GB", "2 GB")
    ]
    assert [one.id for one in found if one] == ["disk_low:/data"] * 2
    assert [one.sentence for one in found if one] == ["3 GB free", "2 GB free"]
