"""The request that counts: the right one or none, whatever agents and others do at the forge."""

from __future__ import annotations

import shlex

import pytest

from app.adapters.git import secret_scan
from app.domain.tracker.agent_requests import NONE_OPENED, SILENT_SECONDS
from app.errors import Invalid, NotDeliverable
from tests.drivers.agent_openings import (
    TOKEN,
    Scene,
    deliver,
    is_delivered,
    request_to,
    scene_at_a_twin,
    start,
)
from tests.drivers.checked_runs import check, log_of, to_the_end
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.fakes.agents.runs import shell

__all__ = ["scene_at_a_twin"]


def test_the_request_of_another_account_is_neither_adopted_nor_closed(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    shop.writers += ("person",)
    project = scene.add()
    run = start(scene, project)
    number = shop.open(run.work_branch, "main", "Look at this", "By hand.", "person")
    run = scene.late(run)
    assert (run.status, run.because) == ("died", NONE_OPENED)
    assert shop.pulls[number]["body"] == "By hand."
    assert shop.pulls[number]["state"] == "open"
    assert plane.services.changes.all(project.id) == []


def test_of_two_the_one_of_another_account_stays_open(scene: Scene) -> None:
    shop = scene.shop
    shop.git.commit(shop.place, "develop", "d.txt", "d")
    project = scene.add(request_to())
    run = scene.plane.start_running(project, task="Fix it.")
    scene.plane.wait(lambda: shop.pulls, "the pull request")
    other = shop.open(run.work_branch, "develop", "For later", "", "person")
    run = scene.plane.see_end(run)
    assert run.status == "succeeded", scene.plane.lines(run)
    assert shop.pulls[other]["state"] == "open"


def test_the_mark_of_a_run_in_a_request_for_another_branch_proves_nothing(scene: Scene) -> None:
    scene.shop.git.commit(scene.shop.place, "develop", "d.txt", "d")
    project = scene.add(request_to("develop"), mark="<!-- runyard:{run} -->")
    run = scene.late(start(scene, project))
    assert (run.status, run.cause) == ("died", "no_delivery")
    assert "into develop, not into main" in (run.because or "")


def test_the_mark_of_another_run_does_not_hide_a_request(scene: Scene) -> None:
    project = scene.add(request_to(), mark="<!-- runyard:run_somebody_else -->")
    run = start(scene, project)
    assert run.status == "succeeded", scene.plane.lines(run)
    (pull,) = scene.shop.pulls.values()
    assert f"<!-- runyard:{run.id} -->" in pull["body"]


def test_a_run_counts_the_account_that_it_was_launched_with(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to(), stays=True)
    run = plane.start_running(project, task="Fix it.")
    plane.wait(lambda: scene.shop.pulls, "the pull request")
    scene.shop.writers += ("robot2",)
    scene.twin.add_token("TOKEN_AGENT_2", "robot2")
    place = scene.sign_in("TOKEN_AGENT_2", "robot2")
    plane.services.projects.change(project.id, pr_sign_in=place)
    assert plane.project(project.id).pr_login == "robot2"
    plane.clock.advance(65)
    plane.reap(run)
    run = plane.see_end(run)
    assert run.status == "succeeded", plane.lines(run)


def test_a_request_that_was_merged_before_the_run_is_not_its_delivery(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to())
    issue = shop.write("Fix it", "", "ready-for-agent")
    first = plane.finish(project, issue=issue)
    (number,) = shop.pulls
    shop.merge(number)
    plane.services.pull_requests.look_once(plane.clock())
    # the next agent opens none, and somebody comments on the old one meanwhile
    plane.services.projects.change(project.id, agent_command=scene.command(text="other\n"))
    shop.reopen(issue)
    second = plane.start_running(project, issue=issue)
    assert second.work_branch == first.work_branch
    long_ago = "2020-01-01T00:00:00Z"
    shop.pulls[number] |= {"created_at": long_ago, "body": "Its mark was edited away."}
    shop.say(number, "person", "Thanks!")
    second = scene.late(plane.see_end(second))
    assert (second.status, second.because) == ("died", NONE_OPENED), plane.lines(second)


def test_a_secret_in_what_its_agent_pushed_is_told_and_later_commits_still_go_out(
    scene: Scene,
) -> None:
    plane, shop = scene.plane, scene.shop
    token = (plane.settings.data_root / "token").read_text().strip()
    project = scene.add(request_to(), text=f'token = "{token}"\n', more=True)
    run = start(scene, project)
    assert run.status == "succeeded", plane.lines(run)
    assert shop.git.tip(shop.place, run.work_branch) == run.head_sha
    (told,) = (line for line in plane.lines(run) if "was pushed by its agent" in line)
    assert told.startswith("pull request #1 was pushed by its agent: new.txt line 1 of commit ")
    assert told.endswith("contains a secret (Runyard's token)")


def test_what_cannot_be_checked_any_more_holds_nothing_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    # git gets no time at all
    monkeypatch.setattr(secret_scan, "SECONDS", 0.0)
    run = start(scene, project)
    assert run.status == "succeeded", plane.lines(run)
    assert any("could not be checked for secrets" in line for line in plane.lines(run))


def test_one_that_is_closed_while_it_is_taken_over_is_no_delivery(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to())
    asked: list[str] = []

    def close(method: str, path: str) -> None:
        # its own page is asked for when it is taken over, after the list showed it open
        if method == "GET" and path.endswith("/pulls/1") and not asked:
            asked.append(path)
            shop.close(1)

    scene.twin.before = close
    run = start(scene, project)
    plane.clock.advance(60)
    run = plane.reap(run)
    plane.rest()
    run = plane.run(run.id)
    assert asked
    assert (run.status, run.cause) == ("died", "no_delivery"), plane.lines(run)
    assert run.because == "pull request #1 of its agent was closed"


def test_a_draft_that_runyard_made_is_taken_over_again_after_a_lost_answer(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    red = [{"name": "tests", "command": ["/bin/false"], "required": True}]
    project = scene.add(request_to())
    plane.services.projects.change(project.id, checks=red, on_red="deliver")
    lost: list[str] = []

    def lose(method: str, path: str) -> None:
        if method in ("PATCH", "POST") and ("/pulls/" in path or path.endswith("/graphql")):
            lost.append(path)
            if len(lost) == 1:
                scene.twin.before = lambda _, __: (502, b"<html>proxy</html>")

    scene.twin.after = lose
    run = plane.start_running(project, task="Fix it.")
    plane.wait(lambda: bool(lost) or (plane.reap(run) is None), "the first change of its text")
    scene.twin.before = None
    plane.wait(lambda: is_delivered(plane, run.id), "the delivery")
    (pull,) = shop.pulls.values()
    assert pull["draft"]
    assert plane.run(run.id).cause == "delivered_red"


def test_an_account_that_may_not_push_there_is_refused(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    scene.twin.add_token("TOKEN_READER", "reader")
    place = scene.sign_in("TOKEN_READER", "reader")
    with pytest.raises(Invalid) as refusal:
        plane.services.projects.change(project.id, pr_sign_in=place)
    (error,) = refusal.value.members["errors"]
    assert error == {
        "field": "pr_sign_in",
        "message": "acme/shop cannot be used: reader may not push to it.",
    }


def test_without_a_network_agents_cannot_open_them(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    with pytest.raises(Invalid) as refusal:
        plane.services.projects.change(project.id, sandbox="sandboxed", network="none")
    (error,) = refusal.value.members["errors"]
    assert error["field"] == "network"


def test_a_follow_up_has_the_sign_in_that_its_run_was_launched_with(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add()
    opens = shlex.join(scene.command(request_to()))
    says = f'echo "lent: ${{GIT_CONFIG_COUNT:-no}}"; test -e {scene.folder}/told.json || {opens}'
    plane.services.projects.change(
        project.id,
        agent_command=shell(says),
        checks=[check("exit 1").as_data()],
        check_rounds=1,
    )
    run = plane.start_running(project, task="Fix it.")
    # another word for later runs changes nothing for this one
    plane.services.projects.change(project.id, open_pr="runyard")
    to_the_end(plane, run)
    said = [line for line in log_of(plane, run).splitlines() if "lent: " in line]
    assert len(said) == 2
    assert not [line for line in said if line.endswith("no")]


def test_a_click_names_a_request_of_somebody_else_and_leaves_it_alone(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    run = scene.late(start(scene, scene.add()))
    number = shop.open(run.work_branch, "main", "Look at this", "By hand.", "person")
    with pytest.raises(NotDeliverable, match=f"#{number} of person is open"):
        deliver(plane, run)
    assert shop.pulls[number]["body"] == "By hand."
    shop.close(number)
    deliver(plane, run)
    assert plane.run(run.id).delivery is not None
    assert len(shop.pulls) == 2


def test_an_older_one_that_is_merged_during_the_run_is_its_delivery(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    run = start(scene, scene.add())
    # an earlier agent of the branch had left it a draft
    number = shop.open(run.work_branch, "main", "Fix it", "", "robot")
    shop.pulls[number] |= {"created_at": "2020-01-01T00:00:00Z"}
    shop.merge(number)
    run = scene.late(run)
    assert run.status == "succeeded", plane.lines(run)
    assert run.delivery is not None
    assert run.delivery["number"] == number


def test_an_older_request_does_not_end_an_agent_that_is_quiet(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(stays=True)
    run = plane.start_running(project, task="Fix it.")
    plane.wait(lambda: shop.git.tip(shop.place, run.work_branch), "the branch")
    number = shop.open(run.work_branch, "main", "Fix it", "", "robot")
    shop.pulls[number] |= {"created_at": "2020-01-01T00:00:00Z"}
    plane.clock.advance(SILENT_SECONDS + 5)
    run = plane.reap(run)
    assert run.status == "running"
    assert "stopping it" not in " ".join(plane.lines(run))


@pytest.mark.expects_error_log
def test_a_crash_right_after_the_start_does_not_forget_who_opens_the_request(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    fail_at("after_spawn")
    run = plane.launch(project, task="Fix it.")
    clear_failpoints()
    assert plane.run(run.id).provenance["open_pr"] == "agent"
    assert plane.run(run.id).provenance["open_pr_as"] == "robot"


def test_a_text_that_fills_the_forges_limit_still_gets_the_runs_note(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to(), mark="x" * 65_000)
    run = start(scene, project)
    assert run.status == "succeeded", plane.lines(run)
    (pull,) = scene.shop.pulls.values()
    assert len(pull["body"]) < 65_000
    assert f"<!-- runyard:{run.id} -->" in pull["body"]


def test_a_sign_in_that_became_another_accounts_is_not_lent(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    scene.twin.add_token("TOKEN_AGENT_2", "robot2")
    scene.sign_in("TOKEN_AGENT_2", "robot2")
    run = plane.launch(project, task="Fix it.")
    assert run.status == "not_started"
    assert "robot2 is signed in there, not robot" in (run.because or "")


def test_the_sandbox_can_be_tightened_while_the_forge_is_away(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    scene.twin.before = lambda _, __: (503, {"message": "later"})
    plane.services.projects.change(project.id, sandbox="sandboxed", network="allowed")
    assert plane.project(project.id).sandbox == "sandboxed"


def test_runyard_cannot_be_given_the_token_of_the_agents(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    with pytest.raises(Invalid) as refusal:
        plane.services.forges.change(str(project.forge_id), plane.clock(), token=TOKEN)
    (error,) = refusal.value.members["errors"]
    assert error["field"] == "token"
    assert error["message"].startswith("robot is the account of the agents of shop.")
