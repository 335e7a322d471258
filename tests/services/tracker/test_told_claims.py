"""What issues at a forge are told of the runs that work on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.ids import shorten
from app.domain.tracker.forges import mark_of
from app.records.tables import Project, Run
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.kinds import KINDS, twin_of
from tests.fakes.forges.twin import ForgeTwin


@pytest.fixture(params=KINDS)
def twin(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ForgeTwin]:
    """A twin of a forge with the repository acme/shop."""
    with twin_of(request.param, tmp_path / "forge", monkeypatch) as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        yield twin


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with real repositories and processes."""
    with real_plane(tmp_path / "plane") as plane:
        yield plane


@pytest.fixture
def shop(twin: ForgeTwin) -> Hosted:
    """The repository."""
    return twin.hosted["acme/shop"]


def add(plane: RealPlane, twin: ForgeTwin, shop: Hosted, agent: str = COMMIT) -> Project:
    """Add the forge and the project."""
    plane.services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
    choice = plane.services.forges.choose(None, shop.clone_url, None)
    return plane.register(shop.clone_url, agent, "shop", choice.columns)


def tell(plane: RealPlane, seconds: float = 0) -> int:
    """Tell what is due, after this many seconds."""
    plane.rest()
    plane.clock.advance(seconds)
    return plane.services.claims.tell_once(plane.clock())


def told(shop: Hosted, number: int) -> list[str]:
    """Return the comments on an issue."""
    return [one["body"] for one in shop.comments.get(number, [])]


def labels(shop: Hosted, number: int) -> set[str]:
    """Return the labels of an issue."""
    return {one["name"] for one in shop.issues[number]["labels"]}


def without_comments(method: str, path: str) -> tuple[int, Any] | None:
    """Answer as a forge that takes no comments just now."""
    return (503, None) if method == "POST" and path.endswith("/comments") else None


def working(run: Run) -> str:
    """Return the comment of a run that works."""
    return f"Runyard is working on this: run {shorten(run.id)}\n\n{mark_of(run.id)}"


def test_an_issue_is_told_of_its_run_and_then_of_its_pull_request(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    project = add(plane, twin, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    run = plane.start_running(project, issue=number)
    tell(plane)
    assert told(shop, number) == [working(run)]
    assert labels(shop, number) == {"ready-for-agent", "agent-working"}
    asked = len(twin.asked)
    assert tell(plane) == 0
    assert len(twin.asked) == asked, "asked though nothing had changed"
    run = plane.see_end(run)
    tell(plane)
    (pull,) = shop.pulls.values()
    (comment,) = told(shop, number)
    link = f"[#{pull['number']}]({pull['html_url']})"
    assert comment.startswith(f"Run {shorten(run.id)} of Runyard succeeded: pull request {link}")
    assert comment.endswith(mark_of(run.id))
    assert labels(shop, number) == {"ready-for-agent"}
    asked = len(twin.asked)
    assert tell(plane) == 0
    assert len(twin.asked) == asked


def test_an_answer_that_is_lost_doubles_no_comment(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    project = add(plane, twin, shop)
    number = shop.write("Mend it", "", "ready-for-agent")

    def lose(method: str, path: str) -> tuple[int, Any] | None:
        if method == "POST" and path.endswith("/comments"):
            run_id = plane.rows()[0]
            shop.say(number, "bot", f"Runyard is working on this\n{mark_of(run_id)}")
            twin.before = None
            return 0, None
        return None

    twin.before = lose
    run = plane.start_running(project, issue=number)
    plane.rest()
    plane.wait(lambda: tell(plane, 5) or labels(shop, number) > {"ready-for-agent"}, "the label")
    assert told(shop, number) == [working(run)]


@pytest.mark.expects_error_log
@pytest.mark.parametrize("point", ["claim.after_telling", "claim.after_label"])
def test_a_server_that_dies_between_telling_and_keeping_that_tells_it_once(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, point: str
) -> None:
    project = add(plane, twin, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    fail_at(point)
    run = plane.start_running(project, issue=number)
    plane.rest()
    assert len(told(shop, number)) == 1
    clear_failpoints()
    plane.see_end(run)
    tell(plane, 60)
    (comment,) = told(shop, number)
    assert "succeeded" in comment
    assert labels(shop, number) == {"ready-for-agent"}


def test_a_silent_forge_is_told_later_once_and_the_run_does_not_wait(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    project = add(plane, twin, shop, "sleep 60")
    number = shop.write("Mend it", "", "ready-for-agent")
    twin.before = without_comments
    run = plane.start_running(project, issue=number)
    plane.rest()
    twin.before = lambda _, __: (502, b"<html>proxy</html>")
    run = plane.stop_run(run)
    assert (run.status, run.released_at is not None) == ("stopped", True)
    tell(plane, 60)
    assert told(shop, number) == []
    twin.before = None
    plane.wait(lambda: tell(plane, 60) or told(shop, number), "the comment")
    (comment,) = told(shop, number)
    assert comment.startswith(f"Run {shorten(run.id)} of Runyard was stopped; ")
    tell(plane, 700)
    assert len(told(shop, number)) == 1


def test_a_copied_mark_of_somebody_else_is_not_ours(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    project = add(plane, twin, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    twin.before = without_comments
    run = plane.start_running(project, issue=number)
    plane.rest()
    shop.say(number, "outsider", f"Mine. {mark_of(run.id)}")
    twin.before = None
    plane.wait(lambda: tell(plane, 60) or len(told(shop, number)) == 2, "our own comment")
    assert told(shop, number) == [f"Mine. {mark_of(run.id)}", working(run)]


def test_a_label_that_was_removed_meanwhile_is_made_and_two_of_one_name_are_one(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    if twin.kind == "github":
        pytest.skip("GitHub takes one label of a name")
    project = add(plane, twin, shop)
    first, second = shop.add_label("agent-working"), shop.add_label("agent-working")
    number = shop.write("Mend it", "", "ready-for-agent")
    run = plane.start_running(project, issue=number)
    tell(plane)
    there = [one["id"] for one in shop.issues[number]["labels"]]
    assert first["id"] in there
    assert second["id"] not in there
    # a person adds the other one, too
    shop.issues[number]["labels"].append(second)
    plane.see_end(run)
    tell(plane)
    assert labels(shop, number) == {"ready-for-agent"}


def test_an_unknown_label_id_that_adds_nothing_is_noticed(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    project = add(plane, twin, shop)
    number = shop.write("Mend it", "", "ready-for-agent")

    def forget(method: str, path: str) -> tuple[int, Any] | None:
        if method == "POST" and path.endswith(f"/issues/{number}/labels"):
            # its label was deleted a moment ago
            twin.before = None
            shop.labels[:] = [one for one in shop.labels if one["name"] != "agent-working"]
        return None

    twin.before = forget
    plane.start_running(project, issue=number)
    plane.rest()
    plane.wait(lambda: tell(plane, 5) or "agent-working" in labels(shop, number), "the label")
    assert len(told(shop, number)) == 1


def test_a_project_can_name_the_label_or_have_none_and_can_say_nothing(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    project = add(plane, twin, shop)
    change = plane.services.projects.change
    change(project.id, claim_label="in progress")
    number = shop.write("Mend it", "", "ready-for-agent")
    run = plane.start_running(project, issue=number)
    tell(plane)
    assert labels(shop, number) == {"ready-for-agent", "in progress"}
    change(project.id, claim_label=None)
    plane.see_end(run)
    tell(plane)
    assert labels(shop, number) == {"ready-for-agent"}
    change(project.id, tell_claims=False)
    other = shop.write("Mend that", "", "ready-for-agent")
    plane.finish(project, issue=other)
    tell(plane)
    assert told(shop, other) == []
    assert labels(shop, other) == {"ready-for-agent"}
    assert twin.calls("POST", f"/issues/{other}/labels") == 0


def test_a_comment_that_a_person_removed_is_not_written_again(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted
) -> None:
    project = add(plane, twin, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    run = plane.start_running(project, issue=number)
    tell(plane)
    shop.comments[number].clear()
    plane.see_end(run)
    tell(plane)
    assert told(shop, number) == []
    assert labels(shop, number) == {"ready-for-agent"}


def test_runs_of_the_built_in_tracker_have_nothing_to_tell(plane: RealPlane) -> None:
    project = plane.add_project(COMMIT)
    number = plane.add_issue(project).number
    run = plane.finish(project, issue=number)
    assert not plane.run(run.id).announce
    assert plane.services.claims.tell_once(plane.clock()) == 0
