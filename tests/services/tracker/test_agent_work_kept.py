"""Commits of agents that open their pull requests: none is lost, and nobody else's is deleted."""

from __future__ import annotations

from app.records.tables import Run
from tests.builders.parked import discard, listed
from tests.drivers.agent_openings import (
    Scene,
    deliver,
    request_to,
    scene_at_a_twin,
    start,
)

__all__ = ["scene_at_a_twin"]


def squash_by_hand(scene: Scene, number: int, run: Run) -> None:
    """Add a commit, squash it all into the base, and delete the branch, as a person does there."""
    shop = scene.shop
    shop.git.commit(shop.place, run.work_branch, "by-hand.txt", "by hand")
    shop.merge(number, style="squash")
    shop.git.run("update-ref", "-d", f"refs/heads/{run.work_branch}", at=shop.place)


def test_one_merged_with_commits_that_are_not_ours_is_the_delivery(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to(), stays=True)
    run = plane.start_running(project, task="Fix it.")
    plane.wait(lambda: shop.pulls, "the pull request")
    (number,) = shop.pulls
    squash_by_hand(scene, number, run)
    plane.clock.advance(65)
    plane.reap(run)
    run = plane.see_end(run)
    assert run.status == "succeeded", plane.lines(run)
    plane.services.pull_requests.look_once(plane.clock())
    (change,) = plane.services.changes.all(project.id)
    assert (change.number, change.state) == (number, "merged")


def test_commits_that_were_amended_after_the_push_are_kept_here(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to(), amends=True)
    run = start(scene, project)
    assert run.status == "succeeded", plane.lines(run)
    (change,) = plane.services.changes.all(project.id)
    assert change.head_sha == shop.git.tip(shop.place, run.work_branch)
    assert change.head_sha != plane.tip(run)
    (number,) = shop.pulls
    assert f"1 commit is kept here and not in pull request #{number}" in plane.lines(run)
    (kept,) = listed(plane)
    assert (kept.run_id, kept.holds) == (run.id, "1 commit")


def test_a_click_keeps_the_commits_of_a_branch_that_was_rewritten_at_the_forge(
    scene: Scene,
) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(amends=True)
    run = scene.late(start(scene, project))
    assert run.status == "died"
    # only the mirror has them by now
    plane.adapters.copies.remove(run.id)
    number = shop.open(run.work_branch, "main", "Fix it", "", "robot")
    deliver(plane, run)
    run = plane.run(run.id)
    assert run.delivery is not None
    assert run.delivery["number"] == number
    assert run.parked
    assert plane.tip(run) != run.delivery["head_sha"]


def test_what_somebody_added_to_the_request_leaves_nothing_behind_here(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to(), stays=True)
    run = plane.start_running(project, task="Fix it.")
    plane.wait(lambda: shop.pulls, "the pull request")
    head = shop.git.commit(shop.place, run.work_branch, "more.txt", "by hand")
    plane.clock.advance(65)
    plane.reap(run)
    run = plane.see_end(run)
    assert run.status == "succeeded", plane.lines(run)
    assert run.head_sha == head
    assert listed(plane) == []


def test_discard_deletes_the_branch_that_its_agent_pushed(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add()
    issue = shop.write("Fix it", "", "ready-for-agent")
    run = scene.late(plane.see_end(plane.start_running(project, issue=issue)))
    assert shop.git.tip(shop.place, run.work_branch)
    discard(plane, run)
    assert shop.git.tip(shop.place, run.work_branch) == ""
    # a rerun may push to it again
    plane.services.projects.change(project.id, agent_command=scene.command(request_to()))
    again = plane.finish(project, issue=issue)
    assert again.status == "succeeded", plane.lines(again)


def test_discard_leaves_a_branch_to_which_somebody_else_has_added(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    run = scene.late(start(scene, scene.add()))
    head = shop.git.commit(shop.place, run.work_branch, "more.txt", "by hand")
    discard(plane, run)
    assert shop.git.tip(shop.place, run.work_branch) == head


def test_commits_that_a_squashed_request_never_had_are_kept(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to(), more=True)
    run = plane.start_running(project, task="Fix it.")
    plane.wait(lambda: shop.pulls, "the pull request")
    (number,) = shop.pulls
    squash_by_hand(scene, number, run)
    run = plane.see_end(run)
    assert run.status == "succeeded", plane.lines(run)
    own = plane.tip(run)
    plane.services.pull_requests.look_once(plane.clock())
    assert plane.tip(run) == own
    assert run.parked
    told = f"kept here: its commits could not be compared with pull request #{number}"
    assert told in plane.lines(run)


def test_discard_keeps_what_somebody_added_before_it_was_taken_over(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to(), amends=True)
    run = plane.start_running(project, task="Fix it.")
    plane.wait(lambda: shop.pulls, "the pull request")
    (number,) = shop.pulls
    head = shop.git.commit(shop.place, run.work_branch, "more.txt", "by hand")
    run = plane.see_end(run)
    assert run.status == "succeeded", plane.lines(run)
    shop.close(number)
    plane.services.pull_requests.look_once(plane.clock())
    discard(plane, run)
    assert shop.git.tip(shop.place, run.work_branch) == head


def test_discard_leaves_the_branch_of_which_somebody_has_a_request_open(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    run = scene.late(start(scene, scene.add()))
    number = shop.open(run.work_branch, "main", "Look at this", "By hand.", "person")
    discard(plane, run)
    assert shop.git.tip(shop.place, run.work_branch)
    assert shop.pulls[number]["state"] == "open"
