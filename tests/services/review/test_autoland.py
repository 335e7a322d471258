"""Autoland: changes of scripted agents that land by themselves in a real repository, or do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from app.records.tables import Audit, ChangeRequest, Project
from app.services.review.reviews import NewComment
from tests.builders.repositories import run_git
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import RealPlane

ADDS = "echo one > one.txt; git add .; git commit -qm 'Add one'"
CHECK = {"name": "tests", "command": ["true"], "timeout_seconds": 60, "required": True}
ON = {"enabled": True, "max_files": 3, "max_lines": 40, "protected_paths": [".github/"]}


def changed(plane: RealPlane, script: str, checks: list[Any] | None = None, **rules: Any) -> Any:
    """Return a project with autoland and the change that an agent has made in it."""
    project = plane.add_project(script)
    settings = {"checks": [CHECK] if checks is None else checks, "autoland": ON | rules}
    plane.ledgers.projects.change(project.id, **settings)
    run = plane.see_end(plane.start_running(project, issue=plane.add_issue(project).number))
    for _ in range(9):
        if run.status not in ("running", "checking", "delivering"):
            break
        run = plane.see_end(run)
    plane.rest()
    change = plane.services.changes.all(project.id)[0]
    return project, run, change


def latest(plane: RealPlane, change: ChangeRequest) -> ChangeRequest:
    """Return a change as it is now, after everything that was under way."""
    plane.rest()
    return plane.services.changes.find(change.project_id, change.number)


def audited(plane: RealPlane) -> list[Audit]:
    """Return the audit's rows of merges without a person."""
    with plane.stores.control.reading() as session:
        return list(session.exec(select(Audit).where(Audit.deed == "autoland")).all())


def main_of(project: Project) -> list[str]:
    """Return the files at origin's base."""
    return run_git(Path(project.origin), "ls-tree", "-r", "--name-only", "main").split()


def test_a_change_that_passes_all_rules_lands_by_itself(plane: RealPlane) -> None:
    project, run, change = changed(plane, ADDS)
    words = "Landed by itself: checks passed, 1 file, 1 line."
    assert (change.state, change.autoland_note) == ("merged", words), run.because
    assert "one.txt" in main_of(project)
    (row,) = audited(plane)
    assert (row.via, row.person) == ("loop", None)
    assert row.object == f"{project.id}/changes/{change.number}"
    assert (row.after or {})["because"] == words
    told = [line.sentence for line in plane.ledgers.runs.timeline(run.id)]
    assert told.count("landed by itself: checks passed, 1 file, 1 line") == 1
    assert plane.services.autoland.land_once(project.id) == 0
    assert len(audited(plane)) == 1


@pytest.mark.parametrize(
    ("script", "because"),
    [
        ("mkdir .github; echo x > .github/ci.yml", "touches .github/ci.yml, which is protected."),
        ("mkdir .github; echo x > $'.github/a\\n\"b'", 'touches .github/a\\x0a"b, which is'),
        ("mkdir .github; echo x > .github/ä.yml", "touches .github/ä.yml, which is protected."),
        ("ln -s /etc .github", "touches .github, which is protected."),
        ("printf x > $'a\\xff'", "a file name in it is not UTF-8."),
        ("printf 'a\\0b' > a.bin", "it holds a file that is not counted in lines."),
        ("seq 41 > a.txt", "41 lines, more than 40."),
        ("touch a b c d", "4 files, more than 3."),
    ],
)
def test_what_a_person_must_see_is_left_to_a_person(
    plane: RealPlane, script: str, because: str
) -> None:
    commit = f"bash -c {quoted(script)}; git add .; git commit -qm 'Change it'"
    project, _, change = changed(plane, commit)
    assert change.state == "open"
    assert (change.autoland_note or "").startswith(f"Not landed by itself: {because}")
    assert audited(plane) == []
    assert main_of(project) == ["README.md"] or ".github" not in " ".join(main_of(project))


def quoted(script: str) -> str:
    """Return a script as one word of a shell."""
    return "'" + script.replace("'", "'\"'\"'") + "'"


@pytest.mark.parametrize("checks", [[], [CHECK | {"required": False}]])
def test_without_a_required_check_it_never_lands(plane: RealPlane, checks: list[Any]) -> None:
    _, _, change = changed(plane, ADDS, checks)
    words = "Not landed by itself: this project has no required check."
    assert (change.state, change.autoland_note) == ("open", words)


def test_where_it_is_off_nothing_is_said_and_a_later_switch_lands_it(plane: RealPlane) -> None:
    project, _, change = changed(plane, ADDS, enabled=False)
    assert (change.state, change.autoland_note) == ("open", None)
    plane.services.projects.change(project.id, autoland={"enabled": True})
    assert latest(plane, change).state == "merged"
    assert plane.services.projects.find(project.id).autoland["max_files"] == 3


def test_a_draft_comment_holds_it_until_it_is_gone(plane: RealPlane) -> None:
    project, _, change = changed(plane, ADDS, enabled=False)
    number, person = change.number, (plane.person, "Ann")
    reviews = plane.services.reviews
    reviews.comment(project.id, number, person, NewComment("Why?"), plane.clock())
    plane.services.projects.change(project.id, autoland={"enabled": True})
    held = latest(plane, change)
    words = "Not landed by itself: it has comments that are not sent yet."
    assert (held.state, held.autoland_note) == ("open", words)
    (comment,) = reviews.comments(project.id, number, plane.person)
    reviews.remove(project.id, number, plane.person, comment.row.id or 0)
    plane.services.autoland.request(project.id)
    assert latest(plane, change).state == "merged"


def test_waiting_review_comments_hold_it_until_a_run_takes_them(plane: RealPlane) -> None:
    project, _, change = changed(plane, ADDS, enabled=False)
    tracker = plane.ledgers.tracker
    tracker.update_change(project.id, change.number, reviews_waiting=2)
    plane.services.projects.change(project.id, autoland={"enabled": True})
    held = latest(plane, change)
    words = "Not landed by itself: 2 review comments wait for a person."
    assert (held.state, held.autoland_note) == ("open", words)
    tracker.update_change(project.id, change.number, reviews_waiting=0)
    plane.services.autoland.request(project.id)
    assert latest(plane, change).state == "merged"


def test_checks_that_changed_since_they_ran_do_not_count(plane: RealPlane) -> None:
    project, _, change = changed(plane, ADDS, enabled=False)
    other = [CHECK | {"command": ["false"]}]
    plane.services.projects.change(project.id, checks=other, autoland={"enabled": True})
    words = "Not landed by itself: the checks have changed since they ran."
    assert latest(plane, change).autoland_note == words


def test_a_conflict_that_only_the_merge_finds_leaves_it_to_a_person(plane: RealPlane) -> None:
    project, _, change = changed(plane, ADDS, enabled=False)
    origin = Path(project.origin)
    (origin / "one.txt").write_text("another\n")
    run_git(origin, "add", ".")
    run_git(origin, "commit", "-qm", "Add another")
    plane.ledgers.projects.change(project.id, autoland=ON)
    left = latest(plane, change)
    assert (left.state, left.landing) == ("open", None)
    assert "one.txt" in (left.autoland_note or "")
    before = run_git(Path(project.origin), "rev-parse", "main")
    assert plane.services.autoland.land_once(project.id) == 0
    assert run_git(Path(project.origin), "rev-parse", "main") == before
    assert audited(plane) == []


def test_an_origin_that_is_away_is_asked_again_later(plane: RealPlane) -> None:
    project, _, change = changed(plane, ADDS, enabled=False)
    origin, away = Path(project.origin), Path(f"{project.origin}-away")
    origin.rename(away)
    plane.ledgers.projects.change(project.id, autoland=ON)
    left = latest(plane, change)
    assert (left.state, left.landing, left.autoland_seen) == ("open", None, None)
    away.rename(origin)
    plane.clock.advance(61)
    plane.services.autoland.request(project.id)
    assert latest(plane, change).state == "merged"


@pytest.mark.parametrize("point", ["autoland.before_merge", "merge.after_push"])
def test_a_landing_that_broke_off_is_done_once(plane: RealPlane, point: str) -> None:
    project, run, change = changed(plane, ADDS, enabled=False)
    plane.ledgers.projects.change(project.id, autoland=ON)
    plane.rest()
    fail_at(point)
    try:
        plane.services.autoland.land_once(project.id)
    except Exception:
        assert latest(plane, change).state == "open"
    clear_failpoints()
    plane.services.changes.finish_once(plane.clock())
    plane.services.autoland.land_once(project.id)
    landed = latest(plane, change)
    assert landed.state == "merged"
    assert (landed.autoland_note or "").startswith("Landed by itself: ")
    assert len(audited(plane)) == 1
    told = [line.sentence for line in plane.ledgers.runs.timeline(run.id)]
    assert len([one for one in told if one.startswith("landed by itself")]) == 1


def test_a_change_that_takes_a_landing_back_waits_for_a_person(plane: RealPlane) -> None:
    project, _, change = changed(plane, ADDS)
    assert change.state == "merged"
    revert = plane.services.reverts.undo(project.id, change.number, plane.clock()).change
    words = "Not landed by itself: no run of an agent opened it."
    left = latest(plane, revert)
    assert (left.state, left.autoland_note) == ("open", words)
    assert "one.txt" in main_of(project)
