"""Runs whose agents open their pull requests themselves: one is found, and only one stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.domain.tracker.agent_requests import GRACE_SECONDS, NONE_OPENED, SILENT_SECONDS
from app.errors import ForgeUnavailable, Invalid
from tests.drivers.agent_openings import (
    TOKEN,
    Scene,
    deliver,
    is_delivered,
    request_to,
    scene_at_a_twin,
)
from tests.drivers.planes import COMMIT
from tests.fakes.agents.runs import shell

__all__ = ["scene_at_a_twin"]


def test_the_pull_request_of_an_agent_is_adopted_and_no_second_one_is_opened(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to())
    assert plane.project(project.id).pr_login == "robot"
    number = shop.write("Mend it", "It is broken.", "ready-for-agent")
    run = plane.finish(project, issue=number)
    assert run.status == "succeeded", plane.lines(run)
    (pull,) = shop.pulls.values()
    assert pull["user"]["login"] == "robot"
    assert pull["body"].startswith("Done by me.")
    assert f"<!-- runyard:{run.id} -->" in pull["body"]
    assert f"Closes #{number}" in pull["body"]
    (change,) = plane.services.changes.all(project.id)
    assert (change.number, change.head_sha) == (pull["number"], run.head_sha)
    assert f"change request #{pull['number']} opened by its agent" in plane.lines(run)
    sha = shop.merge(pull["number"])
    assert plane.services.pull_requests.look_once(plane.clock()) == 1
    (change,) = plane.services.changes.all(project.id)
    assert (change.state, change.merged_sha) == ("merged", sha)
    assert shop.issues[number]["state"] == "closed"
    assert plane.is_gone(run)


def test_only_an_agent_that_opens_one_gets_the_sign_in_and_it_is_masked(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    run = plane.finish(project, task="Mend it.")
    told = scene.told
    assert told["token"] == TOKEN
    # neither the agent's token nor Runyard's stands in its environment
    assert not [one for one in told["env"].values() if TOKEN in one or "TOKEN_BOT" in one]
    if scene.twin.kind == "github":
        assert {"hosts.yml", "config.yml"} <= {*told["seen"]}
    log = plane.adapters.engine.log(run.id).read().content
    assert b"my token is" in log
    assert TOKEN.encode() not in log
    # a report opens nothing
    names = "env | cut -d= -f1"
    plane.services.projects.change(project.id, agent_command=["/bin/sh", "-c", names])
    report = plane.finish(project, task="Tell me.", delivers="report")
    log = plane.adapters.engine.log(report.id).read().content
    assert b"PATH" in log
    assert b"GIT_CONFIG" not in log


@pytest.mark.parametrize("level", ["contained", "sandboxed"])
def test_in_a_sandbox_the_sign_in_is_there_and_cannot_be_written(scene: Scene, level: str) -> None:
    plane, home = scene.plane, scene.twin.url
    project = scene.add()
    look = (
        f"printf 'url={home}\\n\\n' | git credential fill; ls ~/.config/tea ~/.config/gh; "
        'echo "$GIT_CONFIG_VALUE_1" | sed "s/.*cat \'//; s/\'.*//" > place; '
        'touch "$(dirname "$(cat place)")/mine" && echo it can write'
    )
    plane.services.projects.change(project.id, sandbox=level, agent_command=shell(look))
    run = plane.see_end(plane.start_running(project, task="Look."))
    log = plane.adapters.engine.log(run.id).read().content.decode()
    assert "username=robot" in log, log
    assert "password=•" in log
    assert TOKEN not in log
    assert ("hosts.yml" if scene.twin.kind == "github" else "config.yml") in log
    assert "it can write" not in log


def test_the_prompt_says_who_opens_it_and_into_which_branch(scene: Scene) -> None:
    project = scene.add(request_to())
    run = scene.plane.finish(project, task="Mend it.")
    (prompt,) = scene.plane.services.prompts.of_run(run.id)
    tool = "gh pr create" if scene.twin.kind == "github" else "tea pulls create"
    assert f"open exactly one pull request of it into main with `{tool}`" in prompt.text
    assert "Runyard does that" not in prompt.text


def test_an_agent_that_opens_none_delivers_nothing_until_a_person_says_so(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add()
    run = plane.see_end(plane.start_running(project, task="Mend it."))
    # it may not show yet
    assert run.status == "running"
    assert run.hold == f"it waits for its pull request: {NONE_OPENED}"
    run = scene.late(run)
    assert (run.status, run.cause, run.because) == ("died", "no_delivery", NONE_OPENED)
    assert run.parked
    assert shop.pulls == {}
    deliver(plane, run)
    (pull,) = shop.pulls.values()
    assert pull["user"]["login"] == "bot"


def test_one_into_another_branch_counts_only_once_it_is_right(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    shop.git.commit(shop.place, "develop", "d.txt", "d")
    project = scene.add(request_to("develop"))
    run = scene.late(plane.see_end(plane.start_running(project, task="Mend it.")))
    (pull,) = shop.pulls.values()
    wrong = f"its agent opened pull request #{pull['number']} into develop, not into main"
    assert (run.status, run.cause, run.because) == ("died", "no_delivery", wrong)
    with pytest.raises(Exception, match="into develop, not into main"):
        deliver(plane, run)
    assert len(shop.pulls) == 1
    # somebody points it to main at the forge
    pull["base"] = {**pull["base"], "ref": "main", "label": "main"}
    deliver(plane, run)
    assert len(shop.pulls) == 1
    (change,) = plane.services.changes.all(project.id)
    assert change.number == pull["number"]


def test_of_two_the_lower_one_stays_and_the_other_is_closed_with_a_word(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    shop.git.commit(shop.place, "develop", "d.txt", "d")
    project = scene.add(request_to(), request_to("develop"))
    run = plane.finish(project, task="Mend it.")
    assert run.status == "succeeded", plane.lines(run)
    first, second = sorted(shop.pulls)
    assert [shop.pulls[one]["state"] for one in (first, second)] == ["open", "closed"]
    said = [one["body"] for one in shop.comments[second]]
    assert said == [f"Opened twice by accident: #{first} is the one."]


def test_a_draft_is_no_delivery(scene: Scene) -> None:
    title: dict[str, Any] = (
        {"draft": True} if scene.twin.kind == "github" else {"title": "WIP: Mend it"}
    )
    project = scene.add(request_to(**title))
    plane = scene.plane
    run = scene.late(plane.see_end(plane.start_running(project, task="Mend it.")))
    (number,) = scene.shop.pulls
    because = f"its agent left pull request #{number} a draft"
    assert (run.cause, run.because) == ("no_delivery", because)


def test_commits_after_the_push_are_pushed_to_the_same_request(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to(), more=True)
    run = plane.finish(project, task="Mend it.")
    assert run.status == "succeeded", plane.lines(run)
    assert len(shop.pulls) == 1
    (change,) = plane.services.changes.all(project.id)
    assert shop.git.tip(shop.place, run.work_branch) == change.head_sha == run.head_sha
    assert change.commits == 2


def test_an_open_one_is_a_delivery_however_its_agent_ended(scene: Scene) -> None:
    project = scene.add(request_to(), code=3)
    run = scene.plane.finish(project, task="Mend it.")
    assert (run.status, run.cause) == ("succeeded", "delivered")


def test_an_agent_that_is_silent_after_opening_is_ended_and_has_delivered(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to(), stays=True)
    run = plane.start_running(project, task="Mend it.")
    plane.wait(lambda: scene.shop.pulls, "the pull request")
    assert plane.reap(run).status == "running"
    plane.clock.advance(SILENT_SECONDS + 5)
    plane.reap(run)
    run = plane.see_end(run)
    assert (run.status, run.cause) == ("succeeded", "delivered"), plane.lines(run)


def test_while_the_forge_is_silent_nothing_is_concluded(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    run = plane.start_running(project, task="Mend it.")
    plane.wait(lambda: scene.shop.pulls, "the pull request")
    scene.twin.before = lambda _, __: (502, b"<html>proxy</html>")
    plane.see_end(run)
    plane.clock.advance(GRACE_SECONDS + 30)
    run = plane.reap(run)
    assert run.status == "running"
    assert (run.hold or "").startswith("it waits for its forge")
    scene.twin.before = None
    plane.wait(lambda: is_delivered(plane, run.id), "the delivery")
    assert len(scene.shop.pulls) == 1


def test_what_is_no_sign_in_of_the_agents_own_is_refused_with_the_reason(scene: Scene) -> None:
    plane, twin = scene.plane, scene.twin
    project = scene.add(request_to())
    change = plane.services.projects.change

    def refused(**settings: Any) -> tuple[str, str]:
        with pytest.raises(Invalid) as refusal:
            change(project.id, **settings)
        (error,) = refusal.value.members["errors"]
        return error["field"], error["message"]

    assert refused(pr_sign_in=None)[0] == "open_pr"
    assert "signed in with the agents' own account" in refused(pr_sign_in=None)[1]
    assert "is missing" in refused(pr_sign_in="/nowhere")[1]
    scene.sign_in("TOKEN_BOT", "bot")
    place = scene.sign_in("TOKEN_BOT", "bot")
    assert "is Runyard's own account there" in refused(pr_sign_in=place)[1]
    place = scene.sign_in("TOKEN_REVOKED")
    assert refused(pr_sign_in=place)[0] == "pr_sign_in"
    twin.before = lambda _, __: (503, {"message": "later"})
    with pytest.raises(ForgeUnavailable):
        change(project.id, pr_sign_in=place)


def test_a_project_of_the_built_in_tracker_cannot_have_its_agents_open_them(scene: Scene) -> None:
    project = scene.plane.add_project(COMMIT)
    with pytest.raises(Invalid) as refusal:
        scene.plane.services.projects.change(
            project.id, open_pr="agent", pr_sign_in=scene.sign_in()
        )
    assert refusal.value.members["errors"][0]["field"] == "open_pr"


def test_a_run_does_not_start_without_the_sign_in_and_says_so(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    for one in Path(scene.sign_in()).iterdir():
        one.unlink()
    run = plane.launch(project, task="Mend it.")
    assert run.status == "not_started"
    assert "cannot sign in" in (run.because or "")


def test_what_the_agents_account_says_starts_nothing(scene: Scene) -> None:
    plane, shop = scene.plane, scene.shop
    project = scene.add(request_to())
    number = shop.write("Delete all", "", "ready-for-agent", by="outsider", labelled_by="robot")
    assert plane.services.issues.claimable(plane.project(project.id)) == []
    (found,) = (one for one in plane.services.issues.all(project.id) if one.number == number)
    assert "who may not write there" in (found.hold or "")
    by_people = shop.write("Mend it", "", "ready-for-agent")
    assert plane.services.issues.claimable(plane.project(project.id)) == [by_people]


def test_where_only_allowed_hosts_are_reached_the_forge_is_one_of_them(scene: Scene) -> None:
    plane = scene.plane
    project = scene.add(request_to())
    # a forge at an address of this machine, or in a private network, is one that a person added
    plane.services.projects.change(project.id, sandbox="sandboxed", network="allowed")
    run = plane.see_end(plane.start_running(project, task="Fix it."))
    log = plane.adapters.engine.log(run.id).read().content.decode()
    assert run.status == "succeeded", (plane.lines(run), log)
    (pull,) = scene.shop.pulls.values()
    assert pull["user"]["login"] == "robot"
