"""Issue services: claimable issues, many projects at once, and a silent tracker."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from app.errors import EditedMeanwhile, ForgeUnavailable, Invalid, Parked, ProjectArchived, Refusal
from app.records.projects.issue_queue import Beside
from app.services.ports import ForgeSilent, Ready, Repository
from app.services.runs.prechecks import Prechecks
from app.services.tracker.issues import IssueService
from tests.drivers.planes import RealPlane
from tests.fakes.planes import TwinPlane


class SilentForge:
    """A tracker that never answers."""

    def __init__(self, retry_after: int | None = None) -> None:
        self._retry_after = retry_after

    def _silent(self, *_: object, **__: object) -> Any:
        raise ForgeSilent(retry_after=self._retry_after)

    issue = issues = open_among = known_among = open_changes = delivery_of = open_change = _silent

    def ready_issues(self, repos: Collection[Repository]) -> dict[Repository, Ready | None]:
        """Return no answer for every repository."""
        return dict.fromkeys(repos)


def test_what_a_run_could_take_is_told_lowest_first(twin: TwinPlane) -> None:
    project = twin.add_project("exec sleep 60")
    for title in ("First", "Waits", "Runs", "Closed", "Last"):
        twin.add_issue(project, title, "## Blocked by\n#1 #2" if title == "Waits" else "")
    issues = twin.services.issues
    issues.change(project.id, 4, {"state": "closed"}, twin.clock())
    twin.start_running(project, issue=3)
    assert issues.claimable(project) == [1, 5]
    issues.change(project.id, 1, {"labels": []}, twin.clock())
    assert issues.claimable(project) == [5]
    issues.change(project.id, 1, {"state": "closed"}, twin.clock())
    assert issues.claimable(project) == [2, 5]


def test_the_first_in_the_queue_is_started_by_hand_and_by_the_loop(twin: TwinPlane) -> None:
    project = twin.add_project("exec sleep 60", auto_enabled=True, max_concurrency=3)
    for title in ("One", "Two", "Three", "Four"):
        twin.add_issue(project, title)
    issues = twin.services.issues
    issues.change(project.id, 3, {"priority": "high"}, twin.clock())
    issues.change(project.id, 2, {}, twin.clock(), place=Beside(1))
    assert issues.claimable(project) == [3, 2, 1, 4]
    plan = twin.services.afk.plan(project.id, twin.clock())
    assert (plan.would, plan.because) == (3, "would start #3: high priority")
    started = twin.services.afk.start(project.id, None, twin.requester(), twin.clock())
    assert started.run.issue == 3
    assert twin.services.loop.fill_once(twin.clock()) == 1
    running = [run.issue for run in twin.ledgers.runs.open_runs(project.id)]
    assert sorted(one for one in running if one) == [2, 3]


def test_many_projects_are_told_apart(twin: TwinPlane) -> None:
    busy, idle, other = (twin.add_project(name=name) for name in ("busy", "idle", "other"))
    twin.add_issue(busy, "One")
    twin.add_issue(other, "Elsewhere")
    twin.add_issue(other, "Later", "## Blocked by\n#1")
    found = twin.services.issues.claimable_of([busy, idle, other])
    assert found == {busy.id: [1], idle.id: [], other.id: [1]}
    assert twin.services.issues.claimable_of([]) == {}


def test_a_mirror_that_cannot_be_read_hides_one_project_only(plane: RealPlane) -> None:
    lost, sound = plane.add_project(name="lost"), plane.add_project(name="sound")
    for project in (lost, sound):
        plane.add_issue(project)
    plane.adapters.mirrors.remove(plane.repository(lost))
    assert plane.services.issues.claimable_of([lost, sound]) == {lost.id: None, sound.id: [1]}
    assert plane.services.issues.all(lost.id)[0].hold == "its branch could not be read"


@pytest.fixture
def half_silent(twin: TwinPlane) -> IssueService:
    """An issue service whose tracker is silent for projects named `silent`."""
    silent = SilentForge(retry_after=7)

    def forge_of(project: Any) -> Any:
        return silent if project.name == "silent" else twin.adapters.forge_of(project)

    return IssueService(twin.ledgers, replace(twin.adapters, forge_of=forge_of))


def test_of_a_silent_tracker_nothing_is_concluded_and_the_others_go_on(
    twin: TwinPlane, half_silent: IssueService
) -> None:
    silent, sound = twin.add_project(name="silent"), twin.add_project(name="sound")
    for project in (silent, sound):
        twin.add_issue(project)
    assert half_silent.claimable_of([silent, sound]) == {silent.id: None, sound.id: [1]}
    assert half_silent.claimable(silent) is None
    for ask in (lambda: half_silent.all(silent.id), lambda: half_silent.one(silent.id, 1)):
        with pytest.raises(ForgeUnavailable) as refused:
            ask()
        assert refused.value.members == {"retry_after": 7}


def test_a_run_of_an_issue_is_not_accepted_while_its_tracker_is_silent(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.add_issue(project)
    adapters = replace(
        twin.adapters,
        forge_of=lambda _: SilentForge(),  # type: ignore[arg-type, return-value]
    )
    services = twin.services
    checks = Prechecks(
        twin.ledgers.projects, adapters, services.limits, services.origins, services.directory
    )
    with pytest.raises(ForgeUnavailable):
        checks.order(project, twin.order(project, issue=1), None, twin.person)


def test_an_issue_that_names_itself_can_be_run(twin: TwinPlane) -> None:
    project = twin.add_project()
    issue = twin.add_issue(project, body="## Blocked by\n#1 #99 other/repo#1")
    assert issue.claimable
    assert twin.finish(project, issue=1).status == "succeeded"


def test_an_issue_whose_branch_a_claim_shuts_out_holds_up_no_other(twin: TwinPlane) -> None:
    project = twin.add_project()
    for title in ("Claimed", "Free"):
        twin.add_issue(project, title)
    repo, mirrors = twin.repository(project), twin.adapters.mirrors
    base = mirrors.origin_tip(repo, project.base_branch)
    assert base is not None
    mirrors.claim(repo, "afk/1/work", base)
    [claimed, _] = twin.services.issues.all(project.id)
    assert claimed.hold == "parked: afk/1/work, beside which afk/1 cannot be made"
    assert twin.services.issues.claimable(project) == [2]
    with pytest.raises(Parked) as refused:
        twin.accept(twin.order(project, issue=1))
    assert refused.value.members == {"branch": "afk/1/work"}


def test_an_issue_is_not_accepted_beside_claims_that_cannot_be_read(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.add_issue(project)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    (mirror / "HEAD").write_text("junk")
    with pytest.raises(ForgeUnavailable, match="own clone of this repository could not be read"):
        plane.accept(plane.order(project, issue=1))


def test_issues_of_another_tracker_are_not_written_here(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.add_issue(project)
    twin.ledgers.projects.change(project.id, tracker="forgejo")
    issues, now = twin.services.issues, twin.clock()
    for write in (
        lambda: issues.add(project.id, "t", "", [], now),
        lambda: issues.change(project.id, 1, {"title": "t"}, now),
        lambda: issues.comment(project.id, 1, "ann", "said", now),
        lambda: issues.comments(project.id, 1),
    ):
        with pytest.raises(Invalid, match="issues are kept elsewhere"):
            write()


def test_an_archived_project_takes_no_words(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.add_issue(project)
    twin.services.projects.archive(project.id, twin.clock())
    issues, now = twin.services.issues, twin.clock()
    refused: list[type[Refusal]] = []
    for write in (
        lambda: issues.add(project.id, "t", "", [], now),
        lambda: issues.change(project.id, 1, {"title": "t"}, now),
        lambda: issues.comment(project.id, 1, "ann", "said", now),
    ):
        with pytest.raises(Refusal) as refusal:
            write()
        refused.append(refusal.type)
    assert refused == [ProjectArchived] * 3
    assert issues.all(project.id)[0].title == "Mend it"


def test_the_blockers_of_a_new_issue_are_named_in_its_text_and_hold_it(twin: TwinPlane) -> None:
    project, issues = twin.add_project("true"), twin.services.issues
    for title in ("One", "Two"):
        twin.add_issue(project, title)
    text = "Do it.\n\nBlocked by #1"
    new = issues.add(project.id, "New", text, ["ready-for-agent"], twin.clock(), blocked_by=[2, 1])
    assert (new.body, new.blocked_by) == ("Do it.\n\nBlocked by #1, #2", [1, 2])
    assert new.hold == "blocked by #1"
    changed = issues.change(project.id, 3, {"blocked_by": [2]}, twin.clock())
    assert (changed.blocked_by, changed.hold) == ([2], "blocked by #2")
    assert issues.change(project.id, 3, {"blocked_by": []}, twin.clock()).body == "Do it."


@pytest.mark.parametrize(
    ("number", "blockers", "said"),
    [
        (1, [999], "#999 does not exist."),
        (1, [1], "An issue cannot wait for itself."),
        (1, [2], "#2 waits for #1 already, so neither would ever start."),
        (1, [3], "#3 waits for #1 through #2, so none of them would ever start."),
    ],
)
def test_a_blocker_that_would_hold_for_ever_is_refused(
    twin: TwinPlane, number: int, blockers: list[int], said: str
) -> None:
    project, issues = twin.add_project("true"), twin.services.issues
    for title, body in (("One", ""), ("Two", "Blocked by #1"), ("Three", "Blocked by #2")):
        twin.add_issue(project, title, body)
    with pytest.raises(Invalid, match=said) as refused:
        issues.change(project.id, number, {"blocked_by": blockers}, twin.clock())
    assert refused.value.members["errors"] == [{"field": "blocked_by", "message": said}]
    assert issues.one(project.id, number).blocked_by == []


def test_a_blocker_that_only_a_person_can_take_out_of_the_text_is_told(twin: TwinPlane) -> None:
    project, issues = twin.add_project("true"), twin.services.issues
    twin.add_issue(project, "One")
    twin.add_issue(project, "Two", "Blocked by #2#1")
    with pytest.raises(Invalid, match="in a way that only you can change"):
        issues.change(project.id, 2, {"blocked_by": [2]}, twin.clock())


def test_an_edit_between_reading_and_writing_the_blockers_is_not_lost(
    twin: TwinPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, issues = twin.add_project("true"), twin.services.issues
    for title in ("One", "Two"):
        twin.add_issue(project, title)
    find = issues._tracker.issue

    def find_and_be_overtaken(project_id: str, number: int) -> Any:
        row = find(project_id, number)
        issues._tracker.change_issue(project_id, number, twin.clock(), body="Theirs.")
        return row

    with monkeypatch.context() as patched:
        patched.setattr(issues._tracker, "issue", find_and_be_overtaken)
        with pytest.raises(EditedMeanwhile):
            issues.change(project.id, 2, {"blocked_by": [1]}, twin.clock())
    assert issues.one(project.id, 2).body == "Theirs."


def test_a_new_issue_with_thousands_of_blockers_in_its_text_is_written_soon(
    twin: TwinPlane,
) -> None:
    project = twin.add_project()
    body = "Blocked by " + ", ".join(f"#{one}" for one in range(1, 3001))
    begun = time.process_time()
    new = twin.services.issues.add(project.id, "New", body, [], twin.clock())
    assert time.process_time() - begun < 2
    assert (new.body, len(new.blocked_by)) == (body, 3000)


def test_a_new_issue_may_wait_for_one_whose_text_names_an_issue_that_cannot_exist(
    twin: TwinPlane,
) -> None:
    project, issues = twin.add_project(), twin.services.issues
    first = issues.add(project.id, "First", "Blocked by #0", [], twin.clock())
    new = issues.add(project.id, "New", "", [], twin.clock(), blocked_by=[first.number])
    assert new.blocked_by == [first.number]
